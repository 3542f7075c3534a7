//! How does the operator live and die as a process: who acts, what does it tell, and does its end leave anything undone?

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use gotocloud_api::names;
use gotocloud_harness::{
    Build, OperatorOptions, OperatorProcess,
    audit::{self, AuditCounts, AuditFilter},
    operator::{NAMESPACE, SERVICE_ACCOUNT},
};
use gotocloud_integration::{Fleet, HUB, INSTANCES, NAMESPACES, PLATFORMS, eventually, fleet_tests, objects, resource};
use gotocloud_planner::Kind;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

const CLUSTER: &str = "it-process";
/// What this process' second operator is called; the installation's own is `gotocloud-operator-0`.
const SECOND: &str = "gotocloud-operator-1";
/// How long a Lease lasts, with the time between two looks at it and a busy machine's delay.
const TAKEOVER: Duration = Duration::from_secs(45);
/// How long it takes to see that a Lease was given back: one look every two seconds.
const HANDOVER: Duration = Duration::from_secs(4);

fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| Build::Debug.binary().unwrap()).clone()
}

/// An operator beside the installation's own, which ends with its handle.
fn another(fleet: &Fleet, pod_name: &str, arguments: &[&str]) -> OperatorProcess {
    let directory = std::env::temp_dir().join(format!("gotocloud-{CLUSTER}-{pod_name}"));
    OperatorProcess::stop_at(&directory).unwrap();
    let _ = std::fs::remove_dir_all(&directory);
    OperatorProcess::start(&OperatorOptions {
        binary: binary(),
        kubeconfig: fleet.cluster().kubeconfig_of_service_account(NAMESPACE, SERVICE_ACCOUNT).unwrap(),
        pod_name: pod_name.to_owned(),
        directory,
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        detached: false,
    })
    .unwrap()
}

fn is_ready(operator: &OperatorProcess) -> bool {
    operator.get("/readyz").is_ok_and(|(status, _)| status == 200)
}

fn leads(operator: &OperatorProcess) -> bool {
    operator.metric("gotocloud_leader").is_ok_and(|value| value >= 1.0)
}

fn until_it_leads(operator: &OperatorProcess, patience: Duration) -> Duration {
    let begun = Instant::now();
    eventually(patience, "the other leads", || {
        if leads(operator) && is_ready(operator) { Ok(()) } else { Err("not yet") }
    });
    begun.elapsed()
}

