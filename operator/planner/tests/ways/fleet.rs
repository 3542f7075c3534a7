//! The fleet that is explored: its state, what can happen, and what must hold.

mod laws;

use gotocloud_api::{
    CampaignSpec, CampaignStatus, Instance,
    campaign::{CampaignState, OnFailure, WaveStatus},
    instance::RunningRelease,
    upgrade::{Rollout, UpgradePhase, UpgradeStatus},
};
use gotocloud_planner::{
    campaign::{
        self, Board, FIELD_MANAGER, Lane, Opening, Progress, Rehearsing, Standing, Target,
        claims::Claims,
        decide,
        standing::{self, Asker, Goal},
    },
    path::{NoWay, StepFacts},
    upgrade::{self, Backup, Course, Gates, Migration, Releases, Seen, Terms},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::{apis::meta::v1::Time, util::intstr::IntOrString};
use serde_json::json;
use stateright::{Model, Property};
use std::sync::{Arc, LazyLock};

pub const LIMIT: &str = "no more at once than may be";
pub const FAILURES: &str = "nothing begins once more failed than may";
pub const WINDOW: &str = "nothing begins while its window is closed";
pub const WAVE: &str = "nothing begins before its wave";
pub const ONE_CAMPAIGN: &str = "no instance is in two campaigns";
pub const PIN: &str = "what a person pinned stays";
pub const PROOF: &str = "done is what its own status proves";
pub const STEPS: &str = "no step of the way is left out";
pub const BACKUP: &str = "what cannot be undone has a backup";
pub const BETWEEN: &str = "at rest, nothing is half way";
pub const END: &str = "at rest, all that can be done is done";

/// A mistake that somebody could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    CountsNothingInHand,
    IgnoresFailures,
    IgnoresWindows,
    BeginsBeforeItsWave,
    WritesOverWhatItHasNotSeen,
    TakesWhatIsHeld,
    ForcesPins,
    JudgesByHealth,
    SkipsSteps,
    SkipsBackups,
    WithdrawsTheTouched,
    NeverSoaks,
}

/// What is explored.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub name: &'static str,
    pub targets: usize,
    /// The wave of each target.
    pub waves: &'static [usize],
    /// Steps of the way; the second cannot be undone.
    pub steps: usize,
    /// Most at once, and most that may fail, in each wave.
    pub at_once: u8,
    pub may_fail: u8,
    /// Does a second campaign want the same targets?
    pub is_shared: bool,
    /// How often each may happen.
    pub failures: u8,
    pub crashes: u8,
    pub closings: u8,
    pub pauses: u8,
    pub aborts: u8,
    pub pins: u8,
    pub retries: u8,
    pub fault: Option<Fault>,
}

/// One instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Who asked for a release: the campaign and its attempt.
    asked: Option<(u8, u8)>,
    /// The release a person set, if one did.
    pinned: Option<u8>,
    /// The release that runs.
    running: u8,
    record: Option<Record>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Record {
    asked: Option<(u8, u8)>,
    from: u8,
    to: u8,
    step: u8,
    active: u8,
    phase: UpgradePhase,
    backup: bool,
    /// Was its migration seen to run?
    broke_off: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Campaign {
    state: CampaignState,
    begun: [bool; 2],
    retry: u8,
}

/// A state of the world, and what the operator believes of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    places: Vec<Place>,
    /// What the operator last saw or wrote.
    cache: Vec<Place>,
    campaigns: Vec<Campaign>,
    is_closed: bool,
    left: [u8; 7],
    /// The property that the last event broke.
    broken: Option<&'static str>,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The operator decides about a campaign, does so many writes, and dies or is slow before the rest.
    Decide { campaign: usize, writes: usize },
    /// It looks at an instance, of which all is well by now, or something failed for good.
    Look { target: usize, goes_well: bool },
    /// A watch shows it an instance as it is.
    Sync { target: usize },
    /// It dies, and starts anew: it sees all as it is.
    Crash,
    /// The window closes or opens.
    Window,
    /// A person pauses a campaign, or lets it go on.
    Pause,
    /// A person aborts it.
    Abort,
    /// A person sets the release of an instance.
    Pin { target: usize },
    /// A person has all that failed tried again.
    Retry,
}

