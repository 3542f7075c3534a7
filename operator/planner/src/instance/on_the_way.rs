//! How does an instance's way to another release go on, given what is seen, and what is to be told of it?

use super::{
    conditions::{Judged, find},
    report::Outcome,
    standing::{parts, workload},
    upgrading::record,
};
use crate::{
    health::Health,
    inputs,
    objects::{Kind, ObjectKey},
    plan::{Plan, Step, Verdict},
    retry::ErrorClass,
    snapshot::Snapshot,
    upgrade::{self, Backup, Course, Migration, Seen, Terms, Wanted},
    whole_seconds,
};
use gotocloud_api::{
    Instance,
    conditions::{ConditionType, Reason},
    names,
    upgrade::{PointOfNoReturn, UpgradePhase, UpgradeRevision, UpgradeStatus, UpgradeStep},
};
use jiff::Timestamp;
use std::borrow::Cow;

/// The record of its way as it is to be; the present one where nothing changes.
pub(super) fn next(
    snapshot: &Snapshot<'_>,
    plan: &Plan<'_>,
    outcome: &Outcome,
    now: Timestamp,
) -> Option<UpgradeStatus> {
    let instance = snapshot.instance;
    // A Job that is there counts, whatever becomes of its way in this very look.
    let record = record(snapshot).map(|record| with_its_migration(snapshot, record));
    let wanted = upgrade::wanted(instance);
    let Some(current) = upgrade::active(instance) else { return record.map(Cow::into_owned) };

    let may_move = match &plan.verdict {
        Verdict::Proceed => !plan.inventory.is_empty(),
        // What is under way has deadlines, which run while it is refused.
        Verdict::Refused(_) => {
            record.as_ref().is_some_and(|record| !record.phase.is_terminal())
                || (has_run(instance) && may_set_out(plan, wanted.as_ref(), current))
        }
        Verdict::Tracked | Verdict::NeedsPinned(_) | Verdict::Deleting => false,
    };
    if !may_move {
        return record.map(Cow::into_owned);
    }

    let seen = seen(snapshot, plan, outcome, record.as_deref(), now);
    let terms = Terms { refusal: refusal(plan), ..snapshot.way.terms.clone() };
    let course = Course { releases: snapshot.way.releases, terms: &terms, seen: &seen, now };
    let after = upgrade::next(record.as_deref(), wanted.as_ref(), current, course);
    after.or_else(|| record.map(Cow::into_owned))
}

fn has_run(instance: &Instance) -> bool {
    instance.status.as_ref().is_some_and(|status| status.release.is_some())
}

/// Does an instance set out that cannot be planned as it is? Another release may lead out of that; if it does not, its campaign
/// is told so. A person sees it, and need not ask again once it can be planned.
fn may_set_out(plan: &Plan<'_>, wanted: Option<&Wanted>, current: &str) -> bool {
    wanted.is_some_and(|wanted| wanted.release != current && (plan.blocked.is_none() || wanted.rollout.is_some()))
}

/// Why its way cannot be gone at all: by the first release of it that cannot be planned.
fn refusal(plan: &Plan<'_>) -> Option<String> {
    plan.blocked.as_ref().map(|refusal| refusal.message.clone())
}

/// The last change of the data that cannot be undone, given the record that follows.
pub(super) fn point_of_no_return(
    snapshot: &Snapshot<'_>,
    after: Option<&UpgradeStatus>,
    now: Timestamp,
) -> Option<PointOfNoReturn> {
    let known = snapshot.instance.status.as_ref().and_then(|status| status.point_of_no_return.clone());
    let Some(after) = after else { return known };
    let before = record(snapshot);

    let is_moved = before.is_some_and(|before| before.phase == UpgradePhase::Migrate)
        && after.phase == UpgradePhase::Rollout
        && after.present_step().is_some_and(UpgradeStep::is_irreversible);
    if is_moved {
        return Some(passed(snapshot, after, now));
    }
    // Once it is back on a release from before, its data is taken for restored.
    let is_back = |point: &PointOfNoReturn| {
        annotation(snapshot.instance, names::ANNOTATION_RESTORED) == Some(&point.migration)
            && snapshot.way.releases.is_older(&after.active, &point.version)
    };
    known.filter(|point| !is_back(point))
}

