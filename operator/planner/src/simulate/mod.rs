//! When will a campaign be done? It is played on a clock of its own, by the rules by which it is carried on.
//!
//! ```text
//!  World ──View──▶ Start ──▶ simulate ──▶ Schedule        world.rs, schedule.rs
//!                              │    ▲
//!                  decide ◀────┤    │ where a target stands when
//!                              └──▶ timeline ◀── Conduct  timeline.rs: how long things take, and what fails
//! ```
//!
//! Waves, limits, calendars and the phases of an upgrade are the planner's own: [`crate::campaign::decide()`] chooses who
//! begins, [`crate::upgrade::next`] leads each target from phase to phase. Only what the world would answer is assumed:
//! how long a phase takes, and whether it fails. What depends on a person is taken for given: approvals come at once, what
//! fails is not tried again. A gate is as long unknown as its `during` asks for, and then true.

mod run;
mod schedule;
#[cfg(test)]
mod tests;
mod timeline;
mod world;

pub use run::{Start, simulate};
pub use schedule::{Schedule, TargetSchedule, WaveSchedule};
pub use world::{Unreadable, World};

use crate::rehearsal;
use gotocloud_api::upgrade::UpgradePhase;
use jiff::SignedDuration;
use std::{collections::HashMap, sync::Arc};

/// How long things take in a simulation, and what fails.
pub trait Conduct {
    /// How long a target is in that phase of a step: a backup, a migration, pods being replaced, a verification, a way
    /// back. What is made or promoted takes as long as its pods and their verification.
    fn takes(&self, target: &str, phase: UpgradePhase) -> SignedDuration;

    /// In which phase a target fails, if it does.
    fn fails_in(&self, _target: &str) -> Option<UpgradePhase> {
        None
    }

    /// How long all phases of a target take together, before it is watched, where that was measured. It outweighs what is
    /// said of single phases.
    fn whole(&self, _target: &str) -> Option<SignedDuration> {
        None
    }
}

/// How long each phase of a step takes, the same for all targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations {
    /// A backup and its verification.
    pub backup: SignedDuration,
    /// The migration job.
    pub migrate: SignedDuration,
    /// Until the new pods are ready.
    pub rollout: SignedDuration,
    /// Until all is verified.
    pub verify: SignedDuration,
}

impl Default for Durations {
    /// What is assumed where nothing was measured.
    fn default() -> Self {
        Self {
            backup: SignedDuration::from_mins(30),
            migrate: SignedDuration::from_mins(20),
            rollout: SignedDuration::from_mins(5),
            verify: SignedDuration::from_mins(1),
        }
    }
}

impl Conduct for Durations {
    fn takes(&self, _target: &str, phase: UpgradePhase) -> SignedDuration {
        match phase {
            UpgradePhase::Backup => self.backup,
            UpgradePhase::Migrate => self.migrate,
            UpgradePhase::Rollout | UpgradePhase::RollingBack => self.rollout,
            UpgradePhase::Verify => self.verify,
            UpgradePhase::Preflight
            | UpgradePhase::Soak
            | UpgradePhase::Done
            | UpgradePhase::Refused
            | UpgradePhase::Withdrawn
            | UpgradePhase::Failed
            | UpgradePhase::RolledBack => SignedDuration::ZERO,
        }
    }
}

/// What a target took when its way was rehearsed, else what a campaign's own targets took so far, and what is assumed
/// where none was changed yet.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// How long a target took on the average, without its watch.
    pub mean: Option<SignedDuration>,
    /// How long a backup and a migration of those took whose way was rehearsed.
    pub rehearsed: HashMap<Arc<str>, rehearsal::Measured>,
}

impl Conduct for Measured {
    fn takes(&self, target: &str, phase: UpgradePhase) -> SignedDuration {
        match (self.rehearsed.get(target), phase) {
            (Some(rehearsed), UpgradePhase::Backup) => rehearsed.backup,
            (Some(rehearsed), UpgradePhase::Migrate) => rehearsed.migrate,
            _ => Durations::default().takes(target, phase),
        }
    }

    fn whole(&self, target: &str) -> Option<SignedDuration> {
        self.mean.filter(|_| !self.rehearsed.contains_key(target))
    }
}
