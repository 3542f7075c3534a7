//! What is the next phase of an instance's way from one release to another?
//!
//! ```text
//!  Preflight ─▶ Backup ─▶ Migrate ─▶ Rollout ─▶ Verify ─▶ Soak ─▶ Done
//!      │           │          │         │          │        │
//!      ▼           ▼          └─────────┴────┬─────┴────────┘
//!   Refused     Failed                       ▼
//!   Withdrawn   Withdrawn          RollingBack ─▶ RolledBack, or Failed: a person is needed
//! ```
//!
//! A record of the way stands in the Instance's status. [`next`] gives the record that follows from it, or none where
//! nothing changes. The shell writes a record before it acts on it, so a process that dies in between finds in the next
//! one what it had decided. What is done in a phase follows from the record alone: which release the pods run
//! ([`active`]), whether a backup or a migration is asked for ([`wants`]).

mod beginning;
mod course;
#[cfg(test)]
mod exits;
mod machine;
mod record;
#[cfg(test)]
mod tests;
mod writers;

pub use course::{Backup, Course, Gates, Migration, Releases, Seen, Terms};
pub use machine::next;
pub(crate) use record::{is_half_way, terms_of};
pub use writers::writers;

use gotocloud_api::{
    Instance,
    upgrade::{Rollout, UpgradePhase, UpgradeStatus, UpgradeStep},
};
use std::borrow::Cow;

/// What an instance is asked to run, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Name of the Release.
    pub release: String,
    /// The campaign behind it; none: a person.
    pub rollout: Option<Rollout>,
    /// The generation of the spec that asks for it.
    pub generation: Option<i64>,
}

/// What an Instance's spec asks it to run; none where it asks for nothing. What somebody edited after a campaign wrote it
/// is asked by hand.
pub fn wanted(instance: &Instance) -> Option<Wanted> {
    let release = instance.spec.release.clone()?;
    Some(Wanted {
        rollout: instance.spec.rollout.clone().filter(|rollout| rollout.wants == release),
        release,
        generation: instance.metadata.generation,
    })
}

/// Name of the Release the pods of an Instance are to run now: what its record says, else what runs, else what pods were
/// asked for that are not ready yet, else what is asked for, which is how a new instance starts.
pub fn active(instance: &Instance) -> Option<&str> {
    let Some(status) = instance.status.as_ref() else { return instance.spec.release.as_deref() };
    let recorded = status.upgrade.as_ref().map(|upgrade| &upgrade.active);
    let running = status.release.as_ref().map(|release| &release.name);
    let begun = status.revision.as_ref().map(|revision| &revision.release).filter(|release| !release.is_empty());

    recorded.or(running).or(begun).or(instance.spec.release.as_ref()).map(String::as_str)
}

/// Which Release an Instance's data is of: the one that its pods run or were asked to run. Data that a migration left half moved
/// is of none, and says so. `None` if there never were pods.
pub fn data_is_of(instance: &Instance) -> Option<String> {
    let status = instance.status.as_ref()?;
    let has_begun = status.upgrade.is_some() || status.release.is_some() || status.revision.is_some();
    let is_half_moved = |way: &&UpgradeStatus| is_half_way(way) || way.phase == UpgradePhase::Migrate;

    match status.upgrade.as_ref().filter(is_half_moved) {
        Some(way) => Some(format!("{} half moved to {}", way.step_start(), way.step_end())),
        None => active(instance).filter(|_| has_begun).map(str::to_owned),
    }
}

/// The record of an Instance's way, in today's form; none where it never went one. One of an older operator is given those
/// terms to keep, if they are known.
pub fn record<'i>(
    instance: &'i Instance,
    releases: &dyn Releases,
    terms: Option<&Terms>,
) -> Option<Cow<'i, UpgradeStatus>> {
    let record = instance.status.as_ref()?.upgrade.as_ref()?;

    Some(record::carried_over(record, releases, terms))
}

/// Names of the Releases that an Instance still has to be made from: of a way under way those it has not reached, else those
/// of the way that its spec asks for. The first is where the present step ends.
pub fn ahead(instance: &Instance, releases: &dyn Releases) -> Vec<String> {
    let record = record(instance, releases, None);

    if let Some(record) = record.filter(|record| !record.phase.is_terminal()) {
        let is_reached = record.step_end() == record.active && record.phase != UpgradePhase::Preflight;
        let reached = record.step_index().saturating_add(usize::from(is_reached));
        return record.steps.iter().skip(reached).map(|step| step.release.clone()).collect();
    }
    let (Some(wanted), Some(current)) = (wanted(instance), active(instance)) else { return Vec::new() };
    if wanted.release == current {
        return Vec::new();
    }
    releases.way(current, &wanted.release).unwrap_or_else(|_| vec![wanted.release])
}

/// Name of the Backup and of the migration Job of the present step and try: another for each.
pub fn attempt_name(upgrade: &UpgradeStatus) -> String {
    let end = upgrade.path.get(upgrade.step_index()).map_or_else(|| upgrade.step_end(), String::as_str);
    let attempt = (&upgrade.rollout, &upgrade.started_at, upgrade.step, Some(end));

    format!("upgrade-{}", &crate::fingerprint::of(&attempt)[..10])
}

/// What a phase asks for, beside pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// A backup, to be verified.
    pub backup: bool,
    /// The migration job of the release that the step ends at.
    pub migration: bool,
    /// No pods: the data changes under them in a way that they cannot bear.
    pub no_pods: bool,
}

impl Wants {
    /// Is data to be saved or moved, to which nobody may write meanwhile?
    pub fn asks_for_quiet(self) -> bool {
        self.no_pods && (self.backup || self.migration)
    }
}

/// What the present phase asks for.
pub fn wants(upgrade: &UpgradeStatus) -> Wants {
    let irreversible = upgrade.present_step().is_some_and(UpgradeStep::is_irreversible);

    match upgrade.phase {
        UpgradePhase::Backup => Wants { backup: true, migration: false, no_pods: irreversible },
        UpgradePhase::Migrate => Wants { backup: false, migration: true, no_pods: irreversible },
        // A migration that broke off leaves data that neither release can run on.
        UpgradePhase::Failed => Wants { no_pods: is_half_way(upgrade), ..Wants::default() },
        UpgradePhase::Preflight
        | UpgradePhase::Rollout
        | UpgradePhase::Verify
        | UpgradePhase::Soak
        | UpgradePhase::Done
        | UpgradePhase::Refused
        | UpgradePhase::Withdrawn
        | UpgradePhase::RollingBack
        | UpgradePhase::RolledBack => Wants::default(),
    }
}