const NOW: i64 = 1_700_000_000;
const FAILURE: usize = 0;
const CRASH: usize = 1;
const CLOSING: usize = 2;
const PAUSE: usize = 3;
const ABORT: usize = 4;
const PINNING: usize = 5;
const RETRY: usize = 6;

impl State {
    fn is_in_hand(&self, target: usize) -> bool {
        self.places[target].record.is_some_and(|record| !record.phase.is_terminal())
    }
}

impl Fleet {
    /// Two waves of two, one at a time, of which one may fail in all.
    pub fn two_waves() -> Self {
        Self {
            name: "",
            targets: 4,
            waves: &[0, 0, 1, 1],
            steps: 1,
            at_once: 1,
            may_fail: 0,
            is_shared: false,
            failures: 0,
            crashes: 0,
            closings: 0,
            pauses: 0,
            aborts: 0,
            pins: 0,
            retries: 0,
            fault: None,
        }
    }

    /// One wave of two.
    pub fn one_wave() -> Self {
        Self { targets: 2, waves: &[0, 0], ..Self::two_waves() }
    }

    fn initial(&self) -> State {
        let place = Place { asked: None, pinned: None, running: 0, record: None };
        let campaign = Campaign { state: CampaignState::Running, begun: [false; 2], retry: 0 };
        State {
            places: vec![place; self.targets],
            cache: vec![place; self.targets],
            campaigns: vec![campaign; if self.is_shared { 2 } else { 1 }],
            is_closed: false,
            left: [self.failures, self.crashes, self.closings, self.pauses, self.aborts, self.pins, self.retries],
            broken: None,
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The release a campaign wants: the second of two wants the one before the last, or the same.
    fn goal(&self) -> u8 {
        u8::try_from(self.steps).unwrap()
    }

    fn standing(&self, place: &Place, spec: &CampaignSpec, campaign: usize, wave: usize) -> Standing {
        let goal = Goal::Release(release(self.goal()));
        let asker = Asker { spec, uid: UIDS[campaign], goal: &goal, claims: &CLAIMS, now: now() };
        let instance = self.instance(place);
        let owner = match (place.pinned, place.asked) {
            (Some(_), _) => Some("kubectl"),
            (None, Some(_)) => Some(FIELD_MANAGER),
            (None, None) => None,
        };
        let standing = standing::of(asker, "t", WAVES[wave], Some(&instance), owner);
        let runs_it = place.running == self.goal();
        match standing {
            Standing::Blocked(_) if self.is(Fault::TakesWhatIsHeld) && place.asked.is_some() => Standing::Pending,
            Standing::Pinned(_) if self.is(Fault::ForcesPins) => Standing::Pending,
            // The new pods are asked for, and the old ones are still healthy.
            Standing::Running { untouched: false } if self.is(Fault::JudgesByHealth) && !runs_it => Standing::Done,
            Standing::Running { .. } if self.is(Fault::WithdrawsTheTouched) => Standing::Running { untouched: true },
            standing => standing,
        }
    }

    fn board(&self, places: &[Place], spec: &CampaignSpec, campaign: usize) -> Board {
        let mut board = Board::new(2);
        for (at, place) in places.iter().enumerate() {
            let wave = self.waves[at];
            let standing = self.standing(place, spec, campaign, wave);
            let target = Target {
                wave,
                standing,
                lane: Lane::default(),
                weight: 1,
                deferred_until: None,
                unreachable: false,
                rehearsal: Rehearsing::No,
                progress: Progress::default(),
            };
            board.put(&format!("t{at}").into(), target);
        }
        board
    }

    fn spec(&self, campaign: Campaign) -> CampaignSpec {
        let mut spec = SPEC.clone();
        spec.state = campaign.state;
        spec.retry_failed = campaign.retry.into();
        spec.upgrade.as_mut().unwrap().release = release(self.goal());
        for wave in &mut spec.waves {
            wave.max_concurrent = IntOrString::Int(self.at_once.into());
            wave.max_failures = IntOrString::Int(self.may_fail.into());
        }
        spec
    }

    fn decide(&self, state: &State, at: usize) -> decide::Moves {
        let campaign = state.campaigns[at];
        let mut spec = self.spec(campaign);
        if self.is(Fault::IgnoresFailures) {
            for wave in &mut spec.waves {
                wave.max_failures = IntOrString::Int(9);
            }
        }
        if self.is(Fault::CountsNothingInHand) {
            for wave in &mut spec.waves {
                wave.max_concurrent = IntOrString::Int(9);
            }
        }
        let board = self.board(&state.cache, &spec, at);
        let mut status = status(campaign);
        if self.is(Fault::BeginsBeforeItsWave) {
            status.waves.iter_mut().for_each(|wave| wave.started_at = Some(time()));
        }
        let opening = |_: &Lane| {
            if state.is_closed && !self.is(Fault::IgnoresWindows) { Opening::Closed(None) } else { Opening::Open }
        };
        campaign::decide(&spec, Some(&status), &board, true, opening, now())
    }

    /// Carries out the first writes of a decision.
    fn write(&self, state: &mut State, at: usize, writes: usize) {
        let moves = self.decide(state, at);
        let mut left = writes;
        if let Some(wave) = moves.start.filter(|_| left > 0) {
            if wave > 0 && self.is_unfinished(state, at, wave - 1) {
                state.broken = Some(WAVE);
            }
            state.campaigns[at].begun[wave] = true;
            left -= 1;
        }
        for name in moves.withdraw.iter().take(left) {
            let target = usize::from(number(name.trim_start_matches('t')));
            // A write names the version it read.
            if self.has_seen(state, target) {
                let before = state.places[target];
                // A record of an earlier try has ended.
                let under_way = before.record.filter(|record| !record.phase.is_terminal());
                if under_way.is_some_and(|record| !record.phase.has_touched_nothing()) {
                    state.broken = Some(BETWEEN);
                }
                let after = Place { asked: None, ..before };
                (state.places[target], state.cache[target]) = (after, after);
            }
        }
        left -= left.min(moves.withdraw.len());
        for admission in moves.begin.iter().take(left) {
            let target = usize::from(number(admission.name.trim_start_matches('t')));
            if !self.has_seen(state, target) {
                continue;
            }
            self.check_admission(state, at, admission.wave, target);
            // To say the same as a person is no conflict: both own it then.
            let pinned = state.places[target].pinned.filter(|pinned| *pinned == self.goal());
            let attempt = u8::try_from(admission.attempt).unwrap();
            let after = Place { asked: Some((u8::try_from(at).unwrap(), attempt)), pinned, ..state.places[target] };
            (state.places[target], state.cache[target]) = (after, after);
        }
    }

    fn has_seen(&self, state: &State, target: usize) -> bool {
        state.cache[target] == state.places[target] || self.is(Fault::WritesOverWhatItHasNotSeen)
    }

    /// What must hold when a target begins, of the world as it is.
    fn check_admission(&self, state: &mut State, at: usize, wave: usize, target: usize) {
        let campaign = state.campaigns[at];
        let place = state.places[target];
        let failed = (0..self.targets).filter(|&other| {
            self.waves[other] == wave
                && state.places[other].record.is_some_and(|record| {
                    // What another campaign, or a person, took over since is theirs.
                    state.places[other].pinned.is_none()
                        && record.asked == state.places[other].asked
                        && record.asked.is_some_and(|(by, attempt)| usize::from(by) == at && attempt > campaign.retry)
                        && matches!(
                            record.phase,
                            UpgradePhase::Failed | UpgradePhase::RolledBack | UpgradePhase::Refused
                        )
                })
        });
        if state.is_closed {
            state.broken = Some(WINDOW);
        } else if self.in_hand(state, at, wave).count() >= usize::from(self.at_once) {
            state.broken = Some(LIMIT);
        } else if !campaign.begun[wave] {
            state.broken = Some(WAVE);
        } else if failed.count() > usize::from(self.may_fail) {
            state.broken = Some(FAILURES);
        } else if place.pinned.is_some_and(|pinned| pinned != self.goal()) {
            state.broken = Some(PIN);
        } else if place.record.is_some_and(|record| !record.phase.is_terminal())
            || (place.asked.is_some() && place.record.is_none_or(|record| record.asked != place.asked))
        {
            state.broken = Some(ONE_CAMPAIGN);
        }
    }

    /// What a campaign has begun in a wave and has not ended, but for what is only watched.
    fn in_hand<'s>(&self, state: &'s State, campaign: usize, wave: usize) -> impl Iterator<Item = &'s Place> {
        let in_wave = state.places.iter().zip(self.waves).filter(move |(_, of)| **of == wave).map(|(place, _)| place);
        in_wave.filter(move |place| {
            let is_asked = place.asked.is_some_and(|(by, _)| usize::from(by) == campaign);
            is_asked
                && match place.record.filter(|record| record.asked == place.asked) {
                    None => place.pinned.is_none(),
                    Some(record) => !record.phase.is_terminal() && record.phase != UpgradePhase::Soak,
                }
        })
    }

