//! Does what one person gets wrong stay theirs, and are they told what to do about it?
//!
//! The cluster has no cert-manager at first: one test installs it.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gotocloud_harness::{OptionalApi, operator::NAMESPACE as SYSTEM};
use gotocloud_integration::{
    APPLICATIONS, ESTABLISHMENTS, Fleet, HUB, INSTANCES, PATIENCE, PLATFORMS, condition, eventually, fleet_tests,
    objects::{APP, CNPG, SERVER, application, establishment, instance, release, with},
};
use gotocloud_planner::{Kind, variables::VARIABLES};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// An Instance that nothing is wrong with, from the first test to the last.
const GOOD: &str = "good";
/// How long the operator may take to see that the cluster serves another API: it looks every 30 s.
const DISCOVERED: Duration = Duration::from_secs(50);

/// An Instance for an Establishment of its own name, which is made, with those changes to its spec.
fn own(fleet: &Fleet, name: &str, application: &str, spec: &Value) -> Value {
    fleet.apply(&establishment(name)).unwrap();
    with(instance(name, application, name), json!({ "spec": spec }))
}

/// The Platform on the installation's database server, with those changes to its spec.
fn platform(fleet: &Fleet, name: &str, spec: &Value) {
    fleet.apply(&with(fleet.installation.platform(name), json!({ "spec": spec }))).unwrap();
}

/// Applies an Instance and waits until it is stalled for that reason, with a message of those words. Meanwhile nothing
/// becomes of the rest of the fleet.
fn stalls(fleet: &Fleet, instance: &Value, reason: &str, words: &[&str]) {
    fleet.apply(instance).unwrap();
    let message = fleet.stalled(instance["metadata"]["name"].as_str().unwrap(), reason);
    println!("  {reason}: {message}");
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
    unharmed(fleet);
}

/// Is the operator still the process it was, and is everybody else served?
fn unharmed(fleet: &Fleet) {
    assert!(fleet.operator().runs());
    let ready = condition(&fleet.instance(GOOD), "Ready").unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", "AsDesired"), "{}", ready.message);
}

fn metric(fleet: &Fleet, name: &str) -> f64 {
    fleet.operator().metric(name).unwrap()
}

fn an_instance_that_nothing_is_wrong_with_is_ready(fleet: &mut Fleet) {
    let good = own(fleet, GOOD, APP, &json!({}));
    fleet.provision(&[good]);
}

