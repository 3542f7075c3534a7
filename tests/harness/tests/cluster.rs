//! Real clusters and a real PostgreSQL do what the other tests take for granted.
//!
//! They take minutes of a machine, and a quarter of an hour the first time, when the control plane is built.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use std::path::Path;
use std::time::{Duration, Instant};

use gotocloud_harness::{
    AuditFilter, Cluster, ClusterSpec, OptionalApi, PostgresServer, Silent, StartOptions, Terminal, audit, stages,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster of this test process, which goes when the test ends, however it ends.
struct OwnCluster(Cluster);

impl OwnCluster {
    fn up(purpose: &str, spec: impl FnOnce(ClusterSpec) -> ClusterSpec) -> Self {
        let name = format!("harness-{purpose}-{}", std::process::id());
        Self(Cluster::up(&spec(ClusterSpec::new(&name)), &Terminal).unwrap())
    }

    fn jsonpath(&self, kind: &str, name: &str, path: &str) -> String {
        self.0.kubectl(&["get", kind, name, "-o", &format!("jsonpath={path}")]).unwrap()
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        let _ = Cluster::down(self.0.name(), &Silent);
    }
}

/// The processes whose command line names this folder; zombies have none.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&folder))
        .collect()
}

fn deployment(name: &str, annotations: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}, namespace: default}}, spec: {{replicas: 3, \
         selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}, annotations: \
         {{{annotations}}}}}, spec: {{containers: [{{name: app, image: app}}]}}}}}}}}"
    )
}

#[test]
fn two_clusters_run_side_by_side_and_leave_nothing() {
    let since = Instant::now();
    let other = std::thread::spawn(|| OwnCluster::up("two", |spec| spec.nodes(1).optional_apis(&[])));
    let one = OwnCluster::up("one", |spec| spec.nodes(5).audit());
    let two = other.join().unwrap();
    eprintln!("two clusters at once: {:.1} s", since.elapsed().as_secs_f64());

    for (cluster, nodes) in [(&one, 5), (&two, 1)] {
        let ready = cluster.0.kubectl(&["get", "nodes", "--no-headers"]).unwrap();
        assert_eq!(ready.lines().filter(|line| line.contains(" Ready ")).count(), nodes, "{ready}");
        cluster.0.apply(&deployment("web", "")).unwrap();
        cluster.0.wait_for(&["--for=condition=Available", "deployment/web"], PATIENCE).unwrap();
        assert_eq!(cluster.jsonpath("deployment", "web", "{.status.availableReplicas}"), "3");
        assert_eq!(cluster.0.kubectl(&["config", "current-context"]).unwrap().trim(), cluster.0.context());
    }
    let metrics = one.0.kubectl(&["get", "--raw=/metrics"]).unwrap();
    assert!(metrics.contains("apiserver_request_total"));
    let names: Vec<String> =
        Cluster::list().unwrap().into_iter().filter(|state| state.running).map(|s| s.name).collect();
    assert!(names.contains(&one.0.name().to_owned()) && names.contains(&two.0.name().to_owned()), "{names:?}");

    let again = Instant::now();
    let same = OwnCluster::up("one", |spec| spec.nodes(5).audit());
    assert_eq!(same.0.process("etcd"), one.0.process("etcd"));
    assert!(again.elapsed() < Duration::from_secs(5), "a healthy cluster is used as it is");

    for cluster in [one, two] {
        let (name, folder) = (cluster.0.name().to_owned(), cluster.0.kubeconfig_path());
        let folder = folder.parent().unwrap();
        assert_eq!(processes_of(folder).len(), 5);
        Cluster::down(&name, &Silent).unwrap();
        assert_eq!(processes_of(folder), Vec::<String>::new());
        assert!(!folder.exists());
        assert!(Cluster::attach(&name).is_err());
    }
}

