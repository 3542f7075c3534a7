//! What do instances cost, beside what they must cost? Benchmarks print one line of JSON, and judge nothing.

mod campaign;
mod fleet;
mod idle;
mod planning;
mod provision;
mod raw;
mod shapes;

use clap::{Args, Subcommand};
use gotocloud_harness::{Build, ClusterSpec, Installation, Terminal};

/// Instances worked on at once by the client the operator is compared with: as many as by the operator itself.
const CONCURRENCY: u16 = 16;

/// What to measure.
#[derive(Subcommand)]
pub enum BenchCommand {
    /// From applying N Instances to all ready, beside a client that applies the very same objects.
    Provision(ProvisionArgs),
    /// What the operator writes and lists while nothing changes.
    Idle(IdleArgs),
    /// What a campaign costs: to decide, in writes, and in time beside a perfect scheduler.
    Campaign(CampaignArgs),
}

/// How to measure provisioning.
#[derive(Args)]
pub struct ProvisionArgs {
    /// How many Instances.
    #[arg(long, default_value_t = 133)]
    instances: u32,
    /// End with one line of JSON only.
    #[arg(long)]
    json: bool,
}

/// How to measure rest.
#[derive(Args)]
pub struct IdleArgs {
    /// How many Instances.
    #[arg(long, default_value_t = 133)]
    instances: u32,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// End with one line of JSON only.
    #[arg(long)]
    json: bool,
}

/// How to measure a campaign.
#[derive(Args)]
pub struct CampaignArgs {
    /// How many targets. All are decided about; at most 133 are upgraded on a cluster.
    #[arg(long, default_value_t = 133)]
    targets: u32,
    /// End with one line of JSON only.
    #[arg(long)]
    json: bool,
}

/// Runs a benchmark.
pub fn run(command: &BenchCommand) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match command {
            BenchCommand::Provision(arguments) => provision::run(arguments).await,
            BenchCommand::Idle(arguments) => idle::run(arguments).await,
            BenchCommand::Campaign(arguments) => campaign::run(arguments).await,
        }
    })
}

/// An installation of a benchmark's own, with the operator as it is shipped.
fn installation(name: &str, audit: bool) -> anyhow::Result<Installation> {
    Installation::down(name, &Terminal)?;
    let spec = ClusterSpec::new(name).nodes(5);
    let spec = if audit { spec.audit() } else { spec };
    Installation::up(&spec, Build::Release, false, &Terminal)
}

/// A client of an installation's cluster, as its administrator.
async fn client(installation: &Installation) -> anyhow::Result<kube::Client> {
    let kubeconfig = kube::config::Kubeconfig::read_from(installation.cluster.kubeconfig_path())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// A figure with one or two digits after the point.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
