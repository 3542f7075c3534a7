//! The fleet that is explored: its state, and what can happen.

use crate::{
    hub::{Hub, Other, PERSON, apply},
    instances, laws,
    people::Edit,
    print::print_of,
    process::{Answer, Note, Process, Turn, What, Work},
    rest,
    stored::Stored,
};
use gotocloud_api::{Application, Campaign, Instance, campaign::CampaignState, upgrade::UpgradePhase};
use gotocloud_planner::campaign::engine::Outcome;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use stateright::{Model, Property};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// A mistake that somebody could make: the checker has to find it by the law that is there for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The API server takes writes over what was not seen.
    WritesBlindly,
    /// It lets campaigns write over what a person set.
    ForcesPins,
    /// It forgets when a wave began.
    ForgetsStarts,
    /// What was written is taken for refused, and its effect is not seen at once.
    TakesWrittenForRefused,
    /// A status that was not written is taken for written.
    TakesFailedStatusesForWritten,
    /// Nobody knows which platform an instance is on, nor on which server its data is.
    HidesPlaces,
    /// A campaign is shown as one in which many may fail.
    ShowsThatManyMayFail,
    /// What is being replaced is shown as done.
    ShowsDoneEarly,
    /// What is done is shown as not verified.
    NeverShowsDone,
    /// Deferrals are not shown.
    HidesDeferrals,
    /// A campaign that is held is shown as one that runs.
    ShowsAllRunning,
    /// The first target is shown as left out.
    ShowsFirstAsSkipped,
    /// A campaign that was deleted is still shown, and can be told of.
    ShowsDeletedCampaigns,
    /// The clock is half a day late.
    IsLate,
    /// What changed of instances is not looked at.
    ForgetsInstances,
    /// Nobody is shown that a person wants something back.
    HidesRollBack,
}

/// What is explored.
pub struct Fleet {
    pub name: &'static str,
    /// The names of the instances that there are, or can be.
    pub names: Vec<&'static str>,
    pub instances: Vec<Option<Instance>>,
    pub campaigns: Vec<Campaign>,
    pub others: Vec<Other>,
    /// Which of them are there at the start, a bit each.
    pub others_there: u16,
    pub application: Arc<Application>,
    /// What people may do, each once.
    pub edits: Vec<Edit>,
    /// How often each may happen: see [`Left`].
    pub left: Left,
    /// How far time goes at once.
    pub tick: SignedDuration,
    /// Do watches lag? If not, all is shown at once.
    pub lags: bool,
    pub fault: Option<Fault>,
    pub known: Known,
}

/// What was worked out already.
#[derive(Default)]
pub struct Known {
    turns: Mutex<HashMap<u64, Arc<Turn>>>,
    acts: Mutex<HashMap<u64, Option<Stored<Instance>>>>,
    pub rests: Mutex<HashMap<u64, Option<&'static str>>>,
}

/// How often each may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Left {
    /// Something fails for good at an instance.
    pub failures: u8,
    /// The process dies, and another one starts.
    pub crashes: u8,
    /// It is frozen while it writes, another one starts, and it wakes.
    pub freezes: u8,
    /// The API server refuses a write.
    pub refusals: u8,
    /// An answer is lost, with the write or without.
    pub losses: u8,
    /// Time passes.
    pub ticks: u8,
}

/// A state of the world, and of the operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub hub: Hub,
    pub process: Process,
    /// What a frozen process was writing.
    pub frozen: Vec<Work>,
    pub now: Timestamp,
    /// Which edits people may still make, a bit each.
    pub edits: u32,
    pub left: Left,
    /// Does the engine remember a write that was refused?
    pub was_refused: bool,
    /// The law that the last event broke.
    pub broken: Option<&'static str>,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A watch shows something.
    Show(Note),
    /// The operator looks at what happened.
    Look,
    /// It does what it decided next.
    Do(How),
    /// An instance takes its next step, well or not.
    Act { instance: usize, goes_well: bool },
    /// Time passes.
    Tick,
    /// The process dies, and another one starts.
    Crash,
    /// It is frozen while it writes, and another one starts.
    Freeze,
    /// The frozen one wakes for as long as it takes to send what it was sending.
    Wake,
    /// A person does that.
    Edit(usize),
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// What the API server says of it.
    Answered,
    Refused,
    /// It is done, and the answer is lost.
    LostAfter,
    /// It never arrives.
    LostBefore,
}

