//! How does an instance's way to another release go on, given what is seen, and what is to be told of it?

use super::{
    conditions::{Judged, find},
    report::Outcome,
    standing::{parts, workload},
};
use crate::{
    health::Health,
    objects::{Kind, ObjectKey},
    plan::{Plan, Verdict},
    snapshot::Snapshot,
    upgrade::{self, Backup, Course, Migration, Seen},
};
use gotocloud_api::{
    Instance,
    conditions::{ConditionType, Reason},
    names,
    upgrade::{UpgradePhase, UpgradeStatus},
};
use jiff::Timestamp;

/// The record of its way as it is to be; the present one where nothing changes.
pub(super) fn next(
    snapshot: &Snapshot<'_>,
    plan: &Plan<'_>,
    outcome: &Outcome,
    now: Timestamp,
) -> Option<UpgradeStatus> {
    let instance = snapshot.instance;
    let record = instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
    let wanted = upgrade::wanted(instance);
    let current = upgrade::active(instance);
    // What cannot be planned is neither begun nor judged.
    let (Verdict::Proceed, Some(current), false) = (&plan.verdict, current, plan.inventory.is_empty()) else {
        return record.cloned();
    };
    // A new instance begins with what it is asked to run; only a campaign wants to be told that it does.
    let is_new = record.is_none() && instance.status.as_ref().is_none_or(|status| status.release.is_none());
    if is_new && wanted.as_ref().is_none_or(|wanted| wanted.rollout.is_none()) {
        return None;
    }
    let seen = seen(snapshot, plan, outcome, record, now);
    let course = Course { releases: snapshot.way.releases, terms: &snapshot.way.terms, seen: &seen, now };
    let after = upgrade::next(record, wanted.as_ref(), current, course).or_else(|| record.cloned());
    after.map(|record| with_its_migration(snapshot, plan, record))
}

/// The record with the Job that moves the data, where that is seen for the first time.
fn with_its_migration(snapshot: &Snapshot<'_>, plan: &Plan<'_>, record: UpgradeStatus) -> UpgradeStatus {
    let is_news = record.phase == UpgradePhase::Migrate
        && record.migration.is_none()
        && health(snapshot, plan, Kind::Job, &record).is_some();
    if is_news { UpgradeStatus { migration: Some(upgrade::attempt_name(&record)), ..record } } else { record }
}

/// What is seen of the instance, as far as its way depends on it.
fn seen(
    snapshot: &Snapshot<'_>,
    plan: &Plan<'_>,
    outcome: &Outcome,
    record: Option<&UpgradeStatus>,
    now: Timestamp,
) -> Seen {
    let is_done = outcome.failure.is_none() && plan.waiting.is_none();
    let pods = match &outcome.failure {
        Some(failure) => Some(failure.message.clone()),
        None => {
            workload(snapshot, plan, outcome).or_else(|| (!is_done).then(|| "its objects are being applied".to_owned()))
        }
    };
    let is_rest = |kind: ConditionType| matches!(kind, ConditionType::DatabaseReady | ConditionType::Exposed);
    let rest = parts(snapshot, plan, outcome).into_iter().find(|part| is_rest(part.kind) && part.status == Some(false));
    let before = snapshot.instance.status.as_ref();
    let ready = before.and_then(|status| find(&status.conditions, ConditionType::Ready));
    Seen {
        backup: record.map(|record| backup(snapshot, plan, record, now)).unwrap_or_default(),
        migration: record.map(|record| migration(snapshot, plan, record)).unwrap_or_default(),
        pods,
        rest: rest.map(|part| part.message),
        gates: snapshot.way.gates.clone(),
        unready_since: ready.filter(|ready| ready.status == "False").map(|ready| ready.last_transition_time.0),
    }
}

/// The health of an object of the present step; none where it is not there yet, or not as it was applied.
fn health<'s>(snapshot: &'s Snapshot<'_>, plan: &Plan<'_>, kind: Kind, record: &UpgradeStatus) -> Option<&'s Health> {
    let namespace = &plan.inputs.as_ref()?.namespace;
    let key = ObjectKey::new(kind, namespace, &upgrade::attempt_name(record));
    snapshot.children.iter().find(|child| child.key == key && !child.terminating).map(|child| &child.health)
}

fn backup(snapshot: &Snapshot<'_>, plan: &Plan<'_>, record: &UpgradeStatus, now: Timestamp) -> Backup {
    let is_cloud_native_pg =
        plan.inputs.as_ref().is_some_and(|inputs| inputs.platform.spec.database.cloud_native_pg.is_some());
    if !is_cloud_native_pg {
        return attested(snapshot.instance, record, now);
    }
    taken(health(snapshot, plan, Kind::Backup, record), upgrade::attempt_name(record))
}

