//! Does the calendar agree with the oracle, whatever is written and wherever the clock jumps?

use super::{oracle::*, *};
use crate::calendar::freezes;
use gotocloud_api::change_freeze::FreezeException;
use jiff::{ToSpan, civil, tz::TimeZoneDatabase};
use proptest::{prelude::*, sample::select};

const ZONES: [&str; 14] = [
    "Europe/Paris",
    "Pacific/Tahiti",
    "Indian/Reunion",
    "Indian/Mayotte",
    "America/Guadeloupe",
    "Pacific/Noumea",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "UTC",
    // Their midnights are jumped over or read twice.
    "Asia/Beirut",
    "Africa/Cairo",
    "America/Havana",
    "America/Nuuk",
];
/// A midnight read twice, as two days; a skipped day.
const HISTORY: [(&str, i64); 2] = [("America/St_Johns", 1_289_097_060), ("Pacific/Apia", 1_325_239_200)];
const OWNERS: [WindowOwner; 3] = [WindowOwner::Campaign, WindowOwner::Application, WindowOwner::Establishment];
const KINDS: [UpgradeKind; 4] = [UpgradeKind::Patch, UpgradeKind::Revision, UpgradeKind::Minor, UpgradeKind::Major];
#[derive(Clone, Debug)]
struct World {
    zone: &'static str,
    at: Timestamp,
    lists: Vec<Vec<Window>>,
    freezes: Vec<ChangeFreezeSpec>,
    change: Change,
}

/// A freeze that is for the target, its number, and by what it may be passed.
type Concerned<'a> = (usize, &'a ChangeFreezeSpec, Option<&'a FreezeException>);

impl World {
    fn calendar(&self) -> Calendar {
        let establishments = BTreeSet::from(["polynesie".to_owned(), "pacific".to_owned()]);
        let target = Target { time_zone: self.zone, application: "payroll", establishments: &establishments };
        let lists: Vec<_> = OWNERS.into_iter().zip(self.lists.iter().map(Vec::as_slice)).collect();
        let freezes: Vec<_> = self.freezes.iter().enumerate().map(|(n, spec)| (n.to_string(), spec)).collect();
        Calendar::new(&target, &lists, freezes.iter().map(|(name, spec)| (name.as_str(), *spec))).unwrap()
    }

    fn concerned(&self) -> Vec<Concerned<'_>> {
        let concerns = |spec: &ChangeFreezeSpec| {
            (spec.applications.is_empty() || spec.applications == ["payroll"])
                && (spec.establishments.is_empty() || spec.establishments != ["paris"])
        };
        let passes = |exception: &&FreezeException| {
            let light = self.change.kind.is_some_and(|kind| {
                KINDS.iter().position(|k| *k == kind) <= KINDS.iter().position(|k| *k == exception.up_to)
            });
            light
                && (exception.releases.is_empty()
                    || self.change.release.as_deref() == Some(exception.releases[0].as_str()))
        };
        let concerned = self.freezes.iter().enumerate().filter(|(_, spec)| concerns(spec));
        concerned.map(|(number, spec)| (number, spec, spec.exceptions.iter().find(passes))).collect()
    }

    fn is_open(&self, concerned: &[Concerned<'_>], clock: Reading) -> bool {
        self.lists.iter().all(|list| list_is_open(list, clock))
            && concerned.iter().all(|(_, spec, passed)| passed.is_some() || !freeze_holds(spec, clock))
    }
}

/// Somewhere from 2019 to 2040, mostly within a day and a half of a jump of the clock, and often at the beginning of a
/// quarter of an hour, where things open and close.
fn any_place() -> impl Strategy<Value = (&'static str, Timestamp)> {
    let anywhere = (select(&ZONES[..]), 1_546_300_800_i64..2_240_611_200);
    let a_jump = anywhere.clone().prop_map(|(name, from)| {
        let zone = TimeZoneDatabase::bundled().get(name).unwrap();
        let jump = zone.following(Timestamp::from_second(from).unwrap()).next();
        (name, jump.map_or(from, |jump| jump.timestamp().as_second()))
    });
    let place = prop_oneof![2 => anywhere, 4 => a_jump, 1 => select(&HISTORY[..])];
    (place, -DAY * 90..DAY * 90, select(&[1, 60, 900, 900][..])).prop_map(|((name, second), off, round)| {
        (name, Timestamp::from_second((second + off) / round * round).unwrap())
    })
}

fn any_time() -> impl Strategy<Value = String> {
    prop_oneof![(0..24, 0..60), (0..4, select(&[0, 1, 15, 30, 45, 59][..]))]
        .prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"))
}

