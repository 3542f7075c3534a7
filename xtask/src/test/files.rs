//! The test files of a package, side by side: most of their time they wait for a control plane.

use super::Tally;
use anyhow::Context as _;
use gotocloud_harness::operator;
use serde_json::Value;
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

/// Files at once. Each has a control plane of its own, and CI has two processors.
const AT_ONCE: usize = 2;
/// The longest files, which begin first, so that none runs on when all others have ended.
const LONGEST: [&str; 3] = ["large_campaigns", "upgrade", "campaign_rules"];
/// Files that say how long something may take: they run alone, after the others.
const MEASURING: [&str; 1] = ["process"];

/// A test file, built.
struct File {
    name: String,
    program: PathBuf,
    /// The folder of its package, where cargo runs it too.
    folder: PathBuf,
}

/// What a test file printed, and how it ended.
struct Ended {
    name: String,
    output: String,
    is_fine: bool,
    took: Duration,
}

/// Builds the test files of `package` and runs them; what each printed follows when it ended. Gives whether all ended
/// well, and what each cost.
pub fn run(checkout: &Path, package: &str, tally: &mut Tally) -> anyhow::Result<(bool, Vec<(String, Duration)>)> {
    let Some(mut files) = build(checkout, package)? else { return Ok((false, Vec::new())) };
    files.sort_by_key(|file| LONGEST.iter().position(|name| *name == file.name).unwrap_or(LONGEST.len()));
    let (alone, together): (VecDeque<File>, VecDeque<File>) =
        files.into_iter().partition(|file| MEASURING.contains(&file.name.as_str()));

    let mut is_fine = true;
    let mut costs = Vec::new();
    for (files, at_once) in [(together, AT_ONCE), (alone, 1)] {
        for ended in run_at_once(files, at_once) {
            let ended = ended?;
            println!("── {package}: {} ({:.0} s)\n{}", ended.name, ended.took.as_secs_f64(), ended.output);
            ended.output.lines().for_each(|line| tally.add(line));
            is_fine &= ended.is_fine;
            costs.push((ended.name, ended.took));
        }
    }
    Ok((is_fine, costs))
}

/// Builds the test files of a package; `None` if that fails, which cargo has then said.
fn build(checkout: &Path, package: &str) -> anyhow::Result<Option<Vec<File>>> {
    let arguments = ["test", "--package", package, "--locked", "--no-run", "--message-format=json-render-diagnostics"];
    println!("$ cargo {}", arguments.join(" "));
    let built =
        operator::cargo(checkout).args(arguments).stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !built.status.success() {
        return Ok(None);
    }
    let messages = String::from_utf8(built.stdout).context("cargo's messages are no text")?;
    Ok(Some(messages.lines().filter_map(file).collect()))
}

/// The test file that a message of cargo's tells of, if it tells of one.
fn file(message: &str) -> Option<File> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_test = message["profile"]["test"] == true;
    let program = message["executable"].as_str().filter(|_| is_test)?;
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    Some(File {
        name: message["target"]["name"].as_str()?.to_owned(),
        program: program.into(),
        folder: folder.to_owned(),
    })
}

/// Runs files, so many at once; gives each when it ended.
fn run_at_once(files: VecDeque<File>, at_once: usize) -> impl Iterator<Item = anyhow::Result<Ended>> {
    let queue = std::sync::Arc::new(Mutex::new(files));
    let (ends, ended) = mpsc::channel();
    for _ in 0..at_once {
        let queue = std::sync::Arc::clone(&queue);
        let ends = ends.clone();
        std::thread::spawn(move || {
            let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
            while let Some(file) = next() {
                if ends.send(run_one(&file)).is_err() {
                    return;
                }
            }
        });
    }
    ended.into_iter()
}

fn run_one(file: &File) -> anyhow::Result<Ended> {
    let begun = Instant::now();
    let shell = Command::new("sh")
        // What it says and what it prints belong together, in their order.
        .args(["-c", "exec \"$0\" --test-threads=1 2>&1"])
        .arg(&file.program)
        .current_dir(&file.folder)
        .env("INSTA_UPDATE", "no")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", file.program.display()))?;
    Ok(Ended {
        name: file.name.clone(),
        output: String::from_utf8_lossy(&shell.stdout).into_owned(),
        is_fine: shell.status.success(),
        took: begun.elapsed(),
    })
}

#[cfg(test)]
mod tests {
    use super::file;

    #[test]
    fn only_messages_of_test_programs_name_a_file() {
        let of = |test: bool, program: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","target":{{"name":"drift"}},
                "profile":{{"test":{test}}},"executable":{program}}}"#
            )
        };
        let found = file(&of(true, "\"/t/drift-1\"")).unwrap();
        assert_eq!((found.name.as_str(), found.folder.to_str()), ("drift", Some("/a")));
        assert!(file(&of(false, "\"/t/drift-1\"")).is_none() && file(&of(true, "null")).is_none());
        assert!(file(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
