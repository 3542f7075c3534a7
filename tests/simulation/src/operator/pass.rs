//! One Instance, once: observe, plan, carry out, report. In the order, and with the preconditions, of the operator's
//! `reconcile.rs`, `execute.rs` and `apply.rs`; between any two requests anything else may happen.

use super::{
    Process,
    catalogue::instance_of,
    children::{self, InstanceRef},
    seen, version,
    view::View,
};
use crate::{
    api::{Apply, Ref, Refused, Stored},
    fault::Fault,
    world::{Caller, Died, World},
};
use gotocloud_api::{Instance, InstanceStatus, conditions::Reason, names, upgrade::UpgradePhase};
use gotocloud_planner::{
    Kind, Object, ObjectKey, Step, Verdict,
    campaign::terms::look_again,
    database::Assured,
    fingerprint,
    instance::{self, Failure, Outcome, Report},
    ownership::{self, Existing},
    path::Graph,
    plan::{DatabaseRequest, InstanceMetadata},
    rehearsal,
    removals::{Removal, SETTLE},
    retry::{ErrorClass, backoff, class_of_status},
    revision,
    secrets::SecretRequest,
    snapshot::Pinned,
    upgrade,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

/// How soon an Instance that changed while it was worked on is looked at anew, if no watch shows the change sooner.
const OUTDATED_RETRY: Duration = Duration::from_secs(1);
/// How often an Instance whose removals are held looks whether they still are.
const HELD_RETRY: Duration = Duration::from_secs(5);
/// How often it is looked whether pods that were told to end have ended: nothing watches them.
const WRITERS_RETRY: Duration = Duration::from_secs(2);
/// How often what failed of a rehearsal is tried again.
const ASIDE_RETRY: Duration = Duration::from_secs(15);
/// How often what holds up a way that has not begun is looked at. The operator does so every half minute.
const HOLD_RETRY: SignedDuration = SignedDuration::from_mins(10);
/// Longer than any run lasts.
const NEVER: SignedDuration = SignedDuration::from_hours(100 * 365 * 24);
/// Share of the fleet's objects, in percent, that may be removed at once.
const REMOVAL_LIMIT_PERCENT: usize = 10;

/// Why a pass ended early.
enum Stop {
    /// The process died.
    Died,
    /// A request failed.
    Failed(Failure),
}

impl From<Died> for Stop {
    fn from(_: Died) -> Self {
        Self::Died
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What is remembered while one plan is carried out.
#[derive(Default)]
struct Pass {
    /// Was the namespace made in this pass?
    is_fresh: bool,
    database_assured: Option<Assured>,
    is_released: bool,
}

/// Looks at one Instance, does what is to be done about it, and notes when to look again.
pub fn pass(world: &mut World, caller: Caller, who: &InstanceRef) {
    let is_stale = world.fault() == Some(Fault::ActsOnAStaleView);
    let process = world.process(caller);
    let Some(watched) = process.catalogue.instances.get(who).cloned() else { return };
    let mut instance = if is_stale { watched } else { latest(process, who, watched) };
    match process.fault {
        Some(Fault::LooksFactsUp) => instance = with_facts_of_today(process, &instance),
        Some(Fault::MigratesAgain) => instance = with_no_migration_begun(&instance),
        Some(Fault::GoesOnUnasked) => instance = with_a_word_to_go_on(&instance),
        _ => {}
    }
    process.busy.insert(who.clone());

    let result = one(world, caller, who, &instance);
    if !world.is_alive(caller) {
        return;
    }
    let (now, jitter) = (world.now(), world.share());
    let process = world.process(caller);
    process.busy.remove(who);
    match result {
        Err(Stop::Died) => {}
        Ok(wait) => {
            if let Some(one) = process.memory.get_mut(who) {
                one.attempts = 0;
            }
            if let Some(wait) = wait {
                process.wake_at(who, later(now, wait));
            }
        }
        Err(Stop::Failed(failure)) => {
            let attempts = &mut process.memory.entry(who.clone()).or_default().attempts;
            *attempts = attempts.saturating_add(1);
            let wait = backoff(failure.class, failure.reason, *attempts - 1, jitter);
            process.wake_at(who, later(now, wait));
            world.say(|| format!("{who} is tried again in {wait:?}: {}", failure.message));
        }
    }
}

/// An Instance whose record holds of its steps what today's catalogue says of them: a planted mistake.
fn with_facts_of_today(process: &Process, instance: &Instance) -> Arc<Instance> {
    let releases = Graph::new(process.catalogue.releases.values().map(Arc::as_ref));
    let mut instance = instance.clone();
    if let Some(record) = instance.status.as_mut().and_then(|status| status.upgrade.as_mut()) {
        let mut before = record.from.clone();
        for step in &mut record.steps {
            if releases.way(&before, &step.release).is_err() {
                step.migration = None;
            }
            before.clone_from(&step.release);
        }
    }
    Arc::new(instance)
}

/// An Instance whose record does not say that its migration began: a planted mistake.
fn with_no_migration_begun(instance: &Instance) -> Arc<Instance> {
    let mut instance = instance.clone();
    let record = instance.status.as_mut().and_then(|status| status.upgrade.as_mut());
    if let Some(record) = record.filter(|record| record.phase == UpgradePhase::Migrate) {
        record.migration = None;
    }
    Arc::new(instance)
}

/// An Instance of which a person says that its migration is to be run again: a planted mistake.
fn with_a_word_to_go_on(instance: &Instance) -> Arc<Instance> {
    let mut instance = instance.clone();
    let record = instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
    if let Some(job) = record.and_then(|record| record.migration.clone()) {
        let annotations = instance.metadata.annotations.get_or_insert_default();
        annotations.insert(names::ANNOTATION_GO_ON_WITH.to_owned(), job);
    }
    Arc::new(instance)
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(now)
}

/// The Instance as last written, where the watch is behind.
fn latest(process: &mut Process, who: &InstanceRef, watched: Arc<Instance>) -> Arc<Instance> {
    let Some(recollection) = process.memory.get_mut(who) else { return watched };
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

/// Notes an Instance as this process just wrote it; answers may arrive in another order than they were written.
pub fn written(world: &mut World, caller: Caller, who: &InstanceRef, stored: &Stored) {
    let Some(instance) = instance_of(stored) else { return };
    let written = &mut world.process(caller).memory.entry(who.clone()).or_default().written;
    let is_newer = written
        .as_ref()
        .is_none_or(|known| known.metadata.uid != instance.metadata.uid || version(known) < version(&instance));
    if is_newer {
        *written = Some(Arc::new(instance));
    }
}

fn one(
    world: &mut World,
    caller: Caller,
    who: &InstanceRef,
    instance: &Arc<Instance>,
) -> Result<Option<Duration>, Stop> {
    let (now, fault) = (world.now(), world.fault());
    world.note_gates(caller.place, instance);
    let process = world.process(caller);
    let assured = process.memory.get(who).and_then(|one| one.database_assured.clone());
    let mut view = View::of(process, who, Arc::clone(instance), now);
    if fault == Some(Fault::ForgetsDeadlines) {
        view.terms.progress_deadline = NEVER;
        view.terms.backup_deadline = NEVER;
    }
    if view.asks_for_quiet() {
        view.writers = Some(writers(world, caller, who)?);
    }
    if fault == Some(Fault::MigratesAgain)
        && let Some(job) = world.failed_migration(&names::workload_namespace(&who.name))
    {
        remove(world, caller, who, &ObjectKey::new(Kind::Job, &job.namespace, &job.name))?;
        return Ok(Some(OUTDATED_RETRY));
    }
    let process = world.process(caller);
    let mut snapshot = view.snapshot(process, None, assured.as_ref());
    let mut plan = instance::plan(&snapshot);
    if let Verdict::NeedsPinned(key) = &plan.verdict {
        let at = at(key);
        let found = world.ask(caller, &at, "read", |server| Ok(server.get(&at).cloned()))?;
        let found = found.map_err(|refused| failure(key, &refused))?;
        let content = found.and_then(|stored| revision::parse(&stored.object["data"]));
        snapshot.pinned = Some(content.map_or(Pinned::Lost, Pinned::Found));
        plan = instance::plan(&snapshot);
    }

    let removals = plan.removals(&snapshot);
    let removal = judge_removals(world.process(caller), who, &view, removals, now);
    let mut stored = Arc::clone(instance);
    if let Some(metadata) = &plan.metadata {
        let labelled = label(world, caller, who, instance, metadata)?;
        // What is reported follows from the spec that was seen: over another it is not written.
        let is_as_seen =
            |one: &Instance| one.metadata.generation == instance.metadata.generation && one.status == instance.status;
        if let Some(labelled) = labelled.filter(is_as_seen) {
            stored = Arc::new(labelled);
        }
    }

    let mut pass = Pass::default();
    let mut steps: Vec<Step> = plan.steps_allowed(removal == Removal::Allowed).into_iter().cloned().collect();
    if let Some(fault) = fault {
        fault.distort(&mut steps, &snapshot);
    }
    let failure = carry_out(world, caller, who, instance, &steps, &mut pass)?;
    let aside = carry_out(world, caller, who, instance, &plan.aside, &mut pass)?;
    let now = world.now();
    let process = world.process(caller);
    if removal == Removal::Allowed && failure.is_none() {
        process.ledger.done(&who.to_string(), now);
    }
    if pass.is_released {
        process.forget(who, now);
        return Ok(None);
    }
    if let Some(assured) = &pass.database_assured {
        process.memory.entry(who.clone()).or_default().database_assured = Some(assured.clone());
    }

    let assured_now = pass.database_assured.as_ref().or(assured.as_ref());
    let after = view.snapshot(process, None, assured_now);
    let outcome = Outcome {
        failure: failure.clone(),
        applied: after.children.iter().map(|child| (child.key.clone(), child.applied.to_string())).collect(),
        removal: (removals > 0).then(|| removal.clone()),
        database_assured: pass.database_assured.is_some(),
        aside,
    };
    let report = instance::report(&after, &plan, &outcome, now);
    let (way, rehearsed) = (report.status.upgrade.clone(), report.status.rehearsal.clone());
    if fault == Some(Fault::ActsBeforeItRecords) && way.as_ref().is_some_and(|way| !way.phase.is_terminal()) {
        act_early(world, caller, who, instance, &report)?;
    }
    let untold = tell(world, caller, who, &stored, &report)?;
    if let Some(failure) = failure {
        return Err(failure.into());
    }

    Ok(match removal {
        Removal::Allowed => {
            let is_held = way.as_ref().is_some_and(|way| way.phase == UpgradePhase::Preflight);
            let again = way.and_then(|way| look_again(&way, &view.terms, now));
            let again = if is_held { again.map(|at| at.max(now + HOLD_RETRY)) } else { again };
            let rehearsed = rehearsed.as_ref().and_then(|record| rehearsal::look_again(record, now));
            let aside = outcome.aside.is_some().then_some(ASIDE_RETRY);
            let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).ok();
            let attested = instance::attested_from(instance, now).and_then(until);
            let writers = plan.writers.is_some().then_some(WRITERS_RETRY);
            let rehearsed = rehearsed.and_then(until);
            [untold, again.and_then(until), attested, rehearsed, aside, writers].into_iter().flatten().min()
        }
        Removal::Settling => Some(Duration::try_from(SETTLE).unwrap_or(HELD_RETRY)),
        Removal::Held { .. } => Some(HELD_RETRY),
    })
}

/// The pods that can write to an Instance's data.
fn writers(world: &mut World, caller: Caller, who: &InstanceRef) -> Result<Vec<String>, Stop> {
    let namespace = names::workload_namespace(&who.name);
    let at = Ref::new("Pod", &namespace, "");
    world.ask(caller, &at, "list", |_| Ok(()))?.map_err(|refused| of_instance(&refused))?;
    let pods = world.pods(&namespace);
    let fault = world.fault();
    Ok(if fault == Some(Fault::TakesPodsForGone) { Vec::new() } else { upgrade::writers(&pods) })
}

/// Carries out what the next record asks for before it is written: a planted mistake.
fn act_early(
    world: &mut World,
    caller: Caller,
    who: &InstanceRef,
    instance: &Instance,
    report: &Report,
) -> Result<(), Stop> {
    let now = world.now();
    let early = Instance { status: Some(report.status.clone()), ..instance.clone() };
    let process = world.process(caller);
    let view = View::of(process, who, Arc::new(early), now);
    let plan = instance::plan(&view.snapshot(process, None, None));
    let steps: Vec<Step> = plan.steps.clone();
    carry_out(world, caller, who, instance, &steps, &mut Pass::default())?;
    Ok(())
}

/// May the plan's removals be carried out? Notes the wish, so that the whole fleet's is known.
fn judge_removals(process: &mut Process, who: &InstanceRef, view: &View, removals: usize, now: Timestamp) -> Removal {
    let annotations = view.platform.as_ref().and_then(|platform| platform.metadata.annotations.as_ref());
    let allowed_until =
        annotations.and_then(|all| all.get(names::ANNOTATION_ALLOW_REMOVALS_UNTIL)).and_then(|text| text.parse().ok());
    let fleet = process.children.count();
    process.ledger.wish(&who.to_string(), removals, now);
    process.ledger.verdict(&who.to_string(), fleet, REMOVAL_LIMIT_PERCENT, allowed_until, now)
}

/// Writes the status where it changed. Gives how long that waits for more to be told with it.
fn tell(
    world: &mut World,
    caller: Caller,
    who: &InstanceRef,
    instance: &Arc<Instance>,
    report: &Report,
) -> Result<Option<Duration>, Stop> {
    let (now, fault) = (world.now(), world.fault());
    let mut status = report.status.clone();
    match fault {
        // A word that is another each time, such as how long something takes.
        Some(Fault::TellsAgain) => {
            let hours = now.as_second() / 3600;
            status.conditions.iter_mut().take(1).for_each(|one| one.message = format!("{} ({hours} h)", one.message));
        }
        Some(Fault::SaysNoReason) => status.conditions.iter_mut().for_each(|one| one.message.clear()),
        _ => {}
    }
    let is_news = instance.status.as_ref() != Some(&status);
    let patience = instance::patience(report.presses, false);
    let untold_since = &mut world.process(caller).memory.entry(who.clone()).or_default().untold_since;
    if is_news && !patience.is_zero() {
        let since = *untold_since.get_or_insert(now);
        let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let waits = patience.saturating_sub(waited);
        if !waits.is_zero() {
            return Ok(Some(waits.min(Duration::from_secs(5))));
        }
    }
    *untold_since = None;
    let again = (fault == Some(Fault::TellsAgain)).then_some(Duration::from_hours(2));
    if !is_news {
        return Ok(again);
    }

    let outdated = write_status(world, caller, who, instance, &status)?;
    Ok(outdated.or(again))
}

fn write_status(
    world: &mut World,
    caller: Caller,
    who: &InstanceRef,
    instance: &Instance,
    status: &InstanceStatus,
) -> Result<Option<Duration>, Stop> {
    let at = Ref::new("Instance", &who.namespace, &who.name);
    let mut manifest = json!({"metadata": {}, "status": status});
    if world.fault() != Some(Fault::NamesNoVersion) {
        manifest["metadata"]["resourceVersion"] = json!(instance.metadata.resource_version);
    }
    if world.fault() == Some(Fault::ActsOnAStaleView) {
        // The version that is there, whatever was seen of it.
        let there = world.now_at(&at);
        manifest["metadata"]["resourceVersion"] = json!(there);
    }
    let request = Apply { by: names::FIELD_MANAGER, manifest: &manifest, force: true, status: true };
    match world.ask(caller, &at, "write the status of", |server| server.apply(&at, request))? {
        Ok(stored) => written(world, caller, who, &stored),
        Err(refused) if refused.code == 404 => {}
        Err(refused) if refused.code == 409 => return Ok(Some(OUTDATED_RETRY)),
        Err(refused) => return Err(of_instance(&refused).into()),
    }
    Ok(None)
}

/// Gives the Instance its labels and its finalizer; gives it as it is then.
fn label(
    world: &mut World,
    caller: Caller,
    who: &InstanceRef,
    instance: &Instance,
    wanted: &InstanceMetadata,
) -> Result<Option<Instance>, Stop> {
    let at = Ref::new("Instance", &who.namespace, &who.name);
    let mut metadata = json!({"uid": instance.metadata.uid, "labels": wanted.labels});
    if wanted.finalizer {
        metadata["finalizers"] = json!([names::FINALIZER]);
    }
    let manifest = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance", "metadata": metadata});
    let request = Apply { by: names::FIELD_MANAGER, manifest: &manifest, force: true, status: false };
    let stored = world.ask(caller, &at, "label", |server| server.apply(&at, request))?;
    let stored = stored.map_err(|refused| of_instance(&refused))?;
    written(world, caller, who, &stored);
    Ok(instance_of(&stored))
}

/// Carries out the steps, up to the first that fails.
fn carry_out(
    world: &mut World,
    caller: Caller,
    who: &InstanceRef,
    instance: &Instance,
    steps: &[Step],
    pass: &mut Pass,
) -> Result<Option<Failure>, Died> {
    for step in steps {
        let result = match step {
            Step::Apply { object, known } => apply(world, caller, who, instance, object, *known, pass),
            Step::HandOver { object, known } => hand_over(world, caller, who, object, *known),
            Step::EnsureSecret(request) => ensure_secret(world, caller, who, instance, request, pass),
            Step::EnsureDatabase(request) => ensure_database(world, caller, request, pass),
            Step::SealDatabase(request) => {
                world.on_database_server(caller, "seal", request).map_err(Stop::from).and_then(|done| Ok(done?))
            }
            Step::DropDatabase(request) => {
                world.on_database_server(caller, "drop", request).map_err(Stop::from).and_then(|done| Ok(done?))
            }
            Step::Remove(key) | Step::RemoveReplaced(key) => remove(world, caller, who, key),
            Step::Release => release(world, caller, who, instance, pass),
        };
        match result {
            Ok(()) => {}
            Err(Stop::Died) => return Err(Died),
            Err(Stop::Failed(failure)) => return Ok(Some(failure)),
        }
    }
    Ok(None)
}

fn apply(
    world: &mut World,
    caller: Caller,
    who: &InstanceRef,
    instance: &Instance,
    object: &Object,
    known: bool,
    pass: &mut Pass,
) -> Result<(), Stop> {
    let mut manifest = object.manifest.clone();
    let is_looked_at = !known && world.fault() != Some(Fault::TakesWhatIsThere);
    if is_looked_at {
        let existing = if pass.is_fresh { None } else { existing(world, caller, &object.key)? };
        pass.is_fresh |= existing.is_none() && object.key.kind == Kind::Namespace;
        ownership::may_apply(&object.key, existing.as_ref(), instance).map_err(Failure::from)?;
        // With its uid, one that goes meanwhile is not made anew.
        if let Some(existing) = existing {
            manifest["metadata"]["uid"] = existing.uid.into();
        }
    }
    send(world, caller, who, &object.key, manifest, &fingerprint::of(&object.manifest))
}

fn existing(world: &mut World, caller: Caller, key: &ObjectKey) -> Result<Option<Existing>, Stop> {
    let at = at(key);
    let found = world.ask(caller, &at, "look at", |server| Ok(server.get(&at).cloned()))?;
    let found = found.map_err(|refused| failure(key, &refused))?;
    Ok(found.map(|stored| Existing::of(&super::metadata(&stored))))
}

/// Sends a manifest, marked with the fingerprint of what was desired, and notes the answer under it.
fn send(
    world: &mut World,
    caller: Caller,
    who: &InstanceRef,
    key: &ObjectKey,
    mut manifest: Value,
    desired: &str,
) -> Result<(), Stop> {
    let at = at(key);
    manifest["metadata"]["annotations"][names::ANNOTATION_APPLIED] = desired.into();
    let request = Apply { by: names::FIELD_MANAGER, manifest: &manifest, force: true, status: false };
    let stored = world.ask(caller, &at, "apply", |server| server.apply(&at, request))?;
    let stored = stored.map_err(|refused| failure(key, &refused))?;
    world.process(caller).children.applied(who, &seen(key.kind, &stored), desired);
    Ok(())
}

fn hand_over(world: &mut World, caller: Caller, who: &InstanceRef, object: &Object, known: bool) -> Result<(), Stop> {
    let at = at(&object.key);
    let request = Apply { by: names::REPLICAS_FIELD_MANAGER, manifest: &object.manifest, force: known, status: false };
    match world.ask(caller, &at, "hand over", |server| server.apply(&at, request))? {
        Ok(stored) => {
            let _ = world.process(caller).children.observe(&seen(object.key.kind, &stored));
            Ok(())
        }
        Err(refused) if refused.code == 409 && !known => Ok(()),
        Err(refused) => {
            world.say(|| format!("{who}: {}", refused.message));
            Err(failure(&object.key, &refused).into())
        }
    }
}

/// A Secret's content, as text.
fn content(stored: &Stored) -> BTreeMap<String, String> {
    let data = stored.object["data"].as_object().into_iter().flatten();
    data.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn secret(world: &mut World, caller: Caller, key: &ObjectKey) -> Result<Option<Rc<Stored>>, Stop> {
    let at = at(key);
    let found = world.ask(caller, &at, "read", |server| Ok(server.get(&at).cloned()))?;
    Ok(found.map_err(|refused| failure(key, &refused))?)
}

fn ensure_secret(
    world: &mut World,
    caller: Caller,
    who: &InstanceRef,
    instance: &Instance,
    request: &SecretRequest,
    pass: &Pass,
) -> Result<(), Stop> {
    let key = request.key();
    let existing = if pass.is_fresh { None } else { secret(world, caller, key)? };
    let metadata = existing.as_deref().map(super::metadata);
    let known = metadata.as_ref().map(Existing::of);
    ownership::may_apply(key, known.as_ref(), instance).map_err(Failure::from)?;

    let mut today = existing.as_deref().map(content).unwrap_or_default();
    if world.fault() == Some(Fault::MakesPasswordsAnew) {
        today.clear();
    }
    let content = request.content(&today, |length| world.letters(length));
    let is_its_own = metadata.as_ref().and_then(children::owner).as_ref() == Some(who);
    if let Some(stored) = existing.filter(|_| content == today && is_its_own) {
        world.process(caller).children.applied(who, &seen(Kind::Secret, &stored), &request.fingerprint());
        return Ok(());
    }
    let mut manifest = request.object.manifest.clone();
    manifest["data"] = json!(content);
    send(world, caller, who, key, manifest, &request.fingerprint())
}

fn ensure_database(world: &mut World, caller: Caller, request: &DatabaseRequest, pass: &mut Pass) -> Result<(), Stop> {
    let (namespace, name) = &request.secret;
    let key = ObjectKey::new(Kind::Secret, namespace, name);
    let found = secret(world, caller, &key)?;
    if found.is_none_or(|stored| content(&stored).get("password").is_none_or(String::is_empty)) {
        let message = format!("{key} holds no password yet");
        return Err(Failure { class: ErrorClass::Momentary, reason: Reason::DatabaseStarting, message }.into());
    }
    world.on_database_server(caller, "ensure", request)??;
    let oid = world.database(namespace);
    pass.database_assured = Some(Assured { fingerprint: request.fingerprint(), oid });
    Ok(())
}

/// Removes an object; that it is not there is as good.
fn remove(world: &mut World, caller: Caller, who: &InstanceRef, key: &ObjectKey) -> Result<(), Stop> {
    let at = at(key);
    let result = world.ask(caller, &at, "remove", |server| server.delete(names::FIELD_MANAGER, &at, None))?;
    let is_gone = match result {
        Ok(()) => false,
        Err(refused) if refused.code == 404 => true,
        Err(refused) => return Err(failure(key, &refused).into()),
    };
    // No watch will tell that it is gone.
    if is_gone || !key.kind.is_watched() {
        world.process(caller).children.remove(who, key.kind, &key.name);
    }
    Ok(())
}

fn release(
    world: &mut World,
    caller: Caller,
    who: &InstanceRef,
    instance: &Instance,
    pass: &mut Pass,
) -> Result<(), Stop> {
    let labels = instance.metadata.labels.clone().unwrap_or_default();
    let ours = |key: &String| {
        [names::LABEL_APPLICATION, names::LABEL_ESTABLISHMENT, names::LABEL_GROUPING].contains(&key.as_str())
            || key.starts_with(names::LABEL_MEMBER_PREFIX)
    };
    let labels = labels.into_iter().filter(|(key, _)| ours(key)).collect();
    let metadata = InstanceMetadata { labels, finalizer: false };
    match label(world, caller, who, instance, &metadata) {
        Err(Stop::Failed(failure)) if failure.reason == Reason::ApiMissing => {}
        other => drop(other?),
    }
    pass.is_released = true;
    Ok(())
}

/// Where the API server keeps an object.
fn at(key: &ObjectKey) -> Ref {
    Ref::new(key.kind.name(), &key.namespace, &key.name)
}

/// How a refusal about the object at `key` is to be met and told.
fn failure(key: &ObjectKey, refused: &Refused) -> Failure {
    let class = class_of_status(refused.code, refused.reason);
    let reason = match (refused.code, class) {
        (403, ErrorClass::Refused) => Reason::Forbidden,
        (404, _) => Reason::ApiMissing,
        (_, ErrorClass::Refused) => Reason::ObjectRefused,
        (_, ErrorClass::Momentary | ErrorClass::Unavailable) => Reason::ApiUnavailable,
    };
    Failure { class, reason, message: format!("{key}: {}", refused.message) }
}

fn of_instance(refused: &Refused) -> Failure {
    let class = class_of_status(refused.code, refused.reason);
    let reason = match refused.code {
        404 | 409 => Reason::ApiMissing,
        403 => Reason::Forbidden,
        _ => Reason::ApiUnavailable,
    };
    Failure { class, reason, message: format!("the Instance cannot be written: {}", refused.message) }
}
