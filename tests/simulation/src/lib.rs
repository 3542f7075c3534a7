//! Years of a fleet, in seconds: the planner decides, in a world of an API server, controllers, people and faults.
//!
//! One seed chooses every next thing that happens, so a run is a seed and a length, and the same two give the same trace.
//! After each thing each [`Law`] is asked. In the end people and faults stop, and what is then at rest is judged.

pub mod api;
mod catalogue;
mod controllers;
mod fault;
mod laws;
mod lease;
mod operator;
mod people;
mod prometheus;
mod trace;
mod world;

pub use fault::Fault;
pub use laws::{Broken, Law};
pub use people::Habits;
pub use world::Settings;

use jiff::SignedDuration;
use world::World;

/// How long after the last person and fault a world is at rest.
const REST: SignedDuration = SignedDuration::from_hours(16 * 24);
/// How long before that nothing may be written any more.
const SILENCE: SignedDuration = SignedDuration::from_hours(24);

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The law that was broken, if one was.
    pub broken: Option<Broken>,
    /// How many things happened.
    pub events: u64,
    /// Hash of all of it.
    pub hash: String,
    /// The last of it, in words.
    pub last: Vec<String>,
}

/// Plays a world until a law is broken, or to its end.
pub fn run(settings: &Settings) -> Outcome {
    let mut world = World::new(settings.clone());
    let begin = world.now();
    let end = begin + SignedDuration::from_hours(24 * i64::from(settings.days));
    while world.broken.is_none() && world.now() < end && world.event() {}

    world.is_lively = false;
    let rest = world.now() + REST;
    while world.broken.is_none() && world.now() < rest && world.event() {}
    if world.broken.is_none() {
        world.judge_rest(rest - SILENCE);
    }
    Outcome {
        events: world.events(),
        hash: world.trace.hash(),
        last: world.trace.last().map(str::to_owned).collect(),
        broken: world.broken,
    }
}
