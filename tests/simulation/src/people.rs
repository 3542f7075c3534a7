//! What people do: they edit, scale by hand, delete, mistype, and look after what waits for them.

mod campaigns;

pub use campaigns::COHORTS;

use crate::{
    api::Ref,
    catalogue::{self, HUB, LADDER},
    operator::typed,
    world::{Timer, World},
};
use gotocloud_api::{
    Instance,
    conditions::{ConditionType, Reason},
    names,
    upgrade::{UpgradePhase, UpgradeStatus},
};
use serde_json::{Value, json};

/// Their field manager.
pub const MANAGER: &str = "kubectl";
/// The field manager of what they install beside the operator.
const OTHER: &str = "helm";

/// The kinds of which a policy may refuse what the operator writes: of each that moves pods, data or their surroundings.
const REFUSED: [&str; 9] = [
    "Instance",
    "Namespace",
    "Deployment",
    "Job",
    "Backup",
    "Cluster",
    "ConfigMap",
    "NetworkPolicy",
    "ControllerRevision",
];

/// What people do. Each can be left out, to play without it.
#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// They scale Deployments by hand.
    pub scale: bool,
    /// They edit environments, sizes and stages.
    pub edit: bool,
    /// They mistype a variable.
    pub mistype: bool,
    /// They ask for releases that cannot be rendered, or whose pods never get ready.
    pub bad_releases: bool,
    /// They edit from where Releases are reached.
    pub reachable_from: bool,
    /// They delete Releases, whatever runs by them.
    pub delete_releases: bool,
    /// They edit the application, and delete it, whatever runs by it.
    pub applications: bool,
    /// They change whom a shared instance serves.
    pub groupings: bool,
    /// Policies of theirs refuse what the operator writes, for a time.
    pub refuse: bool,
    /// They delete objects of instances.
    pub delete_objects: bool,
    /// They delete Instances, and ask for them again.
    pub delete_instances: bool,
    /// They put objects of their own where the operator's are.
    pub foreign: bool,
    /// Their applications take their time to stop.
    pub slow_to_stop: bool,
    /// They ask for another release while a way is under way, or its data half-way.
    pub restless: bool,
    /// They ask again for what was deleted without a look at what ran.
    pub forgetful: bool,
    /// They make campaigns, and edit them while they go on.
    pub campaigns: bool,
    /// Their waves have gates.
    pub gates: bool,
    /// Their waves overlap, which a campaign cannot run with.
    pub overlap: bool,
}

impl Habits {
    /// All of it.
    pub const ALL: Self = Self {
        scale: true,
        edit: true,
        mistype: true,
        bad_releases: true,
        reachable_from: true,
        delete_releases: true,
        applications: true,
        groupings: true,
        refuse: true,
        delete_objects: true,
        delete_instances: true,
        foreign: true,
        slow_to_stop: true,
        restless: true,
        forgetful: true,
        campaigns: true,
        gates: true,
        overlap: true,
    };

    /// What the default run plays.
    pub const DEFAULT: Self = Self { forgetful: false, overlap: false, ..Self::ALL };

    /// They go from release to release, and look after what waits for them.
    pub const CALM: Self = Self {
        scale: false,
        edit: false,
        mistype: false,
        bad_releases: false,
        reachable_from: false,
        delete_releases: false,
        applications: false,
        groupings: false,
        refuse: false,
        delete_objects: false,
        delete_instances: false,
        foreign: false,
        slow_to_stop: false,
        restless: false,
        forgetful: false,
        campaigns: false,
        gates: false,
        overlap: false,
    };
}

/// What people know.
#[derive(Debug, Default)]
pub struct People {
    /// How many Instances were ever asked for.
    pub asked: u32,
    /// How many campaigns were ever made.
    campaigns: u32,
    /// How many waves were put in or renamed.
    waves: u32,
    /// How many waves were approved.
    approvals: u32,
    /// How many freezes and deferrals were ever made.
    freezes: u32,
}

impl World {
    pub(crate) fn instances(&self) -> Vec<Ref> {
        self.server.list("Instance").map(|(at, _)| at.clone()).collect()
    }

    fn read(&self, at: &Ref) -> Option<Instance> {
        typed(&self.server.get(at)?.object)
    }

