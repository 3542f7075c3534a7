//! How is a plan carried out? Step by step, without a decision.

use crate::{
    apply::{Cluster, Pass, explained, failure},
    children::{self, InstanceRef, Seen},
    database::{Administrator, Carried, Operation, Servers},
};
use gotocloud_api::{Instance, conditions::Reason, names};
use gotocloud_planner::{
    Kind, ObjectKey, Step,
    database::{self, Assured, Facts},
    instance::Failure,
    ownership::{self, Existing},
    plan::{DatabaseRequest, InstanceMetadata},
    retry::ErrorClass,
    secrets::SecretRequest,
    upgrade,
};
use k8s_openapi::{
    ByteString,
    api::core::v1::{Pod, Secret},
};
use kube::{
    Api,
    api::{DynamicObject, ListParams, LogParams, Patch, PatchParams},
};
use rand::{Rng as _, distr::Alphanumeric};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

/// What carries plans out.
pub struct Executor {
    /// The API server.
    pub cluster: Cluster,
    /// The database servers.
    pub servers: Servers,
    /// Namespace of the operator, with the Secrets of the database servers' administrators.
    pub namespace: String,
}

/// What a step did that the next ones, and the report, need to know.
#[derive(Default)]
pub struct Done {
    /// The database that was made sure of.
    pub database_assured: Option<(DatabaseRequest, Assured)>,
    /// What was left on a database server, since it is not proven to be the Instance's own.
    pub left: Vec<String>,
    /// Was the Instance let go?
    pub released: bool,
}

/// What came of writing a status.
pub enum Written {
    /// The Instance as it is now.
    Stored(Box<Instance>),
    /// It is gone.
    Gone,
    /// It changed since it was seen: it has to be looked at anew.
    Outdated,
}

impl Executor {
    /// Carries out the steps for an Instance, up to the first that fails.
    pub async fn carry_out(
        &self,
        instance: &Arc<Instance>,
        owner: &InstanceRef,
        steps: &[&Step],
    ) -> (Done, Option<Failure>) {
        let (mut done, mut pass) = (Done::default(), Pass::default());
        for step in steps {
            let result = match step {
                Step::Apply { object, known } => self.cluster.apply(instance, owner, object, *known, &mut pass).await,
                Step::HandOver { object, known } => self.cluster.hand_over(object, *known).await,
                Step::EnsureSecret(request) => self.ensure_secret(instance, owner, request, &pass).await,
                Step::EnsureDatabase(request) => self.ensure_database(request).await.map(|carried| {
                    if let Carried::Assured(assured) = carried {
                        done.database_assured = Some((request.clone(), assured));
                    }
                }),
                Step::SealDatabase(request) => {
                    self.on_server(request, Operation::Seal).await.map(|carried| done.left.extend(left(carried)))
                }
                Step::DropDatabase(request) => {
                    self.on_server(request, Operation::Clear).await.map(|carried| done.left.extend(left(carried)))
                }
                Step::Remove(key) | Step::RemoveReplaced(key) => self.cluster.remove(owner, key).await,
                Step::Release => self.release(instance).await.map(|()| done.released = true),
            };
            if let Err(failure) = result {
                return (done, Some(failure));
            }
        }
        (done, None)
    }

    /// Gives the Instance its labels and its finalizer; gives back the Instance as it is then.
    pub async fn label(&self, instance: &Instance, wanted: &InstanceMetadata) -> Result<Instance, Failure> {
        let finalizers: &[&str] = if wanted.finalizer { &[names::FINALIZER] } else { &[] };
        // With its uid, an Instance that is gone meanwhile is not made anew.
        let manifest = json!({
            "apiVersion": format!("{}/{}", gotocloud_api::GROUP, gotocloud_api::VERSION),
            "kind": "Instance",
            "metadata": {
                "name": instance.metadata.name, "namespace": instance.metadata.namespace, "uid": instance.metadata.uid,
                "labels": wanted.labels, "finalizers": finalizers,
            },
        });
        let api = self.instances(instance);
        let parameters = PatchParams::apply(names::FIELD_MANAGER).force();
        self.cluster.metrics.writes.with_label_values(&["patch", "Instance"]).inc();
        let name = instance.metadata.name.as_deref().unwrap_or_default();
        api.patch(name, &parameters, &Patch::Apply(&manifest)).await.map_err(|error| of_instance(&error))
    }

