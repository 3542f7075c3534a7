//! The controllers in miniature: Deployments and their pods, Jobs, CloudNativePG, namespaces. And the data that pods run on.

use crate::{
    api::{Owner, Ref, Stored},
    catalogue::{self, LADDER, Moves},
    laws, people,
    world::{Timer, World},
};
use gotocloud_planner::fingerprint;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// The field manager of all of them.
pub const MANAGER: &str = "kube-controller-manager";

/// The data of an instance.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// How often it was moved; `None` while it is empty.
    pub moved: Option<usize>,
    /// The place on the ladder of a migration for good that began, and has not ended well.
    pub half: Option<usize>,
    /// May nobody log in?
    pub is_sealed: bool,
    /// Which database it is, on a server that is there already.
    pub oid: u32,
    /// The database server that holds it, if it has one of its own.
    pub uid: Option<String>,
}

/// How a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodState {
    /// It starts.
    Starting,
    /// It serves.
    Ready,
    /// It was told to go.
    Terminating,
}

/// A pod.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The Deployment or Job it is of.
    pub of: Ref,
    /// What it was made from.
    pub template: String,
    /// The place on the ladder of the release it runs.
    pub runs: usize,
    /// How it is.
    pub state: PodState,
    /// Did a person scale its Deployment? Then it is not the operator's doing.
    pub is_by_hand: bool,
}

/// The pods and the jobs that run.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    /// The pods of Deployments.
    pub pods: BTreeMap<u64, Pod>,
    made: u64,
    /// The jobs whose pod is there, by their uid, with the place on the ladder of their migration.
    pub jobs: BTreeMap<String, (Ref, usize)>,
    /// The jobs that ever began, by namespace and name.
    pub begun: BTreeSet<Ref>,
}

impl Nodes {
    /// The pods in a namespace.
    pub fn within(&self, namespace: &str) -> impl Iterator<Item = &Pod> {
        self.pods.values().filter(move |pod| &*pod.of.namespace == namespace)
    }

    fn of(&self, deployment: &Ref) -> Vec<(u64, Pod)> {
        self.pods.iter().filter(|(_, pod)| pod.of == *deployment).map(|(id, pod)| (*id, pod.clone())).collect()
    }
}

/// Is it a Job of an upgrade that is still at it?
pub fn is_at_it(at: &Ref, stored: &Stored) -> bool {
    at.kind == "Job" && !is_over(&stored.object) && laws::is_of_upgrade(at)
}

fn has_failed(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    conditions.iter().any(|one| one["type"] == "Failed" && one["status"] == "True")
}

fn is_over(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    conditions.iter().any(|one| (one["type"] == "Complete" || one["type"] == "Failed") && one["status"] == "True")
}

impl World {
    /// A Job of an upgrade in a namespace that ended badly.
    pub(crate) fn failed_migration(&self, namespace: &str) -> Option<Ref> {
        let mut within = self.server.within(namespace);
        let found =
            within.find(|(at, stored)| at.kind == "Job" && laws::is_of_upgrade(at) && has_failed(&stored.object));
        found.map(|(at, _)| at.clone())
    }

    /// A controller looks at an object.
    pub(crate) fn control(&mut self, at: &Ref) {
        let stored = self.server.get(at).cloned();
        match (at.kind, stored) {
            ("Deployment", stored) => self.control_deployment(at, stored.as_deref()),
            ("Job", Some(stored)) => self.control_job(at, &stored),
            ("Job", None) => self.kill_job(at),
            ("Backup", Some(stored)) if stored.object["status"].is_null() => {
                let wait = if self.one_in(3) { SignedDuration::ZERO } else { self.between_seconds(1, 90) };
                self.after(wait, Timer::BackupBegins(at.clone(), stored.uid().to_owned()));
                self.status(at, json!({"phase": "pending"}));
            }
            ("Cluster", Some(stored)) => self.control_cluster(at, &stored),
            ("Namespace", Some(stored)) if stored.is_terminating() => {
                let wait = self.between_seconds(1, 60);
                self.after(wait, Timer::NamespaceEnds(at.clone()));
            }
            _ => {}
        }
    }

    fn status(&mut self, at: &Ref, status: Value) {
        // One that is gone meanwhile has no status to write.
        let _ = self.server.set_status(MANAGER, at, status);
        self.settle();
    }

