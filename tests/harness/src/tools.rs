//! Which programs does a cluster need, and where are they once built?

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::cache::{self, Lock};
use crate::prerequisites;
use crate::progress::Progress;

/// A program built from a Go module `tests/tools` pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// The API server.
    KubeApiserver,
    /// Makes `ReplicaSets`, pods, endpoints and the like.
    KubeControllerManager,
    /// Gives pods their node.
    KubeScheduler,
    /// The command-line client, of the API server's own version.
    Kubectl,
    /// The API server's store.
    Etcd,
    /// Plays the kubelet of every node.
    Kwok,
    /// Starts and stops all the above.
    Kwokctl,
    /// Renders and installs the chart.
    Helm,
    /// Answers the gates of campaigns.
    Prometheus,
    /// Says what those who wait for objects make of them.
    Kstatus,
}

/// What builds alike: one go.mod, one set of pinned versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Kubernetes,
    Etcd,
    Kwok,
    Helm,
    Prometheus,
    Kstatus,
}

impl Tool {
    /// What a cluster is made of.
    pub const CLUSTER: [Self; 7] = [
        Self::Kwokctl,
        Self::Kwok,
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kubectl,
    ];

    /// Every tool there is.
    pub const ALL: [Self; 10] = [
        Self::Kwokctl,
        Self::Kwok,
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kubectl,
        Self::Helm,
        Self::Prometheus,
        Self::Kstatus,
    ];

    /// The name of the program's file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Etcd => "etcd",
            Self::Kwok => "kwok",
            Self::Kwokctl => "kwokctl",
            Self::Helm => "helm",
            Self::Prometheus => "prometheus",
            Self::Kstatus => "kstatus",
        }
    }

    const fn group(self) -> Group {
        match self {
            Self::KubeApiserver | Self::KubeControllerManager | Self::KubeScheduler | Self::Kubectl => {
                Group::Kubernetes
            }
            Self::Etcd => Group::Etcd,
            Self::Kwok | Self::Kwokctl => Group::Kwok,
            Self::Helm => Group::Helm,
            Self::Prometheus => Group::Prometheus,
            Self::Kstatus => Group::Kstatus,
        }
    }

    const fn package(self) -> &'static str {
        match self {
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Self::Kwokctl => "sigs.k8s.io/kwok/cmd/kwokctl",
            Self::Helm => "helm.sh/helm/v4/cmd/helm",
            Self::Prometheus => "github.com/prometheus/prometheus/cmd/prometheus",
            Self::Kstatus => "gotocloud.amue.fr/tools/kstatus",
        }
    }
}

impl Group {
    const fn folder(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Etcd => "etcd",
            Self::Kwok => "kwok",
            Self::Helm => "helm",
            Self::Prometheus => "prometheus",
            Self::Kstatus => "kstatus",
        }
    }

    /// The module whose version is the tools' own.
    const fn module(self) -> &'static str {
        match self {
            Self::Kubernetes => "k8s.io/kubernetes",
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::Kwok => "sigs.k8s.io/kwok",
            Self::Helm => "helm.sh/helm/v4",
            Self::Prometheus => "github.com/prometheus/prometheus",
            Self::Kstatus => "sigs.k8s.io/cli-utils",
        }
    }

    /// Build tags, separated by commas. Prometheus does without the clients of all the clouds it could find targets in,
    /// which are most of it: the tests name their targets. Its web pages are left out as well, as they come only with
    /// a tag and are not in the module.
    const fn tags(self) -> &'static str {
        match self {
            Self::Prometheus => "remove_all_sd",
            Self::Kubernetes | Self::Etcd | Self::Kwok | Self::Helm | Self::Kstatus => "",
        }
    }

    /// Linker flags for tools of `version`, such as `v1.37.2`. Kubernetes and Helm learn their version only here;
    /// without it the API server says v0.0.0 and clients misjudge it.
    fn linker_flags(self, version: &str) -> String {
        let stamps: Vec<(&str, &str)> = match self {
            Self::Kubernetes => {
                let mut numbers = version.trim_start_matches('v').split('.');
                let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
                vec![
                    ("k8s.io/component-base/version.gitVersion", version),
                    ("k8s.io/component-base/version.gitMajor", major),
                    ("k8s.io/component-base/version.gitMinor", minor),
                    ("k8s.io/client-go/pkg/version.gitVersion", version),
                    ("k8s.io/client-go/pkg/version.gitMajor", major),
                    ("k8s.io/client-go/pkg/version.gitMinor", minor),
                ]
            }
            Self::Helm => vec![("helm.sh/helm/v4/internal/version.version", version)],
            Self::Etcd | Self::Kwok | Self::Prometheus | Self::Kstatus => Vec::new(),
        };
        stamps.iter().fold("-s -w".to_owned(), |flags, (variable, value)| format!("{flags} -X {variable}={value}"))
    }
}

/// Programs that are built, and where.
#[derive(Debug, Clone)]
pub struct Tools {
    paths: BTreeMap<Tool, PathBuf>,
}

