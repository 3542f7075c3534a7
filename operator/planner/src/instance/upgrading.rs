//! What does an instance's way to another release ask for, beside what the instance is made of?

use super::steps::{find, is_as_applied};
use crate::{
    health::Health,
    inputs::{self, Inputs},
    objects::{Kind, Object, ObjectKey},
    plan::Refusal,
    render::{self, Rendered, Surroundings},
    revision,
    snapshot::Snapshot,
    upgrade,
};
use gotocloud_api::{
    conditions::Reason,
    instance::RevisionStatus,
    names,
    release::Migration,
    upgrade::{UpgradePhase, UpgradeStatus, UpgradeStep},
};
use std::borrow::Cow;

/// Plans every release that the Instance still has to be made from, so that one that cannot be made is told before
/// anything moves.
pub(super) fn preview(snapshot: &Snapshot<'_>) -> Result<(), Refusal> {
    let record = record(snapshot);

    for (name, release) in &snapshot.way.ahead {
        let release =
            release.ok_or_else(|| inputs::not_found(Reason::ReleaseNotFound, "Release", name, "spec.release"))?;
        let ahead = Snapshot { release: Some(release), ..snapshot.clone() };
        let inputs = inputs::resolve(&ahead)?;
        let surroundings = Surroundings { neighbours: &ahead.neighbours, operator: ahead.operator };
        render::render(&inputs, &surroundings)?;

        let Some(migration) = &release.spec.migration else { continue };
        is_as_decided(record.as_deref(), name, migration)?;
        render::migration::job(&inputs, &surroundings, release, migration, render::MIGRATION)?;
    }
    Ok(())
}

