//! How does a person say that a wave may begin?

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// A person's word that a wave of a campaign may begin. An object of its own, so that rights say who may give one, and that
/// whoever holds the campaign in Git takes none away.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gotocloud.amue.fr",
    version = "v1alpha1",
    kind = "Approval",
    derive = "PartialEq",
    shortname = "gappr",
    category = "gotocloud",
    doc = "A person's word that a wave of a campaign may begin.",
    printcolumn(name = "Campaign", type_ = "string", json_path = ".spec.campaign"),
    printcolumn(name = "Wave", type_ = "string", json_path = ".spec.wave"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.by"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.campaign"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("an Approval cannot be edited: delete it to take the word back, and make another"))]
pub struct ApprovalSpec {
    /// Name of the Campaign.
    #[schemars(length(min = 1, max = 253))]
    pub campaign: String,
    /// Its uid: then the word is for this campaign, and for none made anew under its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub campaign_uid: Option<String>,
    /// Name of its wave.
    #[schemars(length(min = 1, max = 63))]
    pub wave: String,
    /// Who: the name under which the API server knows the person who writes this; anybody else's is refused.
    #[schemars(length(min = 1, max = 253))]
    pub by: String,
    /// Why, if it is to be remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub reason: Option<String>,
}
