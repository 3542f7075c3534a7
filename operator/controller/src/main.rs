//! The operator: watches what people ask for and what there is, has the planner decide, carries it out and tells.
//!
//! ```text
//!  API server ──▶ catalogue, watching ──▶ queue ──▶ observe ─▶ plan ─▶ execute ─▶ report ──▶ API server
//!                  (kept, compact)        (kube's applier)    (planner)            (planner)
//! ```
//!
//! Nothing here decides about an Instance; see `gotocloud-planner` for that.

mod apply;
mod campaigns;
mod catalogue;
mod children;
mod clock;
mod config;
mod database;
mod decided;
mod discovery;
mod execute;
mod fleet;
mod gates;
mod guard;
mod health;
mod lease;
mod looking;
mod metrics;
mod observe;
mod operator;
mod reconcile;
mod telemetry;
mod watching;

use clap::Parser as _;
use config::Config;
use std::process::ExitCode;

/// Memory counts per instance, and glibc's allocator keeps what thousands of small answers leave behind.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let config = Config::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return stopped("the runtime cannot start", &error),
    };
    runtime.block_on(async {
        let _telemetry = match telemetry::init(config.log_format) {
            Ok(telemetry) => telemetry,
            Err(error) => {
                return stopped(
                    "logs or traces cannot be set up; check RUST_LOG and OTEL_EXPORTER_OTLP_ENDPOINT",
                    &*error,
                );
            }
        };
        match operator::run(config).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => stopped("the operator stops", &*error),
        }
    })
}

fn stopped(what: &str, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("gotocloud-operator: {what}: {error}");
    ExitCode::FAILURE
}
