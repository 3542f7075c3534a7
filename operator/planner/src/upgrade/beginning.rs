//! Which way begins, given how the one before ended, and with which phase does each of its steps begin?

use super::{
    Wanted,
    course::Course,
    record::{entered, is_half_way, kept, said, suits},
};
use crate::{path::NoWay, whole_seconds};
use gotocloud_api::upgrade::{UpgradePhase, UpgradeStatus, UpgradeStep};
use jiff::Timestamp;

/// The record of a way that begins; none where nothing new is asked for.
pub(super) fn begin(
    ended: Option<&UpgradeStatus>,
    wanted: Option<&Wanted>,
    current: &str,
    course: Course<'_>,
) -> Option<UpgradeStatus> {
    if let Some(broken) = ended.filter(|ended| is_half_way(ended)) {
        return settled(broken, wanted, current, course);
    }
    let wanted = wanted?;

    if let Some(ended) = ended.filter(|ended| is_answered(ended, wanted)) {
        return asked_anew(ended, wanted, current, course);
    }
    // What it runs already is nothing new; a campaign is told so all the same.
    if wanted.release == current && wanted.rollout.is_none() {
        return ended.and_then(|ended| taken_back(ended, wanted, course.now));
    }

    Some(begun(ended, wanted, current, course))
}

/// Was just this asked for before, and answered? By hand, any further edit asks again; a campaign asks again by another
/// attempt. That a campaign's claim goes asks for nothing.
fn is_answered(ended: &UpgradeStatus, wanted: &Wanted) -> bool {
    if ended.to != wanted.release || ended.taken_back {
        return false;
    }
    match (&ended.rollout, &wanted.rollout) {
        (Some(before), Some(now)) => before == now,
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => ended.generation == wanted.generation || ended.phase == UpgradePhase::Done,
    }
}

/// The record of what was refused to a person, once the refusal is another one or none: it holds for as long as its reason
/// does. A campaign asks again by another attempt.
fn asked_anew(ended: &UpgradeStatus, wanted: &Wanted, current: &str, course: Course<'_>) -> Option<UpgradeStatus> {
    if ended.phase != UpgradePhase::Refused || ended.rollout.is_some() {
        return None;
    }
    let again = begun(Some(ended), wanted, current, course);

    let is_same = again.phase == UpgradePhase::Refused && again.message == ended.message;
    (!is_same).then_some(again)
}

/// The record of what did not come about, once a person asks for what runs instead: the same may be asked for again.
fn taken_back(ended: &UpgradeStatus, wanted: &Wanted, now: Timestamp) -> Option<UpgradeStatus> {
    if ended.to == wanted.release || ended.taken_back {
        return None;
    }
    match ended.phase {
        UpgradePhase::Refused => Some(withdrawn(ended, now)),
        UpgradePhase::Failed | UpgradePhase::RolledBack => Some(UpgradeStatus { taken_back: true, ..ended.clone() }),
        UpgradePhase::Preflight
        | UpgradePhase::Backup
        | UpgradePhase::Migrate
        | UpgradePhase::Rollout
        | UpgradePhase::Verify
        | UpgradePhase::Soak
        | UpgradePhase::Done
        | UpgradePhase::Withdrawn
        | UpgradePhase::RollingBack => None,
    }
}

/// The record of a way that is asked for anew.
fn begun(ended: Option<&UpgradeStatus>, wanted: &Wanted, current: &str, course: Course<'_>) -> UpgradeStatus {
    let record = recorded(wanted, current, course);

    match steps(ended, wanted, current, course) {
        Ok(steps) => set_out(record, steps, course),
        Err(no_way) => entered(&record, UpgradePhase::Refused, course.now, &no_way.to_string()),
    }
}

/// What becomes of a migration that broke off: nothing before a person says that the data is restored, or that the
/// migration is to be run again on the data as it is. A further attempt of its campaign is no such word: it may have been
/// asked for before the migration broke off, and for others.
fn settled(
    broken: &UpgradeStatus,
    wanted: Option<&Wanted>,
    current: &str,
    course: Course<'_>,
) -> Option<UpgradeStatus> {
    let is_named = |word: &Option<String>| word.is_some() && *word == broken.migration;

    if is_named(&course.seen.restored) {
        let message = "a person says that its data is restored";
        return Some(entered(broken, UpgradePhase::RolledBack, course.now, message));
    }
    let wanted = wanted.filter(|wanted| wanted.release == broken.to)?;
    if !is_named(&course.seen.go_on_with) {
        return None;
    }

    // The backup is the only one of the data as it was: another try keeps it.
    let mut record = recorded(wanted, current, course);
    record.backup.clone_from(&broken.backup);
    record.revision.clone_from(&broken.revision);
    Some(set_out(record, broken.steps.iter().skip(broken.step_index()).cloned().collect(), course))
}