fn holder(fleet: &Fleet) -> String {
    let lease = fleet.get("coordination.k8s.io/v1/leases", NAMESPACE, "gotocloud-operator").unwrap();
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

/// Names of this many Instances, each of an establishment of its own.
fn instances(fleet: &Fleet, prefix: &str, count: usize) -> (Vec<String>, Vec<Value>) {
    let names: Vec<String> = (0..count).map(|at| format!("{prefix}-{at}")).collect();
    let of = |name: &String| {
        let establishment = format!("e-{name}");
        fleet.apply(&objects::establishment(&establishment)).unwrap();
        objects::instance(name, objects::APP, &establishment)
    };
    let all = names.iter().map(of).collect();
    (names, all)
}

fn clear(fleet: &Fleet, names: &[String]) {
    clear_on(fleet, objects::SERVER, names);
}

fn clear_on(fleet: &Fleet, platform: &str, names: &[String]) {
    // More of this fleet than may go without a person's word.
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5);
    let annotation = json!({names::ANNOTATION_ALLOW_REMOVALS_UNTIL: until.to_string()});
    fleet.patch(PLATFORMS, "", platform, &json!({"metadata": {"annotations": annotation}})).unwrap();
    fleet.clear(&names.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Every object of every kind in the namespaces of instances, by its uid: what is removed and made anew differs.
fn uids(fleet: &Fleet) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let text = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
    for kind in Kind::ALL {
        for object in fleet.list(&resource(kind), "", "app.kubernetes.io/managed-by=gotocloud-operator") {
            let (namespace, name) = (text(&object, "/metadata/namespace"), text(&object, "/metadata/name"));
            all.insert(format!("{kind} {namespace}/{name}"), text(&object, "/metadata/uid"));
        }
    }
    all
}

fn one_of_two_leads_and_the_other_stands_by(fleet: &mut Fleet) {
    with_its_own(fleet);
    let second = another(fleet, SECOND, &[]);
    eventually(Duration::from_secs(10), "/readyz is 200", || if is_ready(&second) { Ok(()) } else { Err("not yet") });
    fleet.provision(&[objects::instance("first", objects::APP, objects::ETAB)]);
    assert!(leads(fleet.operator()) && !leads(&second));
    assert_eq!(holder(fleet), "gotocloud-operator-0");
    assert!(second.metric("gotocloud_api_writes_total").unwrap() < 1.0, "it only stands by");
    assert_eq!(second.get("/livez").unwrap().0, 200);
    assert_eq!(second.terminate().unwrap(), Some(0), "who stands by ends at once, and well");
}

fn a_killed_leader_is_followed_by_the_other_which_repairs_what_drifted(fleet: &mut Fleet) {
    with_its_own(fleet);
    fleet.provision(&[objects::instance("first", objects::APP, objects::ETAB)]);
    let second = another(fleet, SECOND, &[]);
    eventually(Duration::from_secs(10), "/readyz is 200", || if is_ready(&second) { Ok(()) } else { Err("not yet") });
    let before = uids(fleet);
    fleet.installation.operator.take().unwrap().kill().unwrap();
    // While nobody acts: a workload is deleted and a policy is opened.
    fleet.delete("apps/v1/deployments", "gtc-first", "web").unwrap();
    let open = json!({"spec": {"ingress": [{}]}});
    fleet.patch("networking.k8s.io/v1/networkpolicies", "gtc-first", "web", &open).unwrap();
    let took = until_it_leads(&second, TAKEOVER);
    println!("  the other acts {:.1} s after the leader was killed", took.as_secs_f64());
    assert!(took > Duration::from_secs(20), "a Lease that lasts is not taken over");
    assert_eq!(holder(fleet), SECOND);
    eventually(Duration::from_secs(10), "what drifted is repaired", || {
        let policy = fleet.get("networking.k8s.io/v1/networkpolicies", "gtc-first", "web").unwrap();
        let is_closed =
            policy["spec"]["ingress"].as_array().is_some_and(|rules| rules.iter().all(|rule| rule["from"].is_array()));
        let is_back = fleet.get("apps/v1/deployments", "gtc-first", "web").is_some();
        if is_back && is_closed { Ok(()) } else { Err(policy["spec"]["ingress"].to_string()) }
    });
    fleet.ready("first");
    let after = uids(fleet);
    let changed: Vec<_> =
        after.iter().filter(|(object, uid)| before.get(*object) != Some(uid)).map(|(o, _)| o).collect();
    assert_eq!(changed, ["Deployment gtc-first/web"], "nothing else was made anew");
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    // The first comes back and waits for its turn, which it gets at once when the second is told to stop.
    fleet.installation.launch_operator().unwrap();
    eventually(Duration::from_secs(10), "it stands by", || {
        if is_ready(fleet.operator()) { Ok(()) } else { Err("not yet") }
    });
    std::thread::sleep(Duration::from_secs(2));
    assert!(leads(&second) && !leads(fleet.operator()));
    assert_eq!(second.terminate().unwrap(), Some(0));
    let took = until_it_leads(fleet.operator(), HANDOVER);
    println!("  the other acts {:.1} s after the leader was told to stop", took.as_secs_f64());
}

fn what_a_killed_operator_did_last_and_never_told_is_put_right_by_the_next(fleet: &mut Fleet) {
    with_its_own(fleet);
    fleet.provision(&[objects::instance("first", objects::APP, objects::ETAB)]);
    let owned = |policy: &Value| {
        let entries = policy["metadata"]["managedFields"].as_array().unwrap();
        entries.iter().find(|entry| entry["manager"] == names::FIELD_MANAGER).unwrap()["fieldsV1"].clone()
    };
    let before = fleet.child(Kind::NetworkPolicy, "first", "web");
    assert!(before["spec"]["ingress"].as_array().is_some_and(|rules| !rules.is_empty()));
    fleet.installation.operator.take().unwrap().kill().unwrap();
    // It would have let nobody in, by a manifest of which the Instance's status says nothing.
    let last = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {
            "name": "web", "namespace": "gtc-first", "labels": before["metadata"]["labels"],
            "annotations": {names::ANNOTATION_APPLIED: "00000000000000aa"},
        },
        "spec": {
            "podSelector": before["spec"]["podSelector"], "policyTypes": before["spec"]["policyTypes"],
            "ingress": [], "egress": before["spec"]["egress"],
        },
    });
    let path = format!(
        "/apis/networking.k8s.io/v1/namespaces/gtc-first/networkpolicies/web?fieldManager={}&force=true",
        names::FIELD_MANAGER
    );
    fleet.request(http::Method::PATCH, &path, "application/apply-patch+yaml", &last).unwrap();
    let disturbed = fleet.child(Kind::NetworkPolicy, "first", "web");
    assert_eq!(disturbed["spec"]["ingress"], Value::Null);
    assert_eq!(owned(&before), owned(&disturbed), "who owns what tells nothing of it");
    fleet.installation.start_operator().unwrap();
    eventually(Duration::from_secs(10), "the flows are back", || {
        let now = fleet.child(Kind::NetworkPolicy, "first", "web");
        let applied = |policy: &Value| policy["metadata"]["annotations"][names::ANNOTATION_APPLIED].clone();
        let is_back = now["spec"] == before["spec"] && applied(&now) == applied(&before);
        if is_back { Ok(()) } else { Err(now["spec"]["ingress"].to_string()) }
    });
}

