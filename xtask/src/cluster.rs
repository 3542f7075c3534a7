//! Is there a Kubernetes to try things on, and if not, how is one made?

use anyhow::Context;
use clap::Subcommand;
use gotocloud_harness::{Cluster, ClusterSpec, ExistingCluster, Installation, OptionalApi, Terminal};

/// Name of the cluster unless another is given.
const NAME: &str = "gotocloud";

/// What is to be done with a cluster.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Start a cluster on this machine, or check the one you have.
    ///
    /// The first time, the control plane is built, which takes about a quarter of an hour.
    Up {
        /// Its name; clusters of different names run side by side.
        #[arg(long, default_value = NAME)]
        name: String,
        /// How many nodes it has.
        #[arg(long, default_value_t = 3)]
        nodes: u32,
        /// Use the cluster of this context of your kubeconfig: nothing is started or installed.
        #[arg(long, conflicts_with_all = ["name", "nodes"])]
        context: Option<String>,
    },
    /// Stop a cluster and remove everything it left.
    Down {
        /// Its name.
        #[arg(long, default_value = NAME)]
        name: String,
    },
    /// Say what runs.
    Status {
        /// Its name.
        #[arg(long, default_value = NAME)]
        name: String,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Print the path of the cluster's kubeconfig.
    Kubeconfig {
        /// Its name.
        #[arg(long, default_value = NAME)]
        name: String,
    },
}

/// Does it.
pub fn run(command: ClusterCommand) -> anyhow::Result<()> {
    match command {
        ClusterCommand::Up { context: Some(context), .. } => check_existing(&context),
        ClusterCommand::Up { name, nodes, context: None } => up(&name, nodes),
        ClusterCommand::Down { name } => {
            // With the operator and the database server that a demo left beside it.
            Installation::down(&name, &Terminal)?;
            println!("Cluster {name} is gone.");
            Ok(())
        }
        ClusterCommand::Status { name, json } => status(&name, json),
        ClusterCommand::Kubeconfig { name } => {
            println!("{}", Cluster::attach(&name)?.kubeconfig_path().display());
            Ok(())
        }
    }
}

fn up(name: &str, nodes: u32) -> anyhow::Result<()> {
    let cluster = Cluster::up(&ClusterSpec::new(name).nodes(nodes), &Terminal)?;
    println!("Cluster {name} is ready. To use it:");
    println!("  export KUBECONFIG={}", cluster.kubeconfig_path().display());
    Ok(())
}

fn check_existing(context: &str) -> anyhow::Result<()> {
    let cluster = ExistingCluster::check(context, &Terminal)?;
    println!("The cluster of context {context} is Kubernetes {}, which is new enough.", cluster.version);
    for api in OptionalApi::ALL {
        let found = if cluster.optional_apis.contains(&api) { "found" } else { "not there; what needs it stays off" };
        println!("  {:<20} {found}", api.name());
    }
    Ok(())
}

fn status(name: &str, json: bool) -> anyhow::Result<()> {
    let state = Cluster::list()?.into_iter().find(|state| state.name == name);
    let running = state.as_ref().is_some_and(|state| state.running);
    if !running {
        if json {
            println!("{}", serde_json::json!({ "name": name, "exists": state.is_some(), "running": false }));
        } else if state.is_some() {
            println!("Cluster {name} does not run. Start it again, empty, with: cargo xtask cluster up --name {name}");
        } else {
            println!("There is no cluster {name}. Start one with: cargo xtask cluster up --name {name}");
        }
        return Ok(());
    }
    let cluster = Cluster::attach(name)?;
    let version: serde_json::Value = serde_json::from_str(&cluster.kubectl(&["get", "--raw=/version"])?)
        .context("the API server's version cannot be read")?;
    let version = version["gitVersion"].as_str().unwrap_or("of unknown version");
    let nodes = cluster.kubectl(&["get", "nodes", "--no-headers"])?;
    let ready = nodes.lines().filter(|line| line.split_whitespace().nth(1) == Some("Ready")).count();
    let apis: Vec<OptionalApi> = state.and_then(|state| state.spec).map(|spec| spec.optional_apis).unwrap_or_default();
    let kubeconfig = cluster.kubeconfig_path();
    if json {
        let report = serde_json::json!({
            "name": name,
            "exists": true,
            "running": true,
            "version": version,
            "nodes": nodes.lines().count(),
            "readyNodes": ready,
            "optionalApis": apis,
            "context": cluster.context(),
            "kubeconfig": kubeconfig,
        });
        println!("{report}");
    } else {
        println!("Cluster {name} runs Kubernetes {version}.");
        println!("  nodes       {ready} of {} ready", nodes.lines().count());
        println!("  kubeconfig  {}", kubeconfig.display());
        let names: Vec<&str> = apis.iter().map(|api| api.name()).collect();
        println!("  also has    {}", if names.is_empty() { "nothing".to_owned() } else { names.join(", ") });
    }
    Ok(())
}