    fn is_unfinished(&self, state: &State, at: usize, wave: usize) -> bool {
        let spec = self.spec(state.campaigns[at]);
        self.board(&state.places, &spec, at).waves()[wave].unsettled > 0
    }

    /// One look at an instance by the operator.
    fn look(&self, state: &mut State, target: usize, goes_well: bool) -> bool {
        let cached = state.cache[target];
        let seen_instance = self.instance(&cached);
        let record = seen_instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
        let current = upgrade::active(&seen_instance).unwrap().to_owned();
        let is_aborting = cached
            .record
            .and_then(|record| record.asked)
            .is_some_and(|(by, _)| state.campaigns[usize::from(by)].state == CampaignState::Aborted);
        let terms = Terms {
            soak: SignedDuration::from_secs(10),
            aborting: is_aborting,
            on_failure: OnFailure::Rollback,
            ..Terms::default()
        };
        let seen = if goes_well {
            Seen {
                backup: Backup::Verified("b".into()),
                migration: Migration::Succeeded,
                gates: Gates::True,
                ..Seen::default()
            }
        } else {
            let why = || "it fails".to_owned();
            Seen {
                backup: Backup::Failed(why()),
                migration: Migration::Failed(why(), why()),
                pods: Some(why()),
                unready_since: Some(earlier()),
                ..Seen::default()
            }
        };
        let wanted = upgrade::wanted(&seen_instance);
        let course = Course { releases: self, terms: &terms, seen: &seen, now: now() };
        let next = upgrade::next(record, wanted.as_ref(), &current, course);
        let Some(next) = next else { return false };
        if self.is(Fault::NeverSoaks) && next.phase == UpgradePhase::Done {
            return false;
        }
        let after = read(&next);
        if after.phase == UpgradePhase::Migrate && !after.backup && self.steps > 1 && after.step == 1 {
            state.broken = Some(BACKUP);
        }
        let (before, active) = (number(&current), after.active);
        if active > before + 1 {
            state.broken = Some(STEPS);
        }
        let running = match after.phase {
            UpgradePhase::Verify | UpgradePhase::Soak | UpgradePhase::Done | UpgradePhase::RolledBack => active,
            _ => cached.running,
        };
        // The status is the operator's own: what it writes is not undone by what it has not seen of the spec.
        state.places[target].record = Some(after);
        state.places[target].running = running;
        state.cache[target].record = Some(after);
        state.cache[target].running = running;
        true
    }