fn passed(snapshot: &Snapshot<'_>, record: &UpgradeStatus, now: Timestamp) -> PointOfNoReturn {
    let version = snapshot.way.ahead.iter().find(|(name, _)| *name == record.step_end());
    let version = version.and_then(|(_, release)| *release).map(|release| release.spec.version.clone());

    PointOfNoReturn {
        release: record.step_end().to_owned(),
        version: version.unwrap_or_default(),
        at: whole_seconds(now),
        migration: upgrade::attempt_name(record),
        backup: record.backup.clone(),
    }
}

/// The record with the Job that moves the data, where that is seen for the first time.
fn with_its_migration<'s>(snapshot: &Snapshot<'s>, record: Cow<'s, UpgradeStatus>) -> Cow<'s, UpgradeStatus> {
    let is_news = record.phase == UpgradePhase::Migrate
        && record.migration.is_none()
        && health(snapshot, Kind::Job, &record).is_some();
    if !is_news {
        return record;
    }

    let migration = Some(upgrade::attempt_name(&record));
    Cow::Owned(UpgradeStatus { migration, ..record.into_owned() })
}

/// What is seen of the instance, as far as its way depends on it.
fn seen(
    snapshot: &Snapshot<'_>,
    plan: &Plan<'_>,
    outcome: &Outcome,
    record: Option<&UpgradeStatus>,
    now: Timestamp,
) -> Seen {
    let instance = snapshot.instance;
    let refused = match &plan.verdict {
        Verdict::Refused(refusal) => Some(refusal.message.clone()),
        Verdict::Proceed | Verdict::Tracked | Verdict::NeedsPinned(_) | Verdict::Deleting => None,
    };
    let is_done = outcome.failure.is_none() && plan.waiting.is_none();
    let applying = || (!is_done).then(|| "its objects are being applied".to_owned());
    let is_rest = |kind: ConditionType| matches!(kind, ConditionType::DatabaseReady | ConditionType::Exposed);
    let rest = parts(snapshot, plan, outcome).into_iter().find(|part| is_rest(part.kind) && part.status == Some(false));
    let status = instance.status.as_ref();
    let ready = status.and_then(|status| find(&status.conditions, ConditionType::Ready));

    let failed = outcome.failure.as_ref().map(|failure| failure.message.clone());
    let pods = refused.clone().or(failed).or_else(|| workload(snapshot, plan, outcome)).or_else(applying);

    Seen {
        backup: record.map(|record| backup(snapshot, plan, record, now)).unwrap_or_default(),
        migration: record.map(|record| migration(snapshot, plan, outcome, record)).unwrap_or_default(),
        pods,
        rest: rest.map(|part| part.message),
        gates: snapshot.way.gates.clone(),
        unready_since: ready.filter(|ready| ready.status == "False").map(|ready| ready.last_transition_time.0),
        writers: refused.or_else(|| plan.writers.clone()),
        left_over: left_over(snapshot, plan),
        revision: status
            .and_then(|status| status.revision.as_ref())
            .map(|revision| UpgradeRevision { running: revision.running.clone(), asked: revision.asked.clone() }),
        point_of_no_return: status.and_then(|status| status.point_of_no_return.clone()),
        restored: annotation(instance, names::ANNOTATION_RESTORED).cloned(),
        go_on_with: annotation(instance, names::ANNOTATION_GO_ON_WITH).cloned(),
    }
}

fn annotation<'i>(instance: &'i Instance, key: &str) -> Option<&'i String> {
    instance.metadata.annotations.as_ref()?.get(key)
}

/// What the release before had and this one lacks, while it is still there, as a sentence.
fn left_over(snapshot: &Snapshot<'_>, plan: &Plan<'_>) -> Option<String> {
    let is_there = |key: &&ObjectKey| snapshot.children.iter().any(|child| child.key == **key);

    plan.replaced.iter().find(is_there).map(|key| format!("{key} of the release before is being removed"))
}