fn recorded(wanted: &Wanted, current: &str, course: Course<'_>) -> UpgradeStatus {
    let at = whole_seconds(course.now);

    UpgradeStatus {
        rollout: wanted.rollout.clone(),
        generation: wanted.generation,
        from: current.to_owned(),
        to: wanted.release.clone(),
        path: Vec::new(),
        steps: Vec::new(),
        step: 0,
        terms: None,
        revision: course.seen.revision.clone(),
        active: current.to_owned(),
        phase: UpgradePhase::Preflight,
        since: at.clone(),
        started_at: at,
        finished_at: None,
        backup: None,
        migration: None,
        taken_back: false,
        message: String::new(),
        log_tail: String::new(),
    }
}

/// The record as it sets out: what touches nothing yet needs none of its own.
fn set_out(record: UpgradeStatus, steps: Vec<UpgradeStep>, course: Course<'_>) -> UpgradeStatus {
    let record = UpgradeStatus { steps, terms: Some(kept(course.terms)), ..record };

    preflight(&record, course).unwrap_or(record)
}

/// The steps that lead from `current` to what is wanted.
fn steps(
    ended: Option<&UpgradeStatus>,
    wanted: &Wanted,
    current: &str,
    course: Course<'_>,
) -> Result<Vec<UpgradeStep>, NoWay> {
    let back = || vec![UpgradeStep { release: wanted.release.clone(), migration: None }];
    let no_return = course.seen.point_of_no_return.as_ref();

    // The data was restored to before its last change for good, so its history no longer speaks against going back.
    if no_return.is_some_and(|point| course.seen.restored.as_ref() == Some(&point.migration)) {
        return Ok(back());
    }
    if no_return.is_some_and(|point| course.releases.is_older(&wanted.release, &point.version)) {
        return Err(NoWay::Irreversible { from: current.to_owned(), to: wanted.release.clone() });
    }
    // Back by the way it came: what the catalogue says of it by now does not matter.
    if ended.is_some_and(|ended| ended.step_end() == current && suits(ended).any(|name| name == wanted.release)) {
        return Ok(back());
    }

    let names = course.releases.way(current, &wanted.release)?;
    let starts = std::iter::once(current).chain(names.iter().map(String::as_str));
    Ok(starts.zip(&names).map(|(before, release)| course.releases.step(before, release)).collect())
}

/// What becomes of a way that is looked at before it touches anything.
pub(super) fn preflight(record: &UpgradeStatus, course: Course<'_>) -> Option<UpgradeStatus> {
    match (&course.terms.refusal, &course.terms.hold) {
        (Some(refusal), _) => Some(entered(record, UpgradePhase::Refused, course.now, refusal)),
        (None, Some(hold)) => said(record, hold),
        (None, None) => Some(first_phase(record, course.now)),
    }
}

/// The first phase of the present step.
pub(super) fn first_phase(record: &UpgradeStatus, now: Timestamp) -> UpgradeStatus {
    match record.present_step().and_then(|step| step.migration.as_ref()) {
        Some(migration) if !migration.reversible && record.backup.is_none() => {
            entered(record, UpgradePhase::Backup, now, "a backup is taken, since the migration cannot be undone")
        }
        Some(_) => entered(record, UpgradePhase::Migrate, now, "the data is being moved"),
        None => replacing_pods(record, now),
    }
}

pub(super) fn replacing_pods(record: &UpgradeStatus, now: Timestamp) -> UpgradeStatus {
    let active = record.step_end().to_owned();

    UpgradeStatus { active, ..entered(record, UpgradePhase::Rollout, now, "its pods are being replaced") }
}

pub(super) fn withdrawn(record: &UpgradeStatus, now: Timestamp) -> UpgradeStatus {
    let active = record.step_start().to_owned();

    UpgradeStatus { active, ..entered(record, UpgradePhase::Withdrawn, now, "what was asked for was taken back") }
}
