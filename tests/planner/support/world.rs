//! A hub, its Instances and the cluster they live in, in which plans are made and carried out.

use super::{
    cluster::{self, Cluster},
    fixtures,
    view::View,
};
use gotocloud_api::{
    Application, Establishment, Instance, InstanceStatus, Platform, Release, conditions::ConditionType, names,
};
use gotocloud_planner::{
    Kind, ObjectKey, Plan, Step, Verdict,
    database::{self, Assured},
    inputs::{self, full_name},
    instance::{self, Event, Failure, Outcome, namespace_holder},
    ownership,
    removals::Removal,
    snapshot::{NamespaceHolder, NamespaceOf, Observed, OperatorIdentity},
    upgrade::{Gates, Terms},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::{BTreeMap, BTreeSet};

/// What a step fails with, if it does.
type Failing = Box<dyn Fn(&Step) -> Option<Failure>>;

/// All there is.
pub struct World {
    pub applications: Vec<Application>,
    pub releases: Vec<Release>,
    pub establishments: Vec<Establishment>,
    pub platforms: Vec<Platform>,
    /// By `NAMESPACE/NAME`.
    pub instances: BTreeMap<String, Instance>,
    pub served: BTreeSet<Kind>,
    pub operator: OperatorIdentity,
    pub cluster: Cluster,
    pub now: Timestamp,
    /// What is said of removals.
    pub removal: Removal,
    /// What a step fails with.
    pub failing: Failing,
    /// How many steps the next round gets through before the process dies.
    pub dies_after: Option<usize>,
    /// Is the namespace that is removed gone at once? Else it is terminating until [`World::finish_deletions`].
    pub namespaces_linger: bool,
    /// Are neighbours listed the other way round?
    pub is_reversed: bool,
    /// Why new pods do not start with their credentials.
    pub lost_credentials: Option<String>,
    /// How carefully a way to another release is gone, and what gates say.
    pub terms: Terms,
    pub gates: Gates,
    memory: Memory,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("applications", &self.applications)
            .field("releases", &self.releases)
            .field("establishments", &self.establishments)
            .field("platforms", &self.platforms)
            .field("instances", &self.instances)
            .finish_non_exhaustive()
    }
}

/// What a process remembers, and loses with its life.
#[derive(Default)]
struct Memory {
    applied: BTreeMap<(String, ObjectKey), String>,
    assured: BTreeMap<String, Assured>,
}

/// What one round came to.
#[derive(Clone, Debug)]
pub struct Round {
    pub verdict: Verdict,
    /// The steps that were carried out, in words.
    pub steps: Vec<String>,
    pub written: bool,
    pub events: Vec<Event>,
    pub failed: bool,
}

impl Round {
    /// Did nothing at all happen?
    pub fn is_silent(&self) -> bool {
        self.steps.is_empty() && !self.written && self.events.is_empty()
    }
}

impl World {
    /// One Instance, on a platform with an Ingress controller and a PostgreSQL server.
    pub fn plain() -> Self {
        Self::on(fixtures::plain_platform())
    }

    /// One Instance, on a platform with everything.
    pub fn full() -> Self {
        Self::on(fixtures::full_platform())
    }

    pub fn on(platform: Platform) -> Self {
        let mut world = Self {
            applications: vec![fixtures::application("app")],
            releases: vec![fixtures::release("app-1", "1.0"), fixtures::release("app-2", "2.0")],
            establishments: vec![fixtures::establishment("etab")],
            platforms: vec![platform],
            instances: BTreeMap::new(),
            served: fixtures::everything_served(),
            operator: fixtures::operator(),
            cluster: Cluster::default(),
            now: "2026-03-01T12:00:00Z".parse().unwrap(),
            removal: Removal::Allowed,
            terms: Terms::default(),
            gates: Gates::True,
            failing: Box::new(|_| None),
            dies_after: None,
            namespaces_linger: false,
            is_reversed: false,
            lost_credentials: None,
            memory: Memory::default(),
        };
        world.add(fixtures::instance("app-a"));
        world
    }

