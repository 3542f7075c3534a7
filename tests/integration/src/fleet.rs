//! An installation with a small catalogue, and how a test speaks to it.

use crate::{ESTABLISHMENTS, HUB, INSTANCES, objects};
use anyhow::Context as _;
use gotocloud_api::names;
use gotocloud_harness::{
    AuditCounts, AuditFilter, Build, Cluster, ClusterSpec, Installation, Moment, OperatorProcess, Progress, audit,
};
use gotocloud_planner::Kind;
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use std::{
    fmt,
    future::Future,
    time::{Duration, Instant},
};

/// How long anything may take that only a busy machine delays.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// An installation with [`objects::APP`], its release, both platforms and an establishment.
pub struct Fleet {
    /// The installation.
    pub installation: Installation,
    runtime: tokio::runtime::Runtime,
    client: kube::Client,
}

/// An answer of the API server that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status code.
    pub code: u16,
    /// The reason in a word, or the first cause where it names one.
    pub reason: String,
    /// What it says.
    pub message: String,
}

impl From<Box<kube::core::Status>> for Refused {
    fn from(status: Box<kube::core::Status>) -> Self {
        let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
        let reason = causes.first().map_or(&status.reason, |cause| &cause.reason);
        Self { code: status.code, reason: reason.clone(), message: status.message.clone() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

/// A condition of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// In a word.
    pub reason: String,
    /// In a sentence.
    pub message: String,
}

/// The condition of that type, if the object has it.
pub fn condition(object: &Value, kind: &str) -> Option<Condition> {
    let one = object["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == kind)?;
    let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
    Some(Condition { status: text("status"), reason: text("reason"), message: text("message") })
}

/// How a kind of child is named to [`Fleet::get`].
pub fn resource(kind: Kind) -> String {
    format!("{}/{}", kind.api_version(), kind.plural())
}

/// Asks until the answer is `Ok`, or fails with the last that was not.
pub fn eventually<T, E: fmt::Display>(patience: Duration, what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < patience, "not within {patience:?}: {what}; last seen: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Fleet {
    /// Brings up what `spec` asks for, with the small catalogue.
    pub fn up(spec: &ClusterSpec, progress: &dyn Progress) -> Self {
        let installation =
            Installation::up(spec, Build::Debug, false, progress).expect("the installation does not come up");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(client(&installation.cluster)).expect("no client for the cluster");
        let fleet = Self { installation, runtime, client };
        for namespace in [HUB, "gateway-system", "monitoring", "ingress-nginx", "cnpg-system"] {
            fleet.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).unwrap();
        }
        for object in [
            objects::application(objects::APP),
            objects::release(objects::APP, "1.0"),
            objects::establishment(objects::ETAB),
            fleet.installation.platform(objects::SERVER),
            objects::full_platform(objects::CNPG),
        ] {
            fleet.apply(&object).unwrap();
        }
        // An Instance that a busy operator sees before what it refers to is told to lack that, which is true for a moment.
        eventually(PATIENCE, "the operator has seen the catalogue", || {
            let seen = fleet.get(ESTABLISHMENTS, "", objects::ETAB).unwrap();
            let is_seen = seen["status"]["observedGeneration"] == seen["metadata"]["generation"];
            if is_seen { Ok(()) } else { Err(seen["status"].clone()) }
        });
        fleet
    }

    /// The control plane.
    pub fn cluster(&self) -> &Cluster {
        &self.installation.cluster
    }

    /// The operator.
    pub fn operator(&self) -> &OperatorProcess {
        self.installation.operator().unwrap()
    }

    /// What `kubectl ARGUMENTS` prints, or what it says on standard error.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.cluster().kubectl(arguments).map_err(|error| format!("{error:#}"))
    }

    /// What `kubectl apply` says of an object: an error is its refusal.
    pub fn kubectl_apply(&self, object: &Value) -> Result<String, String> {
        self.cluster().apply(&object.to_string()).map_err(|error| format!("{error:#}"))
    }

    /// Waits for what is to come.
    pub fn wait_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// One request, with JSON in and out.
    pub fn request(&self, method: Method, path: &str, content_type: &str, body: &Value) -> Result<Value, Refused> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request =
            Request::builder().method(method).uri(path).header("content-type", content_type).body(body).unwrap();
        match self.wait_on(self.client.request::<Value>(request)) {
            Ok(answer) => Ok(answer),
            Err(kube::Error::Api(status)) => Err(status.into()),
            Err(error) => panic!("the API server does not answer: {error}"),
        }
    }

