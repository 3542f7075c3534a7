//! Why is this text not a version? One variant a thing that can be wrong, each with the part that is at fault.

use super::{MAX_BYTES, MAX_DIGITS, MAX_PACKAGES, VersionScheme};

/// A text that is not a version of the scheme it was read in. Its sentence quotes the text, names the part at fault and
/// ends with the form to write and an example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "version `{text}` does not follow the scheme {scheme}: {problem}; write {}, for example `{}`",
    .scheme.form(),
    .scheme.example()
)]
pub struct VersionError {
    /// The scheme the text was read in.
    pub scheme: VersionScheme,
    /// The text, cut to a length a status message can carry and with control characters escaped.
    pub text: String,
    /// What is wrong with it.
    pub problem: VersionProblem,
}

/// What is wrong with a text that is not a version. The parts it quotes are cut and escaped as in [`VersionError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionProblem {
    /// Nothing was written.
    #[error("it is empty")]
    Empty,
    /// The text is longer than any version.
    #[error("it is {bytes} bytes long and no version is longer than {MAX_BYTES}")]
    TooLong {
        /// Length of the text, in bytes.
        bytes: usize,
    },
    /// The scheme marks its versions with a capital V, and the text has none.
    #[error("it does not start with a capital `V`")]
    NoMark,
    /// Too few or too many numbers between dots.
    #[error("`{part}` has {found} part{} between dots and not {expected}", if *.found == 1 { "" } else { "s" })]
    PartCount {
        /// The dotted text that was counted.
        part: String,
        /// How many parts it has.
        found: usize,
        /// How many it should have, in words.
        expected: &'static str,
    },
    /// Two dots with nothing between, or a dot at an end.
    #[error("there is no number beside one of the dots of `{part}`")]
    EmptyPart {
        /// The dotted text with the hole in it.
        part: String,
    },
    /// A part which is not made of the digits 0 to 9.
    #[error("`{part}` is not a number")]
    NotANumber {
        /// The part.
        part: String,
    },
    /// A number too long to be one (the bound keeps every number far from overflow).
    #[error("the number `{part}` has more than {MAX_DIGITS} digits")]
    TooManyDigits {
        /// The part.
        part: String,
    },
    /// A zero in front, in a scheme where numbers are written without: two texts would name one version.
    #[error("the number `{part}` starts with a zero")]
    LeadingZero {
        /// The part.
        part: String,
    },
    /// A revision which is not written with two digits.
    #[error("the revision `{part}` is not two digits")]
    Revision {
        /// The part.
        part: String,
    },
    /// What follows the hyphen is not `P` and two digits from 01.
    #[error("the patch `{part}` is not `P` and two digits from 01 to 99")]
    Patch {
        /// The part, without the hyphen.
        part: String,
    },
    /// Nothing before, after or between the `+` of a set of packages.
    #[error("there is no package beside one of its `+`")]
    EmptyPackage,
    /// A package name which is not one.
    #[error("the package name `{name}` is not 1 to 16 capital letters and digits starting with a letter")]
    PackageName {
        /// The name.
        name: String,
    },
    /// A package name alone.
    #[error("the package `{name}` has no version")]
    NoPackageVersion {
        /// The name.
        name: String,
    },
    /// The same package twice: which of the two versions is meant cannot be known.
    #[error("the package `{name}` is named twice")]
    DuplicatePackage {
        /// The name.
        name: String,
    },
    /// More packages than a set may hold.
    #[error("it names {found} packages and a set holds at most {MAX_PACKAGES}")]
    TooManyPackages {
        /// How many packages the text names.
        found: usize,
    },
}

/// Longest excerpt quoted in a message, in characters: enough to recognise the text, short enough for a condition.
const EXCERPT: usize = 64;

/// The text as a message may quote it: cut, and without a line break or an escape sequence that would reach a terminal.
pub(super) fn excerpt(text: &str) -> String {
    let mut quoted: String = text.chars().take(EXCERPT).flat_map(char::escape_debug).collect();
    if text.chars().nth(EXCERPT).is_some() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_cut_and_carries_no_line_break() {
        assert_eq!(excerpt("V2\n.3"), "V2\\n.3");
        assert_eq!(excerpt(&"é".repeat(65)), "é".repeat(64) + "…");
        assert_eq!(excerpt(&"é".repeat(64)), "é".repeat(64));
    }
}
