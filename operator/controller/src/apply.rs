//! How is an object brought to an API server?

use crate::{
    children::{Children, InstanceRef, Seen},
    guard::Guard,
    metrics::Metrics,
    watching::resource,
};
use gotocloud_api::{Instance, conditions::Reason, names};
use gotocloud_planner::{
    Kind, Object, ObjectKey, fingerprint,
    instance::Failure,
    ownership::{self, Existing},
    retry::{ErrorClass, class_of_status},
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
};
use std::{sync::Arc, time::Duration};

/// How long a right just given usually takes to be known to the API server that gave it.
const RIGHTS_SPREAD: Duration = Duration::from_millis(30);
/// The longest that a right just given in a new namespace may take to be known.
const RIGHTS_SETTLE: Duration = Duration::from_secs(5);

/// What the operator asks of an API server on behalf of Instances.
#[derive(Clone)]
pub struct Cluster {
    /// The client.
    pub client: Client,
    /// What is known of the objects.
    pub children: Arc<Children>,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether this process may write. The client asks it before each request; who writes by other ways asks it too.
    pub guard: Guard,
}

/// What is remembered while one plan is carried out.
#[derive(Default)]
pub struct Pass {
    /// Was the namespace made in this pass? Then nothing of anybody's can be in it, and rights in it are new.
    pub is_fresh: bool,
}

impl Cluster {
    /// The API of the objects of a kind in a namespace.
    pub fn api(&self, key: &ObjectKey) -> Api<DynamicObject> {
        match &*key.namespace {
            "" => Api::all_with(self.client.clone(), &resource(key.kind)),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &resource(key.kind)),
        }
    }

    /// Applies an object for an Instance. One that is not `known` is looked at first: it may belong to somebody.
    pub async fn apply(
        &self,
        instance: &Instance,
        owner: &InstanceRef,
        object: &Object,
        known: bool,
        pass: &mut Pass,
    ) -> Result<(), Failure> {
        let mut manifest = object.manifest.clone();
        if !known {
            let existing = if pass.is_fresh { None } else { self.existing(&object.key).await? };
            pass.is_fresh |= existing.is_none() && object.key.kind == Kind::Namespace;
            ownership::may_apply(&object.key, existing.as_ref(), instance)?;
            // With its uid, one that goes meanwhile is not made anew.
            if let Some(existing) = existing {
                manifest["metadata"]["uid"] = existing.uid.into();
            }
        }
        self.send(owner, &object.key, manifest, &fingerprint::of(&object.manifest), pass).await?;
        if pass.is_fresh && object.key.kind == Kind::RoleBinding {
            tokio::time::sleep(RIGHTS_SPREAD).await;
        }
        Ok(())
    }

    /// Sends a manifest, marked with the fingerprint of what was desired, and notes the answer under it.
    pub async fn send(
        &self,
        owner: &InstanceRef,
        key: &ObjectKey,
        mut manifest: serde_json::Value,
        desired: &str,
        pass: &Pass,
    ) -> Result<(), Failure> {
        let api = self.api(key);
        manifest["metadata"]["annotations"][names::ANNOTATION_APPLIED] = desired.into();
        let mut parameters = PatchParams::apply(names::FIELD_MANAGER).force();
        parameters.field_validation = Some(kube::api::ValidationDirective::Strict);

        let begun = tokio::time::Instant::now();
        let mut wait = Duration::from_millis(10);

        loop {
            self.count("patch", key.kind);
            match api.patch(&key.name, &parameters, &Patch::Apply(&manifest)).await {
                Ok(answer) => {
                    self.children.applied(owner, &Seen::whole(key.kind, answer), desired);
                    return Ok(());
                }
                Err(kube::Error::Api(status))
                    if status.code == 403 && pass.is_fresh && begun.elapsed() < RIGHTS_SETTLE =>
                {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_millis(500));
                }
                Err(error) => return Err(failure(key, &error)),
            }
        }
    }

    /// Says how many pods a Deployment has, until an autoscaler does. Where it is not `known` that nobody else says a
    /// number, one that somebody says stands.
    pub async fn hand_over(&self, object: &Object, known: bool) -> Result<(), Failure> {
        let key = &object.key;
        let mut parameters = PatchParams::apply(names::REPLICAS_FIELD_MANAGER);
        parameters.force = known;
        self.count("patch", key.kind);
        match self.api(key).patch(&key.name, &parameters, &Patch::Apply(&object.manifest)).await {
            Ok(answer) => {
                let _ = self.children.observe(&Seen::whole(key.kind, answer));
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 409 && !known => Ok(()),
            Err(error) => Err(failure(key, &error)),
        }
    }

    /// What is known of an object that may be there.
    async fn existing(&self, key: &ObjectKey) -> Result<Option<Existing>, Failure> {
        match self.api(key).get_metadata(&key.name).await {
            Ok(object) => Ok(Some(Existing::of(&object.metadata))),
            // Of a kind that is not served, no object is known to be gone: the answer gives no such reason.
            Err(kube::Error::Api(status)) if status.code == 404 && status.reason == "NotFound" => Ok(None),
            Err(error) => Err(failure(key, &error)),
        }
    }

    /// Removes an object; that it is not there is as good. With what holds data its uid goes, so that a removal that comes late
    /// takes nothing that was made anew under the name.
    pub async fn remove(&self, owner: &InstanceRef, key: &ObjectKey) -> Result<(), Failure> {
        self.count("delete", key.kind);
        let mut parameters = DeleteParams::background();
        parameters.preconditions =
            self.children.uid(owner, key).map(|uid| Preconditions { uid: Some(uid), resource_version: None });
        match self.api(key).delete(&key.name, &parameters).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {
                self.children.remove(owner, key.kind, &key.name);
            }
            Err(error) => return Err(failure(key, &error)),
        }
        // No watch will tell that it is gone.
        if !key.kind.is_watched() {
            self.children.remove(owner, key.kind, &key.name);
        }
        Ok(())
    }

    /// Counts a request that writes.
    pub fn count(&self, verb: &str, kind: Kind) {
        self.metrics.writes.with_label_values(&[verb, kind.name()]).inc();
    }
}

