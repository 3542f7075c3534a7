//! Developer commands: `cargo xtask --help`.

mod bench;
mod cluster;
mod crds;
mod demo;
mod image;
mod replay;
mod simulate;
mod test;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of Go-to-Cloud")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start, stop and find the local control planes.
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Write the custom resource definitions to crds/ and to the chart.
    Crds {
        /// Change nothing; fail if a file is not up to date.
        #[arg(long)]
        check: bool,
    },
    /// Build the operator's container image, without a container engine.
    Image(image::ImageArgs),
    /// Bring up a control plane, the operator and the fleet of 2022.
    Demo(demo::DemoArgs),
    /// Play a plan of campaigns through past or future years, and count the instances by stage each year.
    Replay(replay::ReplayArgs),
    /// Play years of a fleet in a model of the world, by a seed, and look whether its laws hold.
    Simulate(simulate::SimulateArgs),
    /// Measure, beside the limit or a peer.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Run all tests, or the suites named, after installing what they need.
    Test {
        /// Which; none: all.
        suites: Vec<test::Suite>,
    },
}

fn main() -> std::process::ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        // Without the stack that anyhow prints: what went wrong is said in a sentence.
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Crds { check } => crds::run(&checkout(), check),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Bench(command) => bench::run(&command),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Cluster(command) => cluster::run(command),
        Command::Test { suites } => test::run(&checkout(), &suites),
        Command::Image(arguments) => image::run(&arguments),
    }
}

/// The root of the checkout this command was built from.
fn checkout() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map_or(xtask.clone(), PathBuf::from)
}
