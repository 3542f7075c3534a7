//! Does the calendar agree with one who only looks at the clock, every minute?
//!
//! The oracle knows neither spans nor jumps. It writes down what the clock reads, minute by minute, and keeps the highest
//! reading so far and the lowest from then on. A window is open if the highest has come to its opening and the lowest is
//! before its closing; a freeze holds if the day of the highest, as text, is not before its first day nor after its last.

use super::*;
use jiff::{ToSpan, civil, tz::TimeZoneDatabase};

pub(super) const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];
pub(super) const DAY: i64 = 24 * 60;

/// What the clock of a zone has read and will read, in minutes since its 1970-01-01 00:00.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub highest: i64,
    pub lowest: i64,
}

/// The readings of so many minutes from the minute of `at` on.
pub(super) fn readings(zone: &str, at: Timestamp, minutes: i64) -> Vec<Reading> {
    let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
    let first = at.as_second().div_euclid(60);
    let clock = |minute: i64| {
        let offset = zone.to_offset(Timestamp::from_second(minute * 60).unwrap());
        minute + i64::from(offset.seconds().div_euclid(60))
    };
    let mut list: Vec<_> = (first - DAY..first + minutes + DAY)
        .map(|minute| Reading { highest: clock(minute), lowest: clock(minute) })
        .collect();
    for index in 1..list.len() {
        list[index].highest = list[index].highest.max(list[index - 1].highest);
    }
    for index in (1..list.len()).rev() {
        list[index - 1].lowest = list[index - 1].lowest.min(list[index].lowest);
    }
    let day = usize::try_from(DAY).unwrap();
    list[day..list.len() - day].to_vec()
}

pub(super) fn window_is_open(window: &Window, clock: Reading) -> bool {
    let minute = |text: &str| text[..2].parse::<i64>().unwrap() * 60 + text[3..].parse::<i64>().unwrap();
    let (from, to) = (minute(&window.from), minute(&window.to));
    let to = if to <= from { to + DAY } else { to };
    let today = clock.highest.div_euclid(DAY);
    (today - 2..=today).any(|day| {
        // 1970-01-01 was a Thursday.
        let weekday = WEEK[usize::try_from((day + 3).rem_euclid(7)).unwrap()];
        let opens = window.days.is_empty() || window.days.contains(&weekday);
        opens && day * DAY + from <= clock.highest && clock.lowest < day * DAY + to
    })
}

pub(super) fn list_is_open(list: &[Window], clock: Reading) -> bool {
    list.is_empty() || list.iter().any(|window| window_is_open(window, clock))
}

pub(super) fn freeze_holds(spec: &ChangeFreezeSpec, clock: Reading) -> bool {
    holds_on(&spec.period, civil::date(1970, 1, 1) + clock.highest.div_euclid(DAY).days())
}

/// Month and day compare as text: in a year without 29 February nothing else is to be known.
pub(super) fn holds_on(period: &Period, day: civil::Date) -> bool {
    let day = day.to_string();
    match (&period.dates, &period.yearly) {
        (Some(dates), None) => dates.from <= day && day <= dates.until,
        (None, Some(yearly)) if yearly.from <= yearly.until => *yearly.from <= day[5..] && day[5..] <= *yearly.until,
        (None, Some(yearly)) => *yearly.from <= day[5..] || day[5..] <= *yearly.until,
        _ => panic!("not generated"),
    }
}

/// The beginning of the first minute, counted from that of `at`, in which something is so; `at` itself if it is so then.
pub(super) fn first_minute(at: Timestamp, clock: &[Reading], is_so: impl Fn(Reading) -> bool) -> Option<Timestamp> {
    let minute = i64::try_from(clock.iter().position(|reading| is_so(*reading))?).unwrap();
    let start = Timestamp::from_second((at.as_second().div_euclid(60) + minute) * 60).unwrap();
    Some(start.max(at))
}
