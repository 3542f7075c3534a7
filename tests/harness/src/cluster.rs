//! Is there a cluster of this name, what is in it, and how is it spoken to?

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::cache::{self, Lock};
use crate::control_plane;
use crate::optional_apis::OptionalApi;
use crate::progress::Progress;
use crate::stages;
use crate::tools::{Tool, Tools};

/// How long any single part of a cluster may take to become ready. Slow machines share their cores with other work.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a cluster is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// Its name: a DNS label, as it becomes part of a context's name and of a folder's.
    pub name: String,
    /// How many nodes kwok plays. Each has 256 CPUs, 1 TiB of memory and room for 10,000 pods.
    pub nodes: u32,
    /// Whose CRDs are installed and whose controllers are played.
    pub optional_apis: Vec<OptionalApi>,
    /// More kwok Stages, each a YAML stream of them, beside those of nodes, pods and the optional APIs.
    pub stages: Vec<String>,
    /// Whether the API server writes down who asked for what ([`crate::audit`]).
    pub audit: bool,
}

impl ClusterSpec {
    /// Three nodes, every optional API, no audit log.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            nodes: 3,
            optional_apis: OptionalApi::ALL.to_vec(),
            stages: Vec::new(),
            audit: false,
        }
    }

    /// The same with this many nodes.
    #[must_use]
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.nodes = nodes;
        self
    }

    /// The same with these optional APIs and no other.
    #[must_use]
    pub fn optional_apis(mut self, apis: &[OptionalApi]) -> Self {
        self.optional_apis = apis.to_vec();
        self
    }

    /// The same with an audit log.
    #[must_use]
    pub fn audit(mut self) -> Self {
        self.audit = true;
        self
    }

    fn check(&self) -> anyhow::Result<()> {
        check_name(&self.name)?;
        anyhow::ensure!(
            (1..=500).contains(&self.nodes),
            "a cluster has 1 to 500 nodes, not {}: their pods' addresses end there",
            self.nodes
        );
        Ok(())
    }
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let label = !name.is_empty()
        && name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    anyhow::ensure!(label, "a cluster's name is made of at most 40 of a-z, 0-9 and -, not {name:?}");
    Ok(())
}

/// What is written down about a cluster: what it was asked to be, and the programs that made it.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    spec: ClusterSpec,
    kubectl: PathBuf,
    kwokctl: PathBuf,
    /// Whether everything the spec asks for was there at the end of `up`.
    furnished: bool,
}

impl Record {
    fn path(name: &str) -> anyhow::Result<PathBuf> {
        Ok(control_plane::work_directory()?.join("records").join(format!("{name}.json")))
    }

    fn read(name: &str) -> anyhow::Result<Option<Self>> {
        match fs::read(Self::path(name)?) {
            // A record that cannot be read is one of an older version: its cluster is to be made anew.
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("cannot read the cluster's record"),
        }
    }

