//! One Instance, once: observe, plan, carry out, report.

use crate::{
    catalogue::{Catalogue, reference},
    children::InstanceRef,
    clock::Clock,
    decided::{Decided, Pass},
    execute::{Executor, Written},
    gates::Gatekeeper,
    health::Watches,
    metrics::Metrics,
    observe::{look, observe},
};
use gotocloud_api::{Instance, conditions::Reason, names, rehearsal::RehearsalPhase, upgrade::UpgradePhase};
use gotocloud_planner::{
    Kind, Verdict,
    campaign::terms::look_again,
    database::Assured,
    instance::{self, Failure, Outcome, Report},
    observation::Observation,
    plan::DatabaseRequest,
    rehearsal,
    removals::{Ledger, Removal, SETTLE},
    retry::{ErrorClass, backoff},
    revision,
    snapshot::{OperatorIdentity, Pinned},
    upgrade,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Resource as _,
    runtime::{
        controller::Action,
        events::{Event, EventType, Recorder},
    },
};
use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How often it is looked whether lost credentials are back.
const CREDENTIALS_RETRY: Duration = Duration::from_secs(15);
/// How often what failed of a rehearsal is tried again.
const ASIDE_RETRY: Duration = Duration::from_secs(15);
/// How soon an Instance that changed while it was worked on is looked at anew, if no watch shows the change sooner.
const OUTDATED_RETRY: Duration = Duration::from_secs(1);
/// How often it is looked whether pods that were told to end have ended: nothing watches them.
const WRITERS_RETRY: Duration = Duration::from_secs(2);
/// How often an Instance whose removals are held looks whether they still are.
const HELD_RETRY: Duration = Duration::from_secs(5);

/// What reconciling needs, beside the Instance.
pub struct Context {
    /// What people ask for.
    pub catalogue: Arc<Catalogue>,
    /// What carries plans out.
    pub executor: Executor,
    /// The kinds the cluster serves.
    pub served: RwLock<BTreeSet<Kind>>,
    /// Who the operator is.
    pub operator: Arc<OperatorIdentity>,
    /// Share of the fleet's objects, in percent, that may be removed at once.
    pub removal_limit_percent: usize,
    /// How many Instances are worked on at this moment.
    pub active: AtomicUsize,
    /// How many may be at once.
    pub concurrency: usize,
    /// Where events go.
    pub recorder: Recorder,
    /// What is remembered from one time to the next.
    pub memory: Mutex<Memory>,
    /// What the gates of campaigns say of their targets.
    pub gates: Gatekeeper,
    /// How the watches stand.
    pub watches: Watches,
    /// By which time everything was decided.
    pub decided: Decided,
    /// What time it is.
    pub clock: Clock,
}

/// What is remembered from one time to the next, all of which can be lost.
#[derive(Default)]
pub struct Memory {
    ledger: Ledger,
    held: BTreeSet<InstanceRef>,
    by_instance: HashMap<InstanceRef, Recollection>,
}

#[derive(Default)]
struct Recollection {
    /// The database that was made sure of, as it was asked for.
    database_assured: Option<(DatabaseRequest, Assured)>,
    /// Were its credentials seen to be lost?
    credentials_doubted: bool,
    attempts: u32,
    /// The Instance as this process last wrote it, until the watch shows it.
    written: Option<Arc<Instance>>,
    /// Since when there is something to tell that does not press.
    untold_since: Option<Instant>,
}

impl Context {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metrics(&self) -> &Metrics {
        &self.executor.cluster.metrics
    }

    /// The kinds the cluster serves.
    pub fn served(&self) -> BTreeSet<Kind> {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the kinds the cluster serves.
    pub fn set_served(&self, served: BTreeSet<Kind>) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = served;
    }

    /// Forgets what an earlier term of this process remembered: another may have acted since.
    pub fn begin_anew(&self) {
        *self.memory() = Memory::default();
        self.decided.clear();
        self.active.store(0, Ordering::Relaxed);
    }

    /// The Instance as last written, where the watch is behind.
    pub fn latest(&self, who: &InstanceRef, watched: Arc<Instance>) -> Arc<Instance> {
        let version = |instance: &Instance| {
            instance.metadata.resource_version.as_deref().and_then(|text| text.parse::<u64>().ok())
        };
        let mut memory = self.memory();
        let Some(recollection) = memory.by_instance.get_mut(who) else { return watched };
        match &recollection.written {
            Some(written) if written.metadata.uid == watched.metadata.uid && version(written) > version(&watched) => {
                Arc::clone(written)
            }
            _ => {
                recollection.written = None;
                watched
            }
        }
    }

