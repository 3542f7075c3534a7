//! Can one establishment's instance read another's data, or the operator more than it needs?

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use gotocloud_harness::operator::{CLUSTER_ROLE, NAMESPACE, SERVICE_ACCOUNT};
use gotocloud_integration::{Fleet, HUB, PLATFORMS, eventually, fleet_tests, objects};
use serde_json::{Value, json};
use std::time::Duration;

const ROLES_OF_AN_INSTANCE: &str = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolconnlimit \
                                    FROM pg_roles WHERE rolname = ";

/// Two establishments with an instance each on the database server: `ours` and `theirs`.
fn two_instances(fleet: &Fleet) {
    for name in ["ours", "theirs"] {
        fleet.apply(&objects::establishment(name)).unwrap();
    }
    fleet.provision(&["ours", "theirs"].map(|name| objects::instance(name, objects::APP, name)));
}

/// The password in an instance's own Secret.
fn password(fleet: &Fleet, instance: &str) -> String {
    fleet.secret(&format!("gtc-{instance}"), "database-app", "password").unwrap()
}

/// What the server says to a statement of the instance `ours` in a database.
fn as_ours(fleet: &Fleet, database: &str, statement: &str) -> Result<Vec<Vec<String>>, String> {
    fleet.sql_as("ours", &password(fleet, "ours"), database, statement).map_err(|error| format!("{error:?}"))
}

#[track_caller]
fn refused(answer: Result<Vec<Vec<String>>, String>, why: &str) {
    match answer {
        Ok(rows) => panic!("not refused: {rows:?}"),
        Err(said) => assert!(said.contains(why), "refused, but for another reason: {said}"),
    }
}

fn an_instance_reaches_its_own_database_and_no_other(fleet: &mut Fleet) {
    two_instances(fleet);
    as_ours(fleet, "ours", "CREATE TABLE students (name text); INSERT INTO students VALUES ('Ada')").unwrap();
    assert_eq!(as_ours(fleet, "ours", "SELECT name FROM students").unwrap(), [["Ada"]]);
    assert_eq!(as_ours(fleet, "ours", "SELECT count(*) FROM students").unwrap(), [["1"]], "it is kept");
    refused(as_ours(fleet, "theirs", "SELECT 1"), "permission denied for database");
    assert_ne!(password(fleet, "ours"), password(fleet, "theirs"));
    let as_another = fleet.sql_as("theirs", &password(fleet, "ours"), "theirs", "SELECT 1");
    refused(as_another.map_err(|error| format!("{error:?}")), "password authentication failed");
    // Where every role may log in, there is nothing to read and nothing to write.
    refused(as_ours(fleet, "postgres", "CREATE TABLE here (x int)"), "permission denied for schema public");
    refused(as_ours(fleet, "postgres", "SELECT rolpassword FROM pg_authid"), "permission denied");
}

fn an_instance_cannot_give_itself_more_than_it_has(fleet: &mut Fleet) {
    two_instances(fleet);
    for (statement, why) in [
        ("CREATE DATABASE more", "permission denied to create database"),
        ("CREATE ROLE more", "permission denied to create role"),
        ("ALTER ROLE ours SUPERUSER", "permission denied to alter role"),
        ("ALTER ROLE ours CONNECTION LIMIT -1", "permission denied to alter role"),
        ("ALTER ROLE theirs PASSWORD 'known'", "permission denied to alter role"),
        ("SET ROLE theirs", "permission denied to set role"),
        ("SET ROLE gotocloud_admin", "permission denied to set role"),
        ("GRANT theirs TO ours", "permission denied to grant role"),
        ("DROP DATABASE theirs", "must be owner of database"),
        ("GRANT CONNECT ON DATABASE theirs TO ours", "permission denied for database"),
        ("COPY (SELECT 1) TO PROGRAM 'true'", "permission denied to COPY to or from an external program"),
        ("SELECT pg_read_file('/etc/passwd')", "permission denied for function pg_read_file"),
    ] {
        refused(as_ours(fleet, "ours", statement), why);
    }
    for name in ["ours", "theirs"] {
        let limit =
            fleet.get(PLATFORMS, "", objects::SERVER).unwrap()["spec"]["database"]["server"]["connectionLimit"].clone();
        let rights = fleet.sql(&format!("{ROLES_OF_AN_INSTANCE} '{name}'")).unwrap();
        assert_eq!(rights, [["f", "f", "f", "f", "f", &limit.to_string()]], "{name}");
        let of = format!("SELECT roleid::regrole FROM pg_auth_members WHERE member = '{name}'::regrole");
        assert_eq!(fleet.sql(&of).unwrap(), Vec::<Vec<String>>::new(), "{name} is a member of nobody");
    }
}

