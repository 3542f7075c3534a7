//! Are these dotted numbers a version? [`VersionScheme::Dotted`], which is also the version of a package in a set.
//!
//! [`VersionScheme::Dotted`]: super::VersionScheme::Dotted

use std::fmt;

use super::error::{VersionProblem, excerpt};
use super::numbers::Numbers;

/// Two to four numbers, with the zeros in front their editor likes.
pub(super) const PATTERN: &str = "^[0-9]{1,9}([.][0-9]{1,9}){1,3}$";

/// Reads `6.20.70`. Four numbers are the most because a fifth would have no kind of change to its name.
pub(super) fn read(text: &str) -> Result<Numbers, VersionProblem> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(VersionProblem::EmptyPart { part: excerpt(text) });
    }
    if !(2..=4).contains(&parts.len()) {
        let (part, found) = (excerpt(text), parts.len());
        return Err(VersionProblem::PartCount { part, found, expected: "two to four" });
    }
    Numbers::read(parts)
}

/// Writes what [`read`] reads, zeros in front included.
pub(super) fn write(numbers: &Numbers, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (place, (value, width)) in numbers.written().enumerate() {
        if place > 0 {
            f.write_str(".")?;
        }
        write!(f, "{value:0width$}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_to_four_numbers_make_a_version() {
        for text in ["6.20", "6.20.70", "6.20.70.1", "1.21.000", "0.0", "00.00"] {
            assert!(read(text).is_ok(), "{text}");
        }
        assert_eq!(
            read("6").unwrap_err(),
            VersionProblem::PartCount { part: "6".into(), found: 1, expected: "two to four" }
        );
        assert_eq!(
            read("6.20.70.1.2").unwrap_err(),
            VersionProblem::PartCount { part: "6.20.70.1.2".into(), found: 5, expected: "two to four" }
        );
        assert_eq!(read("6..70").unwrap_err(), VersionProblem::EmptyPart { part: "6..70".into() });
        assert_eq!(read("6.x").unwrap_err(), VersionProblem::NotANumber { part: "x".into() });
    }
}
