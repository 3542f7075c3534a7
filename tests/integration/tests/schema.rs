//! What does the API server itself refuse?

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gotocloud_integration::{Fleet, fleet_tests};

fn an_instance_becomes_ready(fleet: &mut Fleet) {
    fleet.provision(&[gotocloud_integration::objects::instance("first", "app", "etab")]);
    fleet.clear(&["first"]);
}

fleet_tests!("it-schema", |spec| spec.nodes(1), [an_instance_becomes_ready]);
