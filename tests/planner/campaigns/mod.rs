//! What campaigns promise, each promise a test: of a small fleet, seen as the operator sees it.

mod decisions;
mod engine;
mod hub;
mod meanwhile;
mod one_bad_object;
mod rollbacks;
mod standings;

use crate::support::fixtures::{self, by};
use gotocloud_api::{Campaign, CampaignSpec, CampaignStatus, Instance, Release, upgrade::Rollout};
use gotocloud_planner::{
    campaign::{
        self, Moves, Standing, View,
        claims::Claims,
        standing::{self, Asker},
    },
    path::Graph,
    simulate,
};
use jiff::Timestamp;
use serde_json::{Value, json};

fn merged(mut all: Value, more: &Value) -> Value {
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// The spec of a campaign to app-3 with one wave of all, and what `more` says.
fn spec(more: &Value) -> CampaignSpec {
    let spec = json!({"application": "app", "state": "Running", "upgrade": {"release": "app-3"},
        "waves": [{"name": "w", "targets": {"selector": {}}}]});
    serde_json::from_value(merged(spec, more)).unwrap()
}

fn campaign_of(name: &str, more: &Value) -> Campaign {
    let mut campaign = Campaign::new(name, spec(more));
    campaign.metadata.uid = Some(format!("uid-{name}"));
    campaign.metadata.generation = Some(1);
    campaign
}

/// As [`campaign_of`], as an object of a fleet.
fn campaign_object(name: &str, more: &Value) -> Value {
    serde_json::to_value(campaign_of(name, more)).unwrap()
}

/// A campaign's status in which these waves have begun.
fn begun(waves: &[&str]) -> CampaignStatus {
    let waves: Vec<_> = waves.iter().map(|name| json!({"name": name, "startedAt": "2026-01-01T00:00:00Z"})).collect();
    serde_json::from_value(json!({ "waves": waves })).unwrap()
}

fn fleet(objects: &[Value]) -> simulate::World {
    let mut world = simulate::World::default();
    for object in objects {
        world.add(object.clone()).unwrap();
    }
    world
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let namespace = if kind == "Instance" || kind == "Deferral" { json!("gotocloud") } else { Value::Null };
    let metadata = json!({"name": name, "namespace": namespace, "uid": format!("uid-{name}"), "generation": 1});
    json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

fn application() -> Value {
    serde_json::to_value(fixtures::application("app")).unwrap()
}

fn establishment(name: &str, more: &Value) -> Value {
    object("Establishment", name, &merged(json!({"displayName": name}), more))
}

fn release_object(name: &str, version: &str, more: &Value) -> Value {
    let spec = json!({"application": "app", "versionScheme": "Dotted", "version": version, "components": []});
    object("Release", name, &merged(spec, more))
}

fn release(name: &str, version: &str) -> Release {
    serde_json::from_value(release_object(name, version, &json!({}))).unwrap()
}

fn graph(releases: &[(&str, &str)]) -> Graph {
    let all: Vec<Release> = releases.iter().map(|(name, version)| release(name, version)).collect();
    Graph::new(&all)
}

/// An Instance that runs a release.
fn runs(name: &str, establishment: &str, release: &str, spec: &Value, status: &Value) -> Value {
    let mut one =
        object("Instance", name, &merged(json!({"application": "app", "establishment": establishment}), spec));
    one["metadata"]["resourceVersion"] = json!("1");
    one["status"] = merged(json!({"release": {"name": release, "version": "1.0"}}), status);
    one
}

fn instance(name: &str, spec: &Value, status: &Value) -> Instance {
    let all = merged(json!({"application": "app", "establishment": "e"}), spec);
    let mut one = object("Instance", name, &all);
    one["metadata"]["resourceVersion"] = json!("1");
    one["status"] = status.clone();
    serde_json::from_value(one).unwrap()
}

/// The record of a way.
fn upgraded(rollout: Option<&Rollout>, from: &str, to: &str, active: &str, phase: &str) -> Value {
    json!({"rollout": rollout, "from": from, "to": to, "active": active, "path": [to], "phase": phase,
        "since": "2026-01-01T00:00:00Z", "startedAt": "2026-01-01T00:00:00Z"})
}

/// Where an instance stands for the campaign of that spec and uid, while these campaigns go on.
fn stands(spec: &CampaignSpec, uid: &str, going: &[Value], instance: &Instance, owner: Option<&str>) -> Standing {
    let goal = standing::goal(spec).unwrap();
    let read = |one: &Value| std::sync::Arc::new(serde_json::from_value(one.clone()).unwrap());
    let going: Vec<_> = going.iter().map(read).collect();
    let claims = Claims::of(&going);
    let asker = Asker { spec, uid, goal: &goal, claims: &claims, now: at("2026-06-01T00:00:00Z") };
    standing::of(asker, instance.metadata.name.as_deref().unwrap(), "w", Some(instance), owner)
}

/// What a campaign does, of which these waves have begun, and what is known of it.
fn decided(campaign: &Campaign, waves: &[&str], world: &simulate::World, now: Timestamp) -> (Moves, View) {
    let status = begun(waves);
    let mut view = View::new(campaign, Some(&status), world, None, now).unwrap();
    let moves = view.decide(campaign, Some(&status), now);
    (moves, view)
}

fn names(moves: &[campaign::Admission]) -> Vec<&str> {
    moves.iter().map(|one| &*one.name).collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
