//! What do those who wait for objects make of them: Flux, Argo CD, Helm? By the library that they use.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::Context;
use serde_json::{Value, json};

use crate::progress::Progress;
use crate::tools::{Tool, Tools};

/// What kstatus says of each object: `Current`, `InProgress`, `Failed`, `Terminating` and the like.
pub fn of(objects: &[Value], progress: &dyn Progress) -> anyhow::Result<Vec<String>> {
    let tools = Tools::ensure(&[Tool::Kstatus], progress)?;
    let mut child = Command::new(tools.path(Tool::Kstatus))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run kstatus")?;
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let mut input = child.stdin.take().context("kstatus takes no input")?;
    // It reads all before it answers.
    input.write_all(list.as_bytes())?;
    drop(input);

    let output = child.wait_with_output()?;
    anyhow::ensure!(output.status.success(), "kstatus: {}", output.status);
    let answers = String::from_utf8(output.stdout)?;
    let status = |line: &str| -> anyhow::Result<String> {
        let answer: Value = serde_json::from_str(line)?;
        Ok(answer["status"].as_str().unwrap_or_default().to_owned())
    };
    answers.lines().map(status).collect()
}
