//! Will the cluster the user already has do?

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::optional_apis::OptionalApi;
use crate::progress::Progress;
use crate::tools::{Tool, Tools};

/// The oldest minor version of Kubernetes 1 the operator runs on.
pub const OLDEST_MINOR: u32 = 33;

/// A cluster of the user's, found by a context of their kubeconfig. Nothing is installed on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExistingCluster {
    /// The context.
    pub context: String,
    /// What its API server says its version is, such as `v1.37.2`.
    pub version: String,
    /// The optional APIs it serves.
    pub optional_apis: Vec<OptionalApi>,
}

impl ExistingCluster {
    /// Reaches the cluster and fails if it is too old. Uses the kubectl on the path; where there is none, builds one.
    pub fn check(context: &str, progress: &dyn Progress) -> anyhow::Result<Self> {
        let on_path = Command::new("kubectl").args(["version", "--client"]).output().is_ok();
        let kubectl = if on_path {
            PathBuf::from("kubectl")
        } else {
            Tools::ensure(&[Tool::Kubectl], progress)?.path(Tool::Kubectl).to_path_buf()
        };
        let get = |path: &str| {
            let output = Command::new(&kubectl)
                .args(["--context", context, "--request-timeout=10s", "get", "--raw", path])
                .output()
                .context("cannot run kubectl")?;
            anyhow::ensure!(
                output.status.success(),
                "the cluster of context {context} does not answer: {}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
            Ok(output.stdout)
        };
        let version: Version = serde_json::from_slice(&get("/version")?).context("this is no Kubernetes")?;
        anyhow::ensure!(
            version.is_new_enough(),
            "the cluster of context {context} is Kubernetes {}; 1.{OLDEST_MINOR} or later is needed",
            version.full
        );
        let groups: Groups = serde_json::from_slice(&get("/apis")?).context("its list of APIs cannot be read")?;
        Ok(Self { context: context.to_owned(), version: version.full, optional_apis: groups.optional_apis() })
    }
}

#[derive(Deserialize)]
struct Version {
    major: String,
    minor: String,
    #[serde(rename = "gitVersion")]
    full: String,
}

impl Version {
    /// Some providers write the minor version as `33+`.
    fn is_new_enough(&self) -> bool {
        let number = |text: &str| text.trim_end_matches('+').parse::<u32>().unwrap_or(0);
        (number(&self.major), number(&self.minor)) >= (1, OLDEST_MINOR)
    }
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

impl Groups {
    fn optional_apis(&self) -> Vec<OptionalApi> {
        let serves = |api: &OptionalApi| {
            self.groups.iter().any(|group| {
                group.name == api.group() && group.versions.iter().any(|version| version.version == api.version())
            })
        };
        OptionalApi::ALL.into_iter().filter(serves).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Groups, OptionalApi, Version};

    #[test]
    fn providers_spell_versions_their_own_way() {
        let version = |major: &str, minor: &str| {
            let (major, minor) = (major.to_owned(), minor.to_owned());
            Version { major, minor, full: String::new() }.is_new_enough()
        };
        assert!(version("1", "33+"));
        assert!(version("2", "0"));
        assert!(!version("1", "32"));
        assert!(!version("1", ""));
    }

    #[test]
    fn an_api_counts_only_in_the_version_we_speak() {
        let groups: Groups = serde_json::from_str(
            r#"{"groups": [
                {"name": "apps", "versions": [{"version": "v1"}]},
                {"name": "cert-manager.io", "versions": [{"version": "v1"}]},
                {"name": "gateway.networking.k8s.io", "versions": [{"version": "v1beta1"}]}
            ]}"#,
        )
        .unwrap();
        assert_eq!(groups.optional_apis(), [OptionalApi::CertManager]);
    }
}
