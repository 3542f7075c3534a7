//! The custom resources of Go-to-Cloud, group `gotocloud.amue.fr`, version `v1alpha1`: what a person writes, what the
//! operator answers, and the small values both are made of. Nothing here does I/O.
//!
//! ```text
//!  Application ◀── Release            what is offered, and in which versions
//!       ▲             ▲
//!       └── Instance ─┘──▶ Platform   what runs where
//!              │
//!              ▼
//!        Establishment                for whom
//!
//!  Campaign ─▶ Instances, wave by wave         what changes, in which order
//!  ChangeFreeze, Deferral                      when it does not
//! ```
//!
//! A rule that one object alone can break stands in its schema (CEL); a rule that spans objects stands in the planner.

// Clippy takes two printer columns of the same type for one written twice.
#![allow(clippy::duplicated_attributes)]

pub mod application;
pub mod approval;
pub mod calendar;
pub mod campaign;
pub mod change_freeze;
pub mod conditions;
pub mod deferral;
pub mod duration;
pub mod establishment;
pub mod instance;
pub mod names;
pub mod platform;
pub mod quantity;
pub mod rehearsal;
pub mod release;
pub mod size;
pub mod stage;
pub mod uai;
pub mod upgrade;
pub mod version;

pub use application::{Application, ApplicationSpec, ApplicationStatus};
pub use approval::{Approval, ApprovalSpec, ApprovalStatus};
pub use calendar::{Weekday, Window};
pub use campaign::{Campaign, CampaignSpec, CampaignStatus};
pub use change_freeze::{ChangeFreeze, ChangeFreezeSpec, ChangeFreezeStatus};
pub use deferral::{Deferral, DeferralSpec, DeferralStatus};
pub use duration::Duration;
pub use establishment::{Establishment, EstablishmentSpec, EstablishmentStatus};
pub use instance::{Instance, InstanceSpec, InstanceStatus};
pub use platform::{Platform, PlatformSpec, PlatformStatus};
pub use quantity::Quantity;
pub use release::{Release, ReleaseSpec, ReleaseStatus};
pub use size::SizeClass;
pub use stage::Stage;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

/// What label selectors mean, as kube reads them.
pub mod selector {
    pub use kube::core::{Selector, SelectorExt};
}

/// The API group of every kind of this crate.
pub const GROUP: &str = "gotocloud.amue.fr";
/// The one version served.
pub const VERSION: &str = "v1alpha1";
/// The `observedGeneration` of an object that nobody has looked at yet: its status has it from birth.
pub const NEVER_SEEN: i64 = -1;

/// Every definition to install, in the order `kubectl apply` should see them.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let definitions = [
        Application::crd(),
        Release::crd(),
        Platform::crd(),
        Establishment::crd(),
        Instance::crd(),
        Campaign::crd(),
        Approval::crd(),
        ChangeFreeze::crd(),
        Deferral::crd(),
    ];
    definitions.into_iter().map(as_served).collect()
}

/// The definition as an API server is to have it: with the formats of numbers that it knows (Rust's unsigned ones it warns
/// about), without defaults in the items of lists, and with a status from the first moment that says that nobody looked yet.
///
/// Who applies client-side, as `kubectl apply` and Argo CD do, replaces a list as a whole: what the server added to an item is
/// a difference for ever. The types apply those defaults when they read an object; the descriptions say them.
fn as_served(definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let served = serde_json::to_value(&definition).ok().and_then(|mut value| {
        rename_formats(&mut value);
        leave_out_defaults_of_items(&mut value, false);
        begin_unobserved(&mut value);
        serde_json::from_value(value).ok()
    });
    // A definition that were not the same after a round trip through JSON could not be sent either.
    served.unwrap_or(definition)
}

fn rename_formats(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let format = match fields.get("format").and_then(Value::as_str) {
                Some("uint8" | "uint16") => Some("int32"),
                Some("uint32") => Some("int64"),
                _ => None,
            };
            if let Some(format) = format {
                fields.insert("format".to_owned(), format.into());
            }
            fields.values_mut().for_each(rename_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(rename_formats),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Gives each object that gets a status one from its first moment, of a generation that never is: what kstatus, and so Flux,
/// Helm and Argo CD, would else take for done before the operator has looked at it.
fn begin_unobserved(value: &mut Value) {
    let versions = value.pointer_mut("/spec/versions").and_then(Value::as_array_mut);
    for version in versions.into_iter().flatten() {
        let status = version.pointer_mut("/schema/openAPIV3Schema/properties/status");
        if let Some(status) = status.filter(|status| status.pointer("/properties/observedGeneration").is_some()) {
            status["default"] = serde_json::json!({"observedGeneration": NEVER_SEEN});
        }
    }
}

/// Leaves defaults out wherever a schema describes an item of a list, at any depth.
fn leave_out_defaults_of_items(value: &mut Value, is_in_item: bool) {
    match value {
        Value::Object(fields) => {
            // A schema has a type; what has none here is a map of names, in which `default` is a name like others.
            if is_in_item && (fields.contains_key("type") || fields.contains_key("x-kubernetes-int-or-string")) {
                fields.remove("default");
            }
            for (name, inner) in fields.iter_mut() {
                leave_out_defaults_of_items(inner, is_in_item || name == "items");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| leave_out_defaults_of_items(item, is_in_item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(value: &Value, path: &str, is_in_item: bool, found: &mut Vec<String>) {
        if let Value::Object(fields) = value {
            if is_in_item && fields.contains_key("default") && fields.contains_key("description") {
                found.push(path.to_owned());
            }
            for (name, inner) in fields {
                items(inner, &format!("{path}.{name}"), is_in_item || name == "items", found);
            }
        }
    }

    #[test]
    fn no_item_of_a_list_has_a_default_that_would_be_a_difference_for_ever() {
        for definition in definitions() {
            for version in &definition.spec.versions {
                let mut found = Vec::new();
                items(&serde_json::to_value(&version.schema).unwrap(), "", false, &mut found);
                assert_eq!(found, Vec::<String>::new(), "{:?}", definition.metadata.name);
            }
        }
    }

    #[test]
    fn what_is_left_out_of_an_item_is_read_with_its_default() {
        let wave: campaign::Wave = serde_json::from_str(r#"{"name": "w", "targets": {"cohort": "P1"}}"#).unwrap();
        assert_eq!(serde_json::to_value(&wave.max_concurrent).unwrap(), 1);
        assert_eq!(serde_json::to_value(&wave.max_failures).unwrap(), 0);
        assert_eq!(wave.approval, campaign::Approval::Automatic);
        let expose: release::Expose = serde_json::from_str(r#"{"port": "http"}"#).unwrap();
        assert_eq!(expose.path, "/");
        let health: release::HealthCheck = serde_json::from_str(r#"{"port": "http", "path": "/"}"#).unwrap();
        assert_eq!(health.startup_seconds, 120);
    }
}
