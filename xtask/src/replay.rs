//! A plan of campaigns, played through the years on a clock of its own, against a real API server.

use clap::Args;
use gotocloud_harness::{Terminal, replay};
use serde::Serialize;
use std::path::PathBuf;

/// Name of the cluster.
const NAME: &str = "replay";

/// What to play.
#[derive(Args)]
pub struct ReplayArgs {
    /// A folder of YAML: applications, releases, establishments and campaigns. Where it has no Platform, each
    /// `homePlatform` of its establishments stands for one with the replay's own database server.
    #[arg(long)]
    plan: PathBuf,
    /// The last year to play.
    #[arg(long)]
    until: i16,
    /// Print nothing but a line of JSON for each year.
    #[arg(long)]
    json: bool,
}

/// The end of a year, as one line.
#[derive(Serialize)]
struct Line {
    year: i16,
    #[serde(flatten)]
    stages: replay::Stages,
}

/// Plays a plan.
pub fn run(arguments: &ReplayArgs) -> anyhow::Result<()> {
    replay::play(&arguments.plan, arguments.until, NAME, &Terminal, |year| {
        let line = Line { year: year.year, stages: year.all };
        println!("{}", serde_json::to_string(&line).unwrap_or_default());
        if !arguments.json {
            for (cohort, stages) in &year.by_cohort {
                println!(
                    "  {cohort:<4} {:>3} provisioned {:>3} partial {:>3} full",
                    stages.provisioned, stages.partial, stages.full
                );
            }
        }
    })
}