    /// Notes an Instance as this process just wrote it.
    pub fn written(&self, who: &InstanceRef, instance: Arc<Instance>) {
        let version = |instance: &Instance| {
            instance.metadata.resource_version.as_deref().and_then(|text| text.parse::<u64>().ok())
        };
        let mut memory = self.memory();
        let written = &mut memory.by_instance.entry(who.clone()).or_default().written;
        // Answers may arrive in another order than they were written.
        let is_newer = written
            .as_ref()
            .is_none_or(|known| known.metadata.uid != instance.metadata.uid || version(known) < version(&instance));
        if is_newer {
            *written = Some(instance);
        }
    }

    /// Writes an event about an object; one that cannot be written is lost, and that is logged.
    pub async fn publish(&self, about: &ObjectReference, action: &str, is_warning: bool, reason: String, note: &str) {
        let event = Event {
            type_: if is_warning { EventType::Warning } else { EventType::Normal },
            reason,
            // The API server refuses longer notes.
            note: Some(note.chars().take(1000).collect()),
            action: action.to_owned(),
            secondary: None,
        };
        self.metrics().writes.with_label_values(&["create", "Event"]).inc();
        if let Err(error) = self.recorder.publish(&event, about).await {
            let (kind, name) = (about.kind.as_deref(), about.name.as_deref());
            tracing::warn!(kind, name, %error, "an event was not written");
        }
    }

    /// The databases on servers that were made sure of, by whose they are.
    pub fn assured_databases(&self) -> Vec<(InstanceRef, DatabaseRequest, Assured)> {
        let memory = self.memory();
        let all = memory.by_instance.iter();
        let assured =
            all.filter_map(|(who, one)| one.database_assured.clone().map(|(request, assured)| (who, request, assured)));
        assured.map(|(who, request, assured)| (who.clone(), request, assured)).collect()
    }

    /// Notes that the database of an Instance is no longer as it was made sure of.
    pub fn doubt(&self, who: &InstanceRef, assured: &Assured) {
        let mut memory = self.memory();
        let Some(one) = memory.by_instance.get_mut(who) else { return };
        // It may have been made sure of again since it was looked at.
        if one.database_assured.as_ref().is_some_and(|(_, known)| known == assured) {
            one.database_assured = None;
        }
    }

    /// Notes that the credentials of an Instance were seen to be lost.
    pub fn doubt_credentials(&self, who: &InstanceRef) {
        if let Some(one) = self.memory().by_instance.get_mut(who) {
            one.credentials_doubted = true;
        }
    }

    /// Why new pods of the Instance do not start with its credentials, looked up where that is in doubt.
    async fn lost_credentials(&self, who: &InstanceRef, instance: &Instance) -> Option<String> {
        let is_doubted =
            self.memory().by_instance.get_mut(who).is_some_and(|one| std::mem::take(&mut one.credentials_doubted));
        let told = instance::told_lost_credentials(instance);
        let secret = instance::kept_credentials(instance).filter(|_| is_doubted || told.is_some())?;

        match self.executor.lost_credentials(&secret).await {
            Ok(lost) => lost,
            // What was told holds: the right to read it may be what this pass gives back.
            Err(_) => told.map(str::to_owned),
        }
    }

    /// Forgets an Instance that is gone.
    pub fn forget(&self, who: &InstanceRef) {
        let now = Timestamp::now();
        let mut memory = self.memory();
        memory.by_instance.remove(who);
        memory.held.remove(who);
        memory.ledger.wish(&who.to_string(), 0, now);
        drop(memory);
        self.decided.forget(who);
    }

    /// A look at all campaigns that begins now. What it knew is only counted where somebody sets the clock, and asks.
    pub fn begins_pass(&self) -> Pass {
        let version = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
        let seen = match self.clock {
            Clock::Machine => 0,
            Clock::File(_) => {
                let instances = self.catalogue.instances.state();
                instances.iter().map(|one| version(one.metadata.resource_version.as_deref())).max().unwrap_or(0)
            }
        };
        Pass { at: self.clock.now(), seen, is_at_rest: false }
    }
}

/// Brings one Instance a step nearer to where it should be.
pub async fn reconcile(watched: Arc<Instance>, context: Arc<Context>) -> Result<Action, Infallible> {
    let who = reference(&watched);
    let watched = context.latest(&who, watched);
    context.active.fetch_add(1, Ordering::Relaxed);
    let result = pass(&context, &who, watched).await;
    context.active.fetch_sub(1, Ordering::Relaxed);
    let (label, action) = match result {
        Ok(None) => {
            context.memory().by_instance.entry(who).or_default().attempts = 0;
            ("ok", Action::await_change())
        }
        Ok(Some(wait)) => ("waiting", Action::requeue(wait)),
        Err(failure) => {
            let attempt = {
                let mut memory = context.memory();
                let attempts = &mut memory.by_instance.entry(who.clone()).or_default().attempts;
                *attempts = attempts.saturating_add(1);
                *attempts - 1
            };
            let wait = backoff(failure.class, failure.reason, attempt, rand::random());
            tracing::warn!(reason = %failure.reason, message = failure.message, wait = ?wait, "not done; tried again");
            let label = match failure.class {
                ErrorClass::Momentary => "momentary",
                ErrorClass::Unavailable => "unavailable",
                ErrorClass::Refused => "refused",
            };
            (label, Action::requeue(wait))
        }
    };

    context.metrics().reconciliations.with_label_values(&[label]).inc();
    Ok(action)
}

