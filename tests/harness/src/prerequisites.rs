//! Can this machine build the control plane, and if not, what is to be installed?

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::cache;

/// Bytes a cold build leaves in Go's caches and in ours.
const DISK_NEEDED: u64 = 12 * 1024 * 1024 * 1024;

/// Something the machine lacks. Displayed as one sentence that says how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// No Go, or one too old for the pinned modules.
    Go {
        /// The version the pinned modules ask for, such as `1.26.0`.
        needed: String,
        /// The version found, if there is a Go at all.
        found: Option<String>,
    },
    /// No C compiler, which Rust links with.
    Compiler,
    /// Too little room where the cache is.
    Disk {
        /// Free bytes.
        free: u64,
        /// The folder on the full disk.
        folder: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Go { needed, found } => write!(
                out,
                "Go {needed} or later is needed to build the control plane; found {}: install it from \
                 https://go.dev/dl or your distribution",
                found.as_deref().unwrap_or("none"),
            ),
            Self::Compiler => write!(
                out,
                "a C compiler called cc is needed to link; found none: install your distribution's gcc or clang \
                 (Debian: apt-get install gcc libc6-dev)",
            ),
            Self::Disk { free, folder } => write!(
                out,
                "{} GB of disk are needed to build the control plane the first time; {folder} has {}: free some, or \
                 set GOTOCLOUD_CACHE, GOCACHE and GOMODCACHE to folders on a larger disk",
                DISK_NEEDED >> 30,
                free >> 30,
            ),
        }
    }
}

/// Everything this machine lacks to build what `tests/tools` pins; empty when it can.
pub fn missing() -> anyhow::Result<Vec<Missing>> {
    let mut missing = Vec::new();
    let needed = go_version_needed(&cache::pins().join("kubernetes"))?;
    let found = go_version();
    if found.as_deref().is_none_or(|found| number(found) < number(&needed)) {
        missing.push(Missing::Go { needed, found });
    }
    if !Command::new("cc").arg("--version").output().is_ok_and(|output| output.status.success()) {
        missing.push(Missing::Compiler);
    }
    let folder = cache::root()?;
    if let Some(free) = free_bytes(&folder).filter(|free| *free < DISK_NEEDED) {
        missing.push(Missing::Disk { free, folder: folder.display().to_string() });
    }
    Ok(missing)
}

/// Fails with one line for each thing this machine lacks.
pub fn check() -> anyhow::Result<()> {
    let missing = missing()?;
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = missing.iter().map(ToString::to_string).collect();
    anyhow::bail!("{}", lines.join("\n"))
}

/// The version of the Go on the path, such as `1.26.8`. Asked inside a pinned module, so that Go's own choice of a
/// toolchain counts.
pub(crate) fn go_version() -> Option<String> {
    let output = Command::new("go").args(["env", "GOVERSION"]).current_dir(cache::pins().join("kubernetes")).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let version = text.trim().strip_prefix("go")?;
    (!version.is_empty()).then(|| version.to_owned())
}

fn go_version_needed(module: &Path) -> anyhow::Result<String> {
    let path = module.join("go.mod");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("go "))
        .map(|version| version.trim().to_owned())
        .with_context(|| format!("{} names no Go version", path.display()))
}

/// `1.26.8-custom` as (1, 26, 8); what is missing counts as 0.
fn number(version: &str) -> (u32, u32, u32) {
    let mut parts = version.split('.').map(|part| {
        part.split(|letter: char| !letter.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
    });
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Free bytes on the disk that holds `folder` or will; unknown where `df` is not to be had.
fn free_bytes(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|ancestor| ancestor.is_dir())?;
    let output = Command::new("df").arg("-Pk").arg(existing).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let kilobytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::{Missing, number};

    #[test]
    fn versions_compare_as_numbers() {
        assert!(number("1.9") < number("1.26.0"));
        assert!(number("1.26.8") >= number("1.26"));
        assert!(number("1.27rc1") > number("1.26.8"));
    }

    #[test]
    fn what_is_missing_says_how_to_get_it() {
        let sentence = Missing::Go { needed: "1.26.0".to_owned(), found: Some("1.19".to_owned()) }.to_string();
        assert_eq!(
            sentence,
            "Go 1.26.0 or later is needed to build the control plane; found 1.19: install it from \
             https://go.dev/dl or your distribution"
        );
    }
}