fn what_does_not_exist_is_named_with_what_to_do(fleet: &mut Fleet) {
    for object in [application("marked"), release("other", "1.0"), application("other")] {
        fleet.apply(&object).unwrap();
    }
    fleet.patch(APPLICATIONS, "", "marked", &json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    for (name, changes, reason, words) in [
        (
            "no-app",
            json!({"application": "absent"}),
            "ApplicationNotFound",
            ["no Application called absent", "create it"],
        ),
        (
            "no-etab",
            json!({"establishment": "absent"}),
            "EstablishmentNotFound",
            ["no Establishment called absent", "spec.establishment"],
        ),
        ("no-release", json!({"release": "absent"}), "ReleaseNotFound", ["no Release called absent", "spec.release"]),
        (
            "unchosen",
            json!({"release": null}),
            "ReleaseNotChosen",
            ["no release is chosen", "set spec.release to a Release of app"],
        ),
        (
            "foreign",
            json!({"release": "other-1.0"}),
            "ReleaseOfAnotherApplication",
            ["is of other, not of app", "set spec.release to a Release of app"],
        ),
        ("nowhere", json!({"platform": "absent"}), "PlatformNotFound", ["no Platform called absent", "spec.platform"]),
    ] {
        let instance = own(fleet, name, APP, &changes);
        stalls(fleet, &instance, reason, &words);
    }
    fleet
        .apply(&with(
            establishment("sizeless"),
            json!({"spec": {"yearlyMassMillionEuros": null, "homePlatform": null}}),
        ))
        .unwrap();
    stalls(fleet, &instance("sizeless", APP, "sizeless"), "PlatformNotChosen", &["set spec.platform, or homePlatform"]);
    fleet.patch(ESTABLISHMENTS, "", "sizeless", &json!({"spec": {"homePlatform": SERVER}})).unwrap();
    let message = fleet.stalled("sizeless", "SizeUnknown");
    assert!(message.contains("yearlyMassMillionEuros or a sizeClass"), "{message}");
    stalls(
        fleet,
        &instance("duplicate", APP, GOOD),
        "DuplicateInstance",
        &["hub/good already runs app for good in Production"],
    );
    // Each is served once what was missing is there.
    fleet.patch(ESTABLISHMENTS, "", "sizeless", &json!({"spec": {"sizeClass": "VerySmall"}})).unwrap();
    fleet.apply(&establishment("absent")).unwrap();
    fleet.apply(&with(release(APP, "1.0"), json!({"metadata": {"name": "absent"}}))).unwrap();
    platform(fleet, "absent", &json!({}));
    for name in ["sizeless", "no-etab", "no-release", "nowhere"] {
        fleet.ready(name);
    }
}

fn a_way_that_was_refused_begins_once_its_release_is_published(fleet: &mut Fleet) {
    let early = own(fleet, "early", APP, &json!({}));
    fleet.provision(std::slice::from_ref(&early));
    fleet.edit("early", &json!({"spec": {"release": format!("{APP}-7.0")}}));
    let message = fleet.stalled("early", "UpgradeRefused");
    assert!(message.contains(&format!("{APP}-7.0 is no Release of this application")), "{message}");
    fleet.apply(&release(APP, "7.0")).unwrap();
    fleet.until("early", "it runs what was published", |one| one["status"]["release"]["version"] == "7.0");
    fleet.ready("early");
    unharmed(fleet);
}

fn a_platform_that_takes_none_or_holds_enough_says_so(fleet: &mut Fleet) {
    platform(fleet, "small", &json!({"state": "Draining", "capacity": 1}));
    let [first, second] = ["place-1", "place-2"].map(|name| own(fleet, name, APP, &json!({"platform": "small"})));
    stalls(
        fleet,
        &first,
        "PlatformDraining",
        &["is draining and takes no new instance", "choose another in spec.platform"],
    );
    fleet.patch(PLATFORMS, "", "small", &json!({"spec": {"state": "Active"}})).unwrap();
    fleet.ready("place-1");
    stalls(fleet, &second, "PlatformFull", &["holds 1 instances, as many as its capacity", "raise it"]);
    // Those it holds go on while it drains, and a place that comes free is taken.
    fleet.patch(PLATFORMS, "", "small", &json!({"spec": {"state": "Draining"}})).unwrap();
    fleet.edit("place-1", &json!({"spec": {"env": [{"name": "A", "value": "b"}]}}));
    fleet.ready("place-1");
    fleet.patch(PLATFORMS, "", "small", &json!({"spec": {"state": "Active"}})).unwrap();
    fleet.delete(INSTANCES, HUB, "place-1").unwrap();
    fleet.ready("place-2");
}

fn a_database_server_that_does_not_answer_is_waited_for(fleet: &mut Fleet) {
    let port = gotocloud_harness::ports::free().unwrap();
    let mut server = fleet.installation.platform("silent")["spec"]["database"].clone();
    server["server"]["port"] = json!(port);
    platform(fleet, "silent", &json!({ "database": server }));
    let waiting = own(fleet, "waiting", APP, &json!({"platform": "silent"}));
    fleet.apply(&waiting).unwrap();
    let seen = fleet.until("waiting", "it says why it waits", |one| {
        condition(one, "Ready").is_some_and(|ready| ready.reason == "DatabaseUnreachable")
    });
    let ready = condition(&seen, "Ready").unwrap();
    println!("  DatabaseUnreachable: {}", ready.message);
    assert!(
        ready.message.contains(&format!("127.0.0.1:{port} cannot be reached"))
            && ready.message.contains("check the Platform's database.server")
    );
    assert_eq!(condition(&seen, "Reconciling").unwrap().status, "True", "it is tried again: not stalled");
    assert_eq!(condition(&seen, "DatabaseReady").unwrap().reason, "DatabaseUnreachable");
    assert!(fleet.list("apps/v1/deployments", "gtc-waiting", "").is_empty(), "its pods wait for their database");
    unharmed(fleet);
}

fn an_administrators_secret_that_is_missing_or_wrong_is_named(fleet: &mut Fleet) {
    let with_secret = |name: &str| {
        let mut server = fleet.installation.platform(name)["spec"]["database"].clone();
        server["server"]["adminSecretName"] = json!(name);
        platform(fleet, name, &json!({ "database": server }));
    };
    let secret = |name: &str, password: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": SYSTEM},
               "stringData": {"username": fleet.installation.postgres.admin_user, "password": password}})
    };
    with_secret("keyless");
    with_secret("miskeyed");
    fleet.apply(&secret("miskeyed", "wrong")).unwrap();
    let [keyless, miskeyed] = ["keyless", "miskeyed"].map(|name| own(fleet, name, APP, &json!({ "platform": name })));
    let words = [
        "Secret gotocloud-system/keyless",
        "is not there",
        "username and password of a role with CREATEDB and CREATEROLE",
    ];
    stalls(fleet, &keyless, "DatabaseSecretInvalid", &words);
    stalls(
        fleet,
        &miskeyed,
        "DatabaseSecretInvalid",
        &["refuses the administrator of the Secret miskeyed", "correct its username and password"],
    );
    let corrected = Instant::now();
    for name in ["keyless", "miskeyed"] {
        fleet.apply(&secret(name, &fleet.installation.postgres.admin_password)).unwrap();
    }
    fleet.ready("keyless");
    fleet.ready("miskeyed");
    println!(
        "  ready {:.1} s after the Secrets were corrected, which nothing watches",
        corrected.elapsed().as_secs_f64()
    );
}

