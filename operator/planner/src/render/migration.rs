//! What an instance is made of only while its data moves to another release: a backup, a job, and the flows of that job.

use super::{Surroundings, component_labels, network, object, owner_labels, scope};
use crate::{
    inputs::Inputs,
    objects::{Kind, Object},
    plan::Refusal,
};
use gotocloud_api::{
    Release,
    conditions::Reason,
    release::{DatabaseField, Migration},
};
use serde_json::{Value, json};

/// What the migration is called among an instance's components, and its `NetworkPolicy`.
pub const NAME: &str = "migration";

/// The `CloudNativePG` Backup called `name` of the instance's Cluster.
pub fn backup(inputs: &Inputs<'_>, name: &str) -> Object {
    let fields = json!({"spec": {"cluster": {"name": super::DATABASE_CLUSTER}}});
    object(inputs, Kind::Backup, name, &owner_labels(inputs.instance), fields)
}

/// The flows that the job needs.
pub fn flows(inputs: &Inputs<'_>) -> Object {
    network::migration(inputs)
}

/// The job called `name` that moves the data to `target`, with the flows it needs.
///
/// # Errors
/// A variable of the migration that stands for nothing.
pub fn job(
    inputs: &Inputs<'_>,
    surroundings: &Surroundings<'_>,
    target: &Release,
    migration: &Migration,
    name: &str,
) -> Result<[Object; 2], Refusal> {
    let secret = |field| super::database::secret_of(inputs, field).to_owned();
    Ok([flows(inputs), job_on(inputs, surroundings, target, migration, name, NAME, &secret)?])
}

/// The job called `name`, of a component called so, that moves the data to which those Secrets lead.
pub(super) fn job_on(
    inputs: &Inputs<'_>,
    surroundings: &Surroundings<'_>,
    target: &Release,
    migration: &Migration,
    name: &str,
    component: &str,
    secret_of: &dyn Fn(DatabaseField) -> String,
) -> Result<Object, Refusal> {
    let scope = scope(inputs, surroundings.neighbours);
    let env = migration.env.iter().map(|variable| {
        let source = |secret: &str, key: &str| {
            json!({"name": variable.name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
        };
        if let Some(field) = variable.from_database.filter(|_| inputs.has_database()) {
            return Ok(source(&secret_of(field), field.secret_key()));
        }
        if let Some(secret) = &variable.from_secret {
            return if inputs.release.spec.generated_secrets.iter().any(|known| known.name == *secret) {
                Ok(source(super::config::GENERATED, secret))
            } else {
                Err(refusal(target, &format!("{} comes from {secret}, which the version before does not have", variable.name)))
            };
        }
        let text = variable.value.as_deref().unwrap_or_default();
        Ok(json!({"name": variable.name, "value": scope.expand(text, &format!("{NAME}.{}", variable.name))?}))
    });

    let env: Vec<Value> = env.collect::<Result<_, _>>()?;
    let deadline = match migration.deadline.as_ref().map(gotocloud_api::Duration::seconds) {
        None => crate::path::MIGRATION_DEADLINE_SECONDS,
        Some(Ok(seconds)) => seconds.max(1),
        Some(Err(error)) => return Err(refusal(target, &format!("its deadline: {error}"))),
    };

    let size = &inputs.application.spec.sizes.of(inputs.size).default_component;
    let labels = component_labels(inputs, component);
    let mut container = json!({
        "name": NAME,
        "image": migration.image,
        "env": env,
        "resources": {"requests": {"cpu": size.cpu, "memory": size.memory}, "limits": {"memory": size.memory}},
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]}},
        // Its last words are kept for whoever looks into a failure.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });

    if !migration.command.is_empty() {
        container["command"] = json!(migration.command);
    }
    let spec = json!({"spec": {
        // Whether it may be run twice is not known: it is not, unless a person asks for it.
        "backoffLimit": 0,
        "activeDeadlineSeconds": deadline,
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "restartPolicy": "Never",
                "serviceAccountName": super::access::SERVICE_ACCOUNT,
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [container],
            },
        },
    }});

    Ok(object(inputs, Kind::Job, name, &labels, spec))
}

fn refusal(target: &Release, what: &str) -> Refusal {
    let name = target.metadata.name.as_deref().unwrap_or_default();
    Refusal::new(
        Reason::ObjectRefused,
        format!("the migration of the Release {name}: {what}; publish a corrected Release"),
    )
}
