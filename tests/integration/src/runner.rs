//! How do the tests of one file share an installation, which must go at the end whatever comes of them?
//!
//! By a main of their own: a value in a static is never dropped, and the default harness knows no last test.

use crate::Fleet;
use gotocloud_harness::{ClusterSpec, Installation, Silent, Terminal};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};

/// A test: its name, which is what it shows, and what it does.
pub type Test<'a> = (&'a str, fn(&mut Fleet));

/// Runs the tests that the command line names, or all, on one installation called `name`, and takes that down. Speaks
/// as the default harness does.
pub fn run(name: &str, spec: impl FnOnce(ClusterSpec) -> ClusterSpec, tests: &[Test<'_>]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--list") {
        for (test, _) in tests {
            println!("{test}: test");
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let asked = |test: &str| {
        filters.is_empty()
            || filters.iter().any(|filter| if has("--exact") { test == *filter } else { test.contains(filter) })
    };
    let asked: Vec<_> = tests.iter().filter(|(test, _)| asked(test) && !has("--ignored")).collect();
    println!("\nrunning {} tests", asked.len());
    let begun = Instant::now();
    let mut failed = Vec::new();
    if !asked.is_empty() {
        // One that was killed may have left its installation.
        Installation::down(name, &Silent).expect("what an earlier run left cannot be taken down");
        let fleet = catch_unwind(AssertUnwindSafe(|| Fleet::up(&spec(ClusterSpec::new(name)), &Terminal)));
        match fleet {
            Ok(mut fleet) => {
                for (test, body) in &asked {
                    let since = Instant::now();
                    let outcome = catch_unwind(AssertUnwindSafe(|| body(&mut fleet)));
                    let word = if outcome.is_ok() { "ok" } else { "FAILED" };
                    println!("test {test} ... {word} ({:.1} s)", since.elapsed().as_secs_f64());
                    if outcome.is_err() {
                        failed.push(*test);
                    }
                }
                if !failed.is_empty() {
                    fleet.print_end_of_log();
                }
            }
            Err(_) => failed.extend(asked.iter().map(|(test, _)| *test)),
        }
        if std::env::var_os("GOTOCLOUD_KEEP").is_none() {
            Installation::down(name, &Silent).expect("the installation cannot be taken down");
        }
    }
    for test in &failed {
        println!("failed: {test}");
    }
    let (word, passed) = (if failed.is_empty() { "ok" } else { "FAILED" }, asked.len() - failed.len());
    println!(
        "\ntest result: {word}. {passed} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        failed.len(),
        tests.len() - asked.len(),
        begun.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
