//! What the tests stand on: small objects to start from, and a world in which plans are carried out.

// Each test file uses a part of it.
#![allow(dead_code, unused_imports, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

mod cluster;
pub mod fixtures;
mod view;
mod world;

pub use cluster::{Cluster, Stored, is_retained, labels};
pub use world::{Round, World, in_words};

use serde_json::Value;

/// The manifest as the API's own type reads and writes it again.
pub fn typed<T: serde::de::DeserializeOwned + serde::Serialize>(manifest: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(manifest.clone()).unwrap()).unwrap()
}
