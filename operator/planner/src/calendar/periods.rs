//! Which days does a period hold?

use crate::calendar::{
    PeriodError,
    search::{Span, merged},
    text,
    zone::Zone,
};
use gotocloud_api::calendar::Period;
use jiff::{Timestamp, civil::Date};

/// A year that has every day: only 29 February depends on the year.
const LEAP_YEAR: i16 = 2000;

/// A period that can be read.
#[derive(Clone, Debug)]
pub(super) struct Days {
    when: When,
    /// A yearly period that leaves no day free: it has neither a beginning nor an end.
    all_year: bool,
}

#[derive(Clone, Copy, Debug)]
enum When {
    Once { from: Date, until: Date },
    Yearly { from: DayOfYear, until: DayOfYear },
}

/// Month and day, in the order of the year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct DayOfYear {
    month: i8,
    day: i8,
}

impl Days {
    /// Reads a period.
    pub(super) fn read(period: &Period) -> Result<Self, PeriodError> {
        let when = match (&period.dates, &period.yearly) {
            (None, None) => return Err(PeriodError::Empty),
            (Some(_), Some(_)) => return Err(PeriodError::Both),
            (Some(dates), None) => {
                let date = |field, written: &str| {
                    text::date(written).ok_or_else(|| PeriodError::Date { field, text: written.to_owned() })
                };
                let (from, until) = (date("from", &dates.from)?, date("until", &dates.until)?);
                if until < from {
                    return Err(PeriodError::Order { from: dates.from.clone(), until: dates.until.clone() });
                }
                When::Once { from, until }
            }
            (None, Some(yearly)) => {
                let day = |field, written: &str| {
                    DayOfYear::read(written).ok_or_else(|| PeriodError::DayOfYear { field, text: written.to_owned() })
                };
                When::Yearly { from: day("from", &yearly.from)?, until: day("until", &yearly.until)? }
            }
        };
        let mut days = Self { when, all_year: false };
        days.all_year = days.leaves_no_day();
        Ok(days)
    }

    /// First and last day of each time it comes that is not over by the end of the day before `day`, in order.
    pub(super) fn times_from(&self, day: Date) -> impl Iterator<Item = (Date, Date)> {
        let when = self.when;
        let years = match when {
            When::Once { from, until: _ } => from.year()..=from.year(),
            // What began last year may reach over the new year.
            When::Yearly { .. } => day.year().saturating_sub(1)..=Date::MAX.year(),
        };
        years.filter_map(move |year| when.beginning_in(year)).filter(move |(_, last)| *last >= day)
    }

    /// The spans it holds in a zone that end after `from`, each as long as it can be.
    pub(super) fn spans(&self, zone: &Zone, from: Timestamp) -> impl Iterator<Item = Span> {
        let always = self.all_year.then_some(Span { from: Timestamp::MIN, until: Timestamp::MAX });
        let times = (!self.all_year).then(|| self.times_from(zone.day(from))).into_iter().flatten();
        let spans = times.map(|days| span(zone, days)).filter(move |span| span.from < span.until && span.until > from);
        merged(always.into_iter().chain(spans))
    }

    /// Whether each time it comes begins the day after the one before. Nine years hold every succession of years with and
    /// without a 29 February.
    fn leaves_no_day(&self) -> bool {
        let When::Yearly { .. } = self.when else { return false };
        let start = Date::constant(LEAP_YEAR, 1, 1);
        let following = self.times_from(start).skip(1);
        self.times_from(start)
            .zip(following)
            .take(9)
            .all(|((_, last), (first, _))| last.tomorrow().is_ok_and(|day| day == first))
    }
}

impl When {
    /// First and last day of the time it comes that begins in `year`.
    fn beginning_in(self, year: i16) -> Option<(Date, Date)> {
        let (first, last) = match self {
            Self::Once { from, until } => (from, until),
            Self::Yearly { from, until } => {
                let over_new_year = until < from;
                (from.as_first_in(year)?, until.as_last_in(if over_new_year { year.checked_add(1)? } else { year })?)
            }
        };
        // From 29 February until 29 February, in a year without one.
        (first <= last).then_some((first, last))
    }
}

impl DayOfYear {
    fn read(written: &str) -> Option<Self> {
        let (month, day) = text::month_and_day(written)?;
        Date::new(LEAP_YEAR, month, day).is_ok().then_some(Self { month, day })
    }