/// The health of an object of the present step; none where it is not there yet, or not as it was applied.
pub(super) fn health<'s>(snapshot: &'s Snapshot<'_>, kind: Kind, record: &UpgradeStatus) -> Option<&'s Health> {
    let namespace = names::workload_namespace(inputs::name_of(snapshot.instance));
    let key = ObjectKey::new(kind, &namespace, &upgrade::attempt_name(record));
    snapshot.children.iter().find(|child| child.key == key && !child.terminating).map(|child| &child.health)
}

fn backup(snapshot: &Snapshot<'_>, plan: &Plan<'_>, record: &UpgradeStatus, now: Timestamp) -> Backup {
    let is_cloud_native_pg =
        plan.inputs.as_ref().is_some_and(|inputs| inputs.platform.spec.database.cloud_native_pg.is_some());
    if !is_cloud_native_pg {
        return attested(snapshot.instance, record, now);
    }
    taken(health(snapshot, Kind::Backup, record), upgrade::attempt_name(record))
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
    let key = names::ANNOTATION_BACKED_UP_AT;
    let at = annotation(instance, key);

    match at.map(|text| text.parse::<Timestamp>()) {
        // Of the data as it is since the pods stopped, and not of a time to come.
        Some(Ok(at)) if at >= record.since.0 && at <= now => {
            Backup::Verified(format!("that a person attested, of {at}"))
        }
        Some(Ok(at)) if at > now => {
            Backup::Running(format!("the annotation {key} is of {at}, which is to come: it counts from then on"))
        }
        Some(Ok(at)) => Backup::Running(format!(
            "the annotation {key} is of {at}, before its pods were asked to stop ({}): take a backup of the data as it is \
             now, verify it, then annotate the Instance anew",
            record.since.0
        )),
        Some(Err(_)) => Backup::Running(format!("the annotation {key} is no time: write it like 2026-01-31T22:00:00Z")),
        None => Backup::Running(format!(
            "its database is on a server of which the operator takes no backup: take one, verify it, then annotate the \
             Instance with {key}=TIME, of when it was taken"
        )),
    }
}

/// When a person's word begins to count, if it is of a time to come.
pub fn attested_from(instance: &Instance, now: Timestamp) -> Option<Timestamp> {
    let is_awaited = |upgrade: &UpgradeStatus| upgrade.phase == UpgradePhase::Backup;
    instance.status.as_ref()?.upgrade.as_ref().filter(|upgrade| is_awaited(upgrade))?;

    let at: Timestamp = annotation(instance, names::ANNOTATION_BACKED_UP_AT)?.parse().ok()?;
    (at > now).then_some(at)
}

fn migration(snapshot: &Snapshot<'_>, plan: &Plan<'_>, outcome: &Outcome, record: &UpgradeStatus) -> Migration {
    match health(snapshot, Kind::Job, record) {
        Some(health) => moved(health, &snapshot.way.migration_log),
        None => match &record.migration {
            None if is_unanswered(plan, outcome, record) => Migration::Unanswered,
            None => Migration::Running,
            Some(job) => {
                let why =
                    format!("the migration's Job {job} was deleted before it ended: how far it came is not known");
                Migration::Failed(why, String::new())
            }
        },
    }
}

/// Was the Job that moves the data to be made in this look, and did the API server not answer? Then it may be there all the
/// same.
fn is_unanswered(plan: &Plan<'_>, outcome: &Outcome, record: &UpgradeStatus) -> bool {
    let is_answered = outcome.failure.as_ref().is_none_or(|failure| failure.class != ErrorClass::Unavailable);
    let name = upgrade::attempt_name(record);
    let is_job = |key: &ObjectKey| key.kind == Kind::Job && *key.name == name;

    let is_made = |step: &Step| matches!(step, Step::Apply { object, .. } if is_job(&object.key));
    !is_answered && plan.steps.iter().any(is_made)
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
