//! Does another operator version, or an edit of what instances share, leave running pods alone until somebody consents?
//!
//! The tests follow one fleet through a year: each begins where the one before ended. The fleet is 20 instances of the
//! example of 2022, of all three of its applications; the other operator version is one that renders every pod with one
//! variable more.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use gotocloud_api::names::{FIELD_MANAGER, LABEL_INSTANCE, LABEL_INSTANCE_NAMESPACE, LABEL_MANAGED_BY};
use gotocloud_harness::Build;
use gotocloud_integration::{APPLICATIONS, Fleet, HUB, INSTANCES, condition, eventually, fleet_2022, fleet_tests};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

const PATIENCE: Duration = Duration::from_mins(2);
/// Long enough for an operator that would change something to have done it.
const A_WHILE: Duration = Duration::from_secs(5);
const CONSENTING: &str = "pegase-inuc";
const STAGED: &str = "pegase-utbm";
const RELEASED: &str = "caplab";
const DRIFTED: &str = "pegase-engees";

/// What runs: pods by their uid, Deployments with their generation and template.
#[derive(Debug, Clone, PartialEq)]
struct Running {
    pods: BTreeMap<String, String>,
    deployments: BTreeMap<String, (String, i64, Value)>,
}

impl Running {
    fn of(fleet: &Fleet) -> Self {
        let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = |object: &Value| format!("{}/{}", text(object, "namespace"), text(object, "name"));
        let is_ours = |object: &Value| text(object, "namespace").starts_with("gtc-");
        let all = |resource: &str| fleet.list(resource, "", "").into_iter().filter(is_ours).collect::<Vec<_>>();
        let pods = all("v1/pods").iter().map(|pod| (key(pod), text(pod, "uid"))).collect();
        let deployments = all("apps/v1/deployments").into_iter().map(|one| {
            let generation = one["metadata"]["generation"].as_i64().unwrap();
            (key(&one), (text(&one, "uid"), generation, one["spec"]["template"].clone()))
        });
        Self { pods, deployments: deployments.collect() }
    }

    /// Those of one instance.
    fn within(&self, instance: &str) -> Self {
        self.filtered(|key| key.starts_with(&format!("gtc-{instance}/")))
    }

    /// Those of all but these.
    fn without(&self, instances: &[&str]) -> Self {
        self.filtered(|key| !instances.iter().any(|instance| key.starts_with(&format!("gtc-{instance}/"))))
    }

    fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut kept = self.clone();
        kept.pods.retain(|key, _| keep(key));
        kept.deployments.retain(|key, _| keep(key));
        kept
    }

    /// Fails where a pod of `self` still runs in `later`, or a Deployment is as it was.
    fn assert_all_replaced(&self, later: &Self) {
        for (pod, uid) in &self.pods {
            assert_ne!(later.pods.get(pod), Some(uid), "{pod} still runs");
        }
        for (deployment, (_, generation, template)) in &self.deployments {
            let (_, new_generation, new_template) = &later.deployments[deployment];
            assert!(new_generation > generation && new_template != template, "{deployment} is as it was");
        }
    }
}

/// Ready as asked, with nothing under way; how it stands, otherwise.
fn settled(instance: &Value) -> Result<(), String> {
    let is_seen = instance["status"]["observedGeneration"] == instance["metadata"]["generation"];
    let is_ready = condition(instance, "Ready").is_some_and(|ready| ready.status == "True");
    if is_seen && is_ready && condition(instance, "Reconciling").is_none() {
        Ok(())
    } else {
        Err(format!("{}: {}", instance["metadata"]["name"], instance["status"]["conditions"]))
    }
}

/// Waits until every Instance is ready and `asked` says no more what is missing.
fn until_all(fleet: &Fleet, what: &str, asked: impl Fn(&Value) -> Result<(), String>) -> Vec<Value> {
    eventually(PATIENCE, what, || {
        let all = fleet.list(INSTANCES, HUB, "");
        all.iter().try_for_each(|one| settled(one).and_then(|()| asked(one)))?;
        Ok::<_, String>(all)
    })
}