fn the_operators_own_administrator_is_no_superuser(fleet: &mut Fleet) {
    let rights = fleet.sql(&format!("{ROLES_OF_AN_INSTANCE} current_user")).unwrap();
    assert_eq!(rights[0][..5], ["f", "t", "t", "f", "f"], "CREATEDB and CREATEROLE are all");
    let error = fleet.sql("SELECT pg_read_file('/etc/passwd')").unwrap_err();
    assert!(format!("{error:?}").contains("permission denied"), "{error:?}");
}

fn nobody_speaks_to_the_server_in_the_clear(fleet: &mut Fleet) {
    two_instances(fleet);
    let postgres = &fleet.installation.postgres;
    let mut config = tokio_postgres::Config::new();
    config.host(&postgres.host).port(postgres.port).user("ours").password(password(fleet, "ours")).dbname("ours");
    config.ssl_mode(tokio_postgres::config::SslMode::Disable);
    let error = fleet.wait_on(config.connect(tokio_postgres::NoTls)).err().expect("it is admitted");
    assert!(format!("{error:?}").contains("no encryption"), "{error:?}");
    let uri = fleet.secret("gtc-ours", "database-app", "uri").unwrap();
    assert!(uri.ends_with("/ours?sslmode=verify-full"), "its pods are told to check the server's certificate");
    assert_eq!(fleet.secret("gtc-ours", "database-app", "ca.crt").unwrap(), postgres.ca_pem);
}

fn an_instance_cannot_take_all_connections_of_the_server(fleet: &mut Fleet) {
    two_instances(fleet);
    let limited = json!({"spec": {"database": {"server": {"connectionLimit": 3}}}});
    fleet.patch(PLATFORMS, "", objects::SERVER, &limited).unwrap();
    eventually(Duration::from_secs(30), "the limit of a Platform is that of its roles", || {
        let limit =
            fleet.sql("SELECT DISTINCT rolconnlimit FROM pg_roles WHERE rolname IN ('ours', 'theirs')").unwrap();
        if limit == [["3"]] { Ok(()) } else { Err(format!("{limit:?}")) }
    });
    let password = password(fleet, "ours");
    fleet.wait_on(async {
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(fleet.log_in("ours", &password, "ours").await.unwrap());
        }
        let error = fleet.log_in("ours", &password, "ours").await.expect_err("a fourth connection");
        assert!(format!("{error:?}").contains("too many connections for role"), "{error:?}");
    });
    fleet.sql_as("theirs", &self::password(fleet, "theirs"), "theirs", "SELECT 1").unwrap();
}

/// A namespace by its labels, and the pods of an instance in it by theirs.
struct Workload {
    name: String,
    namespace: Value,
    pods: Vec<Value>,
    policies: Vec<Value>,
}

fn workload(fleet: &Fleet, instance: &str) -> Workload {
    let namespace = format!("gtc-{instance}");
    let labels = |object: Value| object["metadata"]["labels"].clone();
    Workload {
        name: instance.to_owned(),
        namespace: labels(fleet.get("v1/namespaces", "", &namespace).unwrap()),
        pods: fleet.list("v1/pods", &namespace, "").into_iter().map(labels).collect(),
        policies: fleet.list("networking.k8s.io/v1/networkpolicies", &namespace, ""),
    }
}