    /// Writes the Instance's status over the Instance it was computed from.
    pub async fn write_status(
        &self,
        instance: &Instance,
        status: &gotocloud_api::InstanceStatus,
    ) -> Result<Written, Failure> {
        let metadata = &instance.metadata;
        let manifest = json!({
            "apiVersion": format!("{}/{}", gotocloud_api::GROUP, gotocloud_api::VERSION),
            "kind": "Instance",
            "metadata": {
                "name": metadata.name, "namespace": metadata.namespace, "resourceVersion": metadata.resource_version,
            },
            "status": status,
        });

        let parameters = PatchParams::apply(names::FIELD_MANAGER).force();
        self.cluster.metrics.writes.with_label_values(&["patch", "Instance/status"]).inc();
        let name = metadata.name.as_deref().unwrap_or_default();
        match self.instances(instance).patch_status(name, &parameters, &Patch::Apply(&manifest)).await {
            Ok(written) => Ok(Written::Stored(Box::new(written))),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Written::Gone),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Written::Outdated),
            Err(error) => Err(of_instance(&error)),
        }
    }

    /// Reads the data of a `ControllerRevision`; none where there is none.
    pub async fn read_revision(&self, key: &ObjectKey) -> Result<Option<serde_json::Value>, Failure> {
        let found = self.cluster.api(key).get_opt(&key.name).await.map_err(|error| failure(key, &error))?;
        Ok(found.map(|mut object: DynamicObject| object.data["data"].take()))
    }

    /// The last lines that the pods of a job wrote; a sentence where there are none to be read.
    pub async fn log_tail(&self, namespace: &str, job: &str) -> String {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client.clone(), namespace);
        let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        let log = async {
            let last = pods.list(&of_job).await?.items.pop().and_then(|pod| pod.metadata.name);
            let Some(last) = last else { return Ok("its pod is gone, and its log with it".to_owned()) };
            let parameters = LogParams { tail_lines: Some(20), limit_bytes: Some(4096), ..LogParams::default() };
            pods.logs(&last, &parameters).await
        };
        log.await.unwrap_or_else(|error: kube::Error| format!("its log cannot be read: {}", explained(&error)))
    }

    /// Names of the pods in a namespace that can write to an instance's data.
    pub async fn writers(&self, namespace: &str) -> Result<Vec<String>, Failure> {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client.clone(), namespace);
        let key = ObjectKey::new(Kind::Namespace, "", namespace);

        let pods = pods.list(&ListParams::default()).await.map_err(|error| failure(&key, &error))?;
        Ok(upgrade::writers(&pods.items))
    }

    fn instances(&self, instance: &Instance) -> Api<Instance> {
        Api::namespaced(self.cluster.client.clone(), instance.metadata.namespace.as_deref().unwrap_or_default())
    }

    async fn release(&self, instance: &Instance) -> Result<(), Failure> {
        let labels = instance.metadata.labels.clone().unwrap_or_default();
        let ours = |key: &String| {
            [names::LABEL_APPLICATION, names::LABEL_ESTABLISHMENT, names::LABEL_GROUPING].contains(&key.as_str())
                || key.starts_with(names::LABEL_MEMBER_PREFIX)
        };
        let labels = labels.into_iter().filter(|(key, _)| ours(key)).collect();
        match self.label(instance, &InstanceMetadata { labels, finalizer: false }).await {
            Err(failure) if failure.reason == Reason::ApiMissing => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn ensure_secret(
        &self,
        instance: &Instance,
        owner: &InstanceRef,
        request: &SecretRequest,
        pass: &Pass,
    ) -> Result<(), Failure> {
        let key = request.key();
        let existing = if pass.is_fresh { None } else { self.secret(key).await? };
        let known = existing.as_ref().map(|secret| Existing::of(&secret.metadata));
        ownership::may_apply(key, known.as_ref(), instance)?;
        let today = existing.as_ref().map(text).unwrap_or_default();
        let content = request
            .content(&today, |length| rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect());
        if content == today
            && let Some(secret) = existing
            && children::owner(&secret.metadata).as_ref() == Some(owner)
        {
            let seen = Seen { kind: Kind::Secret, metadata: secret.metadata, whole: None };
            self.cluster.children.applied(owner, &seen, &request.fingerprint());
            return Ok(());
        }
        let data: BTreeMap<_, _> =
            content.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))).collect();
        let mut manifest = request.object.manifest.clone();
        manifest["data"] = json!(data);
        self.cluster.send(owner, key, manifest, &request.fingerprint(), pass).await
    }

    /// What the server says of the databases of those requests, which are on one server.
    pub async fn look(&self, requests: &[&DatabaseRequest]) -> Result<BTreeMap<String, Facts>, Failure> {
        let Some(first) = requests.first() else { return Ok(BTreeMap::new()) };
        let names: Vec<String> = requests.iter().map(|request| request.name.clone()).collect();
        match self.on_server(first, Operation::Look { names: &names }).await? {
            Carried::Seen(facts) => Ok(facts),
            Carried::Assured(_) | Carried::Left(_) => Ok(BTreeMap::new()),
        }
    }

    /// Does the password in the instance's Secret open its database? `None` if that cannot be told.
    pub async fn password_fits(&self, request: &DatabaseRequest) -> Option<bool> {
        match self.password(request).await.ok()? {
            Some(password) => self.servers.may_log_in(request, &password).await,
            None => Some(false),
        }
    }

    /// Why new pods do not start with the credentials in that Secret; `None` if they do.
    pub async fn lost_credentials(&self, key: &ObjectKey) -> Result<Option<String>, Failure> {
        let content = self.secret(key).await?.map(|secret| text(&secret)).unwrap_or_default();
        Ok(database::lost_credentials(key, &content))
    }

    /// The password in the instance's Secret; `None` if there is none.
    async fn password(&self, request: &DatabaseRequest) -> Result<Option<String>, Failure> {
        let (namespace, name) = &request.secret;
        let secret = self.secret(&ObjectKey::new(Kind::Secret, namespace, name)).await?;
        let mut secret = secret.map(|secret| text(&secret)).unwrap_or_default();
        Ok(secret.remove("password").filter(|password| !password.is_empty()))
    }

    async fn ensure_database(&self, request: &DatabaseRequest) -> Result<Carried, Failure> {
        match self.password(request).await? {
            Some(password) => self.on_server(request, Operation::Ensure { password: &password }).await,
            None => Err(database::no_password(request)),
        }
    }

    async fn on_server(&self, request: &DatabaseRequest, operation: Operation<'_>) -> Result<Carried, Failure> {
        let administrator = self.administrator(request).await?;
        self.cluster.guard.may_write().map_err(|error| Failure {
            class: ErrorClass::Unavailable,
            reason: Reason::ApiUnavailable,
            message: error.to_string(),
        })?;

        let name = operation.name();
        let result = self.servers.carry_out(request, &administrator, operation).await;
        let outcome = if result.is_ok() { "ok" } else { "failed" };
        self.cluster.metrics.database_operations.with_label_values(&[name, outcome]).inc();
        result
    }

    async fn administrator(&self, request: &DatabaseRequest) -> Result<Administrator, Failure> {
        let key = ObjectKey::new(Kind::Secret, &self.namespace, &request.admin_secret_name);
        let invalid = |what: &str| Failure {
            class: ErrorClass::Refused,
            reason: Reason::DatabaseSecretInvalid,
            message: format!(
                "the {key}, which the Platform names for its database server, {what}: it needs the keys username and \
                 password of a role with CREATEDB and CREATEROLE"
            ),
        };
        let secret = self.secret(&key).await?.ok_or_else(|| invalid("is not there"))?;
        let secret = text(&secret);
        database::may_be_given(request, &secret)?;

        let field = |field: &str| secret.get(field).filter(|value| !value.is_empty()).cloned();
        Ok(Administrator {
            username: field("username").ok_or_else(|| invalid("has no username"))?,
            password: field("password").ok_or_else(|| invalid("has no password"))?,
        })
    }

    async fn secret(&self, key: &ObjectKey) -> Result<Option<Secret>, Failure> {
        let api: Api<Secret> = Api::namespaced(self.cluster.client.clone(), &key.namespace);
        api.get_opt(&key.name).await.map_err(|error| failure(key, &error))
    }
}

fn left(carried: Carried) -> Option<String> {
    match carried {
        Carried::Left(left) => left,
        Carried::Assured(_) | Carried::Seen(_) => None,
    }
}

/// A Secret's content that is text.
fn text(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.filter_map(|(key, value)| Some((key.clone(), String::from_utf8(value.0.clone()).ok()?))).collect()
}

fn of_instance(error: &kube::Error) -> Failure {
    let class = match error {
        kube::Error::Api(status) => gotocloud_planner::retry::class_of_status(status.code, &status.reason),
        _ => ErrorClass::Unavailable,
    };
    let reason = match error {
        kube::Error::Api(status) if status.code == 404 || status.code == 409 => Reason::ApiMissing,
        kube::Error::Api(status) if status.code == 403 => Reason::Forbidden,
        _ => Reason::ApiUnavailable,
    };
    Failure { class, reason, message: format!("the Instance cannot be written: {}", explained(error)) }
}