fn a_quota_too_small_is_told_with_the_field_to_raise(fleet: &mut Fleet) {
    let tight = with(application("tight"), json!({"spec": {"sizes": {"verySmall": {"quota": {"pods": 3}}}}}));
    fleet.apply(&tight).unwrap();
    fleet.apply(&release("tight", "1.0")).unwrap();
    let instance = own(fleet, "tight", "tight", &json!({}));
    stalls(
        fleet,
        &instance,
        "QuotaTooSmall",
        &["allows 3 of pods", "needs 4", "raise sizes.verySmall.quota.pods of the Application tight"],
    );
    fleet.patch(APPLICATIONS, "", "tight", &json!({"spec": {"sizes": {"verySmall": {"quota": {"pods": 4}}}}})).unwrap();
    fleet.ready("tight");
}

fn an_unknown_variable_is_told_with_those_there_are(fleet: &mut Fleet) {
    let wrong = own(fleet, "variable", APP, &json!({"env": [{"name": "NAME", "value": "${institute.name}"}]}));
    let mut words = vec!["there is no variable ${institute.name}"];
    words.extend(VARIABLES.iter().map(|(name, _)| *name));
    stalls(fleet, &wrong, "UnknownVariable", &words);
    let peer = json!({"spec": {"env": [{"name": "PEER", "value": "${endpoint.other}"}]}});
    fleet.edit("variable", &peer);
    let message = eventually(PATIENCE, "the endpoint is asked for", || {
        let message = fleet.stalled("variable", "UnknownVariable");
        if message.contains("endpoint.other") { Ok(message) } else { Err(message) }
    });
    assert!(message.contains("no instance of other with an address yet"), "{message}");
    // It is served by itself once there is one.
    fleet.provision(&[instance("variable-peer", "other", "variable")]);
    fleet.ready("variable");
    assert_eq!(
        fleet.child(Kind::ConfigMap, "variable", "web-env")["data"]["PEER"],
        "https://variable-peer.server.example.org"
    );
}