    /// The same, run until nothing moves any more.
    pub fn at_rest(mut self) -> Self {
        self.run();
        self
    }

    pub fn add(&mut self, instance: Instance) {
        self.instances.insert(full_name(&instance), instance);
    }

    /// Lets an autoscaler say how many pods of `web` the release at that place has.
    pub fn leave_to_an_autoscaler(&mut self, release: usize) {
        let scaling = serde_json::json!({"maxReplicasFactor": 2, "targetCpuPercent": 70});
        self.releases[release].spec.components[0].autoscaling = Some(serde_json::from_value(scaling).unwrap());
    }

    /// Its one Instance.
    pub fn one(&mut self) -> &mut Instance {
        self.instances.get_mut(fixtures::WHO).unwrap()
    }

    pub fn status(&self) -> &InstanceStatus {
        self.status_of(fixtures::WHO)
    }

    pub fn status_of(&self, who: &str) -> &InstanceStatus {
        self.instances[who].status.as_ref().unwrap()
    }

    /// `STATUS REASON` of a condition; empty where it is absent.
    pub fn condition(&self, kind: ConditionType) -> String {
        self.condition_of(fixtures::WHO, kind)
    }

    pub fn condition_of(&self, who: &str, kind: ConditionType) -> String {
        let all = self.instances[who].status.iter().flat_map(|status| &status.conditions);
        let one = all.into_iter().find(|one| one.type_ == kind.to_string());
        one.map(|one| format!("{} {}", one.status, one.reason)).unwrap_or_default()
    }

    pub fn message(&self, kind: ConditionType) -> String {
        let one = self.status().conditions.iter().find(|one| one.type_ == kind.to_string());
        one.map(|one| one.message.clone()).unwrap_or_default()
    }

    /// Edits the Instance's spec, as a person would.
    pub fn edit(&mut self, change: impl FnOnce(&mut Instance)) {
        let one = self.one();
        change(one);
        *one.metadata.generation.get_or_insert(1) += 1;
    }

    /// Asks for the Instance's deletion.
    pub fn delete(&mut self) {
        let now = self.now;
        self.one().metadata.deletion_timestamp = Some(Time(now));
    }

    /// The process dies and another one starts: what it remembered is lost.
    pub fn restart(&mut self) {
        self.memory = Memory::default();
    }

    pub fn finish_deletions(&mut self) {
        let gone: Vec<_> =
            self.cluster.objects.iter().filter(|(_, one)| one.terminating).map(|(key, _)| key.clone()).collect();
        for key in &gone {
            self.cluster.remove(key);
        }
    }

    /// Rounds until one is silent, all that is applied becoming ready in between.
    pub fn run(&mut self) -> Vec<Round> {
        self.run_of(fixtures::WHO)
    }

    pub fn run_of(&mut self, who: &str) -> Vec<Round> {
        let mut rounds = Vec::new();
        for _ in 0..12 {
            let Some(round) = self.round_of(who) else { return rounds };
            self.cluster.settle();
            self.finish_deletions();
            self.now += SignedDuration::from_secs(5);
            let is_silent = round.is_silent();
            rounds.push(round);
            if is_silent {
                return rounds;
            }
        }
        panic!("still not at rest: {:#?}", rounds.last())
    }

    pub fn round(&mut self) -> Round {
        self.round_of(fixtures::WHO).expect("the Instance is gone")
    }

