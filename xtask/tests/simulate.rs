//! `cargo xtask simulate` says in its exit code and its output whether a law was broken.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use serde_json::Value;
use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("simulate").args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {output:?}"))
}

#[test]
fn where_no_law_is_broken_it_ends_well_with_one_line_of_json() {
    let output = simulate(&["--seed", "3", "--fleet", "2", "--days", "2", "--json"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");

    let said = json(&output);
    assert_eq!((&said["seed"], &said["fleet"], &said["days"]), (&3.into(), &2.into(), &2.into()));
    assert!(said["events"].as_u64().unwrap() > 100, "{said}");
    assert_eq!(said["trace"].as_str().unwrap().len(), 64, "{said}");
    assert_eq!(said["broken"], Value::Null);
}

#[test]
fn where_a_law_is_broken_it_fails_and_names_the_law_and_the_command_that_plays_it_again() {
    let again = ["--seed", "0", "--fleet", "4", "--days", "20", "--fault", "NamesNoVersion"];
    let output = simulate(&[&again[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");

    let broken = json(&output)["broken"].clone();
    let law = broken["law"].as_str().unwrap();
    assert_eq!(law, "a status is written over what it was decided on, and over nothing else");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(law) && told.contains(broken["what"].as_str().unwrap()), "{told}");

    // The command it prints breaks the same law after the same event, and shows what led to it.
    let (_, command) = told.trim_end().split_once("cargo xtask simulate ").expect(&told);
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words, again);
    let output = simulate(&words);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), told);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.trim_end().ends_with(&format!("BROKEN: {law}: {}", broken["what"].as_str().unwrap())), "{shown}");
}
