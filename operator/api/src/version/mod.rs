//! Which version is newer, and how much changes between the two? Versions as values with an order.
//!
//! Every application of the catalogue writes its versions its own way, and what the way is belongs to the application: it
//! names a [`VersionScheme`], the scheme reads a text into a [`Version`], and everything that decides compares values.
//!
//! ```text
//!   text ──VersionScheme::parse──▶ Version ──compare────▶ a total order, to sort a list
//!                                     │ └──relation───▶ Newer, Older, Same or Mixed
//!                                     │ └──step_to────▶ Upgrade(Major … Patch), Downgrade, Same or Mixed
//!                                     └──Display──────▶ the canonical text, the one to store and to compare as text
//! ```
//!
//! A version weighs four numbers: major, minor, revision, patch. Schemes differ in which they have and how they write them.

use std::cmp::Ordering;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod dotted;
mod error;
mod marked;
mod numbers;
mod package_set;

pub use error::{VersionError, VersionProblem};

use error::excerpt;
use numbers::Numbers;
use package_set::PackageSet;

/// Longest text read as a version, in bytes. The longest canonical one, eight packages with everything at its bound, is 455
/// bytes long; the rest is for spaces.
pub const MAX_BYTES: usize = 512;
/// Most digits of one number: any nine digits fit a `u32`, so a bound that a regular expression can say rules out overflow.
const MAX_DIGITS: usize = 9;
/// Most packages in one set; the largest known has four.
const MAX_PACKAGES: usize = 8;
/// Longest name of a package, in characters (all ASCII).
const MAX_NAME: usize = 16;

/// How an application writes its versions, hence how they compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum VersionScheme {
    /// `V2.3`: a major and a minor, delivered in increments (a quarter, a sprint).
    MajorMinor,
    /// `V1.4.00`, `V1.4.00-P01`: major, minor, a revision on two digits and perhaps a patch on two digits.
    MajorMinorRevision,
    /// `6.20.70`, `1.21.000`: two to four numbers, compared as numbers, written with the zeros their editor puts in front.
    Dotted,
    /// `DATA.1.09.00+MAIN.2.09.50`: packages delivered together, each a name and a dotted version.
    PackageSet,
}

impl VersionScheme {
    /// Every scheme, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::MajorMinor, Self::MajorMinorRevision, Self::Dotted, Self::PackageSet];

    /// Reads a text as a version of this scheme.
    ///
    /// Texts are taken as they are, without trimming and without changing case. Only a package set may be written in
    /// another way than its canonical one: its packages in any order, with spaces beside the `+`.
    ///
    /// # Errors
    /// [`VersionError`] when the text does not follow the scheme; its sentence says which part and what to write.
    pub fn parse(self, text: &str) -> Result<Version, VersionError> {
        self.read(text).map(Version).map_err(|problem| VersionError { scheme: self, text: excerpt(text), problem })
    }

    fn read(self, text: &str) -> Result<Kind, VersionProblem> {
        if text.is_empty() {
            return Err(VersionProblem::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(VersionProblem::TooLong { bytes: text.len() });
        }
        Ok(match self {
            Self::MajorMinor => Kind::MajorMinor(marked::read_major_minor(text)?),
            Self::MajorMinorRevision => Kind::MajorMinorRevision(marked::read_major_minor_revision(text)?),
            Self::Dotted => Kind::Dotted(dotted::read(text)?),
            Self::PackageSet => Kind::PackageSet(PackageSet::read(text)?),
        })
    }

    /// A regular expression for the canonical texts of this scheme, for the `pattern` or the `matches()` of a schema.
    ///
    /// It is anchored, means the same to RE2 (what an API server runs) and to the `regex` crate, and holds no backslash
    /// and no quote, so it stands in CEL, YAML and JSON without escaping. It accepts exactly the canonical texts, but for
    /// [`VersionScheme::PackageSet`] where it cannot say that names are sorted and differ: [`Self::cel_rule`] can.
    pub const fn pattern(self) -> &'static str {
        match self {
            Self::MajorMinor => marked::MAJOR_MINOR_PATTERN,
            Self::MajorMinorRevision => marked::MAJOR_MINOR_REVISION_PATTERN,
            Self::Dotted => dotted::PATTERN,
            Self::PackageSet => package_set::PATTERN,
        }
    }

    /// A CEL expression that is true for exactly the canonical texts of this scheme, for `x-kubernetes-validations`.
    ///
    /// `text` is the CEL expression of the string to judge, such as `self.spec.version`. The field needs a `maxLength` of
    /// at most [`MAX_BYTES`], or the API server estimates the rule as too costly and refuses the definition.
    pub fn cel_rule(self, text: &str) -> String {
        let matches = format!("{text}.matches('{}')", self.pattern());
        match self {
            Self::MajorMinor | Self::MajorMinorRevision | Self::Dotted => matches,
            Self::PackageSet => format!("{matches} && {}", package_set::cel_sorted(text)),
        }
    }

    /// The form to write, for messages and documentation.
    pub const fn form(self) -> &'static str {
        match self {
            Self::MajorMinor => "V<major>.<minor>",
            Self::MajorMinorRevision => {
                "V<major>.<minor>.<revision> with two digits of revision, then -P and two digits for a patch"
            }
            Self::Dotted => "two to four numbers joined by dots",
            Self::PackageSet => "<PACKAGE>.<dotted version> for each package, joined by +",
        }
    }

    /// A canonical text of this scheme, for messages and documentation.
    pub const fn example(self) -> &'static str {
        match self {
            Self::MajorMinor => "V2.3",
            Self::MajorMinorRevision => "V1.4.00-P01",
            Self::Dotted => "6.20.70",
            Self::PackageSet => "DATA.1.09.00+MAIN.2.09.50",
        }
    }
}

