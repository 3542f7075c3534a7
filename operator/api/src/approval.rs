//! How does a person say that a wave may begin, or that a campaign may end late?

use crate::conditions::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A person's word that a wave of a campaign may begin, or that all of it may be done later than its `finishBy`. An object
/// of its own, so that rights say who may give one, and that whoever holds the campaign in Git takes none away.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gotocloud.amue.fr",
    version = "v1alpha1",
    kind = "Approval",
    derive = "PartialEq",
    status = "ApprovalStatus",
    shortname = "gappr",
    category = "gotocloud",
    doc = "A person's word that a wave of a campaign may begin, or that all of it may be done later than its `finishBy`.",
    printcolumn(name = "Campaign", type_ = "string", json_path = ".spec.campaign"),
    printcolumn(name = "Wave", type_ = "string", json_path = ".spec.wave"),
    printcolumn(name = "Until", type_ = "string", json_path = ".spec.finishBy"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.by"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.campaign"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("an Approval cannot be edited: delete it to take the word back, and make another"))]
#[x_kube(validation = Rule::new("has(self.wave) != has(self.finishBy)")
    .message("an Approval says either which wave may begin or until when all of it may be done: give wave or finishBy"))]
pub struct ApprovalSpec {
    /// Name of the Campaign.
    #[schemars(length(min = 1, max = 253))]
    pub campaign: String,
    /// Its uid: then the word is for this campaign, and for none made anew under its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub campaign_uid: Option<String>,
    /// Name of its wave, which may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub wave: Option<String>,
    /// Until when all of it may be done, RFC 3339, though it says an earlier `finishBy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_by: Option<Time>,
    /// Who: the name under which the API server knows the person who writes this; anybody else's is refused.
    #[schemars(length(min = 1, max = 253))]
    pub by: String,
    /// Why, if it is to be remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub reason: Option<String>,
}

/// What the operator reports of an Approval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// The generation of the spec this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` while it counts; `Stalled` where it never will as it is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