    fn control_deployment(&mut self, at: &Ref, stored: Option<&Stored>) {
        let pods = self.nodes.of(at);
        let Some(stored) = stored else {
            for (id, _) in pods {
                self.stop_pod(id);
            }
            return;
        };
        let spec = &stored.object["spec"];
        let wanted = usize::try_from(spec["replicas"].as_u64().unwrap_or(1)).unwrap_or(0);
        let template = fingerprint::of(&spec["template"]);
        let version = spec["template"]["metadata"]["labels"]["app.kubernetes.io/version"].as_str();
        let Some(runs) = version.and_then(catalogue::place) else { return };
        let says_it = |owner: &Owner| owner.manager == people::MANAGER && owner.fields.contains("/f:spec/f:replicas");
        let is_by_hand = stored.owners.iter().any(says_it);

        let alive = || pods.iter().filter(|(_, pod)| pod.state != PodState::Terminating);
        let is_new = |pod: &Pod| pod.template == template;
        let new: Vec<_> = alive().filter(|(_, pod)| is_new(pod)).collect();
        let old: Vec<_> = alive().filter(|(_, pod)| !is_new(pod)).collect();
        let ready_new = new.iter().filter(|(_, pod)| pod.state == PodState::Ready).count();

        // One more than wanted while they are replaced; an old one goes for each new one that is ready.
        let room = (wanted + usize::from(!old.is_empty() && wanted > 0)).saturating_sub(new.len() + old.len());
        for _ in 0..room.min(wanted.saturating_sub(new.len())) {
            self.start_pod(at, &template, runs, is_by_hand);
        }
        let spare_old = old.len().saturating_sub(wanted.saturating_sub(ready_new));
        for (id, _) in old.iter().take(spare_old) {
            self.stop_pod(*id);
        }
        for (id, _) in new.iter().skip(wanted) {
            self.stop_pod(*id);
        }
        self.tell_deployment(at);
    }

    fn tell_deployment(&mut self, at: &Ref) {
        let Some(stored) = self.server.get(at).cloned() else { return };
        let template = fingerprint::of(&stored.object["spec"]["template"]);
        let pods = self.nodes.of(at);
        let count = |matches: &dyn Fn(&Pod) -> bool| pods.iter().filter(|(_, pod)| matches(pod)).count();
        let is_there = |pod: &Pod| pod.state != PodState::Terminating;
        let ready = count(&|pod| pod.state == PodState::Ready);
        let status = json!({
            "observedGeneration": stored.object["metadata"]["generation"],
            "replicas": count(&is_there),
            "updatedReplicas": count(&|pod| is_there(pod) && pod.template == template),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "terminatingReplicas": count(&|pod| !is_there(pod)),
        });
        self.status(at, status);
    }

    fn start_pod(&mut self, of: &Ref, template: &str, runs: usize, is_by_hand: bool) {
        self.nodes.made += 1;
        let id = self.nodes.made;
        let pod = Pod { of: of.clone(), template: template.to_owned(), runs, state: PodState::Starting, is_by_hand };
        self.nodes.pods.insert(id, pod);
        if LADDER[runs].is_well {
            let wait = if self.one_in(40) { self.between_seconds(60, 600) } else { self.between_seconds(2, 40) };
            self.after(wait, Timer::PodStarts(id));
        }

        // The first pods on an empty database make it theirs.
        let level = catalogue::level(runs);
        let data = self.data.entry(of.namespace.to_string()).or_default();
        data.moved.get_or_insert(level);
        self.say(|| format!("node: a pod of {of} starts, of {}", LADDER[runs].version));
        self.judge_pods(&of.namespace);
    }

    fn stop_pod(&mut self, id: u64) {
        let Some(pod) = self.nodes.pods.get_mut(&id) else { return };
        let of = pod.of.clone();
        if pod.state != PodState::Terminating {
            pod.state = PodState::Terminating;
            if !self.settings.habits.slow_to_stop {
                self.nodes.pods.remove(&id);
                self.dirty.insert(of);
                return;
            }
            let wait = if self.one_in(10) { self.between_seconds(30, 300) } else { self.between_seconds(1, 20) };
            self.after(wait, Timer::PodEnds(id));
        }
    }

    fn control_job(&mut self, at: &Ref, stored: &Rc<Stored>) {
        let is_known = self.nodes.jobs.contains_key(stored.uid());
        if is_known || !stored.object["status"].is_null() {
            return;
        }
        self.status(at, json!({"active": 1}));
        let wait = if self.one_in(3) { SignedDuration::ZERO } else { self.between_seconds(1, 60) };
        self.after(wait, Timer::JobBegins(at.clone(), stored.uid().to_owned()));
    }

    /// A job is gone: its pod is killed.
    fn kill_job(&mut self, at: &Ref) {
        let killed: Vec<String> =
            self.nodes.jobs.iter().filter(|(_, (job, _))| job == at).map(|(uid, _)| uid.clone()).collect();
        for uid in killed {
            self.say(|| format!("node: the pod of {at} is killed"));
            self.nodes.jobs.remove(&uid);
        }
    }

    fn control_cluster(&mut self, at: &Ref, stored: &Stored) {
        // What an instance keeps its data on; a copy for a rehearsal is another.
        if &*at.name == "database" {
            let data = self.data.entry(at.namespace.to_string()).or_default();
            if data.uid.as_deref() != Some(stored.uid()) {
                *data = Data { uid: Some(stored.uid().to_owned()), ..Data::default() };
                let wait = self.between_seconds(10, 120);
                self.after(wait, Timer::ClusterStarts(at.clone(), stored.uid().to_owned()));
                return;
            }
        }
        if stored.object["status"]["readyInstances"].as_u64().is_some() {
            self.tell_cluster(at);
        }
    }