fn a_leader_told_to_stop_finishes_what_it_has_in_hand_and_gives_the_lease_back(fleet: &mut Fleet) {
    with_its_own(fleet);
    let (names, all) = instances(fleet, "stopped", 10);
    let second = another(fleet, SECOND, &[]);
    eventually(Duration::from_secs(10), "/readyz is 200", || if is_ready(&second) { Ok(()) } else { Err("not yet") });
    let before = fleet.operator().metric("gotocloud_api_writes_total").unwrap();
    for instance in &all {
        fleet.apply(instance).unwrap();
    }
    eventually(Duration::from_secs(20), "it is in the middle", || {
        let writes = fleet.operator().metric("gotocloud_api_writes_total").unwrap() - before;
        if writes > 60.0 { Ok(()) } else { Err(writes) }
    });
    let is_done = |name: &String| fleet.instance(name)["status"]["release"]["name"].is_string();
    assert!(!names.iter().all(is_done), "it was in the middle");
    let begun = Instant::now();
    let status = fleet.installation.operator.take().unwrap().terminate().unwrap();
    let ended = begun.elapsed();
    assert_eq!(status, Some(0), "it ends well");
    let took = until_it_leads(&second, HANDOVER);
    println!("  it ended in {:.1} s, the other acted {:.1} s later", ended.as_secs_f64(), took.as_secs_f64());
    assert!(ended < Duration::from_secs(25), "within a pod's grace period of 30 s");
    for name in &names {
        fleet.ready(name);
    }
    let log = std::fs::read_to_string(second.log_path()).unwrap();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    second.terminate().unwrap();
    fleet.installation.start_operator().unwrap();
    clear(fleet, &names);
}

fn no_more_instances_are_worked_on_at_once_than_concurrency_says(fleet: &mut Fleet) {
    without_its_own(fleet);
    let mut at_once = Vec::new();
    for concurrency in ["1", "8"] {
        let (names, all) = instances(fleet, &format!("at-once-{concurrency}"), 6);
        let operator = another(fleet, SECOND, &["--concurrency", concurrency]);
        operator.wait_until_acting().unwrap();
        let worked = || operator.metric("gotocloud_reconciliation_duration_seconds_sum").unwrap();
        let (begun, before) = (Instant::now(), worked());
        for instance in &all {
            fleet.apply(instance).unwrap();
        }
        for name in &names {
            fleet.until(name, "its objects are applied", |one| one["status"]["inventory"]["count"].as_u64() > Some(10));
        }
        at_once.push((worked() - before) / begun.elapsed().as_secs_f64());
        clear(fleet, &names);
        assert_eq!(operator.terminate().unwrap(), Some(0));
    }
    println!("  worked on at once, on average: {:.2} by --concurrency 1, {:.2} by 8", at_once[0], at_once[1]);
    assert!(at_once[0] <= 1.0, "{at_once:?}");
    assert!(at_once[1] > 1.2 && at_once[1] <= 8.0, "{at_once:?}: else the bound above shows nothing");
    fleet.installation.start_operator().unwrap();
}

fn its_metrics_are_prometheus_text_with_the_documented_names(fleet: &mut Fleet) {
    with_its_own(fleet);
    fleet.provision(&[objects::instance("first", objects::APP, objects::ETAB)]);
    let parsed = || metrics(&fleet.operator().get("/metrics").unwrap().1);
    // The fleet is counted once it has been quiet for a second.
    eventually(Duration::from_secs(15), "instances are counted", || {
        if parsed().contains_key("gotocloud_instances") { Ok(()) } else { Err("not yet") }
    });
    let families = parsed();
    for (name, kind) in [
        ("gotocloud_reconciliations_total", "counter"),
        ("gotocloud_reconciliation_duration_seconds", "histogram"),
        ("gotocloud_api_writes_total", "counter"),
        ("gotocloud_objects", "gauge"),
        ("gotocloud_instances", "gauge"),
        ("gotocloud_leader", "gauge"),
        ("gotocloud_database_operations_total", "counter"),
        ("gotocloud_removals_held", "gauge"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_cpu_seconds_total", "counter"),
    ] {
        assert_eq!(families.get(name).map(String::as_str), Some(kind), "{name}");
    }
}

/// The families of a text in Prometheus' format by their types. Fails on a line that is not of the format.
fn metrics(text: &str) -> BTreeMap<String, String> {
    let mut families: BTreeMap<String, String> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, sentence) = help.split_once(' ').expect(line);
            assert!(!sentence.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').expect(line);
            assert!(is_name(name) && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').expect(line);
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let (name, labels) = sample.split_once('{').map_or((sample, None), |(name, labels)| (name, Some(labels)));
            assert!(is_name(name), "{line}");
            for label in labels.iter().flat_map(|labels| labels.strip_suffix('}').expect(line).split(',')) {
                let (label, value) = label.split_once('=').expect(line);
                assert!(is_name(label) && value.len() > 1 && value.starts_with('"') && value.ends_with('"'), "{line}");
            }
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            let family = if families.contains_key(name) { name } else { family };
            assert!(families.contains_key(family) && helped.contains(family), "of no family: {line}");
        }
    }
    families
}

