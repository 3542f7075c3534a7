//! A campaign on a clock of its own.

use super::{
    Conduct, Schedule, TargetSchedule, WaveSchedule,
    timeline::{Moment, later, timeline, way_back},
};
use crate::{
    campaign::{Board, Opening, Standing, Target, calendars::Calendars, decide, standing::Goal, targets, waves},
    path::Graph,
    rehearsal,
};
use gotocloud_api::{
    CampaignSpec, CampaignStatus,
    campaign::{Approval, Approved, CampaignState, WaveStatus},
    upgrade::UpgradePhase,
    version::UpgradeKind,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
};

/// What a simulation starts from.
pub struct Start {
    /// The campaign's spec.
    pub spec: CampaignSpec,
    /// Its status: which waves have begun.
    pub status: CampaignStatus,
    /// Where its targets stand.
    pub board: Board,
    /// When they may begin.
    pub calendars: Calendars,
    /// What it wants.
    pub goal: Goal,
    /// Name of the Release its targets are to run; none for a stage.
    pub release: Option<String>,
    /// The releases of its application.
    pub releases: Graph,
    /// By target, the name of the Release it runs.
    pub running: HashMap<Arc<str>, Arc<str>>,
    /// By target, until when its establishment wishes it deferred.
    pub wishes: HashMap<Arc<str>, Timestamp>,
    /// By target, how long things took when its way was rehearsed.
    pub rehearsed: HashMap<Arc<str>, rehearsal::Measured>,
    /// Targets that another campaign holds, until when.
    pub held: HashMap<Arc<str>, Timestamp>,
}

/// Plays a campaign from a moment on, until it ends or that other moment has come.
pub fn simulate(start: Start, conduct: &dyn Conduct, from: Timestamp, until: Timestamp) -> Schedule {
    let mut run = Run::new(start, conduct, from);
    let stuck = run.play(until);
    run.schedule(from, until, stuck)
}

struct Run<'a> {
    start: Start,
    conduct: &'a dyn Conduct,
    now: Timestamp,
    /// What happens later: when, in which order, to whom, and what.
    later: BinaryHeap<Reverse<(Timestamp, usize)>>,
    events: Vec<(Arc<str>, Option<UpgradePhase>, Standing)>,
    told: HashMap<Arc<str>, Told>,
    ended: Vec<Option<Timestamp>>,
    openings: RefCell<HashMap<(u32, Option<UpgradeKind>), Found>>,
}

/// Whether a lane is open, and until when that is so; none: for all time.
type Found = (Opening, Option<Timestamp>);

/// What happened to one target.
#[derive(Default)]
struct Told {
    begins: Option<Timestamp>,
    phases: Vec<(Timestamp, UpgradePhase)>,
    ends: Option<Timestamp>,
}

impl<'a> Run<'a> {
    fn new(mut start: Start, conduct: &'a dyn Conduct, from: Timestamp) -> Self {
        start.spec.state = CampaignState::Running;
        for wave in start.spec.waves.iter_mut().filter(|wave| wave.approval == Approval::Manual) {
            wave.approved.get_or_insert_with(|| Approved { by: "simulated".into(), reason: None });
        }
        let ended = vec![None; start.spec.waves.len()];
        let mut run = Self {
            start,
            conduct,
            now: from,
            later: BinaryHeap::new(),
            events: Vec::new(),
            told: HashMap::new(),
            ended,
            openings: RefCell::default(),
        };
        run.take_up();
        run
    }

    /// What is under way is gone on with, what another campaign holds waits for it.
    fn take_up(&mut self) {
        // Those being changed or watched, wave by wave, in the order of their names.
        let names: Vec<Arc<str>> =
            self.start.board.waves().iter().flat_map(|wave| wave.in_hand.iter().cloned()).collect();
        for name in names {
            let Some(target) = self.start.board.target(&name).cloned() else { continue };
            for moment in self.rest_of(&name, &target) {
                self.push(&name, moment);
            }
        }
        for (name, until) in std::mem::take(&mut self.start.held) {
            let Some(target) = self.start.board.target(&name).cloned() else { continue };
            if target.standing == Standing::Pending && until > self.now {
                self.push(&name, Moment { at: until, phase: None, standing: Standing::Pending });
                let standing = Standing::Blocked("another campaign holds it".into());
                self.start.board.put(&name, Target { standing, ..target });
            }
        }
    }

