//! One application for one establishment: what is asked, and how it stands.

use crate::{
    Quantity, SizeClass, Stage,
    conditions::Condition,
    names::INSTANCE_NAME_MAX,
    rehearsal::RehearsalStatus,
    release::EnvVar,
    upgrade::{PointOfNoReturn, Rollout, UpgradeStatus},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One application for one establishment in one environment. Its workload lives in the namespace `gtc-NAME` of its
/// platform.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gotocloud.amue.fr",
    version = "v1alpha1",
    kind = "Instance",
    derive = "PartialEq",
    namespaced,
    status = "InstanceStatus",
    shortname = "ginst",
    category = "gotocloud",
    doc = "One application for one establishment in one environment. Its workload lives in the namespace gtc-NAME of its platform.",
    printcolumn(name = "Stage", type_ = "string", json_path = ".spec.stage"),
    printcolumn(name = "Release", type_ = "string", json_path = ".status.release.version"),
    printcolumn(name = "Platform", type_ = "string", json_path = ".status.platform"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Application", type_ = "string", json_path = ".spec.application", priority = 1),
    printcolumn(name = "Establishment", type_ = "string", json_path = ".spec.establishment", priority = 1),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.endpoints[0].url", priority = 1),
    printcolumn(name = "Upgrade", type_ = "string", json_path = ".status.upgrade.phase", priority = 1),
    printcolumn(name = "Rehearsal", type_ = "string", json_path = ".status.rehearsal.phase", priority = 1),
    printcolumn(name = "Pending", type_ = "string", json_path = ".status.revision.pending", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    selectable = ".spec.application",
    selectable = ".spec.establishment",
    selectable = ".spec.stage",
    selectable = ".spec.release",
    selectable = ".spec.platform",
    validation = Rule::new(format!("size(self.metadata.name) <= {INSTANCE_NAME_MAX} && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"))
        .message(Message::Message(format!("the name of an Instance is a DNS label of at most {INSTANCE_NAME_MAX} characters, so that its namespace gtc-NAME has a valid name: shorten it")))
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(format!("(has(self.allowStageRegression) && self.allowStageRegression) || {} >= {}", rank("self"), rank("oldSelf")))
    .message(Message::Expression("'the stage cannot go back from ' + oldSelf.stage + ' to ' + self.stage + ': if that is meant, set allowStageRegression: true in the same edit'".into())))]
#[x_kube(validation = Rule::new("!has(oldSelf.platform) || (has(self.platform) && self.platform == oldSelf.platform)")
    .message("the platform cannot be edited: moving an instance moves its data, which an edit does not do"))]
pub struct InstanceSpec {
    /// Name of the Application it runs.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("application cannot change: make a new Instance"))]
    pub application: String,
    /// Name of the Establishment it serves.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("establishment cannot change: make a new Instance"))]
    pub establishment: String,
    /// What it is for. One Instance for each application, establishment and environment.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("environment cannot change: make a new Instance"))]
    pub environment: Environment,
    /// How far it is in its life.
    #[serde(default)]
    pub stage: Stage,
    /// Name of the Release to run. Leave it out where a campaign chooses; whoever sets it, pins it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub release: Option<String>,
    /// The campaign that chose `release` or `stage`, written with them. Not for people to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Name of a Release to which its way is rehearsed, on a copy of its data. Needs `CloudNativePG`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub rehearse: Option<String>,
    /// Name of the Platform to run on; none: the establishment's `homePlatform`. It cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub platform: Option<String>,
    /// Size class, instead of the establishment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_class: Option<SizeClass>,
    /// Environment variables for every component, over those of the Release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub env: Vec<EnvVar>,
    /// Storage of the database, in bytes, instead of the size class's, e.g. `40Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_storage: Option<Quantity>,
    /// What becomes of the data when the Instance is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Refuses deletion while true; none: true from partial production on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<bool>,
    /// Consent to a pending change of the pods: the `status.revision.pending` it is given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub accepted_revision: Option<String>,
    /// Lets the stage go backwards, once it is set in the same edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_stage_regression: Option<bool>,
}

impl InstanceSpec {
    /// Is deletion refused? By what the spec says, else by its stage.
    pub fn is_protected(&self) -> bool {
        self.deletion_protection.unwrap_or(self.stage.is_production())
    }
}

/// What an instance is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Environment {
    /// The establishment's work.
    #[default]
    Production,
    /// Rehearsal before production.
    PreProduction,
    /// Training of its people.
    Training,
    /// Trials.
    Test,
}

/// What becomes of the data when an Instance is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The workload goes, the data stays and is listed on the Platform.
    #[default]
    Retain,
    /// Workload and data go.
    Delete,
}

/// How an Instance stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// The generation of the spec this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is true of it, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The Platform it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The namespace its workload lives in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The stage it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The size class in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_class: Option<SizeClass>,
    /// The release whose pods are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<RunningRelease>,
    /// Its way from one release to another: the present one, or the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeStatus>,
    /// The last change of its data that cannot be undone. Absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_of_no_return: Option<PointOfNoReturn>,
    /// The rehearsal of its way to another release: the present one, or the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<RehearsalStatus>,
    /// The campaign by which its stage was last reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_rollout: Option<Rollout>,
    /// The rendered revision that pins its pods, and what waits for a consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionStatus>,
    /// Where it is reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// Where its data is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseStatus>,
    /// The grouping through which its establishment joins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grouping: Option<String>,
    /// Names of the members it serves; empty where it serves one establishment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The objects it is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
}

