//! Is anything lost that nobody meant to lose?

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gotocloud_integration::{
    ESTABLISHMENTS, Fleet, HUB, INSTANCES, NAMESPACES, PATIENCE, PLATFORMS, Refused, condition, eventually,
    fleet_tests,
    objects::{APP, CNPG, ETAB, SERVER, establishment, instance, with},
    resource,
};
use gotocloud_planner::{Kind, removals};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// An Instance for an Establishment of its own name, which is made.
fn own(fleet: &Fleet, name: &str, spec: &Value) -> Value {
    fleet.apply(&establishment(name)).unwrap();
    with(instance(name, APP, name), json!({ "spec": spec }))
}

fn delete(fleet: &Fleet, name: &str) -> Result<(), Refused> {
    fleet.delete(INSTANCES, HUB, name)
}

/// What the server says of a role: whether it may log in; nothing where there is none.
fn may_log_in(fleet: &Fleet, role: &str) -> Option<bool> {
    let rows = fleet.sql(&format!("SELECT rolcanlogin FROM pg_roles WHERE rolname = '{role}'")).unwrap();
    rows.first().map(|row| row[0] == "t")
}

fn has_database(fleet: &Fleet, name: &str) -> bool {
    fleet.sql(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'")).unwrap() == [["1"]]
}

/// What the Platform lists as kept of an Instance.
fn retained(fleet: &Fleet, platform: &str, instance: &str) -> Option<Value> {
    let platform = fleet.get(PLATFORMS, "", platform).unwrap();
    platform["status"]["retained"]
        .as_array()?
        .iter()
        .find(|one| one["instance"] == format!("{HUB}/{instance}"))
        .cloned()
}

/// From here on the hub is named: the operator deletes what follows under the policy that looks at the Instances first.
fn instances_count_in_the_hubs_that_are_named_and_nowhere_else(fleet: &mut Fleet) {
    const ELSEWHERE: &str = "elsewhere";
    let stray =
        |name: &str| with(instance(name, "no-such-application", ETAB), json!({"metadata": {"namespace": ELSEWHERE}}));
    fleet.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ELSEWHERE}})).unwrap();
    fleet.apply(&stray("stray")).unwrap();
    eventually(PATIENCE, "where no hub is named it counts", || {
        let stray = fleet.get(INSTANCES, ELSEWHERE, "stray").unwrap();
        condition(&stray, "Ready").map(|_| ()).ok_or(stray)
    });

    fleet.installation.name_hubs(&[HUB]).unwrap();
    eventually(PATIENCE, "none is made elsewhere", || match fleet.apply(&stray("another")) {
        Err(refusal) if refusal.message.contains("does not count in the namespace elsewhere: make it in hub") => Ok(()),
        other => {
            // It was made before the policy was in force.
            let _ = fleet.delete(INSTANCES, ELSEWHERE, "another");
            Err(format!("{other:?}"))
        }
    });
    fleet.patch(INSTANCES, ELSEWHERE, "stray", &json!({"spec": {"deletionProtection": true}})).unwrap();
    let counted = own(fleet, "counted", &json!({}));
    fleet.provision(&[counted]);
    let stray = fleet.get(INSTANCES, ELSEWHERE, "stray").unwrap();
    assert_eq!((&stray["metadata"]["generation"], &stray["status"]["observedGeneration"]), (&json!(2), &json!(1)));
}

fn an_instance_in_production_is_not_deleted_before_its_protection_is_lifted(fleet: &mut Fleet) {
    let by_stage = own(fleet, "guarded", &json!({"stage": "PartialProduction"}));
    let by_word = own(fleet, "said", &json!({"deletionProtection": true}));
    fleet.provision(&[by_stage, by_word]);
    let refusal = delete(fleet, "guarded").unwrap_err();
    for word in [
        "Instance hub/guarded is protected against deletion (its stage is PartialProduction)",
        "establishment guarded depends on it",
        "kubectl patch instance guarded -n hub --type merge -p '{\"spec\":{\"deletionProtection\":false}}'",
    ] {
        assert!(refusal.message.contains(word), "{word}: {refusal}");
    }
    let refusal = delete(fleet, "said").unwrap_err();
    assert!(refusal.message.contains("spec.deletionProtection is true"), "{refusal}");
    let refusal = fleet.delete(NAMESPACES, "", "gtc-guarded").unwrap_err();
    assert!(refusal.message.contains("Delete that Instance, not the namespace"), "{refusal}");
    assert!(has_database(fleet, "guarded"));
    // The command it names is the one that helps.
    fleet
        .kubectl(&[
            "patch",
            "instance",
            "guarded",
            "-n",
            "hub",
            "--type",
            "merge",
            "-p",
            "{\"spec\":{\"deletionProtection\":false}}",
        ])
        .unwrap();
    fleet.ready("guarded");
    delete(fleet, "guarded").unwrap();
}

