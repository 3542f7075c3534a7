//! When may the targets of a campaign begin, by the windows and freezes of all whom they serve?

use super::{
    Lane,
    decide::Opening,
    targets::{Candidate, Field},
};
use crate::calendar::{self, Calendar, CalendarError, Change, State, WindowOwner};
use gotocloud_api::{Establishment, Window, establishment::TIME_ZONE};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};

/// What of one establishment a calendar is made of: its time zone, its windows, and the freezes that concern it.
type Clock = (String, Vec<Window>, Vec<String>);

/// The calendars of a campaign's targets: many targets share one.
#[derive(Clone, Default)]
pub struct Calendars {
    known: HashMap<Vec<Clock>, u32>,
    all: Vec<Result<Calendar, CalendarError>>,
}

impl Calendars {
    /// The calendar of a target, by its place: open where those of all whom it serves are.
    pub(super) fn of(&mut self, field: &Field<'_>, candidate: &Candidate<'_>) -> u32 {
        let all = || candidate.serves().map(|one| names_of(field, one)).zip(candidate.serves());
        let key: Vec<Clock> = all().map(|(names, one)| clock(field, one, &names)).collect();
        if let Some(known) = self.known.get(&key) {
            return *known;
        }

        let calendars = all().enumerate().map(|(at, (names, one))| calendar(field, one, &names, at == 0));
        let joined = calendars.reduce(|first, second| Ok(first?.and(second?)));
        // Its own establishment is always the first of them.
        self.all.extend(joined);
        let id = u32::try_from(self.all.len().saturating_sub(1)).unwrap_or(u32::MAX);
        self.known.insert(key, id);
        id
    }

    fn get(&self, lane: &Lane) -> Option<&Result<Calendar, CalendarError>> {
        self.all.get(usize::try_from(lane.calendar).unwrap_or(usize::MAX))
    }

    /// Is a lane open to `release` at a moment, and when is it next?
    pub fn opening(&self, lane: &Lane, release: Option<&str>, at: Timestamp) -> Opening {
        self.opening_until(lane, release, at).0
    }

    /// Is a lane open to `release` at a moment, and until when is that so? None: for all time.
    pub fn opening_until(&self, lane: &Lane, release: Option<&str>, at: Timestamp) -> (Opening, Option<Timestamp>) {
        match self.state(lane, release, at) {
            Ok(State::Open { until, .. }) => (Opening::Open, until),
            Ok(State::Closed { opens, .. }) => (Opening::Closed(opens), opens),
            Err(_) => (Opening::Closed(None), None),
        }
    }

    /// The state of a lane's calendar, or why it is not known. What cannot be read is closed: nothing begins on a guess.
    fn state(&self, lane: &Lane, release: Option<&str>, at: Timestamp) -> Result<State, String> {
        let calendar = self.get(lane).ok_or("its calendar is not known yet")?;
        let calendar = calendar.as_ref().map_err(ToString::to_string)?;
        Ok(calendar.state(at, &change(lane, release)))
    }

    /// The exceptions by which a freeze lets a lane's targets pass now, as sentences.
    pub fn passing(&self, lane: &Lane, release: Option<&str>, at: Timestamp) -> Vec<String> {
        match self.state(lane, release, at) {
            Ok(State::Open { passing, .. }) => passing.iter().map(ToString::to_string).collect(),
            Ok(State::Closed { .. }) | Err(_) => Vec::new(),
        }
    }

    /// The first moment from `from` on, before `horizon`, at which a lane is open to `release`.
    pub fn next_open(
        &self,
        lane: &Lane,
        release: Option<&str>,
        from: Timestamp,
        horizon: Timestamp,
    ) -> Option<Timestamp> {
        self.get(lane)?.as_ref().ok()?.next_open(from, &change(lane, release), horizon)
    }

    /// Why the calendar of a lane cannot be read; `None` if it can. Targets of that lane wait, and no others.
    pub fn unreadable(&self, lane: &Lane) -> Option<&CalendarError> {
        self.get(lane)?.as_ref().err()
    }

    /// What of the campaign's own windows cannot be read, a sentence each: no target can do without them.
    pub fn own_errors(&self) -> BTreeSet<String> {
        let errors = self.all.iter().filter_map(|calendar| calendar.as_ref().err());
        let own = errors.filter(|error| matches!(error, CalendarError::Time { whose: WindowOwner::Campaign, .. }));
        own.map(ToString::to_string).collect()
    }
}

/// Every name by which freezes know an establishment.
fn names_of(field: &Field<'_>, establishment: Option<&Establishment>) -> BTreeSet<String> {
    let own = establishment.and_then(|one| one.metadata.name.clone());
    let groupings = own.as_ref().and_then(|name| field.groupings.get(name));

    groupings.into_iter().flatten().cloned().chain(own.clone()).collect()
}

/// Whom the calendar of an establishment is for, known by those names.
fn calendar_target<'a>(
    field: &'a Field<'_>,
    establishment: Option<&'a Establishment>,
    names: &'a BTreeSet<String>,
) -> calendar::Target<'a> {
    let time_zone = establishment.map_or(TIME_ZONE, |one| one.spec.time_zone.as_str());

    calendar::Target { time_zone, application: &field.spec.application, establishments: names }
}

/// What the calendar of an establishment is made of.
fn clock(field: &Field<'_>, establishment: Option<&Establishment>, names: &BTreeSet<String>) -> Clock {
    let target = calendar_target(field, establishment, names);
    let windows = establishment.map_or_else(Vec::new, |one| one.spec.windows.clone());
    let freezes = field.freezes.iter().filter(|(_, freeze)| calendar::freezes::concerns(freeze, &target));

    (target.time_zone.to_owned(), windows, freezes.map(|(name, _)| name.clone()).collect())
}

/// The calendar of an establishment, with the windows of its campaign and application if they are by its clock.
fn calendar(
    field: &Field<'_>,
    establishment: Option<&Establishment>,
    names: &BTreeSet<String>,
    is_own: bool,
) -> Result<Calendar, CalendarError> {
    let own = establishment.map_or(&[][..], |one| &one.spec.windows);
    let of_application = field.application.map_or(&[][..], |application| &application.spec.windows);
    let mut windows = vec![(WindowOwner::Establishment, own)];
    if is_own {
        windows.extend([
            (WindowOwner::Campaign, field.spec.windows.as_slice()),
            (WindowOwner::Application, of_application),
        ]);
    }
    windows.sort_by_key(|(whose, _)| *whose);

    let freezes = field.freezes.iter().map(|(name, spec)| (name.as_str(), spec));
    Calendar::new(&calendar_target(field, establishment, names), &windows, freezes)
}

fn change(lane: &Lane, release: Option<&str>) -> Change {
    Change { kind: lane.kind, release: release.map(str::to_owned) }
}