/// Is the migration the one that was decided upon?
fn is_as_decided(record: Option<&UpgradeStatus>, release: &str, migration: &Migration) -> Result<(), Refusal> {
    let is_it = |step: &&UpgradeStep| step.release == release;
    let step = record.filter(|record| !record.phase.is_terminal()).and_then(|record| record.steps.iter().find(is_it));
    let decided = step.and_then(|step| step.migration.as_ref()).filter(|decided| !decided.digest.is_empty());

    match decided {
        Some(decided) if decided.digest != crate::fingerprint::of(migration) => Err(Refusal::new(
            Reason::ObjectRefused,
            format!(
                "the migration of the Release {release} is no longer the one that was decided upon: publish it as a Release of its own"
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

/// The record of the Instance's way, in today's form.
pub(super) fn record<'s>(snapshot: &'s Snapshot<'_>) -> Option<Cow<'s, UpgradeStatus>> {
    upgrade::record(snapshot.instance, snapshot.way.releases, Some(&snapshot.way.terms))
}

/// Adds what the present phase of an upgrade asks for, and stops the pods where the data changes under them. Gives why the
/// data may still be written to.
pub(super) fn add(
    snapshot: &Snapshot<'_>,
    inputs: &Inputs<'_>,
    surroundings: &Surroundings<'_>,
    rendered: &mut Rendered,
) -> Result<Option<String>, Refusal> {
    let Some(record) = record(snapshot) else { return Ok(None) };
    let wants = upgrade::wants(&record);
    let name = upgrade::attempt_name(&record);

    if wants.no_pods {
        for object in rendered.objects.iter_mut().filter(|object| object.key.kind == Kind::Deployment) {
            object.manifest["spec"]["replicas"] = 0.into();
        }
        // What is saved or moved must not be written to any more. A migration that began goes on all the same.
        if wants.asks_for_quiet()
            && let Some(writers) = writers(snapshot, rendered)
        {
            if let Some(flows) = flows_of_a_running_migration(inputs, &record) {
                rendered.push(flows);
            }
            return Ok(Some(writers));
        }
    }
    if wants.backup && inputs.platform.spec.database.cloud_native_pg.is_some() {
        rendered.push(render::migration::backup(inputs, &name));
    }
    if wants.migration {
        migrate(snapshot, inputs, surroundings, &record, rendered)?;
    }
    Ok(None)
}

/// The flows of a migration whose Job was seen.
fn flows_of_a_running_migration(inputs: &Inputs<'_>, record: &UpgradeStatus) -> Option<Object> {
    let is_running = upgrade::wants(record).migration && record.migration.is_some();

    is_running.then(|| render::migration::flows(inputs))
}

/// Adds the Job that moves the data. One that was seen is not made a second time, and stays as it is.
fn migrate(
    snapshot: &Snapshot<'_>,
    inputs: &Inputs<'_>,
    surroundings: &Surroundings<'_>,
    record: &UpgradeStatus,
    rendered: &mut Rendered,
) -> Result<(), Refusal> {
    let name = upgrade::attempt_name(record);
    let key = ObjectKey::new(Kind::Job, &inputs.namespace, &name);
    let target =
        snapshot.way.ahead.iter().find(|(name, _)| *name == record.step_end()).and_then(|(_, release)| *release);

    if find(snapshot, &key).is_some() || record.migration.is_some() {
        rendered.push(render::migration::flows(inputs));
        return Ok(());
    }
    let Some(target) = target else { return Ok(()) };
    let Some(migration) = &target.spec.migration else { return Ok(()) };
    if is_as_decided(Some(record), record.step_end(), migration).is_err() {
        return Ok(());
    }

    for object in render::migration::job(inputs, surroundings, target, migration, &name)? {
        rendered.push(object);
    }
    Ok(())
}

/// Why the data may still be written to, as a sentence; none if no pod is left that could.
fn writers(snapshot: &Snapshot<'_>, rendered: &Rendered) -> Option<String> {
    let is_stopped = |key: &ObjectKey, manifest: &serde_json::Value| {
        find(snapshot, key).is_some_and(|observed| {
            observed.health == Health::Ready && is_as_applied(observed, &crate::fingerprint::of(manifest))
        })
    };
    let deployments = rendered.objects.iter().filter(|object| object.key.kind == Kind::Deployment);

    for object in deployments {
        if !is_stopped(&object.key, &object.manifest) {
            return Some(format!("{} is being stopped", object.key));
        }
    }
    pods_left(snapshot)
}

/// Which pods can still write to the data, as a sentence; none if none can.
fn pods_left(snapshot: &Snapshot<'_>) -> Option<String> {
    match snapshot.writers.as_deref() {
        None => Some("whether its pods have ended is not known yet".to_owned()),
        Some([]) => None,
        Some([one]) => Some(format!("the pod {one} has not ended")),
        Some([first, others @ ..]) => Some(format!("{} pods have not ended, {first} among them", others.len() + 1)),
    }
}

/// The objects that belong to the present phase of an upgrade: once seen, they stay until the phase ends, whatever is
/// rendered meanwhile.
pub(super) fn of_the_phase(snapshot: &Snapshot<'_>, record: Option<&UpgradeStatus>) -> Vec<ObjectKey> {
    let Some(record) = record.filter(|record| upgrade::wants(record).migration) else { return Vec::new() };
    let namespace = names::workload_namespace(inputs::name_of(snapshot.instance));
    let job = ObjectKey::new(Kind::Job, &namespace, &upgrade::attempt_name(record));
    let flows = ObjectKey::new(Kind::NetworkPolicy, &namespace, render::MIGRATION);

    [job, flows].into_iter().filter(|key| find(snapshot, key).is_some()).collect()
}

/// The revision that the pods of a way ran before it began, which it may go back to, if it is there.
pub(super) fn revision_before(snapshot: &Snapshot<'_>, record: Option<&UpgradeStatus>) -> Option<ObjectKey> {
    let record = record.filter(|record| !record.phase.is_terminal())?;
    let namespace = names::workload_namespace(inputs::name_of(snapshot.instance));
    let key = revision::key(&namespace, &record.revision.as_ref()?.running);

    find(snapshot, &key).map(|_| key)
}

/// What the pods of a way that goes back to where it began were made from, as long as the Instance's own spec asks for the same.
pub(super) fn goes_back_to(record: Option<&UpgradeStatus>, asked: &str) -> Option<RevisionStatus> {
    let record = record.filter(|record| record.phase == UpgradePhase::RollingBack && record.active == record.from)?;
    let before = record.revision.as_ref().filter(|before| before.asked == asked)?;
    let (running, asked, release) = (before.running.clone(), before.asked.clone(), record.from.clone());

    Some(RevisionStatus { running, asked, release, ..RevisionStatus::default() })
}

/// When an upgrade removes what the release before had.
pub(super) enum Replacing {
    /// Once the new pods are there.
    Later,
    /// Now.
    Now,
}

/// When the upgrade of `record` removes an object that is no longer wanted; `None` if it goes for another reason.
pub(super) fn replacing(record: Option<&UpgradeStatus>, key: &ObjectKey) -> Option<Replacing> {
    let record = record.filter(|_| !key.is_passing() && !render::rehearsal::holds(key))?;

    match record.phase {
        UpgradePhase::Rollout => Some(Replacing::Later),
        UpgradePhase::Verify | UpgradePhase::Soak | UpgradePhase::RollingBack => Some(Replacing::Now),
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::Done
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::Failed
        | UpgradePhase::RolledBack => None,
    }
}
