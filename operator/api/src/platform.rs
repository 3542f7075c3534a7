//! Where do instances run?

use crate::conditions::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A hosting site: how instances are reached there, where their data lives, and whether it takes new ones.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gotocloud.amue.fr",
    version = "v1alpha1",
    kind = "Platform",
    derive = "PartialEq",
    status = "PlatformStatus",
    shortname = "gplat",
    category = "gotocloud",
    doc = "A hosting site: how instances are reached there, where their data lives, and whether it takes new ones.",
    printcolumn(name = "State", type_ = "string", json_path = ".spec.state"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".spec.dnsZone"),
    printcolumn(name = "Instances", type_ = "integer", json_path = ".status.instances"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.state"
)]
#[serde(rename_all = "camelCase")]
pub struct PlatformSpec {
    /// How the operator reaches the platform's cluster.
    #[serde(default)]
    pub connection: Connection,
    /// Whether it takes new instances.
    #[serde(default)]
    pub state: PlatformState,
    /// DNS zone of the instances' addresses, e.g. `paris.example.fr`: an instance is at `NAME.ZONE`.
    #[schemars(
        length(min = 1, max = 180),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub dns_zone: String,
    /// How requests reach an instance.
    pub exposure: Exposure,
    /// Who issues the certificates; none: the platform's own wildcard certificate serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_issuer: Option<CertificateIssuer>,
    /// Where databases live.
    pub database: DatabasePlatform,
    /// The Prometheus that watches the instances; none: nothing scrapes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// `StorageClass` of the data; none: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub storage_class: Option<String>,
    /// Most instances it holds; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub capacity: Option<u32>,
}

/// How the operator reaches a platform's cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// Which way.
    #[serde(default, rename = "type")]
    pub kind: ConnectionType,
}

/// Which way the operator reaches a platform's cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConnectionType {
    /// The platform is the cluster the operator's resources live in.
    #[default]
    Local,
}

/// Whether a platform takes new instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PlatformState {
    /// It does.
    #[default]
    Active,
    /// It does not; those it holds go on.
    Draining,
}

/// How requests reach an instance: by exactly one of the two.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.gateway) != has(self.ingress)").message("give exactly one of gateway and ingress"))]
pub struct Exposure {
    /// By a Gateway of the Gateway API: each instance gets an `HTTPRoute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayReference>,
    /// By an Ingress controller: each instance gets an Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressController>,
}

/// The Gateway that instances attach to. It must allow routes from their namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayReference {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace, which is also where requests come from: the network policies let it in.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// One of its listeners; none: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub section_name: Option<String>,
}

/// The controller that serves the Ingresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressController {
    /// Name of the `IngressClass`.
    #[schemars(length(min = 1, max = 253))]
    pub class_name: String,
    /// The namespace its pods run in: the network policies let it in.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
}

/// A cert-manager issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateIssuer {
    /// `ClusterIssuer`, the only kind that serves every namespace.
    #[serde(default)]
    pub kind: IssuerKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Kind of a cert-manager issuer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum IssuerKind {
    /// Serves every namespace.
    #[default]
    ClusterIssuer,
}

/// Where databases live: in exactly one of the two.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.cloudNativePG) != has(self.server)").message("give exactly one of cloudNativePG and server"))]
pub struct DatabasePlatform {
    /// In a `CloudNativePG` Cluster of each instance's own.
    #[serde(default, rename = "cloudNativePG", skip_serializing_if = "Option::is_none")]
    pub cloud_native_pg: Option<CloudNativePg>,
    /// On a PostgreSQL server that is already there: a database and a role for each instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<DatabaseServer>,
}

/// How `CloudNativePG` Clusters are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudNativePg {
    /// Image of PostgreSQL; the tag tells `CloudNativePG` the version, e.g. `registry.example/postgresql:17.6`.
    #[schemars(length(min = 1, max = 400), regex(pattern = "^[^ ]+$"))]
    pub image_name: String,
    /// Namespace of the `CloudNativePG` operator: the network policies let it in.
    #[serde(default = "cnpg_namespace")]
    #[schemars(length(min = 1, max = 63))]
    pub operator_namespace: String,
}

fn cnpg_namespace() -> String {
    "cnpg-system".into()
}

/// A PostgreSQL server that is already there. Connections are by TLS only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseServer {
    /// Name or IP address, as both the operator and the pods reach it.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-a-zA-Z0-9.:]+$"))]
    pub host: String,
    /// TCP port.
    #[serde(default = "postgresql_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Name of a Secret in the operator's own namespace, with the keys `username` and `password` of a role that may
    /// create roles and databases (it need not be a superuser). With the keys `host` and `port` it is for that server alone.
    #[schemars(length(min = 1, max = 253))]
    pub admin_secret_name: String,
    /// Certificate authority of the server, PEM.
    #[schemars(length(min = 1, max = 65536), regex(pattern = "-----BEGIN CERTIFICATE-----"))]
    pub ca_certificate: String,
    /// Network the server is in, as pods reach it, in CIDR notation, e.g. `10.1.2.3/32`: the network policies open
    /// exactly this. None: the host, where it is an IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 49), regex(pattern = "^[0-9a-fA-F.:]+/[0-9]{1,3}$"))]
    pub cidr: Option<String>,
    /// Most connections of one instance's role.
    #[serde(default = "connection_limit")]
    #[schemars(range(min = 1, max = 10_000))]
    pub connection_limit: u32,
}

fn postgresql_port() -> u16 {
    5432
}

fn connection_limit() -> u32 {
    50
}

/// The Prometheus that watches a platform's instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// Namespace it runs in: the network policies let it in.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Value of the label `release` by which it selects `ServiceMonitors`; none: no such label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub release_label: Option<String>,
    /// Address of its HTTP API, which the gates of campaigns ask, e.g. `http://prometheus.monitoring:9090`; none: gates
    /// are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 400), regex(pattern = "^http://[^ ]+$"))]
    pub prometheus_url: Option<String>,
}

/// What the operator reports of a Platform.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformStatus {
    /// The generation of the spec this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Instances it holds.
    #[serde(default)]
    pub instances: u32,
    /// Data kept after its Instance was deleted with `deletionPolicy: Retain`; the first 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retained: Vec<RetainedData>,
    /// `Ready` while every API the platform's spec needs is served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Data kept after its Instance was deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetainedData {
    /// The Instance it belonged to, as `NAMESPACE/NAME`.
    pub instance: String,
    /// The namespace that keeps its Secret, and its database where it is a `CloudNativePG` Cluster.
    pub namespace: String,
    /// When the Instance was deleted, RFC 3339.
    pub since: String,
    /// What is kept and where, as a sentence.
    pub data: String,
}