    /// A person edits an object.
    fn edit(&mut self, at: &Ref, change: &Value) {
        let result = self.server.patch(MANAGER, at, change, false);
        self.say(|| match &result {
            Ok(_) => format!("person: edit {at}: {change}"),
            Err(refused) => format!("person: edit {at}: {change}: {} {}", refused.code, refused.message),
        });
        self.settle();
    }

    fn delete(&mut self, at: &Ref) {
        let result = self.server.delete(MANAGER, at, None);
        self.say(|| match &result {
            Ok(()) => format!("person: delete {at}"),
            Err(refused) => format!("person: delete {at}: {} {}", refused.code, refused.message),
        });
        self.settle();
    }

    /// Somebody does something.
    pub(crate) fn somebody_acts(&mut self) {
        let days = i64::from(self.settings.fleet.max(1));
        let pause = self.between_seconds(600, 6 * 86_400 / days);
        self.after(pause, Timer::Person);

        let Some(at) = self.any(&self.instances()) else { return self.ask_again() };
        if self.one_in(6) {
            self.somebody_follows(&at);
        } else {
            self.ask_for_a_release(&at);
            // Somebody else acts while it goes on.
            for _ in 0..2 {
                let soon = self.between_seconds(1, 4000);
                self.after(soon, Timer::Follow(at.clone()));
            }
        }
    }

    fn ask_for_a_release(&mut self, at: &Ref) {
        let Some(instance) = self.read(at) else { return };
        if self.is_left_alone(at, &instance) {
            return;
        }
        let now = gotocloud_planner::upgrade::active(&instance).and_then(catalogue::place).unwrap_or(0);
        let last = if self.settings.habits.bad_releases { LADDER.len() } else { 5 };
        let to = match self.any(&[0, 1, 1, 1, 1, 2, 2, 3]) {
            // Back by one.
            Some(0) => now.saturating_sub(1),
            Some(steps) => (now + steps).min(last - 1),
            None => now,
        };
        self.edit(at, &json!({"spec": {"release": catalogue::name_of(LADDER[to].version)}}));
    }

    /// Do people keep from acting? They do while a way is under way or its data half-way, unless they are restless.
    fn is_left_alone(&self, at: &Ref, instance: &Instance) -> bool {
        let status = instance.status.as_ref();
        let is_under_way = status.is_none_or(|status| {
            status.release.is_none() || status.upgrade.as_ref().is_some_and(|record| !record.phase.is_terminal())
        });
        let is_half_way = self.data.get(&names::workload_namespace(&at.name)).is_some_and(|data| data.half.is_some());
        (is_under_way || is_half_way) && !self.settings.habits.restless
    }