/// When all begins.
pub fn start() -> Timestamp {
    "2026-01-05T00:00:00Z".parse().unwrap()
}

impl Fleet {
    pub fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub fn instance_at(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|one| *one == name)
    }

    pub fn campaign_at(&self, name: &str) -> usize {
        self.campaigns.iter().position(|one| one.metadata.name.as_deref() == Some(name)).unwrap()
    }

    pub fn hides_deferrals(&self) -> bool {
        self.is(Fault::HidesDeferrals)
    }

    /// What the engine takes for the present time.
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        if self.is(Fault::IsLate) { now - SignedDuration::from_hours(12) } else { now }
    }

    /// What came of a look, which is worked out once.
    pub fn turn(&self, key: u64, work_out: impl FnOnce() -> Turn) -> Arc<Turn> {
        if let Some(turn) = self.known.turns.lock().unwrap().get(&key) {
            return Arc::clone(turn);
        }
        let turn = Arc::new(work_out());
        self.known.turns.lock().unwrap().insert(key, Arc::clone(&turn));
        turn
    }

    /// What becomes of an instance, which is worked out once.
    pub fn acts(&self, hub: &Hub, at: usize, goes_well: bool, now: Timestamp) -> Option<Stored<Instance>> {
        let key = print_of(&(&hub.instances[at], at, &hub.campaigns, hub.others, goes_well, now));
        if let Some(known) = self.known.acts.lock().unwrap().get(&key) {
            return known.clone();
        }
        let after = instances::acts(self, hub, at, goes_well, now);
        self.known.acts.lock().unwrap().insert(key, after.clone());
        after
    }

    /// How many looks, and how many pieces of a continuation, were worked out.
    pub fn sizes(&self) -> (usize, usize) {
        (self.known.turns.lock().unwrap().len(), self.known.rests.lock().unwrap().len())
    }

    /// An instance as a process sees it.
    pub fn shown(&self, stored: &Stored<Instance>) -> Arc<Instance> {
        let Some(fault) = self.fault else { return Arc::clone(&stored.object) };
        let mut instance = Instance::clone(&stored.object);
        let phase = |instance: &Instance| Some(instance.status.as_ref()?.upgrade.as_ref()?.phase);
        match (fault, phase(&instance)) {
            (Fault::HidesPlaces, _) => {
                instance.spec.platform = None;
                instance.status.iter_mut().for_each(|status| status.database = None);
            }
            (Fault::ShowsDoneEarly, Some(UpgradePhase::Rollout)) => {
                let record = instance.status.as_mut().and_then(|status| status.upgrade.as_mut());
                if let Some(record) = record {
                    record.phase = UpgradePhase::Done;
                }
            }
            (Fault::NeverShowsDone, Some(UpgradePhase::Done)) => {
                let record = instance.status.as_mut().and_then(|status| status.upgrade.as_mut());
                if let Some(record) = record {
                    record.phase = UpgradePhase::Verify;
                }
            }
            _ => {}
        }
        Arc::new(instance)
    }

    /// A campaign as a process sees it; `None` if it is gone.
    pub fn campaign_shown(&self, at: usize, stored: Option<&Stored<Campaign>>) -> Option<Arc<Campaign>> {
        let Some(stored) = stored else {
            let deleted = Stored::campaign(self.campaigns[at].clone());
            return self.is(Fault::ShowsDeletedCampaigns).then_some(deleted.object);
        };
        let mut campaign = Campaign::clone(&stored.object);
        match self.fault {
            Some(Fault::ShowsAllRunning) => campaign.spec.state = CampaignState::Running,
            Some(Fault::ShowsThatManyMayFail) => {
                campaign.spec.waves.iter_mut().for_each(|wave| wave.max_failures = IntOrString::Int(9));
            }
            Some(Fault::HidesRollBack) => campaign.spec.roll_back.clear(),
            Some(Fault::ShowsFirstAsSkipped) => campaign.spec.skip = vec![self.names[0].to_owned()],
            _ => return Some(Arc::clone(&stored.object)),
        }
        Some(Arc::new(campaign))
    }

    fn initial(&self) -> State {
        let hub = Hub {
            instances: self.instances.iter().map(|one| one.clone().map(Stored::new)).collect(),
            campaigns: self.campaigns.iter().map(|one| Some(Stored::campaign(one.clone()))).collect(),
            others: self.others_there,
        };
        State {
            process: Process::starts(&hub),
            frozen: Vec::new(),
            now: start(),
            edits: (1 << self.edits.len()) - 1,
            left: self.left,
            was_refused: false,
            broken: None,
            hub,
        }
    }
}