    fn tell_cluster(&mut self, at: &Ref) {
        let Some(stored) = self.server.get(at) else { return };
        let instances = stored.object["spec"]["instances"].clone();
        let ready = json!([{"type": "Ready", "status": "True", "reason": "ClusterIsReady"}]);
        self.status(at, json!({"readyInstances": instances, "conditions": ready}));
    }

    fn is(&self, at: &Ref, uid: &str) -> bool {
        self.server.get(at).is_some_and(|stored| stored.uid() == uid)
    }

    /// Something that was begun goes on.
    pub(crate) fn carry_on(&mut self, timer: Timer) {
        match timer {
            Timer::PodStarts(id) => {
                let Some(pod) = self.nodes.pods.get_mut(&id) else { return };
                if pod.state == PodState::Starting {
                    pod.state = PodState::Ready;
                    let of = pod.of.clone();
                    self.dirty.insert(of);
                }
            }
            Timer::PodEnds(id) => {
                if let Some(pod) = self.nodes.pods.remove(&id) {
                    self.say(|| format!("node: a pod of {} is gone", pod.of));
                    self.dirty.insert(pod.of);
                }
            }
            Timer::JobBegins(at, uid) if self.is(&at, &uid) => self.begin_job(at, uid),
            Timer::JobEnds(at, uid, well) => self.end_job(&at, &uid, well),
            Timer::BackupBegins(at, uid) if self.is(&at, &uid) => {
                self.judge_backup(&at);
                self.status(&at, json!({"phase": "running"}));
                let (wait, well) = (self.between_seconds(20, 3000), !self.one_in(12));
                self.after(wait, Timer::BackupEnds(at, uid, well));
            }
            Timer::BackupEnds(at, uid, well) if self.is(&at, &uid) => {
                let phase = if well { "completed" } else { "failed" };
                self.status(&at, json!({"phase": phase, "error": "no space"}));
            }
            Timer::ClusterStarts(at, uid) if self.is(&at, &uid) => self.tell_cluster(&at),
            Timer::NamespaceEnds(at) => self.end_namespace(&at),
            _ => {}
        }
    }

    fn begin_job(&mut self, at: Ref, uid: String) {
        let Some(stored) = self.server.get(&at) else { return };
        let image = stored.object["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
        let Some(place) = image.and_then(catalogue::of_migration) else { return };
        self.say(|| format!("node: {at} begins"));

        self.judge_job(&at, place);
        self.nodes.begun.insert(at.clone());
        self.nodes.jobs.insert(uid.clone(), (at.clone(), place));
        if LADDER[place].moves == Moves::ForGood {
            self.data.entry(at.namespace.to_string()).or_default().half = Some(place);
        }
        self.judge_pods(&at.namespace);
        let (wait, well) = (self.between_seconds(20, 3500), !self.one_in(6));
        self.after(wait, Timer::JobEnds(at, uid, well));
    }

    fn end_job(&mut self, at: &Ref, uid: &str, well: bool) {
        // One that was killed never ended.
        let Some((_, place)) = self.nodes.jobs.remove(uid) else { return };
        let level = catalogue::level(place);
        let data = self.data.entry(at.namespace.to_string()).or_default();
        if well {
            data.half = None;
            data.moved = Some(data.moved.unwrap_or(0).max(level));
        }
        self.say(|| format!("node: {at} ends {}", if well { "well" } else { "badly" }));
        self.judge_pods(&at.namespace);

        let kind = if well { "Complete" } else { "Failed" };
        let conditions = json!([{"type": kind, "status": "True", "message": "it ended with 3"}]);
        if self.is(at, uid) {
            self.status(at, json!({"conditions": conditions}));
        }
    }

    fn end_namespace(&mut self, at: &Ref) {
        if self.server.get(at).is_none() {
            return;
        }
        let within: Vec<Ref> = self.server.within(&at.name).map(|(one, _)| one.clone()).collect();
        for one in within {
            self.server.forget(MANAGER, &one);
            self.settle();
            if matches!(one.kind, "Deployment" | "Job") {
                self.control(&one);
            }
        }
        // Its pods are objects of it too: it is not gone before them.
        if self.nodes.within(&at.name).next().is_some() {
            return self.after(SignedDuration::from_secs(10), Timer::NamespaceEnds(at.clone()));
        }
        self.drop_data(&at.name);
        self.server.forget(MANAGER, at);
        self.settle();
    }

    /// The data of an instance goes.
    pub(crate) fn drop_data(&mut self, namespace: &str) {
        self.judge_loss(namespace);
        self.data.remove(namespace);
    }
}
