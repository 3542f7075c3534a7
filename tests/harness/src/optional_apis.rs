//! Which APIs that Kubernetes itself lacks can a cluster be given, and where do their CRDs come from?

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::go_modules::ModuleFiles;

/// An API the operator uses where it finds it. Only its CRDs are installed; its controller is played by kwok
/// ([`crate::stages`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptionalApi {
    /// `gateway.networking.k8s.io`.
    GatewayApi,
    /// `cert-manager.io`.
    CertManager,
    /// `monitoring.coreos.com`.
    PrometheusOperator,
    /// `postgresql.cnpg.io`.
    CloudNativePg,
}

impl OptionalApi {
    /// Every optional API.
    pub const ALL: [Self; 4] = [Self::GatewayApi, Self::CertManager, Self::PrometheusOperator, Self::CloudNativePg];

    /// The API group its CRDs belong to.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::GatewayApi => "gateway.networking.k8s.io",
            Self::CertManager => "cert-manager.io",
            Self::PrometheusOperator => "monitoring.coreos.com",
            Self::CloudNativePg => "postgresql.cnpg.io",
        }
    }

    /// The name people know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GatewayApi => "Gateway API",
            Self::CertManager => "cert-manager",
            Self::PrometheusOperator => "Prometheus Operator",
            Self::CloudNativePg => "CloudNativePG",
        }
    }

    /// The resources whose CRDs are installed, by their plural name: those a tenant might use, as each costs the
    /// API server start-up time.
    #[must_use]
    pub const fn resources(self) -> &'static [&'static str] {
        match self {
            Self::GatewayApi => {
                &["gatewayclasses", "gateways", "listenersets", "httproutes", "grpcroutes", "referencegrants"]
            }
            Self::CertManager => &["certificates", "certificaterequests", "issuers", "clusterissuers"],
            Self::PrometheusOperator => &["servicemonitors", "podmonitors", "prometheusrules"],
            Self::CloudNativePg => &["clusters", "databases", "poolers", "backups", "scheduledbackups"],
        }
    }

    /// The version the API server serves its resources in.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::GatewayApi | Self::CertManager | Self::PrometheusOperator | Self::CloudNativePg => "v1",
        }
    }

    const fn module(self) -> &'static str {
        match self {
            Self::GatewayApi => "sigs.k8s.io/gateway-api",
            Self::CertManager => "github.com/cert-manager/cert-manager",
            Self::PrometheusOperator => "github.com/prometheus-operator/prometheus-operator",
            Self::CloudNativePg => "github.com/cloudnative-pg/cloudnative-pg",
        }
    }

    const fn folder_in_module(self) -> &'static str {
        match self {
            Self::GatewayApi => "config/crd/standard",
            Self::CertManager => "deploy/crds",
            Self::PrometheusOperator => "example/prometheus-operator-crd",
            Self::CloudNativePg => "config/crd/bases",
        }
    }

    /// The names of its CRDs, such as `httproutes.gateway.networking.k8s.io`.
    pub fn crd_names(self) -> impl Iterator<Item = String> {
        self.resources().iter().map(move |resource| format!("{resource}.{}", self.group()))
    }

    /// The YAML files of its CRDs, from its Go module.
    pub fn crd_paths(self) -> anyhow::Result<Vec<PathBuf>> {
        let file = |resource: &&str| format!("{}/{}_{resource}.yaml", self.folder_in_module(), self.group());
        let files: Vec<String> = self.resources().iter().map(file).collect();
        ModuleFiles { group: "crds", module: self.module(), files: &files, name: self.group() }.ensure()
    }
}
