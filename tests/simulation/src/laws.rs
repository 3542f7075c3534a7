//! What must hold, whatever happens.

use crate::{
    api::{Change, Ref, Stored},
    catalogue::{self, LADDER, Moves},
    controllers::{PodState, is_at_it},
    operator::typed,
    world::World,
};
use gotocloud_api::{
    Instance, InstanceStatus,
    instance::DeletionPolicy,
    names,
    upgrade::{UpgradePhase, UpgradeStatus},
};
use gotocloud_planner::ObjectKey;
use jiff::Timestamp;

/// No pods run on data that does not suit them: data half-way suits none.
pub const SUITS: &str = "no pod runs on data that does not suit it";
/// The pods that write are gone before data is saved or moved for good.
pub const QUIET: &str = "nobody writes any more when a backup or a migration for good begins";
/// A migration begins once in each attempt.
pub const ONCE: &str = "no migration of one attempt begins twice";
/// A migration does not begin on what another left half-way.
pub const HALF: &str = "nothing is begun on data that is half-way before a person says so";
/// What a phase owns stays as long as the phase.
pub const OWNED: &str = "nothing is removed that a phase owns";
/// What is somebody else's stays as it is.
pub const FOREIGN: &str = "nothing is changed that is not ours";
/// Data stays until a person asks for its removal.
pub const KEPT: &str = "no data goes, or is begun anew, unless a person asked for it";
/// What was generated is made once.
pub const SECRET: &str = "what was generated stays";
/// A record goes forward.
pub const FORWARD: &str = "no record of a way goes back, or is left before it ended";
/// A status is decided on what was seen.
pub const NAMED: &str = "a status is written over what it was decided on, and over nothing else";
/// A record is there before what it asks for.
pub const RECORDED: &str = "nothing of a way is made before its record says so";
/// A phase ends by its deadline.
pub const EXIT: &str = "at rest, no way is under way that nobody is asked to help";
/// What is wrong is said.
pub const SAID: &str = "at rest, what is not as asked says why";
/// What is said is true.
pub const TRUE: &str = "at rest, what is said to be ready is";
/// Nothing is left behind.
pub const LEFT: &str = "at rest, nothing is left that no release asks for";
/// Nothing is written.
pub const SILENT: &str = "at rest, nothing is written";
/// A deletion ends.
pub const GONE: &str = "at rest, what was deleted is gone";

/// A law that was broken.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which law.
    pub law: &'static str,
    /// What happened.
    pub what: String,
    /// The event after which it was seen.
    pub event: u64,
}

/// What is kept to judge by.
#[derive(Debug, Default)]
pub struct Laws {
    /// When the operator last wrote.
    pub written: Option<Timestamp>,
    /// What it wrote then.
    pub wrote: String,
}

/// Is it a Job or a Backup of an upgrade? Those of rehearsals have other names.
pub fn is_of_upgrade(at: &Ref) -> bool {
    at.name.starts_with("upgrade-")
}

/// How far on its way a record is.
fn rank(phase: UpgradePhase) -> u8 {
    match phase {
        UpgradePhase::Preflight => 0,
        UpgradePhase::Backup => 1,
        UpgradePhase::Migrate => 2,
        UpgradePhase::Rollout => 3,
        UpgradePhase::Verify => 4,
        UpgradePhase::Soak => 5,
        UpgradePhase::RollingBack => 6,
        _ => 7,
    }
}

impl World {
    /// Judges a change of an object.
    pub(crate) fn judge(&mut self, change: &Change) {
        if change.by != names::FIELD_MANAGER && change.by != names::REPLICAS_FIELD_MANAGER {
            return;
        }
        self.laws.written = Some(self.now());
        self.laws.wrote = change.at.to_string();
        match (&change.before, &change.after) {
            (Some(before), None) => self.judge_removal(&change.at, before),
            (Some(before), Some(after)) => self.judge_write(change, before, after),
            (None, Some(_)) => self.judge_making(&change.at),
            (None, None) => {}
        }
    }

    /// The Instance whose objects are in a namespace.
    fn instance_of(&self, namespace: &str) -> Option<Instance> {
        let name = namespace.strip_prefix(names::WORKLOAD_NAMESPACE_PREFIX)?;
        let stored = self.server.get(&Ref::new("Instance", catalogue::HUB, name))?;
        typed(&stored.object)
    }

    fn judge_removal(&mut self, at: &Ref, before: &Stored) {
        let instance = self.instance_of(&at.namespace);
        let lives = instance.as_ref().is_some_and(|one| one.metadata.deletion_timestamp.is_none());
        if lives && is_at_it(at, before) {
            self.breaks(OWNED, format!("{at}, which moves the data, is removed by the operator"));
        }
        if at.kind == "Cluster" && &*at.name == "database" {
            let is_asked = instance.as_ref().is_none_or(|one| one.spec.deletion_policy == DeletionPolicy::Delete);
            if !is_asked {
                self.breaks(KEPT, format!("{at} is removed by the operator"));
            }
        }
        let is_ours = before.label(names::LABEL_MANAGED_BY) == Some(names::FIELD_MANAGER);
        if at.kind != "Instance" && !is_ours {
            self.breaks(FOREIGN, format!("{at}, which is somebody else's, is removed by the operator"));
        }
    }

