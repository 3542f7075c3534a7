//! Who may talk to whom: exactly the flows that are named, and no other.

use crate::support::{World, fixtures};
use gotocloud_api::{Instance, conditions::ConditionType, instance::Environment};
use gotocloud_planner::Kind;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A peer in words: where it is, and which pods there.
fn peer(peer: &Value) -> String {
    if let Some(cidr) = peer["ipBlock"]["cidr"].as_str() {
        return cidr.to_owned();
    }
    let namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"].as_str();
    let labels = peer["podSelector"]["matchLabels"].as_object().map(|labels| {
        labels
            .iter()
            .map(|(key, value)| format!("{}={}", key.rsplit('/').next().unwrap(), value.as_str().unwrap()))
            .collect::<Vec<_>>()
    });
    assert!(peer.get("namespaceSelector").is_none() || namespace.is_some(), "a selector this test cannot read: {peer}");
    format!("{}[{}]", namespace.unwrap_or("here"), labels.unwrap_or_default().join(","))
}

/// Every flow the policies open, as `FROM -> TO : PORT` seen from the pods a policy selects.
fn flows(world: &World, namespace: &str) -> BTreeSet<String> {
    let mut flows = BTreeSet::new();
    for policy in world.cluster.of_kind(Kind::NetworkPolicy) {
        let (spec, meta) = (&policy["spec"], &policy["metadata"]);
        if meta["namespace"] != namespace {
            continue;
        }
        assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]), "each policy closes both ways");
        let name = meta["name"].as_str().unwrap();
        for (rules, side, arrow) in [(&spec["ingress"], "from", "<-"), (&spec["egress"], "to", "->")] {
            for rule in rules.as_array().into_iter().flatten() {
                let peers =
                    rule[side].as_array().map_or(vec!["anywhere".to_owned()], |all| all.iter().map(peer).collect());
                let ports = rule["ports"].as_array().map_or(vec!["any port".to_owned()], |all| {
                    all.iter().map(|port| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap())).collect()
                });
                for peer in &peers {
                    flows.extend(ports.iter().map(|port| format!("{name} {arrow} {peer} : {port}")));
                }
            }
        }
    }
    flows
}

fn dns(component: &str) -> [String; 2] {
    ["TCP", "UDP"].map(|protocol| format!("{component} -> kube-system[k8s-app=kube-dns] : 53/{protocol}"))
}

fn expected(of: &[&str], more: &[&str]) -> BTreeSet<String> {
    of.iter().flat_map(|component| dns(component)).chain(more.iter().map(|&flow| flow.to_owned())).collect()
}

#[test]
fn all_is_closed_but_for_what_is_named() {
    let world = World::plain().at_rest();
    let deny = world.cluster.get(Kind::NetworkPolicy, fixtures::NAMESPACE, "default-deny").unwrap();
    assert_eq!(deny["spec"], json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}));
    let named = [
        "web <- ingress-nginx[] : 8080/TCP",
        "web -> here[component=batch] : 7070/TCP",
        "web -> 10.1.2.3/32 : 5432/TCP",
        "batch <- here[component=web] : 7070/TCP",
        "batch -> 10.1.2.3/32 : 5432/TCP",
    ];
    assert_eq!(flows(&world, fixtures::NAMESPACE), expected(&["web", "batch"], &named));
}

#[test]
fn with_everything_monitoring_and_the_database_have_their_flows_and_no_more() {
    let mut world = World::full();
    world.releases[0].spec.components[1].env.clear();
    let world = world.at_rest();
    let named = [
        "web <- gateway-system[] : 8080/TCP",
        "web <- monitoring[] : 9090/TCP",
        "web -> here[component=batch] : 7070/TCP",
        "web -> here[cluster=database] : 5432/TCP",
        "batch <- here[component=web] : 7070/TCP",
        "database <- here[component=web] : 5432/TCP",
        "database <- here[component=migration] : 5432/TCP",
        "database <- here[cluster=database] : 5432/TCP",
        "database <- here[cluster=database] : 8000/TCP",
        "database <- cnpg-system[] : 8000/TCP",
        "database -> here[cluster=database] : 5432/TCP",
        "database -> here[cluster=database] : 8000/TCP",
        "database -> anywhere : 443/TCP",
        "database -> anywhere : 6443/TCP",
    ];
    assert_eq!(flows(&world, fixtures::NAMESPACE), expected(&["web", "batch", "database"], &named));
}

