//! The example fleet of 2022, with its Instances in [`HUB`] and its Platform on the installation's own database server.

use crate::{Fleet, HUB};
use serde_json::{Value, json};

impl Fleet {
    /// Applies the example catalogue, Platform and establishments; gives the Instances, which are yet to be applied.
    pub fn apply_catalogue_of_2022(&self) -> Vec<Value> {
        let objects = gotocloud_harness::fleet::of_2022(&self.installation).expect("the examples cannot be read");
        let (mut instances, others): (Vec<_>, Vec<_>) = objects.into_iter().partition(|one| one["kind"] == "Instance");
        for object in &others {
            self.apply(object).unwrap();
        }
        for instance in &mut instances {
            instance["metadata"]["namespace"] = json!(HUB);
        }
        instances
    }
}

/// Names of Instances.
#[must_use]
pub fn names(instances: &[Value]) -> Vec<&str> {
    instances.iter().filter_map(|instance| instance["metadata"]["name"].as_str()).collect()
}