    fn judge_making(&mut self, at: &Ref) {
        if matches!(at.kind, "Job" | "Backup") && is_of_upgrade(at) {
            let record = self.instance_of(&at.namespace).and_then(|one| one.status?.upgrade);
            let phase = record.map(|record| record.phase);
            let is_asked = matches!(
                (at.kind, phase),
                ("Job", Some(UpgradePhase::Migrate)) | ("Backup", Some(UpgradePhase::Backup))
            );
            if !is_asked {
                self.breaks(RECORDED, format!("{at} is made while its record says {phase:?}"));
            }
        }
        if at.kind == "Cluster" && &*at.name == "database" {
            let holds = self.data.get(&*at.namespace).is_some_and(|data| data.moved.is_some());
            if holds {
                self.breaks(KEPT, format!("{at} is made anew, empty, though the instance had data"));
            }
        }
    }

    fn judge_write(&mut self, change: &Change, before: &Stored, after: &Stored) {
        let at = &change.at;
        if at.kind == "Instance" {
            let status = |stored: &Stored| typed::<InstanceStatus>(&stored.object["status"]);
            if before.object["status"] != after.object["status"] && !change.is_named {
                self.breaks(NAMED, format!("the status of {at} is written without a precondition"));
            }
            if before.object["status"]["upgrade"] != after.object["status"]["upgrade"] {
                let (old, new) = (status(before), status(after));
                let (old, new) = (old.and_then(|one| one.upgrade), new.and_then(|one| one.upgrade));
                self.judge_record(at, old.as_ref(), new.as_ref());
            }
            return;
        }
        let is_ours = before.label(names::LABEL_MANAGED_BY) == Some(names::FIELD_MANAGER)
            || before.owners.iter().any(|owner| owner.manager == names::FIELD_MANAGER && owner.applies);
        if !is_ours {
            self.breaks(FOREIGN, format!("{at}, which is somebody else's, is changed by the operator"));
        }
        if at.kind == "Secret" {
            let (old, new) = (&before.object["data"], &after.object["data"]);
            let lost = ["password", "session-key"].into_iter().find(|key| old[key].is_string() && old[key] != new[key]);
            if let Some(key) = lost {
                self.breaks(SECRET, format!("{key} of {at} is another"));
            }
        }
    }

    fn judge_record(&mut self, at: &Ref, old: Option<&UpgradeStatus>, new: Option<&UpgradeStatus>) {
        let Some(old) = old else { return };
        let way = format!("{} to {} ({}, step {})", old.from, old.to, old.phase, old.step);
        self.say(|| {
            let phase = new.map(|new| format!("{} to {}, {}: {}", new.from, new.to, new.phase, new.message));
            format!("record of {at}: {way} becomes {}", phase.unwrap_or_default())
        });
        if old.phase.is_terminal() {
            return;
        }
        let goes_on = new.filter(|new| new.started_at == old.started_at && new.to == old.to && new.from == old.from);
        match goes_on {
            None => self.breaks(FORWARD, format!("{at} leaves its way from {way}")),
            Some(new) if (new.step, rank(new.phase)) < (old.step, rank(old.phase)) => {
                self.breaks(FORWARD, format!("{at} goes back from {way} to {} of step {}", new.phase, new.step));
            }
            Some(_) => {}
        }
    }

    /// Do the pods in a namespace suit the data they run on?
    pub(crate) fn judge_pods(&mut self, namespace: &str) {
        let Some(data) = self.data.get(namespace) else { return };
        let Some(moved) = data.moved else { return };
        let is_wrong = |runs: usize| data.half.is_some() || !catalogue::suits(runs, moved);
        let wrong = self.nodes.within(namespace).find(|pod| !pod.is_by_hand && is_wrong(pod.runs));
        if let Some(pod) = wrong {
            let version = LADDER[pod.runs].version;
            let on = match data.half {
                Some(half) => format!("is half-way to {}", LADDER[half].version),
                None => format!("was moved {moved} times"),
            };
            let what = format!("a pod of {} of {version} ({:?}) runs on data that {on}", pod.of, pod.state);
            self.breaks(SUITS, what);
        }
    }

    /// Are pods there that the operator should have stopped?
    fn is_written_to(&self, namespace: &str) -> bool {
        self.nodes.within(namespace).any(|pod| !pod.is_by_hand)
    }

    /// May the migration begin?
    pub(crate) fn judge_job(&mut self, at: &Ref, place: usize) {
        if self.nodes.begun.contains(at) {
            self.breaks(ONCE, format!("{at} begins a second time"));
        }
        if self.data.get(&*at.namespace).is_some_and(|data| data.half.is_some()) {
            self.breaks(HALF, format!("{at} begins on data that is half-way"));
        }
        let is_for_good = LADDER[place].moves == Moves::ForGood;
        if is_for_good && self.is_written_to(&at.namespace) {
            self.breaks(QUIET, format!("{at} begins while pods are there"));
        }
    }