    /// The object, if it is there. `resource` is written as [`INSTANCES`] is; `namespace` is empty for those of the cluster.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        match self.request(Method::GET, &path(resource, namespace, name, ""), "", &Value::Null) {
            Ok(object) => Some(object),
            Err(refused) if refused.code == 404 => None,
            Err(refused) => panic!("{resource} {namespace}/{name}: {refused}"),
        }
    }

    /// The objects that the label selector takes, all with an empty one; of all namespaces with an empty one. None where
    /// the API is not served.
    pub fn list(&self, resource: &str, namespace: &str, selector: &str) -> Vec<Value> {
        let query = format!("?labelSelector={}", selector.replace('=', "%3D").replace('/', "%2F").replace(',', "%2C"));
        match self.request(Method::GET, &path(resource, namespace, "", &query), "", &Value::Null) {
            Ok(mut list) => serde_json::from_value(list["items"].take()).unwrap(),
            Err(refused) if refused.code == 404 => Vec::new(),
            Err(refused) => panic!("{resource}: {refused}"),
        }
    }

    /// What a watch tells within a second, from a version on: each event with its `type` and its `object`.
    pub fn watch(&self, resource: &str, selector: &str, version: &str) -> Vec<Value> {
        let selector = selector.replace('=', "%3D").replace('/', "%2F");
        let query = format!("?watch=true&timeoutSeconds=1&resourceVersion={version}&labelSelector={selector}");
        let request = Request::builder().uri(path(resource, "", "", &query)).body(Vec::new()).unwrap();
        let told = self.wait_on(self.client.request_text(request)).unwrap();
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The objects that bear the labels of an Instance of [`HUB`], by kind, as the operator's inventory orders them.
    pub fn children(&self, instance: &str) -> Vec<(Kind, Value)> {
        let labels = [
            (names::LABEL_MANAGED_BY, names::FIELD_MANAGER),
            (names::LABEL_INSTANCE_NAMESPACE, HUB),
            (names::LABEL_INSTANCE, instance),
        ];
        let selector = labels.map(|(key, value)| format!("{key}={value}")).join(",");
        let of_kind = |kind: Kind| {
            let namespace = if kind == Kind::Namespace { String::new() } else { names::workload_namespace(instance) };
            self.list(&resource(kind), &namespace, &selector).into_iter().map(move |mut object| {
                // What a list holds does not say so itself.
                object["apiVersion"] = json!(kind.api_version());
                object["kind"] = json!(kind.name());
                (kind, object)
            })
        };
        Kind::ALL.into_iter().flat_map(of_kind).collect()
    }

    /// An object of an Instance of [`HUB`], which must be there.
    pub fn child(&self, kind: Kind, instance: &str, name: &str) -> Value {
        let found = self.get(&resource(kind), &names::workload_namespace(instance), name);
        found.unwrap_or_else(|| panic!("{instance} has no {kind} {name}"))
    }

    /// Applies an object (server-side, as field manager `test`, which takes over what others own).
    pub fn apply(&self, object: &Value) -> Result<Value, Refused> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("/apiVersion"), text("/kind"));
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let plural = Kind::parse(group, kind)
            .map_or_else(|| format!("{}s", kind.to_lowercase()), |kind| kind.plural().to_owned());
        let query = "?fieldManager=test&force=true";
        let path = path(&format!("{version}/{plural}"), text("/metadata/namespace"), text("/metadata/name"), query);
        self.request(Method::PATCH, &path, "application/apply-patch+yaml", object)
    }

    /// Merges `changes` into an object, as `kubectl patch --type merge` does.
    pub fn patch(&self, resource: &str, namespace: &str, name: &str, changes: &Value) -> Result<Value, Refused> {
        self.request(Method::PATCH, &path(resource, namespace, name, ""), "application/merge-patch+json", changes)
    }

    /// Asks for the deletion of an object.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<(), Refused> {
        self.request(Method::DELETE, &path(resource, namespace, name, ""), "application/json", &Value::Null).map(|_| ())
    }

    /// The Instance of [`HUB`], which must be there.
    pub fn instance(&self, name: &str) -> Value {
        self.get(INSTANCES, HUB, name).unwrap_or_else(|| panic!("there is no Instance {name}"))
    }

    /// Edits an Instance of [`HUB`].
    pub fn edit(&self, name: &str, changes: &Value) -> Value {
        self.patch(INSTANCES, HUB, name, changes).unwrap()
    }

    /// Waits until an Instance's status speaks of its present spec and `asked` finds nothing wrong with it.
    pub fn until(&self, name: &str, what: &str, asked: impl Fn(&Value) -> bool) -> Value {
        eventually(PATIENCE, &format!("{name}: {what}"), || {
            let instance = self.instance(name);
            let is_seen = instance["status"]["observedGeneration"] == instance["metadata"]["generation"];
            if is_seen && asked(&instance) { Ok(instance) } else { Err(instance["status"]["conditions"].to_string()) }
        })
    }

    /// Waits until an Instance of [`HUB`] is ready as it now stands, with no work under way.
    pub fn ready(&self, name: &str) -> Value {
        self.until(name, "Ready", |instance| {
            condition(instance, "Ready").is_some_and(|ready| ready.status == "True")
                && condition(instance, "Reconciling").is_none()
        })
    }

    /// Applies Instances, and waits until all are ready.
    pub fn provision(&self, instances: &[Value]) {
        for instance in instances {
            self.apply(instance).unwrap();
        }
        for instance in instances {
            self.ready(instance["metadata"]["name"].as_str().unwrap());
        }
    }

    /// Waits until an Instance of [`HUB`] is stalled for that reason; gives the message.
    pub fn stalled(&self, name: &str, reason: &str) -> String {
        let is_so = |one: &Condition| one.status == "True" && one.reason == reason;
        let instance =
            self.until(name, &format!("Stalled {reason}"), |one| condition(one, "Stalled").as_ref().is_some_and(is_so));
        let (stalled, ready) = (condition(&instance, "Stalled").unwrap(), condition(&instance, "Ready").unwrap());
        assert_eq!((ready.status.as_str(), &ready.reason), ("False", &stalled.reason), "Ready says the same");
        stalled.message
    }

    /// Deletes Instances of [`HUB`] whatever protects them, and waits until they and their namespaces are gone.
    pub fn clear(&self, names: &[&str]) {
        for name in names {
            if self.get(INSTANCES, HUB, name).is_some() {
                self.edit(name, &json!({"spec": {"deletionProtection": false, "deletionPolicy": "Delete"}}));
                self.delete(INSTANCES, HUB, name).unwrap();
            }
        }
        for name in names {
            self.until_gone(INSTANCES, HUB, name);
            self.until_gone(crate::NAMESPACES, "", &format!("gtc-{name}"));
        }
    }

    /// Waits until an object is gone.
    pub fn until_gone(&self, resource: &str, namespace: &str, name: &str) {
        eventually(PATIENCE, &format!("{resource} {namespace}/{name} is gone"), || {
            match self.get(resource, namespace, name) {
                None => Ok(()),
                Some(object) => Err(object["status"].to_string()),
            }
        });
    }

    /// What is text in a Secret.
    pub fn secret(&self, namespace: &str, name: &str, key: &str) -> Option<String> {
        // Only a Value of this type decodes base64 here.
        let secret: k8s_openapi::api::core::v1::Secret =
            serde_json::from_value(self.get("v1/secrets", namespace, name)?).ok()?;
        String::from_utf8(secret.data?.remove(key)?.0).ok()
    }

    /// What the operator's service account asked for since a moment, of a cluster with an audit log.
    pub fn asked_since(&self, moment: Moment) -> AuditCounts {
        audit::count(&self.cluster().audit_log(), &AuditFilter::user(crate::OPERATOR).since(moment)).unwrap()
    }

    /// The operator's log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.operator().log_path()).unwrap_or_default()
    }

    /// Shows the end of the operator's log, for whoever looks into a failure.
    pub fn print_end_of_log(&self) {
        let Ok(operator) = self.installation.operator() else { return };
        let log = std::fs::read_to_string(operator.log_path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        println!("the operator's last words:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
    }
}

async fn client(cluster: &Cluster) -> anyhow::Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig_path())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    kube::Client::try_from(config).context("no client")
}

fn path(resource: &str, namespace: &str, name: &str, query: &str) -> String {
    let (version, plural) = resource.rsplit_once('/').expect("VERSION/PLURAL or GROUP/VERSION/PLURAL");
    let root = if version.contains('/') { "apis" } else { "api" };
    let namespace = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    let name = if name.is_empty() { String::new() } else { format!("/{name}") };
    format!("/{root}/{version}{namespace}/{plural}{name}{query}")
}