    /// One round of one Instance; none where it is gone, or the process died.
    pub fn round_of(&mut self, who: &str) -> Option<Round> {
        let instance = self.instances.get(who)?.clone();
        let view = View::of(self, &instance);
        let assured = self.memory.assured.get(who).cloned();
        let (plan, wished) = view.plan(self, assured.as_ref());

        if let Some(metadata) = &plan.metadata {
            let live = self.instances.get_mut(who)?;
            live.metadata.labels = Some(metadata.labels.clone());
            live.metadata.finalizers = metadata.finalizer.then(|| vec![names::FINALIZER.to_owned()]);
        }

        let (mut done, mut failure, mut assured_now) = (Vec::new(), None, None);
        let dies_after = self.dies_after.take();

        for (number, step) in plan.steps_allowed(self.removal == Removal::Allowed).into_iter().enumerate() {
            if dies_after == Some(number) {
                self.restart();
                return None;
            }
            match self.carry_out(&instance, step) {
                Ok(()) => done.push(in_words(step)),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }

            match step {
                Step::EnsureDatabase(request) => {
                    assured_now =
                        Some(Assured { fingerprint: request.fingerprint(), oid: self.cluster.databases_made });
                }
                Step::Release => {
                    self.instances.remove(who);
                    return Some(Round {
                        verdict: plan.verdict,
                        steps: done,
                        written: false,
                        events: Vec::new(),
                        failed: false,
                    });
                }
                _ => {}
            }
        }
        if dies_after.is_some() {
            self.restart();
            return None;
        }

        let aside = plan.aside.iter().find_map(|step| {
            let result = self.carry_out(&instance, step);
            done.extend(result.is_ok().then(|| in_words(step)));
            result.err()
        });

        let database_assured = assured_now.is_some();
        if let Some(assured) = assured_now {
            self.memory.assured.insert(who.to_owned(), assured);
        }
        let assured = self.memory.assured.get(who).cloned();

        let after = view.snapshot(self, None, assured.as_ref());
        let outcome = Outcome {
            failure: failure.clone(),
            applied: after.children.iter().map(|one| (one.key.clone(), one.applied.to_string())).collect(),
            removal: (wished > 0).then(|| self.removal.clone()),
            database_assured,
            aside,
        };

        let report = instance::report(&after, &plan, &outcome, self.now);
        let written = instance.status.as_ref() != Some(&report.status);
        self.instances.get_mut(who)?.status = Some(report.status);
        Some(Round { verdict: plan.verdict, steps: done, written, events: report.events, failed: failure.is_some() })
    }

