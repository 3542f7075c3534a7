//! Does an Instance become what was asked, and does everybody who asks learn how it stands?

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gotocloud_integration::{
    APPLICATIONS, ESTABLISHMENTS, Fleet, HUB, INSTANCES, NAMESPACES, PATIENCE, PLATFORMS, RELEASES, condition,
    eventually, fleet_tests,
    objects::{APP, CNPG, ETAB, SERVER, application, establishment, grouping, image, instance, release, with},
};
use gotocloud_planner::Kind;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// The Instance of this file on the Platform with a PostgreSQL server and an Ingress controller.
const ON_SERVER: &str = "on-server";
/// The one on the Platform with everything.
const ON_CNPG: &str = "on-cnpg";

fn on(platform: &str, instance: Value) -> Value {
    with(instance, json!({"spec": {"platform": platform}}))
}

/// How many of its objects there are of each kind.
fn by_kind(fleet: &Fleet, instance: &str) -> BTreeMap<Kind, usize> {
    let mut counts = BTreeMap::new();
    for (kind, _) in fleet.children(instance) {
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

fn label<'a>(object: &'a Value, key: &str) -> &'a Value {
    &object["metadata"]["labels"][key]
}

fn an_instance_on_each_platform_becomes_ready(fleet: &mut Fleet) {
    fleet.apply(&establishment("etab-2")).unwrap();
    fleet.provision(&[on(SERVER, instance(ON_SERVER, APP, ETAB)), on(CNPG, instance(ON_CNPG, APP, "etab-2"))]);
}

fn it_has_every_kind_of_object_that_its_platform_asks_for(fleet: &mut Fleet) {
    let common = [
        (Kind::Namespace, 1),
        (Kind::RoleBinding, 1),
        (Kind::ServiceAccount, 1),
        (Kind::ResourceQuota, 1),
        (Kind::LimitRange, 1),
        (Kind::NetworkPolicy, 3),
        (Kind::ConfigMap, 1),
        (Kind::Secret, 1),
        (Kind::ControllerRevision, 1),
        (Kind::Deployment, 2),
        (Kind::Service, 2),
        (Kind::PodDisruptionBudget, 2),
    ];
    let mut wanted = BTreeMap::from(common);
    wanted.extend([(Kind::Secret, 2), (Kind::Ingress, 1)]);
    assert_eq!(by_kind(fleet, ON_SERVER), wanted);
    let mut wanted = BTreeMap::from(common);
    let everything = [
        (Kind::NetworkPolicy, 4),
        (Kind::Cluster, 1),
        (Kind::Certificate, 1),
        (Kind::ListenerSet, 1),
        (Kind::HttpRoute, 1),
        (Kind::ServiceMonitor, 1),
    ];
    wanted.extend(everything);
    assert_eq!(by_kind(fleet, ON_CNPG), wanted);
}

fn its_namespace_says_whose_it_is_and_admits_restricted_pods_only(fleet: &mut Fleet) {
    let namespace = fleet.get(NAMESPACES, "", "gtc-on-server").unwrap();
    for (key, value) in [
        ("pod-security.kubernetes.io/enforce", "restricted"),
        ("pod-security.kubernetes.io/warn", "restricted"),
        ("pod-security.kubernetes.io/audit", "restricted"),
        ("app.kubernetes.io/managed-by", "gotocloud-operator"),
        ("gotocloud.amue.fr/instance", ON_SERVER),
        ("gotocloud.amue.fr/instance-namespace", HUB),
        ("gotocloud.amue.fr/application", APP),
        ("gotocloud.amue.fr/establishment", ETAB),
        ("gotocloud.amue.fr/platform", SERVER),
    ] {
        assert_eq!(label(&namespace, key), value, "{key}");
    }
    // Not only said: the API server acts by it.
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root", "namespace": "gtc-on-server"},
                     "spec": {"containers": [{"name": "root", "image": "root", "securityContext": {"privileged": true}}]}});
    let refusal = fleet.apply(&pod).unwrap_err();
    assert!(refusal.message.contains("violates PodSecurity \"restricted"), "{refusal}");
}

