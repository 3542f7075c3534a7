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
pub use calendar::{Weekday, Window};
pub use campaign::{Campaign, CampaignSpec, CampaignStatus};
pub use change_freeze::{ChangeFreeze, ChangeFreezeSpec, ChangeFreezeStatus};
pub use deferral::{Deferral, DeferralSpec};
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

/// Every definition to install, in the order `kubectl apply` should see them.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let definitions = [
        Application::crd(),
        Release::crd(),
        Platform::crd(),
        Establishment::crd(),
        Instance::crd(),
        Campaign::crd(),
        ChangeFreeze::crd(),
        Deferral::crd(),
    ];
    definitions.into_iter().map(with_known_formats).collect()
}

/// The definition with the formats of numbers that the API server knows: Rust's unsigned ones it warns about.
fn with_known_formats(definition: CustomResourceDefinition) -> CustomResourceDefinition {
    fn rename(value: &mut Value) {
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
                fields.values_mut().for_each(rename);
            }
            Value::Array(items) => items.iter_mut().for_each(rename),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let renamed = serde_json::to_value(&definition).ok().and_then(|mut value| {
        rename(&mut value);
        serde_json::from_value(value).ok()
    });
    // A definition that were not the same after a round trip through JSON could not be sent either.
    renamed.unwrap_or(definition)
}