    /// May the backup begin?
    pub(crate) fn judge_backup(&mut self, at: &Ref) {
        if !is_of_upgrade(at) {
            return;
        }
        if self.data.get(&*at.namespace).is_some_and(|data| data.half.is_some()) {
            self.breaks(HALF, format!("{at} is taken of data that is half-way"));
        }
        if self.is_written_to(&at.namespace) {
            self.breaks(QUIET, format!("{at} begins while pods are there"));
        }
    }

    /// May the data in a namespace go?
    pub(crate) fn judge_loss(&mut self, namespace: &str) {
        let holds = self.data.get(namespace).is_some_and(|data| data.moved.is_some());
        let instance = self.instance_of(namespace);
        let is_asked = instance.is_some_and(|one| {
            one.spec.deletion_policy == DeletionPolicy::Delete && one.metadata.deletion_timestamp.is_some()
        });
        if holds && !is_asked {
            self.breaks(KEPT, format!("the data of {namespace} goes, and nobody asked for it"));
        }
    }

    /// Judges the world when nobody has done anything for a while. `since` is when the last thing should have been done.
    pub(crate) fn judge_rest(&mut self, since: Timestamp) {
        if let Some(written) = self.laws.written.filter(|written| *written > since) {
            let what = format!("{} was written at {written}, though nothing happened since {since}", self.laws.wrote);
            self.breaks(SILENT, what);
        }
        let all: Vec<Instance> = self.server.list("Instance").filter_map(|(_, one)| typed(&one.object)).collect();
        for instance in &all {
            self.judge_rest_of(instance);
        }
    }

    fn judge_rest_of(&mut self, instance: &Instance) {
        let name = instance.metadata.name.clone().unwrap_or_default();
        let namespace = names::workload_namespace(&name);
        if instance.metadata.deletion_timestamp.is_some() {
            return self.breaks(GONE, format!("{name} is still being deleted"));
        }
        let status = instance.status.clone().unwrap_or_default();
        let condition = |kind: &str| status.conditions.iter().find(|one| one.type_ == kind);
        let is = |kind: &str| condition(kind).is_some_and(|one| one.status == "True");
        let says = condition("Ready").map(|one| one.message.clone()).unwrap_or_default();

        if let Some(record) = status.upgrade.as_ref().filter(|record| !record.phase.is_terminal()) {
            // A backup that a person has to attest, and what is held, is said in the record.
            let waits = matches!(record.phase, UpgradePhase::Backup | UpgradePhase::Preflight);
            if !waits || record.message.is_empty() {
                let what = format!("{name} is in {} since {}: {}", record.phase, record.since.0, record.message);
                return self.breaks(EXIT, what);
            }
        }
        if !is("Ready") && (says.is_empty() || !(is("Stalled") || is("Reconciling"))) {
            return self.breaks(SAID, format!("{name} is not ready, and says {says:?}"));
        }
        let asked = instance.spec.release.as_deref();
        let runs = status.release.as_ref().map(|release| release.name.as_str());
        let answered = status.upgrade.as_ref().is_some_and(|record| Some(record.to.as_str()) == asked);
        if is("Ready") && asked != runs && !answered {
            return self.breaks(SAID, format!("{name} runs {runs:?}, is asked for {asked:?}, and says nothing of it"));
        }

        let place = runs.and_then(catalogue::place);
        if is("Ready") {
            let entries = status.inventory.as_ref().map_or(&[][..], |inventory| &inventory.entries[..]);
            let missing = entries.iter().filter_map(ObjectKey::from_entry).find(|key| {
                let stored = self.server.get(&Ref::new(key.kind.name(), &key.namespace, &key.name));
                stored.is_none_or(|one| one.label(names::LABEL_MANAGED_BY) != Some(names::FIELD_MANAGER))
            });
            if let Some(key) = missing {
                let what = format!("{name} is said to be ready, and {key} is not there, or somebody else's");
                return self.breaks(TRUE, what);
            }
            let ready = self.nodes.within(&namespace).filter(|pod| pod.state == PodState::Ready).count();
            if ready == 0 {
                return self.breaks(TRUE, format!("{name} is said to be ready, and has no pod that is"));
            }
            let other = self.nodes.within(&namespace).find(|pod| Some(pod.runs) != place).map(|pod| pod.of.clone());
            if let Some(of) = other {
                return self
                    .breaks(LEFT, format!("a pod of {of} is of another release than {runs:?}, which {name} runs"));
            }
        }
        let unfinished = self.server.within(&namespace).find(|(at, stored)| {
            matches!(at.kind, "Deployment" | "Job")
                && stored.label(names::LABEL_MANAGED_BY) == Some(names::FIELD_MANAGER)
                && is("Ready")
                && is_of_no_release(at, place)
        });
        if let Some((at, _)) = unfinished {
            let what = format!("{at} is left, which {runs:?} does not ask for");
            self.breaks(LEFT, what);
        }
    }
}

fn is_of_no_release(at: &Ref, place: Option<usize>) -> bool {
    let Some(place) = place else { return false };
    at.kind == "Job" || !["web", LADDER[place].second].contains(&&*at.name)
}
