//! May a change begin at a target now, and if not, when?
//!
//! ```text
//!  Window ──windows.rs──▶ spans in which a list of windows is open ──┐
//!                                                                    ├──search.rs──▶ spans in which all is open
//!  Period ──periods.rs──▶ spans in which a freeze holds ─freezes.rs──┘
//!                └────────── zone.rs: which instant does a local time name?
//! ```
//!
//! Everything is computed from edges of spans, never by stepping through minutes. All spans include their first instant
//! and exclude their last. The clock of the target's time zone decides, and where it is put forward or back:
//!
//! - a window is open at an instant if the clock has already read its opening time or a later one, and still reads or
//!   will yet read a time before its closing. So a time that the clock jumps over counts as the instant of the jump; a
//!   window that the clock jumps over as a whole does not open that day; and of an hour that is read twice, a window that
//!   has a part in it opens at the first reading and closes at the second, as one piece. One that closes as the hour
//!   begins has no part in it, and closes at its first beginning;
//! - a day begins the first time the clock reads its midnight or later, and lasts until the next one begins.
//!
//! Time ends in the year 9999: what would end later has no end.

use crate::calendar::{freezes::Freeze, search::Intersection, windows::Windows, zone::Zone};
use gotocloud_api::{ChangeFreezeSpec, calendar::Window, version::UpgradeKind};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeSet, fmt};

mod error;
pub mod freezes;
mod periods;
mod search;
#[cfg(test)]
mod tests;
mod text;
mod windows;
mod zone;

pub use error::{CalendarError, PeriodError};
pub use search::Span;

/// How far [`Calendar::state`] looks for the next opening: two years, so that a yearly freeze is seen to end.
pub const LOOK_AHEAD: SignedDuration = SignedDuration::from_hours(24 * 731);

/// Whom a calendar is for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// IANA time zone of its establishment.
    pub time_zone: &'a str,
    /// Name of its Application.
    pub application: &'a str,
    /// Every name its Establishment is known by: its own, and those of the groupings that list it.
    pub establishments: &'a BTreeSet<String>,
}

/// Whose windows they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowOwner {
    /// Those of the campaign the change belongs to.
    Campaign,
    /// Those of the application.
    Application,
    /// Those of the establishment.
    Establishment,
}

/// A change that would begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// How much an upgrade changes; none for any other change, which no exception of a freeze lets pass.
    pub kind: Option<UpgradeKind>,
    /// Name of the Release it goes to.
    pub release: Option<String>,
}

/// Whether a change may begin at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It may.
    Open {
        /// The first instant after that at which it may not; none if there is none.
        until: Option<Timestamp>,
        /// The freezes that hold, and who lets the change pass.
        passing: Vec<Passed>,
    },
    /// It may not.
    Closed {
        /// Everything that stands in the way, never empty: closed windows first.
        why: Vec<Blocker>,
        /// The first instant at which nothing will; none within [`LOOK_AHEAD`].
        opens: Option<Timestamp>,
    },
}

/// What stands in the way of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// None of somebody's windows is open.
    Window {
        /// Whose.
        whose: WindowOwner,
        /// When the next of them opens.
        opens: Timestamp,
    },
    /// A freeze holds.
    Freeze {
        /// Name of the `ChangeFreeze`.
        name: String,
        /// Its reason.
        reason: String,
        /// The first instant after it; none if it has no end.
        ends: Option<Timestamp>,
    },
}

/// By which exception a change passes a freeze that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Name of the `ChangeFreeze`.
    pub freeze: String,
    /// Who allowed it.
    pub approved_by: String,
    /// Why.
    pub reason: String,
}

/// When changes may begin at one target: all lists of windows open, no freeze that holds them, each by its own clock.
#[derive(Clone, Debug)]
pub struct Calendar {
    windows: Vec<(WindowOwner, Zone, Windows)>,
    freezes: Vec<(Zone, Freeze)>,
}

