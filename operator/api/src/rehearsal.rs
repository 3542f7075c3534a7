//! How did an instance's way to another release go on a copy of its data?

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A rehearsal of an instance's way to another release: a backup taken for it is restored beside the database, and the
/// migrations of the way are run on that copy. The instance itself goes on, untouched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RehearsalStatus {
    /// The generation of the spec in which it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Name of the Release that ran when it began.
    pub from: String,
    /// Name of the Release it goes to.
    pub to: String,
    /// Names of the Releases on the way, `to` the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// Which of them the copy is being brought to, from 0.
    #[serde(default)]
    pub step: u32,
    /// Where it is.
    pub phase: RehearsalPhase,
    /// Since when it is in this phase, and in this step of it.
    pub since: Time,
    /// When it began.
    pub started_at: Time,
    /// When it ended, well or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Name of the Backup that was taken for it, once that is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// When that was restored, and found good enough for a server to run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_at: Option<Time>,
    /// How long the backup took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub backup_seconds: Option<u32>,
    /// How long the restore took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub restore_seconds: Option<u32>,
    /// How long the migrations took so far, all together, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub migrate_seconds: u32,
    /// What it waits for, or why it failed: a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The end of the migration's log, where it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log_tail: String,
}

/// Where a rehearsal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RehearsalPhase {
    /// A backup is taken.
    Backup,
    /// It is restored, beside the database.
    Restore,
    /// A migration runs on the copy.
    Migrate,
    /// All went well. The copy is gone.
    Done,
    /// It did not. The copy is gone.
    Failed,
    /// It was taken back before it ended, or the instance changed under it. The copy is gone.
    Withdrawn,
}

impl RehearsalPhase {
    /// Has it ended?
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Done | Self::Failed | Self::Withdrawn => true,
            Self::Backup | Self::Restore | Self::Migrate => false,
        }
    }
}

impl fmt::Display for RehearsalPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