    fn as_first_in(self, year: i16) -> Option<Date> {
        Date::new(year, self.month, self.day).or_else(|_| Date::new(year, 3, 1)).ok()
    }

    fn as_last_in(self, year: i16) -> Option<Date> {
        Date::new(year, self.month, self.day).or_else(|_| Date::new(year, 2, 28)).ok()
    }
}

/// From the beginning of the first day to that of the day after the last; a last day at the end of time does not end.
pub(super) fn span(zone: &Zone, (first, last): (Date, Date)) -> Span {
    Span { from: zone.start(first), until: last.tomorrow().map_or(Timestamp::MAX, |day| zone.start(day)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gotocloud_api::calendar::{Dates, Yearly};
    use jiff::civil::date;

    fn dates(from: &str, until: &str) -> Period {
        Period { dates: Some(Dates { from: from.into(), until: until.into() }), yearly: None }
    }

    fn yearly(from: &str, until: &str) -> Period {
        Period { dates: None, yearly: Some(Yearly { from: from.into(), until: until.into() }) }
    }

    fn next(period: &Period, day: Date, count: usize) -> Vec<String> {
        let days = Days::read(period).unwrap();
        days.times_from(day).take(count).map(|(first, last)| format!("{first}..{last}")).collect()
    }

    #[test]
    fn dates_come_once_and_both_ends_are_included() {
        let christmas = dates("2026-12-24", "2026-12-26");
        assert_eq!(next(&christmas, date(2026, 12, 26), 2), ["2026-12-24..2026-12-26"]);
        assert_eq!(next(&christmas, date(2026, 12, 27), 2), [""; 0]);
    }

    #[test]
    fn a_yearly_period_may_reach_over_the_new_year() {
        let break_ = yearly("12-20", "01-05");
        assert_eq!(next(&break_, date(2026, 1, 5), 2), ["2025-12-20..2026-01-05", "2026-12-20..2027-01-05"]);
        assert_eq!(next(&break_, date(2026, 1, 6), 1), ["2026-12-20..2027-01-05"]);
    }

    #[test]
    fn a_year_without_29_february_begins_on_1_march_and_ends_on_28_february() {
        assert_eq!(
            next(&yearly("02-29", "03-10"), date(2027, 1, 1), 2),
            ["2027-03-01..2027-03-10", "2028-02-29..2028-03-10"]
        );
        assert_eq!(
            next(&yearly("02-20", "02-29"), date(2027, 1, 1), 2),
            ["2027-02-20..2027-02-28", "2028-02-20..2028-02-29"]
        );
        assert_eq!(
            next(&yearly("02-29", "02-29"), date(2025, 1, 1), 2),
            ["2028-02-29..2028-02-29", "2032-02-29..2032-02-29"]
        );
    }

    #[test]
    fn what_leaves_no_day_of_any_year_never_ends() {
        for (from, until, all_year) in [
            ("01-01", "12-31", true),
            ("07-01", "06-30", true),
            ("02-29", "02-28", true),
            ("03-01", "02-29", true),
            // In leap years 29 February is free.
            ("03-01", "02-28", false),
            ("01-01", "12-30", false),
        ] {
            assert_eq!(Days::read(&yearly(from, until)).unwrap().all_year, all_year, "{from}..{until}");
        }
        assert!(!Days::read(&dates("0000-01-01", "9999-12-31")).unwrap().all_year);
    }

    #[test]
    fn a_day_that_does_not_exist_is_named() {
        for text in [
            "2026-02-30",
            "2026-02-29",
            "2026-11-31",
            "2026-13-01",
            "2026-2-01",
            "26-02-01",
            "",
            "2026-02-01T00:00",
            "+026-02-01",
        ] {
            let problem = PeriodError::Date { field: "from", text: text.into() };
            assert_eq!(Days::read(&dates(text, "2026-12-31")).unwrap_err(), problem);
        }
        for text in ["11-31", "02-30", "00-10", "13-01", "1-01", "", "01-01-01"] {
            let problem = PeriodError::DayOfYear { field: "until", text: text.into() };
            assert_eq!(Days::read(&yearly("01-01", text)).unwrap_err(), problem);
        }
    }
}