/// Does a change of its pods wait for a consent? Then what would change is listed, and its message says how to consent.
fn awaits_consent(instance: &Value) -> Result<(), String> {
    let revision = &instance["status"]["revision"];
    let listed = revision["pendingChanges"].as_array().is_some_and(|changes| !changes.is_empty());
    let told = condition(instance, "UpToDate").is_some_and(|one| {
        let pending = revision["pending"].as_str().unwrap_or("?");
        one.status == "False"
            && one.reason == "ConsentAwaited"
            && one.message.contains(&format!("spec.acceptedRevision: {pending}"))
    });
    if listed && told { Ok(()) } else { Err(format!("{}: {revision}", instance["metadata"]["name"])) }
}

fn is_up_to_date(instance: &Value) -> Result<(), String> {
    let revision = &instance["status"]["revision"];
    let is = condition(instance, "UpToDate").is_some_and(|one| one.status == "True") && revision["pending"].is_null();
    if is { Ok(()) } else { Err(format!("{}: {revision}", instance["metadata"]["name"])) }
}

fn switch_to(fleet: &mut Fleet, build: Build) {
    let binary = build.binary().unwrap();
    let operator = fleet.installation.operator.take().unwrap();
    assert_eq!(operator.terminate().unwrap(), Some(0));
    fleet.installation.set_binary(binary);
    fleet.installation.start_operator().unwrap();
}

#[track_caller]
fn assert_unchanged(before: &Running, fleet: &Fleet, but: &[&str]) {
    std::thread::sleep(A_WHILE);
    let (before, after) = (before.without(but), Running::of(fleet).without(but));
    let moved: Vec<_> = before.pods.iter().filter(|(pod, uid)| after.pods.get(*pod) != Some(uid)).collect();
    assert_eq!(moved, Vec::<(&String, &String)>::new(), "pods that no longer run");
    assert_eq!(before.pods.len(), after.pods.len(), "pods that are new");
    for (deployment, was) in &before.deployments {
        assert_eq!(Some(was), after.deployments.get(deployment), "{deployment}");
    }
    assert_eq!(before.deployments.len(), after.deployments.len());
}

fn another_operator_version_changes_no_pod(fleet: &mut Fleet) {
    let mut instances = fleet.apply_catalogue_of_2022();
    instances.truncate(20);
    let named = fleet_2022::names(&instances);
    assert!([CONSENTING, STAGED, RELEASED, DRIFTED].iter().all(|one| named.contains(one)), "{named:?}");
    for instance in &instances {
        fleet.apply(instance).unwrap();
    }
    until_all(fleet, "the fleet is ready", is_up_to_date);
    let before = Running::of(fleet);
    switch_to(fleet, Build::AlteredRendering);
    let all = until_all(fleet, "each waits for a consent, and is ready", awaits_consent);
    assert_eq!(all.len(), 20);
    for instance in &all {
        let changes = instance["status"]["revision"]["pendingChanges"].to_string();
        assert!(changes.contains(".env") && changes.contains("Deployment"), "{changes}");
    }
    assert_unchanged(&before, fleet, &[]);
    println!("  {} instances, {} pods, {} Deployments", all.len(), before.pods.len(), before.deployments.len());
}

fn a_consent_to_something_else_changes_nothing_and_one_by_name_its_own_pods_only(fleet: &mut Fleet) {
    let before = Running::of(fleet);
    fleet.edit(CONSENTING, &json!({"spec": {"acceptedRevision": "0123456789abcdef"}}));
    until_all(fleet, "it was heard", awaits_consent);
    assert_unchanged(&before, fleet, &[]);
    let pending = fleet.instance(CONSENTING)["status"]["revision"]["pending"].clone();
    fleet.edit(CONSENTING, &json!({"spec": {"acceptedRevision": pending}}));
    let instance = fleet.until(CONSENTING, "up to date", |one| settled(one).and_then(|()| is_up_to_date(one)).is_ok());
    assert_eq!(instance["status"]["revision"]["running"], pending);
    until_old_pods_are_gone(fleet, &before, CONSENTING);
    assert_unchanged(&before, fleet, &[CONSENTING]);
}