/// One pass; gives how long to wait for the next where nothing will tell.
async fn pass(context: &Context, who: &InstanceRef, instance: Arc<Instance>) -> Result<Option<Duration>, Failure> {
    let begun = Instant::now();
    let decided_by = context.clock.now();
    may_be_deleted(context, &instance)?;

    let served = context.served();
    let assured = context.memory().by_instance.get(who).and_then(|one| one.database_assured.clone());
    let assured = assured.map(|(_, assured)| assured);
    let mut observation = observe(context, Arc::clone(&instance));
    (observation.migration_log, observation.rehearsal_log) = logs(context, who, &instance).await;
    observation.lost_credentials = context.lost_credentials(who, &instance).await;
    if observation.asks_for_quiet() {
        observation.writers = Some(context.executor.writers(&names::workload_namespace(&who.name)).await?);
    }

    let mut snapshot = observation.snapshot(look(context, &instance, &served, assured.as_ref()));
    let mut plan = instance::plan(&snapshot);

    if let Verdict::NeedsPinned(key) = &plan.verdict {
        let data = context.executor.read_revision(key).await?;
        snapshot.pinned = Some(data.as_ref().and_then(revision::parse).map_or(Pinned::Lost, Pinned::Found));
        plan = instance::plan(&snapshot);
    }

    let removals = plan.removals(&snapshot);
    let removal = judge_removals(context, who, &observation, removals);
    context.metrics().duration.with_label_values(&["plan"]).observe(begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let mut stored = Arc::clone(&instance);

    if let Some(metadata) = &plan.metadata {
        let labelled = Arc::new(context.executor.label(&instance, metadata).await?);
        context.written(who, Arc::clone(&labelled));
        // What is reported follows from the spec that was seen: over another it is not written.
        if labelled.metadata.generation == instance.metadata.generation && labelled.status == instance.status {
            stored = labelled;
        }
    }

    let steps = plan.steps_allowed(removal == Removal::Allowed);
    let (done, failure) = context.executor.carry_out(&instance, who, &steps).await;
    let aside: Vec<_> = plan.aside.iter().collect();
    let (_, aside) = context.executor.carry_out(&instance, who, &aside).await;
    context.metrics().duration.with_label_values(&["execute"]).observe(begun.elapsed().as_secs_f64());

    // Told here: the Instance may be let go in this very pass, and a report may be put off.
    for left in &done.left {
        let reason = Reason::DatabaseRefused.to_string();
        context.publish(&instance.object_ref(&()), "Delete", true, reason, left).await;
    }

    if removal == Removal::Allowed && failure.is_none() {
        context.memory().ledger.done(&who.to_string(), Timestamp::now());
    }
    if done.released {
        context.forget(who);
        return Ok(None);
    }

    if let Some(assured) = &done.database_assured {
        context.memory().by_instance.entry(who.clone()).or_default().database_assured = Some(assured.clone());
    }
    let assured_now = done.database_assured.as_ref().map(|(_, assured)| assured).or(assured.as_ref());
    let after = observation.snapshot(look(context, &instance, &served, assured_now));
    let outcome = Outcome {
        failure,
        applied: after.children.iter().map(|child| (child.key.clone(), child.applied.to_string())).collect(),
        removal: (removals > 0).then(|| removal.clone()),
        database_assured: done.database_assured.is_some(),
        aside,
    };

    let now = context.clock.now();
    let report = instance::report(&after, &plan, &outcome, now);
    let (way, rehearsed) = (report.status.upgrade.clone(), report.status.rehearsal.clone());
    let untold = tell(context, who, &stored, report).await?;
    if untold.is_none() {
        context.decided.instance(who, decided_by);
    }

    match outcome.failure {
        Some(failure) => Err(failure),
        None => Ok(match removal {
            Removal::Allowed => {
                let again = way.and_then(|way| look_again(&way, &observation.terms, now));
                let rehearsed = rehearsed.as_ref().and_then(|record| rehearsal::look_again(record, now));
                // What failed beside it is tried again.
                let aside = outcome.aside.is_some().then_some(ASIDE_RETRY);
                let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).ok();
                let attested = instance::attested_from(&instance, now).and_then(until);
                let writers = plan.writers.is_some().then_some(WRITERS_RETRY);
                let credentials = observation.lost_credentials.is_some().then_some(CREDENTIALS_RETRY);
                let rehearsed = rehearsed.and_then(until);
                let all = [untold, again.and_then(until), attested, rehearsed, aside, writers, credentials];
                all.into_iter().flatten().min()
            }
            Removal::Settling => Some(Duration::try_from(SETTLE).unwrap_or(HELD_RETRY)),
            Removal::Held { .. } => Some(HELD_RETRY),
        }),
    }
}

