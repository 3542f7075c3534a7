//! What does the record of a way say, and how is it written on?

use super::{
    attempt_name,
    course::{Releases, Terms},
};
use crate::{path, whole_seconds};
use gotocloud_api::upgrade::{StepMigration, UpgradePhase, UpgradeStatus, UpgradeStep, UpgradeTerms};
use jiff::Timestamp;
use std::borrow::Cow;

/// The record with what an older operator looked up each time: its steps and its terms.
pub(super) fn carried_over<'r>(
    record: &'r UpgradeStatus,
    releases: &dyn Releases,
    terms: Option<&Terms>,
) -> Cow<'r, UpgradeStatus> {
    if record.path.is_empty() {
        return Cow::Borrowed(record);
    }
    let mut carried = record.clone();
    let names = std::mem::take(&mut carried.path);

    let starts = std::iter::once(&record.from).chain(&names);
    carried.steps = starts.zip(&names).map(|(before, release)| releases.step(before, release)).collect();
    carried.terms = terms.map(kept);

    // Only what cannot be undone was backed up before, whatever its Release says by now.
    if record.backup.is_some()
        && let Some(step) = carried.steps.get_mut(record.step_index())
        && !step.is_irreversible()
    {
        let deadline_seconds = path::MIGRATION_DEADLINE_SECONDS;
        step.migration = Some(StepMigration { reversible: false, digest: String::new(), deadline_seconds });
    }
    // A migration that broke off was noted only if it was seen to run before.
    if record.phase == UpgradePhase::Failed && record.backup.is_some() && carried.step_end() != carried.active {
        carried.migration.get_or_insert_with(|| attempt_name(record));
    }

    Cow::Owned(carried)
}

/// Did a migration that cannot be undone begin, and not end well? Then neither release can run on the data.
pub(crate) fn is_half_way(record: &UpgradeStatus) -> bool {
    if record.phase != UpgradePhase::Failed {
        return false;
    }
    // In records of older operators only what cannot be undone was backed up before.
    if let Some(end) = record.path.get(record.step_index()) {
        return record.backup.is_some() && *end != record.active;
    }
    record.migration.is_some()
        && record.present_step().is_some_and(UpgradeStep::is_irreversible)
        && record.step_end() != record.active
}

/// The terms of a record; those of today if it has none.
pub(crate) fn terms_of<'r>(record: &'r UpgradeStatus, today: &Terms) -> Cow<'r, UpgradeTerms> {
    record.terms.as_ref().map_or_else(|| Cow::Owned(kept(today)), Cow::Borrowed)
}

/// The terms as a record keeps them.
pub(super) fn kept(terms: &Terms) -> UpgradeTerms {
    UpgradeTerms {
        on_failure: terms.on_failure,
        soak_seconds: terms.soak.as_secs(),
        progress_deadline_seconds: terms.progress_deadline.as_secs(),
        backup_deadline_seconds: terms.backup_deadline.as_secs(),
        gates: terms.gates.clone(),
    }
}

/// The releases of a way that its data still suits, before the one that the present step ends at, the latest first: back
/// over every step, up to one that cannot be undone.
pub(super) fn suits(record: &UpgradeStatus) -> impl Iterator<Item = &str> {
    let gone = record.steps.iter().take(record.step_index().saturating_add(1));
    let starts = std::iter::once(record.from.as_str()).chain(record.steps.iter().map(|step| step.release.as_str()));

    let mut crossed: Vec<(&str, &UpgradeStep)> = starts.zip(gone).collect();
    crossed.reverse();
    crossed.into_iter().take_while(|(_, step)| !step.is_irreversible()).map(|(start, _)| start)
}

/// The record in another phase.
pub(super) fn entered(record: &UpgradeStatus, phase: UpgradePhase, now: Timestamp, message: &str) -> UpgradeStatus {
    let at = whole_seconds(now);

    UpgradeStatus {
        phase,
        since: at.clone(),
        finished_at: phase.is_terminal().then_some(at),
        message: message.to_owned(),
        ..record.clone()
    }
}

/// The record with another message, where it is another.
pub(super) fn said(record: &UpgradeStatus, message: &str) -> Option<UpgradeStatus> {
    (record.message != message).then(|| UpgradeStatus { message: message.to_owned(), ..record.clone() })
}