/// Waits until all pods an instance had are gone, and no Deployment of it is as it was.
fn until_old_pods_are_gone(fleet: &Fleet, before: &Running, instance: &str) {
    let before = before.within(instance);
    assert!(!before.pods.is_empty() && !before.deployments.is_empty());
    eventually(PATIENCE, "its former pods are gone", || {
        let now = Running::of(fleet);
        let left: Vec<_> = before.pods.iter().filter(|(pod, uid)| now.pods.get(*pod) == Some(uid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    before.assert_all_replaced(&Running::of(fleet).within(instance));
}

fn an_edit_of_its_own_stage_or_release_is_a_consent(fleet: &mut Fleet) {
    let before = Running::of(fleet);
    fleet.edit(STAGED, &json!({"spec": {"stage": "FullProduction"}}));
    fleet.edit(RELEASED, &json!({"spec": {"release": "caplab-v2.0"}}));
    for name in [STAGED, RELEASED] {
        fleet.until(name, "up to date", |one| settled(one).and_then(|()| is_up_to_date(one)).is_ok());
        until_old_pods_are_gone(fleet, &before, name);
    }
    assert_eq!(fleet.instance(RELEASED)["status"]["release"]["name"], "caplab-v2.0");
    assert_unchanged(&before, fleet, &[STAGED, RELEASED]);
}

fn a_pinned_deployment_that_is_deleted_comes_back_as_it_was(fleet: &mut Fleet) {
    let before = Running::of(fleet);
    let namespace = format!("gtc-{DRIFTED}");
    fleet.delete("apps/v1/deployments", &namespace, "web").unwrap();
    let web = format!("{namespace}/web");
    let (former, _, template) = &before.deployments[&web];
    eventually(PATIENCE, "it is back", || {
        let now = Running::of(fleet);
        let is_back = now.deployments.get(&web).is_some_and(|(uid, ..)| uid != former);
        if is_back { Ok(()) } else { Err(format!("{:?}", now.deployments.get(&web).map(|one| &one.0))) }
    });
    fleet.until(DRIFTED, "it waits for a consent", |one| settled(one).and_then(|()| awaits_consent(one)).is_ok());
    assert_eq!(&Running::of(fleet).deployments[&web].2, template, "from the revision, not from today's rendering");
    // It comes back with one pod; its HorizontalPodAutoscaler brings it the others.
    let pods = |running: &Running| running.within(DRIFTED).pods.len();
    eventually(PATIENCE, "it has as many pods as before", || {
        let now = pods(&Running::of(fleet));
        if now == pods(&before) { Ok(()) } else { Err(now) }
    });
    // A field that somebody changed is put back to what the revision holds, too.
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "api", "image": "registry.example.org/wrong"}]}}}});
    let patch =
        fleet.kubectl(&["patch", "deployment", "api", "--namespace", &namespace, "--patch", &image.to_string()]);
    patch.unwrap();
    let api = format!("{namespace}/api");
    eventually(PATIENCE, "it is put back", || {
        let now = Running::of(fleet).deployments[&api].2.clone();
        if now == before.deployments[&api].2 { Ok(()) } else { Err(now) }
    });
    assert_unchanged(&before, fleet, &[DRIFTED]);
}

fn an_edit_of_the_application_changes_no_pod(fleet: &mut Fleet) {
    until_all(fleet, "settled", |_| Ok(()));
    let before = Running::of(fleet);
    let application = fleet.get(APPLICATIONS, "", "pegase").unwrap();
    let mut sizes = application["spec"]["sizes"].clone();
    for size in sizes.as_object_mut().unwrap().values_mut() {
        size["defaultComponent"]["cpu"] = json!("123m");
    }
    fleet.patch(APPLICATIONS, "", "pegase", &json!({"spec": {"sizes": sizes}})).unwrap();
    until_all(fleet, "each of its instances waits for a consent to its new size", |one| {
        let changes = one["status"]["revision"]["pendingChanges"].to_string();
        if one["spec"]["application"] != "pegase" || changes.contains("123m") { Ok(()) } else { Err(changes) }
    });
    assert_unchanged(&before, fleet, &[]);
    fleet.patch(APPLICATIONS, "", "pegase", &json!({"spec": {"sizes": application["spec"]["sizes"]}})).unwrap();
    until_all(fleet, "what is taken back is no longer asked for", |one| {
        let changes = one["status"]["revision"]["pendingChanges"].to_string();
        if changes.contains("123m") { Err(changes) } else { Ok(()) }
    });
    assert_unchanged(&before, fleet, &[]);
}

