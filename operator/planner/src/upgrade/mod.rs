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

mod machine;
#[cfg(test)]
mod tests;

pub(crate) use machine::is_half_way;
pub use machine::{Backup, Course, Gates, Migration, Releases, Seen, Terms, next};

use crate::path::{self, StepFacts};
use gotocloud_api::{
    Instance,
    upgrade::{Rollout, UpgradePhase, UpgradeStatus},
};

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

/// Name of the Release the pods of an Instance are to run now: what its record says, else what runs, else what is
/// asked for, which is how a new instance starts.
pub fn active(instance: &Instance) -> Option<&str> {
    let status = instance.status.as_ref();
    let recorded = status.and_then(|status| status.upgrade.as_ref()).map(|upgrade| upgrade.active.as_str());
    let running = || status.and_then(|status| status.release.as_ref()).map(|release| release.name.as_str());
    recorded.or_else(running).or(instance.spec.release.as_deref())
}

/// Name of the Release that the present step of an Instance's way ends at; none where no way is under way.
pub fn target(instance: &Instance) -> Option<&str> {
    let upgrade = instance.status.as_ref()?.upgrade.as_ref()?;
    (!upgrade.phase.is_terminal()).then(|| step_end(upgrade)).flatten()
}

/// What the present step of a way does to the data.
pub fn facts(upgrade: &UpgradeStatus, releases: &dyn Releases) -> StepFacts {
    releases.facts(machine::came_from(upgrade), step_end(upgrade).unwrap_or(&upgrade.to))
}

/// Name of the Backup and of the migration Job of the present step and try: another for each.
pub fn attempt_name(upgrade: &UpgradeStatus) -> String {
    let attempt = (&upgrade.rollout, &upgrade.started_at, upgrade.step, step_end(upgrade));
    format!("upgrade-{}", &crate::fingerprint::of(&attempt)[..10])
}

fn step_end(upgrade: &UpgradeStatus) -> Option<&str> {
    path::step_end(&upgrade.path, upgrade.step)
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

/// What the present phase asks for, given whether the step is irreversible.
pub fn wants(upgrade: &UpgradeStatus, irreversible: bool) -> Wants {
    match upgrade.phase {
        UpgradePhase::Backup => Wants { backup: true, migration: false, no_pods: irreversible },
        UpgradePhase::Migrate => Wants { backup: false, migration: true, no_pods: irreversible },
        // A migration that failed half way leaves data that neither release can run on.
        UpgradePhase::Failed => Wants { no_pods: irreversible && machine::is_half_way(upgrade), ..Wants::default() },
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
