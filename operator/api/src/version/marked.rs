//! Is this `V` with numbers a version? The two schemes marked with a V: [`VersionScheme::MajorMinor`] and
//! [`VersionScheme::MajorMinorRevision`].
//!
//! [`VersionScheme::MajorMinor`]: super::VersionScheme::MajorMinor
//! [`VersionScheme::MajorMinorRevision`]: super::VersionScheme::MajorMinorRevision

use std::fmt;

use super::error::{VersionProblem, excerpt};
use super::numbers::Numbers;

/// `V<major>.<minor>`, neither with a zero in front.
pub(super) const MAJOR_MINOR_PATTERN: &str = "^V(0|[1-9][0-9]{0,8})[.](0|[1-9][0-9]{0,8})$";

/// `V<major>.<minor>.<revision>`, then perhaps `-P<patch>`: revision and patch on two digits, patches counted from 01.
pub(super) const MAJOR_MINOR_REVISION_PATTERN: &str =
    "^V(0|[1-9][0-9]{0,8})[.](0|[1-9][0-9]{0,8})[.][0-9]{2}(-P(0[1-9]|[1-9][0-9]))?$";

/// Reads `V2.3`.
pub(super) fn read_major_minor(text: &str) -> Result<Numbers, VersionProblem> {
    let dotted = unmarked(text)?;
    let [major, minor] = split(dotted, "two")?;
    Numbers::read([unpadded(major)?, unpadded(minor)?])
}

/// Reads `V1.4.00` or `V1.4.00-P01`.
pub(super) fn read_major_minor_revision(text: &str) -> Result<Numbers, VersionProblem> {
    let unmarked = unmarked(text)?;
    let (dotted, patch) = match unmarked.split_once('-') {
        Some((dotted, patch)) => (dotted, Some(patch)),
        None => (unmarked, None),
    };
    let [major, minor, revision] = split(dotted, "three")?;
    let (major, minor) = (unpadded(major)?, unpadded(minor)?);
    if !two_digits(revision) {
        return Err(VersionProblem::Revision { part: excerpt(revision) });
    }
    let Some(patch) = patch else { return Numbers::read([major, minor, revision]) };
    // `-P00` is refused: "no patch" is written by leaving the suffix out, and one version has one text.
    match patch.strip_prefix('P') {
        Some(number) if two_digits(number) && number != "00" => Numbers::read([major, minor, revision, number]),
        Some(_) | None => Err(VersionProblem::Patch { part: excerpt(patch) }),
    }
}

/// Writes what [`read_major_minor`] reads.
pub(super) fn write_major_minor(numbers: &Numbers, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let [major, minor, ..] = numbers.values();
    write!(f, "V{major}.{minor}")
}

/// Writes what [`read_major_minor_revision`] reads.
pub(super) fn write_major_minor_revision(numbers: &Numbers, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let [major, minor, revision, patch] = numbers.values();
    write!(f, "V{major}.{minor}.{revision:02}")?;
    if patch > 0 {
        write!(f, "-P{patch:02}")?;
    }
    Ok(())
}

fn unmarked(text: &str) -> Result<&str, VersionProblem> {
    text.strip_prefix('V').ok_or(VersionProblem::NoMark)
}

/// The `N` parts between dots; `expected` is `N` in words, for the message.
fn split<'a, const N: usize>(dotted: &'a str, expected: &'static str) -> Result<[&'a str; N], VersionProblem> {
    let parts: Vec<&str> = dotted.split('.').collect();
    let found = parts.len();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(VersionProblem::EmptyPart { part: excerpt(dotted) });
    }
    parts.try_into().map_err(|_| VersionProblem::PartCount { part: excerpt(dotted), found, expected })
}

fn unpadded(part: &str) -> Result<&str, VersionProblem> {
    if part.len() > 1 && part.starts_with('0') {
        return Err(VersionProblem::LeadingZero { part: excerpt(part) });
    }
    Ok(part)
}

fn two_digits(part: &str) -> bool {
    part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> VersionProblem {
        read_major_minor_revision(text).unwrap_err()
    }

    #[test]
    fn a_revision_and_a_patch_are_two_digits() {
        assert_eq!(problem("V1.4.0"), VersionProblem::Revision { part: "0".into() });
        assert_eq!(problem("V1.4.000"), VersionProblem::Revision { part: "000".into() });
        for patch in ["P1", "P001", "P00", "p01", "01", "", "P", "P01-P02", "P+1"] {
            assert_eq!(problem(&format!("V1.4.00-{patch}")), VersionProblem::Patch { part: patch.into() });
        }
    }

    #[test]
    fn a_major_and_a_minor_are_written_without_zero_in_front() {
        assert!(read_major_minor("V0.0").is_ok());
        assert_eq!(read_major_minor("V2.03").unwrap_err(), VersionProblem::LeadingZero { part: "03".into() });
        assert_eq!(problem("V01.4.00"), VersionProblem::LeadingZero { part: "01".into() });
    }

    #[test]
    fn a_version_starts_with_a_capital_v() {
        assert_eq!(read_major_minor("2.3").unwrap_err(), VersionProblem::NoMark);
        assert_eq!(read_major_minor("v2.3").unwrap_err(), VersionProblem::NoMark);
        assert_eq!(read_major_minor(" V2.3").unwrap_err(), VersionProblem::NoMark);
    }

    #[test]
    fn the_numbers_are_counted() {
        assert_eq!(
            read_major_minor("V2").unwrap_err(),
            VersionProblem::PartCount { part: "2".into(), found: 1, expected: "two" }
        );
        assert_eq!(problem("V1.4"), VersionProblem::PartCount { part: "1.4".into(), found: 2, expected: "three" });
        assert_eq!(read_major_minor("V2.").unwrap_err(), VersionProblem::EmptyPart { part: "2.".into() });
        assert_eq!(read_major_minor("V").unwrap_err(), VersionProblem::EmptyPart { part: String::new() });
    }
}
