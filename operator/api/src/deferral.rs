//! How does an establishment say "not now"?

use crate::conditions::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An establishment's wish that a campaign leave its instances alone until a day. It counts within the campaign's
/// `maxDeferralDays`, and in the namespace that its Establishment names as its own.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gotocloud.amue.fr",
    version = "v1alpha1",
    kind = "Deferral",
    derive = "PartialEq",
    namespaced,
    status = "DeferralStatus",
    shortname = "gdefer",
    category = "gotocloud",
    doc = "An establishment's wish that a campaign leave its instances alone until a day.",
    printcolumn(name = "Establishment", type_ = "string", json_path = ".spec.establishment"),
    printcolumn(name = "Campaign", type_ = "string", json_path = ".spec.campaign"),
    printcolumn(name = "Until", type_ = "string", json_path = ".spec.until"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason"),
    selectable = ".spec.campaign",
    selectable = ".spec.establishment"
)]
#[serde(rename_all = "camelCase")]
pub struct DeferralSpec {
    /// Name of the Establishment that wishes it.
    #[schemars(length(min = 1, max = 63))]
    pub establishment: String,
    /// Name of the Campaign.
    #[schemars(length(min = 1, max = 253))]
    pub campaign: String,
    /// Until when, RFC 3339.
    pub until: Time,
    /// Why.
    #[schemars(length(min = 1, max = 300))]
    pub reason: String,
}

/// What the operator reports of a Deferral.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeferralStatus {
    /// The generation of the spec this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` while it counts; `Stalled` where it never will as it is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
