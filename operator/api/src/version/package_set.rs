//! Which packages are delivered together, and is one set newer than another? [`VersionScheme::PackageSet`].
//!
//! [`VersionScheme::PackageSet`]: super::VersionScheme::PackageSet

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::error::{VersionProblem, excerpt};
use super::numbers::Numbers;
use super::{MAX_NAME, MAX_PACKAGES, Step, UpgradeKind, dotted};

/// One to eight packages joined by `+`, each a name and two to four numbers. That names are sorted and differ is more than
/// a regular expression can say: [`VersionScheme::cel_rule`](super::VersionScheme::cel_rule) adds it.
pub(super) const PATTERN: &str = "^[A-Z][A-Z0-9]{0,15}([.][0-9]{1,9}){2,4}\
                                  ([+][A-Z][A-Z0-9]{0,15}([.][0-9]{1,9}){2,4}){0,7}$";

/// A CEL expression that is true when the names of the packages in `text` are sorted and differ. It is only asked of a text
/// that [`PATTERN`] accepts.
///
/// It visits places and not packages: an API server knows how long a list of seven places is, and estimates the cost of
/// anything that walks the result of `split()` (`all`, `map`, `isSorted`) as beyond its budget.
pub(super) fn cel_sorted(text: &str) -> String {
    let places: Vec<String> = (1..MAX_PACKAGES).map(|place| place.to_string()).collect();
    let places = places.join(", ");
    let packages = format!("{text}.split('+')");
    format!(
        "[{places}].all(place, place >= {packages}.size() || \
         {packages}[place - 1].split('.')[0] < {packages}[place].split('.')[0])"
    )
}

/// Packages by name, each with its version.
///
/// Packages are compared one by one, and a package that is absent comes before all its versions. That order is partial
/// ([`Step::Mixed`]), and lists want a total one: `Ord` goes through the names in alphabetical order and stops at the
/// first package whose numbers differ; sets with the same numbers are told apart by their zero padding in the same way.
/// So a set which is newer is also greater, but a set which is greater may be newer or mixed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PackageSet(BTreeMap<String, Numbers>);

impl PackageSet {
    /// Reads `MAIN.2.09.50 + DATA.1.09.00`: any order, spaces allowed beside the `+` only.
    pub(super) fn read(text: &str) -> Result<Self, VersionProblem> {
        let pieces: Vec<&str> = text.split('+').collect();
        if pieces.len() > MAX_PACKAGES {
            return Err(VersionProblem::TooManyPackages { found: pieces.len() });
        }
        let last = pieces.len() - 1;
        let mut packages = BTreeMap::new();
        for (place, piece) in pieces.into_iter().enumerate() {
            let piece = if place > 0 { piece.trim_start_matches(' ') } else { piece };
            let piece = if place < last { piece.trim_end_matches(' ') } else { piece };
            if piece.is_empty() {
                return Err(VersionProblem::EmptyPackage);
            }
            let (name, version) = package(piece)?;
            if packages.insert(name.to_owned(), version).is_some() {
                return Err(VersionProblem::DuplicatePackage { name: name.to_owned() });
            }
        }
        Ok(Self(packages))
    }

    /// What going from this set to `target` would be, package by package and whatever their zero padding.
    pub(super) fn step_to(&self, target: &Self) -> Step {
        let steps: Vec<Step> = self.pairs(target).map(|(from, to)| package_step(from, to)).collect();
        let upgrade = steps.iter().copied().filter_map(upgrade_kind).max();
        match (upgrade, steps.contains(&Step::Downgrade)) {
            (None, false) => Step::Same,
            (Some(weightiest), false) => Step::Upgrade(weightiest),
            (None, true) => Step::Downgrade,
            (Some(_), true) => Step::Mixed,
        }
    }

    /// Every package of either set, in alphabetical order: its version here and there.
    fn pairs<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (Option<&'a Numbers>, Option<&'a Numbers>)> {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        names.into_iter().map(|name| (self.0.get(name), other.0.get(name)))
    }
}

/// What happens to one package. One that joins weighs as much as a minor: in the field a package joins together with the
/// minor of another one. One that leaves is a way back, since what it brought is gone.
fn package_step(from: Option<&Numbers>, to: Option<&Numbers>) -> Step {
    match (from, to) {
        (Some(from), Some(to)) => from.step_to(to),
        (None, Some(_)) => Step::Upgrade(UpgradeKind::Minor),
        (Some(_), None) => Step::Downgrade,
        (None, None) => Step::Same,
    }
}

fn upgrade_kind(step: Step) -> Option<UpgradeKind> {
    match step {
        Step::Upgrade(kind) => Some(kind),
        Step::Same | Step::Downgrade | Step::Mixed => None,
    }
}

/// Order of two versions of one package; the absent one is the oldest.
fn cmp_values(mine: Option<&Numbers>, theirs: Option<&Numbers>) -> Ordering {
    mine.map(Numbers::values).cmp(&theirs.map(Numbers::values))
}

impl Ord for PackageSet {
    fn cmp(&self, other: &Self) -> Ordering {
        // Numbers of all packages first, padding after: the other way round, padding in the first package would hide that
        // the second is newer, and `Ord` would contradict `relation`.
        let numbers = self.pairs(other).map(|(mine, theirs)| cmp_values(mine, theirs));
        let padding = self.pairs(other).map(|(mine, theirs)| mine.cmp(&theirs));
        numbers.chain(padding).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for PackageSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PackageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, version)) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("+")?;
            }
            write!(f, "{name}.")?;
            dotted::write(version, f)?;
        }
        Ok(())
    }
}

