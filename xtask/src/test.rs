//! All tests, or some: what is needed is installed, and a summary closes.

mod files;

use anyhow::Context as _;
use clap::ValueEnum;
use gotocloud_harness::{Terminal, Tool, Tools, operator};
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
    time::Instant,
};

/// A part of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Formatting, clippy and the documentation of the code, with no warning left.
    Lint,
    /// What needs no cluster.
    Unit,
    /// The control plane, the database server and the operator's process that the other suites stand on.
    Harness,
    /// The chart: what it renders, allows and refuses.
    Chart,
    /// The operator against the real API server.
    Integration,
    /// What attackers try, of the suites above alone: only when named.
    Security,
    /// The operator killed at random moments, again and again, and what comes of it: only when named, for its length.
    Crash,
    /// A plan of seven years, replayed: only when named, for its length.
    Years,
    /// Licences and sources of all dependencies, by cargo-deny, which is built where it is missing: only when named.
    Licences,
}

/// A warning of rustdoc, such as a link that leads nowhere, is an error.
const DOC_WARNINGS: &str = "build.rustdocflags=['--deny', 'warnings']";
/// The version of cargo-deny.
const CARGO_DENY: &str = "0.20.2";

/// The packages whose tests need a cluster.
const WITH_CLUSTER: [&str; 3] = [HARNESS, CHART, INTEGRATION];
const HARNESS: &str = "gotocloud-harness";
const CHART: &str = "gotocloud-chart-tests";
const INTEGRATION: &str = "gotocloud-integration";

impl Suite {
    /// Those that run where none is named.
    const ALL: [Self; 5] = [Self::Lint, Self::Unit, Self::Harness, Self::Chart, Self::Integration];

    /// The arguments of the cargo commands that run it.
    fn commands(self) -> Vec<Vec<&'static str>> {
        match self {
            Self::Lint => vec![
                vec!["fmt", "--all", "--check"],
                vec!["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "--deny", "warnings"],
                vec!["doc", "--workspace", "--no-deps", "--locked", "--quiet", "--config", DOC_WARNINGS],
            ],
            Self::Unit => {
                let mut arguments = vec!["test", "--workspace", "--locked", "--no-fail-fast"];
                arguments.extend(WITH_CLUSTER.iter().flat_map(|package| ["--exclude", package]));
                vec![arguments]
            }
            Self::Harness | Self::Chart | Self::Integration => Vec::new(),
            Self::Security => vec![
                vec!["test", "--package", CHART, "--test", "policies", "--test", "rights", "--locked"],
                vec!["test", "--package", "gotocloud-operator", "--locked", "database::"],
                vec!["test", "--package", INTEGRATION, "--test", "isolation", "--test", "databases", "--locked"],
            ],
            Self::Crash => vec![vec!["test", "--package", INTEGRATION, "--test", "crash", "--locked"]],
            Self::Years => vec![vec!["test", "--package", INTEGRATION, "--test", "years", "--locked"]],
            Self::Licences => vec![
                vec!["install", "cargo-deny", "--locked", "--version", CARGO_DENY, "--quiet"],
                vec!["deny", "check", "licenses", "bans", "sources"],
            ],
        }
    }
}

impl Suite {
    /// The package whose test files it runs side by side, if it does.
    fn package(self) -> Option<&'static str> {
        match self {
            Self::Harness => Some(HARNESS),
            Self::Chart => Some(CHART),
            Self::Integration => Some(INTEGRATION),
            Self::Lint | Self::Unit | Self::Security | Self::Crash | Self::Years | Self::Licences => None,
        }
    }
}

#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Adds what a test runner says at its end, if the line is that.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let count = |what: &str| -> u64 {
            let part = result.split([';', '.']).map(str::trim).find_map(|part| part.strip_suffix(what));
            part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
        };
        self.passed += count(" passed");
        self.failed += count(" failed");
        self.ignored += count(" ignored");
    }
}

/// Runs the suites named, or all.
pub fn run(checkout: &Path, suites: &[Suite]) -> anyhow::Result<()> {
    let suites = if suites.is_empty() { &Suite::ALL[..] } else { suites };
    let needs_tools = |suite: &Suite| match suite {
        Suite::Harness | Suite::Chart | Suite::Integration | Suite::Security | Suite::Crash | Suite::Years => true,
        Suite::Lint | Suite::Unit | Suite::Licences => false,
    };
    if suites.iter().any(needs_tools) {
        Tools::ensure(&Tool::ALL, &Terminal)?;
    }
    let (mut rows, mut all) = (Vec::new(), Tally::default());
    for suite in suites {
        let begun = Instant::now();
        let mut tally = Tally::default();
        let mut fine = true;
        for arguments in suite.commands() {
            fine &= cargo(checkout, &arguments, &mut tally)?;
        }
        let mut costs = Vec::new();
        if let Some(package) = suite.package() {
            let (is_fine, of_files) = files::run(checkout, package, &mut tally)?;
            fine &= is_fine;
            costs = of_files;
        }
        // A command that fails without a failed test, such as a build that breaks, is a failure all the same.
        if !fine && tally.failed == 0 {
            tally.failed = 1;
        } else if fine && matches!(suite, Suite::Lint | Suite::Licences) {
            // These have no test runner that counts.
            tally.passed = u64::try_from(suite.commands().len())?;
        }
        anyhow::ensure!(!fine || tally.passed > 0, "{suite:?} ran no test");
        let row = format!(
            "{:<12} {:>4} passed {:>3} failed {:>3} ignored {:>7.1} s",
            format!("{suite:?}"),
            tally.passed,
            tally.failed,
            tally.ignored,
            begun.elapsed().as_secs_f64()
        );
        rows.push(row);
        costs.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        rows.extend(costs.iter().map(|(file, took)| format!("    {file:<48} {:>7.1} s", took.as_secs_f64())));
        all.passed += tally.passed;
        all.failed += tally.failed;
        all.ignored += tally.ignored;
    }
    println!("\n{}\n\n{} passed, {} failed, {} skipped", rows.join("\n"), all.passed, all.failed, all.ignored);
    anyhow::ensure!(all.failed == 0, "{} failed", all.failed);
    Ok(())
}

/// Runs cargo, passes on what it prints, and adds up what its test runners say. Gives whether it ended well.
fn cargo(checkout: &Path, arguments: &[&str], tally: &mut Tally) -> anyhow::Result<bool> {
    println!("$ cargo {}", arguments.join(" "));
    let mut child = operator::cargo(checkout)
        .args(arguments)
        .env("INSTA_UPDATE", "no")
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line?;
            println!("{line}");
            tally.add(&line);
        }
    }
    Ok(child.wait()?.success())
}