    /// What is still to come of a target that was begun before. What should have come already comes now.
    fn rest_of(&self, name: &str, target: &Target) -> Vec<Moment> {
        let Some(wave) = self.start.spec.waves.get(target.wave) else { return Vec::new() };
        let began = target.progress.since.unwrap_or(self.now);
        if target.standing == Standing::GoingBack {
            return vec![way_back(self.conduct, name, self.now)];
        }
        let moments = timeline(&self.start, self.conduct, name, wave, began);
        let is_there = |moment: &Moment| moment.standing == target.standing;
        let is_soaking = target.standing == Standing::Soaking;
        let soak = moments.iter().position(|moment| moment.standing == Standing::Soaking);
        // Of what is watched, the watch alone is left, from when it began.
        let (moments, shift) = match soak.filter(|_| is_soaking) {
            Some(at) => (&moments[at + 1..], began.duration_since(moments[at].at)),
            None => (&moments[usize::from(moments.first().is_some_and(is_there))..], SignedDuration::ZERO),
        };
        let mut late = SignedDuration::ZERO;
        let mut rest = Vec::new();
        for moment in moments {
            let due = later(moment.at, shift);
            // What takes longer than was thought puts off what follows.
            late = late.max(self.now.duration_since(due)).max(SignedDuration::ZERO);
            let at = if due < self.now { self.now } else { due };
            let at = if moment.standing.is_settled() && !is_soaking { later(due, late) } else { at };
            rest.push(Moment { at, ..moment.clone() });
        }
        rest
    }

    fn push(&mut self, name: &Arc<str>, moment: Moment) {
        self.later.push(Reverse((moment.at, self.events.len())));
        self.events.push((Arc::clone(name), moment.phase, moment.standing));
    }

    /// Plays it; gives why it went no further, where it did not end.
    fn play(&mut self, until: Timestamp) -> Option<String> {
        loop {
            let moves = decide(
                &self.start.spec,
                Some(&self.start.status),
                &self.start.board,
                true,
                |lane| self.opening(lane),
                self.now,
            );
            if let Some(wave) = moves.start {
                self.begin_wave(wave);
                continue;
            }
            for admission in &moves.begin {
                self.begin(&admission.name, admission.wave, admission.back_to.is_some());
            }
            self.note_ends();
            let due = self.later.peek().map(|Reverse((at, _))| *at);
            let next = due.into_iter().chain(moves.look_again).min();
            let Some(next) = next.filter(|next| *next < until) else { return self.why_stuck() };
            // A clock that stands still would do so for ever.
            if next <= self.now && due.is_none_or(|due| due > self.now) {
                return self.why_stuck();
            }
            self.now = self.now.max(next);
            while let Some(Reverse((at, event))) = self.later.peek().copied() {
                if at > self.now {
                    break;
                }
                self.later.pop();
                self.happen(event);
            }
        }
    }

    fn begin_wave(&mut self, wave: usize) {
        let Some(name) = self.start.spec.waves.get(wave).map(|wave| wave.name.clone()) else { return };
        self.start.status.waves.retain(|known| known.name != name);
        let started_at = Some(Time(self.now));
        self.start.status.waves.push(WaveStatus { name, started_at, ..WaveStatus::default() });
        // From its start on its deferrals count.
        let Some(latest) = targets::latest_deferral(&self.start.spec, self.now) else { return };
        for (name, wish) in self.start.wishes.clone() {
            if let Some(target) = self.start.board.target(&name).filter(|target| target.wave == wave).cloned() {
                let deferred_until = Some(wish.min(latest));
                self.start.board.put(&name, Target { deferred_until, ..target });
            }
        }
    }

