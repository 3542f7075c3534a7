//! Which record follows from the present one?

use super::{
    Wanted, attempt_name,
    beginning::{begin, first_phase, preflight, replacing_pods, withdrawn},
    course::{Backup, Course, Gates, Migration, Seen},
    record::{carried_over, entered, said, suits, terms_of},
};
use gotocloud_api::{
    campaign::OnFailure,
    names,
    upgrade::{UpgradePhase, UpgradeStatus, UpgradeStep},
};
use jiff::{SignedDuration, Timestamp};
use std::borrow::Cow;

/// The record that follows from `record`; none where it stays as it is. `wanted` is what the spec asks for, `current` the
/// release whose pods are asked for.
pub fn next(
    record: Option<&UpgradeStatus>,
    wanted: Option<&Wanted>,
    current: &str,
    course: Course<'_>,
) -> Option<UpgradeStatus> {
    let known = record.map(|record| carried_over(record, course.releases, Some(course.terms)));

    let after = match known.as_deref().filter(|record| !record.phase.is_terminal()) {
        Some(record) if is_withdrawn(record, wanted) => Some(withdrawn(record, course.now)),
        Some(record) => advance(record, wanted, course).map(|after| answering(after, wanted)),
        None => begin(known.as_deref(), wanted, current, course),
    };

    // A record of an older operator is written once in the form of this one.
    let carried = match known {
        Some(Cow::Owned(carried)) => Some(carried),
        Some(Cow::Borrowed(_)) | None => None,
    };
    after.or(carried)
}

/// The record as it ends: it answers all that was edited until then, so only a later edit by hand asks again.
fn answering(after: UpgradeStatus, wanted: Option<&Wanted>) -> UpgradeStatus {
    let is_by_hand = after.rollout.is_none() && after.phase.is_terminal();
    let generation = wanted.filter(|_| is_by_hand).and_then(|wanted| wanted.generation);

    UpgradeStatus { generation: generation.or(after.generation), ..after }
}

/// Does the spec no longer ask for it, and has nothing been touched? What has been touched is finished first.
fn is_withdrawn(record: &UpgradeStatus, wanted: Option<&Wanted>) -> bool {
    record.phase.has_touched_nothing()
        && wanted.is_none_or(|wanted| wanted.release != record.to || wanted.rollout != record.rollout)
}

fn advance(record: &UpgradeStatus, wanted: Option<&Wanted>, course: Course<'_>) -> Option<UpgradeStatus> {
    let Course { terms, seen, now, .. } = course;
    let kept = terms_of(record, terms);
    let is_over = |seconds: i64| now.duration_since(record.since.0) >= SignedDuration::from_secs(seconds);
    let is_late = is_over(kept.progress_deadline_seconds);
    let fail = |why: &str, log: &str| Some(failed(record, course, why, log));

    if let Some(back) = called_back(record, wanted) {
        return Some(going_back(record, &back, now, "the release was set back"));
    }
    match record.phase {
        UpgradePhase::Preflight => preflight(record, course),
        UpgradePhase::Backup => match (&terms.refusal, &seen.writers, &seen.backup) {
            (Some(refusal), _, _) => Some(unstarted(record, refusal, now)),
            (None, _, Backup::Failed(why)) => Some(unstarted(record, &without_backup(why), now)),
            (None, None, Backup::Verified(backup)) => {
                let after = entered(record, UpgradePhase::Migrate, now, "the data is being moved");
                Some(UpgradeStatus { backup: Some(backup.clone()), ..after })
            }
            (None, _, _) if is_over(kept.backup_deadline_seconds) => {
                Some(unstarted(record, &without_backup("the backup was not done in time"), now))
            }
            (None, Some(writers), _) => said(record, writers),
            (None, None, Backup::Running(waits)) if waits.is_empty() => None,
            (None, None, Backup::Running(waits)) => said(record, waits),
        },
        UpgradePhase::Migrate => migrating(record, course),
        UpgradePhase::Rollout => match &seen.pods {
            None => Some(verified(&entered(record, UpgradePhase::Verify, now, ""), course)),
            Some(why) if is_late => fail(&format!("its pods are not ready in time: {why}"), ""),
            Some(_) => None,
        },
        UpgradePhase::Verify => match (amiss(seen), &seen.gates) {
            (None, Gates::True) => Some(verified(record, course)),
            (Some(why), _) | (None, Gates::False(why)) if is_late => {
                fail(&format!("it is not verified in time: {why}"), "")
            }
            // Unknown is not true, and not false either: it waits for whoever can tell, unless nobody waits any more.
            (None, Gates::Unknown(why)) if (terms.aborting || terms.is_campaign_gone) && is_late => {
                fail(&format!("it is not verified in time: {why}"), "")
            }
            (Some(why), _) | (None, Gates::False(why) | Gates::Unknown(why)) => said(record, why),
        },
        UpgradePhase::Soak => soaking(record, course),
        UpgradePhase::RollingBack => match seen.pods.as_ref().or(seen.left_over.as_ref()) {
            None => Some(entered(record, UpgradePhase::RolledBack, now, &record.message)),
            Some(why) if is_late => Some(entered(
                record,
                UpgradePhase::Failed,
                now,
                &format!("{}; on the way back its pods are not ready in time: {why}", record.message),
            )),
            Some(_) => None,
        },
        UpgradePhase::Done
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::Failed
        | UpgradePhase::RolledBack => None,
    }
}

