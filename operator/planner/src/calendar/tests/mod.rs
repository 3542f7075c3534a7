//! Each rule of the calendar, on days where it matters.

use super::*;
use gotocloud_api::calendar::{Dates, Period, Weekday, Yearly};

mod freezes;
mod oracle;
mod properties;
mod windows;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn window(days: &[Weekday], from: &str, to: &str) -> Window {
    Window { days: days.to_vec(), from: from.into(), to: to.into() }
}

fn dates(from: &str, until: &str) -> ChangeFreezeSpec {
    let dates = Some(Dates { from: from.into(), until: until.into() });
    freeze(Period { dates, yearly: None })
}

fn yearly(from: &str, until: &str) -> ChangeFreezeSpec {
    let yearly = Some(Yearly { from: from.into(), until: until.into() });
    freeze(Period { dates: None, yearly })
}

fn freeze(period: Period) -> ChangeFreezeSpec {
    let reason = "students register".into();
    ChangeFreezeSpec { reason, period, applications: vec![], establishments: vec![], exceptions: vec![] }
}

fn read(
    zone: &str,
    windows: &[(WindowOwner, &[Window])],
    freezes: &[ChangeFreezeSpec],
) -> Result<Calendar, CalendarError> {
    let establishments = BTreeSet::from(["polynesie".to_owned(), "pacific".to_owned()]);
    let target = Target { time_zone: zone, application: "payroll", establishments: &establishments };
    Calendar::new(&target, windows, freezes.iter().map(|spec| ("summer", spec)))
}

fn open(zone: &str, windows: &[Window]) -> Calendar {
    read(zone, &[(WindowOwner::Establishment, windows)], &[]).unwrap()
}

fn frozen(zone: &str, freezes: &[ChangeFreezeSpec]) -> Calendar {
    read(zone, &[], freezes).unwrap()
}

/// The spans within some days, as `from..until` in UTC.
fn spans(calendar: &Calendar, from: &str, to: &str) -> Vec<String> {
    let (from, to) = (at(&format!("{from}:00Z")), at(&format!("{to}:00Z")));
    let short = |at: Timestamp| at.strftime("%dT%H:%M").to_string();
    let spans = calendar.open_spans(from, to, &Change::default());
    spans.map(|span| format!("{}..{}", short(span.from), short(span.until))).collect()
}

fn upgrade(kind: UpgradeKind, release: &str) -> Change {
    Change { kind: Some(kind), release: Some(release.into()) }
}
