//! What a version says, as sentences. What must hold of all versions is in `tests/version_properties.rs`.

use super::*;

fn version(scheme: VersionScheme, text: &str) -> Version {
    scheme.parse(text).unwrap()
}

fn step(scheme: VersionScheme, from: &str, to: &str) -> Step {
    version(scheme, from).step_to(&version(scheme, to)).unwrap()
}

fn sentence(scheme: VersionScheme, text: &str) -> String {
    scheme.parse(text).unwrap_err().to_string()
}

fn assert_ascending(scheme: VersionScheme, chain: &[&str]) {
    for pair in chain.windows(2) {
        let (older, newer) = (version(scheme, pair[0]), version(scheme, pair[1]));
        assert!(older < newer, "{older} should come before {newer}");
    }
}

#[test]
fn a_patch_comes_after_its_revision_and_before_the_next() {
    assert_ascending(
        VersionScheme::MajorMinorRevision,
        &["V1.4.00", "V1.4.00-P01", "V1.4.00-P02", "V1.4.01", "V1.4.01-P01", "V1.10.00", "V2.0.00"],
    );
}

#[test]
fn numbers_compare_as_numbers_and_not_as_text() {
    assert_ascending(VersionScheme::MajorMinor, &["V1.0", "V1.6", "V1.10", "V2.0", "V2.3", "V10.0"]);
    assert_ascending(VersionScheme::Dotted, &["6.9.70", "6.20.5", "6.20.70", "6.020.71", "7.0"]);
    assert_ascending(VersionScheme::Dotted, &["1.21.000", "1.22.000"]);
}

#[test]
fn what_is_written_in_another_padding_is_the_same_step_and_the_shorter_comes_first() {
    assert_ascending(VersionScheme::Dotted, &["1.21", "1.21.0", "1.21.00", "1.21.000", "1.21.1"]);
    assert_eq!(step(VersionScheme::Dotted, "1.21.0", "1.21.000"), Step::Same);
    assert_eq!(step(VersionScheme::Dotted, "1.21.000", "1.21"), Step::Same);
    assert_ne!(version(VersionScheme::Dotted, "1.21.0"), version(VersionScheme::Dotted, "1.21.000"));
}

#[test]
fn the_weightiest_number_that_goes_up_names_the_upgrade() {
    use UpgradeKind::{Major, Minor, Patch, Revision};
    let upgrades = [
        (VersionScheme::MajorMinor, "V2.3", "V2.4", Minor),
        (VersionScheme::MajorMinor, "V1.6", "V2.0", Major),
        (VersionScheme::MajorMinorRevision, "V1.4.00", "V1.4.00-P01", Patch),
        (VersionScheme::MajorMinorRevision, "V1.4.00-P01", "V1.4.01", Revision),
        (VersionScheme::MajorMinorRevision, "V1.3.07-P02", "V1.4.00", Minor),
        (VersionScheme::MajorMinorRevision, "V1.4.01", "V2.0.00", Major),
        (VersionScheme::Dotted, "6.20.70", "6.20.71", Revision),
        (VersionScheme::Dotted, "6.20.70", "6.20.70.1", Patch),
        (VersionScheme::Dotted, "1.21.000", "1.22.000", Minor),
        (VersionScheme::PackageSet, "SIHPRD.2.09.60", "SIHPRD.2.10.00+SIHORD.2.10.00", Minor),
        (VersionScheme::PackageSet, "SIHPRD.2.10.10", "SIHPRD.2.10.20", Revision),
    ];
    for (scheme, from, to, kind) in upgrades {
        assert_eq!(step(scheme, from, to), Step::Upgrade(kind), "{from} to {to}");
        assert_eq!(step(scheme, to, from), Step::Downgrade, "{to} to {from}");
        assert_eq!(step(scheme, from, from), Step::Same, "{from} to itself");
    }
    assert!(Patch < Revision && Revision < Minor && Minor < Major);
}

#[test]
fn a_set_with_one_package_newer_and_one_older_is_no_upgrade() {
    let before = version(VersionScheme::PackageSet, "SIHPRD.2.09.50 + SIHBDP.1.09.10");
    let after = version(VersionScheme::PackageSet, "SIHPRD.2.10.00 + SIHBDP.1.09.00");
    assert_eq!(before.step_to(&after), Some(Step::Mixed));
    assert_eq!(after.relation(&before), Some(Relation::Mixed));
    assert_eq!(before.relation(&before), Some(Relation::Same));
}

#[test]
fn versions_of_two_schemes_neither_equal_nor_compare() {
    let texts = [("V2.3", VersionScheme::MajorMinor), ("6.20.70", VersionScheme::Dotted)];
    let [one, other] = texts.map(|(text, scheme)| version(scheme, text));
    assert_ne!(one, other);
    assert_eq!(one.compare(&other), None);
    assert_eq!(one.relation(&other), None);
    assert_eq!(one.step_to(&other), None);
}