/// The installation's operator, told to stop by a test that uses one of its own.
fn without_its_own(fleet: &mut Fleet) {
    if let Some(operator) = fleet.installation.operator.take() {
        assert_eq!(operator.terminate().unwrap(), Some(0));
    }
}

/// The installation's operator, acting, also after a test that failed without it.
fn with_its_own(fleet: &mut Fleet) {
    if fleet.installation.operator.is_none() {
        fleet.installation.start_operator().unwrap();
    }
}

/// What a process of the operator, started by hand, ends with, and what it says.
fn said(arguments: &[&str], environment: &[(&str, &str)], patience: Duration) -> (Option<i32>, String) {
    let mut child = Command::new(binary())
        .args(arguments)
        .env_clear()
        .env("HOME", "/nonexistent")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        stderr.read_to_string(&mut said).map(|_| said)
    });
    let deadline = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if Instant::now() > deadline {
            assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
            break child.wait().unwrap().code();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    (status, reader.join().unwrap().unwrap())
}

fn every_line_of_its_log_is_json(fleet: &mut Fleet) {
    let kubeconfig = fleet.cluster().kubeconfig_of_service_account(NAMESPACE, SERVICE_ACCOUNT).unwrap();
    without_its_own(fleet);
    let arguments = ["--listen", "127.0.0.1:0", "--pod-name", SECOND, "--service-account", SERVICE_ACCOUNT];
    let environment = [("KUBECONFIG", kubeconfig.to_str().unwrap()), ("RUST_LOG", "debug")];
    let (status, log) = said(&arguments, &environment, Duration::from_secs(4));
    assert_eq!(status, Some(0), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.len() > 5, "{log}");
    for line in &lines {
        assert!(line["timestamp"].as_str().is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()), "{line}");
        assert!(line["level"].is_string() && line["message"].is_string() && line["target"].is_string(), "{line}");
    }
    let has =
        |message: &str| lines.iter().any(|line| line["message"].as_str().is_some_and(|text| text.contains(message)));
    assert!(has("holds the Lease") && has("told to stop") && has("what was in hand is finished"), "{log}");
    let begun = Instant::now();
    fleet.installation.start_operator().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "the Lease was given back");
}

/// Arguments, environment, and what must be said.
type Case<'a> = (&'a [&'a str], Vec<(&'a str, &'a str)>, &'a str);