/// One package: its name up to the first dot, its version after.
fn package(piece: &str) -> Result<(&str, Numbers), VersionProblem> {
    let (name, version) = match piece.split_once('.') {
        Some((name, version)) => (name, Some(version)),
        None => (piece, None),
    };
    let mut bytes = name.bytes();
    let named = bytes.next().is_some_and(|first| first.is_ascii_uppercase())
        && bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && name.len() <= MAX_NAME;
    if !named {
        return Err(VersionProblem::PackageName { name: excerpt(name) });
    }
    match version {
        Some(version) => Ok((name, dotted::read(version)?)),
        None => Err(VersionProblem::NoPackageVersion { name: excerpt(name) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> PackageSet {
        PackageSet::read(text).unwrap()
    }

    #[test]
    fn packages_are_written_by_name_and_without_spaces() {
        assert_eq!(set("SIHPRD.2.09.50 + SIHBDP.1.09.00").to_string(), "SIHBDP.1.09.00+SIHPRD.2.09.50");
        assert_eq!(set("SIHPRD.2.09.50").to_string(), "SIHPRD.2.09.50");
    }

    #[test]
    fn a_package_named_twice_is_an_error_even_at_the_same_version() {
        for text in ["SIHPRD.2.09.50+SIHPRD.2.09.52", "SIHPRD.2.09.50 + SIHPRD.2.09.50"] {
            let twice = VersionProblem::DuplicatePackage { name: "SIHPRD".into() };
            assert_eq!(PackageSet::read(text), Err(twice), "{text}");
        }
    }

    #[test]
    fn a_set_is_newer_when_one_package_is_and_none_is_older() {
        let before = set("SIHPRD.2.09.50+SIHBDP.1.09.00");
        let after = set("SIHPRD.2.09.60+SIHBDP.1.09.00");
        assert_eq!(before.step_to(&after), Step::Upgrade(UpgradeKind::Revision));
        assert_eq!(after.step_to(&before), Step::Downgrade);
        assert_eq!(before.step_to(&before), Step::Same);
    }

    #[test]
    fn one_package_newer_and_one_older_is_mixed_though_a_list_still_has_an_order() {
        let one = set("SIHBDP.1.09.10+SIHPRD.2.09.50");
        let other = set("SIHBDP.1.09.00+SIHPRD.2.10.00");
        assert_eq!(one.step_to(&other), Step::Mixed);
        assert_eq!(other.step_to(&one), Step::Mixed);
        assert!(one > other, "the first package by name decides");
    }

    #[test]
    fn a_package_that_joins_is_an_upgrade_and_one_that_leaves_is_not() {
        let alone = set("SIHPRD.2.10.00");
        let joined = set("SIHPRD.2.10.00+SIHORD.2.10.00");
        assert_eq!(alone.step_to(&joined), Step::Upgrade(UpgradeKind::Minor));
        assert!(joined > alone);
        assert_eq!(joined.step_to(&alone), Step::Downgrade);
        assert_eq!(joined.step_to(&set("SIHPRD.2.10.10")), Step::Mixed, "one goes up, one goes away");
    }

    #[test]
    fn zero_padding_in_one_package_does_not_hide_that_another_is_newer() {
        let padded = set("SIHBDP.1.09.00+SIHPRD.2.09.50");
        let newer = set("SIHBDP.1.9.0+SIHPRD.2.09.60");
        assert_eq!(padded.step_to(&newer), Step::Upgrade(UpgradeKind::Revision));
        assert!(newer > padded);
    }

    #[test]
    fn the_weightiest_package_names_the_upgrade() {
        let before = set("SIHBDP.1.09.30+SIHPRD.2.09.60+SIHREF.1.02.70");
        let after = set("SIHBDP.1.09.30+SIHPRD.2.10.00+SIHREF.1.02.80");
        assert_eq!(before.step_to(&after), Step::Upgrade(UpgradeKind::Minor));
    }

    #[test]
    fn the_rule_for_the_api_server_compares_each_name_with_the_next() {
        assert_eq!(
            cel_sorted("self"),
            "[1, 2, 3, 4, 5, 6, 7].all(place, place >= self.split('+').size() || \
             self.split('+')[place - 1].split('.')[0] < self.split('+')[place].split('.')[0])"
        );
    }

    #[test]
    fn what_is_not_a_package_is_refused() {
        use VersionProblem as Problem;
        let problem = |text: &str| PackageSet::read(text).unwrap_err();
        assert_eq!(problem("SIHPRD.2.09.50+"), Problem::EmptyPackage);
        assert_eq!(problem("SIHPRD.2.09.50 +  + SIHBDP.1.09.00"), Problem::EmptyPackage);
        assert_eq!(problem(" SIHPRD.2.09.50"), Problem::PackageName { name: " SIHPRD".into() });
        assert_eq!(problem("sihprd.2.09.50"), Problem::PackageName { name: "sihprd".into() });
        assert_eq!(problem("2.09.50"), Problem::PackageName { name: "2".into() });
        assert_eq!(problem("SIHPRD"), Problem::NoPackageVersion { name: "SIHPRD".into() });
        assert_eq!(problem("SIHPRD."), Problem::EmptyPart { part: String::new() });
        assert_eq!(problem("SIHPRD.2.09.50 "), Problem::NotANumber { part: "50 ".into() });
        assert_eq!(problem(&["A.1.0"; 9].join("+")), Problem::TooManyPackages { found: 9 });
    }
}
