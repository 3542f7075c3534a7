//! What a process of the operator sees, plans and writes about the instance.

use crate::{
    print::print_of,
    world::{Fault, Life, OWNED, State, Stored, Thing, Things, World},
};
use gotocloud_api::{Instance, Release, conditions::Reason, names};
use gotocloud_planner::{
    Kind, ObjectKey, Snapshot, Step, Verdict, fingerprint, inputs,
    instance::{self, Failure, Outcome},
    path::Graph,
    removals::Removal,
    retry::ErrorClass,
    revision,
    snapshot::{NamespaceHolder, Observed, Pinned, Way},
    upgrade::{self, Gates, Terms},
};
use std::{collections::BTreeMap, sync::Arc};

/// A process: what its watches showed, and what it remembers of what it applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    pub seen: Arc<Things>,
    applied: Arc<BTreeMap<ObjectKey, String>>,
}

/// What becomes of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    Whole,
    /// The Job is made, and the answer is lost.
    LosesTheJobsAnswer,
    /// The process dies once it made the Job, and another one starts.
    DiesAfterTheJob,
    /// It dies once all is done, and told nothing.
    DiesBeforeItTells,
}

/// What a snapshot borrows from.
struct View<'w> {
    instance: Instance,
    release: Option<&'w Release>,
    releases: Graph,
    ahead: Vec<(String, Option<&'w Release>)>,
    writers: Vec<String>,
}

impl<'w> View<'w> {
    fn of(world: &'w World, state: &State) -> Self {
        let mut instance = Instance::clone(&state.instance.instance);
        if world.is(Fault::GoesOnUnasked)
            && let Some(job) = instance.status.as_ref().and_then(|status| status.upgrade.as_ref()?.migration.clone())
        {
            let annotations = instance.metadata.annotations.get_or_insert_default();
            annotations.insert(names::ANNOTATION_GO_ON_WITH.to_owned(), job);
        }
        let all = world.releases(state);
        let named = |name: &str| all.iter().copied().find(|one| one.metadata.name.as_deref() == Some(name));

        let releases = Graph::new(all.iter().copied());
        let ahead = upgrade::ahead(&instance, &releases).into_iter().map(|name| (name.clone(), named(&name))).collect();
        let release = inputs::release_name(&instance).and_then(named);
        Self { release, ahead, releases, writers: state.writers(), instance }
    }

    fn snapshot<'v>(&'v self, world: &'v World, process: &Process, pinned: Option<Pinned>) -> Snapshot<'v> {
        let children = process.children(world, &self.instance);
        let is_made = children.iter().any(|child| child.key.kind == Kind::Namespace);
        let namespace = if is_made { NamespaceHolder::Itself { terminating: false } } else { NamespaceHolder::Nobody };
        Snapshot {
            instance: &self.instance,
            application: Some(&world.application),
            release: self.release,
            establishment: Some(&world.establishment),
            platform: Some(&world.platform),
            groupings: Vec::new(),
            neighbours: Vec::new(),
            platform_load: 0,
            namespace,
            children,
            served: &world.served,
            pinned,
            database_assured: None,
            lost_credentials: None,
            operator: &world.operator,
            writers: Some(self.writers.clone()),
            way: Way {
                releases: &self.releases,
                ahead: self.ahead.clone(),
                rehearsed: None,
                terms: Terms::default(),
                gates: Gates::True,
                migration_log: String::new(),
                rehearsal_log: String::new(),
            },
        }
    }
}

impl Process {
    /// The objects as it sees them; Secrets only once it saw to them.
    fn children(&self, world: &World, instance: &Instance) -> Vec<Observed> {
        let is_seen = |key: &ObjectKey| {
            (key.kind.is_watched() || self.applied.contains_key(key))
                && !(key.kind == Kind::Job && world.is(Fault::SeesNoJobs))
        };
        let recorded = |key: &ObjectKey| key.recorded_in(instance).map(str::to_owned);
        let observed = |(key, thing): (&ObjectKey, &Thing)| Observed {
            key: key.clone(),
            fields: thing.fields().into(),
            applied: self.applied.get(key).cloned().or_else(|| recorded(key)).unwrap_or_default().into(),
            health: thing.health(key.kind),
            terminating: false,
            uid: if key.kind == Kind::Cluster { "uid-1".into() } else { "".into() },
            is_scaled: thing.by_hand.is_some(),
        };
        self.seen.iter().filter(|(key, _)| is_seen(key)).map(observed).collect()
    }

    /// Notes an answer.
    fn notes(&mut self, key: &ObjectKey, thing: &Thing, desired: &str) {
        Arc::make_mut(&mut self.seen).insert(key.clone(), thing.clone());
        Arc::make_mut(&mut self.applied).insert(key.clone(), format!("{desired}.{}", thing.fields()));
    }
}

/// What came of a pass.
pub struct Passed {
    instance: Stored,
    things: Arc<Things>,
    process: Process,
    broken: Option<&'static str>,
}

