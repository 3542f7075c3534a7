//! Developer commands: `cargo xtask --help`.

mod crds;
mod image;

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
    /// Write the custom resource definitions to crds/ and to the chart.
    Crds {
        /// Change nothing; fail if a file is not up to date.
        #[arg(long)]
        check: bool,
    },
    /// Build the operator's container image, without a container engine.
    Image(image::ImageArgs),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Crds { check } => crds::run(&checkout(), check),
        Command::Image(arguments) => image::run(&arguments),
    }
}

/// The root of the checkout this command was built from.
fn checkout() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map_or(xtask.clone(), PathBuf::from)
}