impl fmt::Display for VersionScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MajorMinor => "MajorMinor",
            Self::MajorMinorRevision => "MajorMinorRevision",
            Self::Dotted => "Dotted",
            Self::PackageSet => "PackageSet",
        })
    }
}

/// A version of an application, read by [`VersionScheme::parse`].
///
/// `Display` writes its canonical text, which reads back as the same version: two versions of a scheme are equal when
/// their canonical texts are. Versions of two schemes are never equal and do not compare, so `PartialOrd` is partial;
/// within a scheme the order is total (see [`Self::compare`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Kind);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    MajorMinor(Numbers),
    MajorMinorRevision(Numbers),
    Dotted(Numbers),
    PackageSet(PackageSet),
}

impl Version {
    /// The scheme this version was read in.
    pub const fn scheme(&self) -> VersionScheme {
        match self.0 {
            Kind::MajorMinor(_) => VersionScheme::MajorMinor,
            Kind::MajorMinorRevision(_) => VersionScheme::MajorMinorRevision,
            Kind::Dotted(_) => VersionScheme::Dotted,
            Kind::PackageSet(_) => VersionScheme::PackageSet,
        }
    }

    /// The order of two versions of one scheme, `None` across schemes. Total within a scheme and equal only when the two
    /// are `==`; meant to sort lists. To decide whether an instance may go from one to the other, ask [`Self::step_to`].
    ///
    /// Numbers compare as numbers, from the major down, an absent one as zero. Then:
    /// - what says the same in another zero padding (`1.21.0`, `1.21.000`) is ordered by width, part by part, the shorter
    ///   first;
    /// - package sets go through their packages in alphabetical order and the first whose numbers differ decides, a
    ///   package that is absent being older than any version of it. A set that is [`Relation::Newer`] is always greater;
    ///   a set that is greater is newer or mixed.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        // The order between variants is an accident of their declaration: it must not leak out as an order of versions.
        (self.scheme() == other.scheme()).then(|| self.0.cmp(&other.0))
    }

    /// How this version stands to the other, `None` across schemes: `a.relation(&b)` is `Newer` when `a` is newer than `b`.
    /// Unlike [`Self::compare`] it looks at every package of a set, and does not see zero padding.
    pub fn relation(&self, other: &Self) -> Option<Relation> {
        other.step_to(self).map(|step| match step {
            Step::Upgrade(_) => Relation::Newer,
            Step::Same => Relation::Same,
            Step::Downgrade => Relation::Older,
            Step::Mixed => Relation::Mixed,
        })
    }

    /// What going from this version to `target` would be, `None` across schemes.
    ///
    /// The weightiest number that changes names an upgrade. In a package set it is the weightiest over all packages, and a
    /// package that joins the set counts as a minor.
    pub fn step_to(&self, target: &Self) -> Option<Step> {
        match (&self.0, &target.0) {
            (Kind::MajorMinor(from), Kind::MajorMinor(to))
            | (Kind::MajorMinorRevision(from), Kind::MajorMinorRevision(to))
            | (Kind::Dotted(from), Kind::Dotted(to)) => Some(from.step_to(to)),
            (Kind::PackageSet(from), Kind::PackageSet(to)) => Some(from.step_to(to)),
            // All variants on the left, so that a scheme that joins them cannot be forgotten here.
            (Kind::MajorMinor(_) | Kind::MajorMinorRevision(_) | Kind::Dotted(_) | Kind::PackageSet(_), _) => None,
        }
    }
}

impl PartialOrd for Version {
    /// [`Version::compare`]: `None` across schemes.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.compare(other)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::MajorMinor(numbers) => marked::write_major_minor(numbers, f),
            Kind::MajorMinorRevision(numbers) => marked::write_major_minor_revision(numbers, f),
            Kind::Dotted(numbers) => dotted::write(numbers, f),
            Kind::PackageSet(packages) => packages.fmt(f),
        }
    }
}

/// How a version stands to another one of its scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// No number differs. The two may still be two texts, by their zero padding.
    Same,
    /// At least one number says newer, and no package is older.
    Newer,
    /// The other one is newer.
    Older,
    /// Package sets only: one package is newer and another is older, or gone. Neither set is an upgrade of the other.
    Mixed,
}

/// What going from one version to another of its scheme would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// No number changes.
    Same,
    /// To a newer version; the kind says how much changes.
    Upgrade(UpgradeKind),
    /// To an older version.
    Downgrade,
    /// Package sets only: one package would go up and another down, or away. Not an upgrade.
    Mixed,
}

/// How much an upgrade changes, the lightest first: `Patch < Revision < Minor < Major`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum UpgradeKind {
    /// The fourth number: a correction on top of a revision, which may land when nothing else does.
    Patch,
    /// The third number: corrections gathered.
    Revision,
    /// The second number: new features.
    Minor,
    /// The first number: what came before may need work.
    Major,
}

impl fmt::Display for UpgradeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Patch => "Patch",
            Self::Revision => "Revision",
            Self::Minor => "Minor",
            Self::Major => "Major",
        })
    }
}

#[cfg(test)]
mod tests;