impl State {
    /// A process looks at the Instance, and does what is to be done, which is worked out once. Gives whether that can become
    /// of it.
    pub fn passes(&mut self, world: &World, how: How) -> bool {
        let key = print_of(&(&self.instance, &self.things, &self.process, self.writers(), self.after, self.now, how));
        let known = world.known.lock().unwrap().get(&key).cloned();
        let passed = known.unwrap_or_else(|| {
            let mut after = self.clone();
            let can_be = after.is_passed(world, how);
            let State { instance, things, process, broken, .. } = after;
            let passed = can_be.then(|| Arc::new(Passed { instance, things, process, broken }));
            world.known.lock().unwrap().insert(key, passed.clone());
            passed
        });

        let Some(passed) = passed else { return false };
        self.instance = passed.instance.clone();
        self.things = Arc::clone(&passed.things);
        self.process = passed.process.clone();
        self.broken = passed.broken;
        true
    }

    fn is_passed(&mut self, world: &World, how: How) -> bool {
        let view = View::of(world, self);
        let mut snapshot = view.snapshot(world, &self.process, None);
        let mut plan = instance::plan(&snapshot);
        if let Verdict::NeedsPinned(key) = &plan.verdict {
            let found = self.things.get(key).and_then(|thing| revision::parse(&thing.manifest["data"]));
            snapshot.pinned = Some(found.map_or(Pinned::Lost, Pinned::Found));
            plan = instance::plan(&snapshot);
        }
        if let Some(metadata) = &plan.metadata {
            self.instance = self.instance.changed(|instance| {
                instance.metadata.labels = Some(metadata.labels.clone());
                instance.metadata.finalizers = metadata.finalizer.then(|| vec![names::FINALIZER.to_owned()]);
            });
        }

        let mut steps: Vec<Step> = plan.steps.clone();
        let is_job = |key: &ObjectKey| key.kind == Kind::Job;
        if world.is(Fault::RemovesTheJobOfWhatIsWrittenTo) && plan.writers.is_some() {
            steps.extend(self.things.keys().filter(|key| is_job(key)).cloned().map(Step::Remove));
        }
        let makes_job = |step: &Step| matches!(step, Step::Apply { object, .. } if is_job(&object.key));
        let jobs_place = steps.iter().position(makes_job);
        if jobs_place.is_none() && matches!(how, How::LosesTheJobsAnswer | How::DiesAfterTheJob) {
            return false;
        }

        let mut failure = None;
        for (at, step) in steps.iter().enumerate() {
            let is_lost = how == How::LosesTheJobsAnswer && Some(at) == jobs_place;
            self.does(step, is_lost);
            if is_lost {
                let message = "the API server did not answer".to_owned();
                let is_mistaken = world.is(Fault::TakesTheUnansweredForRefused);
                let class = if is_mistaken { ErrorClass::Refused } else { ErrorClass::Unavailable };
                failure = Some(Failure { class, reason: Reason::ApiUnavailable, message });
                break;
            }
            if how == How::DiesAfterTheJob && Some(at) == jobs_place {
                break;
            }
        }
        if matches!(how, How::DiesAfterTheJob | How::DiesBeforeItTells) {
            // A new process lists all before it looks.
            self.process = Process { seen: Arc::clone(&self.things), ..Process::default() };
            return true;
        }

        let after = view.snapshot(world, &self.process, None);
        let applied = after.children.iter().map(|child| (child.key.clone(), child.applied.to_string())).collect();
        let removal = (plan.removals(&snapshot) > 0).then_some(Removal::Allowed);
        let outcome = Outcome { failure, applied, removal, database_assured: false, aside: None };
        let mut report = instance::report(&after, &plan, &outcome, self.now);
        if world.is(Fault::ForgetsThatTheJobWasSeen)
            && let Some(record) = &mut report.status.upgrade
        {
            record.migration = None;
        }
        self.instance = self.instance.changed(|instance| instance.status = Some(report.status));
        true
    }

    fn does(&mut self, step: &Step, is_lost: bool) {
        match step {
            Step::Apply { object, .. } => {
                let desired = fingerprint::of(&object.manifest);
                self.applies(&object.key, object.manifest.clone(), &desired, is_lost);
            }
            Step::EnsureSecret(request) => {
                let manifest = request.object.manifest.clone();
                self.applies(request.key(), manifest, &request.fingerprint(), is_lost);
            }
            Step::Remove(key) | Step::RemoveReplaced(key) => {
                let is_at_it = |thing: &Thing| matches!(thing.life, Life::Waits | Life::Works);
                if key.kind == Kind::Job && self.things.get(key).is_some_and(is_at_it) {
                    self.broken = Some(OWNED);
                }
                Arc::make_mut(&mut self.things).remove(key);
                Arc::make_mut(&mut self.process.seen).remove(key);
                Arc::make_mut(&mut self.process.applied).remove(key);
            }
            Step::HandOver { .. }
            | Step::EnsureDatabase(_)
            | Step::SealDatabase(_)
            | Step::DropDatabase(_)
            | Step::Release => unreachable!("nothing of this instance asks for it"),
        }
    }

    fn applies(&mut self, key: &ObjectKey, manifest: serde_json::Value, desired: &str, is_lost: bool) {
        let waits = matches!(key.kind, Kind::Deployment | Kind::Job);
        let new = Thing::new(manifest, if waits { Life::Waits } else { Life::Well });

        let things = Arc::make_mut(&mut self.things);
        let thing = match things.get(key) {
            Some(thing) if thing.print == new.print && thing.by_hand.is_none() => thing.clone(),
            Some(_) | None => new,
        };
        things.insert(key.clone(), thing.clone());
        if !is_lost {
            self.process.notes(key, &thing, desired);
        }
    }
}
