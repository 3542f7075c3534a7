//! What is a product of the catalogue?

use crate::{Quantity, SizeClass, Stage, Window, conditions::Condition, version::VersionScheme};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A product of the catalogue: who it is for, how its versions are written, and what each size and stage implies.
/// Changing it changes no running pod: the change is listed as pending on each Instance until somebody consents.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gotocloud.amue.fr",
    version = "v1alpha1",
    kind = "Application",
    derive = "PartialEq",
    status = "ApplicationStatus",
    shortname = "gapp",
    category = "gotocloud",
    doc = "A product of the catalogue: who it is for, how its versions are written, and what each size and stage implies.",
    printcolumn(name = "Display", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "Tenancy", type_ = "string", json_path = ".spec.tenancy"),
    printcolumn(name = "Instances", type_ = "integer", json_path = ".status.instances.total"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.instances.ready"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.tenancy"
)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSpec {
    /// Name for people, as the establishments know it.
    #[schemars(length(min = 1, max = 120))]
    pub display_name: String,
    /// Who shares an instance with whom.
    #[x_kube(validation = Rule::new("self == oldSelf").message("tenancy cannot change once the application exists: make a new Application"))]
    pub tenancy: Tenancy,
    /// How versions are written and ordered. A Release whose scheme differs is not run.
    #[x_kube(validation = Rule::new("self == oldSelf").message("versionScheme cannot change once the application exists: make a new Application"))]
    pub version_scheme: VersionScheme,
    /// The database each instance gets.
    #[serde(default)]
    pub database: DatabaseEngine,
    /// What each size class of an establishment gets.
    pub sizes: SizeTable,
    /// What each stage implies.
    pub stages: StageTable,
    /// When its instances may be changed, in their establishments' local time; empty: whenever the campaign and the
    /// establishment allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub windows: Vec<Window>,
    /// Name of the Application this one replaces. Both run side by side during partial production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub predecessor: Option<String>,
    /// The links to other applications of the same establishment, which open exactly the network flows they need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub interfaces: Vec<Interface>,
}

/// Who shares an instance with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Tenancy {
    /// One instance for each establishment.
    Dedicated,
    /// One instance for each establishment or each grouping of establishments.
    Grouped,
    /// One instance for all.
    Shared,
    /// Run by somebody else: tracked, never deployed.
    External,
}

/// The database an instance gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DatabaseEngine {
    /// None.
    None,
    /// PostgreSQL, by the means the Platform offers.
    #[default]
    PostgreSQL,
}

/// What each size class gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SizeTable {
    /// For an establishment from 0.5 to under 15 M€ a year.
    pub very_small: SizeProfile,
    /// For an establishment from 15 to under 50 M€ a year.
    pub small: SizeProfile,
    /// For an establishment from 50 to under 120 M€ a year.
    pub medium: SizeProfile,
    /// For an establishment from 120 to 300 M€ a year.
    pub large: SizeProfile,
    /// For an establishment over 300 M€ a year.
    pub very_large: SizeProfile,
}

impl SizeTable {
    /// What an establishment of class `size` gets.
    pub fn of(&self, size: SizeClass) -> &SizeProfile {
        match size {
            SizeClass::VerySmall => &self.very_small,
            SizeClass::Small => &self.small,
            SizeClass::Medium => &self.medium,
            SizeClass::Large => &self.large,
            SizeClass::VeryLarge => &self.very_large,
        }
    }
}

/// What one size class gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SizeProfile {
    /// Upper limits of the instance's namespace.
    pub quota: Quota,
    /// What a component gets that `components` does not name.
    pub default_component: ComponentSize,
    /// What the components named here get instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub components: Vec<NamedComponentSize>,
    /// What the database gets; unused where the application has none.
    pub database: DatabaseSize,
}

impl SizeProfile {
    /// What the component called `component` gets.
    pub fn component(&self, component: &str) -> &ComponentSize {
        self.components
            .iter()
            .find(|named| named.name == component)
            .map_or(&self.default_component, |named| &named.size)
    }
}

/// Upper limits of an instance's namespace, a `ResourceQuota`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    /// Processors all pods may request together, e.g. `4` or `500m`.
    pub cpu: Quantity,
    /// Memory all pods may request together, in bytes, e.g. `8Gi`.
    pub memory: Quantity,
    /// Storage all claims may request together, in bytes, e.g. `50Gi`.
    pub storage: Quantity,
    /// Pods at once, those of a rolling update included.
    #[schemars(range(min = 1, max = 1000))]
    pub pods: u32,
}

/// What one component gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentSize {
    /// Pods. The stage may ask for more.
    #[schemars(range(min = 1, max = 100))]
    pub replicas: u32,
    /// Processors a pod requests, e.g. `250m`.
    pub cpu: Quantity,
    /// Memory a pod requests and may not exceed, in bytes, e.g. `512Mi`.
    pub memory: Quantity,
}

/// What the component of that name gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NamedComponentSize {
    /// Name of a component of the Release.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// What it gets.
    #[serde(flatten)]
    pub size: ComponentSize,
}

/// What the database gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DatabaseSize {
    /// Processors a database pod requests, e.g. `500m`.
    pub cpu: Quantity,
    /// Memory a database pod requests and may not exceed, in bytes, e.g. `1Gi`.
    pub memory: Quantity,
    /// Storage of the data, in bytes, e.g. `20Gi`.
    pub storage: Quantity,
}

/// What each stage implies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageTable {
    /// In stage `Provisioned`.
    pub provisioned: StageProfile,
    /// In stage `PartialProduction`.
    pub partial_production: StageProfile,
    /// In stage `FullProduction`.
    pub full_production: StageProfile,
}

impl StageTable {
    /// What `stage` implies.
    pub fn of(&self, stage: Stage) -> &StageProfile {
        match stage {
            Stage::Provisioned => &self.provisioned,
            Stage::PartialProduction => &self.partial_production,
            Stage::FullProduction => &self.full_production,
        }
    }
}

/// What one stage implies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageProfile {
    /// Fewest pods of each component, whatever the size class says.
    #[schemars(range(min = 1, max = 10))]
    pub min_replicas: u32,
    /// Database servers of an instance: a primary and its standbys.
    #[schemars(range(min = 1, max = 5))]
    pub database_instances: u32,
}

/// A link from this application to another one of the same establishment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interface {
    /// Name of the Application at the other end; it need not be in the catalogue.
    #[schemars(length(min = 1, max = 63))]
    pub peer: String,
    /// What passes, for a person.
    #[schemars(length(max = 200))]
    pub what: String,
    /// Whether the link exists today.
    pub state: InterfaceState,
}

/// Whether a link exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum InterfaceState {
    /// It is in use: the flow is open.
    Existing,
    /// It is to come: the flow is closed.
    Planned,
}

/// What the operator reports of an Application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationStatus {
    /// The generation of the spec this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Its instances, counted.
    #[serde(default)]
    pub instances: InstanceCounts,
    /// `Ready` once the operator knows the application; `ResolvedRefs` while every name it gives stands for something, if
    /// only outside the catalogue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Instances, counted by stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceCounts {
    /// All of them.
    pub total: u32,
    /// Those whose condition `Ready` is true.
    pub ready: u32,
    /// Those in stage `Provisioned`.
    pub provisioned: u32,
    /// Those in stage `PartialProduction`.
    pub partial_production: u32,
    /// Those in stage `FullProduction`.
    pub full_production: u32,
}
