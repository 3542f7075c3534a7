//! A process of the operator: what it sees, what it has still to look at, what it is writing, and its engine.

use crate::{
    fleet::{Fault, Fleet},
    hub::{Hub, Other, Sight},
    laws,
    print::print_of,
};
use gotocloud_api::CampaignStatus;
use gotocloud_planner::campaign::{
    Engine,
    engine::{Effect, Event, Outcome, Seen, what_decides},
};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub engine: Memory,
    pub seen: Hub,
    /// What the watches showed and it has not looked at yet.
    pub notes: BTreeSet<Note>,
    /// Has time passed since it looked?
    pub is_due: bool,
    /// What it is writing: the first comes next.
    pub works: Vec<Work>,
    /// What became of what it wrote.
    pub answers: Vec<Answer>,
}

/// What a watch showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Note {
    Everything,
    Instance(usize),
    Campaign(usize),
    Other(usize),
}

/// An engine: two with the same memory are one.
#[derive(Clone)]
pub struct Memory {
    pub engine: Arc<Engine>,
    print: u64,
}

impl Memory {
    fn of(engine: Engine) -> Self {
        Self { print: engine.memory(), engine: Arc::new(engine) }
    }
}

impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl Eq for Memory {}

impl Hash for Memory {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.print)
    }
}

/// A write that was decided and is not done yet.
#[derive(Clone, Debug)]
pub struct Work {
    pub what: What,
    print: u64,
}

#[derive(Clone, Debug)]
pub enum What {
    Tell { campaign: usize, uid: Option<String>, version: Option<String>, status: Arc<CampaignStatus> },
    Write { id: u64, campaign: usize, instance: usize, body: Arc<Value> },
}

impl PartialEq for Work {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl Eq for Work {}

impl Hash for Work {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

#[derive(Clone, Debug)]
pub enum Answer {
    Told { campaign: usize, version: Option<String> },
    Written { id: u64, instance: usize, outcome: Outcome },
}

impl Answer {
    fn print(&self) -> (usize, String) {
        match self {
            Self::Told { campaign, version } => (*campaign, format!("{version:?}")),
            Self::Written { instance, outcome, .. } => (*instance, format!("{outcome:?}")),
        }
    }
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        self.print() == other.print()
    }
}

impl Eq for Answer {}

impl Hash for Answer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print().hash(state);
    }
}

/// What came of one look: the engine after it, and what it wants written.
#[derive(Debug)]
pub struct Turn {
    engine: Memory,
    works: Vec<Work>,
}