/// How far the Backup of that name is; none where it is not seen.
pub(super) fn taken(health: Option<&Health>, name: String) -> Backup {
    match health {
        Some(Health::Ready) => Backup::Verified(name),
        Some(Health::Failed(why)) => Backup::Failed(why.to_string()),
        Some(Health::Progressing(_) | Health::Unjudged) | None => Backup::Running(String::new()),
    }
}

/// How far the Job of a migration is, with the end of its log where it failed.
pub(super) fn moved(health: &Health, log: &str) -> Migration {
    match health {
        Health::Ready => Migration::Succeeded,
        Health::Failed(why) => Migration::Failed(format!("the migration failed: {why}"), log.to_owned()),
        Health::Progressing(_) | Health::Unjudged => Migration::Running,
    }
}

/// The backup of a database on a server of somebody else's: the operator cannot take it, so a person says that it was.
fn attested(instance: &Instance, record: &UpgradeStatus, now: Timestamp) -> Backup {
    let annotations = instance.metadata.annotations.as_ref();
    let at = annotations.and_then(|all| all.get(names::ANNOTATION_BACKED_UP_AT));
    let key = names::ANNOTATION_BACKED_UP_AT;
    match at.map(|text| text.parse::<Timestamp>()) {
        // Of the data as it is since the pods stopped, and not of a time to come.
        Some(Ok(at)) if at >= record.since.0 && at <= now => {
            Backup::Verified(format!("that a person attested, of {at}"))
        }
        Some(Err(_)) => Backup::Running(format!("the annotation {key} is no time: write it like 2026-01-31T22:00:00Z")),
        Some(Ok(_)) | None => Backup::Running(format!(
            "its database is on a server of which the operator takes no backup: take one, verify it, then annotate the \
             Instance with {key}=TIME, of when it was taken"
        )),
    }
}

fn migration(snapshot: &Snapshot<'_>, plan: &Plan<'_>, record: &UpgradeStatus) -> Migration {
    match health(snapshot, plan, Kind::Job, record) {
        Some(health) => moved(health, &snapshot.way.migration_log),
        None => match &record.migration {
            None => Migration::Running,
            Some(job) => {
                let why =
                    format!("the migration's Job {job} was deleted before it ended: how far it came is not known");
                Migration::Failed(why, String::new())
            }
        },
    }
}

/// What is to be told, with how the instance's way stands: one that is not where it is asked to be is not ready, however
/// well it runs where it is; one that failed and was left waits for a person, and not for its pods.
pub(super) fn told(mut judged: Vec<Judged>, instance: &Instance, record: Option<&UpgradeStatus>) -> Vec<Judged> {
    use ConditionType::{Ready, Reconciling, Stalled};
    let is = |one: &Judged, kind: ConditionType| one.kind == kind && one.status == Some(true);
    let (is_ready, is_stalled) = (judged.iter().any(|one| is(one, Ready)), judged.iter().any(|one| is(one, Stalled)));
    let is_told = |record: &&UpgradeStatus| is_ready || (record.phase == UpgradePhase::Failed && !is_stalled);
    let Some(record) = record.filter(is_told) else { return judged };
    let is_asked = instance.spec.release.as_ref() == Some(&record.to);
    let verdict = match record.phase {
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::Rollout
        | UpgradePhase::Verify
        | UpgradePhase::RollingBack => Some((Reconciling, Reason::Upgrading)),
        UpgradePhase::Refused if is_asked => Some((Stalled, Reason::UpgradeRefused)),
        UpgradePhase::Failed if is_asked || upgrade::is_half_way(record) => Some((Stalled, Reason::UpgradeFailed)),
        UpgradePhase::RolledBack if is_asked => Some((Stalled, Reason::UpgradeFailed)),
        UpgradePhase::Soak
        | UpgradePhase::Done
        | UpgradePhase::Withdrawn
        | UpgradePhase::Refused
        | UpgradePhase::Failed
        | UpgradePhase::RolledBack => None,
    };
    let Some((kind, reason)) = verdict else { return judged };
    let message = format!("{} to {} ({}): {}", record.from, record.to, record.phase, record.message);
    judged.retain(|one| ![Ready, Reconciling, Stalled].contains(&one.kind));
    judged.insert(0, Judged::new(Ready, false, reason, message.clone()));
    judged.insert(1, Judged::new(kind, true, reason, message));
    judged
}
