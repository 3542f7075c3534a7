//! Who talks to whom: nobody, but for exactly the flows the Release, the Platform and the interfaces name.

use super::{component_labels, database, object, owner_labels, selector};
use crate::{
    inputs::{Inputs, name_of},
    objects::{Kind, Object},
};
use gotocloud_api::{
    Application, Instance, application::InterfaceState, names, platform::CloudNativePg, release::Component,
};
use serde_json::{Value, json};

const POSTGRESQL: u16 = 5432;
const CNPG_STATUS: u16 = 8000;

pub(super) fn render(inputs: &Inputs<'_>, neighbours: &[(&Instance, Option<&Application>)]) -> Vec<Object> {
    let deny = json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}});
    let mut policies = vec![object(inputs, Kind::NetworkPolicy, "default-deny", &owner_labels(inputs.instance), deny)];
    for component in &inputs.release.spec.components {
        policies.push(component_policy(inputs, component, neighbours));
    }
    if let Some(cnpg) = inputs.platform.spec.database.cloud_native_pg.as_ref().filter(|_| inputs.has_database()) {
        policies.push(database_policy(inputs, cnpg));
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
            ingress.push(json!({"from": [neighbour], "ports": [tcp(port)]}));
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

    if uses_database(inputs, component) {
        egress.extend(to_database(inputs));
    }
    // On which port is for the neighbour to say: its own policy lets in only what it exposes.
    egress.extend(called(inputs, neighbours).into_iter().map(|neighbour| json!({"to": [neighbour]})));
    let fields = json!({"spec": {
        "podSelector": {"matchLabels": selector(&component.name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }});

    object(inputs, Kind::NetworkPolicy, &component.name, &component_labels(inputs, &component.name), fields)
}

/// The flows of the job that moves the data: names, and the database.
pub(super) fn migration(inputs: &Inputs<'_>) -> Object {
    job(inputs, super::MIGRATION, to_database(inputs).filter(|_| inputs.has_database()))
}

/// The flows of a rehearsal: those of the job reach the copy of the database and nothing else; the copy's are a database's.
pub(super) fn rehearsal(inputs: &Inputs<'_>, cnpg: &CloudNativePg, copy: &str) -> [Object; 2] {
    let to_copy = json!({"to": [servers_of(copy)], "ports": [tcp(POSTGRESQL)]});
    [
        job(inputs, super::rehearsal::MIGRATION, Some(to_copy)),
        servers_policy(inputs, cnpg, copy, super::rehearsal::POLICY, &[pods_of(super::rehearsal::MIGRATION)]),
    ]
}

/// The flows of a job called like its pods' component: names, and that database.
fn job(inputs: &Inputs<'_>, component: &str, database: Option<Value>) -> Object {
    let egress: Vec<_> = std::iter::once(dns()).chain(database).collect();
    let fields = json!({"spec": {
        "podSelector": {"matchLabels": selector(component)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": egress,
    }});
    object(inputs, Kind::NetworkPolicy, component, &owner_labels(inputs.instance), fields)
}

fn uses_database(inputs: &Inputs<'_>, component: &Component) -> bool {
    component.env.iter().chain(&inputs.instance.spec.env).any(|variable| variable.from_database.is_some())
}

/// `CloudNativePG`'s pods: reached by the components that use the database, by each other, and by their operator.
fn database_policy(inputs: &Inputs<'_>, cnpg: &CloudNativePg) -> Object {
    let components = inputs.release.spec.components.iter().filter(|component| uses_database(inputs, component));
    // And by the job that moves the data, while there is one.
    let users: Vec<_> =
        components.map(|component| pods_of(&component.name)).chain([pods_of(super::MIGRATION)]).collect();
    servers_policy(inputs, cnpg, database::CLUSTER, database::CLUSTER, &users)
}

/// The flows, under that name, of the servers of a Cluster that these use.
fn servers_policy(inputs: &Inputs<'_>, cnpg: &CloudNativePg, cluster: &str, name: &str, users: &[Value]) -> Object {
    let database = servers_of(cluster);
    let operator = in_namespace(&cnpg.operator_namespace);
    let mut ingress = vec![
        json!({"from": [&database], "ports": [tcp(POSTGRESQL), tcp(CNPG_STATUS)]}),
        json!({"from": [operator], "ports": [tcp(CNPG_STATUS)]}),
    ];
    if !users.is_empty() {
        ingress.push(json!({"from": users, "ports": [tcp(POSTGRESQL)]}));
    }
    let fields = json!({"spec": {
        "podSelector": database["podSelector"],
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        // Its pods report to the API server, whose address no selector names.
        "egress": [
            dns(),
            {"to": [&database], "ports": [tcp(POSTGRESQL), tcp(CNPG_STATUS)]},
            {"ports": [tcp(443), tcp(6443)]},
        ],
    }});
    object(inputs, Kind::NetworkPolicy, name, &owner_labels(inputs.instance), fields)
}

fn servers_of(cluster: &str) -> Value {
    json!({"podSelector": {"matchLabels": {"cnpg.io/cluster": cluster}}})
}

fn to_database(inputs: &Inputs<'_>) -> Option<Value> {
    let database = &inputs.platform.spec.database;
    if database.cloud_native_pg.is_some() {
        return Some(json!({"to": [servers_of(database::CLUSTER)], "ports": [tcp(POSTGRESQL)]}));
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

/// The pods of the neighbours this instance calls, by its application's existing interfaces.
fn called(inputs: &Inputs<'_>, neighbours: &[(&Instance, Option<&Application>)]) -> Vec<Value> {
    linked(inputs, neighbours, |neighbour, _| has_link(inputs.application, &neighbour.spec.application))
}

/// The pods of the neighbours that call this instance, by their applications' existing interfaces.
fn calling(inputs: &Inputs<'_>, neighbours: &[(&Instance, Option<&Application>)]) -> Vec<Value> {
    linked(inputs, neighbours, |_, application| {
        application.is_some_and(|application| has_link(application, &inputs.instance.spec.application))
    })
}

/// The pods of the neighbours of the same environment that are so linked, in an order that depends on nothing else. A
/// neighbour counts once it holds its namespace: one that only asks for it may bear the name of somebody else's.
fn linked(
    inputs: &Inputs<'_>,
    neighbours: &[(&Instance, Option<&Application>)],
    is_linked: impl Fn(&Instance, Option<&Application>) -> bool,
) -> Vec<Value> {
    let holds_its_namespace = |instance: &Instance| {
        instance.status.as_ref().is_some_and(|status| status.namespace.as_deref() == Some(&namespace(instance)))
    };
    let mut names: Vec<&str> = neighbours
        .iter()
        .filter(|(other, _)| other.spec.environment == inputs.instance.spec.environment && holds_its_namespace(other))
        .filter(|(other, application)| is_linked(other, *application))
        .map(|(other, _)| name_of(other))
        .collect();
    names.sort_unstable();
    let pods = |name: &str| {
        let mut pods = in_namespace(&names::workload_namespace(name));
        pods["podSelector"] = json!({"matchLabels": {names::LABEL_INSTANCE: name}});
        pods
    };
    names.into_iter().map(pods).collect()
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
