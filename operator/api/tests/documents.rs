//! Do the tables of the documents that say where each rule lives speak of files and functions that there are?

#![allow(clippy::unwrap_used)] // a test stops where something is not as it must be

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the paths of the tables begin, the first that has one counting.
const BASES: [&str; 7] = [
    "",
    "operator/planner/src",
    "tests/planner",
    "operator/planner/tests",
    "operator/planner",
    "operator/api/src",
    "operator/api",
];

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The rows of the table below a heading.
fn rows(document: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(checkout().join(document)).unwrap();
    let section = text.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("{document}: no {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
        .skip(1)
        .map(str::to_owned)
        .collect()
}

/// The words of a cell that are set as code.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The file or folder that a table means by that path.
fn meant(path: &str) -> Option<PathBuf> {
    // Documents leave the folder of the sources out.
    let crates = [
        ("planner/", "operator/planner/src/"),
        ("controller/", "operator/controller/src/"),
        ("api/", "operator/api/src/"),
    ];
    let whole = crates.iter().find_map(|(short, long)| path.strip_prefix(short).map(|rest| format!("{long}{rest}")));
    let beside = BASES.iter().map(|base| checkout().join(base).join(path));
    whole.map(|path| checkout().join(path)).into_iter().chain(beside).find(|path| path.exists())
}

fn is_path(word: &str) -> bool {
    word.contains('/') || [".rs", ".yaml", ".md"].iter().any(|ending| word.ends_with(ending))
}

fn is_name(word: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    !word.is_empty() && word.chars().all(is_letter) && word.starts_with(|letter: char| letter.is_ascii_alphabetic())
}

/// Does a source define that function, method or type?
fn defines(source: &str, name: &str) -> bool {
    let name = name.rsplit("::").next().unwrap_or(name);
    ["fn", "struct", "enum", "trait", "const", "type", "mod"].iter().any(|kind| {
        source.match_indices(&format!("{kind} {name}")).any(|(at, found)| {
            source[at + found.len()..].chars().next().is_none_or(|next| !next.is_alphanumeric() && next != '_')
        })
    })
}

fn sources(path: &Path) -> String {
    if path.is_file() {
        return fs::read_to_string(path).unwrap();
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.is_dir() || path.extension().is_some_and(|ending| ending == "rs"))
        .map(|path| sources(&path))
        .collect()
}

fn wrong_in(document: &str, heading: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let rows = rows(document, heading);
    assert!(rows.len() > 10, "{document}: {} rows", rows.len());
    for row in &rows {
        for cell in row.split('|').skip(2) {
            let mut file: Option<PathBuf> = None;
            for word in code(cell) {
                if is_path(word) {
                    file = meant(word);
                    if file.is_none() {
                        wrong.push(format!("{document}: there is no {word}: {row}"));
                    }
                } else if let Some(file) = file.as_ref().filter(|_| is_name(word))
                    && !defines(&sources(file), word)
                {
                    wrong.push(format!("{document}: no {word} in {}: {row}", file.display()));
                }
            }
        }
    }
    wrong
}

#[test]
fn each_rule_lives_where_the_architecture_says() {
    assert_eq!(wrong_in("docs/ARCHITECTURE.md", "Where each rule lives"), Vec::<String>::new());
}

#[test]
fn each_attack_is_tried_where_the_page_on_security_says() {
    assert_eq!(wrong_in("docs/security.md", "What each attacker reaches"), Vec::<String>::new());
}

#[test]
fn each_rule_of_campaigns_is_held_where_their_page_says() {
    assert_eq!(wrong_in("docs/campaigns.md", "Where each rule is held"), Vec::<String>::new());
}
