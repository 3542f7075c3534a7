//! What must hold, whatever happens.

mod calendars;
mod campaigns;
mod gates;
mod law;
mod rest;

pub use law::Law;

use crate::{
    api::{Change, Ref, Stored},
    catalogue::{self, LADDER, Moves},
    controllers::is_at_it,
    operator::typed,
    world::World,
};
use gotocloud_api::{
    Instance, InstanceStatus,
    campaign::Gate,
    instance::DeletionPolicy,
    names,
    upgrade::{Rollout, UpgradePhase, UpgradeStatus},
};
use gotocloud_planner::campaign::FIELD_MANAGER;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A law that was broken.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which law.
    pub law: Law,
    /// What happened.
    pub what: String,
    /// The event after which it was seen.
    pub event: u64,
}

/// What is kept to judge by.
#[derive(Debug, Default)]
pub struct Laws {
    /// The Instances that a campaign ever began, by their uids, and how.
    begun: HashSet<(String, Rollout)>,
    /// When a campaign last began an Instance, and how.
    claimed: BTreeMap<String, (Rollout, Timestamp)>,
    /// The ways that were watched in the end, by Instance and beginning.
    soaked: BTreeSet<(String, Timestamp)>,
    /// Since when what is to go back could have begun, by campaign and Instance.
    to_go_back: BTreeMap<(String, String), Timestamp>,
    /// The gates that an Instance has to pass, as a process knew them that looked at it last.
    gates: BTreeMap<String, Vec<Gate>>,
    /// How often campaigns were looked at on that day, counted from 1970.
    looks: (i64, u32),
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
        if ![names::FIELD_MANAGER, names::REPLICAS_FIELD_MANAGER, FIELD_MANAGER].contains(&change.by.as_str()) {
            return;
        }
        self.judge_writer(change);
        self.laws.written = Some(self.now());
        self.laws.wrote = change.at.to_string();
        if change.by == FIELD_MANAGER {
            if let Some(after) = &change.after {
                self.judge_target(change, change.before.as_deref(), after);
            }
            return;
        }
        match (&change.before, &change.after) {
            (Some(before), None) => self.judge_removal(&change.at, before),
            (Some(before), Some(after)) => self.judge_write(change, before, after),
            (None, Some(_)) => self.judge_making(&change.at),
            (None, None) => {}
        }
    }

    /// Is whoever wrote the one that holds the Lease?
    fn judge_writer(&mut self, change: &Change) {
        let Some(caller) = self.asking else { return };
        let holder = self.lease.holder;
        if holder != Some(caller.place) {
            let what = format!("{} is written by process {}, and {holder:?} holds the Lease", change.at, caller.place);
            self.breaks(Law::Lease, what);
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
            self.breaks(Law::Owned, format!("{at}, which moves the data, is removed by the operator"));
        }
        if at.kind == "Cluster" && &*at.name == "database" {
            let is_asked = instance.as_ref().is_none_or(|one| one.spec.deletion_policy == DeletionPolicy::Delete);
            if !is_asked {
                self.breaks(Law::Kept, format!("{at} is removed by the operator"));
            }
        }
        let is_ours = before.label(names::LABEL_MANAGED_BY) == Some(names::FIELD_MANAGER);
        if at.kind != "Instance" && !is_ours {
            self.breaks(Law::Foreign, format!("{at}, which is somebody else's, is removed by the operator"));
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
                self.breaks(Law::Recorded, format!("{at} is made while its record says {phase:?}"));
            }
        }
        if at.kind == "Cluster" && &*at.name == "database" {
            let holds = self.data.get(&*at.namespace).is_some_and(|data| data.moved.is_some());
            if holds {
                self.breaks(Law::Kept, format!("{at} is made anew, empty, though the instance had data"));
            }
        }
    }

    fn judge_write(&mut self, change: &Change, before: &Stored, after: &Stored) {
        let at = &change.at;
        if at.kind == "Campaign" {
            return self.judge_campaign_status(change, before, after);
        }
        if at.kind == "Instance" {
            let status = |stored: &Stored| typed::<InstanceStatus>(&stored.object["status"]);
            if before.object["status"] != after.object["status"] && !change.is_named {
                self.breaks(Law::Named, format!("the status of {at} is written without a precondition"));
            }
            if before.object["status"]["upgrade"] != after.object["status"]["upgrade"] {
                let (old, new) = (status(before), status(after));
                let (old, new) = (old.and_then(|one| one.upgrade), new.and_then(|one| one.upgrade));
                self.note_record(at, new.as_ref());
                self.judge_record(at, old.as_ref(), new.as_ref());
            }
            return;
        }
        let is_ours = before.label(names::LABEL_MANAGED_BY) == Some(names::FIELD_MANAGER)
            || before.owners.iter().any(|owner| owner.manager == names::FIELD_MANAGER && owner.applies);
        if !is_ours {
            self.breaks(Law::Foreign, format!("{at}, which is somebody else's, is changed by the operator"));
        }
        if at.kind == "Secret" {
            let (old, new) = (&before.object["data"], &after.object["data"]);
            let lost = ["password", "session-key"].into_iter().find(|key| old[key].is_string() && old[key] != new[key]);
            if let Some(key) = lost {
                self.breaks(Law::Secret, format!("{key} of {at} is another"));
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
            None => self.breaks(Law::Forward, format!("{at} leaves its way from {way}")),
            Some(new) if (new.step, rank(new.phase)) < (old.step, rank(old.phase)) => {
                self.breaks(Law::Forward, format!("{at} goes back from {way} to {} of step {}", new.phase, new.step));
            }
            Some(new) => self.judge_gates(at, old, new),
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
            self.breaks(Law::Suits, what);
        }
    }

    /// Are pods there that the operator should have stopped?
    fn is_written_to(&self, namespace: &str) -> bool {
        self.nodes.within(namespace).any(|pod| !pod.is_by_hand)
    }

    /// May the migration begin?
    pub(crate) fn judge_job(&mut self, at: &Ref, place: usize) {
        if self.nodes.begun.contains(at) {
            self.breaks(Law::Once, format!("{at} begins a second time"));
        }
        if self.data.get(&*at.namespace).is_some_and(|data| data.half.is_some()) {
            self.breaks(Law::Half, format!("{at} begins on data that is half-way"));
        }
        let is_for_good = LADDER[place].moves == Moves::ForGood;
        if is_for_good && self.is_written_to(&at.namespace) {
            self.breaks(Law::Quiet, format!("{at} begins while pods are there"));
        }
    }

    /// May the backup begin?
    pub(crate) fn judge_backup(&mut self, at: &Ref) {
        if !is_of_upgrade(at) {
            return;
        }
        if self.data.get(&*at.namespace).is_some_and(|data| data.half.is_some()) {
            self.breaks(Law::Half, format!("{at} is taken of data that is half-way"));
        }
        if self.is_written_to(&at.namespace) {
            self.breaks(Law::Quiet, format!("{at} begins while pods are there"));
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
            self.breaks(Law::Kept, format!("the data of {namespace} goes, and nobody asked for it"));
        }
    }
}