impl Tools {
    /// Builds what of `tools` is not in the cache yet: about 15 minutes for all of them on two cores, the first time.
    ///
    /// Two processes never build the same at the same time, and a build that was interrupted leaves nothing behind
    /// that looks finished.
    pub fn ensure(tools: &[Tool], progress: &dyn Progress) -> anyhow::Result<Self> {
        let mut builds = Builds::default();
        let mut paths = BTreeMap::new();
        for &tool in tools {
            let build = builds.of(tool.group())?;
            let path = build.folder.join(tool.name());
            if !path.is_file() {
                let step = progress.begin(&format!("building {} {}", tool.name(), build.version));
                let _lock = Lock::acquire(&format!("tools-{}", tool.group().folder()))?;
                if !path.is_file() {
                    prerequisites::check()?;
                    build.run(tool, &path)?;
                }
                step.finish();
            }
            paths.insert(tool, path);
        }
        Ok(Self { paths })
    }

    /// Where the tool is.
    ///
    /// # Panics
    ///
    /// If it was not among those asked for.
    #[must_use]
    pub fn path(&self, tool: Tool) -> &Path {
        self.paths.get(&tool).unwrap_or_else(|| panic!("{} was not asked for", tool.name()))
    }
}

/// How the tools of one group are built.
struct Build {
    module_folder: PathBuf,
    folder: PathBuf,
    version: String,
    linker_flags: String,
    tags: &'static str,
}

/// The builds worked out so far: one for each group, as reading the pins and asking Go its version takes time.
#[derive(Default)]
struct Builds {
    go_version: Option<String>,
    known: Vec<(Group, Build)>,
}

impl Builds {
    fn of(&mut self, group: Group) -> anyhow::Result<&Build> {
        if let Some(index) = self.known.iter().position(|(known, _)| *known == group) {
            return Ok(&self.known[index].1);
        }
        if self.go_version.is_none() {
            self.go_version = prerequisites::go_version();
        }
        let Some(go_version) = &self.go_version else {
            prerequisites::check()?;
            anyhow::bail!("go does not say its version");
        };
        self.known.push((group, Build::of(group, go_version)?));
        Ok(&self.known[self.known.len() - 1].1)
    }
}

impl Build {
    fn of(group: Group, go_version: &str) -> anyhow::Result<Self> {
        let module_folder = cache::pins().join(group.folder());
        let read = |name: &str| {
            let path = module_folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let (go_mod, go_sum) = (read("go.mod")?, read("go.sum")?);
        let version = required_version(&go_mod, group.module())
            .with_context(|| format!("tests/tools/{}/go.mod does not require {}", group.folder(), group.module()))?;
        let linker_flags = group.linker_flags(&version);
        let tags = group.tags();
        let mut decisive = vec![
            go_mod.as_bytes(),
            go_sum.as_bytes(),
            linker_flags.as_bytes(),
            go_version.as_bytes(),
            std::env::consts::ARCH.as_bytes(),
        ];
        if !tags.is_empty() {
            decisive.push(tags.as_bytes());
        }
        // Where the program is not a module's but ours.
        let program = fs::read(module_folder.join("main.go")).unwrap_or_default();
        if !program.is_empty() {
            decisive.push(&program);
        }
        let fingerprint = cache::fingerprint(&decisive);
        let folder = cache::root()?.join("tools").join(format!("{}-{fingerprint}", group.folder()));
        Ok(Self { module_folder, folder, version, linker_flags, tags })
    }

    fn run(&self, tool: Tool, path: &Path) -> anyhow::Result<()> {
        let scratch = cache::scratch_beside(path)?;
        let output = Command::new("go")
            .args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-tags", self.tags, "-ldflags"])
            .arg(&self.linker_flags)
            .arg("-o")
            .arg(&scratch)
            .arg(tool.package())
            .current_dir(&self.module_folder)
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off")
            .output()
            .context("cannot run go")?;
        anyhow::ensure!(
            output.status.success(),
            "go could not build {} {}:\n{}",
            tool.name(),
            self.version,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        fs::rename(&scratch, path).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The version of `module` a go.mod asks for.
fn required_version(go_mod: &str, module: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next() == Some(module)).then(|| words.next()).flatten().map(ToOwned::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::{Group, required_version};

    #[test]
    fn the_version_is_read_from_the_pins() {
        let go_mod = "module x\n\nrequire k8s.io/kubernetes v1.37.2\n\nrequire (\n\tsigs.k8s.io/kwok v0.8.0\n)\n";
        assert_eq!(required_version(go_mod, "k8s.io/kubernetes").as_deref(), Some("v1.37.2"));
        assert_eq!(required_version(go_mod, "sigs.k8s.io/kwok").as_deref(), Some("v0.8.0"));
        assert_eq!(required_version(go_mod, "sigs.k8s.io"), None);
    }

    #[test]
    fn kubernetes_is_told_its_version() {
        let flags = Group::Kubernetes.linker_flags("v1.37.2");
        assert!(flags.contains("-X k8s.io/component-base/version.gitMinor=37 "), "{flags}");
    }
}
