//! Where is the operator's binary, and how is it run as its chart would run it?

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::cache::Lock;
use crate::cluster::Cluster;
use crate::ports;
use crate::processes::{Process, written_in};

/// What a process of the operator is called in its command line.
const MARK: &str = "gotocloud-operator";
/// How long it may take to have seen everything.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the operator is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// As tests use it: quickly built.
    Debug,
    /// As it is shipped.
    Release,
    /// As tests use it, with another rendering of every pod: the next version, for a test of upgrading.
    AlteredRendering,
}

impl Build {
    /// Builds it, with Cargo's own progress on standard error, and gives a copy that later builds leave alone.
    pub fn binary(self) -> anyhow::Result<PathBuf> {
        let _lock = Lock::acquire("operator-build")?;
        let (arguments, profile, name): (&[&str], _, _) = match self {
            Self::Debug => (&[], "debug", "debug"),
            Self::Release => (&["--release"], "release", "release"),
            Self::AlteredRendering => (&["--features", "altered-rendering"], "debug", "altered-rendering"),
        };
        let checkout = checkout();
        let status = cargo(&checkout)
            .args(["build", "--quiet", "--locked", "--package", MARK])
            .args(arguments)
            .status()
            .context("cannot run cargo")?;
        anyhow::ensure!(status.success(), "the operator does not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout.join("target"), PathBuf::from);
        let built = target.join(profile).join(MARK);
        let kept = target.join("operators").join(name).join(MARK);
        if let Some(folder) = kept.parent() {
            fs::create_dir_all(folder)?;
        }
        let fresh = kept.with_extension("new");
        fs::copy(&built, &fresh).with_context(|| format!("cannot copy {}", built.display()))?;
        // A binary that runs cannot be written to, but its name can be given to another.
        fs::rename(&fresh, &kept)?;
        Ok(kept)
    }
}

/// Cargo, to be run in a checkout, as a person's shell would run it: what the cargo that runs this process says of its own
/// package would have crates such as `ring` compiled anew, and all that stands on them.
#[must_use]
pub fn cargo(checkout: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(checkout);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_a_package(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    cargo
}

/// Does cargo tell a package about itself by that variable?
fn is_of_a_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_") || variable == "OUT_DIR"
}

/// The root of the checkout.
#[must_use]
pub fn checkout() -> PathBuf {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR"));
    harness.ancestors().nth(2).unwrap_or(harness).to_path_buf()
}

/// How the operator is run.
#[derive(Debug, Clone)]
pub struct OperatorOptions {
    /// The binary.
    pub binary: PathBuf,
    /// The kubeconfig by which it reaches the cluster, with its service account's rights.
    pub kubeconfig: PathBuf,
    /// Its name among those that compete for the Lease.
    pub pod_name: String,
    /// Where it logs, and where its number and address are written.
    pub directory: PathBuf,
    /// More arguments.
    pub arguments: Vec<String>,
    /// Whether it goes on after the process that started it.
    pub detached: bool,
}

/// The operator, running.
#[derive(Debug)]
pub struct OperatorProcess {
    child: Option<Child>,
    process: Process,
    address: String,
    directory: PathBuf,
    detached: bool,
}

impl OperatorProcess {
    /// Starts it; it may still be waiting for its turn when this returns.
    pub fn start(options: &OperatorOptions) -> anyhow::Result<Self> {
        fs::create_dir_all(&options.directory)?;
        let address = format!("127.0.0.1:{}", ports::free()?);
        let log = File::options()
            .create(true)
            .append(true)
            .open(options.directory.join("operator.log"))
            .context("cannot write the operator's log")?;
        let mut command = Command::new(&options.binary);
        command
            .arg("--listen")
            .arg(&address)
            .args([
                "--namespace",
                NAMESPACE,
                "--service-account",
                SERVICE_ACCOUNT,
                "--binding-cluster-role",
                CLUSTER_ROLE,
            ])
            .args(["--log-format", "pretty", "--pod-name", &options.pod_name])
            .args(&options.arguments)
            .env("KUBECONFIG", &options.kubeconfig)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if options.detached {
            command.process_group(0);
        }
        let child = command.spawn().with_context(|| format!("cannot run {}", options.binary.display()))?;
        let process = Process(child.id());
        fs::write(options.directory.join("operator.pid"), format!("{}\n{address}\n", child.id()))?;
        let child = (!options.detached).then_some(child);
        Ok(Self { child, process, address, directory: options.directory.clone(), detached: options.detached })
    }

