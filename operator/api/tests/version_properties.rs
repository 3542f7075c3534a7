//! What must hold of all versions and of all UAI: orders are orders, texts read back, nothing panics, and the patterns
//! shipped to API servers agree with the parsers.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use gotocloud_api::uai::{self, Uai, UaiError};
use gotocloud_api::version::{MAX_BYTES, Relation, Step, Version, VersionProblem, VersionScheme};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use regex::Regex;

/// Small numbers collide often, which is where orders go wrong; large ones and the bound are there too.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 0..3_u32, 2 => 0..200_u32, 1 => 0..1_000_000_000_u32, 1 => Just(999_999_999)]
}

fn major_minor() -> impl Strategy<Value = String> {
    (number(), number()).prop_map(|(major, minor)| format!("V{major}.{minor}"))
}

fn major_minor_revision() -> impl Strategy<Value = String> {
    let small = || prop_oneof![0..3_u32, 0..100_u32];
    (number(), number(), small(), small()).prop_map(|(major, minor, revision, patch)| match patch {
        0 => format!("V{major}.{minor}.{revision:02}"),
        _ => format!("V{major}.{minor}.{revision:02}-P{patch:02}"),
    })
}

fn dotted() -> impl Strategy<Value = String> {
    let part = |value: BoxedStrategy<u32>| (value, 1..4_usize).prop_map(|(value, width)| format!("{value:0width$}"));
    // Half of them so small that many say the same in another padding.
    let parts = prop_oneof![vec(part((0..2_u32).boxed()), 2), vec(part(number().boxed()), 2..=4)];
    parts.prop_map(|parts| parts.join("."))
}

fn package_map() -> impl Strategy<Value = BTreeMap<String, String>> {
    let name = prop_oneof![4 => "[A-C]", 1 => "[A-Z][A-Z0-9]{0,15}"];
    btree_map(name, dotted(), 1..=4)
}

fn package_set() -> impl Strategy<Value = String> {
    package_map().prop_map(|packages| join(&packages, "+"))
}

fn join(packages: &BTreeMap<String, String>, separator: &str) -> String {
    packages.iter().map(|(name, version)| format!("{name}.{version}")).collect::<Vec<_>>().join(separator)
}

/// A canonical text of the scheme.
fn canonical(scheme: VersionScheme) -> BoxedStrategy<String> {
    match scheme {
        VersionScheme::MajorMinor => major_minor().boxed(),
        VersionScheme::MajorMinorRevision => major_minor_revision().boxed(),
        VersionScheme::Dotted => dotted().boxed(),
        VersionScheme::PackageSet => package_set().boxed(),
    }
}

fn version(scheme: VersionScheme) -> BoxedStrategy<Version> {
    canonical(scheme).prop_map(move |text| parse(scheme, &text)).boxed()
}

fn scheme() -> impl Strategy<Value = VersionScheme> {
    prop::sample::select(VersionScheme::ALL.as_slice())
}

/// A version from a text made to be canonical.
#[allow(clippy::unwrap_used)]
fn parse(scheme: VersionScheme, text: &str) -> Version {
    scheme.parse(text).unwrap()
}

