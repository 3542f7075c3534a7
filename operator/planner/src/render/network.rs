//! Who talks to whom: nobody, but for exactly the flows the Release, the Platform and the interfaces name.

use super::{component_labels, object, owner_labels, selector};
use crate::{
    inputs::{Inputs, name_of},
    objects::{Kind, Object},
};
use gotocloud_api::{Application, Instance, application::InterfaceState, names, release::Component};
use serde_json::{Value, json};

const POSTGRESQL: u16 = 5432;
const CNPG_STATUS: u16 = 8000;

pub(super) fn render(inputs: &Inputs<'_>, neighbours: &[(&Instance, Option<&Application>)]) -> Vec<Object> {
    let deny = json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}});
    let mut policies = vec![object(inputs, Kind::NetworkPolicy, "default-deny", &owner_labels(inputs.instance), deny)];
    for component in &inputs.release.spec.components {
        policies.push(component_policy(inputs, component, neighbours));
    }
    if inputs.has_database() && inputs.platform.spec.database.cloud_native_pg.is_some() {
        policies.push(database_policy(inputs));
    }
    policies
}

fn component_policy(
    inputs: &Inputs<'_>,
    component: &Component,
    neighbours: &[(&Instance, Option<&Application>)],
) -> Object {
    let mut ingress = Vec::new();
    let mut egress = vec![dns()];
    let port_of = |name: &str| component.ports.iter().find(|port| port.name == name).map(|port| port.port);
    let platform = &inputs.platform.spec;
    if let Some(port) = component.expose.as_ref().and_then(|expose| port_of(&expose.port)) {
        let gateway = platform.exposure.gateway.as_ref().map(|gateway| gateway.namespace.as_str());
        let controller = platform.exposure.ingress.as_ref().map(|ingress| ingress.namespace.as_str());
        if let Some(namespace) = gateway.or(controller) {
            ingress.push(json!({"from": [in_namespace(namespace)], "ports": [tcp(port)]}));
        }
        for neighbour in calling(inputs, neighbours) {
            ingress.push(json!({"from": [in_namespace(&neighbour)], "ports": [tcp(port)]}));
        }
    }
    if let (Some(metrics), Some(monitoring)) = (&component.metrics, &platform.monitoring)
        && let Some(port) = port_of(&metrics.port)
    {
        ingress.push(json!({"from": [in_namespace(&monitoring.namespace)], "ports": [tcp(port)]}));
    }
    let callers: Vec<_> =
        inputs.release.spec.components.iter().filter(|other| other.talks_to.contains(&component.name)).collect();
    if !callers.is_empty() && !component.ports.is_empty() {
        let from: Vec<_> = callers.iter().map(|caller| pods_of(&caller.name)).collect();
        let ports: Vec<_> = component.ports.iter().map(|port| tcp(port.port)).collect();
        ingress.push(json!({"from": from, "ports": ports}));
    }
    for peer in inputs.release.spec.components.iter().filter(|other| component.talks_to.contains(&other.name)) {
        let ports: Vec<_> = peer.ports.iter().map(|port| tcp(port.port)).collect();
        if !ports.is_empty() {
            egress.push(json!({"to": [pods_of(&peer.name)], "ports": ports}));
        }
    }
    if component.env.iter().chain(&inputs.instance.spec.env).any(|variable| variable.from_database.is_some()) {
        egress.extend(to_database(inputs));
    }
    egress.extend(called(inputs, neighbours).map(|neighbour| json!({"to": [in_namespace(&neighbour)]})));
    let fields = json!({"spec": {
        "podSelector": {"matchLabels": selector(&component.name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }});
    object(inputs, Kind::NetworkPolicy, &component.name, &component_labels(inputs, &component.name), fields)
}

fn database_policy(inputs: &Inputs<'_>) -> Object {
    let database = json!({"podSelector": {"matchLabels": {"cnpg.io/cluster": super::database::CLUSTER}}});
    let cnpg = inputs.platform.spec.database.cloud_native_pg.as_ref();
    let operator = cnpg.map(|cnpg| in_namespace(&cnpg.operator_namespace));
    let fields = json!({"spec": {
        "podSelector": {"matchLabels": {"cnpg.io/cluster": super::database::CLUSTER}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [{"podSelector": {"matchExpressions": [{"key": names::LABEL_COMPONENT, "operator": "Exists"}]}}, &database],
             "ports": [tcp(POSTGRESQL)]},
            {"from": [&database, operator], "ports": [tcp(POSTGRESQL), tcp(CNPG_STATUS)]},
        ],
        // Its pods report to the API server, whose address no selector names.
        "egress": [dns(), {"to": [&database], "ports": [tcp(POSTGRESQL), tcp(CNPG_STATUS)]}, {"ports": [tcp(443), tcp(6443)]}],
    }});
    object(inputs, Kind::NetworkPolicy, super::database::CLUSTER, &owner_labels(inputs.instance), fields)
}

fn to_database(inputs: &Inputs<'_>) -> Option<Value> {
    let database = &inputs.platform.spec.database;
    if database.cloud_native_pg.is_some() {
        let pods = json!({"podSelector": {"matchLabels": {"cnpg.io/cluster": super::database::CLUSTER}}});
        return Some(json!({"to": [pods], "ports": [tcp(POSTGRESQL)]}));
    }
    let server = database.server.as_ref()?;
    let cidr = server.cidr.clone().or_else(|| {
        let address: std::net::IpAddr = server.host.parse().ok()?;
        Some(format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }))
    });
    // A server known by name alone may be anywhere; then the port is all that can be narrowed.
    Some(match cidr {
        Some(cidr) => json!({"to": [{"ipBlock": {"cidr": cidr}}], "ports": [tcp(server.port)]}),
        None => json!({"ports": [tcp(server.port)]}),
    })
}

