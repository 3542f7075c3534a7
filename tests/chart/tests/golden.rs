//! What does the chart render? The definitions are left out: `definitions.rs` compares them with their source.

#![allow(clippy::unwrap_used)] // a test stops where something is not as it must be

use gotocloud_chart_tests::{everything, render};

#[test]
fn the_defaults() {
    insta::assert_snapshot!(render(&["--set", "crds.install=false"]).unwrap());
}

#[test]
fn everything_on() {
    insta::assert_snapshot!(render(&["--values", &everything().to_string_lossy()]).unwrap());
}

#[test]
fn the_notes_name_the_next_commands() {
    let notes = gotocloud_chart_tests::notes(&[]).unwrap();
    insta::assert_snapshot!(notes);
}