#[test]
fn the_optional_controllers_are_played() {
    let cluster = OwnCluster::up("played", |spec| spec.optional_apis(&[OptionalApi::CloudNativePg]));
    let ready = |of: &str, condition: &str| cluster.0.wait_for(&[&format!("--for={condition}"), of], PATIENCE).unwrap();

    let database = "{apiVersion: postgresql.cnpg.io/v1, kind: Cluster, metadata: {name: db, namespace: default}, \
                    spec: {instances: INSTANCES, storage: {size: 1Gi}}}";
    cluster.0.apply(&database.replace("INSTANCES", "1")).unwrap();
    ready("cluster.postgresql.cnpg.io/db", "condition=Ready");
    let phase = cluster.jsonpath("cluster.postgresql.cnpg.io", "db", "{.status.phase}");
    assert_eq!(phase, "Cluster in healthy state");
    assert_eq!(cluster.jsonpath("secret", "db-app", "{.type}"), "kubernetes.io/basic-auth");
    cluster.0.apply(&database.replace("INSTANCES", "3")).unwrap();
    ready("cluster.postgresql.cnpg.io/db", "jsonpath={.status.readyInstances}=3");
    cluster.0.kubectl(&["annotate", "cluster.postgresql.cnpg.io/db", "cnpg.io/hibernation=on"]).unwrap();
    ready("cluster.postgresql.cnpg.io/db", "jsonpath={.status.readyInstances}=0");

    // One made anew under the name of one whose Secret is not collected yet.
    let owner = cluster.jsonpath("cluster.postgresql.cnpg.io", "db", "{.metadata.uid}");
    cluster
        .0
        .apply(&format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: again-app, namespace: default, ownerReferences: \
             [{{apiVersion: postgresql.cnpg.io/v1, kind: Cluster, name: db, uid: {owner}, controller: true}}]}}, type: \
             kubernetes.io/basic-auth, stringData: {{username: app, password: old}}}}"
        ))
        .unwrap();
    cluster.0.apply(&database.replace("name: db", "name: again").replace("INSTANCES", "1")).unwrap();
    ready("cluster.postgresql.cnpg.io/again", "condition=Ready");

    // APIs that come while the cluster runs.
    cluster.0.install(OptionalApi::CertManager).unwrap();
    cluster.0.install(OptionalApi::GatewayApi).unwrap();
    cluster
        .0
        .apply(
            "{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: web, namespace: default}, spec: \
             {secretName: web, dnsNames: [a.example], issuerRef: {name: ca}}}",
        )
        .unwrap();
    ready("certificate/web", "condition=Ready");
    let route = "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: web, namespace: \
                 default}, spec: {parentRefs: [{name: public, namespace: gateways}, {name: internal}], hostnames: \
                 [HOST]}}";
    let accepted = "jsonpath={.status.parents[1].conditions[?(@.type==\"Accepted\")].observedGeneration}";
    cluster.0.apply(&route.replace("HOST", "a.example")).unwrap();
    ready("httproute/web", &format!("{accepted}=1"));
    cluster.0.apply(&route.replace("HOST", "b.example")).unwrap();
    ready("httproute/web", &format!("{accepted}=2"));
    let first = cluster.jsonpath("httproute", "web", "{.status.parents[0].parentRef.namespace}");
    assert_eq!(first, "gateways");
    cluster
        .0
        .apply(
            "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: public, namespace: default}, \
             spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}}",
        )
        .unwrap();
    ready("gateway/public", "condition=Programmed");
}

#[test]
fn pods_fail_where_they_are_told_to() {
    let cluster = OwnCluster::up("failing", |spec| spec.optional_apis(&[]));
    cluster.0.apply(&deployment("broken", &format!("{}: \"true\"", stages::FAIL))).unwrap();
    cluster.0.apply(&deployment("sound", "")).unwrap();
    let job = "{apiVersion: batch/v1, kind: Job, metadata: {name: NAME, namespace: default}, spec: {backoffLimit: 0, \
               template: {metadata: {annotations: {gotocloud.amue.fr/kwok-fail: \"FAIL\"}}, spec: {restartPolicy: \
               Never, containers: [{name: app, image: app}]}}}}";
    cluster.0.apply(&job.replace("NAME", "fails").replace("FAIL", "true")).unwrap();
    cluster.0.apply(&job.replace("NAME", "completes").replace("FAIL", "false")).unwrap();
    for wait in [
        ["--for=condition=Available", "deployment/sound"],
        ["--for=condition=Failed", "job/fails"],
        ["--for=condition=Complete", "job/completes"],
    ] {
        cluster.0.wait_for(&wait, PATIENCE).unwrap();
    }
    let reasons =
        cluster.0.kubectl(&["get", "pods", "-l", "app=broken", "-o", "jsonpath={..state.waiting.reason}"]).unwrap();
    assert_eq!(reasons, "CrashLoopBackOff CrashLoopBackOff CrashLoopBackOff");
    assert_eq!(cluster.jsonpath("deployment", "broken", "{.status.availableReplicas}"), "");
}

#[test]
fn the_audit_log_tells_who_wrote_what() {
    let cluster = OwnCluster::up("audit", |spec| spec.nodes(1).optional_apis(&[]).audit());
    cluster.0.kubectl(&["create", "serviceaccount", "writer"]).unwrap();
    cluster
        .0
        .kubectl(&["create", "clusterrolebinding", "writer", "--clusterrole=edit", "--serviceaccount=default:writer"])
        .unwrap();
    let kubeconfig = cluster.0.kubeconfig_of_service_account("default", "writer").unwrap();
    let as_writer = |arguments: &[&str]| {
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        cluster.0.kubectl(&[&[kubeconfig.as_str()], arguments].concat())
    };
    let user = "system:serviceaccount:default:writer";
    assert!(as_writer(&["auth", "whoami"]).unwrap().contains(user));
    let since = gotocloud_harness::Moment::now();
    as_writer(&["create", "configmap", "one"]).unwrap();
    as_writer(&["delete", "configmap", "one", "--wait=false"]).unwrap();
    as_writer(&["get", "pods"]).unwrap();
    as_writer(&["create", "namespace", "forbidden"]).unwrap_err();
    let counts = audit::count(&cluster.0.audit_log(), &AuditFilter::user(user).since(since)).unwrap();
    assert_eq!((counts.writes, counts.refused_writes, counts.lists), (3, 1, 1), "{counts:?}");
    assert_eq!(counts.writes_by_resource["configmaps"], 2);
    let everyone = audit::count(&cluster.0.audit_log(), &AuditFilter::default()).unwrap();
    assert!(everyone.lease_writes > 0 && everyone.watches > 0 && everyone.writes > counts.writes, "{everyone:?}");
}

