//! Is a database on a server touched only where it is proven the instance's own, and is what becomes of it seen?

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gotocloud_integration::{
    Fleet, HUB, INSTANCES, NAMESPACES, condition, eventually, fleet_tests,
    objects::{APP, CNPG, establishment, instance, with},
};
use serde_json::{Value, json};
use std::time::Duration;

/// Within how long what changed on a server is told: it is looked at every 45 s, and a busy machine is given time.
const SEEN: Duration = Duration::from_secs(90);

/// Those on the Platform with `CloudNativePG`: of one the Secret is emptied, of the other it is deleted.
const ON_CNPG: [&str; 2] = ["emptied", "bereft"];

/// An Instance for an Establishment of its own name, which is made.
fn own(fleet: &Fleet, name: &str) -> Value {
    fleet.apply(&establishment(name)).unwrap();
    instance(name, APP, name)
}

fn has_database(fleet: &Fleet, name: &str) -> bool {
    fleet.sql(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'")).unwrap() == [["1"]]
}

fn password(fleet: &Fleet, instance: &str) -> String {
    fleet.secret(&format!("gtc-{instance}"), "database-app", "password").unwrap()
}

/// The mark of the role and of the database of that name.
fn marks(fleet: &Fleet, name: &str) -> [String; 2] {
    let role = format!("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '{name}'");
    let database = format!("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{name}'");
    [role, database].map(|query| fleet.sql(&query).unwrap()[0][0].clone())
}

/// Waits until an Instance is stalled for that reason; gives the message.
fn told(fleet: &Fleet, name: &str, reason: &str) -> String {
    eventually(SEEN, &format!("{name}: {reason}"), || match condition(&fleet.instance(name), "Stalled") {
        Some(stalled) if stalled.reason == reason => Ok(stalled.message),
        other => Err(format!("{other:?}")),
    })
}

fn what_is_made_bears_the_mark_of_this_installation(fleet: &mut Fleet) {
    let names = ["marked", "twin", "gone", "locked-out", "messy"];
    let mut all: Vec<Value> = names.iter().map(|name| own(fleet, name)).collect();
    let on_cnpg = json!({"spec": {"platform": CNPG}});
    all.extend(ON_CNPG.map(|name| with(own(fleet, name), on_cnpg.clone())));
    fleet.provision(&all);

    let installation = fleet.get(NAMESPACES, "", "kube-system").unwrap()["metadata"]["uid"].clone();
    let mark = format!(
        "Go-to-Cloud 1: installation={} application=app establishment=marked environment=Production instance=hub/marked",
        installation.as_str().unwrap()
    );
    assert_eq!(marks(fleet, "marked"), [mark.clone(), mark]);
}

fn a_database_made_by_hand_is_refused_and_outlives_the_instance(fleet: &mut Fleet) {
    for statement in [
        "CREATE ROLE biblio LOGIN PASSWORD 'b'",
        "GRANT biblio TO CURRENT_USER",
        "CREATE DATABASE by_hand OWNER biblio",
    ] {
        fleet.sql(statement).unwrap();
    }
    fleet.sql_as("biblio", "b", "by_hand", "CREATE TABLE grades (mark text)").unwrap();

    fleet.apply(&own(fleet, "by-hand")).unwrap();
    let message = fleet.stalled("by-hand", "DatabaseRefused");
    println!("  {message}");
    assert!(message.contains("belongs to the role biblio") && message.contains("ALTER DATABASE"), "{message}");
    fleet.delete(INSTANCES, HUB, "by-hand").unwrap();
    fleet.until_gone(INSTANCES, HUB, "by-hand");
    assert!(fleet.sql_as("biblio", "b", "by_hand", "TABLE grades").is_ok(), "it is there, and open to its own");
}

fn an_instance_called_as_a_database_of_the_servers_own_is_refused(fleet: &mut Fleet) {
    fleet.apply(&own(fleet, "template1")).unwrap();
    fleet.stalled("template1", "DatabaseRefused");
    assert!(fleet.get(NAMESPACES, "", "gtc-template1").is_none(), "nothing is made");
    fleet.delete(INSTANCES, HUB, "template1").unwrap();
    fleet.until_gone(INSTANCES, HUB, "template1");
    assert!(has_database(fleet, "template1"));
}

fn what_becomes_of_databases_behind_its_back_is_seen_within_a_minute(fleet: &mut Fleet) {
    let twins = password(fleet, "twin");
    let foreign = marks(fleet, "twin")[0].replace("installation=", "installation=another-");
    fleet.sql(&format!("COMMENT ON ROLE twin IS '{foreign}'; COMMENT ON DATABASE twin IS '{foreign}'")).unwrap();
    fleet.sql("DROP DATABASE gone WITH (FORCE)").unwrap();
    fleet.sql("ALTER ROLE locked_out PASSWORD 'changed'").unwrap();
    let secret = |name: &str| fleet.get("v1/secrets", &format!("gtc-{name}"), "database-app").unwrap();
    let mut as_they_were = ON_CNPG.map(secret);
    fleet.patch("v1/secrets", "gtc-emptied", "database-app", &json!({"data": {"password": ""}})).unwrap();
    fleet.delete("v1/secrets", "gtc-bereft", "database-app").unwrap();

    let message = told(fleet, "twin", "DatabaseRefused");
    assert!(message.contains("installation=another-"), "{message}");
    assert!(fleet.sql_as("twin", &twins, "twin", "SELECT 1").is_ok(), "who has it now is not shut out");
    let message = told(fleet, "gone", "DatabaseLost");
    println!("  {message}");
    assert!(!has_database(fleet, "gone"));
    let locked_out = password(fleet, "locked-out");
    eventually(SEEN, "its password opens its database again", || {
        fleet.sql_as("locked_out", &locked_out, "locked_out", "SELECT 1").map_err(|error| format!("{error:#}"))
    });
    fleet.ready("locked-out");
    fleet.ready("marked");

    for (name, secret) in ON_CNPG.iter().zip(&mut as_they_were) {
        let message = told(fleet, name, "DatabaseSecretInvalid");
        assert!(message.contains(&format!("Secret gtc-{name}/database-app")), "{message}");
        assert_eq!(condition(&fleet.instance(name), "Ready").unwrap().status, "False");
        for field in ["managedFields", "resourceVersion", "uid"] {
            secret["metadata"].as_object_mut().unwrap().remove(field);
        }
        fleet.apply(secret).unwrap();
    }
    for name in ON_CNPG {
        fleet.ready(name);
    }
}

fn an_empty_database_is_made_where_a_person_asks_for_it(fleet: &mut Fleet) {
    let oid = fleet.instance("gone")["status"]["database"]["oid"].to_string();
    fleet.edit("gone", &json!({"metadata": {"annotations": {"gotocloud.amue.fr/new-empty-database": oid}}}));
    fleet.ready("gone");
    assert!(has_database(fleet, "gone"));
}

fn what_another_installation_has_is_not_dropped_and_what_is_left_is_told(fleet: &mut Fleet) {
    fleet.delete(INSTANCES, HUB, "twin").unwrap();
    fleet.until_gone(INSTANCES, HUB, "twin");
    assert!(has_database(fleet, "twin"));
    let events = fleet.list("events.k8s.io/v1/events", HUB, "");
    let is_told =
        events.iter().any(|event| event["note"].as_str().is_some_and(|note| note.contains("it is left as it is")));
    assert!(is_told, "an event says what is left");
}

fn what_a_tenant_left_in_other_databases_does_not_hold_its_deletion_up(fleet: &mut Fleet) {
    let messy = password(fleet, "messy");
    fleet.sql_as("messy", &messy, "postgres", "SELECT lo_create(0)").unwrap();
    fleet.delete(INSTANCES, HUB, "messy").unwrap();
    fleet.until_gone(INSTANCES, HUB, "messy");
    assert!(!has_database(fleet, "messy"));
    assert_eq!(fleet.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'messy'").unwrap(), [["0"]]);
}

fleet_tests!(
    "it-databases",
    |spec| spec,
    [
        what_is_made_bears_the_mark_of_this_installation,
        a_database_made_by_hand_is_refused_and_outlives_the_instance,
        an_instance_called_as_a_database_of_the_servers_own_is_refused,
        what_becomes_of_databases_behind_its_back_is_seen_within_a_minute,
        an_empty_database_is_made_where_a_person_asks_for_it,
        what_another_installation_has_is_not_dropped_and_what_is_left_is_told,
        what_a_tenant_left_in_other_databases_does_not_hold_its_deletion_up,
    ]
);
