//! How much an instance may take, by its size class.

use super::{object, owner_labels};
use crate::{
    inputs::Inputs,
    objects::{Kind, Object},
};
use serde_json::json;

const NAME: &str = "size-class";

pub(super) fn render(inputs: &Inputs<'_>) -> [Object; 2] {
    let labels = owner_labels(inputs.instance);
    let profile = inputs.application.spec.sizes.of(inputs.size);
    let (quota, component) = (&profile.quota, &profile.default_component);
    let quota = json!({"spec": {"hard": {
        "requests.cpu": quota.cpu,
        "requests.memory": quota.memory,
        "requests.storage": quota.storage,
        "pods": quota.pods.to_string(),
    }}});
    // A container that asks for nothing, such as one a person runs to look around, gets what a component gets.
    let limits = json!({"spec": {"limits": [{
        "type": "Container",
        "defaultRequest": {"cpu": component.cpu, "memory": component.memory},
        "default": {"memory": component.memory},
    }]}});
    [object(inputs, Kind::ResourceQuota, NAME, &labels, quota), object(inputs, Kind::LimitRange, NAME, &labels, limits)]
}
