//! What the tests against a real API server stand on: an installation, objects to start from, and how to wait.
//!
//! ```text
//!   fleet_tests!("name", spec, [a_test, another])   one main a file: up, each test, down
//!        └─► Fleet ─► Installation (harness): control plane, chart, PostgreSQL, the operator under the chart's rights
//!              │
//!              ├─ objects::*    Application, Release, Platform, Establishment, Instance to start from, as JSON
//!              ├─ get, list, apply, patch, delete    as the cluster's administrator, without kubectl's start-up time
//!              └─ eventually, ready, stalled         waiting, with what was seen last in the failure
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)] // A test fails by panicking.

mod fleet;
pub mod fleet_2022;
pub mod objects;
mod runner;
mod sql;

pub use fleet::{Condition, Fleet, PATIENCE, Refused, condition, eventually, resource};
pub use runner::{Test, run};

/// Namespace of the Instances.
pub const HUB: &str = "hub";
/// The user the operator acts as.
pub const OPERATOR: &str = "system:serviceaccount:gotocloud-system:gotocloud-operator";

/// The Instances, as [`Fleet::get`] names them.
pub const INSTANCES: &str = "gotocloud.amue.fr/v1alpha1/instances";
/// The Applications.
pub const APPLICATIONS: &str = "gotocloud.amue.fr/v1alpha1/applications";
/// The Releases.
pub const RELEASES: &str = "gotocloud.amue.fr/v1alpha1/releases";
/// The Platforms.
pub const PLATFORMS: &str = "gotocloud.amue.fr/v1alpha1/platforms";
/// The Establishments.
pub const ESTABLISHMENTS: &str = "gotocloud.amue.fr/v1alpha1/establishments";
/// The namespaces.
pub const NAMESPACES: &str = "v1/namespaces";

/// The main of a file of tests: `fleet_tests!("cluster-name", spec, [test, …])`. Each test is a `fn(&mut Fleet)` that
/// is called as what it shows; `spec` is an `impl FnOnce(ClusterSpec) -> ClusterSpec`.
#[macro_export]
macro_rules! fleet_tests {
    ($name:expr, $spec:expr, [$($test:ident),+ $(,)?]) => {
        fn main() -> std::process::ExitCode {
            $crate::run($name, $spec, &[$((stringify!($test), $test as fn(&mut $crate::Fleet))),+])
        }
    };
}