    fn begin(&mut self, name: &Arc<str>, wave: usize, is_back: bool) {
        let Some(target) = self.start.board.target(name).cloned() else { return };
        let Some(of) = self.start.spec.waves.get(wave) else { return };
        let at_once = |standing| Moment { at: self.now, phase: None, standing };
        let mut moments = if is_back {
            vec![at_once(Standing::GoingBack), way_back(self.conduct, name, self.now)]
        } else {
            timeline(&self.start, self.conduct, name, of, self.now)
        };
        if moments.is_empty() {
            moments.push(at_once(Standing::Failed("no way leads there".into())));
        }
        self.told.entry(Arc::clone(name)).or_default().begins = Some(self.now);
        // It is under way from now on, whatever it comes to at this very moment.
        self.start.board.put(name, Target { standing: Standing::Running { untouched: true }, ..target });
        for moment in moments {
            self.push(name, moment);
        }
    }

    fn happen(&mut self, event: usize) {
        let (name, phase, standing) = self.events[event].clone();
        let Some(target) = self.start.board.target(&name).cloned() else { return };
        let told = self.told.entry(Arc::clone(&name)).or_default();
        told.phases.extend(phase.map(|phase| (self.now, phase)));
        if standing.is_settled() {
            told.ends = Some(self.now);
        }
        if standing != target.standing {
            self.start.board.put(&name, Target { standing, ..target });
        }
    }

    fn note_ends(&mut self) {
        for (at, wave) in self.start.spec.waves.iter().enumerate() {
            let board = &self.start.board.waves()[at];
            let is_passed_over = waves::is_passed_over(wave, board);
            if !waves::has_begun(Some(&self.start.status), &wave.name) && !is_passed_over {
                continue;
            }
            if board.unsettled == 0 {
                self.ended[at].get_or_insert(self.now);
            }
        }
    }

    /// Why nothing more happens; none where all is done.
    fn why_stuck(&self) -> Option<String> {
        let Start { spec, status, board, .. } = &self.start;
        if let Some(halt) = waves::halt(spec, board, true) {
            return Some(halt.to_string());
        }
        if self.ended.iter().all(Option::is_some) {
            return None;
        }
        let is_next = |(wave, board)| {
            let wave: &gotocloud_api::campaign::Wave = wave;
            !waves::has_begun(Some(status), &wave.name) && !waves::is_passed_over(wave, board)
        };
        let next = spec.waves.iter().zip(board.waves()).position(is_next);
        let has_begun = |name: &str| waves::has_begun(Some(status), name);
        let wait = next.and_then(|next| waves::may_begin(spec, board, next, has_begun, true, self.now).err());
        let blocked = || (0..spec.waves.len()).find_map(|wave| board.first_blocked(wave));
        let wait = wait.map(|wait| wait.to_string()).or_else(|| blocked().map(|(name, why)| format!("{name}: {why}")));
        Some(wait.unwrap_or_else(|| "there is not enough time in its windows".to_owned()))
    }

    /// Whether a lane is open now; what was found is kept for as long as it holds.
    fn opening(&self, lane: &crate::campaign::Lane) -> Opening {
        let mut known = self.openings.borrow_mut();
        let key = (lane.calendar, lane.kind);
        if let Some((opening, _)) = known.get(&key).filter(|(_, until)| until.is_none_or(|until| self.now < until)) {
            return *opening;
        }
        let found = self.start.calendars.opening_until(lane, self.start.release.as_deref(), self.now);
        known.insert(key, found);
        found.0
    }

    fn schedule(self, from: Timestamp, until: Timestamp, stuck: Option<String>) -> Schedule {
        let Self { start, ended, mut told, .. } = self;
        let waves = start.spec.waves.iter().zip(ended).map(|(wave, ends)| WaveSchedule {
            name: wave.name.clone(),
            begins: waves::started_at(Some(&start.status), &wave.name),
            ends,
        });
        let targets: BTreeMap<_, _> = start
            .board
            .targets()
            .map(|(name, target)| {
                let Told { begins, phases, ends } = told.remove(name).unwrap_or_default();
                let outcome = target.standing.clone();
                (Arc::clone(name), TargetSchedule { wave: target.wave, begins, phases, ends, outcome })
            })
            .collect();
        Schedule { from, until, waves: waves.collect(), targets, stuck }
    }
}
