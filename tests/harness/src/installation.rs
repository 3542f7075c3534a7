//! How does a whole installation come up: control plane, chart, database server, operator?

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::cluster::{Cluster, ClusterSpec};
use crate::operator::{self, Build, NAMESPACE, OperatorOptions, OperatorProcess, SERVICE_ACCOUNT};
use crate::postgres::{PostgresServer, StartOptions};
use crate::progress::{Progress, Silent};
use crate::tools::{Tool, Tools};

/// Name of the Secret with the database server's administrator.
pub const ADMIN_SECRET: &str = "postgresql-admin";

/// A control plane with the chart installed, a database server, and the operator under the chart's rights.
pub struct Installation {
    /// The control plane.
    pub cluster: Cluster,
    /// The database server.
    pub postgres: PostgresServer,
    /// The operator, while it runs.
    pub operator: Option<OperatorProcess>,
    options: OperatorOptions,
}

impl Installation {
    /// Brings all of it up under that name, or takes up what is there of it. What is `detached` goes on after this
    /// process; see [`Installation::down`].
    pub fn up(spec: &ClusterSpec, build: Build, detached: bool, progress: &dyn Progress) -> anyhow::Result<Self> {
        let step = progress.begin("the operator is built");
        let binary = build.binary()?;
        step.finish();
        Self::on(Cluster::up(spec, progress)?, binary, detached, progress)
    }

    /// Brings all but the control plane up on a cluster that is there.
    pub fn on(cluster: Cluster, binary: PathBuf, detached: bool, progress: &dyn Progress) -> anyhow::Result<Self> {
        let name = cluster.name().to_owned();
        let step = progress.begin("the chart is installed");
        let tools = Tools::ensure(&[Tool::Helm], progress)?;
        operator::install_chart(&cluster, tools.path(Tool::Helm), &[])?;
        step.finish();
        let step = progress.begin("PostgreSQL starts");
        let directory = directory(&name)?;
        let mut options = StartOptions::new(postgres_directory(&name));
        options.detached = detached;
        let postgres = PostgresServer::start(&options)?;
        cluster.apply(&admin_secret(&postgres).to_string())?;
        step.finish();
        let kubeconfig = cluster.kubeconfig_of_service_account(NAMESPACE, SERVICE_ACCOUNT)?;
        let pod_name = format!("{SERVICE_ACCOUNT}-0");
        let options = OperatorOptions { binary, kubeconfig, pod_name, directory, arguments: Vec::new(), detached };
        let mut installation = Self { cluster, postgres, operator: None, options };
        let step = progress.begin("the operator starts");
        OperatorProcess::stop_at(&installation.options.directory)?;
        installation.start_operator()?;
        step.finish();
        Ok(installation)
    }

    /// Takes all of that name down, whoever brought it up.
    pub fn down(name: &str, progress: &dyn Progress) -> anyhow::Result<()> {
        Self::leave(name)?;
        Cluster::down(name, progress)
    }

    /// Stops the operator and the database server of that name; the control plane stays.
    pub fn leave(name: &str) -> anyhow::Result<()> {
        let directory = directory(name)?;
        OperatorProcess::stop_at(&directory)?;
        PostgresServer::stop_at(&postgres_directory(name))?;
        for folder in [directory, postgres_directory(name)] {
            let _ = std::fs::remove_dir_all(folder);
        }
        Ok(())
    }

    /// Starts the operator, in the place of one that was killed, and waits until it acts.
    pub fn start_operator(&mut self) -> anyhow::Result<()> {
        let operator = self.operator.insert(OperatorProcess::start(&self.options)?);
        operator.wait_until_acting()
    }

    /// Starts the operator anew with more arguments, and waits until it acts.
    pub fn restart_operator_with(&mut self, arguments: &[&str]) -> anyhow::Result<()> {
        self.options.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self.operator = None;
        OperatorProcess::stop_at(&self.options.directory)?;
        self.start_operator()
    }

    /// Names the namespaces in which Instances count, to the chart and to the operator, which starts anew.
    pub fn name_hubs(&mut self, hubs: &[&str]) -> anyhow::Result<()> {
        let tools = Tools::ensure(&[Tool::Helm], &Silent)?;
        let hubs = hubs.join(",");
        operator::install_chart(&self.cluster, tools.path(Tool::Helm), &[&format!("--set=hubs={{{hubs}}}")])?;
        self.restart_operator_with(&[&format!("--hubs={hubs}")])
    }

    /// Starts the operator without waiting for it.
    pub fn launch_operator(&mut self) -> anyhow::Result<()> {
        self.operator = Some(OperatorProcess::start(&self.options)?);
        Ok(())
    }

    /// Which binary the operator is started from next.
    pub fn set_binary(&mut self, binary: PathBuf) {
        self.options.binary = binary;
    }

    /// The Platform called `name` on this database server, reached by an Ingress controller.
    #[must_use]
    pub fn platform(&self, name: &str) -> Value {
        json!({
            "apiVersion": "gotocloud.amue.fr/v1alpha1",
            "kind": "Platform",
            "metadata": {"name": name},
            "spec": {
                "dnsZone": format!("{name}.example.org"),
                "exposure": {"ingress": {"className": "nginx", "namespace": "ingress-nginx"}},
                "database": {"server": {
                    "host": self.postgres.host,
                    "port": self.postgres.port,
                    "adminSecretName": ADMIN_SECRET,
                    "caCertificate": self.postgres.ca_pem,
                }},
            },
        })
    }

    /// The operator, which must have been started.
    pub fn operator(&self) -> anyhow::Result<&OperatorProcess> {
        self.operator.as_ref().context("the operator was not started")
    }

    /// Waits until every Instance of the cluster is ready.
    pub fn wait_until_all_ready(&self, patience: Duration) -> anyhow::Result<()> {
        self.cluster.wait_for(&["--for=condition=Ready", "instances", "--all", "--all-namespaces"], patience)
    }
}

/// Where an installation keeps what is not its cluster's.
fn directory(name: &str) -> anyhow::Result<PathBuf> {
    Ok(crate::cache::root()?.join("installations").join(name))
}

/// Where its database server keeps its data: as root, PostgreSQL runs as somebody else, who may not enter root's cache.
fn postgres_directory(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("gotocloud-postgres-{name}"))
}

fn admin_secret(postgres: &PostgresServer) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": ADMIN_SECRET, "namespace": NAMESPACE},
        "type": "kubernetes.io/basic-auth",
        "stringData": {"username": postgres.admin_user, "password": postgres.admin_password},
    })
}