/// Does a label selector of the form the operator writes take these labels? An empty one takes all.
fn takes(selector: &Value, labels: &Value) -> bool {
    assert!(selector["matchExpressions"].is_null(), "this test does not know expressions");
    let wanted = selector["matchLabels"].as_object();
    wanted.is_none_or(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
}

/// Do the policies of `of`, in that direction, name pods of `other`?
fn opens_to(of: &Workload, direction: (&str, &str), other: &Workload) -> bool {
    let rules = of.policies.iter().flat_map(|policy| policy["spec"][direction.0].as_array().into_iter().flatten());
    let peers = rules.flat_map(|rule| rule[direction.1].as_array().into_iter().flatten());
    peers.into_iter().any(|peer| {
        let pods = |pod: &Value| takes(&peer["podSelector"], pod);
        // Without a selector of namespaces, a peer is in the policy's own.
        peer["namespaceSelector"].is_object()
            && takes(&peer["namespaceSelector"], &other.namespace)
            && other.pods.iter().any(pods)
    })
}

fn no_network_policy_lets_one_establishment_into_another(fleet: &mut Fleet) {
    let interface = json!({"spec": {"interfaces": [{"peer": "peer", "what": "persons", "state": "Existing"}]}});
    fleet.apply(&objects::with(objects::application("caller"), interface)).unwrap();
    fleet.apply(&objects::application("peer")).unwrap();
    for application in ["caller", "peer"] {
        fleet.apply(&objects::release(application, "1.0")).unwrap();
    }
    let places = [("ours", objects::SERVER), ("theirs", objects::SERVER), ("others", objects::CNPG)];
    let mut instances = Vec::new();
    for (establishment, platform) in places {
        let home = json!({"spec": {"homePlatform": platform}});
        fleet.apply(&objects::with(objects::establishment(establishment), home)).unwrap();
        for application in ["caller", "peer"] {
            let name = format!("{application}-{establishment}");
            instances.push((establishment, objects::instance(&name, application, establishment)));
        }
    }
    fleet.provision(&instances.iter().map(|(_, instance)| instance.clone()).collect::<Vec<_>>());
    let name = |instance: &Value| instance["metadata"]["name"].as_str().unwrap().to_owned();
    // An interface is opened once the neighbour is there.
    let all = eventually(Duration::from_secs(30), "the two instances of each establishment reach each other", || {
        let all: Vec<_> = instances.iter().map(|(of, instance)| (*of, workload(fleet, &name(instance)))).collect();
        let linked = |pair: &[(&str, Workload)]| {
            opens_to(&pair[0].1, ("egress", "to"), &pair[1].1) && opens_to(&pair[1].1, ("ingress", "from"), &pair[0].1)
        };
        if all.chunks(2).all(linked) { Ok(all) } else { Err("not yet") }
    });
    for (establishment, one) in &all {
        let denied = one.policies.iter().filter(|policy| {
            let spec = &policy["spec"];
            spec["podSelector"] == json!({})
                && spec["policyTypes"] == json!(["Ingress", "Egress"])
                && spec.get("ingress").is_none()
        });
        assert_eq!(denied.count(), 1, "{}: what no policy names is denied", one.name);
        for rule in one.policies.iter().flat_map(|policy| policy["spec"]["ingress"].as_array().into_iter().flatten()) {
            let from = rule["from"].as_array().expect("a rule that lets everybody in");
            assert!(
                !from.is_empty() && from.iter().all(|peer| peer["namespaceSelector"] != json!({})),
                "{}: {rule}",
                one.name
            );
        }
        for (_, other) in all.iter().filter(|(of, _)| of != establishment) {
            assert!(!opens_to(one, ("ingress", "from"), other), "{} lets in {}", one.name, other.name);
            assert!(!opens_to(one, ("egress", "to"), other), "{} may call {}", one.name, other.name);
        }
    }
    let pods: usize = all.iter().map(|(_, one)| one.pods.len()).sum();
    println!(
        "  {} instances with {pods} pods: no policy opens one of {} pairs",
        all.len(),
        all.len() * (all.len() - 2)
    );
}

fn the_operator_may_do_nothing_outside_the_namespaces_of_instances(fleet: &mut Fleet) {
    two_instances(fleet);
    let kubeconfig = fleet.cluster().kubeconfig_of_service_account(NAMESPACE, SERVICE_ACCOUNT).unwrap();
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let run = |arguments: &[&str]| fleet.kubectl(&[&[kubeconfig.as_str()], arguments].concat());
    let can = |question: &[&str]| match run(&[&["auth", "can-i"], question].concat()) {
        Ok(answer) => answer.trim() == "yes",
        // kubectl ends with an error where the answer is no; then it says nothing on standard error.
        Err(said) => {
            assert!(!said.contains("rror"), "{question:?}: {said}");
            false
        }
    };
    for namespace in ["gtc-ours", "gtc-theirs"] {
        assert!(can(&["get", "secrets", "--namespace", namespace]), "{namespace}");
        assert!(can(&["patch", "deployments.apps", "--namespace", namespace]), "{namespace}");
        assert!(!can(&["list", "secrets", "--namespace", namespace]), "{namespace}");
        assert!(!can(&["create", "pods", "--subresource=exec", "--namespace", namespace]), "{namespace}");
    }
    assert!(can(&["get", "secret/postgresql-admin", "--namespace", NAMESPACE]));
    for namespace in ["kube-system", "default", HUB] {
        for verb in ["get", "list", "watch", "create", "patch"] {
            assert!(!can(&[verb, "secrets", "--namespace", namespace]), "{verb} secrets in {namespace}");
        }
        assert!(!can(&["patch", "deployments.apps", "--namespace", namespace]), "{namespace}");
    }
    assert!(!can(&["list", "secrets", "--namespace", NAMESPACE]));
    assert!(!can(&["escalate", "clusterroles"]) && !can(&["impersonate", "users"]) && !can(&["*", "*"]));

    // RBAC alone would let it; the admission policy does not.
    fleet.kubectl(&["create", "namespace", "somebody"]).unwrap();
    fleet.kubectl(&["create", "namespace", "gtc-somebody"]).unwrap();
    let refused = |arguments: &[&str], why: &str| {
        let said = run(arguments).expect_err(&format!("{arguments:?} is not refused"));
        assert!(said.contains(why), "{arguments:?}: {said}");
    };
    let only = "only namespaces called gtc-";
    for namespace in ["somebody", "kube-node-lease", HUB, NAMESPACE] {
        refused(&["delete", "namespace", namespace, "--wait=false"], only);
    }
    refused(&["label", "namespace", "kube-system", "a=b"], only);
    refused(&["create", "namespace", "elsewhere"], only);
    refused(&["delete", "namespace", "gtc-somebody", "--wait=false"], "did not make the namespace");
    let subject = format!("--serviceaccount={NAMESPACE}:{SERVICE_ACCOUNT}");
    let role = format!("--clusterrole={CLUSTER_ROLE}");
    for namespace in ["kube-system", "somebody", NAMESPACE] {
        refused(
            &["create", "rolebinding", "in", &role, &subject, "--namespace", namespace],
            "only in namespaces that it made",
        );
    }
    refused(
        &["create", "rolebinding", "in", "--clusterrole=cluster-admin", &subject, "--namespace", "gtc-ours"],
        "not currently held",
    );
    for namespace in ["somebody", "gtc-somebody", "gtc-ours"] {
        assert!(
            fleet.get("v1/namespaces", "", namespace).unwrap()["metadata"]["deletionTimestamp"].is_null(),
            "{namespace}"
        );
    }
}

fn the_pods_of_an_instance_may_do_nothing_with_the_api_server(fleet: &mut Fleet) {
    two_instances(fleet);
    let pods = fleet.list("v1/pods", "gtc-ours", "");
    assert!(!pods.is_empty());
    for pod in &pods {
        assert_eq!(pod["spec"]["serviceAccountName"], "workload");
        let mounted = pod["spec"]["volumes"].to_string();
        assert!(!mounted.contains("serviceAccountToken"), "{mounted}");
    }
    for (verb, resource, namespace) in [
        ("get", "secrets", "gtc-ours"),
        ("list", "pods", "gtc-ours"),
        ("get", "secrets", "gtc-theirs"),
        ("get", "instances", HUB),
    ] {
        let user = "--as=system:serviceaccount:gtc-ours:workload";
        let answer = fleet.kubectl(&["auth", "can-i", verb, resource, "--namespace", namespace, user]);
        assert!(
            answer.as_ref().is_err_and(|said| !said.contains("rror")),
            "{verb} {resource} in {namespace}: {answer:?}"
        );
    }
}

fleet_tests!(
    "it-isolation",
    |spec| spec.nodes(1),
    [
        an_instance_reaches_its_own_database_and_no_other,
        an_instance_cannot_give_itself_more_than_it_has,
        the_operators_own_administrator_is_no_superuser,
        nobody_speaks_to_the_server_in_the_clear,
        no_network_policy_lets_one_establishment_into_another,
        the_operator_may_do_nothing_outside_the_namespaces_of_instances,
        the_pods_of_an_instance_may_do_nothing_with_the_api_server,
        an_instance_cannot_take_all_connections_of_the_server,
    ]
);
