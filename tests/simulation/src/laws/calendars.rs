//! May a target begin at a moment? Worked out anew, apart from the planner's own calendar.

use crate::{catalogue::HUB, operator::Known};
use gotocloud_api::{Campaign, Establishment, Window};
use gotocloud_planner::campaign::Objects;
use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Time, tz::TimeZone};

/// Why a target of a campaign may not begin, by what a process was shown; `None` if it may.
pub(super) fn closed(
    known: &Known<'_>,
    campaign: &Campaign,
    instance: &str,
    wave_started: Timestamp,
    now: Timestamp,
) -> Option<String> {
    let spec = &campaign.spec;
    let establishment = match known.instance(HUB, instance) {
        Some(instance) => instance.spec.establishment.clone(),
        None => instance.strip_prefix(&format!("{}-", spec.application))?.to_owned(),
    };
    let establishment = known.establishment(&establishment)?;
    let Ok(zone) = TimeZone::get(&establishment.spec.time_zone) else {
        // What nobody restricts begins in any time zone, even in one that is none.
        let is_restricted = !spec.windows.is_empty() || !establishment.spec.windows.is_empty();
        return is_restricted.then(|| format!("{} is no time zone", establishment.spec.time_zone));
    };

    for windows in [&spec.windows, &establishment.spec.windows] {
        if !is_open(windows, &zone, now) {
            return Some(format!("none of {windows:?} is open"));
        }
    }
    let today = now.to_zoned(zone).date().to_string();
    let name = establishment.metadata.name.as_deref().unwrap_or_default();
    for (freeze, spec) in known.freezes() {
        let holds = spec.establishments.is_empty() || spec.establishments.iter().any(|one| one == name);
        let is_now = spec.period.dates.is_some_and(|dates| dates.from <= today && today <= dates.until);
        if holds && is_now {
            return Some(format!("the freeze {freeze} holds"));
        }
    }
    deferred(known, campaign, &establishment, wave_started)
        .filter(|until| now < *until)
        .map(|until| format!("it is deferred until {until}"))
}

fn is_open(windows: &[Window], zone: &TimeZone, now: Timestamp) -> bool {
    let local = now.to_zoned(zone.clone()).datetime();
    let is_within = |window: &Window| {
        let time = |text: &str| text.parse::<Time>().unwrap_or(Time::midnight());
        let (from, to) = (time(&window.from), time(&window.to));
        [0, 1].into_iter().any(|days| {
            let day = local.date().saturating_sub(days.days());
            let ends = if to <= from { day.saturating_add(1.day()) } else { day };
            let opens =
                window.days.is_empty() || window.days.iter().any(|one| one.to_string() == name_of(day.weekday()));
            opens && day.to_datetime(from) <= local && local < ends.to_datetime(to)
        })
    };
    windows.is_empty() || windows.iter().any(is_within)
}

fn name_of(day: jiff::civil::Weekday) -> &'static str {
    use jiff::civil::Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    match day {
        Monday => "Monday",
        Tuesday => "Tuesday",
        Wednesday => "Wednesday",
        Thursday => "Thursday",
        Friday => "Friday",
        Saturday => "Saturday",
        Sunday => "Sunday",
    }
}

fn deferred(
    known: &Known<'_>,
    campaign: &Campaign,
    establishment: &Establishment,
    wave_started: Timestamp,
) -> Option<Timestamp> {
    let days = campaign.spec.max_deferral_days;
    let namespace = establishment.spec.namespace.as_ref()?;
    let all = known.deferrals();
    let of_it = all.iter().filter(|one| {
        Some(&one.spec.establishment) == establishment.metadata.name.as_ref()
            && Some(&one.spec.campaign) == campaign.metadata.name.as_ref()
            && one.metadata.namespace.as_ref() == Some(namespace)
    });
    let wish = of_it.map(|one| one.spec.until.0).max().filter(|_| days > 0)?;
    Some(wish.min(wave_started + SignedDuration::from_hours(24 * i64::from(days))))
}
