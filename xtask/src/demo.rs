//! The demo: everything set up, the fleet of 2022 applied, its rise shown, and what to try next.

use anyhow::Context as _;
use clap::Args;
use gotocloud_api::Instance;
use gotocloud_harness::{Build, Cluster, ClusterSpec, Installation, Terminal, fleet};
use gotocloud_planner::fleet::is_ready;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::{
    io::IsTerminal as _,
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long the fleet may take to come up.
const PATIENCE: Duration = Duration::from_mins(15);
/// Name of the demo's cluster.
const NAME: &str = "gotocloud";

/// What to show.
#[derive(Args)]
pub struct DemoArgs {
    /// Use the cluster of this context of your kubeconfig. Its nodes must be played by kwok: the images of the example
    /// fleet are invented.
    #[arg(long)]
    context: Option<String>,
    /// The fleet: a folder of YAML, applied with all below it.
    #[arg(long)]
    fleet: Option<PathBuf>,
    /// End with one line of JSON.
    #[arg(long)]
    json: bool,
    /// Leave everything running at the end.
    #[arg(long)]
    keep: bool,
}

/// Runs the demo.
pub fn run(arguments: &DemoArgs) -> anyhow::Result<()> {
    let begun = Instant::now();
    let installation = match &arguments.context {
        Some(context) => {
            let cluster = Cluster::existing(context, &Terminal)?;
            Installation::on(cluster, Build::Debug.binary()?, true, &Terminal)?
        }
        None => Installation::up(&ClusterSpec::new(NAME), Build::Debug, true, &Terminal)?,
    };
    let name = installation.cluster.name().to_owned();
    let result = show(arguments, &installation, begun);
    if arguments.keep {
        return result;
    }
    if result.is_ok() && !arguments.json && std::io::stdin().is_terminal() {
        println!("\nIt all runs until you press Enter.");
        std::io::stdin().read_line(&mut String::new())?;
    }
    drop(installation);
    // A cluster that was there before stays, with what was installed on it.
    if arguments.context.is_some() {
        Installation::leave(&name)?;
    } else {
        Installation::down(&name, &Terminal)?;
    }
    result
}

fn show(arguments: &DemoArgs, installation: &Installation, begun: Instant) -> anyhow::Result<()> {
    let examples = crate::checkout().join("examples");
    let fleet = arguments.fleet.clone().unwrap_or_else(|| examples.join("fleet-2022"));
    let cluster = &installation.cluster;
    let applied = Instant::now();
    for folder in [examples.join("catalogue"), fleet] {
        cluster.apply(&fleet::list(&fleet::read(&folder, installation)?))?;
    }
    let instances = rise(installation)?;
    let seconds = applied.elapsed().as_secs_f64();
    let ready = instances.iter().filter(|one| is_ready(one)).count();
    println!("{}", cluster.kubectl(&["get", "instances", "--all-namespaces"])?);
    let objects: u64 = instances
        .iter()
        .filter_map(|one| one.status.as_ref()?.inventory.as_ref())
        .map(|all| u64::from(all.count))
        .sum();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count of requests
    let writes = installation.operator()?.metric("gotocloud_api_writes_total")? as u64;
    let kubeconfig = cluster.kubeconfig_path().display().to_string();
    println!(
        "{ready} of {} instances ready, {objects} objects, {seconds:.1} s after the first was applied ({:.1} s in all).\n\n\
         export KUBECONFIG={kubeconfig}\n\n\
         Three things to try:\n  \
         kubectl get instances -A -o wide\n  \
         kubectl -n gtc-pegase-poitiers delete deployment web    # and see it come back\n  \
         kubectl -n gotocloud delete instance pegase-poitiers    # and see why not",
        instances.len(),
        begun.elapsed().as_secs_f64(),
    );
    if arguments.json {
        println!(
            "{}",
            json!({"instances": instances.len(), "ready": ready, "seconds": (seconds * 10.0).round() / 10.0,
                   "objects": objects, "api_writes": writes})
        );
    }
    anyhow::ensure!(ready == instances.len() && ready > 0, "{ready} of {} instances are ready", instances.len());
    Ok(())
}

/// Shows the instances getting ready, until all are.
fn rise(installation: &Installation) -> anyhow::Result<Vec<Instance>> {
    let list = || -> anyhow::Result<Vec<Instance>> {
        let text = installation.cluster.kubectl(&["get", "instances", "--all-namespaces", "-o", "json"])?;
        let list: kube::core::ObjectList<Instance> =
            serde_json::from_str(&text).context("kubectl does not answer with Instances")?;
        Ok(list.items)
    };
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} instances ready ({elapsed}) {msg}") {
        bar.set_style(style);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let instances = list()?;
        let ready = instances.iter().filter(|one| is_ready(one)).count();
        bar.set_length(instances.len() as u64);
        bar.set_position(ready as u64);
        if (ready == instances.len() && ready > 0) || Instant::now() > deadline {
            bar.finish();
            return Ok(instances);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
