//! What in a calendar cannot be read, where is it, and what is to be written instead?

use crate::calendar::WindowOwner;

/// Why a target has no calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The IANA database does not know the time zone.
    #[error("time zone {0:?} is not in the IANA database: write one that is, such as Europe/Paris")]
    TimeZone(String),
    /// A window opens or closes at what is no time.
    #[error(
        "window {number} of the {whose}: {field} is {text:?}, which is no time of day: \
         write HH:MM, from 00:00 to 23:59, such as 22:30"
    )]
    Time {
        /// Whose windows.
        whose: WindowOwner,
        /// Which one, from 1.
        number: usize,
        /// `from` or `to`.
        field: &'static str,
        /// What stands there.
        text: String,
    },
    /// A freeze has no period that can be read.
    #[error("ChangeFreeze {name}: {problem}")]
    Freeze {
        /// Its name.
        name: String,
        /// What is wrong with its period.
        problem: PeriodError,
    },
}

/// Why a period cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Neither of the two ways to give it.
    #[error("period is empty: give either period.dates or period.yearly")]
    Empty,
    /// Both ways to give it.
    #[error("period gives both dates and yearly: take one of them out")]
    Both,
    /// A day of one year that does not exist.
    #[error(
        "period.dates.{field} is {text:?}, which is no day: write YYYY-MM-DD, a day that exists, such as 2026-07-01"
    )]
    Date {
        /// `from` or `until`.
        field: &'static str,
        /// What stands there.
        text: String,
    },
    /// A day that no year has.
    #[error(
        "period.yearly.{field} is {text:?}, which is a day of no year: write MM-DD, a day that exists, such as 07-01"
    )]
    DayOfYear {
        /// `from` or `until`.
        field: &'static str,
        /// What stands there.
        text: String,
    },
    /// The last day is before the first.
    #[error(
        "period.dates.until is {until}, before period.dates.from, {from}: write a last day that is not before the first"
    )]
    Order {
        /// The first day.
        from: String,
        /// The last day.
        until: String,
    },
}