    /// Somebody does something else about an Instance, maybe amid its way.
    pub(crate) fn somebody_follows(&mut self, at: &Ref) {
        let habits = self.settings.habits;
        if self.read(at).is_none_or(|instance| self.is_left_alone(at, &instance)) {
            return;
        }
        let namespace = names::workload_namespace(&at.name);
        let can: Vec<u8> = [
            (habits.scale, 0),
            (habits.edit, 1),
            (habits.mistype, 2),
            (habits.reachable_from, 3),
            (habits.delete_releases, 4),
            (habits.delete_objects, 5),
            (habits.delete_instances, 6),
            (habits.foreign, 7),
            (true, 8),
            (habits.applications, 9),
        ]
        .into_iter()
        .filter_map(|(does, what)| does.then_some(what))
        .collect();
        match self.any(&can) {
            Some(0) => {
                let name = self.any(&["web", "batch", "worker"]).unwrap_or("web");
                let deployment = Ref::new("Deployment", &namespace, name);
                let replicas = self.any(&[0, 1, 2, 5]).unwrap_or(1);
                if self.server.get(&deployment).is_some() {
                    self.edit(&deployment, &json!({"spec": {"replicas": replicas}}));
                }
            }
            Some(1) => {
                let value = self.letters(4);
                let change = match self.any(&[0, 1, 2]) {
                    Some(0) => json!({"env": [{"name": "WORD", "value": value}]}),
                    Some(1) => json!({"sizeClass": self.any(&["Small", "Large"])}),
                    _ => json!({"stage": self.any(&["PartialProduction", "FullProduction"])}),
                };
                self.edit(at, &json!({ "spec": change }));
            }
            Some(2) => self.edit(at, &json!({"spec": {"env": [{"name": "WORD", "value": "${no.such}"}]}})),
            Some(3) => {
                let place = self.any(&[1, 2, 3, 4]).unwrap_or(1);
                let release = Ref::new("Release", "", &catalogue::name_of(LADDER[place].version));
                self.edit(&release, &json!({"spec": {"reachableFrom": ["0.1"]}}));
                let mended = json!({"spec": {"reachableFrom": catalogue::reachable_from(place)}});
                let later = self.between_seconds(60, 40_000);
                self.after(later, Timer::Mend(release, mended));
            }
            Some(4) => {
                let place = self.any(&[1, 2, 3, 4]).unwrap_or(1);
                let release = Ref::new("Release", "", &catalogue::name_of(LADDER[place].version));
                self.delete_against_the_policies(&release);
            }
            Some(5) => self.delete_an_object(&namespace),
            Some(6) => {
                if self.one_in(3) {
                    let policy = self.any(&["Retain", "Delete"]);
                    self.edit(at, &json!({"spec": {"deletionProtection": false, "deletionPolicy": policy}}));
                    self.delete(at);
                }
            }
            Some(7) => {
                let name = self.any(&["web", "worker", "migration"]).unwrap_or("web");
                let theirs = Ref::new("NetworkPolicy", &namespace, name);
                if self.server.get(&theirs).is_some() {
                    self.delete(&theirs);
                }
                let object = json!({"metadata": {"name": name}, "spec": {"podSelector": {}}});
                if self.server.create(OTHER, &theirs, &object).is_ok() {
                    self.say(|| format!("person: create {theirs}"));
                }
                self.settle();
                let later = self.between_seconds(60, 4000);
                self.after(later, Timer::Mend(theirs, Value::Null));
            }
            Some(9) => self.change_the_application(),
            _ => self.consent(at),
        }
    }

    fn change_the_application(&mut self) {
        let application = Ref::new("Application", "", catalogue::APPLICATION);
        if !self.one_in(3) {
            let cpu = self.any(&["250m", "300m"]);
            return self.edit(&application, &json!({"spec": {"sizes": {"small": {"defaultComponent": {"cpu": cpu}}}}}));
        }
        self.delete_against_the_policies(&application);
    }

    /// Somebody deletes what others need: the policies are off, or are gone round. Later it is put back.
    fn delete_against_the_policies(&mut self, at: &Ref) {
        self.server.policies = false;
        self.delete(at);
        self.server.policies = true;
        let later = self.between_seconds(60, 40_000);
        self.after(later, Timer::Mend(at.clone(), Value::Null));
    }

    /// A policy of somebody's begins to refuse what the operator writes of a kind, or lets it through again.
    pub(crate) fn somebody_refuses(&mut self, begins: bool) {
        let kinds: &[&str] = if begins && self.is_lively { &REFUSED } else { &[] };
        self.server.refused = self.any(kinds);
        let refused = self.server.refused;
        self.say(|| format!("person: a policy refuses what the operator writes of {refused:?}"));

        let lasts = if begins { self.between_seconds(60, 15_000) } else { self.between_seconds(3600, 600_000) };
        if self.is_lively {
            self.after(lasts, Timer::Policy(!begins));
        }
    }

    fn delete_an_object(&mut self, namespace: &str) {
        // Data, and what others are kept from by a policy, is left alone.
        let may_go = |at: &Ref| !matches!(at.kind, "Secret" | "Cluster" | "Backup" | "Job" | "RoleBinding");
        let within: Vec<Ref> = self.server.within(namespace).map(|(at, _)| at.clone()).filter(may_go).collect();
        if let Some(at) = self.any(&within) {
            self.delete(&at);
        }
    }

    fn consent(&mut self, at: &Ref) {
        let pending = self.read(at).and_then(|one| one.status?.revision?.pending);
        if let Some(pending) = pending {
            self.edit(at, &json!({"spec": {"acceptedRevision": pending}}));
        }
    }