/// A text one or two slips away from a version of some scheme.
fn near_miss() -> impl Strategy<Value = String> {
    let slip = (any::<prop::sample::Index>(), 0..3_u8, prop_oneof![9 => "[V.0-9P+ A-Z-]", 1 => any::<String>()]);
    (scheme().prop_flat_map(canonical), vec(slip, 0..3)).prop_map(|(text, slips)| {
        slips.into_iter().fold(text, |text, (place, what, with)| {
            let mut letters: Vec<String> = text.chars().map(String::from).collect();
            let place = place.index(letters.len().max(1));
            match what {
                0 => letters.insert(place, with),
                1 if !letters.is_empty() => letters[place] = with,
                _ if !letters.is_empty() => drop(letters.remove(place)),
                _ => {}
            }
            letters.concat()
        })
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![6 => near_miss(), 2 => any::<String>(), 1 => "[V0-9.P+A-C -]{0,12}", 1 => "[0-9.]{0,600}"]
}

#[allow(clippy::unwrap_used)]
fn pattern(scheme: VersionScheme) -> &'static Regex {
    static PATTERNS: LazyLock<BTreeMap<VersionScheme, Regex>> =
        LazyLock::new(|| VersionScheme::ALL.map(|scheme| (scheme, Regex::new(scheme.pattern()).unwrap())).into());
    &PATTERNS[&scheme]
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn same_scheme(count: usize) -> impl Strategy<Value = Vec<Version>> {
    scheme().prop_flat_map(move |scheme| vec(version(scheme), count))
}

#[test]
fn the_pattern_and_the_parser_stop_at_the_same_bounds() {
    let sixteen = "A".repeat(16);
    let packages =
        |count: u8| (b'A'..).take(count.into()).map(|name| format!("{}.1.0", char::from(name))).collect::<Vec<_>>();
    let bounds = [
        (VersionScheme::MajorMinor, "V999999999.999999999".to_owned(), "V1000000000.0".to_owned()),
        (VersionScheme::MajorMinor, "V0.999999999".to_owned(), "V0.1000000000".to_owned()),
        (VersionScheme::MajorMinorRevision, "V999999999.1.00".to_owned(), "V1000000000.1.00".to_owned()),
        (VersionScheme::MajorMinorRevision, "V1.999999999.00".to_owned(), "V1.1000000000.00".to_owned()),
        (VersionScheme::MajorMinorRevision, "V1.4.99-P99".to_owned(), "V1.4.100-P99".to_owned()),
        (VersionScheme::MajorMinorRevision, "V1.4.00-P01".to_owned(), "V1.4.00-P00".to_owned()),
        (VersionScheme::Dotted, "000000000.999999999".to_owned(), "0000000000.0".to_owned()),
        (VersionScheme::Dotted, "1.2".to_owned(), "1".to_owned()),
        (VersionScheme::Dotted, "1.2.3.4".to_owned(), "1.2.3.4.5".to_owned()),
        (VersionScheme::PackageSet, "A.000000000.999999999".to_owned(), "A.0000000000.0".to_owned()),
        (VersionScheme::PackageSet, format!("{sixteen}.1.0"), format!("{sixteen}A.1.0")),
        (VersionScheme::PackageSet, format!("A.1.0+{sixteen}.1.0"), format!("A.1.0+{sixteen}A.1.0")),
        (VersionScheme::PackageSet, "A.1.2.3.4".to_owned(), "A.1.2.3.4.5".to_owned()),
        (VersionScheme::PackageSet, "A.1.2+B.1.2.3.4".to_owned(), "A.1.2+B.1".to_owned()),
        (VersionScheme::PackageSet, packages(8).join("+"), packages(9).join("+")),
    ];
    for (scheme, within, beyond) in bounds {
        assert_eq!(scheme.parse(&within).map(|version| version.to_string()), Ok(within.clone()));
        assert!(pattern(scheme).is_match(&within), "{within}");
        assert!(scheme.parse(&beyond).is_err(), "{beyond}");
        assert!(!pattern(scheme).is_match(&beyond), "{beyond}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_canonical_text_reads_back_as_it_was_written((scheme, text) in scheme().prop_flat_map(|s| (Just(s), canonical(s)))) {
        let version = scheme.parse(&text).unwrap();
        prop_assert_eq!(version.to_string(), text);
        prop_assert_eq!(version.scheme(), scheme);
    }

    #[test]
    fn no_text_makes_a_scheme_panic_and_what_it_accepts_reads_back(scheme in scheme(), text in any_text()) {
        match scheme.parse(&text) {
            Ok(version) => prop_assert_eq!(scheme.parse(&version.to_string()), Ok(version)),
            Err(error) => {
                let sentence = error.to_string();
                prop_assert!(sentence.contains(scheme.example()), "{}", sentence);
                prop_assert!(!sentence.contains('\n'), "{}", sentence);
            }
        }
    }

    #[test]
    fn the_pattern_accepts_exactly_the_canonical_texts(scheme in scheme(), text in any_text()) {
        let canonical = match scheme.parse(&text) {
            Ok(version) if scheme == VersionScheme::PackageSet => {
                // A regular expression cannot sort: any order of the packages passes, spaces do not.
                version.to_string().len() == text.len()
            }
            Ok(version) => version.to_string() == text,
            Err(error) => matches!(error.problem, VersionProblem::DuplicatePackage { .. }) && !text.contains(' '),
        };
        prop_assert_eq!(pattern(scheme).is_match(&text), canonical, "{:?}", scheme.parse(&text));
    }

    #[test]
    fn versions_of_a_scheme_are_totally_ordered(versions in same_scheme(3)) {
        let [a, b, c] = versions.as_slice() else { unreachable!() };
        let order = |x: &Version, y: &Version| x.compare(y).expect("one scheme");
        prop_assert_eq!(order(a, b), order(b, a).reverse(), "antisymmetry");
        prop_assert_eq!(order(a, b) == Ordering::Equal, a == b, "equal in the order means equal");
        prop_assert_eq!(order(a, b) == Ordering::Equal, a.to_string() == b.to_string(), "and means the same text");
        if a == b {
            prop_assert_eq!(hash(a), hash(b));
        }
        if order(a, b).is_le() && order(b, c).is_le() {
            prop_assert!(order(a, c).is_le(), "transitivity: {} {} {}", a, b, c);
        }
    }

    #[test]
    fn versions_of_two_schemes_do_not_compare(
        (one, other) in (scheme(), scheme()).prop_flat_map(|(one, other)| (version(one), version(other)))
    ) {
        let same = one.scheme() == other.scheme();
        prop_assert_eq!(one.compare(&other).is_some(), same);
        prop_assert_eq!(one.relation(&other).is_some(), same);
        prop_assert_eq!(one.step_to(&other).is_some(), same);
    }

    #[test]
    fn the_relation_never_contradicts_the_order(versions in same_scheme(2)) {
        let [a, b] = versions.as_slice() else { unreachable!() };
        match a.relation(b).expect("one scheme") {
            Relation::Newer => prop_assert!(a > b, "{} is newer than {}", a, b),
            Relation::Older => prop_assert!(a < b, "{} is older than {}", a, b),
            // The same numbers in two texts, by their zero padding.
            Relation::Same => prop_assert!(a == b || a.scheme() == VersionScheme::Dotted || a.scheme() == VersionScheme::PackageSet),
            Relation::Mixed => {
                prop_assert!(a != b);
                prop_assert_eq!(a.scheme(), VersionScheme::PackageSet);
            }
        }
    }

    #[test]
    fn the_relation_is_a_partial_order(versions in same_scheme(3)) {
        let [a, b, c] = versions.as_slice() else { unreachable!() };
        let relation = |x: &Version, y: &Version| x.relation(y).expect("one scheme");
        let opposite = match relation(a, b) {
            Relation::Newer => Relation::Older,
            Relation::Older => Relation::Newer,
            Relation::Same => Relation::Same,
            Relation::Mixed => Relation::Mixed,
        };
        prop_assert_eq!(relation(b, a), opposite);
        if relation(a, b) == Relation::Newer && relation(b, c) == Relation::Newer {
            prop_assert_eq!(relation(a, c), Relation::Newer);
        }
    }

    #[test]
    fn the_relation_of_two_sets_is_that_of_their_packages(a in package_map(), b in package_map()) {
        let set = |packages: &BTreeMap<String, String>| parse(VersionScheme::PackageSet, &join(packages, "+"));
        let package = |packages: &BTreeMap<String, String>, name: &String| {
            packages.get(name).map(|version| parse(VersionScheme::Dotted, version))
        };
        let relations: Vec<Relation> = a.keys().chain(b.keys()).map(|name| {
            match (package(&a, name), package(&b, name)) {
                (Some(mine), Some(theirs)) => mine.relation(&theirs).unwrap(),
                (Some(_), None) => Relation::Newer,
                (None, _) => Relation::Older,
            }
        }).collect();
        let expected = match (relations.contains(&Relation::Newer), relations.contains(&Relation::Older)) {
            (true, true) => Relation::Mixed,
            (true, false) => Relation::Newer,
            (false, true) => Relation::Older,
            (false, false) => Relation::Same,
        };
        prop_assert_eq!(set(&a).relation(&set(&b)), Some(expected));
    }

    #[test]
    fn a_step_is_the_relation_seen_from_where_one_stands(versions in same_scheme(2)) {
        let [from, to] = versions.as_slice() else { unreachable!() };
        let expected = match from.step_to(to).expect("one scheme") {
            Step::Same => Relation::Same,
            Step::Upgrade(_) => Relation::Newer,
            Step::Downgrade => Relation::Older,
            Step::Mixed => Relation::Mixed,
        };
        prop_assert_eq!(to.relation(from), Some(expected));
    }

    #[test]
    fn packages_are_read_in_any_order_and_with_spaces_beside_the_plus(
        packages in package_map().prop_flat_map(|packages| {
            let pieces: Vec<String> = packages.iter().map(|(name, version)| format!("{name}.{version}")).collect();
            Just(pieces).prop_shuffle()
        }),
        separator in " {0,3}[+] {0,3}",
    ) {
        let written = VersionScheme::PackageSet.parse(&packages.join(&separator)).unwrap();
        let mut sorted = packages;
        sorted.sort_by_key(|piece| piece.split('.').next().map(str::to_owned));
        prop_assert_eq!(written.to_string(), sorted.join("+"));
    }

    #[test]
    fn a_text_beyond_the_bound_is_refused_whatever_it_says(scheme in scheme(), text in "[V0-9.A-C+ ]{513,600}") {
        let bytes = text.len();
        prop_assert!(bytes > MAX_BYTES);
        prop_assert_eq!(scheme.parse(&text).unwrap_err().problem, VersionProblem::TooLong { bytes });
    }

    #[test]
    fn one_letter_of_twenty_six_goes_with_seven_digits(number in 0..10_000_000_u32) {
        let accepted: Vec<char> =
            ('A'..='Z').filter(|letter| Uai::parse(&format!("{number:07}{letter}")).is_ok()).collect();
        let position = usize::try_from(number % 23).expect("less than 23");
        prop_assert_eq!(&accepted, &[Uai::check_letter(number)]);
        prop_assert_eq!(accepted.first().copied(), "ABCDEFGHJKLMNPRSTUVWXYZ".chars().nth(position));
    }

    #[test]
    fn a_refused_letter_comes_with_the_right_one(number in 0..10_000_000_u32, letter in prop::char::range('A', 'Z')) {
        if let Err(error) = Uai::parse(&format!("{number:07}{letter}")) {
            let UaiError::Letter { digits, expected, .. } = error else { panic!("{error}") };
            let corrected = format!("{digits}{expected}");
            prop_assert!(Uai::parse(&corrected).is_ok());
        }
    }

    #[test]
    fn no_text_makes_a_uai_panic_and_every_uai_matches_the_pattern(
        text in prop_oneof![any::<String>(), "[0-9]{6,8}[A-Za-z]{0,2}", "[0-9A-Z٣é ]{8}", "[0-9]{7}[A-Z]"]
    ) {
        let pattern = Regex::new(uai::PATTERN).unwrap();
        match Uai::parse(&text) {
            Ok(uai) => {
                prop_assert!(pattern.is_match(&text));
                prop_assert_eq!(uai.as_str(), text);
            }
            Err(UaiError::Letter { digits, expected, .. }) => {
                let corrected = format!("{digits}{expected}");
                prop_assert!(pattern.is_match(&corrected));
            }
            Err(UaiError::Shape { .. }) => prop_assert!(!pattern.is_match(&text)),
        }
    }
}
