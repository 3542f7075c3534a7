//! When is one of a list of windows open?

use crate::calendar::{
    CalendarError, WindowOwner,
    search::{Span, merged},
    text,
    zone::Zone,
};
use gotocloud_api::calendar::{Weekday, Window};
use jiff::{
    Timestamp, ToSpan,
    civil::{self, Date, Time},
};

/// The largest jump of a clock in the database is a day, over the date line; a window reaches into the day after its own.
const DAYS_BACK: i64 = 3;
const MINUTES_A_DAY: i64 = 24 * 60;

/// A list of windows.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    /// By time of opening, so that what opens on a day comes in order.
    list: Vec<Opening>,
}

/// A window that can be read.
#[derive(Clone, Debug)]
struct Opening {
    days: Vec<civil::Weekday>,
    from: Time,
    to: Time,
}

impl Windows {
    /// Reads a list.
    pub(super) fn read(whose: WindowOwner, list: &[Window]) -> Result<Self, CalendarError> {
        let read = list.iter().enumerate().map(|(index, window)| {
            let time = |field: &'static str, written: &str| {
                let error = || CalendarError::Time { whose, number: index + 1, field, text: written.to_owned() };
                text::time(written).ok_or_else(error)
            };
            let days = window.days.iter().copied().map(weekday).collect();
            Ok(Opening { days, from: time("from", &window.from)?, to: time("to", &window.to)? })
        });
        let mut list = read.collect::<Result<Vec<_>, _>>()?;
        list.sort_by_key(|opening| opening.from);
        Ok(Self { list })
    }

    /// Whether there is a minute of the week in which none is open. The clock of a list without one need not be watched,
    /// however it jumps, and an empty list is no restriction.
    pub(super) fn restricts(&self) -> bool {
        let mut minutes: Vec<(i64, i64)> = self.list.iter().flat_map(Opening::minutes_of_the_week).collect();
        minutes.sort_unstable();
        let mut reached = 0;
        for (from, to) in minutes {
            if from > reached {
                return true;
            }
            reached = reached.max(to);
        }
        !self.list.is_empty() && reached < 7 * MINUTES_A_DAY
    }

    /// The spans in which one is open that end after `from`, each as long as it can be.
    pub(super) fn spans(&self, zone: &Zone, from: Timestamp) -> impl Iterator<Item = Span> {
        let first = zone.day(from).saturating_sub(DAYS_BACK.days());
        let days = std::iter::successors(Some(first), |day| day.tomorrow().ok());
        let spans = days.flat_map(move |day| self.list.iter().filter_map(move |opening| opening.span(zone, day)));
        merged(spans.filter(move |span| span.until > from))
    }
}

impl Opening {
    fn opens_on(&self, day: civil::Weekday) -> bool {
        self.days.is_empty() || self.days.contains(&day)
    }

    fn closes_the_day_after(&self) -> bool {
        self.to <= self.from
    }

    /// The span that begins on `day`; none on other days than its own, nor where the clock jumps over all of it.
    fn span(&self, zone: &Zone, day: Date) -> Option<Span> {
        if !self.opens_on(day.weekday()) {
            return None;
        }
        let last = if self.closes_the_day_after() { day.tomorrow().ok()? } else { day };
        let (from, until) = (zone.first(day.to_datetime(self.from)), zone.last(last.to_datetime(self.to)));
        (from < until).then_some(Span { from, until })
    }

    /// Its minutes of the week, from Monday's midnight on; also what reaches over from the week before.
    fn minutes_of_the_week(&self) -> impl Iterator<Item = (i64, i64)> {
        let minute = |time: Time| i64::from(time.hour()) * 60 + i64::from(time.minute());
        let length = (minute(self.to) - minute(self.from) - 1).rem_euclid(MINUTES_A_DAY) + 1;
        let days = (-1..7).filter(|day| self.opens_on(nth_weekday(*day)));
        days.map(move |day| {
            let from = day * MINUTES_A_DAY + minute(self.from);
            (from, from + length)
        })
    }
}

/// The weekday so many days after a Monday.
fn nth_weekday(days: i64) -> civil::Weekday {
    civil::Weekday::Monday.wrapping_add(days)
}

fn weekday(day: Weekday) -> civil::Weekday {
    match day {
        Weekday::Monday => civil::Weekday::Monday,
        Weekday::Tuesday => civil::Weekday::Tuesday,
        Weekday::Wednesday => civil::Weekday::Wednesday,
        Weekday::Thursday => civil::Weekday::Thursday,
        Weekday::Friday => civil::Weekday::Friday,
        Weekday::Saturday => civil::Weekday::Saturday,
        Weekday::Sunday => civil::Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(windows: &[(&[Weekday], &str, &str)]) -> Windows {
        let window = |&(days, from, to): &(&[Weekday], &str, &str)| Window {
            days: days.to_vec(),
            from: from.into(),
            to: to.into(),
        };
        Windows::read(WindowOwner::Campaign, &windows.iter().map(window).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_list_that_leaves_no_minute_of_the_week_restricts_nothing() {
        assert!(!list(&[]).restricts());
        assert!(!list(&[(&[], "00:00", "00:00")]).restricts());
        assert!(!list(&[(&[], "18:00", "06:00"), (&[], "06:00", "18:00")]).restricts());
        assert!(!list(&[(&[], "18:00", "18:00")]).restricts());
    }

    #[test]
    fn a_list_that_leaves_one_minute_of_the_week_restricts() {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        let working_days = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday];
        assert!(list(&[(&[], "00:00", "23:59")]).restricts());
        assert!(list(&[(&[], "00:01", "00:00")]).restricts());
        assert!(list(&[(&working_days, "18:00", "18:00")]).restricts());
        assert!(list(&[(&working_days, "00:00", "00:00")]).restricts());
        assert!(list(&[(&working_days, "00:00", "00:00"), (&[Sunday], "00:00", "23:59")]).restricts());
        assert!(!list(&[(&working_days, "00:00", "00:00"), (&[Sunday], "00:00", "00:00")]).restricts());
    }
}
