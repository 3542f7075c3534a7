//! What is one version of an application made of?

use crate::{Duration, Quantity, conditions::Condition, version::VersionScheme};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One version of an application: its components by image digest, and how an instance gets there. What runs by a Release
/// cannot change under its instances: everything but the support dates is immutable.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gotocloud.amue.fr",
    version = "v1alpha1",
    kind = "Release",
    derive = "PartialEq",
    status = "ReleaseStatus",
    shortname = "grel",
    category = "gotocloud",
    doc = "One version of an application: its components by image digest, and how an instance gets there.",
    printcolumn(name = "Application", type_ = "string", json_path = ".spec.application"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Instances", type_ = "integer", json_path = ".status.instances"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.application",
    selectable = ".spec.version"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(version_rule()).message(Message::Expression(version_message())))]
#[x_kube(validation = Rule::new("self.components.size() == oldSelf.components.size() && \
    self.components.all(one, oldSelf.components.exists(old, old.name == one.name)) && self.application == oldSelf.application && \
    self.version == oldSelf.version && self.versionScheme == oldSelf.versionScheme && \
    has(self.migration) == has(oldSelf.migration) && (!has(self.migration) || self.migration == oldSelf.migration) && \
    has(self.generatedSecrets) == has(oldSelf.generatedSecrets) && \
    (!has(self.generatedSecrets) || self.generatedSecrets == oldSelf.generatedSecrets)")
    .message(IMMUTABLE))]
pub struct ReleaseSpec {
    /// Name of the Application this is a version of.
    #[schemars(length(min = 1, max = 63))]
    pub application: String,
    /// How the version is written; the same as the Application's.
    pub version_scheme: VersionScheme,
    /// The version, written as `versionScheme` says.
    #[schemars(length(min = 1, max = 256))]
    pub version: String,
    /// What it is made of.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub components: Vec<Component>,
    /// Secrets made once for each instance, with random letters and digits, and never shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub generated_secrets: Vec<GeneratedSecret>,
    /// Versions an instance may come from, as their Releases write them; empty: from any older one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)))]
    pub reachable_from: Vec<String>,
    /// The job that moves the data from the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<Migration>,
    /// Until when this version is supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<Support>,
    /// What other applications of the same establishment must run for it to work with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub requires: Vec<Requirement>,
    /// Does it mend a vulnerability? Then establishments cannot defer it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub security: bool,
    /// At most how many days ago a restore of an instance's backup must have been tried and found good before the
    /// instance goes to this release; it says so by the annotation `gotocloud.amue.fr/restore-drilled-at`. A rehearsal
    /// restores a backup, too, and counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub restore_drill_within_days: Option<u32>,
    /// At most how many days ago the way to this release must have been rehearsed well, on a copy of the instance's data
    /// (`spec.rehearse` of the Instance), before the instance goes to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub rehearsed_within_days: Option<u32>,
}

/// The oldest version of another application that this one works with, where the establishment has it at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// Name of the other Application.
    #[schemars(length(min = 1, max = 63))]
    pub application: String,
    /// Its oldest version that will do, as its scheme writes it.
    #[schemars(length(min = 1, max = 256))]
    pub at_least: String,
}

/// What is said of an edit that is refused.
const IMMUTABLE: &str =
    "a Release is immutable but for its support dates and reachableFrom: publish a new version as a new Release";

/// In CEL, that a component is as it was. To write a default out, or to leave it out, is no change.
fn component_is_unchanged() -> String {
    let same = |field: &str| {
        format!("has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})")
    };
    let same_but_for = |field: &str, required: &[&str], optional: &str, default: &str| {
        let of = |one: &str| format!("(has({one}.{field}.{optional}) ? {one}.{field}.{optional} : {default})");
        let mut is_same: Vec<String> =
            required.iter().map(|part| format!("self.{field}.{part} == oldSelf.{field}.{part}")).collect();
        is_same.push(format!("{} == {}", of("self"), of("oldSelf")));
        let is_same = is_same.join(" && ");
        format!("has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || ({is_same}))")
    };

    let mut rules = vec!["self.image == oldSelf.image".to_owned()];
    rules.extend(["command", "ports", "env", "scratch", "talksTo", "autoscaling", "metrics"].map(same));
    rules.push(same_but_for("expose", &["port"], "path", &format!("'{}'", root_path())));
    rules.push(same_but_for("health", &["port", "path"], "startupSeconds", &startup_seconds().to_string()));
    rules.join(" && ")
}

/// One Deployment of the application.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(component_is_unchanged()).message(IMMUTABLE))]
pub struct Component {
    /// Name, unique within the Release: a DNS label.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Image by digest: `REGISTRY/NAME@sha256:` and 64 hexadecimal digits.
    #[schemars(length(max = 400), regex(pattern = "^[^@ ]+@sha256:[0-9a-f]{64}$"))]
    pub image: String,
    /// Command, instead of the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 1024)))]
    pub command: Vec<String>,
    /// Ports it listens on; each is in the component's Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub ports: Vec<Port>,
    /// Makes the component reachable from outside, by the platform's Gateway or Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<Expose>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub env: Vec<EnvVar>,
    /// How to tell that it works; none: a TCP connection to its first port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// Scratch directories; the root file system is read-only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub scratch: Vec<ScratchVolume>,
    /// Names of the components of the same Release it opens connections to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 40)))]
    pub talks_to: Vec<String>,
    /// Lets the number of pods follow the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// Where Prometheus finds its metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsEndpoint>,
}

/// A port a component listens on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Port {
    /// Name, unique within the component.
    #[schemars(length(min = 1, max = 15), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// TCP port number. Over 1023: pods do not run as root.
    #[schemars(range(min = 1024, max = 65535))]
    pub port: u16,
}