    fn write(&self) -> anyhow::Result<()> {
        let path = Self::path(&self.spec.name)?;
        let scratch = cache::scratch_beside(&path)?;
        fs::write(&scratch, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", scratch.display()))?;
        fs::rename(&scratch, &path).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// A cluster, and whether it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterState {
    /// Its name.
    pub name: String,
    /// Whether all its processes run and the API server says it is ready.
    pub running: bool,
    /// What it was asked to be, where that is known.
    pub spec: Option<ClusterSpec>,
}

/// A running cluster. It goes on running when this is dropped; [`Cluster::down`] ends it.
#[derive(Debug, Clone)]
pub struct Cluster {
    name: String,
    context: String,
    directory: PathBuf,
    kubectl: PathBuf,
    kwokctl: PathBuf,
}

impl Cluster {
    /// The cluster `spec` asks for: the one of that name if it is healthy, with whatever it lacks added to it, else
    /// a new one. Ready when this returns: nodes, CRDs and the default service account are there.
    ///
    /// A cluster whose audit log is to begin or end is made anew.
    pub fn up(spec: &ClusterSpec, progress: &dyn Progress) -> anyhow::Result<Self> {
        spec.check()?;
        let tools = Tools::ensure(&Tool::CLUSTER, progress)?;
        let _lock = Lock::acquire(&format!("cluster-{}", spec.name))?;
        let cluster = Self {
            name: spec.name.clone(),
            context: format!("kwok-{}", spec.name),
            directory: control_plane::directory(&spec.name)?,
            kubectl: tools.path(Tool::Kubectl).to_path_buf(),
            kwokctl: tools.path(Tool::Kwokctl).to_path_buf(),
        };
        let known = Record::read(&spec.name)?;
        let healthy = cluster.is_healthy();
        if healthy && known.as_ref().is_some_and(|record| record.furnished && record.spec == *spec) {
            return Ok(cluster);
        }
        let step = progress.begin(&format!("starting cluster {}", spec.name));
        if !healthy || known.is_none_or(|record| record.spec.audit != spec.audit) {
            cluster.start_anew(&tools, spec.audit)?;
        }
        let mut record = Record {
            spec: spec.clone(),
            kubectl: cluster.kubectl.clone(),
            kwokctl: cluster.kwokctl.clone(),
            furnished: false,
        };
        record.write()?;
        cluster.furnish(spec)?;
        record.furnished = true;
        record.write()?;
        step.finish();
        Ok(cluster)
    }

    /// The running cluster of this name.
    pub fn attach(name: &str) -> anyhow::Result<Self> {
        check_name(name)?;
        let record =
            Record::read(name)?.with_context(|| format!("there is no cluster {name}: start it with `cluster up`"))?;
        let directory = control_plane::directory(name)?;
        let context = format!("kwok-{name}");
        let cluster =
            Self { name: name.to_owned(), context, directory, kubectl: record.kubectl, kwokctl: record.kwokctl };
        anyhow::ensure!(cluster.is_healthy(), "cluster {name} does not run: start it with `cluster up`");
        Ok(cluster)
    }

    /// The cluster of this context of the user's kubeconfig, of which a copy is made. Nothing here starts or stops it.
    pub fn existing(context: &str, progress: &dyn Progress) -> anyhow::Result<Self> {
        crate::existing::ExistingCluster::check(context, progress)?;
        let tools = Tools::ensure(&[Tool::Kubectl], progress)?;
        let name: String = context.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let directory = cache::root()?.join("contexts").join(&name);
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let kubectl = tools.path(Tool::Kubectl).to_path_buf();
        let arguments = ["config", "view", "--raw", "--minify", "--flatten", "--context", context];
        let output = Command::new(&kubectl).args(arguments).output().context("cannot run kubectl")?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim_end());
        let cluster = Self { name, context: context.to_owned(), directory, kubectl, kwokctl: PathBuf::new() };
        let path = cluster.kubeconfig_path();
        fs::write(&path, output.stdout).with_context(|| format!("cannot write {}", path.display()))?;
        cluster.kubectl(&["config", "use-context", context])?;
        Ok(cluster)
    }

    /// Stops the cluster of this name and removes everything it left. That there is none is no error.
    pub fn down(name: &str, progress: &dyn Progress) -> anyhow::Result<()> {
        check_name(name)?;
        let directory = control_plane::directory(name)?;
        let _lock = Lock::acquire(&format!("cluster-{name}"))?;
        let record = Record::read(name)?;
        if record.is_none() && !directory.exists() {
            return Ok(());
        }
        let kwokctl = match record {
            Some(record) if record.kwokctl.is_file() => record.kwokctl,
            _ => Tools::ensure(&[Tool::Kwokctl], progress)?.path(Tool::Kwokctl).to_path_buf(),
        };
        control_plane::delete(name, &kwokctl)?;
        match fs::remove_file(Record::path(name)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("cannot remove the cluster's record")
            }
            _ => Ok(()),
        }
    }

