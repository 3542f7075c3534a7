//! Who plays the nodes, and the controllers that are not there?
//!
//! kwok does: each of its Stages says which objects it takes up and what status it gives them. They are loaded as
//! objects of the cluster, so a test may add its own with `kubectl apply`, or delete one to see what happens when
//! a controller is silent.

use std::fs;

use anyhow::Context;

use crate::go_modules::ModuleFiles;
use crate::optional_apis::OptionalApi;

/// A pod with this annotation or label set to `"true"` never becomes ready; one of a Job fails.
pub const FAIL: &str = "gotocloud.amue.fr/kwok-fail";

const KWOK_OWN: [&str; 5] = [
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "kustomize/stage/pod/fast/pod-ready.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
];

/// The stages every cluster has, as one YAML stream: kwok's own for nodes and pods, and those of failing pods.
pub fn of_every_cluster() -> anyhow::Result<String> {
    let files = KWOK_OWN.map(ToOwned::to_owned);
    let paths =
        ModuleFiles { group: "kwok", module: "sigs.k8s.io/kwok", files: &files, name: "kwok-stages" }.ensure()?;
    let mut stream = include_str!("../stages/failing-pods.yaml").to_owned();
    for path in paths {
        stream.push_str("---\n");
        stream.push_str(&fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    Ok(stream)
}

/// The stages that play the controller of an optional API, as one YAML stream; none where nobody reads a status.
#[must_use]
pub const fn of(api: OptionalApi) -> Option<&'static str> {
    match api {
        OptionalApi::GatewayApi => Some(include_str!("../stages/gateway-api.yaml")),
        OptionalApi::CertManager => Some(include_str!("../stages/cert-manager.yaml")),
        OptionalApi::CloudNativePg => Some(include_str!("../stages/cloudnative-pg.yaml")),
        OptionalApi::PrometheusOperator => None,
    }
}
