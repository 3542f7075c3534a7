//! How is a control plane started and stopped? By kwokctl, which is told everything in one file and kept from
//! everything it would otherwise download.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Context;

use crate::cache::{self, Lock};
use crate::processes::{self, Process};
use crate::tools::{Tool, Tools};

/// Addresses of services: kwokctl's own range has 254 of them.
const SERVICE_RANGE: &str = "10.64.0.0/12";
/// What the API server says its address is. Its own choice needs a default route, which a machine may lack; no pod
/// ever calls it.
const ADVERTISED: &str = "203.0.113.1";
/// Everything answered is one line; the lines of what the components do among themselves are kept, as they all use one
/// identity and only the user agent tells them apart.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: ['*']
- level: Metadata
";

/// The folder of kwokctl's clusters.
pub(crate) fn work_directory() -> anyhow::Result<PathBuf> {
    Ok(cache::root()?.join("kwok"))
}

/// The folder of one cluster, which exists exactly as long as the cluster does.
pub(crate) fn directory(name: &str) -> anyhow::Result<PathBuf> {
    Ok(work_directory()?.join("clusters").join(name))
}

/// The folder of what one cluster was started with.
fn settings(name: &str) -> anyhow::Result<PathBuf> {
    Ok(work_directory()?.join("settings").join(name))
}

/// The API server's audit log, if it writes one.
pub(crate) fn audit_log(directory: &Path) -> PathBuf {
    directory.join("logs/audit.log")
}

/// Starts a control plane that does not exist yet; it answers when this returns, but is bare.
pub(crate) fn create(name: &str, tools: &Tools, audit: bool) -> anyhow::Result<()> {
    // kwokctl looks for free ports and takes them seconds later.
    let _lock = Lock::acquire("cluster-ports")?;
    let settings = settings(name)?;
    fs::create_dir_all(&settings).with_context(|| format!("cannot create {}", settings.display()))?;
    let policy = settings.join("audit-policy.yaml");
    if audit {
        fs::write(&policy, AUDIT_POLICY).with_context(|| format!("cannot write {}", policy.display()))?;
    }
    let config = settings.join("kwokctl.yaml");
    let text = configuration(tools, audit.then_some(policy.as_path()));
    fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    let output = kwokctl(name, tools.path(Tool::Kwokctl))?
        .env("PATH", path_starting_with(tools.path(Tool::Kubectl))?)
        .args(["create", "cluster", "--kubeconfig", "", "--timeout", "120s", "--config"])
        .arg(&config)
        .output()
        .context("cannot run kwokctl")?;
    succeeded("kwokctl create cluster", &output)
}