impl State {
    /// The operator looks.
    pub fn looks(&mut self, fleet: &Fleet) {
        let broken = self.process.looks(fleet, self.now);
        self.broken = broken.or_else(|| laws::of_waves_that_begin(fleet, self));
    }

    /// It does what it decided next.
    pub fn does(&mut self, fleet: &Fleet, how: How) {
        let work = self.process.works.remove(0);
        let is_sent = !matches!(how, How::LostBefore | How::Refused);
        let outcome = if is_sent { self.is_written(fleet, &work.what) } else { Outcome::Lost };

        let outcome = match how {
            How::Answered => outcome,
            How::Refused => Outcome::Refused { code: 403, message: "no".into() },
            How::LostAfter | How::LostBefore => Outcome::Lost,
        };
        let answer = match work.what {
            What::Tell { campaign, .. } => {
                let stored =
                    self.hub.campaigns[campaign].as_ref().and_then(|one| one.metadata.resource_version.clone());
                let version = stored.unwrap_or_default();
                Answer::Told { campaign, version: (outcome == Outcome::Accepted).then_some(version) }
            }
            What::Write { id, instance, .. } => {
                if outcome == Outcome::Accepted && !fleet.is(Fault::TakesWrittenForRefused) {
                    // What it wrote it knows, before a watch shows it.
                    self.process.seen.instances[instance].clone_from(&self.hub.instances[instance]);
                }
                Answer::Written { id, instance, outcome }
            }
        };
        self.process.answers.push(answer);
        if self.process.works.is_empty() && self.broken.is_none() {
            self.looks(fleet);
        }
    }

    /// What the API server makes of a write.
    fn is_written(&mut self, fleet: &Fleet, what: &What) -> Outcome {
        match what {
            What::Tell { campaign, uid, version, status } => {
                let stored = self.hub.campaigns[*campaign].as_ref().filter(|one| one.metadata.uid == *uid);
                let Some(stored) = stored else {
                    let is_ghost = fleet.is(Fault::ShowsDeletedCampaigns);
                    return if is_ghost { Outcome::Accepted } else { Outcome::Lost };
                };
                if stored.metadata.resource_version != *version && !fleet.is(Fault::WritesBlindly) {
                    return Outcome::Conflict;
                }
                let mut status = (**status).clone();
                let has_begun =
                    stored.status.iter().flat_map(|status| &status.waves).any(|wave| wave.started_at.is_some());
                if fleet.is(Fault::ForgetsStarts) && has_begun {
                    status.waves.iter_mut().for_each(|wave| wave.started_at = None);
                }
                let after = stored.told(status);
                self.broken = self.broken.or_else(|| laws::of_a_status(stored, &after));
                self.hub.campaigns[*campaign] = Some(after);
                Outcome::Accepted
            }
            What::Write { campaign, instance, body, .. } => {
                let stored = self.hub.instances[*instance].as_ref();
                let is_forced = fleet.is(Fault::ForcesPins);
                let is_blind = is_forced || fleet.is(Fault::WritesBlindly);
                let Ok(after) = apply(stored, body, is_forced, is_blind) else { return Outcome::Conflict };
                self.broken = self.broken.or_else(|| laws::of_a_write(&self.hub, *campaign, *instance, &after));
                self.hub.instances[*instance] = Some(after);
                Outcome::Accepted
            }
        }
    }

