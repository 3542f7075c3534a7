//! A cluster of a test's own, gone when the test is over.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // a test stops where something is not as it must be

use crate::{NAMESPACE, RELEASE, chart, helm};
use gotocloud_harness::{Cluster, ClusterSpec, Terminal};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A new cluster, without the chart.
pub struct ScratchCluster(Cluster);

impl ScratchCluster {
    /// Starts it under that name, in the place of one that an interrupted test left.
    pub fn start(name: &str) -> Self {
        Cluster::down(name, &Terminal).unwrap();
        Self(Cluster::up(&ClusterSpec::new(name).nodes(1).optional_apis(&[]), &Terminal).unwrap())
    }

    /// Runs Helm on the release of the chart: `helm COMMAND RELEASE [CHART] ARGUMENTS`.
    pub fn helm(&self, command: &str, arguments: &[&str]) {
        let kubeconfig = format!("--kubeconfig={}", self.0.kubeconfig_path().display());
        let folder = chart().display().to_string();
        let mut all = vec![command, RELEASE];
        if matches!(command, "install" | "upgrade") {
            all.push(&folder);
        }
        all.extend(["--namespace", NAMESPACE, &kubeconfig]);
        all.extend(arguments);
        let output = helm(all).unwrap();
        assert!(output.status.success(), "helm {command}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Installs the chart a second time, as another release in another namespace, which Helm must refuse; what it says.
    pub fn second_release_is_refused(&self, namespace: &str, arguments: &[&str]) -> String {
        let kubeconfig = format!("--kubeconfig={}", self.0.kubeconfig_path().display());
        let folder = chart().display().to_string();
        let fixed = ["install", "second", &folder, "--namespace", namespace, "--create-namespace", &kubeconfig];
        let output = helm([&fixed, arguments].concat()).unwrap();
        assert!(!output.status.success(), "a second release was installed");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Installs the chart, and returns once the kinds are served.
    pub fn install(&self, arguments: &[&str]) {
        self.helm("install", &[&["--create-namespace"], arguments].concat());
        let definitions = ["--for=condition=Established", "crd", "-l", "app.kubernetes.io/part-of=gotocloud"];
        self.0.wait_for(&definitions, Duration::from_secs(30)).unwrap();
    }

    /// Applies an object as the administrator.
    pub fn make(&self, object: &Value) {
        self.0.apply(&object.to_string()).unwrap();
    }

    /// Applies an object as the administrator, which must be refused; what is said.
    pub fn is_refused_to_make(&self, object: &Value) -> String {
        match self.0.apply(&object.to_string()) {
            Ok(_) => panic!("{object} was not refused"),
            Err(error) => error.to_string(),
        }
    }

    /// Applies an object as `user`, an argument such as `--as=jane`, again and again until it is made: a new role binding
    /// takes a moment to be seen by the API server's authorizer.
    pub fn make_as(&self, object: &Value, user: &str) {
        let file = self.file(object);
        self.does_soon(&["apply", "--server-side", "--field-manager=gotocloud-operator", &file, user]);
    }

    /// Applies an object as `user`, which must be refused; what is said.
    pub fn is_refused_to_make_as(&self, object: &Value, user: &str) -> String {
        let file = self.file(object);
        self.is_refused(&["apply", "--server-side", "--force-conflicts", "--field-manager=attacker", &file, user])
    }

    /// Tries to apply an object as `user`, changing nothing, until it is refused in these words; all that is said.
    pub fn is_refused_to_make_soon_as(&self, object: &Value, user: &str, words: &str) -> String {
        let file = self.file(object);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let tried = self.0.kubectl(&["apply", "--server-side", "--dry-run=server", &file, user]);
            match tried {
                Err(error) if error.to_string().contains(words) => return error.to_string(),
                other => assert!(Instant::now() < deadline, "{words:?} is not said: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// kubectl's argument for a file that holds the object, until the next is asked for.
    pub fn file(&self, object: &Value) -> String {
        let path = self.0.kubeconfig_path().with_file_name("object.json");
        std::fs::write(&path, object.to_string()).unwrap();
        format!("--filename={}", path.display())
    }

    /// Runs kubectl, which must succeed; what it prints.
    pub fn does(&self, arguments: &[&str]) -> String {
        self.0.kubectl(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// Runs kubectl, which must fail; what it says.
    pub fn is_refused(&self, arguments: &[&str]) -> String {
        match self.0.kubectl(arguments) {
            Ok(done) => panic!("{arguments:?} was not refused: {done}"),
            Err(error) => error.to_string(),
        }
    }

    /// Runs kubectl again and again, until it succeeds.
    pub fn does_soon(&self, arguments: &[&str]) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.0.kubectl(arguments) {
                Ok(done) => return done,
                Err(error) => assert!(Instant::now() < deadline, "{arguments:?}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs kubectl again and again, until it fails.
    pub fn is_refused_soon(&self, arguments: &[&str]) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.0.kubectl(arguments) {
                Ok(_) => assert!(Instant::now() < deadline, "{arguments:?} is not refused"),
                Err(error) => return error.to_string(),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Returns once the object is gone.
    pub fn waits_until_gone(&self, kind: &str, name: &str) {
        self.0.wait_for(&["--for=delete", &format!("{kind}/{name}")], Duration::from_mins(1)).unwrap();
    }
}

impl Drop for ScratchCluster {
    fn drop(&mut self) {
        let _ = Cluster::down(self.0.name(), &Terminal);
    }
}