    /// The plan of this moment, with nothing done about it.
    pub fn with_plan<T>(&self, who: &str, look: impl FnOnce(&Plan<'_>) -> T) -> T {
        let instance = self.instances[who].clone();
        let view = View::of(self, &instance);
        let assured = self.memory.assured.get(who).cloned();
        let (plan, _) = view.plan(self, assured.as_ref());
        look(&plan)
    }

    /// How many objects the next round would take away, as the fleet-wide limit counts them.
    pub fn removals(&self) -> usize {
        let instance = self.instances[fixtures::WHO].clone();
        View::of(self, &instance).plan(self, self.memory.assured.get(fixtures::WHO)).1
    }

    pub fn steps(&self) -> Vec<String> {
        self.with_plan(fixtures::WHO, |plan| plan.steps.iter().map(in_words).collect())
    }

    fn carry_out(&mut self, instance: &Instance, step: &Step) -> Result<(), Failure> {
        if let Some(failure) = (self.failing)(step) {
            return Err(failure);
        }
        let who = full_name(instance);
        match step {
            Step::Apply { object, known } => {
                if !known {
                    self.cluster.may_apply(&object.key, instance)?;
                }
                self.cluster.apply(&object.key, &object.manifest);
                self.note(&who, &object.key, &gotocloud_planner::fingerprint::of(&object.manifest));
            }
            Step::HandOver { object, known } => self.cluster.hand_over(&object.key, &object.manifest, *known),
            Step::EnsureSecret(request) => {
                self.cluster.may_apply(request.key(), instance)?;
                let today = self.cluster.objects.get(request.key());
                let today =
                    today.map(|stored| cluster::labels(&stored.manifest["content"], "data")).unwrap_or_default();
                let content = request.content(&today, |length| "x".repeat(length));
                let mut manifest = request.object.manifest.clone();
                manifest["content"] = serde_json::json!({"metadata": {"data": content}});
                self.cluster.apply(request.key(), &manifest);
                self.note(&who, request.key(), &request.fingerprint());
            }
            Step::EnsureDatabase(request) => {
                database::ensure(request, &self.cluster.facts(request), "verifier")?;
                if self.cluster.databases.insert(request.name.clone(), true).is_none() {
                    self.cluster.databases_made += 1;
                }
            }
            Step::SealDatabase(request) => {
                self.cluster.databases.entry(request.name.clone()).and_modify(|may_log_in| *may_log_in = false);
            }
            Step::DropDatabase(request) => {
                self.cluster.databases.remove(&request.name);
            }
            Step::Remove(key) | Step::RemoveReplaced(key) => {
                match self.cluster.objects.get_mut(key) {
                    Some(stored) if key.kind == Kind::Namespace && self.namespaces_linger => stored.terminating = true,
                    _ => self.cluster.remove(key),
                }
                self.memory.applied.remove(&(who, key.clone()));
            }
            Step::Release => {}
        }
        Ok(())
    }

    fn note(&mut self, who: &str, key: &ObjectKey, desired: &str) {
        let stored = self.cluster.objects.get_mut(key).unwrap();
        stored.is_applied = true;
        self.memory.applied.insert((who.to_owned(), key.clone()), format!("{desired}.{}", stored.fields));
    }

    /// The objects that carry the Instance's labels where its objects are; Secrets only once this process saw to them.
    pub(super) fn children(&self, instance: &Instance) -> Vec<Observed> {
        let who = full_name(instance);
        let recorded = |key: &ObjectKey| key.recorded_in(instance).map(str::to_owned);
        let is_its_own = |manifest: &serde_json::Value| {
            cluster::owner(manifest).is_some_and(|(namespace, name)| format!("{namespace}/{name}") == who)
        };
        let seen = self.cluster.objects.iter().filter(|(_, stored)| is_its_own(&stored.manifest));
        seen.filter(|(key, _)| {
            key.kind.is_watched() || self.memory.applied.contains_key(&(who.clone(), (*key).clone()))
        })
        .map(|(key, stored)| {
            let applied = self.memory.applied.get(&(who.clone(), key.clone())).cloned().or_else(|| recorded(key));
            Observed {
                key: key.clone(),
                fields: stored.fields.clone().into(),
                applied: applied.unwrap_or_default().into(),
                health: stored.health.clone(),
                terminating: stored.terminating,
                uid: stored.uid.clone().into(),
                is_scaled: stored
                    .number
                    .as_ref()
                    .is_some_and(|number| number.said_by.iter().any(|who| *who != names::FIELD_MANAGER)),
            }
        })
        .collect()
    }

    pub(super) fn holder(&self, instance: &Instance) -> NamespaceHolder {
        let name = names::workload_namespace(inputs::name_of(instance));
        let stored = self.cluster.objects.get(&ObjectKey::new(Kind::Namespace, "", &name));
        let marks = |what: &str| stored.map(|stored| cluster::labels(&stored.manifest, what)).unwrap_or_default();
        let labels = marks("labels");
        let of = NamespaceOf::marked(&labels, Some(&marks("annotations")));
        let holder = ownership::holder(&labels).map(|(namespace, name)| (namespace, name, &of));
        namespace_holder(instance, holder, stored.is_some_and(|stored| stored.terminating))
    }
}

/// A step as a line.
pub fn in_words(step: &Step) -> String {
    match step {
        Step::Apply { object, .. } => format!("apply {}", object.key),
        Step::HandOver { object, .. } => format!("hand over the number of {}", object.key),
        Step::EnsureSecret(request) => format!("ensure {}", request.key()),
        Step::EnsureDatabase(request) => format!("ensure database {}", request.name),
        Step::SealDatabase(request) => format!("seal database {}", request.name),
        Step::DropDatabase(request) => format!("drop database {}", request.name),
        Step::Remove(key) => format!("remove {key}"),
        Step::RemoveReplaced(key) => format!("remove replaced {key}"),
        Step::Release => "release".to_owned(),
    }
}