    /// Time passes.
    pub fn ticks(&mut self, fleet: &Fleet) {
        self.now += fleet.tick;
        self.process.is_due = true;
    }

    /// The watches show all.
    pub fn shows_all(&mut self) {
        for note in self.process.unseen(&self.hub) {
            self.process.is_shown(&self.hub, note);
        }
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
        let left = &state.left;
        events.extend(state.process.unseen(&state.hub).into_iter().map(Event::Show));
        if let Some(work) = state.process.works.first() {
            events.push(Event::Do(How::Answered));
            if left.refusals > 0 && matches!(work.what, What::Write { .. }) {
                events.push(Event::Do(How::Refused));
            }
            if left.losses > 0 {
                events.extend([How::LostAfter, How::LostBefore].map(Event::Do));
            }
            if left.freezes > 0 {
                events.push(Event::Freeze);
            }
        }
        if state.process.wants_to_look() {
            events.push(Event::Look);
        }
        for instance in 0..self.names.len() {
            if self.acts(&state.hub, instance, true, state.now).is_some() {
                events.push(Event::Act { instance, goes_well: true });
            }
            if left.failures > 0 && state.hub.instances[instance].as_ref().is_some_and(|one| instances::can_fail(one)) {
                events.push(Event::Act { instance, goes_well: false });
            }
        }
        if left.ticks > 0 && state.process.is_idle() {
            events.push(Event::Tick);
        }
        if left.crashes > 0 {
            events.push(Event::Crash);
        }
        if !state.frozen.is_empty() {
            events.push(Event::Wake);
        }
        let edits = (0..self.edits.len()).filter(|edit| state.edits & (1 << edit) != 0);
        events.extend(edits.map(Event::Edit));
    }

    fn next_state(&self, before: &State, event: Event) -> Option<State> {
        let mut state = before.clone();
        match event {
            Event::Show(note) => state.process.is_shown(&state.hub, note),
            Event::Look => state.looks(self),
            Event::Do(how) => {
                match how {
                    How::Answered => {}
                    How::Refused => {
                        state.left.refusals -= 1;
                        state.was_refused = true;
                    }
                    How::LostAfter | How::LostBefore => state.left.losses -= 1,
                }
                state.does(self, how);
            }
            Event::Act { instance, goes_well } => {
                state.hub.instances[instance] = Some(self.acts(&state.hub, instance, goes_well, state.now)?);
                state.left.failures -= u8::from(!goes_well);
            }
            Event::Tick => {
                state.left.ticks -= 1;
                state.ticks(self);
            }
            Event::Crash => {
                state.left.crashes -= 1;
                state.process = Process::starts(&state.hub);
                state.was_refused = false;
            }
            Event::Freeze => {
                state.left.freezes -= 1;
                let works = std::mem::take(&mut state.process.works);
                state.frozen.extend(works);
                state.process = Process::starts(&state.hub);
                state.was_refused = false;
            }
            Event::Wake => {
                let work = state.frozen.remove(0);
                state.is_written(self, &work.what);
            }
            Event::Edit(edit) => {
                state.edits &= !(1 << edit);
                if !self.edits[edit].is_made(&mut state.hub) {
                    return None;
                }
            }
        }
        if !self.lags {
            state.shows_all();
        }
        if state == *before {
            return None;
        }
        state.broken = state.broken.or_else(|| laws::of_what_is_stored(&state.hub));
        state.broken = state.broken.or_else(|| rest::comes_to(self, &state));
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::laws()
    }
}

/// Who has to say something, if anybody: the manager of a field that a person set.
pub fn is_pinned(instance: &Instance) -> bool {
    let entries = instance.metadata.managed_fields.as_deref();
    gotocloud_planner::campaign::ownership::owner(entries, "release") == Some(PERSON)
}
