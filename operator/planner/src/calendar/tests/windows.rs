//! What windows say, also where the clock is put forward or back.

use super::*;

#[test]
fn night_in_papeete_is_not_night_in_paris() {
    let night = [window(&[], "22:00", "06:00")];
    assert_eq!(spans(&open("Europe/Paris", &night), "2026-07-01T12:00", "2026-07-02T12:00"), ["01T20:00..02T04:00"]);
    assert_eq!(
        spans(&open("Pacific/Tahiti", &night), "2026-07-01T12:00", "2026-07-02T12:00"),
        ["01T12:00..01T16:00", "02T08:00..02T12:00"]
    );
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_it_opens_on() {
    let friday_night = open("UTC", &[window(&[Weekday::Friday], "22:00", "04:00")]);
    assert_eq!(spans(&friday_night, "2026-07-02T00:00", "2026-07-09T00:00"), ["03T22:00..04T04:00"]);
}

#[test]
fn a_window_that_closes_when_it_opens_lasts_a_day() {
    let sunday = open("UTC", &[window(&[Weekday::Sunday], "06:00", "06:00")]);
    assert_eq!(spans(&sunday, "2026-07-01T00:00", "2026-07-09T00:00"), ["05T06:00..06T06:00"]);
}

#[test]
fn windows_that_touch_are_one_span() {
    let calendar =
        open("UTC", &[window(&[], "10:00", "12:00"), window(&[], "08:00", "10:00"), window(&[], "11:00", "13:00")]);
    assert_eq!(spans(&calendar, "2026-07-01T00:00", "2026-07-02T00:00"), ["01T08:00..01T13:00"]);
}

#[test]
fn one_hour_is_missing_when_the_clock_is_put_forward() {
    let calendar = open("Europe/Paris", &[window(&[], "01:00", "04:00")]);
    assert_eq!(spans(&calendar, "2026-03-28T12:00", "2026-03-29T12:00"), ["29T00:00..29T02:00"]);
}

#[test]
fn a_time_that_the_clock_jumps_over_is_the_instant_of_the_jump() {
    let opens = open("Europe/Paris", &[window(&[], "02:30", "04:00")]);
    assert_eq!(spans(&opens, "2026-03-28T12:00", "2026-03-29T12:00"), ["29T01:00..29T02:00"]);
    let closes = open("Europe/Paris", &[window(&[], "22:00", "02:30")]);
    assert_eq!(spans(&closes, "2026-03-28T12:00", "2026-03-29T12:00"), ["28T21:00..29T01:00"]);
}

#[test]
fn a_window_that_the_clock_jumps_over_does_not_open_that_day() {
    let calendar = open("Europe/Paris", &[window(&[], "02:15", "02:45")]);
    assert_eq!(spans(&calendar, "2026-03-28T00:00", "2026-03-30T12:00"), ["28T01:15..28T01:45", "30T00:15..30T00:45"]);
}

#[test]
fn an_hour_that_is_read_twice_belongs_to_a_window_as_one_piece() {
    let whole = open("Europe/Paris", &[window(&[], "02:00", "03:00")]);
    assert_eq!(spans(&whole, "2026-10-25T00:00", "2026-10-25T12:00"), ["25T00:00..25T02:00"]);
    let opens = open("Europe/Paris", &[window(&[], "02:30", "04:00")]);
    assert_eq!(spans(&opens, "2026-10-24T12:00", "2026-10-25T12:00"), ["25T00:30..25T03:00"]);
    let closes = open("Europe/Paris", &[window(&[], "22:00", "02:30")]);
    assert_eq!(spans(&closes, "2026-10-24T12:00", "2026-10-25T12:00"), ["24T20:00..25T01:30"]);
    let before = open("Europe/Paris", &[window(&[], "22:00", "02:00")]);
    assert_eq!(spans(&before, "2026-10-24T12:00", "2026-10-25T12:00"), ["24T20:00..25T00:00"]);
}

#[test]
fn a_clock_may_be_put_back_by_half_an_hour() {
    let calendar = open("Australia/Lord_Howe", &[window(&[], "01:00", "01:45")]);
    assert_eq!(spans(&calendar, "2026-04-04T12:00", "2026-04-05T12:00"), ["04T14:00..04T15:15"]);
}

#[test]
fn a_clock_may_skip_a_day() {
    let around = ("2011-12-29T00:00", "2012-01-01T00:00");
    // In Apia the 29th, a Thursday, ended at 10:00 UTC on the 30th, and the 31st began.
    let friday = open("Pacific/Apia", &[window(&[Weekday::Friday], "09:00", "17:00")]);
    assert_eq!(spans(&friday, around.0, around.1), [""; 0]);
    let thursday_night = open("Pacific/Apia", &[window(&[Weekday::Thursday], "22:00", "06:00")]);
    assert_eq!(spans(&thursday_night, around.0, around.1), ["30T08:00..30T10:00"]);
    let friday_night = open("Pacific/Apia", &[window(&[Weekday::Friday], "22:00", "06:00")]);
    assert_eq!(spans(&friday_night, around.0, around.1), ["30T10:00..30T16:00"]);
    assert_eq!(
        spans(&frozen("Pacific/Apia", &[dates("2011-12-30", "2011-12-30")]), around.0, around.1),
        ["29T00:00..01T00:00"]
    );
}

#[test]
fn all_lists_must_be_open_and_an_empty_one_restricts_nothing() {
    let (evening, night) = ([window(&[], "20:00", "23:00")], [window(&[], "22:00", "06:00")]);
    let lists: [(_, &[Window]); 3] =
        [(WindowOwner::Campaign, &evening), (WindowOwner::Application, &[]), (WindowOwner::Establishment, &night)];
    let calendar = read("UTC", &lists, &[]).unwrap();
    assert_eq!(spans(&calendar, "2026-07-01T00:00", "2026-07-02T00:00"), ["01T22:00..01T23:00"]);
    let whys = |time| match calendar.state(at(time), &Change::default()) {
        State::Open { .. } => vec![],
        State::Closed { why, opens } => {
            why.iter().map(ToString::to_string).chain(opens.map(|at| at.to_string())).collect()
        }
    };
    let opens = "2026-07-01T22:00:00Z";
    assert_eq!(
        whys("2026-07-01T21:00:00Z"),
        [format!("outside the establishment's windows, of which the next opens at {opens}"), opens.into()]
    );
    assert_eq!(whys("2026-07-01T12:00:00Z").len(), 3);
    assert_eq!(whys(opens), [""; 0]);
}

#[test]
fn windows_that_never_meet_never_open() {
    let (day, night) = ([window(&[], "08:00", "18:00")], [window(&[], "18:00", "08:00")]);
    let calendar =
        read("Europe/Paris", &[(WindowOwner::Application, &day), (WindowOwner::Campaign, &night)], &[]).unwrap();
    let State::Closed { opens, why } = calendar.state(at("2026-07-01T12:00:00Z"), &Change::default()) else { panic!() };
    assert_eq!((opens, why.len()), (None, 1));
}