    fn ask_again(&mut self) {
        self.people.asked += 1;
        let number = self.people.asked % self.settings.fleet.max(1);
        let mut object = catalogue::instance(number);
        let namespace = names::workload_namespace(&format!("i{number}"));
        if let Some(data) = self.data.get_mut(&namespace).filter(|data| data.half.is_some())
            && !self.settings.habits.forgetful
        {
            // It was deleted amid a migration: its data is restored first.
            data.moved = data.half.take().map(|half| catalogue::level(half) - 1);
        }
        // What is kept of it is only for the release it was left by, or a later one.
        let kept = self.data.get(&namespace).and_then(|data| data.moved);
        let suited = kept.and_then(|moved| (0..5).find(|at| catalogue::suits(*at, moved)));
        if let Some(at) = suited.filter(|_| !self.settings.habits.forgetful) {
            object["spec"]["release"] = catalogue::name_of(LADDER[at].version).into();
        }
        catalogue::put(self, "Instance", HUB, &object);
    }

    /// Somebody looks after what waits for a person.
    pub(crate) fn somebody_looks_after(&mut self) {
        let pause = self.between_seconds(3600, 40_000);
        if self.is_lively {
            self.after(pause, Timer::Round);
        }
        if self.instances().len() < self.settings.fleet as usize && self.one_in(3) {
            self.ask_again();
        }
        for at in self.instances() {
            let namespace = names::workload_namespace(&at.name);
            if self.one_in(2) {
                self.take_own_away(&namespace);
            }
            let Some(instance) = self.read(&at) else { continue };
            if self.settings.habits.campaigns {
                self.leave_to_campaigns(&at, &instance);
            }
            let Some(status) = &instance.status else { continue };
            let is_unknown = |one: &gotocloud_api::conditions::Condition| {
                one.type_ == ConditionType::Stalled.to_string()
                    && one.status == "True"
                    && one.reason == Reason::UnknownVariable.to_string()
            };
            if status.conditions.iter().any(is_unknown) && !instance.spec.env.is_empty() {
                self.edit(&at, &json!({"spec": {"env": []}}));
            }
            if let Some(record) = status.upgrade.clone() {
                self.look_after_a_way(&at, &record);
            }
        }
        self.look_after_campaigns();
    }

    /// What somebody put where the operator's objects are is taken away again.
    fn take_own_away(&mut self, namespace: &str) {
        let theirs = self
            .server
            .within(namespace)
            .filter(|(_, one)| one.owners.iter().any(|owner| owner.manager == OTHER) && one.owners.len() == 1);
        let theirs: Vec<Ref> = theirs.map(|(at, _)| at.clone()).collect();
        for at in &theirs {
            self.delete(at);
        }
    }

    fn look_after_a_way(&mut self, at: &Ref, record: &UpgradeStatus) {
        let namespace = names::workload_namespace(&at.name);
        let is_on_server = self.data.get(&namespace).is_some_and(|data| data.uid.is_none());
        if record.phase == UpgradePhase::Backup && is_on_server {
            let time = self.now().to_string();
            self.edit(at, &json!({"metadata": {"annotations": {names::ANNOTATION_BACKED_UP_AT: time}}}));
        }
        let half = self.data.get(&namespace).and_then(|data| data.half);
        let Some(half) = half.filter(|_| record.phase == UpgradePhase::Failed) else { return };
        let Some(job) = record.migration.clone() else { return };
        if self.nodes.jobs.values().any(|(job, _)| *job.namespace == *namespace) {
            return;
        }
        // Some restore the data from the backup, some have the migration run again, which bears it.
        let annotation = if self.one_in(3) {
            names::ANNOTATION_GO_ON_WITH
        } else {
            if let Some(data) = self.data.get_mut(&namespace) {
                data.moved = Some(catalogue::level(half) - 1);
            }
            self.say(|| format!("person: restores the data of {namespace}"));
            names::ANNOTATION_RESTORED
        };
        if let Some(data) = self.data.get_mut(&namespace) {
            data.half = None;
        }
        self.edit(at, &json!({"metadata": {"annotations": {annotation: job}}}));
    }

    /// What was taken away or mistyped is put right.
    pub(crate) fn somebody_mends(&mut self, at: &Ref, change: &Value) {
        if !change.is_null() {
            return self.edit(at, change);
        }
        let made = match (at.kind, catalogue::place(&at.name)) {
            ("NetworkPolicy", _) => return self.take_own_away(&at.namespace),
            ("Application", _) => catalogue::application(),
            (_, Some(place)) => catalogue::release(place),
            (_, None) => return,
        };
        if self.server.get(at).is_none() {
            self.say(|| format!("person: publishes {at} again"));
            catalogue::put(self, at.kind, "", &made);
        }
    }
}
