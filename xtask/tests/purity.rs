//! Are decisions made of values alone? By what the crates that decide depend on, and by what their source names.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The crates that decide, and where their source is.
const PURE: [(&str, &str); 2] = [("gotocloud-planner", "operator/planner/src"), ("gotocloud-api", "operator/api/src")];

/// What runs tasks, speaks to others, or gives another answer each time. Of `kube`, they have the types alone.
const IMPURE: [&str; 24] = [
    "async-io",
    "async-std",
    "futures-executor",
    "getrandom",
    "h2",
    "hyper",
    "kube-client",
    "kube-runtime",
    "mio",
    "native-tls",
    "polling",
    "rand",
    "reqwest",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
    "tokio-postgres",
    "tonic",
    "tower",
    "tracing",
    "ureq",
];

/// What asks for the time, a file, the network, the machine or a task.
const ASKS: [&str; 16] = [
    "Timestamp::now",
    "Zoned::now",
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "TimeZone::system",
    "fs",
    "File::",
    "TcpStream",
    "UdpSocket",
    "env::",
    "process::",
    "thread::",
    "async",
    "await",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crates that one is built from, itself included, by their names.
fn built_from(package: &str) -> BTreeSet<String> {
    let arguments = ["tree", "--locked", "--edges", "normal", "--prefix", "none", "--package", package];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The files of Rust in a folder and below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    rust.chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}

/// The first of [`ASKS`] that a line of code names as a word of its own.
fn asks(line: &str) -> Option<&'static str> {
    let is_of_a_word = |character: char| character.is_alphanumeric() || character == '_';
    let code = line.split("//").next().unwrap_or_default();
    ASKS.into_iter().find(|asked| {
        code.match_indices(asked).any(|(at, _)| {
            let is_inside = code[..at].ends_with(is_of_a_word)
                || (asked.ends_with(is_of_a_word) && code[at + asked.len()..].starts_with(is_of_a_word));
            !is_inside
        })
    })
}

#[test]
fn what_decides_depends_on_nothing_that_does_io_keeps_time_or_runs_tasks() {
    for (package, _) in PURE {
        let built_from = built_from(package);
        assert!(built_from.contains("serde_json"), "{package} is built from {built_from:?}");
        let impure: Vec<_> = IMPURE.into_iter().filter(|name| built_from.contains(*name)).collect();
        assert_eq!(impure, Vec::<&str>::new(), "of what {package} is built from");
    }
}

#[test]
fn the_operator_depends_on_some_of_it() {
    let built_from = built_from("gotocloud-operator");
    for name in ["tokio", "hyper", "kube-client", "kube-runtime", "rand", "rustls", "tower", "tracing"] {
        assert!(IMPURE.contains(&name) && built_from.contains(name), "{name}");
    }
}

#[test]
fn what_decides_asks_for_no_time_file_network_or_task() {
    for (package, folder) in PURE {
        let files = files(&root().join(folder));
        assert!(files.len() > 10, "{package} has {} files", files.len());
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            for (at, line) in text.lines().enumerate() {
                let asked = asks(line);
                assert!(asked.is_none(), "{}:{}: {} asks for more than values", path.display(), at + 1, asked.unwrap());
            }
        }
    }
}

#[test]
fn a_line_asks_by_a_word_of_its_own() {
    assert_eq!(asks("let now = Timestamp::now();"), Some("Timestamp::now"));
    assert_eq!(asks("use std::{collections::BTreeMap, fs};"), Some("fs"));
    assert_eq!(asks("async fn plan() {}"), Some("async"));
    assert_eq!(asks("refs::all(awaited) // Timestamp::now"), None);
}