#[test]
fn a_broken_cluster_is_mended_or_made_anew() {
    let spec = |spec: ClusterSpec| spec.nodes(1).optional_apis(&[]);
    let cluster = OwnCluster::up("broken", spec);
    cluster.0.kubectl(&["create", "configmap", "kept"]).unwrap();
    let kill = |component: &str| {
        let process = cluster.0.process(component).unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-KILL", &process]).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        while cluster.0.process(component).is_some() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    };

    kill("kube-apiserver");
    assert!(Cluster::attach(cluster.0.name()).is_err());
    cluster.0.restart_missing().unwrap();
    cluster.0.kubectl(&["get", "configmap", "kept"]).unwrap();

    kill("etcd");
    let anew = OwnCluster::up("broken", spec);
    anew.0.kubectl(&["get", "configmap", "kept"]).unwrap_err();
    anew.0.kubectl(&["get", "node", "node-000000"]).unwrap();
}

mod postgres {
    use super::*;
    use std::sync::Arc;
    use tokio_postgres::{Client, Config, NoTls, config::SslMode};

    fn config(server: &PostgresServer) -> Config {
        let mut config = Config::new();
        config
            .host(&server.host)
            .port(server.port)
            .user(&server.admin_user)
            .password(&server.admin_password)
            .dbname("postgres");
        config
    }

    async fn login(server: &PostgresServer) -> Client {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(server.ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = tokio_postgres_rustls::MakeRustlsConnect::new(tls);
        let (client, connection) = config(server).ssl_mode(SslMode::Require).connect(connector).await.unwrap();
        tokio::spawn(connection);
        client
    }

    #[tokio::test]
    async fn it_admits_tls_only_and_its_administrator_is_no_superuser() {
        let server = PostgresServer::start(&StartOptions::temporary()).unwrap();
        let plain = config(&server).ssl_mode(SslMode::Disable).connect(NoTls).await;
        assert!(plain.err().unwrap().to_string().contains("db error"));

        let client = login(&server).await;
        let role = client
            .query_one("SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user", &[])
            .await
            .unwrap();
        assert_eq!((role.get(0), role.get(1), role.get(2)), (false, true, true));
        client.batch_execute("CREATE ROLE tenant LOGIN PASSWORD 'x'").await.unwrap();
        // What a managed PostgreSQL asks for as well: who creates a role administers it, but is not in it.
        client.batch_execute("CREATE DATABASE tenant OWNER tenant").await.unwrap_err();
        client.batch_execute("GRANT tenant TO CURRENT_USER WITH SET TRUE, INHERIT FALSE").await.unwrap();
        client.batch_execute("CREATE DATABASE tenant OWNER tenant").await.unwrap();

        let folder = server.data_dir().to_path_buf();
        server.stop().unwrap();
        assert!(!folder.exists());
        assert_eq!(processes_of(&folder), Vec::<String>::new());
    }

    #[tokio::test]
    async fn its_data_outlives_it_and_it_may_outlive_its_handle() {
        let folder = StartOptions::temporary().data_dir;
        let server = PostgresServer::start(&StartOptions::new(&folder)).unwrap();
        let (port, password) = (server.port, server.admin_password.clone());
        login(&server).await.batch_execute("CREATE DATABASE kept").await.unwrap();
        drop(server);
        assert!(PostgresServer::attach(&folder).is_err());

        drop(PostgresServer::start(&StartOptions::new(&folder).detached()).unwrap());
        let server = PostgresServer::attach(&folder).unwrap();
        assert_eq!((server.port, &server.admin_password), (port, &password));
        let kept = login(&server).await.query("SELECT FROM pg_database WHERE datname = 'kept'", &[]).await.unwrap();
        assert_eq!(kept.len(), 1);
        let same = PostgresServer::start(&StartOptions::new(&folder)).unwrap();
        assert_eq!(same.port, port);
        drop((server, same));
        PostgresServer::attach(&folder).unwrap();

        PostgresServer::stop_at(&folder).unwrap();
        PostgresServer::stop_at(&folder).unwrap();
        assert_eq!(processes_of(&folder), Vec::<String>::new());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
