//! How far is an instance on its way from one release to another?

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

/// An instance's way from one release to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeStatus {
    /// Who asked for it; none: a person, by an edit of `spec.release`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The generation of the spec in which it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Name of the Release it came from.
    pub from: String,
    /// Name of the Release it goes to.
    pub to: String,
    /// Names of the Releases on the way, `to` the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// Which of them is being reached, from 0.
    #[serde(default)]
    pub step: u32,
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
    /// What it waits for, or why it failed: a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The end of the migration's log, where it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log_tail: String,
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