/// Stops a control plane, running or not, and removes everything it left.
pub(crate) fn delete(name: &str, kwokctl_path: &Path) -> anyhow::Result<()> {
    let directory = directory(name)?;
    let mark = directory.display().to_string();
    let running = forget_the_dead(&directory)?;
    let output = kwokctl(name, kwokctl_path)?
        .args(["delete", "cluster", "--kubeconfig"])
        // It wants to remove the cluster from a kubeconfig, and by default that is the user's.
        .arg(directory.join("kubeconfig.yaml"))
        .output()
        .context("cannot run kwokctl")?;
    // Where it failed, as for a cluster whose creation broke off, this is left to us.
    let patience = Duration::from_secs(if output.status.success() { 5 } else { 0 });
    for process in &running {
        if !process.gone_within(&mark, patience) {
            process.signal("KILL")?;
        }
    }
    for process in running {
        anyhow::ensure!(
            process.gone_within(&mark, Duration::from_secs(10)),
            "process {} of cluster {name} does not end: {}",
            process.0,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    for folder in [directory, settings(name)?] {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Starts again whichever processes do not run.
pub(crate) fn restart_missing(name: &str, kwokctl_path: &Path, kubectl: &Path) -> anyhow::Result<()> {
    forget_the_dead(&directory(name)?)?;
    let output = kwokctl(name, kwokctl_path)?
        .args(["start", "cluster"])
        .env("PATH", path_starting_with(kubectl)?)
        .output()
        .context("cannot run kwokctl")?;
    succeeded("kwokctl start cluster", &output)
}

/// The processes that run, after the files that name others are removed: to kwokctl a zombie still runs, and it kills
/// whatever bears the number.
fn forget_the_dead(directory: &Path) -> anyhow::Result<Vec<Process>> {
    let mark = directory.display().to_string();
    let mut running = Vec::new();
    for (file, process) in process_files(directory) {
        if process.is_some_and(|process| process.runs(&mark)) {
            running.extend(process);
        } else {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    Ok(running)
}

/// Whether every process of the control plane runs.
pub(crate) fn is_whole(directory: &Path) -> bool {
    let mark = directory.display().to_string();
    let files = process_files(directory);
    files.len() >= 5 && files.iter().all(|(_, process)| process.is_some_and(|process| process.runs(&mark)))
}

/// The process of one component, such as `kube-apiserver`, if it runs.
pub(crate) fn process(directory: &Path, component: &str) -> Option<Process> {
    processes::written_in(&directory.join("pids").join(format!("{component}.pid")))
        .filter(|process| process.runs(&directory.display().to_string()))
}

/// kwokctl on one of our clusters, with nothing of the caller's environment that would change what it does.
pub(crate) fn kwokctl(name: &str, path: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(path);
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("KWOK_")) {
        command.env_remove(variable);
    }
    command.env("KWOK_WORKDIR", work_directory()?).arg("--name").arg(name);
    Ok(command)
}

/// A search path on which this kubectl comes first: kwokctl asks the API server through whatever kubectl it finds.
fn path_starting_with(kubectl: &Path) -> anyhow::Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = kubectl.parent().map(Path::to_path_buf).into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("the cache stands in a folder with a colon in its name")
}

pub(crate) fn succeeded(what: &str, output: &Output) -> anyhow::Result<()> {
    anyhow::ensure!(
        output.status.success(),
        "{what} failed: {}{}",
        String::from_utf8_lossy(&output.stdout).trim_start(),
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

fn process_files(directory: &Path) -> Vec<(PathBuf, Option<Process>)> {
    let Ok(entries) = fs::read_dir(directory.join("pids")) else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "pid"))
        .map(|path| (path.clone(), processes::written_in(&path)))
        .collect()
}

/// kwokctl's configuration. Extra arguments stand here and not on the command line, where kwokctl 0.8 mixes up those of
/// the second component.
fn configuration(tools: &Tools, audit_policy: Option<&Path>) -> String {
    use std::fmt::Write;
    let mut text = String::from(
        "apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokctlConfiguration
metadata:
  name: gotocloud
options:
  runtime: binary
  bindAddress: 127.0.0.1
  disableQPSLimits: true
  enableCRDs: [Stage]
",
    );
    let binaries = [
        ("kubeApiserverBinary", Tool::KubeApiserver),
        ("kubeControllerManagerBinary", Tool::KubeControllerManager),
        ("kubeSchedulerBinary", Tool::KubeScheduler),
        ("kubectlBinary", Tool::Kubectl),
        ("etcdBinary", Tool::Etcd),
        ("kwokControllerBinary", Tool::Kwok),
    ];
    for (option, tool) in binaries {
        let _ = writeln!(text, "  {option}: {}", quoted(tools.path(tool)));
    }
    if let Some(policy) = audit_policy {
        let _ = writeln!(text, "  kubeAuditPolicy: {}", quoted(policy));
    }
    let mut api_server = vec![("service-cluster-ip-range", SERVICE_RANGE), ("advertise-address", ADVERTISED)];
    if audit_policy.is_some() {
        // In one file, however long: whoever counts reads one file.
        api_server.push(("audit-log-maxsize", "100000"));
    }
    // There is one of each: with leader election they end while the API server does not answer, and then wait for
    // their own old Lease.
    let alone = || vec![("leader-elect", "false")];
    let components = [
        ("kube-apiserver", api_server),
        ("kube-controller-manager", alone()),
        ("kube-scheduler", alone()),
        // A cluster of a test need not survive a power cut.
        ("etcd", vec![("unsafe-no-fsync", "true")]),
    ];
    text.push_str("componentsPatches:\n");
    for (component, arguments) in components {
        let _ = writeln!(text, "- name: {component}\n  extraArgs:");
        for (key, value) in arguments {
            let _ = writeln!(text, "  - key: {key}\n    value: {value:?}");
        }
    }
    text
}

/// A path as a YAML string.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_path_may_hold_anything() {
        assert_eq!(quoted("/a b/\"c\\".as_ref()), r#""/a b/\"c\\""#);
    }
}
