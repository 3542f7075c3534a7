//! What becomes of an instance in the world: it goes from phase to phase by the planner's own rules, or something fails.

use crate::{
    fleet::Fleet,
    hub::{Hub, Sight},
    stored::Stored,
};
use gotocloud_api::{
    Instance, InstanceStatus,
    conditions::{Condition, ConditionType, Reason},
    instance::RunningRelease,
    rehearsal::{RehearsalPhase, RehearsalStatus},
    upgrade::{UpgradePhase, UpgradeStatus},
};
use gotocloud_planner::{
    campaign::preflight,
    upgrade::{self, Backup, Course, Migration, Seen},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The instance after its next step, in which all goes well or something fails; `None` if nothing follows.
pub fn acts(fleet: &Fleet, hub: &Hub, at: usize, goes_well: bool, now: Timestamp) -> Option<Stored<Instance>> {
    let stored = hub.instances[at].as_ref()?;
    if goes_well && let Some(rehearsed) = rehearses(stored, now) {
        return Some(rehearsed);
    }
    let after = changes_release(fleet, hub, stored, goes_well, now)
        .map(|record| stored.changed(|instance| set_record(instance, record)))
        .or_else(|| settles(stored, goes_well, now))?;
    (after != *stored).then_some(after)
}

/// Is something under way that can fail?
pub fn can_fail(instance: &Instance) -> bool {
    match instance.status.as_ref().and_then(|status| status.upgrade.as_ref()) {
        Some(record) if !record.phase.is_terminal() => {
            !matches!(record.phase, UpgradePhase::Preflight | UpgradePhase::RollingBack)
        }
        _ => is_unanswered(instance) && !has(instance, ConditionType::Stalled),
    }
}

fn changes_release(
    fleet: &Fleet,
    hub: &Hub,
    stored: &Stored<Instance>,
    goes_well: bool,
    now: Timestamp,
) -> Option<UpgradeStatus> {
    let status = stored.status.as_ref()?;
    // One that was made runs what it asks for.
    status.release.as_ref()?;
    if fleet.campaigns.iter().any(|one| one.spec.provision.is_some()) {
        return None;
    }
    let objects = Sight { fleet, hub, is_process: false };
    let terms = preflight::terms(stored, None, &objects, now);
    let releases = gotocloud_planner::campaign::Objects::graph(&objects, "app");

    let why = || "it fails".to_owned();
    let seen = if goes_well {
        Seen { backup: Backup::Verified("b".into()), migration: Migration::Succeeded, ..Seen::default() }
    } else {
        Seen {
            backup: Backup::Failed(why()),
            migration: Migration::Failed(why(), why()),
            pods: Some(why()),
            unready_since: Some(now - SignedDuration::from_hours(24 * 30)),
            ..Seen::default()
        }
    };
    // What fails does so for long enough.
    let late = if goes_well { now } else { now + SignedDuration::from_hours(24 * 30) };
    let course = Course { releases: &releases, terms: &terms, seen: &seen, now: late };
    let current = upgrade::active(stored)?;
    let mut record = upgrade::next(status.upgrade.as_ref(), upgrade::wanted(stored).as_ref(), current, course)?;

    let no_later = |at: &mut Time| at.0 = at.0.min(now);
    no_later(&mut record.since);
    no_later(&mut record.started_at);
    record.finished_at.iter_mut().for_each(no_later);
    Some(record)
}

fn set_record(instance: &mut Instance, record: UpgradeStatus) {
    let status = instance.status.get_or_insert_default();
    let is_there = match record.phase {
        UpgradePhase::Verify | UpgradePhase::Soak | UpgradePhase::Done | UpgradePhase::RolledBack => true,
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::Rollout
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::Failed
        | UpgradePhase::RollingBack => false,
    };
    if is_there {
        status.release = Some(RunningRelease { name: record.active.clone(), version: version(&record.active) });
    }
    status.upgrade = Some(record);
}

/// `r2` is version 2.0.
fn version(release: &str) -> String {
    format!("{}.0", release.trim_start_matches('r'))
}

/// Was it made, or brought to a stage, and has not answered that yet?
fn is_unanswered(instance: &Instance) -> bool {
    let status = instance.status.as_ref();
    let is_ready = has(instance, ConditionType::Ready);
    let is_to_be_ready = instance.spec.rollout.is_some() && status.is_some_and(|status| status.upgrade.is_none());
    (is_to_be_ready && !is_ready)
        || status.and_then(|status| status.stage) != Some(instance.spec.stage)
        || (instance.spec.rollout.as_ref().is_some_and(|claim| claim.wants == instance.spec.stage.to_string())
            && status.and_then(|status| status.stage_rollout.as_ref()) != instance.spec.rollout.as_ref())
        || (status.and_then(|status| status.release.as_ref()).is_none() && !is_ready)
}

fn has(instance: &Instance, kind: ConditionType) -> bool {
    instance.status.as_ref().is_some_and(|status| {
        status.observed_generation == instance.metadata.generation
            && status.conditions.iter().any(|one| one.type_ == kind.to_string() && one.status == "True")
    })
}

/// It reaches its stage, or cannot.
fn settles(stored: &Stored<Instance>, goes_well: bool, now: Timestamp) -> Option<Stored<Instance>> {
    if !is_unanswered(stored) || (!goes_well && has(stored, ConditionType::Stalled)) {
        return None;
    }
    let kind = if goes_well { ConditionType::Ready } else { ConditionType::Stalled };
    let condition = Condition {
        type_: kind.to_string(),
        status: "True".into(),
        reason: Reason::AsDesired.to_string(),
        message: if goes_well { String::new() } else { "it cannot be".into() },
        last_transition_time: Time(now),
        observed_generation: stored.metadata.generation,
    };
    Some(stored.changed(|instance| {
        let spec = instance.spec.clone();
        let generation = instance.metadata.generation;
        let status = instance.status.get_or_insert_with(InstanceStatus::default);
        status.observed_generation = generation;
        status.conditions = vec![condition];
        if goes_well {
            status.stage = Some(spec.stage);
            status.stage_rollout = spec.rollout.filter(|claim| claim.wants == spec.stage.to_string());
            let release = spec.release.unwrap_or_else(|| "r1".into());
            status.release.get_or_insert_with(|| RunningRelease { version: version(&release), name: release });
        }
    }))
}

/// Its way is rehearsed as it asks.
fn rehearses(stored: &Stored<Instance>, now: Timestamp) -> Option<Stored<Instance>> {
    let asked = stored.spec.rehearse.clone()?;
    let status = stored.status.as_ref()?;
    let from = status.release.as_ref()?.name.clone();
    let known = status.rehearsal.as_ref();
    let is_fresh = |known: &RehearsalStatus| now.duration_since(known.since.0) < SignedDuration::from_hours(24);
    if from == asked || known.is_some_and(|known| known.to == asked && is_fresh(known)) {
        return None;
    }
    let record = RehearsalStatus {
        generation: stored.metadata.generation,
        from,
        path: vec![asked.clone()],
        to: asked,
        step: 0,
        phase: RehearsalPhase::Done,
        since: Time(now),
        started_at: Time(now),
        finished_at: Some(Time(now)),
        backup: Some("b".into()),
        restored_at: Some(Time(now)),
        backup_seconds: None,
        restore_seconds: None,
        migrate_seconds: 0,
        message: String::new(),
        log_tail: String::new(),
    };
    Some(stored.changed(|instance| {
        if let Some(status) = &mut instance.status {
            status.rehearsal = Some(record);
        }
    }))
}