/// Two applications, of which `app` calls `peer`, each with an instance of the establishment.
fn linked(state: &str, change: impl FnOnce(&mut Instance)) -> World {
    let mut world = World::plain();
    world.applications[0].spec.interfaces = vec![fixtures::link("peer", state)];
    world.applications.push(fixtures::application("peer"));
    let mut release = fixtures::release("peer-1", "1.0");
    release.spec.application = "peer".into();
    world.releases.push(release);
    let mut peer = fixtures::instance("peer-a");
    peer.spec.application = "peer".into();
    peer.spec.release = Some("peer-1".into());
    change(&mut peer);
    world.add(peer);
    for _ in 0..2 {
        world.run();
        world.run_of("hub/peer-a");
    }
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    world
}

fn between(world: &World) -> Vec<String> {
    let ours = flows(world, fixtures::NAMESPACE).into_iter().filter(|flow| flow.contains("gtc-peer-a"));
    let theirs = flows(world, "gtc-peer-a").into_iter().filter(|flow| flow.contains("gtc-app-a"));
    ours.chain(theirs).collect()
}

#[test]
fn an_existing_interface_opens_the_caller_outwards_and_the_called_inwards() {
    let flows = between(&linked("Existing", |_| {}));
    assert_eq!(
        flows,
        [
            "batch -> gtc-peer-a[instance=peer-a] : any port",
            "web -> gtc-peer-a[instance=peer-a] : any port",
            "web <- gtc-app-a[instance=app-a] : 8080/TCP",
        ]
    );
}

#[test]
fn a_planned_interface_opens_nothing() {
    assert!(between(&linked("Planned", |_| {})).is_empty());
}

#[test]
fn an_interface_does_not_cross_environments() {
    assert!(between(&linked("Existing", |peer| peer.spec.environment = Environment::Test)).is_empty());
}

#[test]
fn an_interface_does_not_cross_establishments() {
    let mut world = linked("Existing", |peer| peer.spec.establishment = "elsewhere".into());
    world.establishments.push(fixtures::establishment("elsewhere"));
    world.run_of("hub/peer-a");
    world.run();
    assert!(between(&world).is_empty());
}

#[test]
fn a_neighbour_that_only_asks_for_somebody_elses_namespace_opens_no_way_into_it() {
    let mut world = World::plain();
    // The namespace gtc-peer-a is an Instance's of another establishment, in another namespace of the hub.
    let mut theirs = fixtures::instance("peer-a");
    theirs.metadata.namespace = Some("another-hub".into());
    theirs.spec.establishment = "elsewhere".into();
    world.establishments.push(fixtures::establishment("elsewhere"));
    world.add(theirs);
    world.run_of("another-hub/peer-a");
    world.applications[0].spec.interfaces = vec![fixtures::link("peer", "Existing")];
    world.applications.push(fixtures::application("peer"));
    let mut release = fixtures::release("peer-1", "1.0");
    release.spec.application = "peer".into();
    world.releases.push(release);
    let mut ours = fixtures::instance("peer-a");
    ours.spec.application = "peer".into();
    ours.spec.release = Some("peer-1".into());
    world.add(ours);
    world.run_of("hub/peer-a");
    world.run();
    assert_eq!(world.condition_of("hub/peer-a", ConditionType::Stalled), "True NamespaceTaken");
    assert!(between(&world).is_empty());
}

#[test]
fn a_server_without_a_network_is_reached_by_its_address_or_by_its_port_alone() {
    for (host, flow) in [
        ("10.1.2.3", "web -> 10.1.2.3/32 : 5432/TCP"),
        ("2001:db8::1", "web -> 2001:db8::1/128 : 5432/TCP"),
        ("pg.example.fr", "web -> anywhere : 5432/TCP"),
    ] {
        let mut world = World::plain();
        let server = world.platforms[0].spec.database.server.as_mut().unwrap();
        (server.host, server.cidr) = (host.into(), None);
        world.run();
        assert!(flows(&world, fixtures::NAMESPACE).contains(flow), "{host}");
    }
}
