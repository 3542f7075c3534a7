//! May each dependency stay, by its licence, its name and where it comes from? What may is said in `deny.toml`; cargo-deny
//! knows more (`cargo xtask test licences`), and takes minutes to be built.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use serde_json::Value;
use spdx::{Expression, Licensee, ParseMode};
use std::process::Command;

/// The packages that the operator's image and the developers' machines are built from, as cargo tells them.
fn packages() -> Vec<Value> {
    let arguments = ["metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"];
    let output = Command::new(env!("CARGO")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let used: Vec<&Value> = all["resolve"]["nodes"].as_array().unwrap().iter().map(|node| &node["id"]).collect();
    all["packages"].as_array().unwrap().iter().filter(|package| used.contains(&&package["id"])).cloned().collect()
}

fn rules() -> toml::Table {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deny.toml")).unwrap().parse().unwrap()
}

/// Each is refused for what it says, as a sentence.
fn refused(packages: &[Value], rules: &toml::Table) -> Vec<String> {
    let list = |part: &str, of: &str| rules[part][of].as_array().unwrap().clone();
    let allowed: Vec<Licensee> =
        list("licenses", "allow").iter().map(|one| Licensee::parse(one.as_str().unwrap()).unwrap()).collect();
    let banned: Vec<String> = list("bans", "deny").iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();

    packages
        .iter()
        .filter_map(|package| {
            let name = package["name"].as_str().unwrap();
            let licence = package["license"].as_str().unwrap_or_default();
            let source = package["source"].as_str();
            let is_allowed = Expression::parse_mode(licence, ParseMode::LAX)
                .is_ok_and(|licence| licence.evaluate(|one| allowed.iter().any(|allowed| allowed.satisfies(one))));
            if banned.iter().any(|banned| banned == name) {
                Some(format!("{name} is banned in deny.toml"))
            } else if source.is_some_and(|source| !source.starts_with("registry+")) {
                Some(format!("{name} comes from {source:?}, which is no registry"))
            } else {
                (!is_allowed).then(|| format!("{name} has the licence {licence:?}, which deny.toml does not allow"))
            }
        })
        .collect()
}

#[test]
fn every_dependency_may_stay() {
    let packages = packages();
    assert!(packages.len() > 100, "cargo tells {} packages", packages.len());
    assert_eq!(refused(&packages, &rules()), Vec::<String>::new());
}

#[test]
fn one_with_another_licence_name_or_source_may_not() {
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let one = |name: &str, licence: &str, source: &str| {
        refused(&[serde_json::json!({"name": name, "license": licence, "source": source})], &rules()).len()
    };
    assert_eq!(one("a", "MIT OR GPL-3.0-only", registry), 0);
    assert_eq!(one("a", "Apache-2.0/MIT", registry), 0, "the old way to write it");
    assert_eq!(one("a", "MIT AND GPL-3.0-only", registry), 1);
    assert_eq!(one("a", "", registry), 1);
    assert_eq!(one("native-tls", "MIT", registry), 1);
    assert_eq!(one("a", "MIT", "git+https://git.example.org/a"), 1);
}
