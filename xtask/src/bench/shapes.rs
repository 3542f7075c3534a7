//! What do two unkind shapes of a fleet cost the engine, without a cluster? Targets spread over fifty releases, and as many
//! distinct windows as a country has establishments.

use super::{
    fleet::Fleet,
    planning::{Times, campaign, world},
};
use anyhow::Context as _;
use gotocloud_planner::{
    campaign::{
        Engine,
        engine::{Effect, Event, Seen},
    },
    simulate::World,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::time::Instant;

/// Targets of the first shape.
const TARGETS: u32 = 10_000;
/// Releases that they run.
const RELEASES: u32 = 50;
/// Establishments of the second, each with a window of its own: as many as a week of evenings has windows of which no two
/// are alike.
const WINDOWS: u32 = 1_800;
/// A Sunday: no window of the benchmark's campaign is open.
const CLOSED: &str = "2026-03-01T08:00:00Z";

/// What a fleet over fifty releases costs.
pub struct OverReleases {
    /// To look at all of it for the first time, in milliseconds.
    pub first: f64,
    /// To decide after an edit of a Release, in milliseconds.
    pub edits: Times,
}

/// Looks at 10,000 targets that run fifty releases, and goes on looking while releases are edited.
pub fn over_releases() -> anyhow::Result<OverReleases> {
    let mut fleet = Fleet::new(TARGETS)?;
    fleet.releases_until(RELEASES)?;
    let mut world = world(&fleet, |at| u32::try_from(at).unwrap_or(0) % RELEASES)?;
    world.add(campaign("bench", &format!("bench-v1.{RELEASES}"), 100, None))?;

    let now: Timestamp = CLOSED.parse()?;
    let mut engine = Engine::default();
    let first = handled(&mut engine, Event::Seen(Seen::Everything), &world, now);
    let is_seen = engine.board("bench").context("the campaign is not looked at")?.counts().targets == TARGETS;
    anyhow::ensure!(is_seen, "not all are targets");

    let edit = |at: u32| Event::Seen(Seen::Release(format!("bench-v1.{}", at * 4)));
    let edits = (1..=10).map(|at| handled(&mut engine, edit(at), &world, now)).collect();
    Ok(OverReleases { first, edits: Times::new(edits) })
}

/// How long decisions took about as many targets as there are distinct windows, minute by minute of an afternoon, and after
/// each a change of one target, while all wait for theirs.
pub fn over_windows() -> anyhow::Result<Times> {
    let mut fleet = Fleet::new(WINDOWS)?;
    for (at, establishment) in (0..).zip(&mut fleet.establishments) {
        let hour = 18 + at % 5;
        let minute = at / 5 % 60;
        let length = at / 300;
        let window = json!([{"from": format!("{hour:02}:{minute:02}"), "to": format!("{:02}:{minute:02}", (hour + 1 + length) % 24)}]);
        establishment.spec.windows = serde_json::from_value(window)?;
    }
    let mut world = world(&fleet, |_| 0)?;
    let mut campaign = campaign("bench", "bench-v1.1", 100, None);
    campaign["spec"].as_object_mut().map(|spec| spec.remove("windows"));
    world.add(campaign)?;

    let mut now: Timestamp = "2026-03-02T08:00:00Z".parse()?;
    let mut engine = Engine::default();
    handled(&mut engine, Event::Seen(Seen::Everything), &world, now);
    let mut times = Vec::new();
    for at in 0..300 {
        now += SignedDuration::from_mins(1);
        times.push(handled(&mut engine, Event::Time, &world, now));
        let target = Seen::Instance("gotocloud".to_owned(), format!("bench-e{at:05}"));
        times.push(handled(&mut engine, Event::Seen(target), &world, now));
    }
    Ok(Times::new(times))
}

/// How long the engine takes to decide about what happened, in milliseconds. What it tells is taken for told.
fn handled(engine: &mut Engine, event: Event, world: &World, now: Timestamp) -> f64 {
    let begun = Instant::now();
    let mut effects = engine.handle([event], world, now);
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    while !effects.is_empty() {
        let told = effects.into_iter().filter_map(|effect| match effect {
            Effect::Tell { campaign, version, .. } => {
                Some(Event::Told { campaign, version: version.or(Some("1".into())) })
            }
            Effect::Write(_) => None,
        });
        effects = engine.handle(told.collect::<Vec<_>>(), world, now);
    }
    took
}