fn any_window() -> impl Strategy<Value = Window> {
    let days = prop::collection::vec(select(&WEEK[..]), 0..4);
    (days, any_time(), any_time()).prop_map(|(days, from, to)| Window { days, from, to })
}

fn any_period(near: civil::Date) -> impl Strategy<Value = Period> {
    let day = move |off: i64| near.saturating_add(off.days()).to_string();
    let once = (-4..4_i64, 0..4_i64).prop_map(move |(off, length)| (day(off), day(off + length)));
    let once = once.prop_map(|(from, until)| Period { dates: Some(Dates { from, until }), yearly: None });
    let ends =
        select(&["01-01", "01-02", "02-28", "02-29", "03-01", "06-30", "07-01", "12-31"][..]).prop_map(str::to_owned);
    let of_year = prop_oneof![(-4..4_i64).prop_map(move |off| day(off)[5..].to_owned()), ends];
    let yearly = (of_year.clone(), of_year)
        .prop_map(|(from, until)| Period { dates: None, yearly: Some(Yearly { from, until }) });
    prop_oneof![once, yearly]
}

fn names(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::option::of(select(of)).prop_map(|name| name.map(str::to_owned).into_iter().collect())
}

fn any_freeze(near: civil::Date) -> impl Strategy<Value = ChangeFreezeSpec> {
    let exception = (select(&KINDS[..]), names(&["r1", "r2"]), "[a-z]{3}").prop_map(|(up_to, releases, who)| {
        FreezeException { up_to, releases, reason: format!("{who} knows why"), approved_by: who }
    });
    let exceptions = prop::collection::vec(exception, 0..3);
    let names = (names(&["payroll", "finance"]), names(&["polynesie", "pacific", "paris"]));
    (any_period(near), names, exceptions).prop_map(|(period, (applications, establishments), exceptions)| {
        ChangeFreezeSpec { reason: "because".into(), period, applications, establishments, exceptions }
    })
}