    /// What a failure can be at this moment: something must be under way that can fail.
    fn can_fail(place: &Place) -> bool {
        place.record.is_some_and(|record| {
            matches!(
                record.phase,
                UpgradePhase::Backup
                    | UpgradePhase::Migrate
                    | UpgradePhase::Rollout
                    | UpgradePhase::Verify
                    | UpgradePhase::Soak
            )
        })
    }

    /// Can nothing happen any more that the operator does by itself?
    fn is_at_rest(&self, state: &State) -> bool {
        // What moves is seen soonest by looking at what is under way.
        state.cache == state.places
            && (0..self.targets).all(|target| !self.look(&mut state.clone(), target, true))
            && (0..state.campaigns.len()).all(|at| {
                let moves = self.decide(state, at);
                moves.start.is_none() && moves.begin.is_empty() && moves.withdraw.is_empty()
            })
    }
}

impl Fleet {
    /// The Instance that stands at a place.
    fn instance(&self, place: &Place) -> Instance {
        let mut instance = INSTANCE.clone();
        instance.spec.rollout = place.asked.map(|asked| rollout(asked, self.goal()));
        instance.spec.release = match (place.pinned, place.asked) {
            (Some(pinned), _) => Some(release(pinned)),
            (None, Some(_)) => Some(release(self.goal())),
            (None, None) => None,
        };

        let status = instance.status.as_mut().unwrap();
        status.release = Some(RunningRelease { name: release(place.running), version: String::new() });
        status.upgrade = place.record.map(|record| self.record(record));
        instance
    }