/// How a component is reached from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Expose {
    /// Name of one of the component's ports, which speaks HTTP.
    #[schemars(length(min = 1, max = 15))]
    pub port: String,
    /// Path prefix under the instance's address; `/` if it is left out.
    #[serde(default = "root_path")]
    #[schemars(length(max = 200), regex(pattern = "^/[-a-zA-Z0-9._~/]*$"))]
    pub path: String,
}

fn root_path() -> String {
    "/".into()
}

/// One environment variable: a value, or where it is read from.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.value) ? 1 : 0) + (has(self.fromDatabase) ? 1 : 0) + (has(self.fromSecret) ? 1 : 0) == 1")
    .message("give exactly one of value, fromDatabase and fromSecret"))]
pub struct EnvVar {
    /// Name of the variable.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// Text, in which `${NAME}` stands for a variable of the documented set and `$${` for a literal `${`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// A field of the instance's own database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_database: Option<DatabaseField>,
    /// Name of one of the Release's `generatedSecrets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub from_secret: Option<String>,
}

/// A field of the instance's own database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DatabaseField {
    /// Name of the server.
    Host,
    /// TCP port.
    Port,
    /// Name of the database.
    Name,
    /// Name of the role.
    User,
    /// Password of the role.
    Password,
    /// All of it as a URI: `postgresql://USER:PASSWORD@HOST:PORT/NAME`.
    Uri,
    /// Certificate of the authority by which the server is checked, PEM.
    CaCertificate,
}

impl DatabaseField {
    /// The key of this field in the instance's Secret: those CloudNativePG uses.
    pub fn secret_key(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Port => "port",
            Self::Name => "dbname",
            Self::User => "username",
            Self::Password => "password",
            Self::Uri => "uri",
            Self::CaCertificate => "ca.crt",
        }
    }
}

/// How to tell over HTTP that a component works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Name of one of the component's ports.
    #[schemars(length(min = 1, max = 15))]
    pub port: String,
    /// Path that answers 2xx once the component can serve.
    #[schemars(length(min = 1, max = 200))]
    pub path: String,
    /// How long it may take to start, in seconds; 120 if it is left out.
    #[serde(default = "startup_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub startup_seconds: u32,
}

fn startup_seconds() -> u32 {
    120
}

/// An empty directory that lives as long as the pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScratchVolume {
    /// Name, unique within the component: a DNS label.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Where it is mounted.
    #[schemars(length(min = 1, max = 200), regex(pattern = "^/"))]
    pub mount_path: String,
    /// The most it may hold, in bytes, e.g. `64Mi`.
    pub size: Quantity,
}

/// How the number of pods follows the load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Autoscaling {
    /// Most pods, as a multiple of those the size class gives.
    #[schemars(range(min = 2, max = 10))]
    pub max_replicas_factor: u32,
    /// Share of the requested processor time to aim at, in percent.
    #[schemars(range(min = 10, max = 95))]
    pub target_cpu_percent: u32,
}

/// Where Prometheus finds a component's metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsEndpoint {
    /// Name of one of the component's ports.
    #[schemars(length(min = 1, max = 15))]
    pub port: String,
    /// Path, usually `/metrics`.
    #[schemars(length(min = 1, max = 200))]
    pub path: String,
}

/// A Secret made once for each instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratedSecret {
    /// Name, unique within the Release.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Letters and digits.
    #[schemars(range(min = 16, max = 128))]
    pub length: u32,
}

/// The job that moves the data from the version before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Migration {
    /// Image by digest: `REGISTRY/NAME@sha256:` and 64 hexadecimal digits.
    #[schemars(length(max = 400), regex(pattern = "^[^@ ]+@sha256:[0-9a-f]{64}$"))]
    pub image: String,
    /// Command, instead of the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 1024)))]
    pub command: Vec<String>,
    /// Environment variables, as those of a component. The job is told of the database by nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub env: Vec<EnvVar>,
    /// Whether the version before can run on the data after it. If not, pods are stopped and a backup is taken before,
    /// and the way back is a restore.
    pub reversible: bool,
    /// Longest that it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
}

/// Until when a version is supported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Support {
    /// Last day, `YYYY-MM-DD`.
    #[schemars(length(max = 10), regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub until: String,
}

/// What the operator reports of a Release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStatus {
    /// The generation of the spec this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Instances that run it.
    #[serde(default)]
    pub instances: u32,
    /// `Ready` once its application is known and its version follows the scheme; `ResolvedRefs` while every name and version
    /// it gives stands for something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

fn by_scheme(of: impl Fn(VersionScheme) -> String, otherwise: &str) -> String {
    VersionScheme::ALL.iter().rev().fold(otherwise.to_owned(), |rest, scheme| {
        format!("self.versionScheme == '{scheme}' ? {} : {rest}", of(*scheme))
    })
}

fn version_rule() -> String {
    by_scheme(|scheme| format!("({})", scheme.cel_rule("self.version")), "false")
}

fn version_message() -> String {
    by_scheme(
        |scheme| {
            format!(
                "'version \"' + self.version + '\" is not of the scheme {scheme}: write it like {}'",
                scheme.example()
            )
        },
        "'unknown versionScheme'",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_of_a_component_can_be_edited_unnoticed() {
        let schema = serde_json::to_value(schemars::schema_for!(Component)).unwrap();
        let rule = component_is_unchanged();
        for field in schema["properties"].as_object().unwrap().keys().filter(|field| *field != "name") {
            assert!(rule.contains(&format!("self.{field}")), "{field} is in no rule");
        }
    }
}