/// How an error of the API server about the object at `key` is to be met and told.
pub fn failure(key: &ObjectKey, error: &kube::Error) -> Failure {
    let kube::Error::Api(status) = error else {
        return Failure {
            class: ErrorClass::Unavailable,
            reason: Reason::ApiUnavailable,
            message: format!("{key}: the API server did not answer ({}); it is tried again", explained(error)),
        };
    };

    let class = class_of_status(status.code, cause(status));
    let message = &status.message;
    let (reason, message) = match (status.code, class) {
        (403, ErrorClass::Refused) if message.contains("exceeded quota") => {
            (Reason::QuotaTooSmall, format!("{key}: {message}"))
        }
        (403, ErrorClass::Refused) => (
            Reason::Forbidden,
            format!(
                "{key}: {message}; check the operator's rights (they come with the chart) and the cluster's admission policies"
            ),
        ),
        (404, _) => (
            Reason::ApiMissing,
            format!("{key}: the API server knows no {} of {}: {message}", key.kind, key.kind.api_version()),
        ),
        (413, _) => (Reason::ObjectTooLarge, format!("{key} is too large to store: shorten its environment values")),
        (_, ErrorClass::Refused)
            if message.contains("request is too large") || message.contains("Request entity too large") =>
        {
            (Reason::ObjectTooLarge, format!("{key} is too large to store: shorten its environment values"))
        }
        (_, ErrorClass::Refused) => (Reason::ObjectRefused, format!("the API server refuses {key}: {message}")),
        (_, ErrorClass::Momentary | ErrorClass::Unavailable) => {
            (Reason::ApiUnavailable, format!("{key}: {message}; it is tried again"))
        }
    };

    Failure { class, reason, message }
}

/// An error and what caused it, down to the first cause.
pub fn explained(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

/// The cause that an answer names beside its reason, such as that the namespace is on its way out.
fn cause(status: &kube::core::Status) -> &str {
    let causes = status.details.as_ref().map(|details| &details.causes[..]).unwrap_or_default();
    causes
        .iter()
        .map(|cause| cause.reason.as_str())
        .find(|reason| *reason == "NamespaceTerminating")
        .unwrap_or(&status.reason)
}