fn its_share_is_bounded_by_its_size(fleet: &mut Fleet) {
    let quota = fleet.child(Kind::ResourceQuota, ON_SERVER, "size-class");
    let hard = json!({"requests.cpu": "8", "requests.memory": "8Gi", "requests.storage": "50Gi", "pods": "20"});
    assert_eq!(quota["spec"]["hard"], hard);
    let used = eventually(PATIENCE, "its pods count against the quota", || {
        let used = fleet.child(Kind::ResourceQuota, ON_SERVER, "size-class")["status"]["used"]["pods"].clone();
        if used == "2" { Ok(used) } else { Err(used) }
    });
    assert_eq!(used, "2");
    let limits = &fleet.child(Kind::LimitRange, ON_SERVER, "size-class")["spec"]["limits"][0];
    assert_eq!((&limits["defaultRequest"]["cpu"], &limits["default"]["memory"]), (&json!("250m"), &json!("256Mi")));
}

fn nobody_talks_to_it_but_by_the_flows_it_names(fleet: &mut Fleet) {
    let policy = |instance: &str, name: &str| fleet.child(Kind::NetworkPolicy, instance, name)["spec"].clone();
    let deny = policy(ON_SERVER, "default-deny");
    assert_eq!((&deny["podSelector"], &deny["policyTypes"]), (&json!({}), &json!(["Ingress", "Egress"])));
    assert!(deny["ingress"].is_null() && deny["egress"].is_null(), "{deny}");
    let web = policy(ON_SERVER, "web");
    let port = |port: u16| json!([{"port": port, "protocol": "TCP"}]);
    let from =
        |namespace: &str| json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]);
    assert_eq!(web["ingress"], json!([{"from": from("ingress-nginx"), "ports": port(8080)}]));
    let egress = web["egress"].as_array().unwrap();
    let database =
        json!({"to": [{"ipBlock": {"cidr": "127.0.0.1/32"}}], "ports": port(fleet.installation.postgres.port)});
    let batch = json!({"to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "batch"}}}], "ports": port(7070)});
    assert!(egress.contains(&database) && egress.contains(&batch) && egress.len() == 3, "{web}");
    // batch is called by web alone, and by nobody from outside.
    let from_web = json!([{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "web"}}}]);
    assert_eq!(policy(ON_SERVER, "batch")["ingress"], json!([{"from": from_web, "ports": port(7070)}]));
    let ingress = policy(ON_CNPG, "web")["ingress"].clone();
    assert!(
        ingress.as_array().unwrap().contains(&json!({"from": from("gateway-system"), "ports": port(8080)})),
        "{ingress}"
    );
    assert!(
        ingress.as_array().unwrap().contains(&json!({"from": from("monitoring"), "ports": port(9090)})),
        "{ingress}"
    );
}