/// Namespaces of the neighbours this instance calls, by its application's existing interfaces.
fn called<'a>(
    inputs: &'a Inputs<'_>,
    neighbours: &'a [(&Instance, Option<&Application>)],
) -> impl Iterator<Item = String> {
    let peers = same_environment(inputs, neighbours);
    peers
        .filter(|(neighbour, _)| has_link(inputs.application, &neighbour.spec.application))
        .map(|(one, _)| namespace(one))
}

/// Namespaces of the neighbours that call this instance, by their applications' existing interfaces.
fn calling<'a>(
    inputs: &'a Inputs<'_>,
    neighbours: &'a [(&Instance, Option<&Application>)],
) -> impl Iterator<Item = String> {
    let peers = same_environment(inputs, neighbours);
    let calls = |application: &Application| has_link(application, &inputs.instance.spec.application);
    peers.filter(move |(_, application)| application.is_some_and(calls)).map(|(one, _)| namespace(one))
}

fn same_environment<'a>(
    inputs: &'a Inputs<'_>,
    neighbours: &'a [(&Instance, Option<&Application>)],
) -> impl Iterator<Item = &'a (&'a Instance, Option<&'a Application>)> {
    neighbours.iter().filter(|(other, _)| other.spec.environment == inputs.instance.spec.environment)
}

fn has_link(from: &Application, to: &str) -> bool {
    from.spec.interfaces.iter().any(|link| link.peer == to && link.state == InterfaceState::Existing)
}

fn namespace(instance: &Instance) -> String {
    names::workload_namespace(name_of(instance))
}

fn in_namespace(name: &str) -> Value {
    json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}})
}

fn pods_of(component: &str) -> Value {
    json!({"podSelector": {"matchLabels": selector(component)}})
}

fn tcp(port: u16) -> Value {
    json!({"port": port, "protocol": "TCP"})
}

fn dns() -> Value {
    let to = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                     "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]);
    json!({"to": to, "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]})
}