/// The releases published for the applications of 2021 to 2023. Two more are tracked without a scheme (`S4HANA`, `2022`):
/// their applications are run by third parties and no instance of them is ever upgraded from here.
#[test]
fn every_published_release_reads_in_its_scheme_and_is_canonical() {
    let published = [
        (VersionScheme::MajorMinor, ["V2.3", "V1.0", "V1.1", "V1.6", "V2.0"].as_slice()),
        (VersionScheme::MajorMinorRevision, &["V1.4.00", "V1.4.00-P01", "V1.4.01", "V2.0.00"]),
        (VersionScheme::Dotted, &["6.20.70", "1.21.000", "1.22.000"]),
        (
            VersionScheme::PackageSet,
            &[
                "SIHPRD.2.09.50",
                "SIHBDP.1.09.00",
                "SIHPRD.2.09.52",
                "SIHREF.1.02.70",
                "SIHBDP.1.09.10",
                "SIHPRD.2.09.60",
                "SIHBDP.1.09.20",
                "SIHPRD.2.10.00",
                "SIHORD.2.10.00",
                "SIHORD.2.10.00+SIHPRD.2.10.00",
                "SIHREF.1.02.80",
                "SIHPRD.2.10.10",
                "SIHPRD.2.10.20",
                "SIHBDP.1.09.30",
            ],
        ),
    ];
    for (scheme, texts) in published {
        for text in texts {
            assert_eq!(version(scheme, text).to_string(), *text);
            assert_eq!(version(scheme, text).scheme(), scheme);
        }
    }
    for tracked in ["S4HANA", "2022"] {
        assert!(VersionScheme::ALL.iter().all(|scheme| scheme.parse(tracked).is_err()), "{tracked}");
    }
}

#[test]
fn the_example_of_a_scheme_is_canonical_and_of_no_other_scheme() {
    for scheme in VersionScheme::ALL {
        assert_eq!(version(scheme, scheme.example()).to_string(), scheme.example());
        for other in VersionScheme::ALL.into_iter().filter(|other| *other != scheme) {
            assert!(other.parse(scheme.example()).is_err(), "{} as {other}", scheme.example());
        }
    }
}

#[test]
fn an_error_says_what_is_wrong_where_and_what_to_write() {
    assert_eq!(
        sentence(VersionScheme::MajorMinor, "V2"),
        "version `V2` does not follow the scheme MajorMinor: `2` has 1 part between dots and not two; \
         write V<major>.<minor>, for example `V2.3`"
    );
    assert_eq!(
        sentence(VersionScheme::MajorMinorRevision, "V1.4.7"),
        "version `V1.4.7` does not follow the scheme MajorMinorRevision: the revision `7` is not two digits; \
         write V<major>.<minor>.<revision> with two digits of revision, then -P and two digits for a patch, \
         for example `V1.4.00-P01`"
    );
    assert_eq!(
        sentence(VersionScheme::Dotted, "6.20.4294967296"),
        "version `6.20.4294967296` does not follow the scheme Dotted: the number `4294967296` has more than 9 digits; \
         write two to four numbers joined by dots, for example `6.20.70`"
    );
    assert_eq!(
        sentence(VersionScheme::PackageSet, "SIHPRD.2.09.50+SIHPRD.2.09.52"),
        "version `SIHPRD.2.09.50+SIHPRD.2.09.52` does not follow the scheme PackageSet: the package `SIHPRD` is named \
         twice; write <PACKAGE>.<dotted version> for each package, joined by +, for example \
         `DATA.1.09.00+MAIN.2.09.50`"
    );
}

#[test]
fn a_text_without_end_is_refused_before_it_is_read() {
    let text = format!("V1.{}", "9".repeat(MAX_BYTES));
    let error = VersionScheme::MajorMinor.parse(&text).unwrap_err();
    assert_eq!(error.problem, VersionProblem::TooLong { bytes: MAX_BYTES + 3 });
    assert!(error.to_string().len() < 300, "the message quotes only its beginning");
    assert_eq!(VersionScheme::Dotted.parse("").unwrap_err().problem, VersionProblem::Empty);
}

#[test]
fn the_largest_set_of_packages_is_accepted_whole() {
    let numbers = vec!["9".repeat(MAX_DIGITS); 4].join(".");
    let package = |letter: char| format!("{}.{numbers}", letter.to_string().repeat(MAX_NAME));
    let text = ('A'..).take(MAX_PACKAGES).map(package).collect::<Vec<_>>().join("+");
    assert_eq!(text.len(), 455);
    assert_eq!(version(VersionScheme::PackageSet, &text).to_string(), text);
}

#[test]
fn the_name_of_a_scheme_is_written_the_same_everywhere() {
    for scheme in VersionScheme::ALL {
        assert_eq!(serde_json::to_value(scheme).unwrap(), scheme.to_string());
        assert_eq!(format!("{scheme:?}"), scheme.to_string());
    }
}

#[test]
fn a_pattern_stands_in_cel_yaml_and_json_without_escaping() {
    for scheme in VersionScheme::ALL {
        assert!(!scheme.pattern().contains(['\\', '\'', '"', '`']), "{scheme}");
        assert!(scheme.cel_rule("self.version").starts_with(&format!("self.version.matches('{}')", scheme.pattern())));
    }
}