fn any_world() -> impl Strategy<Value = World> {
    any_place().prop_flat_map(|(zone, at)| {
        let today = TimeZoneDatabase::bundled().get(zone).unwrap().to_datetime(at).date();
        let lists = prop::collection::vec(prop::collection::vec(any_window(), 0..4), 0..4);
        let freezes = prop::collection::vec(any_freeze(today), 0..3);
        let change = (prop::option::of(select(&KINDS[..])), prop::option::of(select(&["r1", "r2"][..])))
            .prop_map(|(kind, release)| Change { kind, release: release.map(str::to_owned) });
        (lists, freezes, change).prop_map(move |(lists, freezes, change)| World { zone, at, lists, freezes, change })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn its_spans_are_the_minutes_in_which_everything_is_open(world in any_world(), seconds in 0..4 * DAY * 60) {
        let (calendar, concerned) = (world.calendar(), world.concerned());
        let to = world.at + SignedDuration::from_secs(seconds);
        let clock = readings(world.zone, world.at, seconds / 60 + 2);
        let mut expected: Vec<Span> = Vec::new();
        for (minute, reading) in (world.at.as_second().div_euclid(60)..).zip(&clock) {
            let [start, end] = [minute, minute + 1].map(|minute| Timestamp::from_second(minute * 60).unwrap());
            let (from, until) = (start.max(world.at), end.min(to));
            if from < until && world.is_open(&concerned, *reading) {
                match expected.last_mut() {
                    Some(last) if last.until == from => last.until = until,
                    _ => expected.push(Span { from, until }),
                }
            }
        }
        let found: Vec<_> = calendar.open_spans(world.at, to, &world.change).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(calendar.next_open(world.at, &world.change, to), expected.first().map(|span| span.from));
    }

    #[test]
    fn its_state_is_what_the_clock_says_and_names_everything_that_stands_in_the_way(world in any_world()) {
        let clock = readings(world.zone, world.at, 4 * DAY);
        let concerned = world.concerned();
        let horizon = world.at + SignedDuration::from_hours(24 * 3);
        // Beyond the readings the oracle knows only that it was not before.
        let agrees = |said: Option<Timestamp>, seen: Option<Timestamp>| match seen {
            Some(_) => said == seen,
            None => said.is_none_or(|said| said > horizon),
        };
        let closed = OWNERS.into_iter().zip(&world.lists).filter(|(_, list)| !list_is_open(list, clock[0]));
        let held: Vec<_> = concerned.iter().filter(|(_, spec, _)| freeze_holds(spec, clock[0])).collect();
        match world.calendar().state(world.at, &world.change) {
            State::Open { until, passing } => {
                prop_assert!(world.is_open(&concerned, clock[0]));
                let closes = first_minute(world.at, &clock, |reading| !world.is_open(&concerned, reading));
                prop_assert!(agrees(until, closes));
                let who = |passed: &FreezeException| passed.approved_by.clone();
                let expected = held.iter().map(|(number, _, passed)| (number.to_string(), who(passed.unwrap())));
                let passing = passing.into_iter().map(|passed| (passed.freeze, passed.approved_by));
                prop_assert_eq!(passing.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            }
            State::Closed { why, opens } => {
                prop_assert!(!world.is_open(&concerned, clock[0]));
                let seen = first_minute(world.at, &clock, |reading| world.is_open(&concerned, reading));
                prop_assert!(agrees(opens, seen));
                let mut why = why.into_iter();
                for (owner, list) in closed {
                    let Some(Blocker::Window { whose, opens }) = why.next() else { panic!("{owner} is closed") };
                    prop_assert_eq!(whose, owner);
                    let seen = first_minute(world.at, &clock, |reading| list_is_open(list, reading));
                    prop_assert!(agrees(Some(opens), seen));
                }
                for (number, spec, _) in held.iter().filter(|(.., passed)| passed.is_none()) {
                    let Some(Blocker::Freeze { name, reason, ends }) = why.next() else { panic!("{number} holds") };
                    prop_assert_eq!((name, &reason), (number.to_string(), &spec.reason));
                    prop_assert!(agrees(ends, first_minute(world.at, &clock, |reading| !freeze_holds(spec, reading))));
                }
                prop_assert_eq!(why.next(), None);
            }
        }
    }

    #[test]
    fn a_freeze_tells_the_days_that_are_now_or_come_next(
        world in any_world(),
        zones in prop::collection::vec(select(&ZONES[..]), 1..4),
    ) {
        for spec in &world.freezes {
            let clocks: Vec<_> = zones.iter().map(|zone| readings(zone, world.at, 1)[0]).collect();
            let today = clocks.iter().map(|clock| clock.highest.div_euclid(DAY)).min().unwrap();
            let day = |day: i64| civil::date(1970, 1, 1) + day.days();
            // Until 2049, nine years have a leap year among them.
            let next = (today..today + 9 * 366).map(day).find(|day| holds_on(&spec.period, *day));
            let standing = freezes::status(spec, zones.iter().copied(), world.at).unwrap();
            prop_assert_eq!(standing.map(|standing| standing.from.max(day(today))), next);
            if let Some(standing) = standing {
                prop_assert!(standing.until >= day(today) && holds_on(&spec.period, standing.until));
                prop_assert_eq!(standing.active, clocks.iter().any(|clock| freeze_holds(spec, *clock)));
            }
        }
    }
}

/// Texts that are meant as one thing and may be anything.
fn text(meant: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop_oneof![12 => meant, 1 => "[0-9]{1,4}[-:][0-9]{2}([-:][0-9]{2})?", 1 => any::<String>()]
}

proptest! {
    #[test]
    fn no_text_and_no_instant_makes_it_panic(
        zone in text(select(&ZONES[..]).prop_map(str::to_owned)),
        days in prop::collection::vec(select(&WEEK[..]), 0..3),
        times in (text(any_time()), text(any_time())),
        dates in prop::option::of((text("[0-9]{4}-0[1-9]-[0-2][1-9]"), text("[0-9]{4}-1[0-2]-[0-2][1-9]"))),
        yearly in prop::option::of((text("0[1-9]-[0-2][1-9]"), text("1[0-2]-[0-2][1-9]"))),
        at in prop_oneof![
            Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
            Timestamp::MIN.as_second()..Timestamp::MIN.as_second() + 500_000,
            Timestamp::MAX.as_second() - 500_000..=Timestamp::MAX.as_second(),
            Just(Timestamp::MIN.as_second()),
            Just(Timestamp::MAX.as_second()),
        ],
    ) {
        let at = Timestamp::from_second(at).unwrap();
        let to = at.saturating_add(SignedDuration::from_hours(24 * 400)).unwrap_or(Timestamp::MAX);
        let windows = [Window { days, from: times.0, to: times.1 }];
        let dates = dates.map(|(from, until)| Dates { from, until });
        let period = Period { dates, yearly: yearly.map(|(from, until)| Yearly { from, until }) };
        let spec = freeze(period);
        let establishments = BTreeSet::new();
        let target = Target { time_zone: &zone, application: "", establishments: &establishments };
        let _ = freezes::status(&spec, [zone.as_str()], at);
        match Calendar::new(&target, &[(WindowOwner::Campaign, &windows)], [("", &spec)]) {
            Err(error) => prop_assert!(!error.to_string().is_empty()),
            Ok(calendar) => {
                let _ = calendar.state(at, &Change::default());
                for span in calendar.open_spans(at, to, &Change::default()) {
                    prop_assert!(at <= span.from && span.from < span.until && span.until <= to);
                }
            }
        }
    }
}
