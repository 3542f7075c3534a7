//! For whom do instances run?

use crate::{SizeClass, Window, application::InstanceCounts, conditions::Condition, size::CEL_CLASS_OF_MASS, uai::Uai};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tenant: an establishment, or a grouping of several that share an instance or join together.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gotocloud.amue.fr",
    version = "v1alpha1",
    kind = "Establishment",
    derive = "PartialEq",
    status = "EstablishmentStatus",
    shortname = "gest",
    category = "gotocloud",
    doc = "A tenant: an establishment, or a grouping of several that share an instance or join together.",
    printcolumn(name = "Display", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.sizeClass"),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.members"),
    printcolumn(name = "Instances", type_ = "integer", json_path = ".status.instances.total"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.instances.ready"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.homePlatform"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(format!("!has(self.sizeClass) || !has(self.yearlyMassMillionEuros) || self.sizeClass == {CEL_CLASS_OF_MASS}"))
    .message(Message::Expression(format!("'a yearly mass of %s M€ makes the size class %s, not %s: correct one of them, or leave sizeClass out'.format([self.yearlyMassMillionEuros, {CEL_CLASS_OF_MASS}, self.sizeClass])"))))]
pub struct EstablishmentSpec {
    /// Name for people, as the establishment writes it.
    #[schemars(length(min = 1, max = 200))]
    pub display_name: String,
    /// National code: seven digits and their check letter, e.g. 0751717J.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(crate::uai::CEL_RULE).message(Message::Expression(crate::uai::CEL_MESSAGE.into())))]
    pub uai: Option<Uai>,
    /// Yearly financial mass, in millions of euros; it gives the size class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub yearly_mass_million_euros: Option<f64>,
    /// Size class, where the mass is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_class: Option<SizeClass>,
    /// IANA time zone its nights are counted in, e.g. `Pacific/Tahiti`.
    #[serde(default = "time_zone")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"))]
    pub time_zone: String,
    /// When its instances may be changed, in its local time; empty: whenever the campaign and the application allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub windows: Vec<Window>,
    /// The namespace in which its own people may write Deferrals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
    /// Name of the Platform its instances run on, where the Instance names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub home_platform: Option<String>,
    /// Makes this a grouping, and says of whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grouping: Option<Grouping>,
    /// Where its people are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<IdentityProvider>,
    /// Whom to tell what happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub contacts: Vec<Contact>,
}

/// The time zone of whoever names none.
pub const TIME_ZONE: &str = "Europe/Paris";

fn time_zone() -> String {
    TIME_ZONE.into()
}

/// Of whom a grouping is made.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grouping {
    /// Names of the Applications it is for. An establishment joins at most one grouping for each application.
    #[schemars(length(min = 1, max = 20), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub applications: Vec<String>,
    /// Who has the instances.
    pub instances: GroupingInstances,
    /// The members.
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub members: Vec<Member>,
}

/// Who has the instances of a grouping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum GroupingInstances {
    /// The grouping has one, which its members share.
    Shared,
    /// Each member has its own.
    PerMember,
}

/// A member of a grouping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Name of its Establishment, or a name of the same form where it has none: a DNS label.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Name for people, where it has no Establishment of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub display_name: Option<String>,
}

/// Where an establishment's people are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityProvider {
    /// Address of its OpenID Connect issuer.
    #[schemars(length(max = 400), regex(pattern = "^https://"))]
    pub issuer: String,
}

/// Whom to tell what happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contact {
    /// Who it is, e.g. a function.
    #[schemars(length(min = 1, max = 120))]
    pub name: String,
    /// E-mail address.
    #[schemars(length(max = 254), regex(pattern = "^[^@ ]+@[^@ ]+$"))]
    pub email: String,
}

/// What the operator reports of an Establishment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EstablishmentStatus {
    /// The generation of the spec this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The size class in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_class: Option<SizeClass>,
    /// Members of the grouping; 0 for an establishment.
    #[serde(default)]
    pub members: u32,
    /// The groupings it joins, as `APPLICATION: GROUPING`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groupings: Vec<String>,
    /// Its instances, counted. It cannot be deleted while there is one.
    #[serde(default)]
    pub instances: InstanceCounts,
    /// `Ready` once nothing contradicts it; `ResolvedRefs` while every name it gives stands for something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
