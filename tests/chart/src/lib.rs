//! What does the chart make of its values? Helm itself answers, built from the version `tests/tools/helm` pins.

pub mod cluster;
pub mod fleet;

use anyhow::Context;
use gotocloud_harness::{Terminal, Tool, Tools};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The name the tests install the chart under.
pub const RELEASE: &str = "gotocloud";
/// The namespace they install it in.
pub const NAMESPACE: &str = "gotocloud-system";

/// The folder of the chart.
pub fn chart() -> PathBuf {
    repository().join("charts/gotocloud")
}

/// The folder of the whole project.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Values that turn everything on and change everything that can be changed.
pub fn everything() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("values/everything.yaml")
}

/// Runs Helm, whatever it answers.
pub fn helm<I, S>(arguments: I) -> anyhow::Result<Output>
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let tools = Tools::ensure(&[Tool::Helm], &Terminal)?;
    Command::new(tools.path(Tool::Helm))
        .args(arguments)
        // Neither repositories nor plug-ins of whoever runs the tests.
        .env("HELM_CONFIG_HOME", repository().join("target/chart-tests/config"))
        .env("HELM_CACHE_HOME", repository().join("target/chart-tests/cache"))
        .env("HELM_DATA_HOME", repository().join("target/chart-tests/data"))
        .env_remove("KUBECONFIG")
        .output()
        .context("cannot run helm")
}

/// What `helm template` prints with these further arguments.
pub fn render(arguments: &[&str]) -> anyhow::Result<String> {
    let folder = chart();
    let folder = folder.to_string_lossy();
    let fixed = ["template", RELEASE, &folder, "--namespace", NAMESPACE];
    let output = helm(fixed.iter().chain(arguments))?;
    anyhow::ensure!(output.status.success(), "helm template: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).context("helm prints something other than text")
}

/// The objects `helm template` makes with these further arguments.
pub fn objects(arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let documents: Vec<Value> = serde_yaml::from_multiple(&render(arguments)?).context("helm prints no YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// The text at a JSON pointer, or nothing.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of the list at a JSON pointer.
pub fn texts<'a>(object: &'a Value, pointer: &str) -> Vec<&'a str> {
    let list = object.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What `helm install` tells the person, with these further arguments.
pub fn notes(arguments: &[&str]) -> anyhow::Result<String> {
    let folder = chart();
    let folder = folder.to_string_lossy();
    let fixed = ["install", RELEASE, &folder, "--namespace", NAMESPACE, "--dry-run=client", "--output=json"];
    let output = helm(fixed.iter().chain(arguments))?;
    anyhow::ensure!(output.status.success(), "helm install: {}", String::from_utf8_lossy(&output.stderr));
    let release: Value = serde_json::from_slice(&output.stdout).context("helm prints no JSON")?;
    Ok(text(&release, "/info/notes").to_owned())
}