fn with_delete_all_of_it_goes_the_data_included(fleet: &mut Fleet) {
    // The one before was deleted so.
    fleet.until_gone(INSTANCES, HUB, "guarded");
    fleet.until_gone(NAMESPACES, "", "gtc-guarded");
    assert_eq!((may_log_in(fleet, "guarded"), has_database(fleet, "guarded")), (None, false));
    assert!(retained(fleet, SERVER, "guarded").is_none());
}

fn with_retain_the_workload_goes_and_the_data_stays_locked_and_listed(fleet: &mut Fleet) {
    let kept = own(fleet, "kept", &json!({"deletionPolicy": "Retain"}));
    let on_cnpg = own(fleet, "kept-cnpg", &json!({"deletionPolicy": "Retain", "platform": CNPG}));
    fleet.provision(&[kept, on_cnpg]);
    let password = fleet.secret("gtc-kept", "database-app", "password").unwrap();
    fleet
        .sql_as("kept", &password, "kept", "CREATE TABLE people (name text); INSERT INTO people VALUES ('Ada')")
        .unwrap();
    delete(fleet, "kept").unwrap();
    delete(fleet, "kept-cnpg").unwrap();
    for name in ["kept", "kept-cnpg"] {
        fleet.until_gone(INSTANCES, HUB, name);
        for kind in
            [Kind::Deployment, Kind::Service, Kind::Ingress, Kind::HttpRoute, Kind::ConfigMap, Kind::ResourceQuota]
        {
            eventually(PATIENCE, &format!("{kind} of {name} gone"), || {
                let left: Vec<Value> = fleet
                    .children(name)
                    .into_iter()
                    .filter(|(of, _)| *of == kind)
                    .map(|(_, one)| one["metadata"]["name"].clone())
                    .collect();
                if left.is_empty() { Ok(()) } else { Err(json!(left)) }
            });
        }
    }
    assert_eq!((may_log_in(fleet, "kept"), has_database(fleet, "kept")), (Some(false), true));
    assert!(fleet.sql_as("kept", &password, "kept", "SELECT 1").is_err(), "nobody logs in any more");
    assert_eq!(fleet.secret("gtc-kept", "database-app", "password"), Some(password));
    assert!(fleet.get(&resource(Kind::Cluster), "gtc-kept-cnpg", "database").is_some());
    for (platform, name, data) in [
        (SERVER, "kept", "its role kept locked; its password in the Secret database-app"),
        (CNPG, "kept-cnpg", "CloudNativePG Cluster gtc-kept-cnpg/database"),
    ] {
        let listed = eventually(PATIENCE, &format!("{platform} lists {name}"), || {
            retained(fleet, platform, name).ok_or("nothing")
        });
        assert!(listed["data"].as_str().unwrap().contains(data), "{listed}");
        assert_eq!(listed["namespace"], format!("gtc-{name}"));
        assert!(listed["since"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{listed}");
    }
    let refusal = fleet.delete(NAMESPACES, "", "gtc-kept").unwrap_err();
    assert!(refusal.message.contains("keeps the data of Instance hub/kept, deleted on"), "{refusal}");
    let refusal = fleet
        .patch("v1/secrets", "gtc-kept", "database-app", &json!({"stringData": {"password": "mine"}}))
        .unwrap_err();
    assert!(refusal.message.contains("kept by the Go-to-Cloud operator"), "{refusal}");
}

fn an_instance_made_again_takes_its_data_up_with_the_same_password(fleet: &mut Fleet) {
    let password = fleet.secret("gtc-kept", "database-app", "password").unwrap();
    let kept = own(fleet, "kept", &json!({"deletionPolicy": "Retain"}));
    let on_cnpg = own(fleet, "kept-cnpg", &json!({"deletionPolicy": "Retain", "platform": CNPG}));
    let cluster = fleet.get(&resource(Kind::Cluster), "gtc-kept-cnpg", "database").unwrap()["metadata"]["uid"].clone();
    fleet.provision(&[kept, on_cnpg]);
    assert_eq!(fleet.secret("gtc-kept", "database-app", "password"), Some(password.clone()));
    let rows = fleet.sql_as("kept", &password, "kept", "SELECT name FROM people").unwrap();
    assert_eq!(rows, [["Ada"]]);
    assert_eq!(fleet.child(Kind::Cluster, "kept-cnpg", "database")["metadata"]["uid"], cluster);
    let labels = fleet.get(NAMESPACES, "", "gtc-kept").unwrap()["metadata"]["labels"].clone();
    assert!(labels["gotocloud.amue.fr/retained"].is_null(), "{labels}");
    for (platform, name) in [(SERVER, "kept"), (CNPG, "kept-cnpg")] {
        eventually(PATIENCE, "what is in use again is no longer listed", || match retained(fleet, platform, name) {
            None => Ok(()),
            Some(listed) => Err(listed),
        });
    }
}

fn what_somebody_else_is_to_have_does_not_take_kept_data_up(fleet: &mut Fleet) {
    delete(fleet, "kept").unwrap();
    fleet.until_gone(INSTANCES, HUB, "kept");
    fleet.apply(&establishment("heir")).unwrap();
    fleet.apply(&instance("kept", APP, "heir")).unwrap();
    let message = fleet.stalled("kept", "NamespaceTaken");
    assert!(message.contains("of kept"), "{message}");
    assert_eq!((may_log_in(fleet, "kept"), has_database(fleet, "kept")), (Some(false), true));
    // Its deletion harms nothing of the other's either, though it says Delete.
    delete(fleet, "kept").unwrap();
    fleet.until_gone(INSTANCES, HUB, "kept");
    assert!(has_database(fleet, "kept") && fleet.secret("gtc-kept", "database-app", "password").is_some());
    // Once a person lets it go, nobody lists it any more.
    fleet.kubectl(&["label", "namespace", "gtc-kept", "gotocloud.amue.fr/deletion-protected-"]).unwrap();
    fleet.delete(NAMESPACES, "", "gtc-kept").unwrap();
    fleet.until_gone(NAMESPACES, "", "gtc-kept");
    eventually(PATIENCE, "what is gone is no longer listed", || match retained(fleet, SERVER, "kept") {
        None => Ok(()),
        Some(listed) => Err(listed),
    });
}

/// What was removed is remembered for ten minutes: a new process remembers nothing.
fn forget_removals(fleet: &mut Fleet) {
    fleet.installation.operator.take().unwrap().terminate().unwrap();
    fleet.installation.start_operator().unwrap();
}

fn an_establishment_stays_while_an_instance_serves_it(fleet: &mut Fleet) {
    eventually(PATIENCE, "its instance is counted", || {
        let total = fleet.get(ESTABLISHMENTS, "", "said").unwrap()["status"]["instances"]["total"].clone();
        if total == 1 { Ok(()) } else { Err(total) }
    });
    let refusal = fleet.delete(ESTABLISHMENTS, "", "said").unwrap_err();
    for word in [
        "Establishment said cannot be deleted while instances need it: 1 remains",
        "--field-selector spec.establishment=said",
    ] {
        assert!(refusal.message.contains(word), "{word}: {refusal}");
    }
    for (resource, name) in
        [(PLATFORMS, SERVER), (gotocloud_integration::RELEASES, "app-1.0"), (gotocloud_integration::APPLICATIONS, APP)]
    {
        let refusal = fleet.delete(resource, "", name).unwrap_err();
        assert!(refusal.message.contains("cannot be deleted while instances need it"), "{name}: {refusal}");
    }
    forget_removals(fleet);
    fleet.edit("said", &json!({"spec": {"deletionProtection": false}}));
    delete(fleet, "said").unwrap();
    fleet.until_gone(INSTANCES, HUB, "said");
    eventually(PATIENCE, "it may go once its last instance is gone", || fleet.delete(ESTABLISHMENTS, "", "said"));
}

fn more_than_a_tenth_of_the_fleet_is_not_removed_before_a_person_says_so(fleet: &mut Fleet) {
    const INSTANCES_TO_REMOVE: usize = 8;
    fleet.apply(&establishment(ETAB)).unwrap();
    let names: Vec<String> = (0..INSTANCES_TO_REMOVE).map(|at| format!("mass-{at}")).collect();
    let mass: Vec<Value> = names.iter().map(|name| own(fleet, name, &json!({}))).collect();
    fleet.provision(&mass);
    let objects: usize = names.iter().map(|name| fleet.children(name).len()).sum();
    assert!(objects > removals::ALWAYS_ALLOWED, "{objects} objects are enough to be held");
    for name in &names {
        delete(fleet, name).unwrap();
    }
    let message = fleet.stalled(&names[0], "RemovalsHeld");
    assert!(
        message.contains("gotocloud.amue.fr/allow-removals-until=TIME") && message.contains("annotate the Platform"),
        "{message}"
    );
    println!("  {message}");
    std::thread::sleep(Duration::from_secs(8));
    let stalled = names
        .iter()
        .filter(|name| fleet.get(INSTANCES, HUB, name).is_some_and(|one| condition(&one, "Stalled").is_some()))
        .count();
    let left: usize = names.iter().map(|name| fleet.children(name).len()).sum();
    assert_eq!((stalled, left), (INSTANCES_TO_REMOVE, objects), "not one object of them is gone");
    assert!(names.iter().all(|name| has_database(fleet, &name.replace('-', "_"))));
    let held = fleet.operator().metric("gotocloud_removals_held").unwrap();
    assert!((held - 8.0).abs() < 0.1, "{held} are counted as held");
    // The others are served meanwhile.
    let other = own(fleet, "meanwhile", &json!({}));
    fleet.provision(&[other]);
    let allowed = Instant::now();
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(10);
    fleet
        .patch(
            PLATFORMS,
            "",
            SERVER,
            &json!({"metadata": {"annotations": {"gotocloud.amue.fr/allow-removals-until": until.to_string()}}}),
        )
        .unwrap();
    for name in &names {
        fleet.until_gone(INSTANCES, HUB, name);
    }
    println!(
        "  {objects} objects of {INSTANCES_TO_REMOVE} instances gone {:.1} s after a person said so",
        allowed.elapsed().as_secs_f64()
    );
    assert!(names.iter().all(|name| !has_database(fleet, &name.replace('-', "_"))));
    fleet.patch(PLATFORMS, "", SERVER, &json!({"metadata": {"annotations": null}})).unwrap();
}

fn one_deletion_among_a_few_is_not_held(fleet: &mut Fleet) {
    fleet.ready("meanwhile");
    forget_removals(fleet);
    let begun = Instant::now();
    delete(fleet, "meanwhile").unwrap();
    eventually(PATIENCE, "its namespace is on its way out", || match fleet.get(NAMESPACES, "", "gtc-meanwhile") {
        Some(namespace) if namespace["metadata"]["deletionTimestamp"].is_null() => Err(namespace["status"].clone()),
        _ => Ok(()),
    });
    println!("  one deletion acted on after {:.1} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < Duration::from_secs(10));
}

fleet_tests!(
    "it-deletion",
    |spec| spec,
    [
        instances_count_in_the_hubs_that_are_named_and_nowhere_else,
        an_instance_in_production_is_not_deleted_before_its_protection_is_lifted,
        with_delete_all_of_it_goes_the_data_included,
        with_retain_the_workload_goes_and_the_data_stays_locked_and_listed,
        an_instance_made_again_takes_its_data_up_with_the_same_password,
        what_somebody_else_is_to_have_does_not_take_kept_data_up,
        an_establishment_stays_while_an_instance_serves_it,
        more_than_a_tenth_of_the_fleet_is_not_removed_before_a_person_says_so,
        one_deletion_among_a_few_is_not_held,
    ]
);