fn going_back_to_the_version_before_changes_no_pod_either(fleet: &mut Fleet) {
    let before = Running::of(fleet);
    switch_to(fleet, Build::Debug);
    let consented = [CONSENTING, STAGED, RELEASED];
    until_all(fleet, "only those that went forward wait for a consent to go back", |one| {
        let name = one["metadata"]["name"].as_str().unwrap();
        if consented.contains(&name) { awaits_consent(one) } else { is_up_to_date(one) }
    });
    assert_unchanged(&before, fleet, &[]);
}

fn what_an_older_version_made_and_nobody_wants_any_more_is_removed(fleet: &mut Fleet) {
    let namespace = format!("gtc-{DRIFTED}");
    let operator = fleet.installation.operator.take().unwrap();
    assert_eq!(operator.terminate().unwrap(), Some(0));
    let object = |kind: &str, name: &str, owner: &str| {
        let labels = json!({LABEL_MANAGED_BY: FIELD_MANAGER, LABEL_INSTANCE: owner, LABEL_INSTANCE_NAMESPACE: HUB});
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"namespace": namespace, "name": name, "labels": labels}})
    };
    for object in [
        object("ConfigMap", "of-an-older-version", DRIFTED),
        object("Secret", "of-an-older-version", DRIFTED),
        object("Secret", "of-somebody", "somebody"),
        object("ConfigMap", "of-somebody", "somebody"),
    ] {
        fleet.apply(&object).unwrap();
    }
    // A kind nothing watches is known by the inventory alone.
    let mut inventory = fleet.instance(DRIFTED)["status"]["inventory"].clone();
    let entry = json!({"id": format!("{namespace}_of-an-older-version__Secret"), "v": "v1", "h": ""});
    inventory["entries"].as_array_mut().unwrap().push(entry);
    let path =
        format!("/apis/{INSTANCES}").replace("/instances", &format!("/namespaces/{HUB}/instances/{DRIFTED}/status"));
    let status = json!({"status": {"inventory": inventory}});
    fleet.request(http::Method::PATCH, &path, "application/merge-patch+json", &status).unwrap();
    let before = Running::of(fleet);
    fleet.installation.start_operator().unwrap();
    for resource in ["v1/configmaps", "v1/secrets"] {
        fleet.until_gone(resource, &namespace, "of-an-older-version");
    }
    fleet.until(DRIFTED, "its inventory forgets what is gone", |one| {
        settled(one).is_ok() && !one["status"]["inventory"].to_string().contains("of-an-older-version")
    });
    for resource in ["v1/configmaps", "v1/secrets"] {
        assert!(fleet.get(resource, &namespace, "of-somebody").is_some(), "{resource} of another is left alone");
    }
    assert!(fleet.get("v1/secrets", &namespace, "database-app").is_some());
    assert_unchanged(&before, fleet, &[]);
}

fleet_tests!(
    "it-upgrade",
    |spec| spec,
    [
        another_operator_version_changes_no_pod,
        a_consent_to_something_else_changes_nothing_and_one_by_name_its_own_pods_only,
        an_edit_of_its_own_stage_or_release_is_a_consent,
        a_pinned_deployment_that_is_deleted_comes_back_as_it_was,
        an_edit_of_the_application_changes_no_pod,
        going_back_to_the_version_before_changes_no_pod_either,
        what_an_older_version_made_and_nobody_wants_any_more_is_removed,
    ]
);