impl Calendar {
    /// Reads the calendar of a target. Within one list any open window suffices, and an empty list restricts nothing.
    /// Of the freezes, given with their names, those that do not concern the target are not even read.
    ///
    /// # Errors
    /// [`CalendarError`] for the first text that cannot be read.
    pub fn new<'a>(
        target: &Target<'_>,
        windows: &[(WindowOwner, &[Window])],
        freezes: impl IntoIterator<Item = (&'a str, &'a ChangeFreezeSpec)>,
    ) -> Result<Self, CalendarError> {
        let zone = Zone::named(target.time_zone)?;
        let read = windows.iter().map(|(whose, list)| Ok((*whose, zone.clone(), Windows::read(*whose, list)?)));
        let mut windows = read.collect::<Result<Vec<_>, CalendarError>>()?;
        windows.retain(|(_, _, list)| list.restricts());
        let concerned = freezes.into_iter().filter(|(_, spec)| freezes::concerns(spec, target));
        let read = concerned.map(|(name, spec)| Ok((zone.clone(), Freeze::read(name, spec)?)));
        let freezes = read.collect::<Result<_, CalendarError>>()?;
        Ok(Self { windows, freezes })
    }

    /// Open where both are. A freeze that both have on the same clock is one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let known = self.freezes.len();
        for (zone, freeze) in other.freezes {
            let is_known = self.freezes.iter().take(known).any(|(its, one)| *its == zone && one.is(&freeze));
            if !is_known {
                self.freezes.push((zone, freeze));
            }
        }
        self.windows.extend(other.windows);
        self
    }

    /// May `change` begin at `at`?
    pub fn state(&self, at: Timestamp, change: &Change) -> State {
        let (mut why, mut passing) = (Vec::new(), Vec::new());
        let mut until = Timestamp::MAX;

        for (whose, zone, windows) in &self.windows {
            match windows.spans(zone, at).next() {
                Some(span) if span.from <= at => until = until.min(span.until),
                // The last window before the end of time has closed.
                None => why.push(Blocker::Window { whose: *whose, opens: Timestamp::MAX }),
                Some(span) => why.push(Blocker::Window { whose: *whose, opens: span.from }),
            }
        }
        for (zone, freeze) in &self.freezes {
            let held = freeze.spans(zone, at).next();
            match (held, freeze.passed(change)) {
                (Some(span), Some(passed)) if span.from <= at => passing.push(passed),
                (Some(span), None) if span.from <= at => why.push(freeze.blocker(span)),
                (Some(span), None) => until = until.min(span.from),
                (Some(_), Some(_)) | (None, _) => {}
            }
        }

        if why.is_empty() {
            State::Open { until: (until < Timestamp::MAX).then_some(until), passing }
        } else {
            let horizon = at.saturating_add(LOOK_AHEAD).unwrap_or(Timestamp::MAX);
            State::Closed { why, opens: self.next_open(at, change, horizon) }
        }
    }

    /// The first instant from `from` on, and before `horizon`, at which `change` may begin.
    pub fn next_open(&self, from: Timestamp, change: &Change, horizon: Timestamp) -> Option<Timestamp> {
        self.open_spans(from, horizon, change).next().map(|span| span.from)
    }

    /// The spans between `from` and `to` in which `change` may begin, each as long as it can be, the earliest first.
    pub fn open_spans<'a>(
        &'a self,
        from: Timestamp,
        to: Timestamp,
        change: &Change,
    ) -> impl Iterator<Item = Span> + use<'a> {
        let mut open = Intersection::within(from, to);
        for (_, zone, windows) in &self.windows {
            open.add(windows.spans(zone, from));
        }
        for (zone, freeze) in self.freezes.iter().filter(|(_, freeze)| freeze.passed(change).is_none()) {
            open.add(search::between(freeze.spans(zone, from)));
        }
        open
    }
}

impl fmt::Display for WindowOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Campaign => "campaign",
            Self::Application => "application",
            Self::Establishment => "establishment",
        })
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window { whose, opens } => {
                write!(f, "outside the {whose}'s windows, of which the next opens at {opens}")
            }
            Self::Freeze { name, reason, ends: Some(ends) } => {
                write!(f, "held by the ChangeFreeze {name} until {ends}: {reason}")
            }
            Self::Freeze { name, reason, ends: None } => {
                write!(f, "held by the ChangeFreeze {name}, which has no end: {reason}")
            }
        }
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { freeze, approved_by, reason } = self;
        write!(f, "allowed during the ChangeFreeze {freeze} by {approved_by}: {reason}")
    }
}