/// Why the instance is not as it should be, gates apart; `None` if it is.
fn amiss(seen: &Seen) -> Option<&String> {
    seen.pods.as_ref().or(seen.rest.as_ref()).or(seen.left_over.as_ref())
}

/// The release to which a person, or its campaign, calls a way back whose pods are being replaced: one that its data still
/// suits. Nothing holds that up.
fn called_back(record: &UpgradeStatus, wanted: Option<&Wanted>) -> Option<String> {
    let may_go_back = match record.phase {
        UpgradePhase::Rollout | UpgradePhase::Verify | UpgradePhase::Soak => true,
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::RollingBack
        | UpgradePhase::Done
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::Failed
        | UpgradePhase::RolledBack => false,
    };
    let wanted = wanted.filter(|wanted| may_go_back && wanted.release != record.to)?;

    suits(record).find(|name| *name == wanted.release).map(str::to_owned)
}

/// What becomes of a step whose data is being moved.
fn migrating(record: &UpgradeStatus, course: Course<'_>) -> Option<UpgradeStatus> {
    let Course { terms, seen, now, .. } = course;
    let patience = SignedDuration::from_secs(terms_of(record, terms).progress_deadline_seconds);
    let deadline = record.present_step().and_then(|step| step.migration.as_ref()).map_or(0, |job| job.deadline_seconds);
    let waited = now.duration_since(record.since.0);

    match &seen.migration {
        Migration::Succeeded => Some(replacing_pods(record, now)),
        Migration::Failed(why, log) => {
            let seen = attempt_name(record);
            let record = UpgradeStatus { migration: Some(seen), ..record.clone() };
            Some(failed(&record, course, why, log))
        }
        // The Job has a deadline of its own, so this is for one that nobody runs.
        Migration::Running if record.migration.is_some() => {
            let is_over = waited >= patience.saturating_add(SignedDuration::from_secs(deadline));
            is_over.then(|| failed(record, course, "the migration did not end in time", ""))
        }
        // It may run, so what follows from one that was not made does not follow. It is asked for again.
        Migration::Unanswered => {
            let is_over = waited >= patience.saturating_add(SignedDuration::from_secs(deadline));
            let record = UpgradeStatus { migration: Some(super::attempt_name(record)), ..record.clone() };
            is_over.then(|| failed(&record, course, "whether its Job was made was not answered in time", ""))
        }
        Migration::Running => match (&terms.refusal, &seen.writers) {
            (Some(refusal), _) => Some(unstarted(record, refusal, now)),
            (None, writers) if waited >= patience => {
                let why = writers.as_deref().unwrap_or("its Job was not made");
                Some(unstarted(record, &format!("the migration could not begin in time: {why}"), now))
            }
            (None, Some(writers)) => said(record, writers),
            (None, None) => None,
        },
    }
}

