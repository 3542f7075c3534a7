//! What an instance's components are told: plain values in a `ConfigMap`, the rest from Secrets.

use super::{component_labels, object, owner_labels};
use crate::{
    inputs::Inputs,
    objects::{Kind, Object, ObjectKey},
    plan::Refusal,
    secrets::SecretRequest,
    variables::Scope,
};
use gotocloud_api::release::{Component, EnvVar};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Name of the Secret with what was generated for an instance.
pub(super) const GENERATED: &str = "generated";

/// What one component is told.
pub(super) struct ComponentConfig {
    /// The `ConfigMap` with its plain values; none where there are none.
    pub object: Option<Object>,
    /// Its other variables, as a container's `env`.
    pub env: Vec<Value>,
}

pub(super) fn render(inputs: &Inputs<'_>, scope: &Scope) -> Result<Vec<ComponentConfig>, Refusal> {
    inputs.release.spec.components.iter().map(|component| component_config(inputs, component, scope)).collect()
}

fn component_config(inputs: &Inputs<'_>, component: &Component, scope: &Scope) -> Result<ComponentConfig, Refusal> {
    let mut variables: BTreeMap<&str, &EnvVar> = component.env.iter().map(|one| (one.name.as_str(), one)).collect();
    variables.extend(inputs.instance.spec.env.iter().map(|one| (one.name.as_str(), one)));
    let (mut data, mut env) = (BTreeMap::new(), Vec::new());
    for (name, variable) in variables {
        if let Some(field) = variable.from_database {
            env.push(from_secret(name, super::database::secret_of(inputs, field), field.secret_key()));
        } else if let Some(secret) = &variable.from_secret {
            env.push(from_secret(name, GENERATED, secret));
        } else {
            let text = variable.value.as_deref().unwrap_or_default();
            data.insert(name.to_owned(), scope.expand(text, &format!("{}.{name}", component.name))?);
        }
    }
    let object = (!data.is_empty()).then(|| {
        let labels = component_labels(inputs, &component.name);
        object(inputs, Kind::ConfigMap, &format!("{}-env", component.name), &labels, json!({"data": data}))
    });
    Ok(ComponentConfig { object, env })
}

fn from_secret(name: &str, secret: &str, key: &str) -> Value {
    json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
}

pub(super) fn generated(inputs: &Inputs<'_>) -> Option<SecretRequest> {
    let secrets = &inputs.release.spec.generated_secrets;
    let generated = secrets.iter().map(|one| (one.name.clone(), usize::try_from(one.length).unwrap_or(128))).collect();
    (!secrets.is_empty()).then(|| SecretRequest {
        object: Object {
            key: ObjectKey::new(Kind::Secret, &inputs.namespace, GENERATED),
            manifest: object(
                inputs,
                Kind::Secret,
                GENERATED,
                &owner_labels(inputs.instance),
                json!({"type": "Opaque"}),
            )
            .manifest,
        },
        generated,
        templates: BTreeMap::new(),
    })
}
