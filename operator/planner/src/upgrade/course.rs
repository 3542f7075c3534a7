//! What decides how a way goes on: which ways there are, how carefully this one is gone, and what is seen of the instance.

use crate::path::{self, Graph, NoWay, StepFacts};
use gotocloud_api::{
    campaign::{Gate, OnFailure},
    upgrade::{PointOfNoReturn, StepMigration, UpgradeRevision, UpgradeStep},
};
use jiff::{SignedDuration, Timestamp};

/// How carefully a way is gone: what its campaign says, or what holds for an edit by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What to do if it fails.
    pub on_failure: OnFailure,
    /// How long it is watched before it is done.
    pub soak: SignedDuration,
    /// Longest that pods may take, and a verification, each.
    pub progress_deadline: SignedDuration,
    /// Longest that a backup may take.
    pub backup_deadline: SignedDuration,
    /// What has to be true of it before it is done.
    pub gates: Vec<Gate>,
    /// Why it may not begin now, though it can be done: a freeze, another application that has to go first.
    pub hold: Option<String>,
    /// Why it cannot be done at all: a requirement that nothing will meet by itself.
    pub refusal: Option<String>,
    /// Is what its spec asks to be rehearsed the wish of a campaign that is over, aborted or gone? Then nobody asks for it.
    pub is_rehearsal_over: bool,
    /// Is its campaign being aborted? Then it is not watched, and a gate that stays unknown counts as false in the end.
    pub aborting: bool,
    /// Was its campaign deleted? Then nobody can mend its gates: one that stays unknown counts as false in the end.
    pub is_campaign_gone: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            on_failure: OnFailure::Rollback,
            soak: SignedDuration::ZERO,
            progress_deadline: SignedDuration::from_mins(15),
            backup_deadline: SignedDuration::from_hours(6),
            gates: Vec::new(),
            hold: None,
            refusal: None,
            is_rehearsal_over: false,
            aborting: false,
            is_campaign_gone: false,
        }
    }
}

/// What is seen of an instance that is on its way, as far as it decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The backup of this step.
    pub backup: Backup,
    /// The migration job of this step.
    pub migration: Migration,
    /// Why the pods of the active release are not as they should be; none if they are.
    pub pods: Option<String>,
    /// Why the rest (database, route) is not as it should be; none if it is.
    pub rest: Option<String>,
    /// What the gates say.
    pub gates: Gates,
    /// Since when the whole has not been ready; none while it is.
    pub unready_since: Option<Timestamp>,
    /// Why nobody may save or move the data yet: pods that still write. `None` if there is none.
    pub writers: Option<String>,
    /// What the release before had and this one lacks, while it is still there.
    pub left_over: Option<String>,
    /// What the pods are made from.
    pub revision: Option<UpgradeRevision>,
    /// The last change of the data that cannot be undone.
    pub point_of_no_return: Option<PointOfNoReturn>,
    /// The migration, by its Job, before which a person says that the data was restored.
    pub restored: Option<String>,
    /// The migration, by its Job, that a person has run again on the data as it is.
    pub go_on_with: Option<String>,
}

/// The backup of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backup {
    /// It has not ended; what it waits for.
    Running(String),
    /// It was taken and verified; its name.
    Verified(String),
    /// There will be none; why.
    Failed(String),
}

impl Default for Backup {
    fn default() -> Self {
        Self::Running(String::new())
    }
}

/// The migration job of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Migration {
    /// It has not ended.
    #[default]
    Running,
    /// It was to be made, and nobody answered: it may be there.
    Unanswered,
    /// It did what it should.
    Succeeded,
    /// It did not; why, and the end of its log.
    Failed(String, String),
}

/// What the gates of a target say, together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Gates {
    /// All were true for as long as they must be; or there is none.
    #[default]
    True,
    /// One has not been true for long enough yet, or cannot be told; which, and why. Never taken for true.
    Unknown(String),
    /// One is false; which.
    False(String),
}

/// What decides how a way goes on.
#[derive(Clone, Copy)]
pub struct Course<'a> {
    /// Which ways there are, and what each step does to the data.
    pub releases: &'a dyn Releases,
    /// How carefully it is gone.
    pub terms: &'a Terms,
    /// What is seen of the instance.
    pub seen: &'a Seen,
    /// What time it is.
    pub now: Timestamp,
}

/// The releases of an application, as far as a way depends on them.
pub trait Releases {
    /// The names of the releases after `from` on the shortest allowed way to `to`.
    ///
    /// # Errors
    /// [`NoWay`], which says what is missing.
    fn way(&self, from: &str, to: &str) -> Result<Vec<String>, NoWay>;

    /// What the step from `before` to `release` does to the data.
    fn facts(&self, before: &str, release: &str) -> StepFacts;

    /// The step from `before` to `release`, as a record keeps it.
    fn step(&self, before: &str, release: &str) -> UpgradeStep {
        let facts = self.facts(before, release);
        let migration = StepMigration {
            reversible: !facts.irreversible,
            digest: String::new(),
            deadline_seconds: path::MIGRATION_DEADLINE_SECONDS,
        };

        UpgradeStep { release: release.to_owned(), migration: facts.migrates.then_some(migration) }
    }

    /// Is the release older than `version`? Unknown counts as no.
    fn is_older(&self, _release: &str, _version: &str) -> bool {
        false
    }
}

impl Releases for Graph {
    fn way(&self, from: &str, to: &str) -> Result<Vec<String>, NoWay> {
        Graph::way(self, from, to)
    }

    fn facts(&self, before: &str, release: &str) -> StepFacts {
        Graph::facts(self, before, release)
    }

    fn step(&self, before: &str, release: &str) -> UpgradeStep {
        Graph::step(self, before, release)
    }

    fn is_older(&self, release: &str, version: &str) -> bool {
        Graph::is_older(self, release, version)
    }
}