/// What follows once all is verified: the next step, the watch, or the end.
fn verified(record: &UpgradeStatus, course: Course<'_>) -> UpgradeStatus {
    let Course { terms, seen, now, .. } = course;
    if seen.rest.is_some() || seen.left_over.is_some() || seen.gates != Gates::True {
        return record.clone();
    }

    let next = record.step.saturating_add(1);
    if record.step_index().saturating_add(1) < record.steps.len() {
        let record = UpgradeStatus { step: next, backup: None, migration: None, ..record.clone() };
        return match &terms.refusal {
            None => first_phase(&record, now),
            Some(refusal) => unstarted(&record, refusal, now),
        };
    }
    if terms_of(record, terms).soak_seconds > 0 && !terms.aborting {
        return entered(record, UpgradePhase::Soak, now, "it is watched");
    }
    entered(record, UpgradePhase::Done, now, "")
}

fn soaking(record: &UpgradeStatus, course: Course<'_>) -> Option<UpgradeStatus> {
    let Course { terms, seen, now, .. } = course;
    let kept = terms_of(record, terms);
    let why = match (amiss(seen), &seen.gates) {
        (Some(why), _) | (None, Gates::False(why)) => Some(why),
        (None, Gates::True | Gates::Unknown(_)) => None,
    };

    let Some(why) = why else {
        let is_watched = now.duration_since(record.since.0) >= SignedDuration::from_secs(kept.soak_seconds);
        return (is_watched || terms.aborting).then(|| entered(record, UpgradePhase::Done, now, ""));
    };

    // A pod that moves to another node is no reason to go back; one that stays away is.
    let patience = SignedDuration::from_secs(kept.progress_deadline_seconds);
    let is_long = seen.unready_since.is_some_and(|since| now.duration_since(since) >= patience);
    let is_false = matches!(seen.gates, Gates::False(_));
    (is_long || is_false).then(|| failed(record, course, &format!("while it was watched: {why}"), ""))
}

fn without_backup(why: &str) -> String {
    format!("there is no backup: {why}")
}

/// Nothing of the present step was touched, and it is not gone on with. What was done before it stays.
fn unstarted(record: &UpgradeStatus, why: &str, now: Timestamp) -> UpgradeStatus {
    entered(record, UpgradePhase::Failed, now, &format!("nothing was changed, since {why}"))
}

/// What becomes of a way that failed in its present step.
fn failed(record: &UpgradeStatus, course: Course<'_>, why: &str, log: &str) -> UpgradeStatus {
    let Course { terms, now, .. } = course;
    let with_log = |after: UpgradeStatus| UpgradeStatus { log_tail: log.to_owned(), ..after };

    if record.present_step().is_some_and(UpgradeStep::is_irreversible) {
        return with_log(entered(record, UpgradePhase::Failed, now, &changed_for_good(record, why)));
    }
    match terms_of(record, terms).on_failure {
        OnFailure::Pause | OnFailure::Continue => with_log(entered(record, UpgradePhase::Failed, now, why)),
        OnFailure::Rollback => {
            let back = suits(record).last().unwrap_or(&record.from);
            with_log(going_back(record, back, now, why))
        }
    }
}

/// Why a step failed that changed the data for good, and what a person is to do.
fn changed_for_good(record: &UpgradeStatus, why: &str) -> String {
    let backup = record.backup.as_deref().unwrap_or("the one taken before");
    let job = attempt_name(record);
    let restored = names::ANNOTATION_RESTORED;
    let restore = format!("restore the backup {backup}, then annotate the Instance with {restored}={job}");

    if record.step_end() == record.active {
        return format!(
            "{why}; its data was changed for good, so the way back is: {restore}, and set its release back"
        );
    }
    let go_on_with = names::ANNOTATION_GO_ON_WITH;
    format!(
        "{why}; its data is half moved, so nothing runs on it before a person decides: {restore}; or run the migration \
         again on the data as it is: {go_on_with}={job}"
    )
}

/// The record of a way that goes back to one of its releases.
fn going_back(record: &UpgradeStatus, back: &str, now: Timestamp, why: &str) -> UpgradeStatus {
    let phase = if back == record.active { UpgradePhase::RolledBack } else { UpgradePhase::RollingBack };

    UpgradeStatus { active: back.to_owned(), ..entered(record, phase, now, why) }
}
