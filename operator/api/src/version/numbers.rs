//! What do the numbers of a version say, and in which order do they stand? The four rungs every scheme is read on.

use super::error::{VersionProblem, excerpt};
use super::{MAX_DIGITS, Step, UpgradeKind};

/// Numbers of a version, from the one that weighs most: major, minor, revision, patch. A scheme with fewer leaves the last
/// ones absent, and an absent number counts as zero.
///
/// The order is that of the values, then that of the widths: `1.21.0` and `1.21.000` say the same but are two texts, so
/// they cannot be equal and one has to come first; it is the shorter one. Deriving `Ord` on the fields in this order is
/// what makes it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Numbers {
    values: [u32; 4],
    /// How many digits each number was written with; zero for an absent one.
    widths: [usize; 4],
}

/// What changes when a number of that place goes up.
const KINDS: [UpgradeKind; 4] = [UpgradeKind::Major, UpgradeKind::Minor, UpgradeKind::Revision, UpgradeKind::Patch];

impl Numbers {
    /// Reads parts that are already known to be at most four; more are left out.
    pub(super) fn read<'a>(parts: impl IntoIterator<Item = &'a str>) -> Result<Self, VersionProblem> {
        let mut numbers = Self { values: [0; 4], widths: [0; 4] };
        let places = numbers.values.iter_mut().zip(&mut numbers.widths);
        for (part, (value, width)) in parts.into_iter().zip(places) {
            *value = number(part)?;
            *width = part.len();
        }
        Ok(numbers)
    }

    /// Major, minor, revision, patch; zero where there is none.
    pub(super) fn values(&self) -> [u32; 4] {
        self.values
    }

    /// The numbers that are present, each with the width it was written with.
    pub(super) fn written(&self) -> impl Iterator<Item = (u32, usize)> {
        self.values.into_iter().zip(self.widths).take_while(|(_, width)| *width > 0)
    }

    /// The weightiest number that differs, or `None` when the two say the same.
    fn difference(&self, other: &Self) -> Option<UpgradeKind> {
        KINDS.into_iter().zip(self.values.iter().zip(&other.values)).find(|(_, (a, b))| a != b).map(|(kind, _)| kind)
    }

    /// What going from these numbers to `target` would be, whatever their zero padding.
    pub(super) fn step_to(&self, target: &Self) -> Step {
        match self.difference(target) {
            None => Step::Same,
            Some(kind) if self.values < target.values => Step::Upgrade(kind),
            Some(_) => Step::Downgrade,
        }
    }
}

/// One number: ASCII digits only, few enough that a `u32` holds them all, so nothing here can overflow.
fn number(part: &str) -> Result<u32, VersionProblem> {
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(VersionProblem::NotANumber { part: excerpt(part) });
    }
    if part.len() > MAX_DIGITS {
        return Err(VersionProblem::TooManyDigits { part: excerpt(part) });
    }
    Ok(part.bytes().fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_ascii_digits_and_never_overflows() {
        assert_eq!(number("0"), Ok(0));
        assert_eq!(number("007"), Ok(7));
        assert_eq!(number("999999999"), Ok(999_999_999));
        for part in ["", "-1", "+1", " 1", "1e3", "٣", "x"] {
            assert_eq!(number(part), Err(VersionProblem::NotANumber { part: part.to_owned() }));
        }
        assert_eq!(number("4294967296"), Err(VersionProblem::TooManyDigits { part: "4294967296".to_owned() }));
    }

    #[test]
    fn an_absent_number_counts_as_zero() {
        let short = Numbers::read(["1", "21"]).unwrap();
        let long = Numbers::read(["1", "21", "0"]).unwrap();
        assert_eq!(short.step_to(&long), Step::Same);
        assert!(short < long, "two texts are two versions, the shorter first");
    }
}