    /// Stops the operator that was started with this directory, if it runs.
    pub fn stop_at(directory: &Path) -> anyhow::Result<()> {
        let file = directory.join("operator.pid");
        if let Some(process) = written_in(&file).filter(|process| process.runs(MARK)) {
            process.signal("TERM")?;
            if !process.gone_within(MARK, Duration::from_secs(20)) {
                process.signal("KILL")?;
            }
        }
        let _ = fs::remove_file(file);
        Ok(())
    }

    /// Waits until `/readyz` answers that it is ready and it acts.
    pub fn wait_until_acting(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ready = self.get("/readyz").is_ok_and(|(status, _)| status == 200);
            if ready && self.metric("gotocloud_leader").is_ok_and(|value| value >= 1.0) {
                return Ok(());
            }
            // Right after its start, the process still bears the name of the one it was forked from.
            let is_young = deadline.saturating_duration_since(Instant::now()) + Duration::from_secs(1) > PATIENCE;
            anyhow::ensure!(
                is_young || self.process.runs(MARK),
                "the operator ended: see {}",
                self.log_path().display()
            );
            anyhow::ensure!(
                Instant::now() < deadline,
                "the operator does not get ready: see {}",
                self.log_path().display()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills it at once, as a lost node would.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.process.signal("KILL")?;
        self.reap();
        Ok(())
    }

    /// Freezes it, as a machine that is suspended would: it runs no more, and its connections stay open.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.process.signal("STOP")
    }

    /// Lets it go on.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.process.signal("CONT")
    }

    /// Tells it to stop and waits until it has; gives its exit status where it is a child of this process.
    pub fn terminate(mut self) -> anyhow::Result<Option<i32>> {
        self.process.signal("TERM")?;
        if let Some(mut child) = self.child.take() {
            return Ok(child.wait()?.code());
        }
        anyhow::ensure!(self.process.gone_within(MARK, Duration::from_secs(30)), "the operator does not stop");
        Ok(None)
    }

    /// Does it run?
    #[must_use]
    pub fn runs(&self) -> bool {
        self.process.runs(MARK)
    }

    /// What `GET path` answers: the status and the body.
    pub fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split_whitespace().nth(1).and_then(|code| code.parse().ok()).context("no HTTP status")?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        Ok((status, body))
    }

    /// The sum of a metric over all its labels; 0 where it has no sample.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let (_, text) = self.get("/metrics")?;
        let of_name = |line: &&str| line.split(['{', ' ']).next() == Some(name);
        Ok(text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// The file it logs to.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.directory.join("operator.log")
    }

    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        if !self.detached && self.child.is_some() {
            let _ = self.process.signal("KILL");
            self.reap();
        }
    }
}

/// The namespace of the operator, as the harness installs it.
pub const NAMESPACE: &str = "gotocloud-system";
/// Its service account there.
pub const SERVICE_ACCOUNT: &str = "gotocloud-operator";
/// The `ClusterRole` it binds itself to in the namespaces it makes.
pub const CLUSTER_ROLE: &str = "gotocloud-instance";

/// Installs or upgrades the chart, with more arguments for Helm, and returns once the kinds are served. Its pods are
/// played, as all pods of the cluster are: the operator itself is run by [`OperatorProcess`], under the chart's rights.
pub fn install_chart(cluster: &Cluster, helm: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(helm)
        .args(["upgrade", "--install", "gotocloud"])
        .arg(checkout().join("charts/gotocloud"))
        .args(["--namespace", NAMESPACE, "--create-namespace", "--kubeconfig"])
        .arg(cluster.kubeconfig_path())
        .args(arguments)
        .output()
        .context("cannot run helm")?;
    anyhow::ensure!(output.status.success(), "helm: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    let definitions = ["--for=condition=Established", "crd", "-l", "app.kubernetes.io/part-of=gotocloud"];
    cluster.wait_for(&definitions, Duration::from_mins(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_not_told_of_the_package_that_runs_it() {
        let cargo = cargo(&checkout());
        let left_out: Vec<_> = cargo.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert!(left_out.iter().any(|name| *name == "CARGO_PKG_NAME"), "{left_out:?}");
        assert!(left_out.iter().all(|name| *name != "CARGO_HOME" && *name != "CARGO_TARGET_DIR"), "{left_out:?}");
    }
}
