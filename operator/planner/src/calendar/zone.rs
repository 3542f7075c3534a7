//! Which instant does a local time name?

use crate::calendar::CalendarError;
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase},
};

const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);

/// The clock of a time zone, which may be put forward or back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Zone(TimeZone);

impl Zone {
    /// The zone of an IANA name.
    pub(super) fn named(name: &str) -> Result<Self, CalendarError> {
        // The database that is built into jiff (its feature `tzdb-bundle-always`). `TimeZone::get` would read that of the
        // machine from its disk: the planner does no I/O, and two replicas must not disagree over a night.
        let found = TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown());
        found.map(Self).ok_or_else(|| CalendarError::TimeZone(name.to_owned()))
    }

    /// The day on the clock at `at`.
    pub(super) fn day(&self, at: Timestamp) -> Date {
        self.0.to_datetime(at).date()
    }

    /// The first instant at which the clock reads `local` or later.
    pub(super) fn first(&self, local: DateTime) -> Timestamp {
        match self.0.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => instant(offset, local),
            AmbiguousOffset::Fold { before, after: _ } => instant(before, local),
            AmbiguousOffset::Gap { before, after } => self.jump(local, before, after),
        }
    }

    /// The first instant from which on the clock never again reads a time before `local`: right after it last reads the
    /// nanosecond before. That is not the second reading of `local` where the clock is put back to just that time.
    pub(super) fn last(&self, local: DateTime) -> Timestamp {
        let before_it = local.saturating_sub(NANOSECOND);
        let last = match self.0.to_ambiguous_timestamp(before_it).offset() {
            AmbiguousOffset::Unambiguous { offset } => instant(offset, before_it),
            AmbiguousOffset::Fold { before: _, after } => instant(after, before_it),
            AmbiguousOffset::Gap { before, after } => return self.jump(before_it, before, after),
        };
        last.saturating_add(NANOSECOND).unwrap_or(Timestamp::MAX)
    }

    /// The first instant of a day. Where the clock jumps over midnight that is the instant of the jump.
    pub(super) fn start(&self, day: Date) -> Timestamp {
        self.first(day.to_datetime(Time::midnight()))
    }

    /// When the clock jumped over `local`: after the instant it would name by the clock's new pace, and not after the one
    /// it would name by the old.
    fn jump(&self, local: DateTime, before: Offset, after: Offset) -> Timestamp {
        let (low, high) = (instant(after, local), instant(before, local));
        let mut jumps = self.0.following(low).take_while(|jump| jump.timestamp() <= high);
        jumps.find(|jump| jump.offset() == after).map_or(high, |jump| jump.timestamp())
    }
}

/// The instant at which a clock of this offset reads `local`, or the nearest that there is.
fn instant(offset: Offset, local: DateTime) -> Timestamp {
    let nearest = if local.year() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    offset.to_timestamp(local).unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_the_clock_jumps_over_is_the_instant_of_the_jump() {
        let paris = zone("Europe/Paris");
        let two_thirty = datetime(2026, 3, 29, 2, 30, 0, 0);
        assert_eq!(paris.first(two_thirty), at("2026-03-29T01:00:00Z"));
        assert_eq!(paris.last(two_thirty), at("2026-03-29T01:00:00Z"));
        let lord_howe = zone("Australia/Lord_Howe");
        assert_eq!(lord_howe.first(datetime(2026, 10, 4, 2, 10, 0, 0)), at("2026-10-03T15:30:00Z"));
    }

    #[test]
    fn a_time_the_clock_reads_twice_has_a_first_and_a_last_instant() {
        let paris = zone("Europe/Paris");
        let two_thirty = datetime(2026, 10, 25, 2, 30, 0, 0);
        assert_eq!(paris.first(two_thirty), at("2026-10-25T00:30:00Z"));
        assert_eq!(paris.last(two_thirty), at("2026-10-25T01:30:00Z"));
        let two = datetime(2026, 10, 25, 2, 0, 0, 0);
        assert_eq!((paris.first(two), paris.last(two)), (at("2026-10-25T00:00:00Z"), at("2026-10-25T00:00:00Z")));
        let three = datetime(2026, 10, 25, 3, 0, 0, 0);
        assert_eq!((paris.first(three), paris.last(three)), (at("2026-10-25T02:00:00Z"), at("2026-10-25T02:00:00Z")));
        let lord_howe = zone("Australia/Lord_Howe");
        let quarter_to_two = datetime(2026, 4, 5, 1, 45, 0, 0);
        assert_eq!(lord_howe.first(quarter_to_two), at("2026-04-04T14:45:00Z"));
        assert_eq!(lord_howe.last(quarter_to_two), at("2026-04-04T15:15:00Z"));
    }

    #[test]
    fn a_day_that_was_skipped_begins_and_ends_at_the_jump() {
        let apia = zone("Pacific/Apia");
        let jump = at("2011-12-30T10:00:00Z");
        assert_eq!(apia.start(jiff::civil::date(2011, 12, 30)), jump);
        assert_eq!(apia.start(jiff::civil::date(2011, 12, 31)), jump);
        assert_eq!(apia.first(datetime(2011, 12, 30, 17, 0, 0, 0)), jump);
    }

    #[test]
    fn a_day_begins_after_the_midnight_that_the_clock_jumps_over() {
        assert_eq!(zone("Asia/Beirut").start(jiff::civil::date(2026, 3, 29)), at("2026-03-28T22:00:00Z"));
        // 23:30 to 00:30: what reads 00:00 by the old pace is half an hour after the jump.
        assert_eq!(zone("America/Toronto").start(jiff::civil::date(1919, 3, 31)), at("1919-03-31T04:30:00Z"));
    }

    #[test]
    fn a_day_begins_once_even_if_its_midnight_is_read_twice() {
        assert_eq!(zone("America/St_Johns").start(jiff::civil::date(2010, 11, 7)), at("2010-11-07T02:30:00Z"));
        assert_eq!(zone("America/Havana").start(jiff::civil::date(2026, 11, 1)), at("2026-11-01T04:00:00Z"));
    }

    #[test]
    fn only_zones_of_the_database_have_a_name() {
        for name in ["", "Paris", "Europe/Pari", "CET-1CEST", "Etc/Unknown", "/etc/localtime", "../Europe/Paris", "\0"]
        {
            assert_eq!(Zone::named(name).err(), Some(CalendarError::TimeZone(name.to_owned())));
        }
    }
}