/// What is deleted goes with all it is made of: that has to be known.
fn may_be_deleted(context: &Context, instance: &Instance) -> Result<(), Failure> {
    let unlisted = context.watches.starting();
    if instance.metadata.deletion_timestamp.is_none() || unlisted.is_empty() {
        return Ok(());
    }
    let unlisted: Vec<String> = unlisted.into_iter().collect();
    Err(Failure {
        class: ErrorClass::Unavailable,
        reason: Reason::ApiUnavailable,
        message: format!("it is deleted once these can be listed: {}", unlisted.join(", ")),
    })
}

/// May the plan's removals be carried out? Notes the wish, so that the whole fleet's is known.
fn judge_removals(context: &Context, who: &InstanceRef, observation: &Observation, removals: usize) -> Removal {
    let now = Timestamp::now();
    let annotations = observation.platform.as_ref().and_then(|platform| platform.metadata.annotations.as_ref());
    let allowed_until =
        annotations.and_then(|all| all.get(names::ANNOTATION_ALLOW_REMOVALS_UNTIL)).and_then(|text| text.parse().ok());
    let fleet = context.executor.cluster.children.count();
    let mut memory = context.memory();
    memory.ledger.wish(&who.to_string(), removals, now);
    let removal = memory.ledger.verdict(&who.to_string(), fleet, context.removal_limit_percent, allowed_until, now);
    if matches!(removal, Removal::Held { .. }) {
        memory.held.insert(who.clone());
    } else {
        memory.held.remove(who);
    }
    context.metrics().removals_held.set(i64::try_from(memory.held.len()).unwrap_or(i64::MAX));
    removal
}

/// Writes the status where it changed, and tells what changed. Gives how long that waits for more to be told with it.
async fn tell(
    context: &Context,
    who: &InstanceRef,
    instance: &Arc<Instance>,
    report: Report,
) -> Result<Option<Duration>, Failure> {
    let is_news = instance.status.as_ref() != Some(&report.status);
    {
        let is_busy = context.active.load(Ordering::Relaxed) >= context.concurrency;
        let patience = instance::patience(report.presses, is_busy);
        let mut memory = context.memory();
        let untold_since = &mut memory.by_instance.entry(who.clone()).or_default().untold_since;
        if is_news && !patience.is_zero() {
            let waits = patience.saturating_sub(untold_since.get_or_insert_with(Instant::now).elapsed());
            if !waits.is_zero() {
                // Looked at again by then, and sooner: the fleet may have come to rest.
                return Ok(Some(waits.min(Duration::from_secs(5))));
            }
        }
        *untold_since = None;
    }

    if !is_news {
        return Ok(None);
    }

    match context.executor.write_status(instance, &report.status).await? {
        Written::Stored(written) => context.written(who, Arc::new(*written)),
        Written::Gone => return Ok(None),
        Written::Outdated => return Ok(Some(OUTDATED_RETRY)),
    }

    let regarding = instance.object_ref(&());
    for event in report.events {
        context.publish(&regarding, "Reconcile", event.warning, event.reason.to_string(), &event.message).await;
    }

    Ok(None)
}

/// The ends of the logs of a migration that failed, and of a rehearsed one; empty where none has.
async fn logs(context: &Context, who: &InstanceRef, instance: &Instance) -> (String, String) {
    let Some(status) = &instance.status else { return Default::default() };
    let upgrade = status.upgrade.as_ref().filter(|upgrade| upgrade.phase == UpgradePhase::Migrate);
    let rehearsal = status.rehearsal.as_ref().filter(|rehearsal| rehearsal.phase == RehearsalPhase::Migrate);
    let of = async |job: Option<String>| match job {
        Some(job) if context.executor.cluster.children.has_failed(who, Kind::Job, &job) => {
            context.executor.log_tail(&names::workload_namespace(&who.name), &job).await
        }
        Some(_) | None => String::new(),
    };
    (of(upgrade.map(upgrade::attempt_name)).await, of(rehearsal.map(rehearsal::job_name)).await)
}
