//! Campaigns are carried on as the operator's `campaigns.rs` does it: what the watches show becomes events of the planner's
//! engine, what that wants is done, and the answers are given back.

use super::{Known, Process, pass::written, reference};
use crate::{
    api::{Apply, Ref, Refused},
    fault::Fault,
    world::{Caller, Died, World},
};
use gotocloud_api::{CampaignStatus, names};
use gotocloud_planner::{
    calendar::LOOK_AHEAD,
    campaign::{
        FIELD_MANAGER,
        engine::{Effect, Event, Outcome, Write},
    },
    simulate::simulate,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// How often a campaign's counts are told while nothing of more weight happens.
const TELL_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// How soon campaigns are looked at again, at the soonest.
const SOONEST: SignedDuration = SignedDuration::from_millis(20);
/// How often it is worked out when a campaign will end while its targets move. The operator does so every minute.
const FORECAST_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// Looks at all campaigns, does what is to be done about them, and notes when to look again.
pub fn look(world: &mut World, caller: Caller) {
    let process = world.process(caller);
    process.is_looking = true;
    process.look = None;
    let now = world.now();
    world.laws.note_look(now);
    // A process that died is looked after by nobody.
    let Ok(()) = handle(world, caller) else { return };

    let (now, fault) = (world.now(), world.fault());
    forecast(world, caller, now);
    let process = world.process(caller);
    process.is_looking = false;
    let beat = process.engine.wants_a_beat().then(|| later(process.beat, TELL_EVERY));
    let wake = process.engine.wake().filter(|_| fault != Some(Fault::IsNeverWoken));
    if let Some(at) = wake.into_iter().chain(beat).min() {
        process.look_at(at.max(later(now, SOONEST)));
    }
}

fn later(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.checked_add(wait).unwrap_or(at)
}

fn handle(world: &mut World, caller: Caller) -> Result<(), Died> {
    let now = world.now();
    let process = world.process(caller);
    let mut events = std::mem::take(&mut process.changes);
    if now >= later(process.beat, TELL_EVERY) {
        process.beat = now;
        events.push(Event::Beat);
    }
    loop {
        let now = world.now();
        let fault = world.fault();
        let effects = world.process(caller).decide(events, now, fault);
        if effects.is_empty() {
            return Ok(());
        }
        world.judge_decision(caller, &effects);
        events = carry_out(world, caller, effects)?;
    }
}

impl Process {
    fn decide(&mut self, events: Vec<Event>, now: Timestamp, fault: Option<Fault>) -> Vec<Effect> {
        let mut engine = std::mem::take(&mut self.engine);
        let effects = engine.handle(events, &Known::mistaken(self, fault), now);
        self.engine = engine;
        effects
    }
}

/// Does what the engine wants; gives the answers.
fn carry_out(world: &mut World, caller: Caller, effects: Vec<Effect>) -> Result<Vec<Event>, Died> {
    let mut answers = Vec::new();
    let (tells, writes): (Vec<_>, Vec<_>) =
        effects.into_iter().partition(|effect| matches!(effect, Effect::Tell { .. }));
    for effect in tells.into_iter().chain(writes) {
        answers.push(match effect {
            Effect::Tell { campaign, version, status, .. } => {
                let version = tell(world, caller, &campaign, version, &status)?;
                Event::Told { campaign, version }
            }
            Effect::Write(write) => Event::Answered { id: write.id, outcome: write_target(world, caller, &write)? },
        });
    }
    Ok(answers)
}

/// Writes a campaign's status over the version that it was computed from; gives the version that came of it.
fn tell(
    world: &mut World,
    caller: Caller,
    name: &str,
    version: Option<String>,
    status: &CampaignStatus,
) -> Result<Option<String>, Died> {
    let at = Ref::new("Campaign", "", name);
    let mut manifest = json!({"metadata": {"name": name, "resourceVersion": version}, "status": status});
    if world.fault() == Some(Fault::TellsOverWhatever) {
        manifest["metadata"] = json!({ "name": name });
    }
    let begins = status.waves.iter().any(|wave| wave.started_at.is_some()) && status.counts.done == 0;
    if world.fault() == Some(Fault::RecordsNoWave) && begins {
        return Ok(version);
    }
    let request = Apply { by: names::FIELD_MANAGER, manifest: &manifest, force: true, status: true };
    let answer = world.ask(caller, &at, "write the status of", |server| server.apply(&at, request))?;
    Ok(answer.ok().map(|stored| stored.version.to_string()))
}

/// Writes a target, never by force; gives what became of it.
fn write_target(world: &mut World, caller: Caller, write: &Write) -> Result<Outcome, Died> {
    let at = Ref::new("Instance", &write.namespace, &write.name);
    let force = world.fault() == Some(Fault::TakesPinned);
    let mut body = write.body.clone();
    if world.fault() == Some(Fault::NamesNoTarget)
        && let Some(metadata) = body["metadata"].as_object_mut()
    {
        metadata.remove("resourceVersion");
    }
    if world.fault() == Some(Fault::HoldsWhatGoesBack) && world.goes_back(caller, write) {
        return Ok(Outcome::Conflict);
    }
    let request = Apply { by: FIELD_MANAGER, manifest: &body, force, status: false };
    let verb = format!("for the campaign {}, write", write.campaign);
    Ok(match world.ask(caller, &at, &verb, |server| server.apply(&at, request))? {
        Ok(stored) => {
            written(world, caller, &reference(&at), &stored);
            Outcome::Accepted
        }
        Err(Refused { code, message, .. }) => Outcome::refused(code, &message),
    })
}

/// Works out when campaigns will end, where that is due. What comes of it is taken up by the next look.
fn forecast(world: &mut World, caller: Caller, now: Timestamp) {
    let process = world.process(caller);
    let mut engine = std::mem::take(&mut process.engine);
    let wanted: Vec<(String, bool)> = engine.forecasts().map(|(name, is_stale)| (name.clone(), is_stale)).collect();
    for (campaign, is_stale) in wanted {
        let is_old = process.forecast.get(&campaign).is_none_or(|asked| later(*asked, FORECAST_EVERY) <= now);
        if !(is_stale || is_old) {
            continue;
        }
        let Some((start, measured, generation)) = engine.start(&campaign, &Known::of(process)) else { continue };
        process.forecast.insert(campaign.clone(), now);
        let schedule = simulate(start, &measured, now, later(now, LOOK_AHEAD));
        process.changes.push(Event::Forecast { campaign, generation, schedule: Box::new(schedule) });
        process.look_at(now);
    }
    process.engine = engine;
}