/// The release an instance runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunningRelease {
    /// Name of the Release.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The rendered revision that pins an instance's pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    /// Hash of what its pods are made from: the name's end of a `ControllerRevision` in its namespace.
    pub running: String,
    /// Hash of what the instance's own spec asked of its pods when that revision was made.
    pub asked: String,
    /// Name of the Release it was made from. Empty in statuses of older operators.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub release: String,
    /// Hash of what would be rendered today, where it differs. Put it in `spec.acceptedRevision` to consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// What the pending revision would change, a line for each; the first 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_changes: Vec<String>,
}

/// Where an instance is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// The component that answers.
    pub component: String,
    /// Its address.
    pub url: String,
}

/// Where an instance's data is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStatus {
    /// The server, as `HOST:PORT`, or the `CloudNativePG` Cluster, as `NAMESPACE/NAME`.
    pub server: String,
    /// Name of the database.
    pub name: String,
    /// Name of the role that owns it.
    pub role: String,
    /// Name of the Secret, in the instance's namespace, with the credentials.
    pub secret_name: String,
    /// Hash of what was last made sure of on the server, or uid of the Cluster; empty before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provisioned: String,
    /// Which database of that name it was on the server, when it was last made sure of: PostgreSQL's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oid: Option<u32>,
}

impl DatabaseStatus {
    /// Where it is, as `server` says.
    pub fn place(&self) -> DatabasePlace<'_> {
        match self.server.split_once('/') {
            Some((namespace, name)) => DatabasePlace::Cluster { namespace, name },
            None => DatabasePlace::Server(&self.server),
        }
    }
}

/// Where a database is; as a text, what [`DatabaseStatus::server`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabasePlace<'a> {
    /// In a `CloudNativePG` Cluster of the instance's own.
    Cluster {
        /// Its namespace.
        namespace: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// On a server that is there already, by its address `HOST:PORT`.
    Server(&'a str),
}

impl fmt::Display for DatabasePlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster { namespace, name } => write!(f, "{namespace}/{name}"),
            Self::Server(address) => f.write_str(address),
        }
    }
}

/// The objects an instance is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// How many.
    pub count: u32,
    /// Each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<InventoryEntry>,
}

/// One object of an inventory, in the short form Flux gives its own.
// Held as one text: an Instance has dozens, and a fleet of them is kept in memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(from = "InventoryFields", into = "InventoryFields")]
#[schemars(with = "InventoryFields")]
pub struct InventoryEntry(Box<str>);

/// What no part of an entry holds.
const BETWEEN: char = '\n';

impl InventoryEntry {
    /// An entry of those parts, which have no line breaks: `NAMESPACE_NAME_GROUP_KIND`, the version of its API, its
    /// fingerprint.
    pub fn new(id: &str, v: &str, h: &str) -> Self {
        Self(format!("{id}{BETWEEN}{v}{BETWEEN}{h}").into())
    }

    fn part(&self, at: usize) -> &str {
        self.0.splitn(3, BETWEEN).nth(at).unwrap_or_default()
    }

    /// `NAMESPACE_NAME_GROUP_KIND`; the namespace is empty for an object of the cluster.
    pub fn id(&self) -> &str {
        self.part(0)
    }

    /// Version of its API.
    pub fn v(&self) -> &str {
        self.part(1)
    }

    /// Fingerprint: hash of what was applied, a dot, hash of the fields the operator owned right after. Empty before.
    pub fn h(&self) -> &str {
        self.part(2)
    }
}

impl From<InventoryFields> for InventoryEntry {
    fn from(fields: InventoryFields) -> Self {
        Self::new(&fields.id, &fields.v, &fields.h)
    }
}

impl From<InventoryEntry> for InventoryFields {
    fn from(entry: InventoryEntry) -> Self {
        Self { id: entry.id().to_owned(), v: entry.v().to_owned(), h: entry.h().to_owned() }
    }
}

/// One object of an inventory, in the short form Flux gives its own.
#[derive(Serialize, Deserialize, JsonSchema)]
struct InventoryFields {
    /// `NAMESPACE_NAME_GROUP_KIND`; the namespace is empty for an object of the cluster.
    id: String,
    /// Version of its API.
    v: String,
    /// Fingerprint: hash of what was applied, a dot, hash of the fields the operator owned right after. Empty before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    h: String,
}

/// In CEL, the rank of the stage of `of`.
fn rank(of: &str) -> String {
    format!("({of}.stage == 'FullProduction' ? 2 : {of}.stage == 'PartialProduction' ? 1 : 0)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(server: &str) -> DatabaseStatus {
        let status = serde_json::json!({"server": server, "name": "d", "role": "d", "secretName": "database"});
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn a_database_is_in_a_cluster_by_its_name_or_on_a_server_by_its_address() {
        let cluster = DatabasePlace::Cluster { namespace: "gtc-a", name: "database" };
        assert_eq!(stored("gtc-a/database").place(), cluster);
        assert_eq!(stored("db.example.org:5432").place(), DatabasePlace::Server("db.example.org:5432"));
    }

    #[test]
    fn a_place_is_written_as_it_is_read() {
        for server in ["gtc-a/database", "db.example.org:5432", "[2001:db8::1]:5432"] {
            assert_eq!(stored(server).place().to_string(), server);
        }
    }
}
