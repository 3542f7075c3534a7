//! How far is an instance on its way from one release to another?

use crate::campaign::{Gate, OnFailure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who asked for an instance's release or stage: written by a campaign, in the same write.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// Name of the Campaign.
    #[schemars(length(min = 1, max = 253))]
    pub campaign: String,
    /// Its uid: a campaign made anew under the same name is another one.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Name of its wave.
    #[schemars(length(max = 63))]
    pub wave: String,
    /// Which try this is, from 1.
    #[schemars(range(min = 1, max = 10000))]
    pub attempt: u32,
    /// The Release or the stage that was written with it: where the spec says otherwise, somebody edited it since.
    #[schemars(length(max = 253))]
    pub wants: String,
}

/// An instance's way from one release to another. What it holds was decided when the way began: a later edit or deletion
/// of a Release, an Application or a Campaign changes nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeStatus {
    /// Who asked for it. Absent if a person did, by an edit of `spec.release`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The generation of the spec in which it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Name of the Release it came from.
    pub from: String,
    /// Name of the Release it goes to.
    pub to: String,
    /// Names of the Releases on the way, in records of older operators; a newer one has `steps`, and writes no `path`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// The steps of the way, the last of which ends at `to`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<UpgradeStep>,
    /// Which of them is being gone, from 0.
    #[serde(default)]
    pub step: u32,
    /// How patiently it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<UpgradeTerms>,
    /// What its pods were made from when it began. Absent in records of older operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<UpgradeRevision>,
    /// Name of the Release its pods are asked to run now.
    pub active: String,
    /// Where it is.
    pub phase: UpgradePhase,
    /// Since when it is in this phase.
    pub since: Time,
    /// When it began.
    pub started_at: Time,
    /// When it ended, well or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// The backup taken for the present step, once it is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// Name of the Job that moves the data in the present step, once it was seen: it is not made a second time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<String>,
    /// Did a person take back what failed? Then the same may be asked for again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_back: bool,
    /// What it waits for, or why it failed: a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The end of the migration's log, if it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log_tail: String,
}

/// What pods were made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct UpgradeRevision {
    /// Hash of it: the name's end of a `ControllerRevision` in the namespace of the instance.
    pub running: String,
    /// Hash of what the instance's own spec asked of its pods.
    pub asked: String,
}

/// One step of a way, as it was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeStep {
    /// Name of the Release it ends at.
    pub release: String,
    /// The job that moves the data. Absent if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<StepMigration>,
}

/// The job of a step that moves the data, as it was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepMigration {
    /// Can the Release before run on the data after it?
    pub reversible: bool,
    /// Hash of the Release's `migration`: another one is not run in its place. Empty in records of older operators.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Longest that it may take, in seconds.
    pub deadline_seconds: i64,
}

impl UpgradeStep {
    /// Does it change the data so that the Release before cannot run on it?
    pub fn is_irreversible(&self) -> bool {
        self.migration.as_ref().is_some_and(|migration| !migration.reversible)
    }
}

/// How patiently a way is gone: as its campaign said when it began, or as an edit by hand is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeTerms {
    /// What to do if it fails.
    pub on_failure: OnFailure,
    /// How long it is watched before it is done, in seconds.
    pub soak_seconds: i64,
    /// Longest that pods may take to be ready, and a verification to succeed, each, in seconds.
    pub progress_deadline_seconds: i64,
    /// Longest that a backup may take, in seconds.
    pub backup_deadline_seconds: i64,
    /// What its wave asked to be true of it. While the campaign has a wave of that name, what that asks today counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub gates: Vec<Gate>,
}

/// The last change of an instance's data that cannot be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PointOfNoReturn {
    /// Name of the Release whose migration changed it: no older one can run on the data.
    pub release: String,
    /// Version of that Release, as its scheme writes it.
    pub version: String,
    /// When the migration was done.
    pub at: Time,
    /// Name of the migration's Job. The annotation `gotocloud.amue.fr/restored` names it once the data is restored.
    pub migration: String,
    /// The backup that was taken before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
}

impl UpgradeStatus {
    /// The present step; `None` if the way has none, as one that was refused.
    pub fn present_step(&self) -> Option<&UpgradeStep> {
        self.steps.get(self.step_index())
    }

    /// Name of the Release that the present step ends at.
    pub fn step_end(&self) -> &str {
        self.present_step().map_or(&self.to, |step| &step.release)
    }

    /// Name of the Release that the present step started from.
    pub fn step_start(&self) -> &str {
        let before = self.step_index().checked_sub(1);
        before.and_then(|before| self.steps.get(before)).map_or(&self.from, |step| &step.release)
    }

    /// Place of the present step among [`Self::steps`].
    pub fn step_index(&self) -> usize {
        usize::try_from(self.step).unwrap_or(usize::MAX)
    }
}

/// Where an upgrade is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum UpgradePhase {
    /// Whether it can be done is looked at. Nothing is touched.
    Preflight,
    /// A backup is taken and verified. Nothing is touched.
    Backup,
    /// The data is moved.
    Migrate,
    /// Pods are replaced.
    Rollout,
    /// The whole is looked at: pods, database, route, gates.
    Verify,
    /// It is watched for a while.
    Soak,
    /// It is done.
    Done,
    /// It cannot be done as asked; nothing was touched.
    Refused,
    /// It was taken back before it touched anything.
    Withdrawn,
    /// It failed and stays as it is: a person is needed.
    Failed,
    /// It failed, and goes back to the release it came from.
    RollingBack,
    /// It is back on the release it came from.
    RolledBack,
}

impl UpgradePhase {
    /// Every phase.
    pub const ALL: [Self; 12] = [
        Self::Preflight,
        Self::Backup,
        Self::Migrate,
        Self::Rollout,
        Self::Verify,
        Self::Soak,
        Self::Done,
        Self::Refused,
        Self::Withdrawn,
        Self::Failed,
        Self::RollingBack,
        Self::RolledBack,
    ];

    /// Has it ended? Nothing moves any more before somebody asks for something else.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Done | Self::Refused | Self::Withdrawn | Self::Failed | Self::RolledBack => true,
            Self::Preflight
            | Self::Backup
            | Self::Migrate
            | Self::Rollout
            | Self::Verify
            | Self::Soak
            | Self::RollingBack => false,
        }
    }

    /// May it still be taken back without a trace?
    pub fn has_touched_nothing(self) -> bool {
        match self {
            Self::Preflight | Self::Backup | Self::Refused | Self::Withdrawn => true,
            Self::Migrate
            | Self::Rollout
            | Self::Verify
            | Self::Soak
            | Self::Done
            | Self::Failed
            | Self::RollingBack
            | Self::RolledBack => false,
        }
    }
}

impl fmt::Display for UpgradePhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