    /// Every cluster there is, running or not, by name.
    pub fn list() -> anyhow::Result<Vec<ClusterState>> {
        let records = control_plane::work_directory()?.join("records");
        let Ok(entries) = fs::read_dir(&records) else { return Ok(Vec::new()) };
        let mut states = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read {}", records.display()))?.path();
            let (Some(name), Some("json")) =
                (path.file_stem().and_then(|name| name.to_str()), path.extension().and_then(|end| end.to_str()))
            else {
                continue;
            };
            let record = Record::read(name)?;
            states.push(ClusterState {
                name: name.to_owned(),
                running: Self::attach(name).is_ok(),
                spec: record.map(|record| record.spec),
            });
        }
        states.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(states)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kubeconfig of its administrator, in a file of its own that goes when the cluster goes.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.directory.join("kubeconfig.yaml")
    }

    /// The context in that kubeconfig.
    #[must_use]
    pub fn context(&self) -> String {
        self.context.clone()
    }

    /// The API server's audit log ([`crate::audit::count`]); there is one only where the spec asked for it.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        control_plane::audit_log(&self.directory)
    }

    /// The log of one of its processes, such as `kube-apiserver` or `kwok-controller`.
    #[must_use]
    pub fn log(&self, component: &str) -> PathBuf {
        self.directory.join("logs").join(format!("{component}.log"))
    }

    /// The number of one of its processes: `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler` or
    /// `kwok-controller`. For tests that pause or kill one.
    #[must_use]
    pub fn process(&self, component: &str) -> Option<u32> {
        control_plane::process(&self.directory, component).map(|process| process.0)
    }

    /// Starts again whichever of its processes do not run, with all that etcd holds.
    pub fn restart_missing(&self) -> anyhow::Result<()> {
        control_plane::restart_missing(&self.name, &self.kwokctl, &self.kubectl)?;
        self.wait("the API server", || self.is_ready())
    }

    /// What `kubectl ARGUMENTS` prints, on this cluster as its administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.run_kubectl(arguments, None)
    }

    /// Applies YAML as a server-side apply of field manager `harness`, which takes over what others own.
    pub fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        let arguments = ["apply", "--server-side", "--force-conflicts", "--field-manager=harness", "-f", "-"];
        self.run_kubectl(&arguments, Some(yaml))
    }

    /// Waits until `kubectl wait ARGUMENTS` succeeds. Unlike kubectl's own, waits for the object to appear as well.
    pub fn wait_for(&self, arguments: &[&str], patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = format!("--timeout={}s", left.as_secs().max(1));
            let all: Vec<&str> = ["wait", &timeout].into_iter().chain(arguments.iter().copied()).collect();
            match self.kubectl(&all) {
                Ok(_) => return Ok(()),
                Err(error) if left.is_zero() => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Adds an optional API to the running cluster: its CRDs, served, and whoever plays its controller.
    pub fn install(&self, api: OptionalApi) -> anyhow::Result<()> {
        self.install_all(&[api])
    }

    /// A kubeconfig by which whoever reads it is this service account, with its permissions and no other. It holds
    /// a token of a day, and goes when the cluster goes.
    pub fn kubeconfig_of_service_account(&self, namespace: &str, name: &str) -> anyhow::Result<PathBuf> {
        let token = self.kubectl(&["create", "token", name, "--namespace", namespace, "--duration=24h"])?;
        let user = format!("{namespace}-{name}");
        let path = self.directory.join(format!("kubeconfig-{user}.yaml"));
        let admin = fs::read(self.kubeconfig_path()).context("cannot read the cluster's kubeconfig")?;
        fs::write(&path, admin).with_context(|| format!("cannot write {}", path.display()))?;
        let file = path.display().to_string();
        let token = format!("--token={}", token.trim());
        let of_context = "jsonpath={.contexts[0].context.user}";
        let administrator = self.kubectl(&["config", "view", "--minify", "--output", of_context])?;
        for arguments in [
            vec!["config", "--kubeconfig", &file, "delete-user", &administrator],
            vec!["config", "--kubeconfig", &file, "set-credentials", &administrator, &token],
        ] {
            self.kubectl(&arguments)?;
        }
        Ok(path)
    }

    fn is_healthy(&self) -> bool {
        control_plane::is_whole(&self.directory) && self.is_ready()
    }

    fn is_ready(&self) -> bool {
        self.kubectl(&["get", "--raw=/readyz", "--request-timeout=5s"]).is_ok_and(|answer| answer.trim() == "ok")
    }

    fn start_anew(&self, tools: &Tools, audit: bool) -> anyhow::Result<()> {
        if self.directory.exists() {
            control_plane::delete(&self.name, &self.kwokctl)?;
        }
        let started = control_plane::create(&self.name, tools, audit)
            .and_then(|()| self.wait("the API server", || self.is_ready()));
        if started.is_err() {
            let log = fs::read_to_string(self.log("kube-apiserver")).unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(5).collect();
            let end: Vec<&str> = end.into_iter().rev().collect();
            return started.with_context(|| {
                format!("cluster {} does not start; the API server's last words:\n{}", self.name, end.join("\n"))
            });
        }
        Ok(())
    }

    /// Brings nodes, CRDs and stages of a running control plane to what the spec asks for.
    fn furnish(&self, spec: &ClusterSpec) -> anyhow::Result<()> {
        self.wait_for(&["--for=condition=Established", "crd/stages.kwok.x-k8s.io"], PATIENCE)?;
        self.apply(&stages::of_every_cluster()?)?;
        self.scale_nodes(spec.nodes)?;
        self.install_all(&spec.optional_apis)?;
        for stages in &spec.stages {
            self.apply(stages)?;
        }
        self.wait_for(&["--for=condition=Ready", "nodes", "--all"], PATIENCE)?;
        self.wait("the default service account", || {
            self.kubectl(&["get", "serviceaccount", "default", "--namespace=default"]).is_ok()
        })
    }

    fn scale_nodes(&self, nodes: u32) -> anyhow::Result<()> {
        let output = control_plane::kwokctl(&self.name, &self.kwokctl)?
            .args(["scale", "node", "--replicas"])
            .arg(nodes.to_string())
            .args(["--param", r#".allocatable={"cpu":"256","memory":"1Ti","pods":"10000"}"#])
            .args(["--param", r#".podCIDRs=["10.128.0.0/18"]"#])
            .args(["--param", r#".nodeIPs=["192.0.2.1"]"#])
            .output()
            .context("cannot run kwokctl")?;
        control_plane::succeeded("kwokctl scale node", &output)
    }

    fn install_all(&self, apis: &[OptionalApi]) -> anyhow::Result<()> {
        if apis.is_empty() {
            return Ok(());
        }
        let mut apply = vec!["apply".to_owned(), "--server-side".to_owned(), "--field-manager=harness".to_owned()];
        let mut wait = vec!["--for=condition=Established".to_owned()];
        for api in apis {
            for path in api.crd_paths()? {
                apply.push(format!("--filename={}", path.display()));
            }
            wait.extend(api.crd_names().map(|name| format!("crd/{name}")));
        }
        self.kubectl(&apply.iter().map(String::as_str).collect::<Vec<_>>())?;
        self.wait_for(&wait.iter().map(String::as_str).collect::<Vec<_>>(), PATIENCE)?;
        for api in apis {
            // kwok reads the schema when it takes up a resource, and gives up if it is not published yet.
            self.wait(&format!("the schema of {}", api.name()), || self.publishes(*api))?;
            if let Some(stages) = stages::of(*api) {
                self.apply(stages)?;
            }
        }
        Ok(())
    }

    fn publishes(&self, api: OptionalApi) -> bool {
        let path = format!("--raw=/openapi/v3/apis/{}/{}", api.group(), api.version());
        self.kubectl(&["get", &path])
            .is_ok_and(|schema| api.resources().iter().all(|resource| schema.contains(&format!("/{resource}\""))))
    }

    fn wait(&self, what: &str, ready: impl Fn() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            anyhow::ensure!(
                Instant::now() < deadline,
                "{what} of cluster {} is not ready after {} s; its logs are in {}",
                self.name,
                PATIENCE.as_secs(),
                self.directory.join("logs").display()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn run_kubectl(&self, arguments: &[&str], input: Option<&str>) -> anyhow::Result<String> {
        let mut child = kubectl_command(&self.kubectl, &self.kubeconfig_path(), &self.directory)
            .args(arguments)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run kubectl")?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // If kubectl ends before it has read all, what it says is the error.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().context("cannot run kubectl")?;
        let first = arguments.iter().take(3).copied().collect::<Vec<_>>().join(" ");
        anyhow::ensure!(
            output.status.success(),
            "kubectl {first}: {}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        String::from_utf8(output.stdout).with_context(|| format!("kubectl {first} printed no text"))
    }
}

/// kubectl with one kubeconfig and a cache of its own: nothing below the user's `~/.kube` is read or written.
fn kubectl_command(kubectl: &Path, kubeconfig: &Path, folder: &Path) -> Command {
    let mut command = Command::new(kubectl);
    command.env("KUBECONFIG", kubeconfig).env("KUBECACHEDIR", folder.join("kubectl-cache"));
    command
}

#[cfg(test)]
mod tests {
    use super::{ClusterSpec, check_name};

    #[test]
    fn a_name_is_a_label() {
        assert!(check_name("demo-1").is_ok());
        for wrong in ["", "Demo", "a/b", "-a", "a-", "..", "a b"] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_cluster_has_nodes() {
        assert!(ClusterSpec::new("demo").nodes(0).check().is_err());
        assert!(ClusterSpec::new("demo").check().is_ok());
    }
}
