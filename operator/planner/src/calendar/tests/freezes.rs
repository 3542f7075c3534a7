//! What freezes say, also where a year has no such day.

use super::*;
use crate::calendar::freezes;
use gotocloud_api::change_freeze::FreezeException;
use jiff::civil::date;

#[test]
fn a_freeze_holds_from_the_first_midnight_to_the_last_of_each_place() {
    let august = [dates("2026-08-01", "2026-08-31")];
    assert_eq!(
        spans(&frozen("Europe/Paris", &august), "2026-07-31T00:00", "2026-09-02T00:00"),
        ["31T00:00..31T22:00", "31T22:00..02T00:00"]
    );
    assert_eq!(
        spans(&frozen("Pacific/Tahiti", &august), "2026-07-31T00:00", "2026-09-02T00:00"),
        ["31T00:00..01T10:00", "01T10:00..02T00:00"]
    );
}

#[test]
fn a_freeze_holds_at_its_first_instant_and_no_longer_at_the_first_after_it() {
    let calendar = frozen("Europe/Paris", &[dates("2026-08-01", "2026-08-31")]);
    let held = |time| match calendar.state(at(time), &Change::default()) {
        State::Open { until, .. } => Err(until),
        State::Closed { why, opens } => Ok((why, opens)),
    };
    let (first, after) = ("2026-07-31T22:00:00Z", "2026-08-31T22:00:00Z");
    let blocker = Blocker::Freeze { name: "summer".into(), reason: "students register".into(), ends: Some(at(after)) };
    assert_eq!(held("2026-07-31T21:59:59.999999999Z"), Err(Some(at(first))));
    assert_eq!(held(first), Ok((vec![blocker.clone()], Some(at(after)))));
    assert_eq!(held("2026-08-31T21:59:59.999999999Z"), Ok((vec![blocker], Some(at(after)))));
    assert_eq!(held(after), Err(None));
}

#[test]
fn what_opens_during_a_freeze_waits_for_its_end() {
    let night = [window(&[], "22:00", "06:00")];
    let calendar = read(
        "UTC",
        &[(WindowOwner::Campaign, &night)],
        &[dates("2026-08-01", "2026-08-02"), dates("2026-08-03", "2026-08-03")],
    )
    .unwrap();
    let change = Change::default();
    assert_eq!(
        calendar.state(at("2026-07-31T23:00:00Z"), &change),
        State::Open { until: Some(at("2026-08-01T00:00:00Z")), passing: vec![] }
    );
    assert_eq!(
        calendar.next_open(at("2026-08-01T00:00:00Z"), &change, at("2026-09-01T00:00:00Z")),
        Some(at("2026-08-04T00:00:00Z"))
    );
    assert_eq!(
        calendar.next_open(at("2026-08-01T00:00:00Z"), &change, at("2026-08-04T00:00:00Z")),
        None,
        "the horizon is not included"
    );
}

#[test]
fn a_yearly_freeze_comes_again_over_each_new_year() {
    let calendar = frozen("UTC", &[yearly("12-20", "01-05")]);
    assert_eq!(spans(&calendar, "2026-01-01T00:00", "2027-02-01T00:00"), ["06T00:00..20T00:00", "06T00:00..01T00:00"]);
}

#[test]
fn a_freeze_of_29_february_ends_a_day_earlier_in_other_years() {
    let calendar = frozen("UTC", &[yearly("02-10", "02-29")]);
    assert_eq!(spans(&calendar, "2027-02-15T00:00", "2027-03-05T00:00"), ["01T00:00..05T00:00"]);
    assert_eq!(spans(&calendar, "2028-02-15T00:00", "2028-03-05T00:00"), ["01T00:00..05T00:00"]);
    let State::Closed { opens, .. } = calendar.state(at("2027-02-28T12:00:00Z"), &Change::default()) else { panic!() };
    assert_eq!(opens, Some(at("2027-03-01T00:00:00Z")));
}

#[test]
fn a_freeze_of_the_whole_year_has_no_end() {
    let State::Closed { why, opens } =
        frozen("UTC", &[yearly("07-01", "06-30")]).state(at("2026-07-01T00:00:00Z"), &Change::default())
    else {
        panic!()
    };
    assert_eq!(why[0].to_string(), "held by the ChangeFreeze summer, which has no end: students register");
    assert_eq!(opens, None);
}

#[test]
fn an_exception_lets_pass_what_is_light_enough_and_of_its_release_and_says_who_allowed_it() {
    let exception = FreezeException {
        up_to: UpgradeKind::Revision,
        releases: vec!["payroll-1.2.1".into()],
        approved_by: "A. Martin".into(),
        reason: "a wrong rate".into(),
    };
    let calendar =
        frozen("UTC", &[ChangeFreezeSpec { exceptions: vec![exception], ..dates("2026-08-01", "2026-08-31") }]);
    let (before, during) = (at("2026-07-01T00:00:00Z"), at("2026-08-10T00:00:00Z"));
    for kind in [UpgradeKind::Patch, UpgradeKind::Revision] {
        let State::Open { until: None, passing } = calendar.state(during, &upgrade(kind, "payroll-1.2.1")) else {
            panic!()
        };
        assert_eq!(passing.len(), 1);
        assert_eq!(passing[0].to_string(), "allowed during the ChangeFreeze summer by A. Martin: a wrong rate");
        assert_eq!(
            calendar.state(before, &upgrade(kind, "payroll-1.2.1")),
            State::Open { until: None, passing: vec![] }
        );
    }
    for change in [
        upgrade(UpgradeKind::Minor, "payroll-1.2.1"),
        upgrade(UpgradeKind::Patch, "payroll-1.2.2"),
        Change { kind: Some(UpgradeKind::Patch), release: None },
        Change { kind: None, release: Some("payroll-1.2.1".into()) },
    ] {
        let State::Closed { why, opens } = calendar.state(during, &change) else { panic!("{change:?}") };
        assert_eq!(why[0].to_string(), "held by the ChangeFreeze summer until 2026-09-01T00:00:00Z: students register");
        assert_eq!(opens, Some(at("2026-09-01T00:00:00Z")));
    }
}