    fn record(&self, record: Record) -> UpgradeStatus {
        let path = self.way(&release(record.from), &release(record.to)).unwrap_or_default();
        let starts = std::iter::once(release(record.from)).chain(path.clone());

        UpgradeStatus {
            rollout: record.asked.map(|asked| rollout(asked, self.goal())),
            generation: None,
            from: release(record.from),
            to: release(record.to),
            path: Vec::new(),
            steps: starts.zip(&path).map(|(before, release)| self.step(&before, release)).collect(),
            step: record.step.into(),
            terms: None,
            active: release(record.active),
            phase: record.phase,
            since: time(),
            started_at: time(),
            finished_at: None,
            migration: record.broke_off.then(|| "j".to_owned()),
            backup: record.backup.then(|| "b".to_owned()),
            taken_back: false,
            message: String::new(),
            log_tail: String::new(),
            revision: None,
        }
    }
}

impl Releases for Fleet {
    fn way(&self, from: &str, to: &str) -> Result<Vec<String>, NoWay> {
        let (from, to) = (number(from), number(to));
        if from > to {
            return Err(NoWay::Unknown(release(to)));
        }
        let first = if self.is(Fault::SkipsSteps) { to } else { (from + 1).min(to) };
        Ok((first..=to).map(release).collect())
    }

    fn facts(&self, before: &str, end: &str) -> StepFacts {
        let migrates = (before, end) == ("r1", "r2");
        StepFacts { migrates, irreversible: migrates && !self.is(Fault::SkipsBackups) }
    }
}

impl Model for Fleet {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial()]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        if state.broken.is_some() {
            return;
        }
        for campaign in 0..state.campaigns.len() {
            let moves = self.decide(state, campaign);
            let all = usize::from(moves.start.is_some()) + moves.begin.len() + moves.withdraw.len();
            events.extend((1..=all).map(|writes| Event::Decide { campaign, writes }));
        }
        for target in 0..self.targets {
            events.push(Event::Look { target, goes_well: true });
            if state.left[FAILURE] > 0 && Self::can_fail(&state.cache[target]) {
                events.push(Event::Look { target, goes_well: false });
            }
            if state.cache[target] != state.places[target] {
                events.push(Event::Sync { target });
            }
            if state.left[PINNING] > 0 && state.places[target].pinned.is_none() {
                events.push(Event::Pin { target });
            }
        }
        if state.left[CRASH] > 0 {
            events.push(Event::Crash);
        }
        if state.left[CLOSING] > 0 || state.is_closed {
            events.push(Event::Window);
        }
        let state_of_first = state.campaigns[0].state;
        if (state.left[PAUSE] > 0 && state_of_first == CampaignState::Running)
            || state_of_first == CampaignState::Paused
        {
            events.push(Event::Pause);
        }
        if state.left[ABORT] > 0 {
            events.push(Event::Abort);
        }
        if state.left[RETRY] > 0 {
            events.push(Event::Retry);
        }
    }

    fn next_state(&self, before: &State, event: Event) -> Option<State> {
        let mut state = before.clone();
        match event {
            Event::Decide { campaign, writes } => self.write(&mut state, campaign, writes),
            Event::Look { target, goes_well } => {
                if !self.look(&mut state, target, goes_well) {
                    return None;
                }
                state.left[FAILURE] -= u8::from(!goes_well);
            }
            Event::Sync { target } => state.cache[target] = state.places[target],
            Event::Crash => {
                state.cache.clone_from(&state.places);
                state.left[CRASH] -= 1;
            }
            Event::Window => {
                state.left[CLOSING] -= u8::from(!state.is_closed);
                state.is_closed = !state.is_closed;
            }
            Event::Pause => {
                let campaign = &mut state.campaigns[0];
                if campaign.state == CampaignState::Running {
                    campaign.state = CampaignState::Paused;
                    state.left[PAUSE] -= 1;
                } else {
                    campaign.state = CampaignState::Running;
                }
            }
            Event::Abort => {
                state.campaigns[0].state = CampaignState::Aborted;
                state.left[ABORT] -= 1;
            }
            Event::Pin { target } => {
                state.places[target].pinned = Some(state.places[target].running);
                state.left[PINNING] -= 1;
            }
            Event::Retry => {
                state.campaigns[0].retry += 1;
                state.left[RETRY] -= 1;
            }
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::laws()
    }
}

