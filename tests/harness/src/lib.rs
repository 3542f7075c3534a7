//! What the tests, the demo and the benchmarks stand on: a real control plane and a real PostgreSQL, on any machine
//! with Go and nothing else.
//!
//! ```text
//!   tests/tools/*/go.mod ──► tools ──────────┐
//!   (pinned versions)        (built once,    ├─► cluster ──► kubeconfig, kubectl, audit log
//!                             cached)        │    etcd, API server, controller manager,
//!   CRDs in Go modules ────► optional_apis ──┤    scheduler; kwok plays the nodes
//!   tests/harness/stages ──► stages ─────────┘    and the optional controllers
//!
//!   tests/tools/postgres ──► postgres: one server, TLS only, an administrator who is no superuser
//!   tests/tools/prometheus ► prometheus: one server, and metrics for it to scrape that a test changes at will
//! ```
//!
//! Nothing here runs inside a pod and nothing is downloaded but through package registries. Everything built or
//! started is kept outside the checkout, in the folder [`cache::root`] names.

pub mod audit;
pub mod cache;
pub mod cluster;
mod control_plane;
pub mod existing;
pub mod fleet;
mod go_modules;
pub mod installation;
pub mod kstatus;
pub mod operator;
pub mod optional_apis;
pub mod ports;
pub mod postgres;
pub mod prerequisites;
mod processes;
pub mod progress;
pub mod prometheus;
pub mod replay;
pub mod stages;
pub mod tools;

pub use audit::{AuditCounts, AuditFilter, Moment};
pub use cluster::{Cluster, ClusterSpec, ClusterState};
pub use existing::ExistingCluster;
pub use installation::Installation;
pub use operator::{Build, OperatorOptions, OperatorProcess};
pub use optional_apis::OptionalApi;
pub use postgres::{PostgresServer, StartOptions};
pub use progress::{Progress, Silent, Terminal};
pub use prometheus::{Exposition, Prometheus};
pub use tools::{Tool, Tools};
