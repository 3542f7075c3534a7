//! Years of a fleet, in seconds: the planner in a model of the world, driven by a seed.

use gotocloud_simulation::{Fault, Habits, Settings};
use serde_json::json;
use std::time::Instant;

/// How many of the last things that happened are printed where a law is broken.
const LAST: usize = 60;

#[derive(clap::Args)]
pub struct SimulateArgs {
    /// What all chance comes from: the same seed, fleet and length are the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many instances there are.
    #[arg(long, default_value_t = 4)]
    fleet: u32,
    /// How long people and faults go on, in years.
    #[arg(long, default_value_t = 1, conflicts_with = "days")]
    years: u32,
    /// The same in days.
    #[arg(long)]
    days: Option<u32>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
    /// Plant a mistake of the operator, by its name in `tests/simulation/src/fault.rs`, to see a law break.
    #[arg(long, hide = true, value_parser = fault_named)]
    fault: Option<Fault>,
}

fn fault_named(name: &str) -> Result<Fault, String> {
    let all = || Fault::FOUND.iter().map(|(fault, _)| *fault);
    all().find(|fault| format!("{fault:?}") == name).ok_or_else(|| format!("no mistake is called {name}"))
}

/// Plays it. Fails if a law is broken.
pub fn run(arguments: &SimulateArgs) -> anyhow::Result<()> {
    let SimulateArgs { seed, fleet, fault, .. } = *arguments;
    let days = arguments.days.unwrap_or(arguments.years.saturating_mul(365));
    let settings = Settings { seed, fleet, days, fault, habits: Habits::DEFAULT };

    let begun = Instant::now();
    let outcome = gotocloud_simulation::run(&settings);
    let seconds = begun.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)] // A rate needs no more than 52 bits.
    let rate = outcome.events as f64 / seconds.max(0.001);

    if arguments.json {
        let broken = outcome
            .broken
            .as_ref()
            .map(|broken| json!({"law": broken.law.to_string(), "what": broken.what, "event": broken.event}));
        let line = json!({
            "seed": seed, "fleet": fleet, "days": days, "events": outcome.events, "eventsPerSecond": rate.round(),
            "seconds": seconds, "trace": outcome.hash, "broken": broken,
        });
        println!("{line}");
    } else {
        println!("{} events in {seconds:.1} s, {rate:.0} a second; trace {}", outcome.events, outcome.hash);
    }

    let Some(broken) = outcome.broken else { return Ok(()) };
    if !arguments.json {
        for line in &outcome.last[outcome.last.len().saturating_sub(LAST)..] {
            println!("{line}");
        }
    }
    let planted = fault.map(|fault| format!(" --fault {fault:?}")).unwrap_or_default();
    anyhow::bail!(
        "{}: {}; to play it again: cargo xtask simulate --seed {seed} --fleet {fleet} --days {days}{planted}",
        broken.law,
        broken.what
    )
}