const UIDS: [&str; 2] = ["a", "b"];
const WAVES: [&str; 2] = ["w0", "w1"];

static SPEC: LazyLock<CampaignSpec> = LazyLock::new(|| {
    let wave = |name: &str| json!({"name": name, "targets": {"selector": {}}, "maxConcurrent": 1, "maxFailures": 0});
    let spec = json!({"application": "app", "state": "Running", "upgrade": {"release": "r1"}, "waves": [wave("w0"), wave("w1")]});
    serde_json::from_value(spec).unwrap()
});

/// Both campaigns go on.
static CLAIMS: LazyLock<Claims> = LazyLock::new(|| {
    let campaign = |uid: &&str| {
        let mut campaign = gotocloud_api::Campaign::new(uid, SPEC.clone());
        campaign.metadata.uid = Some((*uid).to_owned());
        Arc::new(campaign)
    };
    Claims::of(&UIDS.iter().map(campaign).collect::<Vec<_>>())
});

static INSTANCE: LazyLock<Instance> = LazyLock::new(|| {
    serde_json::from_value(json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance",
        "metadata": {"name": "t", "namespace": "hub"}, "spec": {"application": "app", "establishment": "e"}, "status": {}}))
    .unwrap()
});

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// Long enough ago for every deadline and every watch to be over.
fn earlier() -> Timestamp {
    Timestamp::from_second(NOW - 1_000_000).unwrap()
}

fn time() -> Time {
    Time(earlier())
}

fn release(number: u8) -> String {
    format!("r{number}")
}

fn number(name: &str) -> u8 {
    name.trim_start_matches('r').parse().unwrap()
}

fn rollout((campaign, attempt): (u8, u8), goal: u8) -> Rollout {
    let at = usize::from(campaign);
    let (campaign, uid, wave) = (UIDS[at].into(), UIDS[at].into(), "w".into());
    Rollout { campaign, uid, wave, attempt: attempt.into(), wants: release(goal) }
}

fn read(record: &UpgradeStatus) -> Record {
    Record {
        asked: record.rollout.as_ref().map(|rollout| {
            let campaign = UIDS.iter().position(|uid| **uid == rollout.uid).unwrap();
            (u8::try_from(campaign).unwrap(), u8::try_from(rollout.attempt).unwrap())
        }),
        from: number(&record.from),
        to: number(&record.to),
        step: u8::try_from(record.step).unwrap(),
        active: number(&record.active),
        phase: record.phase,
        backup: record.backup.is_some(),
        broke_off: record.migration.is_some(),
    }
}

fn status(campaign: Campaign) -> CampaignStatus {
    let wave = |(name, begun): (&&str, bool)| WaveStatus {
        name: (*name).to_owned(),
        started_at: begun.then(time),
        ..WaveStatus::default()
    };
    CampaignStatus { waves: WAVES.iter().zip(campaign.begun).map(wave).collect(), ..CampaignStatus::default() }
}
