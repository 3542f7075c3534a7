//! Do the documents keep up with the code? Every reason has a runbook, every link leads somewhere, every command exists.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Folders of the checkout that hold nothing of the project's own.
const NOT_OURS: [&str; 3] = [".git", "target", "node_modules"];

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The variants of a fieldless or plain enum, as its source names them: what stands first in a line, one level in.
fn variants(source: &str, of: &str) -> BTreeSet<String> {
    let (_, body) = source.split_once(&format!("enum {of} {{\n")).unwrap_or_else(|| panic!("there is no enum {of}"));
    let (body, _) = body.split_once("\n}").unwrap_or_else(|| panic!("the enum {of} has no end"));
    let names = body.lines().filter_map(|line| line.strip_prefix("    ")).map(word);
    names.filter(|name| name.starts_with(|first: char| first.is_ascii_uppercase())).collect()
}

/// The letters and digits a text begins with.
fn word(text: &str) -> String {
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !NOT_OURS.contains(&name) {
                documents(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The lines of a document that are text, not examples between fences.
fn prose(document: &str) -> Vec<&str> {
    let mut is_fenced = false;
    let mut lines = Vec::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            lines.push(line);
        }
    }
    lines
}

/// The targets of the links in a line that lead to a file of the repository.
fn relative_links(line: &str) -> Vec<&str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let files = targets.filter_map(|target| target.split('#').next());
    files.filter(|file| !file.is_empty() && !file.contains("://") && !file.starts_with("mailto:")).collect()
}

#[test]
fn every_reason_has_its_line_in_the_index_of_runbooks_and_no_other_has() {
    let reasons = variants(&read(&checkout().join("operator/api/src/conditions.rs")), "Reason");
    assert!(reasons.len() > 30 && reasons.contains("AsDesired"), "the reasons were not read: {reasons:?}");
    let index = read(&checkout().join("docs/runbooks/README.md"));
    let (_, table) = index.split_once("## Every reason").unwrap_or_else(|| panic!("the index lists no reasons"));
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let listed: BTreeSet<String> = rows.iter().map(|row| word(row.trim_start_matches("| `"))).collect();
    assert_eq!(listed, reasons, "docs/runbooks/README.md and the reasons differ");
    assert_eq!(rows.len(), reasons.len(), "a reason is listed twice");
    for row in rows {
        let reason = word(row.trim_start_matches("| `"));
        let pages = relative_links(row);
        let [page] = pages[..] else { panic!("{reason} leads to {pages:?}, not to one page") };
        let page_text = read(&checkout().join("docs/runbooks").join(page));
        assert!(page_text.contains(&format!("`{reason}`")), "docs/runbooks/{page} does not speak of {reason}");
    }
}

#[test]
fn every_link_within_the_repository_leads_to_a_file() {
    let mut found = Vec::new();
    documents(&checkout(), &mut found);
    assert!(found.len() > 10, "the documents were not found: {found:?}");
    let mut broken = Vec::new();
    for document in found {
        let folder = document.parent().map(Path::to_path_buf).unwrap_or_default();
        let text = read(&document);
        let links = prose(&text).into_iter().flat_map(relative_links);
        broken.extend(
            links
                .filter(|link| !folder.join(link).exists())
                .map(|link| format!("{}: {link}", document.strip_prefix(checkout()).unwrap_or(&document).display())),
        );
    }
    assert!(broken.is_empty(), "these links lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_developer_command_that_is_mentioned_exists() {
    let commands: BTreeSet<String> = variants(&read(&checkout().join("xtask/src/main.rs")), "Command")
        .into_iter()
        .map(|variant| variant.to_ascii_lowercase())
        .collect();
    assert!(commands.contains("demo") && commands.contains("test"), "the commands were not read: {commands:?}");
    let mut found = Vec::new();
    documents(&checkout(), &mut found);
    for document in found {
        let text = read(&document);
        for rest in text.split("cargo xtask ").skip(1) {
            let command = word(rest);
            assert!(
                command.is_empty() || commands.contains(&command),
                "{} mentions `cargo xtask {command}`, which does not exist",
                document.display()
            );
        }
    }
}