fn a_wrong_configuration_ends_it_with_one_clear_sentence(fleet: &mut Fleet) {
    let kubeconfig = fleet.cluster().kubeconfig_path();
    let here = ("KUBECONFIG", kubeconfig.to_str().unwrap());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: [Case<'_>; 8] = [
        (
            &["--concurrency=0"],
            vec![here],
            "error: invalid value '0' for '--concurrency <CONCURRENCY>': 0 is not in 1..=512",
        ),
        (&["--no-such-flag"], vec![here], "error: unexpected argument '--no-such-flag' found"),
        (&[], vec![here, ("GOTOCLOUD_NAMESPACE", "Not A Namespace")], "it is not a namespace"),
        (&[], vec![], "no cluster is configured: give a kubeconfig by KUBECONFIG"),
        (
            &[],
            vec![("KUBECONFIG", "/nonexistent/kubeconfig")],
            "failed to read kubeconfig from '\"/nonexistent/kubeconfig\"'",
        ),
        (
            &["--listen", &taken],
            vec![here],
            "cannot be listened on: Address already in use (os error 98); choose another with --listen",
        ),
        (&[], vec![here, ("RUST_LOG", "gotocloud=loud")], "check RUST_LOG"),
        (&[], vec![here, ("OTEL_EXPORTER_OTLP_ENDPOINT", "not an address")], "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ];
    // Not the installation's, which would compete for its Lease.
    let standing_by = ["--namespace", "default", "--listen", "127.0.0.1:0"];
    for (arguments, environment, sentence) in cases {
        let names = |flag: &str| {
            arguments.contains(&flag) || environment.iter().any(|(name, _)| *name == "GOTOCLOUD_NAMESPACE")
        };
        let defaults = standing_by.chunks(2).filter(|pair| !names(pair[0])).flatten().copied();
        let arguments: Vec<&str> = defaults.chain(arguments.iter().copied()).collect();
        let begun = Instant::now();
        let (status, said) = said(&arguments, &environment, Duration::from_secs(10));
        assert!(begun.elapsed() < Duration::from_secs(10), "{arguments:?} {environment:?}: it does not end");
        assert!(status.is_some_and(|status| status != 0), "{arguments:?} {environment:?}: {status:?}");
        let sentences: Vec<_> = said
            .lines()
            .filter(|line| line.starts_with("gotocloud-operator: ") || line.starts_with("error: "))
            .collect();
        assert_eq!(sentences.len(), 1, "{arguments:?} {environment:?}: {said}");
        assert!(sentences[0].contains(sentence), "{arguments:?} {environment:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

fn it_says_so_while_the_api_server_does_not_answer_and_removes_nothing(fleet: &mut Fleet) {
    with_its_own(fleet);
    fleet.provision(&[objects::instance("first", objects::APP, objects::ETAB)]);
    without_its_own(fleet);
    let operator = another(fleet, SECOND, &["--leader-election", "false"]);
    operator.wait_until_acting().unwrap();
    let before = uids(fleet);
    signal(fleet, "KILL");
    let begun = Instant::now();
    let body = eventually(Duration::from_secs(10), "/readyz is 503", || match operator.get("/readyz") {
        Ok((503, body)) => Ok(body),
        other => Err(format!("{other:?}")),
    });
    println!("  /readyz is 503 {:.1} s after the API server was killed", begun.elapsed().as_secs_f64());
    eventually(Duration::from_secs(10), "all watches are named", || {
        let body = operator.get("/readyz").map(|(_, body)| body).unwrap_or_default();
        if body.contains("Deployment: Failing") && body.lines().count() > 15 { Ok(()) } else { Err(body) }
    });
    assert!(body.starts_with("watches that do not follow:\n"), "{body}");
    assert_eq!(operator.get("/livez").unwrap().0, 200, "to restart it would not help");
    std::thread::sleep(Duration::from_secs(5));
    fleet.cluster().restart_missing().unwrap();
    let begun = Instant::now();
    eventually(Duration::from_mins(1), "/readyz is 200", || match operator.get("/readyz") {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    println!("  /readyz is 200 {:.1} s after the API server was ready again", begun.elapsed().as_secs_f64());
    fleet.ready("first");
    assert_eq!(uids(fleet), before, "an error is no reason to remove");
    fleet.delete("v1/services", "gtc-first", "web").unwrap();
    eventually(Duration::from_secs(15), "drift is repaired", || {
        fleet.get("v1/services", "gtc-first", "web").ok_or("not yet")
    });
    assert!(operator.metric("gotocloud_removals_held").unwrap() < 1.0);
    operator.terminate().unwrap();
    fleet.installation.start_operator().unwrap();
}

/// How many requests a process may have been sending when it was frozen: as many as Instances are worked on at once.
const IN_HAND: u64 = 16;
/// How long a process may be frozen without losing its Lease: it writes nothing more once 20 s old.
const SOME_SECONDS: Duration = Duration::from_secs(8);
/// How long after it was woken nothing of that is left.
const AWAKE: Duration = Duration::from_secs(1);

/// What the process called `pod_name` asked the API server for since then.
fn asked(fleet: &Fleet, pod_name: &str, since: jiff::Timestamp) -> AuditCounts {
    let process = format!("gotocloud-operator/{} ({pod_name})", env!("CARGO_PKG_VERSION"));
    audit::count(&fleet.cluster().audit_log(), &AuditFilter::user_agent(&process).since(since)).unwrap()
}

fn a_leader_that_was_frozen_begins_no_write_when_it_wakes_and_goes_on_when_it_is_its_turn(fleet: &mut Fleet) {
    with_its_own(fleet);
    let (names, all) = instances(fleet, "frozen", 10);
    let second = another(fleet, SECOND, &[]);
    eventually(Duration::from_secs(10), "/readyz is 200", || if is_ready(&second) { Ok(()) } else { Err("not yet") });
    let before = fleet.operator().metric("gotocloud_api_writes_total").unwrap();
    for instance in &all {
        fleet.apply(instance).unwrap();
    }
    eventually(Duration::from_secs(20), "it is in the middle", || {
        let writes = fleet.operator().metric("gotocloud_api_writes_total").unwrap() - before;
        if writes > 60.0 { Ok(()) } else { Err(writes) }
    });

    fleet.operator().freeze().unwrap();
    let took = until_it_leads(&second, TAKEOVER);
    println!("  the other acts {:.1} s after the leader was frozen", took.as_secs_f64());
    for name in &names {
        fleet.ready(name);
    }

    // It wakes amid its work, with all it wanted to write, and with something new to do.
    let woken = jiff::Timestamp::now();
    fleet.operator().thaw().unwrap();
    fleet.delete("v1/services", "gtc-frozen-0", "web").unwrap();
    eventually(Duration::from_secs(15), "it knows that it does not lead", || {
        if leads(fleet.operator()) { Err("not yet") } else { Ok(()) }
    });
    eventually(Duration::from_secs(15), "the other repairs what drifted", || {
        fleet.get("v1/services", "gtc-frozen-0", "web").ok_or("not yet")
    });
    std::thread::sleep(Duration::from_secs(5));
    // What it was sending when it was frozen goes out; it sends nothing else, and no status is written over.
    let late = asked(fleet, "gotocloud-operator-0", woken);
    println!("  sent late by the one that woke: {:?}", late.writes_by_resource);
    assert!(
        late.writes <= IN_HAND && !late.writes_by_resource.keys().any(|kind| kind.contains("gotocloud")),
        "{late:?}"
    );
    let later = asked(fleet, "gotocloud-operator-0", woken + AWAKE);
    assert_eq!((later.writes, late.lease_writes), (0, 0), "{later:?}");

    // When it is its turn again, it acts at once on what it watched all the time.
    let turned = jiff::Timestamp::now();
    assert_eq!(second.terminate().unwrap(), Some(0));
    let took = until_it_leads(fleet.operator(), HANDOVER);
    println!("  it acts again {:.1} s after the other was told to stop", took.as_secs_f64());
    fleet.delete("v1/services", "gtc-frozen-1", "web").unwrap();
    eventually(Duration::from_secs(15), "drift is repaired", || {
        fleet.get("v1/services", "gtc-frozen-1", "web").ok_or("not yet")
    });
    assert_eq!(asked(fleet, "gotocloud-operator-0", turned).lists, 0, "nothing is listed anew");
    clear(fleet, &names);
}

fn a_leader_that_was_frozen_for_seconds_keeps_its_lease_and_restarts_nothing(fleet: &mut Fleet) {
    with_its_own(fleet);
    fleet.provision(&[objects::instance("first", objects::APP, objects::ETAB)]);
    let second = another(fleet, SECOND, &[]);
    eventually(Duration::from_secs(10), "/readyz is 200", || if is_ready(&second) { Ok(()) } else { Err("not yet") });
    let lease = || fleet.get("coordination.k8s.io/v1/leases", NAMESPACE, "gotocloud-operator").unwrap()["spec"].take();
    let pods = || {
        let all = fleet.list("v1/pods", "gtc-first", "").into_iter();
        all.map(|pod| pod["metadata"]["uid"].to_string()).collect::<BTreeSet<_>>()
    };
    let times_lost = || fleet.log().matches("the Lease was lost").count();
    let before = (uids(fleet), pods(), lease()["leaseTransitions"].clone(), times_lost());
    let frozen = jiff::Timestamp::now();

    fleet.operator().freeze().unwrap();
    fleet.delete("v1/services", "gtc-first", "web").unwrap();
    std::thread::sleep(SOME_SECONDS);
    assert!(fleet.get("v1/services", "gtc-first", "web").is_none(), "it is frozen");
    fleet.operator().thaw().unwrap();
    eventually(Duration::from_secs(5), "it repairs at once what drifted meanwhile", || {
        fleet.get("v1/services", "gtc-first", "web").ok_or("not yet")
    });

    let renewed = lease()["renewTime"].clone();
    eventually(Duration::from_secs(15), "it renews its Lease", || {
        if lease()["renewTime"] == renewed { Err("not yet") } else { Ok(()) }
    });
    assert_eq!(holder(fleet), "gotocloud-operator-0");
    assert!(leads(fleet.operator()) && !leads(&second));
    let mut after = (uids(fleet), pods(), lease()["leaseTransitions"].clone(), times_lost());
    let service = "Service gtc-first/web".to_owned();
    assert_ne!(after.0.get(&service), before.0.get(&service));
    after.0.insert(service.clone(), before.0[&service].clone());
    assert_eq!(after, before, "nothing else was made anew, and it led all the time");
    assert_eq!(asked(fleet, "gotocloud-operator-0", frozen).lists, 0, "nothing is listed anew");
    assert_eq!(second.terminate().unwrap(), Some(0));
}

/// Hands every connection on to that server, until this process ends.
fn forward(listener: TcpListener, server: (String, u16)) {
    let pump = |mut from: TcpStream, mut to: TcpStream| {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    };
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(&server).unwrap();
            pump(client.try_clone().unwrap(), server.try_clone().unwrap());
            pump(server, client);
        }
    });
}

/// How long an edit may take, on a busy machine, where the database server of others hangs: it gives them up after 10 s.
const PROMPT: Duration = Duration::from_secs(7);

fn a_database_server_that_hangs_keeps_no_edit_elsewhere_waiting(fleet: &mut Fleet) {
    without_its_own(fleet);
    let operator = another(fleet, SECOND, &["--concurrency", "4"]);
    operator.wait_until_acting().unwrap();
    fleet.provision(&[objects::instance("first", objects::APP, objects::ETAB)]);

    // The kernel takes every connection, and nobody answers on it.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut platform = fleet.installation.platform("hanging");
    platform["spec"]["database"]["server"]["host"] = json!("127.0.0.1");
    platform["spec"]["database"]["server"]["port"] = json!(hanging.local_addr().unwrap().port());
    fleet.apply(&platform).unwrap();
    let (names, all) = instances(fleet, "hanging", 8);
    for instance in all {
        fleet.apply(&objects::with(instance, json!({"spec": {"platform": "hanging"}}))).unwrap();
    }
    eventually(Duration::from_secs(10), "all of them wait for their database", || {
        let waits = |name: &&String| !fleet.list("v1/secrets", &format!("gtc-{name}"), "").is_empty();
        let waiting = names.iter().filter(waits).count();
        if waiting >= 4 { Ok(()) } else { Err(waiting) }
    });

    // Now, when their turns are over, and when the server is tried again.
    let mut took = Vec::new();
    for at in 0..8 {
        let (value, begun) = (format!("edit-{at}"), Instant::now());
        fleet.edit("first", &json!({"spec": {"env": [{"name": "EDITED", "value": value}]}}));
        eventually(Duration::from_mins(1), "the edit is carried out", || {
            let maps = fleet.list("v1/configmaps", "gtc-first", "");
            if maps.iter().any(|map| map["data"]["EDITED"] == value) { Ok(()) } else { Err("not yet") }
        });
        took.push(begun.elapsed());
        std::thread::sleep(Duration::from_secs(3));
    }
    println!("  edits elsewhere took {took:.1?}");
    assert!(took.iter().all(|took| *took < PROMPT), "{took:?}");
    // Who is refused a turn says that it is busy; who had one, that it does not answer.
    eventually(Duration::from_secs(30), "somebody says that it does not answer", || {
        let reason =
            |name: &String| gotocloud_integration::condition(&fleet.instance(name), "Ready").map(|one| one.reason);
        let told: Vec<_> = names.iter().filter_map(reason).collect();
        if told.iter().any(|reason| reason == "DatabaseUnreachable") { Ok(()) } else { Err(told.join(", ")) }
    });

    // Their databases are deleted once it answers.
    forward(hanging, (fleet.installation.postgres.host.clone(), fleet.installation.postgres.port));
    clear_on(fleet, "hanging", &names);
    assert_eq!(operator.terminate().unwrap(), Some(0));
    fleet.installation.start_operator().unwrap();
    until_unused(fleet, "hanging");
}

fn a_leader_that_cannot_renew_its_lease_stands_by_before_another_may_take_it_and_goes_on(fleet: &mut Fleet) {
    with_its_own(fleet);
    fleet.provision(&[objects::instance("first", objects::APP, objects::ETAB)]);
    let before = uids(fleet);
    // Stopped, not killed: connections stay open, and nothing answers on them.
    signal(fleet, "STOP");
    let begun = Instant::now();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually(Duration::from_secs(40), "it stands by", || {
            if leads(fleet.operator()) { Err("it leads") } else { Ok(()) }
        });
    }));
    let stood_by = begun.elapsed();
    signal(fleet, "CONT");
    outcome.unwrap();
    println!("  it stood by {:.1} s after the API server stopped answering", stood_by.as_secs_f64());
    assert!(stood_by < Duration::from_secs(25), "a Lease lasts 30 s");

    fleet.cluster().restart_missing().unwrap();
    let took = until_it_leads(fleet.operator(), TAKEOVER);
    println!("  it acts again {:.1} s after the API server answered", took.as_secs_f64());
    let log = std::fs::read_to_string(fleet.operator().log_path()).unwrap();
    assert!(log.contains("the Lease was lost") && log.contains("standing by"), "{log}");
    fleet.delete("v1/services", "gtc-first", "web").unwrap();
    eventually(Duration::from_secs(15), "drift is repaired", || {
        fleet.get("v1/services", "gtc-first", "web").ok_or("not yet")
    });
    fleet.ready("first");
    let now = uids(fleet);
    let is_new = |object: &&String| before.get(*object) != now.get(*object);
    assert_eq!(now.keys().filter(is_new).collect::<Vec<_>>(), ["Service gtc-first/web"]);
    assert!(fleet.get(NAMESPACES, "", "gtc-first").is_some() && fleet.get(INSTANCES, HUB, "first").is_some());
}

fn an_optional_api_that_cannot_be_listed_holds_up_only_what_needs_it(fleet: &mut Fleet) {
    const ROLES: &str = "rbac.authorization.k8s.io/v1/clusterroles";
    without_its_own(fleet);
    // It is served, and to list it is refused.
    let mut rules = fleet.get(ROLES, "", "gotocloud-operator").unwrap()["rules"].clone();
    let as_it_was = json!({ "rules": rules });
    rules.as_array_mut().unwrap().retain(|rule| rule["apiGroups"] != json!(["cert-manager.io"]));
    fleet.patch(ROLES, "", "gotocloud-operator", &json!({ "rules": rules })).unwrap();
    fleet.installation.launch_operator().unwrap();
    let begun = Instant::now();
    eventually(Duration::from_mins(1), "it leads", || if leads(fleet.operator()) { Ok(()) } else { Err("not yet") });

    let platform = fleet.installation.platform("certified");
    let issued = json!({"spec": {"certificateIssuer": {"name": "issuer"}}});
    fleet.apply(&objects::with(platform, issued)).unwrap();
    let (names, mut all) = instances(fleet, "listed", 2);
    all[1]["spec"]["platform"] = json!("certified");
    for instance in &all {
        fleet.apply(instance).unwrap();
    }
    fleet.ready(&names[0]);
    println!("  what does not need it is ready {:.1} s after the operator began", begun.elapsed().as_secs_f64());
    let said = fleet.stalled(&names[1], "ApiMissing");
    assert!(said.contains("does not let it be listed"), "{said}");
    let (status, said) = fleet.operator().get("/readyz").unwrap();
    assert!(status == 503 && said.contains("Certificate: Starting"), "{status} {said}");

    fleet.patch(ROLES, "", "gotocloud-operator", &as_it_was).unwrap();
    fleet.ready(&names[1]);
    clear(fleet, &names);
    until_unused(fleet, "certified");
}

/// Deletes a Platform once no Instance is on it, which is counted a moment later.
fn until_unused(fleet: &Fleet, platform: &str) {
    eventually(Duration::from_secs(15), "the platform is in use no more", || {
        fleet.delete(PLATFORMS, "", platform).map_err(|refused| format!("{refused:?}"))
    });
}

fn signal(fleet: &Fleet, name: &str) {
    let process = fleet.cluster().process("kube-apiserver").unwrap().to_string();
    assert!(Command::new("kill").args([&format!("-{name}"), &process]).status().unwrap().success());
}

fleet_tests!(
    CLUSTER,
    |spec| spec.nodes(1).audit(),
    [
        one_of_two_leads_and_the_other_stands_by,
        a_killed_leader_is_followed_by_the_other_which_repairs_what_drifted,
        what_a_killed_operator_did_last_and_never_told_is_put_right_by_the_next,
        a_leader_told_to_stop_finishes_what_it_has_in_hand_and_gives_the_lease_back,
        no_more_instances_are_worked_on_at_once_than_concurrency_says,
        its_metrics_are_prometheus_text_with_the_documented_names,
        every_line_of_its_log_is_json,
        a_wrong_configuration_ends_it_with_one_clear_sentence,
        a_leader_that_was_frozen_begins_no_write_when_it_wakes_and_goes_on_when_it_is_its_turn,
        a_leader_that_was_frozen_for_seconds_keeps_its_lease_and_restarts_nothing,
        a_database_server_that_hangs_keeps_no_edit_elsewhere_waiting,
        a_leader_that_cannot_renew_its_lease_stands_by_before_another_may_take_it_and_goes_on,
        an_optional_api_that_cannot_be_listed_holds_up_only_what_needs_it,
        it_says_so_while_the_api_server_does_not_answer_and_removes_nothing,
    ]
);
