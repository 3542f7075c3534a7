//! Whom does a freeze hold, when, and what passes all the same?

use crate::calendar::{
    Blocker, CalendarError, Change, Passed, PeriodError, Target,
    periods::{self, Days},
    search::Span,
    zone::Zone,
};
use gotocloud_api::{ChangeFreezeSpec, change_freeze::FreezeException};
use jiff::{Timestamp, civil::Date};

/// Whether a freeze is for a target, whatever the day.
pub fn concerns(spec: &ChangeFreezeSpec, target: &Target<'_>) -> bool {
    let application = spec.applications.is_empty() || spec.applications.iter().any(|name| name == target.application);
    let establishment =
        spec.establishments.is_empty() || spec.establishments.iter().any(|name| target.establishments.contains(name));
    application && establishment
}

/// How a freeze stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// First day of the time that is now or comes next.
    pub from: Date,
    /// Last day of it.
    pub until: Date,
    /// Whether it holds in any of the zones.
    pub active: bool,
}

/// How a freeze stands in the zones of those it concerns: the first time it comes that is not over in all of them; none
/// once there is none. Without a zone it is looked at in UTC and is not active.
///
/// # Errors
/// [`PeriodError`] if its period cannot be read. A zone that cannot be read is passed over: that is for its establishment
/// to hear of.
pub fn status<'a>(
    spec: &ChangeFreezeSpec,
    zones: impl IntoIterator<Item = &'a str>,
    now: Timestamp,
) -> Result<Option<Standing>, PeriodError> {
    let days = Days::read(&spec.period)?;
    let zones: Vec<Zone> = zones.into_iter().filter_map(|name| Zone::named(name).ok()).collect();
    let nowhere = if zones.is_empty() { Zone::named("UTC").ok() } else { None };
    let today = zones.iter().chain(&nowhere).map(|zone| zone.day(now)).min();
    let next = today.and_then(|today| {
        let mut times = days.times_from(today);
        times.find(|days| zones.iter().chain(&nowhere).any(|zone| now < periods::span(zone, *days).until))
    });
    Ok(next.map(|(from, until)| {
        let mut spans = zones.iter().map(|zone| periods::span(zone, (from, until)));
        Standing { from, until, active: spans.any(|span| span.from <= now && now < span.until) }
    }))
}

/// A freeze that can be read.
#[derive(Clone, Debug)]
pub(super) struct Freeze {
    name: String,
    reason: String,
    days: Days,
    exceptions: Vec<FreezeException>,
}

impl Freeze {
    pub(super) fn read(name: &str, spec: &ChangeFreezeSpec) -> Result<Self, CalendarError> {
        let days =
            Days::read(&spec.period).map_err(|problem| CalendarError::Freeze { name: name.to_owned(), problem })?;
        Ok(Self { name: name.to_owned(), reason: spec.reason.clone(), days, exceptions: spec.exceptions.clone() })
    }

    /// Is it the one of that name?
    pub(super) fn is(&self, other: &Self) -> bool {
        self.name == other.name
    }

    /// The spans in which it holds that end after `from`.
    pub(super) fn spans(&self, zone: &Zone, from: Timestamp) -> impl Iterator<Item = Span> {
        self.days.spans(zone, from)
    }

    /// The first of its exceptions that lets a change pass.
    pub(super) fn passed(&self, change: &Change) -> Option<Passed> {
        let exception = self.exceptions.iter().find(|exception| lets_pass(exception, change))?;
        Some(Passed {
            freeze: self.name.clone(),
            approved_by: exception.approved_by.clone(),
            reason: exception.reason.clone(),
        })
    }

    /// It, as what stands in the way during `span`.
    pub(super) fn blocker(&self, span: Span) -> Blocker {
        Blocker::Freeze {
            name: self.name.clone(),
            reason: self.reason.clone(),
            ends: (span.until < Timestamp::MAX).then_some(span.until),
        }
    }
}

fn lets_pass(exception: &FreezeException, change: &Change) -> bool {
    let kind = change.kind.is_some_and(|kind| kind <= exception.up_to);
    let release = exception.releases.is_empty()
        || change.release.as_ref().is_some_and(|release| exception.releases.contains(release));
    kind && release
}
