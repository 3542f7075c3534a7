//! When does nothing change, and what may all the same?

use crate::{calendar::Period, conditions::Condition, version::UpgradeKind};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A period in which no change begins, such as the registrations each summer. What has begun is finished.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gotocloud.amue.fr",
    version = "v1alpha1",
    kind = "ChangeFreeze",
    derive = "PartialEq",
    status = "ChangeFreezeStatus",
    shortname = "gfreeze",
    category = "gotocloud",
    doc = "A period in which no change begins, such as the registrations each summer. What has begun is finished.",
    printcolumn(name = "From", type_ = "string", json_path = ".status.from"),
    printcolumn(name = "Until", type_ = "string", json_path = ".status.until"),
    printcolumn(name = "Active", type_ = "string", json_path = ".status.conditions[?(@.type=='Active')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ChangeFreezeSpec {
    /// Why, in words that those who are held up understand.
    #[schemars(length(min = 1, max = 300))]
    pub reason: String,
    /// When, in the local time of each establishment.
    pub period: Period,
    /// Names of the Applications it holds; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 63)))]
    pub applications: Vec<String>,
    /// Names of the Establishments it holds, or of groupings, which stand for their members; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(max = 63)))]
    pub establishments: Vec<String>,
    /// What may change all the same, and who said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub exceptions: Vec<FreezeException>,
}

/// What may change during a freeze all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreezeException {
    /// The weightiest upgrade that may pass: `Patch` lets patches pass, `Revision` revisions too, and so on.
    pub up_to: UpgradeKind,
    /// Names of the Releases it is for; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 253)))]
    pub releases: Vec<String>,
    /// Who allowed it: a person.
    #[schemars(length(min = 1, max = 120))]
    pub approved_by: String,
    /// Why.
    #[schemars(length(min = 1, max = 300))]
    pub reason: String,
}

/// What the operator reports of a freeze.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeFreezeStatus {
    /// The generation of the spec this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// First day of the period that is now or comes next, `YYYY-MM-DD`; none once there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Last day of that period, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// `Ready` once it can be read and there is somebody it is for; `Active` while it holds anywhere; `ResolvedRefs` while
    /// every name it gives stands for something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
