//! What is to be done, and why? From values to values: nothing here reads a clock, a file or a network.
//!
//! ```text
//!            inputs        what the Instance refers to, or why it cannot run   inputs.rs, grouping.rs
//!              │
//!            render        the objects it is made of                           render/, variables.rs
//!              │
//!            revision      what its pods stay pinned to until a consent        revision.rs
//!              │
//!  Snapshot ─▶ plan ─▶ Plan { steps, why }                                     instance/planning.rs, pinning.rs,
//!                        │                                                     upgrading.rs, steps.rs, deletion.rs
//!                        │  (the shell carries it out)
//!                        ▼
//!            report        conditions, inventory, events                       instance/report.rs, standing.rs
//! ```
//!
//! Of what a `Snapshot` consists is said in `observation`, whatever world is observed.
//! What is on a database server is judged from what the server says: `database` (whose it is, and what is to be done).
//!
//! Rules that concern the whole fleet: `removals` (how much may go at once), `fleet` (counts), `concern` (whom a change concerns), `retry` (when to try again),
//! `calendar` (when changes may begin), `campaign` (whose turn it is), `simulate` (when all of it will be done).

mod autoscaling;
pub mod calendar;
pub mod campaign;
pub mod concern;
pub mod database;
pub mod fingerprint;
pub mod fleet;
pub mod grouping;
pub mod health;
pub mod inputs;
pub mod instance;
pub mod objects;
pub mod observation;
pub mod ownership;
pub mod path;
pub mod plan;
mod quota;
pub mod rehearsal;
pub mod removals;
pub mod render;
pub mod retry;
pub mod revision;
pub mod secrets;
pub mod simulate;
pub mod snapshot;
pub mod upgrade;
pub mod variables;

pub use objects::{Kind, Object, ObjectKey};
pub use plan::{Plan, Step, Verdict};
pub use snapshot::Snapshot;

/// A moment as statuses hold it: whole seconds.
fn whole_seconds(at: jiff::Timestamp) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Time {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::from_second(at.as_second()).unwrap_or(at))
}