impl Process {
    /// One that starts: it lists everything.
    pub fn starts(hub: &Hub) -> Self {
        Self {
            engine: Memory::of(Engine::default()),
            seen: hub.clone(),
            notes: BTreeSet::from([Note::Everything]),
            is_due: false,
            works: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Is it between two looks?
    pub fn is_idle(&self) -> bool {
        self.works.is_empty() && self.answers.is_empty()
    }

    /// Does it look by itself?
    pub fn wants_to_look(&self) -> bool {
        self.is_idle() && (self.is_due || !self.notes.is_empty())
    }

    /// A watch shows what is stored.
    pub fn is_shown(&mut self, hub: &Hub, note: Note) {
        match note {
            Note::Everything => self.seen = hub.clone(),
            Note::Instance(at) => self.seen.instances[at].clone_from(&hub.instances[at]),
            Note::Campaign(at) => self.seen.campaigns[at].clone_from(&hub.campaigns[at]),
            Note::Other(at) => self.seen.others = (self.seen.others & !(1 << at)) | (hub.others & (1 << at)),
        }
        self.notes.insert(note);
    }

    /// What is stored and not shown yet.
    pub fn unseen(&self, hub: &Hub) -> Vec<Note> {
        let instances = (0..hub.instances.len()).filter(|at| hub.instances[*at] != self.seen.instances[*at]);
        let campaigns = (0..hub.campaigns.len()).filter(|at| hub.campaigns[*at] != self.seen.campaigns[*at]);
        let others = (0..16).filter(|at| hub.has(*at) != self.seen.has(*at));
        let all = instances.map(Note::Instance).chain(campaigns.map(Note::Campaign));
        all.chain(others.map(Note::Other)).collect()
    }

    /// It gives its engine what happened, and begins to do what that wants. Gives the law that this breaks.
    pub fn looks(&mut self, fleet: &Fleet, now: Timestamp) -> Option<&'static str> {
        let is_answered = !self.answers.is_empty();
        let notes = if is_answered { BTreeSet::new() } else { std::mem::take(&mut self.notes) };
        let is_due = !is_answered && std::mem::take(&mut self.is_due);
        let answers = std::mem::take(&mut self.answers);

        let key = print_of(&(&self.engine, &self.seen, &notes, &answers, is_due, now));
        let turn = fleet.turn(key, || {
            let mut events: Vec<Event> = notes.iter().filter_map(|note| fleet.event(*note)).collect();
            events.extend(answers.iter().map(|answer| answer.event(fleet)));
            events.extend(is_due.then_some(Event::Beat));
            Self::turn(fleet, &self.engine, &self.seen, events, now)
        });
        self.engine = turn.engine.clone();
        self.works.clone_from(&turn.works);
        laws::of_a_look(fleet, self, now)
    }

    fn turn(fleet: &Fleet, before: &Memory, seen: &Hub, events: Vec<Event>, now: Timestamp) -> Turn {
        let objects = Sight { fleet, hub: seen, is_process: true };
        let mut engine = Engine::clone(&before.engine);
        let effects = engine.handle(events, &objects, fleet.clock(now));

        // Statuses are told before targets are written.
        let mut works: Vec<Work> = effects.into_iter().map(|effect| Work::of(fleet, seen, effect)).collect();
        works.sort_by_key(|work| matches!(work.what, What::Write { .. }));
        Turn { engine: Memory::of(engine), works }
    }
}

impl Work {
    fn of(fleet: &Fleet, seen: &Hub, effect: Effect) -> Self {
        match effect {
            Effect::Tell { campaign, version, status, .. } => {
                let campaign = fleet.campaign_at(&campaign);
                let uid = seen.campaigns[campaign].as_ref().and_then(|one| one.metadata.uid.clone());
                let print = print_of(&(campaign, &uid, &version, format!("{:?}", what_decides(&status))));
                Self { what: What::Tell { campaign, uid, version, status: status.into() }, print }
            }
            Effect::Write(write) => {
                let print = print_of(&(&write.campaign, &write.name, write.body.to_string()));
                let campaign = fleet.campaign_at(&write.campaign);
                let instance = fleet.instance_at(&write.name).unwrap();
                Self { what: What::Write { id: write.id, campaign, instance, body: write.body.into() }, print }
            }
        }
    }
}

impl Answer {
    fn event(&self, fleet: &Fleet) -> Event {
        match self {
            Self::Told { campaign, version } => {
                let taken_for = fleet.is(Fault::TakesFailedStatusesForWritten).then(String::new);
                let version = version.clone().or(taken_for);
                Event::Told { campaign: fleet.campaigns[*campaign].metadata.name.clone().unwrap(), version }
            }
            Self::Written { id, outcome, .. } => {
                let outcome = match outcome {
                    Outcome::Accepted if fleet.is(Fault::TakesWrittenForRefused) => {
                        Outcome::Refused { code: 403, message: "it was written all the same".into() }
                    }
                    outcome => outcome.clone(),
                };
                Event::Answered { id: *id, outcome }
            }
        }
    }
}

impl Fleet {
    /// What a note is to an engine.
    fn event(&self, note: Note) -> Option<Event> {
        let seen = match note {
            Note::Everything => Seen::Everything,
            Note::Instance(_) if self.is(Fault::ForgetsInstances) => return None,
            Note::Instance(at) => Seen::Instance(crate::hub::HUB.into(), self.names[at].into()),
            Note::Campaign(at) => Seen::Campaign(self.campaigns[at].metadata.name.clone()?),
            Note::Other(at) => match &self.others[at] {
                Other::Release(one) => Seen::Release(one.metadata.name.clone()?),
                Other::Establishment(_) => Seen::Establishment,
                Other::Freeze(..) | Other::Deferral(_) => Seen::Calendar,
                Other::Approval(one) => Seen::Campaign(one.spec.campaign.clone()),
            },
        };
        Some(Event::Seen(seen))
    }
}
