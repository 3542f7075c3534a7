//! The pods of an instance: a Deployment for each component, a Service, a disruption budget, and their number by load.

use super::{component_labels, config::ComponentConfig, object, selector};
use crate::{
    inputs::Inputs,
    objects::{Kind, Object},
};
use gotocloud_api::{names, release::Component};
use serde_json::{Value, json};

/// Annotation of pods: hash of the plain values they were started with, so that a change of those restarts them.
const ANNOTATION_CONFIG: &str = "gotocloud.amue.fr/config";
/// Seconds between two tries of a probe.
const PROBE_PERIOD_SECONDS: u32 = 5;

pub(super) fn render(inputs: &Inputs<'_>, configs: &[ComponentConfig]) -> Vec<Object> {
    inputs
        .release
        .spec
        .components
        .iter()
        .zip(configs)
        .flat_map(|(component, config)| one(inputs, component, config))
        .collect()
}

fn one(inputs: &Inputs<'_>, component: &Component, config: &ComponentConfig) -> Vec<Object> {
    let labels = component_labels(inputs, &component.name);
    let (_, replicas) = inputs.component_size(&component.name);
    let mut spec = json!({
        "selector": {"matchLabels": selector(&component.name)},
        "revisionHistoryLimit": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": template(inputs, component, config),
    });

    let mut objects = Vec::new();
    match &component.autoscaling {
        None => spec["replicas"] = json!(replicas),
        // The autoscaler owns the number of pods: the Deployment does not name it (`crate::autoscaling`).
        Some(scaling) => {
            let fields = json!({"spec": {
                "scaleTargetRef": {"apiVersion": Kind::Deployment.api_version(), "kind": "Deployment", "name": component.name},
                "minReplicas": replicas,
                "maxReplicas": replicas.saturating_mul(scaling.max_replicas_factor),
                "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": scaling.target_cpu_percent}}}],
            }});
            objects.push(object(inputs, Kind::HorizontalPodAutoscaler, &component.name, &labels, fields));
        }
    }

    objects.push(object(inputs, Kind::Deployment, &component.name, &labels, json!({ "spec": spec })));
    if !component.ports.is_empty() {
        let ports: Vec<_> = component
            .ports
            .iter()
            .map(|port| json!({"name": port.name, "port": port.port, "targetPort": port.name, "protocol": "TCP"}))
            .collect();
        let fields = json!({"spec": {"type": "ClusterIP", "selector": selector(&component.name), "ports": ports}});
        objects.push(object(inputs, Kind::Service, &component.name, &labels, fields));
    }

    // One pod alone may be moved; of several, one at a time.
    let fields = json!({"spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(&component.name)}}});
    objects.push(object(inputs, Kind::PodDisruptionBudget, &component.name, &labels, fields));
    objects
}

fn template(inputs: &Inputs<'_>, component: &Component, config: &ComponentConfig) -> Value {
    let (size, _) = inputs.component_size(&component.name);
    let mut labels = component_labels(inputs, &component.name);
    labels.insert(names::LABEL_VERSION.into(), label_value(&inputs.release.spec.version));
    labels.insert(names::LABEL_ESTABLISHMENT.into(), inputs.instance.spec.establishment.clone());
    let mut container = json!({
        "name": component.name,
        "image": component.image,
        "resources": {"requests": {"cpu": size.cpu, "memory": size.memory}, "limits": {"memory": size.memory}},
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]}},
    });

    if !component.command.is_empty() {
        container["command"] = json!(component.command);
    }

    if !component.ports.is_empty() {
        let ports = component
            .ports
            .iter()
            .map(|port| json!({"name": port.name, "containerPort": port.port, "protocol": "TCP"}));
        container["ports"] = ports.collect();
    }

    if let Some(map) = &config.object {
        container["envFrom"] = json!([{"configMapRef": {"name": map.key.name}}]);
    }
    let mut env = config.env.clone();
    env.extend(altered());
    if !env.is_empty() {
        container["env"] = Value::Array(env);
    }

    if !component.scratch.is_empty() {
        let mounts =
            component.scratch.iter().map(|volume| json!({"name": volume.name, "mountPath": volume.mount_path}));
        container["volumeMounts"] = mounts.collect();
    }

    probes(component, &mut container);
    let mut pod = json!({
        "serviceAccountName": super::access::SERVICE_ACCOUNT,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": [{
            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(&component.name)},
        }],
        "containers": [container],
    });

    if !component.scratch.is_empty() {
        let volumes =
            component.scratch.iter().map(|volume| json!({"name": volume.name, "emptyDir": {"sizeLimit": volume.size}}));
        pod["volumes"] = volumes.collect();
    }

    let mut metadata = json!({ "labels": labels });
    if let Some(map) = &config.object {
        metadata["annotations"] = json!({ANNOTATION_CONFIG: crate::fingerprint::of(&map.manifest["data"])});
    }

    json!({"metadata": metadata, "spec": pod})
}

fn probes(component: &Component, container: &mut Value) {
    let (action, startup_seconds) = match (&component.health, component.ports.first()) {
        (Some(health), _) => (json!({"httpGet": {"path": health.path, "port": health.port}}), health.startup_seconds),
        (None, Some(port)) => (json!({"tcpSocket": {"port": port.name}}), 120),
        (None, None) => return,
    };
    let probe = |failures: u32| {
        let mut probe = action.clone();
        probe["periodSeconds"] = json!(PROBE_PERIOD_SECONDS);
        probe["timeoutSeconds"] = json!(3);
        probe["failureThreshold"] = json!(failures);
        probe
    };
    container["startupProbe"] = probe(startup_seconds.div_ceil(PROBE_PERIOD_SECONDS).max(1));
    container["readinessProbe"] = probe(3);
    container["livenessProbe"] = probe(6);
}

/// A version as the value of a label: letters, digits, `-`, `_` and `.`, at most 63, ending in a letter or digit.
fn label_value(version: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let text: String = version.chars().map(allowed).take(63).collect();
    text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// What another rendering would tell every pod: nothing, but in the build that a test upgrades to.
fn altered() -> Option<Value> {
    cfg!(feature = "altered-rendering").then(|| json!({"name": "GOTOCLOUD_ALTERED_RENDERING", "value": "1"}))
}

#[cfg(test)]
mod tests {
    use super::label_value;

    #[test]
    fn a_version_becomes_a_valid_label() {
        assert_eq!(label_value("V1.4.00-P01"), "V1.4.00-P01");
        assert_eq!(label_value("AB.1.0+CD.2.0"), "AB.1.0_CD.2.0");
        assert_eq!(label_value(&"x.".repeat(50)).len(), 63);
    }
}