fn an_api_that_is_missing_is_named_and_its_arrival_noticed(fleet: &mut Fleet) {
    let instance = own(fleet, "certified", APP, &json!({"platform": CNPG}));
    stalls(
        fleet,
        &instance,
        "ApiMissing",
        &["does not serve Certificate (cert-manager.io/v1)", "install cert-manager, or leave certificateIssuer out"],
    );
    fleet.apply(&with(gotocloud_integration::objects::full_platform("unused"), json!({}))).unwrap();
    let says = |platform: &str| condition(&fleet.get(PLATFORMS, "", platform).unwrap(), "Ready");
    for platform in [CNPG, "unused"] {
        let said = eventually(PATIENCE, "the Platform says what it lacks", || match says(platform) {
            Some(ready) if ready.reason == "ApiMissing" => Ok(ready),
            other => Err(format!("{other:?}")),
        });
        assert!(said.message.contains("Certificate (cert-manager.io/v1)"), "{}", said.message);
    }
    let installed = Instant::now();
    fleet.cluster().install(OptionalApi::CertManager).unwrap();
    eventually(DISCOVERED, "it is ready by itself", || match condition(&fleet.instance("certified"), "Ready") {
        Some(ready) if ready.status == "True" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    println!("  ready {:.1} s after cert-manager was installed", installed.elapsed().as_secs_f64());
    for platform in [CNPG, "unused"] {
        eventually(PATIENCE, &format!("the Platform {platform} lacks nothing"), || match says(platform) {
            Some(ready) if ready.status == "True" => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    unharmed(fleet);
}

/// A Release of [`APP`] with components whose variables take a quarter of a mebibyte each.
fn large_release(version: &str, components: usize) -> Value {
    let mut large = release(APP, version);
    let env: Vec<Value> = (0..64).map(|at| json!({"name": format!("TEXT_{at}"), "value": "x".repeat(4096)})).collect();
    let template = with(large["spec"]["components"][1].clone(), json!({ "env": env }));
    let component = |at: usize| with(template.clone(), json!({"name": format!("large-{at}")}));
    large["spec"]["components"] = (0..components).map(component).collect();
    large["spec"]["generatedSecrets"] = json!([]);
    large
}

fn an_object_too_large_to_store_is_told_and_one_just_below_is_stored(fleet: &mut Fleet) {
    for (version, components) in [("2.0", 3), ("2.1", 4)] {
        let large = large_release(version, components);
        println!("  the Release {version}: {} bytes", large.to_string().len());
        fleet.apply(&large).unwrap();
    }
    fleet.apply(&with(application(APP), json!({"spec": {"sizes": {"verySmall": {"quota": {"pods": 40}}}}}))).unwrap();
    let below = own(fleet, "below", APP, &json!({"release": "app-2.0"}));
    fleet.provision(&[below]);
    let revision = fleet.children("below").into_iter().find(|(kind, _)| *kind == Kind::ControllerRevision).unwrap().1;
    println!("  the largest object stored: {} bytes", revision.to_string().len());
    assert!(revision.to_string().len() > 750_000);
    let above = own(fleet, "above", APP, &json!({"release": "app-2.1"}));
    stalls(
        fleet,
        &above,
        "ObjectTooLarge",
        &["would be", "over the 1000000 that are safe to store", "shorten its environment values"],
    );
    // A short text can become a long one.
    let texts: Vec<Value> = (0..64)
        .map(|at| json!({"name": format!("GROWS_{at}"), "value": "${establishment.displayName}".repeat(140)}))
        .collect();
    let grown = own(fleet, "grown", APP, &json!({ "env": texts }));
    fleet.patch(ESTABLISHMENTS, "", "grown", &json!({"spec": {"displayName": "é".repeat(200)}})).unwrap();
    stalls(fleet, &grown, "ObjectTooLarge", &["ConfigMap gtc-grown/batch-env would be"]);
}

fn five_hundred_edits_at_once_end_at_the_last_and_keep_nobody_waiting(fleet: &mut Fleet) {
    const EDITS: usize = 500;
    let edited = own(fleet, "edited", APP, &json!({}));
    fleet.provision(&[edited]);
    let edit = |at: usize| fleet.edit("edited", &json!({"spec": {"env": [{"name": "EDIT", "value": at.to_string()}]}}));
    let other = own(fleet, "served", APP, &json!({}));
    let (writes, reconciliations) =
        (metric(fleet, "gotocloud_api_writes_total"), metric(fleet, "gotocloud_reconciliations_total"));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || (0..EDITS / 4 - 1).for_each(|at| drop(edit(worker * 1000 + at))));
        }
        std::thread::sleep(Duration::from_millis(200));
        fleet.provision(&[other]);
        println!("  another was provisioned {:.1} s after the first edit", begun.elapsed().as_secs_f64());
    });
    edit(9999);
    let took = begun.elapsed();
    let last = fleet.ready("edited");
    assert_eq!(fleet.child(Kind::ConfigMap, "edited", "web-env")["data"]["EDIT"], "9999");
    assert_eq!(last["status"]["observedGeneration"], last["metadata"]["generation"]);
    let writes = metric(fleet, "gotocloud_api_writes_total") - writes;
    let reconciliations = metric(fleet, "gotocloud_reconciliations_total") - reconciliations;
    println!(
        "  {EDITS} edits in {:.1} s; ready at the last {:.1} s after the first; {writes} writes in {reconciliations} reconciliations",
        took.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    // Each edit alone would take nine: what was gathered is written once.
    assert!(writes < 9.0 * 500.0 / 2.0, "{writes} writes");
    let left = fleet.children("edited").iter().filter(|(kind, _)| *kind == Kind::ControllerRevision).count();
    assert!(left <= 2, "{left} revisions are left");
    unharmed(fleet);
}

fn those_who_are_stalled_cost_nothing(fleet: &mut Fleet) {
    let all = fleet.list(INSTANCES, HUB, "");
    let stalled = all.iter().filter(|one| condition(one, "Stalled").is_some()).count();
    assert!(stalled >= 6, "{stalled} are stalled");
    std::thread::sleep(Duration::from_secs(3));
    let events = fleet.list("events.k8s.io/v1/events", HUB, "").len();
    let before = (
        metric(fleet, "gotocloud_reconciliations_total"),
        metric(fleet, "gotocloud_api_writes_total"),
        metric(fleet, "process_cpu_seconds_total"),
    );
    std::thread::sleep(Duration::from_secs(12));
    let reconciliations = metric(fleet, "gotocloud_reconciliations_total") - before.0;
    let writes = metric(fleet, "gotocloud_api_writes_total") - before.1;
    let cpu = metric(fleet, "process_cpu_seconds_total") - before.2;
    println!(
        "  {stalled} of {} stalled; in 12 s {reconciliations} reconciliations, {writes} writes, {cpu:.2} s of processor",
        all.len()
    );
    assert!(reconciliations <= 12.0, "{reconciliations} reconciliations in 12 s while nothing changes");
    assert!(writes <= 4.0, "{writes} writes in 12 s while nothing changes");
    assert_eq!(fleet.list("events.k8s.io/v1/events", HUB, "").len(), events, "nothing is told twice");
    assert!(!fleet.log().contains("panicked"));
    unharmed(fleet);
}

fleet_tests!(
    "it-bad-input",
    without_cert_manager,
    [
        an_instance_that_nothing_is_wrong_with_is_ready,
        what_does_not_exist_is_named_with_what_to_do,
        a_way_that_was_refused_begins_once_its_release_is_published,
        a_platform_that_takes_none_or_holds_enough_says_so,
        a_database_server_that_does_not_answer_is_waited_for,
        an_administrators_secret_that_is_missing_or_wrong_is_named,
        a_quota_too_small_is_told_with_the_field_to_raise,
        an_unknown_variable_is_told_with_those_there_are,
        an_api_that_is_missing_is_named_and_its_arrival_noticed,
        an_object_too_large_to_store_is_told_and_one_just_below_is_stored,
        five_hundred_edits_at_once_end_at_the_last_and_keep_nobody_waiting,
        those_who_are_stalled_cost_nothing,
    ]
);

fn without_cert_manager(spec: gotocloud_harness::ClusterSpec) -> gotocloud_harness::ClusterSpec {
    spec.optional_apis(&[OptionalApi::GatewayApi, OptionalApi::PrometheusOperator, OptionalApi::CloudNativePg])
}