fn its_pods_run_as_little_as_can_be(fleet: &mut Fleet) {
    assert_eq!(fleet.child(Kind::ServiceAccount, ON_SERVER, "workload")["automountServiceAccountToken"], false);
    let deployment = fleet.child(Kind::Deployment, ON_SERVER, "web");
    let (spec, pod) = (&deployment["spec"], &deployment["spec"]["template"]["spec"]);
    assert_eq!((&pod["serviceAccountName"], &pod["automountServiceAccountToken"]), (&json!("workload"), &json!(false)));
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    let may = &container["securityContext"];
    assert_eq!((&may["allowPrivilegeEscalation"], &may["readOnlyRootFilesystem"]), (&json!(false), &json!(true)));
    assert_eq!(may["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(container["image"], image("web", "1.0"));
    assert_eq!(
        container["resources"],
        json!({"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}})
    );
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(container[probe]["httpGet"]["path"], "/health", "{probe}");
    }
    let batch = fleet.child(Kind::Deployment, ON_SERVER, "batch");
    let batch = &batch["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(batch["readinessProbe"]["tcpSocket"]["port"], "jobs");
    assert_eq!(batch["command"], json!(["/batch", "--serve"]));
    let spread = &pod["topologySpreadConstraints"][0];
    assert_eq!((&spread["topologyKey"], &spread["maxSkew"]), (&json!("kubernetes.io/hostname"), &json!(1)));
    assert_eq!(spec["strategy"]["rollingUpdate"], json!({"maxSurge": 1, "maxUnavailable": 0}));
    assert_eq!(pod["volumes"], json!([{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]));
}

fn it_is_told_what_its_release_says_in_its_own_words(fleet: &mut Fleet) {
    let told = &fleet.child(Kind::ConfigMap, ON_SERVER, "web-env")["data"];
    assert_eq!(*told, json!({"NAME": "Université etab", "URL": "https://on-server.server.example.org"}));
    let env =
        fleet.child(Kind::Deployment, ON_SERVER, "web")["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    let from = |name: &str, secret: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}});
    assert_eq!(
        env,
        json!([from("DATABASE_URL", "database-app", "uri"), from("SESSION_KEY", "generated", "session-key")])
    );
}

fn it_is_reached_by_an_ingress_or_by_a_route_with_its_own_certificate(fleet: &mut Fleet) {
    let ingress = fleet.child(Kind::Ingress, ON_SERVER, "public");
    assert_eq!(ingress["spec"]["ingressClassName"], "nginx");
    assert_eq!(ingress["spec"]["rules"][0]["host"], "on-server.server.example.org");
    let host = "on-cnpg.cnpg.example.org";
    let certificate = fleet.child(Kind::Certificate, ON_CNPG, "public");
    assert_eq!(
        (&certificate["spec"]["dnsNames"], &certificate["spec"]["issuerRef"]["name"]),
        (&json!([host]), &json!("letters"))
    );
    let listeners = fleet.child(Kind::ListenerSet, ON_CNPG, "public");
    assert_eq!(listeners["spec"]["parentRef"]["namespace"], "gateway-system");
    assert_eq!(listeners["spec"]["listeners"][0]["hostname"], host);
    assert_eq!(
        listeners["spec"]["listeners"][0]["tls"]["certificateRefs"][0]["name"],
        certificate["spec"]["secretName"]
    );
    let route = fleet.child(Kind::HttpRoute, ON_CNPG, "public");
    assert_eq!(
        (&route["spec"]["hostnames"], &route["spec"]["parentRefs"][0]["kind"]),
        (&json!([host]), &json!("ListenerSet"))
    );
    assert_eq!(route["spec"]["rules"][0]["backendRefs"][0]["name"], "web");
    let monitor = fleet.child(Kind::ServiceMonitor, ON_CNPG, "web");
    assert_eq!(
        (label(&monitor, "release"), &monitor["spec"]["endpoints"][0]["port"]),
        (&json!("prometheus"), &json!("metrics"))
    );
}

fn it_has_a_database_that_its_own_password_opens(fleet: &mut Fleet) {
    let password = fleet.secret("gtc-on-server", "database-app", "password").unwrap();
    assert!(password.len() >= 32 && password.chars().all(|one| one.is_ascii_alphanumeric()));
    let rows = fleet.sql_as("on_server", &password, "on_server", "SELECT current_user, current_database()").unwrap();
    assert_eq!(rows, [["on_server", "on_server"]]);
    let refusal = fleet.sql_as("on_server", &password, "postgres", "CREATE TABLE public.mine (a int)").unwrap_err();
    assert!(format!("{refusal:#}").contains("permission denied"), "{refusal:#}");
    let uri = fleet.secret("gtc-on-server", "database-app", "uri").unwrap();
    assert!(
        uri.starts_with(&format!("postgresql://on_server:{password}@127.0.0.1:"))
            && uri.ends_with("sslmode=verify-full")
    );
    let cluster = fleet.child(Kind::Cluster, ON_CNPG, "database");
    assert_eq!(cluster["spec"]["instances"], 1);
    let storage = &cluster["spec"]["storage"];
    assert_eq!((&storage["size"], &storage["storageClass"]), (&json!("5Gi"), &json!("fast")));
    assert_eq!(cluster["spec"]["bootstrap"]["initdb"]["database"], "on_cnpg");
}

fn the_api_server_warns_of_none_of_its_objects(fleet: &mut Fleet) {
    for instance in [ON_SERVER, ON_CNPG] {
        let items: Vec<Value> = fleet
            .children(instance)
            .into_iter()
            .map(|(_, mut object)| {
                object.as_object_mut().unwrap().remove("status");
                let metadata = object["metadata"].as_object_mut().unwrap();
                for field in ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"] {
                    metadata.remove(field);
                }
                object
            })
            .collect();
        let file = std::env::temp_dir().join(format!("gotocloud-warnings-{}.json", std::process::id()));
        std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).unwrap();
        let path = file.display().to_string();
        let said = fleet.kubectl(&[
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "--warnings-as-errors",
            "-f",
            &path,
        ]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(said.unwrap().lines().count(), items.len());
    }
}

fn its_status_is_one_that_any_tool_can_wait_for(fleet: &mut Fleet) {
    for (name, platform, kinds) in [(ON_SERVER, SERVER, 5), (ON_CNPG, CNPG, 5)] {
        let instance = fleet.ready(name);
        let status = &instance["status"];
        let conditions = status["conditions"].as_array().unwrap();
        let types: Vec<_> = conditions.iter().map(|one| one["type"].as_str().unwrap()).collect();
        assert_eq!(types.len(), kinds, "{types:?}");
        assert!(!types.contains(&"Reconciling") && !types.contains(&"Stalled"), "abnormal-true: {types:?}");
        for one in conditions {
            assert_eq!(
                (&one["status"], &one["observedGeneration"]),
                (&json!("True"), &instance["metadata"]["generation"]),
                "{one}"
            );
        }
        assert_eq!(status["observedGeneration"], instance["metadata"]["generation"]);
        assert_eq!((&status["stage"], &status["sizeClass"]), (&json!("Provisioned"), &json!("VerySmall")));
        assert_eq!(status["release"], json!({"name": "app-1.0", "version": "1.0"}));
        assert_eq!((&status["platform"], &status["namespace"]), (&json!(platform), &json!(format!("gtc-{name}"))));
        assert_eq!(
            status["endpoints"],
            json!([{"component": "web", "url": format!("https://{name}.{platform}.example.org")}])
        );
        fleet
            .cluster()
            .wait_for(&["--for=condition=Ready", &format!("instance/{name}"), "-n", HUB], Duration::from_secs(5))
            .unwrap();
    }
}

fn its_inventory_is_what_there_is(fleet: &mut Fleet) {
    for name in [ON_SERVER, ON_CNPG] {
        let children = fleet.children(name);
        let inventory = &fleet.instance(name)["status"]["inventory"];
        let mut told: Vec<String> =
            inventory["entries"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let id = |(kind, object): &(Kind, Value)| {
            format!("{}_{}_{}_{}", text(object, "namespace"), text(object, "name"), kind.group(), kind.name())
        };
        let mut there: Vec<String> = children.iter().map(id).collect();
        told.sort();
        there.sort();
        assert_eq!(told, there);
        assert_eq!(inventory["count"], children.len());
        println!("{name}: {} objects", children.len());
    }
}

fn pods_and_database_servers_follow_size_and_stage(fleet: &mut Fleet) {
    let replicas = |component: &str| fleet.child(Kind::Deployment, ON_CNPG, component)["spec"]["replicas"].clone();
    assert_eq!((replicas("web"), replicas("batch")), (json!(1), json!(1)));
    fleet.edit(ON_CNPG, &json!({"spec": {"stage": "PartialProduction"}}));
    fleet.ready(ON_CNPG);
    assert_eq!((replicas("web"), replicas("batch")), (json!(2), json!(2)), "by the stage's least");
    assert_eq!(fleet.child(Kind::Cluster, ON_CNPG, "database")["status"]["readyInstances"], 2);
    fleet.edit(ON_CNPG, &json!({"spec": {"stage": "FullProduction", "sizeClass": "Medium"}}));
    let instance = fleet.ready(ON_CNPG);
    assert_eq!((replicas("web"), replicas("batch")), (json!(3), json!(2)), "by the size, and by the stage's least");
    assert_eq!(fleet.child(Kind::Cluster, ON_CNPG, "database")["spec"]["instances"], 3);
    assert_eq!(fleet.child(Kind::ResourceQuota, ON_CNPG, "size-class")["spec"]["hard"]["pods"], "60");
    assert_eq!(
        (&instance["status"]["stage"], &instance["status"]["sizeClass"]),
        (&json!("FullProduction"), &json!("Medium"))
    );
    let namespace = fleet.get(NAMESPACES, "", "gtc-on-cnpg").unwrap();
    assert_eq!(label(&namespace, "gotocloud.amue.fr/deletion-protected"), "true");
}

/// Every number of pods that `web` of an Instance asked for since a version of the API server's store.
fn numbers_since(fleet: &Fleet, instance: &str, version: &Value) -> Vec<u64> {
    let path = format!(
        "/apis/apps/v1/namespaces/gtc-{instance}/deployments\
         ?watch=true&timeoutSeconds=2&fieldSelector=metadata.name%3Dweb&resourceVersion={}",
        version.as_str().unwrap()
    );
    let events = fleet.kubectl(&["get", "--raw", &path]).unwrap();
    let number = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["object"]["spec"]["replicas"].as_u64().unwrap_or_else(|| panic!("{event}"))
    };
    events.lines().map(number).collect()
}

fn the_number_of_pods_can_follow_the_load(fleet: &mut Fleet) {
    let mut published = release("scaled", "1.0");
    published["spec"]["components"][0]["autoscaling"] = json!({"maxReplicasFactor": 3, "targetCpuPercent": 70});
    fleet.apply(&application("scaled")).unwrap();
    let before = fleet.apply(&published).unwrap()["metadata"]["resourceVersion"].clone();
    fleet.provision(&[with(instance("scaled", "scaled", ETAB), json!({"spec": {"sizeClass": "Small"}}))]);
    let scaler = fleet.child(Kind::HorizontalPodAutoscaler, "scaled", "web");
    assert_eq!((&scaler["spec"]["minReplicas"], &scaler["spec"]["maxReplicas"]), (&json!(2), &json!(6)));
    assert_eq!(scaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 70);
    let numbers = numbers_since(fleet, "scaled", &before);
    assert!(!numbers.is_empty() && numbers.iter().all(|number| *number == 2), "it starts with the least: {numbers:?}");
    // The autoscaler's number is nobody else's: another one stands.
    let scale = json!({"spec": {"replicas": 4}});
    fleet.patch("apps/v1/deployments", "gtc-scaled", "web", &scale).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(fleet.child(Kind::Deployment, "scaled", "web")["spec"]["replicas"], 4);
}

fn a_release_that_adds_autoscaling_takes_no_pod_away(fleet: &mut Fleet) {
    let mut scaling = release("growing", "2.0");
    scaling["spec"]["components"][0]["autoscaling"] = json!({"maxReplicasFactor": 2, "targetCpuPercent": 70});
    for object in [application("growing"), release("growing", "1.0"), scaling] {
        fleet.apply(&object).unwrap();
    }
    fleet.provision(&[with(instance("growing", "growing", ETAB), json!({"spec": {"sizeClass": "Medium"}}))]);
    let web = fleet.child(Kind::Deployment, "growing", "web");
    assert_eq!(web["spec"]["replicas"], 3);
    let before = web["metadata"]["resourceVersion"].clone();
    fleet.edit("growing", &json!({"spec": {"release": "growing-2.0"}}));
    fleet.ready("growing");
    assert_eq!(fleet.child(Kind::HorizontalPodAutoscaler, "growing", "web")["spec"]["minReplicas"], 3);
    let numbers = numbers_since(fleet, "growing", &before);
    assert!(!numbers.is_empty() && numbers.iter().all(|number| *number == 3), "{numbers:?}");
    // Somebody holds the number, and it is not the one who leaves it to the autoscaler.
    let web = fleet.child(Kind::Deployment, "growing", "web");
    let entries = web["metadata"]["managedFields"].as_array().unwrap();
    let says_it = |entry: &&Value| entry["fieldsV1"].pointer("/f:spec/f:replicas").is_some();
    let holders: Vec<_> = entries.iter().filter(says_it).map(|entry| entry["manager"].as_str().unwrap()).collect();
    assert_eq!(holders, ["gotocloud-operator-replicas"]);
    // The other way round, the number is the operator's again.
    fleet.edit("growing", &json!({"spec": {"release": "growing-1.0"}}));
    fleet.ready("growing");
    fleet.patch("apps/v1/deployments", "gtc-growing", "web", &json!({"spec": {"replicas": 1}})).unwrap();
    eventually(PATIENCE, "a number that somebody changes is put right", || {
        let number = fleet.child(Kind::Deployment, "growing", "web")["spec"]["replicas"].clone();
        if number == 3 { Ok(()) } else { Err(number) }
    });
}

fn one_instance_of_a_shared_grouping_serves_all_its_members(fleet: &mut Fleet) {
    for object in [establishment("x"), establishment("y"), grouping("schools", "Shared", &["x", "y"])] {
        fleet.apply(&object).unwrap();
    }
    fleet.provision(&[instance("schools-app", APP, "schools")]);
    let shared = fleet.instance("schools-app");
    assert_eq!((&shared["status"]["grouping"], &shared["status"]["members"]), (&json!("schools"), &json!(["x", "y"])));
    let namespace = fleet.get(NAMESPACES, "", "gtc-schools-app").unwrap();
    for object in [&shared, &namespace] {
        assert_eq!(label(object, "gotocloud.amue.fr/grouping"), "schools");
        assert_eq!(label(object, "member.gotocloud.amue.fr/x"), "true");
    }
    let serving_y = fleet.list(INSTANCES, HUB, "member.gotocloud.amue.fr/y=true");
    assert_eq!(serving_y.len(), 1, "a member's instance is found by a label");
    // A member has none of its own.
    fleet.apply(&instance("x-app", APP, "x")).unwrap();
    let message = fleet.stalled("x-app", "MembershipConflict");
    assert!(message.contains("make the Instance for schools"), "{message}");
    let status = eventually(PATIENCE, "y is told its grouping", || {
        let status = fleet.get(ESTABLISHMENTS, "", "y").unwrap()["status"].clone();
        if status["groupings"] == json!(["app: schools"]) { Ok(status) } else { Err(status) }
    });
    assert_eq!(status["members"], 0);
    assert_eq!(fleet.get(ESTABLISHMENTS, "", "schools").unwrap()["status"]["members"], 2);
}

fn each_member_of_another_grouping_has_its_own(fleet: &mut Fleet) {
    for object in [
        establishment("m1"),
        establishment("m2"),
        grouping("unir", "PerMember", &["m1", "m2"]),
        grouping("rival", "PerMember", &["m2"]),
    ] {
        fleet.apply(&object).unwrap();
    }
    for (name, of) in [("m1-app", "m1"), ("m2-app", "m2"), ("unir-app", "unir")] {
        fleet.apply(&instance(name, APP, of)).unwrap();
    }
    let own = fleet.ready("m1-app");
    assert_eq!((&own["status"]["grouping"], &own["status"]["members"]), (&json!("unir"), &Value::Null));
    assert_eq!(label(&own, "gotocloud.amue.fr/grouping"), "unir");
    let message = fleet.stalled("unir-app", "MembershipConflict");
    assert!(message.contains("make an Instance for each member"), "{message}");
    let message = fleet.stalled("m2-app", "MembershipConflict");
    assert!(
        message.contains("rival") && message.contains("unir") && message.contains("take it out of one"),
        "{message}"
    );
    // What the message says helps.
    fleet.apply(&grouping("rival", "PerMember", &["somebody"])).unwrap();
    assert_eq!(fleet.ready("m2-app")["status"]["grouping"], "unir");
}

fn an_interface_opens_the_flow_on_both_sides_and_its_end_closes_it(fleet: &mut Fleet) {
    for object in [
        application("caller"),
        release("caller", "1.0"),
        application("called"),
        release("called", "1.0"),
        establishment("linked"),
    ] {
        fleet.apply(&object).unwrap();
    }
    fleet.provision(&[instance("caller", "caller", "linked"), instance("called", "called", "linked")]);
    let names = |instance: &str, side: &str, other: &str| {
        fleet.child(Kind::NetworkPolicy, instance, "web")["spec"][side].to_string().contains(&format!("gtc-{other}"))
    };
    for (state, is_open) in [("Existing", true), ("Planned", false)] {
        let link = json!([{"peer": "called", "what": "data", "state": state}]);
        fleet.patch(APPLICATIONS, "", "caller", &json!({"spec": {"interfaces": link}})).unwrap();
        eventually(PATIENCE, &format!("the flow of an interface {state}"), || {
            let seen = (names("caller", "egress", "called"), names("called", "ingress", "caller"));
            if seen == (is_open, is_open) { Ok(()) } else { Err(format!("{seen:?}")) }
        });
    }
}

fn the_catalogue_counts_its_instances(fleet: &mut Fleet) {
    for object in [
        application("counted"),
        release("counted", "1.0"),
        establishment("c1"),
        establishment("c2"),
        establishment("c3"),
    ] {
        fleet.apply(&object).unwrap();
    }
    fleet.provision(&[
        instance("c1", "counted", "c1"),
        with(instance("c2", "counted", "c2"), json!({"spec": {"stage": "FullProduction"}})),
    ]);
    fleet.apply(&with(instance("c3", "counted", "c3"), json!({"spec": {"release": null}}))).unwrap();
    fleet.stalled("c3", "ReleaseNotChosen");
    let instances = json!({"total": 3, "ready": 2, "provisioned": 2, "partialProduction": 0, "fullProduction": 1});
    let expect = |resource: &str, name: &str, counts: &Value| {
        eventually(PATIENCE, &format!("{name} counts {counts}"), || {
            let object = fleet.get(resource, "", name).unwrap();
            let ready = condition(&object, "Ready").is_some_and(|ready| ready.status == "True");
            if object["status"]["instances"] == *counts && ready { Ok(()) } else { Err(object["status"].clone()) }
        });
    };
    expect(APPLICATIONS, "counted", &instances);
    expect(RELEASES, "counted-1.0", &json!(2));
    expect(
        ESTABLISHMENTS,
        "c2",
        &json!({"total": 1, "ready": 1, "provisioned": 0, "partialProduction": 0, "fullProduction": 1}),
    );
    expect(
        ESTABLISHMENTS,
        "c3",
        &json!({"total": 1, "ready": 0, "provisioned": 1, "partialProduction": 0, "fullProduction": 0}),
    );
    let placed = |platform: &str| {
        let all = fleet.list(INSTANCES, "", "");
        json!(all.iter().filter(|one| one["status"]["platform"] == platform).count())
    };
    expect(PLATFORMS, SERVER, &placed(SERVER));
    expect(PLATFORMS, CNPG, &placed(CNPG));
    assert_eq!(placed(CNPG), 1);
}

fn events_tell_of_transitions_and_of_nothing_else(fleet: &mut Fleet) {
    let events = || -> Vec<(String, String, String)> {
        let all = fleet.list("events.k8s.io/v1/events", HUB, "");
        let text = |event: &Value, pointer: &str| {
            event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let mut told: Vec<_> = all
            .iter()
            .map(|event| (text(event, "/regarding/name"), text(event, "/reason"), event["series"]["count"].to_string()))
            .collect();
        told.sort();
        told
    };
    let before = events();
    let of =
        |name: &str| before.iter().filter(|event| event.0 == name).map(|event| event.1.as_str()).collect::<Vec<_>>();
    assert_eq!(of(ON_SERVER), ["AsDesired"], "it became ready, once");
    assert_eq!(of("c3"), ["ReleaseNotChosen"]);
    let writes = fleet.operator().metric("gotocloud_api_writes_total").unwrap();
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(events(), before, "ten idle seconds tell nothing new");
    println!(
        "{} events; {} writes in ten idle seconds",
        before.len(),
        fleet.operator().metric("gotocloud_api_writes_total").unwrap() - writes
    );
}

fn no_password_is_told_anywhere(fleet: &mut Fleet) {
    let mut passwords = vec![("the administrator's".to_owned(), fleet.installation.postgres.admin_password.clone())];
    for instance in fleet.list(INSTANCES, HUB, "") {
        let namespace = format!("gtc-{}", instance["metadata"]["name"].as_str().unwrap());
        for (secret, key) in [("database-app", "password"), ("generated", "session-key")] {
            passwords.extend(
                fleet.secret(&namespace, secret, key).map(|password| (format!("{namespace}/{secret}"), password)),
            );
        }
    }
    // What kwok plays as CloudNativePG's is no password.
    passwords.retain(|(_, password)| password != "played-by-kwok");
    assert!(passwords.len() > 12, "{} passwords", passwords.len());
    let mut told = vec![
        ("the log".to_owned(), fleet.log()),
        ("PostgreSQL's log".to_owned(), std::fs::read_to_string(fleet.installation.postgres.log_path()).unwrap()),
        ("the metrics".to_owned(), fleet.operator().get("/metrics").unwrap().1),
    ];
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Secret).map(gotocloud_integration::resource);
    let others = [INSTANCES, APPLICATIONS, RELEASES, PLATFORMS, ESTABLISHMENTS, "events.k8s.io/v1/events", "v1/pods"];
    for resource in kinds.chain(others.map(str::to_owned)) {
        told.push((resource.clone(), Value::Array(fleet.list(&resource, "", "")).to_string()));
    }
    for (whose, password) in &passwords {
        for (place, text) in &told {
            assert!(!text.contains(password), "the password of {whose} is in {place}");
        }
    }
    println!(
        "{} passwords looked for in {} places, {} bytes",
        passwords.len(),
        told.len(),
        told.iter().map(|(_, text)| text.len()).sum::<usize>()
    );
}

fn the_operator_complained_of_nothing(fleet: &mut Fleet) {
    let log = fleet.log();
    assert!(!log.contains("panicked"), "{log}");
    let errors: Vec<&str> =
        log.lines().filter(|line| line.contains("ERROR") || line.contains("unknown field")).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

fleet_tests!(
    "it-provisioning",
    |spec| spec,
    [
        an_instance_on_each_platform_becomes_ready,
        it_has_every_kind_of_object_that_its_platform_asks_for,
        its_namespace_says_whose_it_is_and_admits_restricted_pods_only,
        its_share_is_bounded_by_its_size,
        nobody_talks_to_it_but_by_the_flows_it_names,
        its_pods_run_as_little_as_can_be,
        it_is_told_what_its_release_says_in_its_own_words,
        it_is_reached_by_an_ingress_or_by_a_route_with_its_own_certificate,
        it_has_a_database_that_its_own_password_opens,
        the_api_server_warns_of_none_of_its_objects,
        its_status_is_one_that_any_tool_can_wait_for,
        its_inventory_is_what_there_is,
        pods_and_database_servers_follow_size_and_stage,
        the_number_of_pods_can_follow_the_load,
        a_release_that_adds_autoscaling_takes_no_pod_away,
        one_instance_of_a_shared_grouping_serves_all_its_members,
        each_member_of_another_grouping_has_its_own,
        an_interface_opens_the_flow_on_both_sides_and_its_end_closes_it,
        the_catalogue_counts_its_instances,
        events_tell_of_transitions_and_of_nothing_else,
        no_password_is_told_anywhere,
        the_operator_complained_of_nothing,
    ]
);