#[test]
fn a_freeze_holds_those_it_names_and_groupings_stand_for_their_members() {
    let named = |applications: &[&str], establishments: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let spec = dates("2026-08-01", "2026-08-31");
        let spec =
            ChangeFreezeSpec { applications: owned(applications), establishments: owned(establishments), ..spec };
        matches!(frozen("UTC", &[spec]).state(at("2026-08-10T00:00:00Z"), &Change::default()), State::Closed { .. })
    };
    assert!(named(&[], &[]));
    assert!(named(&["finance", "payroll"], &["polynesie"]));
    assert!(named(&[], &["pacific"]));
    assert!(!named(&["finance"], &[]));
    assert!(!named(&["payroll"], &["paris"]));
}

#[test]
fn what_cannot_be_read_is_named_with_what_to_write() {
    let sentence = |zone: &str, windows: &[Window], freezes: &[ChangeFreezeSpec]| {
        read(zone, &[(WindowOwner::Campaign, windows)], freezes).unwrap_err().to_string()
    };
    let wrong = [window(&[], "22:00", "06:00"), window(&[], "22:00", "24:00")];
    let both = Period { yearly: yearly("01-01", "01-02").period.yearly, ..dates("2026-01-01", "2026-01-02").period };
    insta::assert_snapshot!([
        sentence("Europe/Pari", &[], &[]),
        sentence("UTC", &wrong, &[]),
        sentence("UTC", &[], &[dates("2026-02-01", "2026-02-30")]),
        sentence("UTC", &[], &[dates("2026-02-01", "2026-01-31")]),
        sentence("UTC", &[], &[yearly("11-31", "12-31")]),
        sentence("UTC", &[], &[freeze(Period::default())]),
        sentence("UTC", &[], &[freeze(both)]),
    ].join("\n"), @r#"
    time zone "Europe/Pari" is not in the IANA database: write one that is, such as Europe/Paris
    window 2 of the campaign: to is "24:00", which is no time of day: write HH:MM, from 00:00 to 23:59, such as 22:30
    ChangeFreeze summer: period.dates.until is "2026-02-30", which is no day: write YYYY-MM-DD, a day that exists, such as 2026-07-01
    ChangeFreeze summer: period.dates.until is 2026-01-31, before period.dates.from, 2026-02-01: write a last day that is not before the first
    ChangeFreeze summer: period.yearly.from is "11-31", which is a day of no year: write MM-DD, a day that exists, such as 07-01
    ChangeFreeze summer: period is empty: give either period.dates or period.yearly
    ChangeFreeze summer: period gives both dates and yearly: take one of them out
    "#);
}

#[test]
fn a_freeze_that_does_not_concern_the_target_cannot_spoil_its_calendar() {
    let elsewhere = ChangeFreezeSpec { applications: vec!["finance".into()], ..dates("soon", "later") };
    assert!(read("UTC", &[], &[elsewhere]).is_ok());
}

#[test]
fn a_freeze_is_active_while_it_holds_anywhere_and_then_its_next_time_is_told() {
    let spec = yearly("12-24", "12-26");
    let status = |zones: &[&str], now: &str| freezes::status(&spec, zones.iter().copied(), at(now)).unwrap();
    let standing = |year: i16, active: bool| {
        Some(freezes::Standing { from: date(year, 12, 24), until: date(year, 12, 26), active })
    };
    let both = ["Europe/Paris", "Pacific/Tahiti"];
    assert_eq!(status(&both, "2026-12-23T22:59:59Z"), standing(2026, false));
    assert_eq!(status(&both, "2026-12-23T23:00:00Z"), standing(2026, true));
    assert_eq!(status(&both[1..], "2026-12-23T23:00:00Z"), standing(2026, false));
    assert_eq!(status(&both, "2026-12-27T09:59:59Z"), standing(2026, true));
    assert_eq!(status(&both[..1], "2026-12-27T09:59:59Z"), standing(2027, false));
    assert_eq!(status(&both, "2026-12-27T10:00:00Z"), standing(2027, false));
    assert_eq!(status(&["Nowhere"], "2026-12-25T00:00:00Z"), standing(2026, false), "nobody is held");
    // The day after had begun before the clock was put back to 23:01.
    let day = freezes::status(&dates("2010-11-06", "2010-11-06"), ["America/St_Johns"], at("2010-11-07T02:45:00Z"));
    assert_eq!(day, Ok(None));
    let once = dates("2026-01-01", "2026-01-02");
    assert_eq!(freezes::status(&once, both, at("2026-01-03T10:00:00Z")), Ok(None));
}
