//! What must hold once people and faults stop: from every state, all comes to an end, or says which person it waits for.
//!
//! From a state one fair continuation is gone: what is decided is done, what is stored is shown, instances get on well, and
//! time passes only when nothing else can happen. It is the same from states that differ only in what could still have
//! happened, so each piece of it is gone once.

use crate::{
    fleet::{Fleet, How, Left, State, start},
    laws::is_to_go_back,
    print::print_of,
    process::{Process, What},
};
use gotocloud_api::{Campaign, CampaignStatus, campaign::CampaignPhase, upgrade::UpgradePhase};
use gotocloud_planner::campaign::{Board, Standing, claims::is_over, engine::what_decides};
use jiff::{SignedDuration, Timestamp};

pub const NO_WEDGE: &str = "once people and faults stop, each campaign ends or says what person it waits for";
pub const BACK: &str = "going back is held by nothing but limits and a person";
pub const KNOWS: &str = "what it knows is what there is: to start anew changes nothing";
pub const FREE: &str = "no claim outlives its campaign";

/// For how long all is left to itself.
const TICKS: i32 = 24;
/// So many things can happen one after the other before time has to pass.
const STEPS: u32 = 200;

/// The law that is broken on the fair continuation from a state; `None` if none is.
pub fn comes_to(fleet: &Fleet, state: &State) -> Option<&'static str> {
    let mut state = State { edits: 0, left: Left::default(), frozen: Vec::new(), ..state.clone() };
    let mut path = Vec::new();
    let mut steps = 0;
    let verdict = loop {
        let key = print_of(&state);
        if let Some(known) = fleet.known.rests.lock().unwrap().get(&key) {
            break *known;
        }
        path.push(key);
        if state.broken.is_some() {
            break state.broken;
        }
        if has_looked_at_all(&state) && holds_for_nobody(&state) {
            break Some(FREE);
        }
        if goes_on(fleet, &mut state) {
            steps += 1;
            if steps > STEPS {
                break Some(NO_WEDGE);
            }
            continue;
        }
        steps = 0;
        if let Some(broken) = at_rest(fleet, &state) {
            break Some(broken);
        }
        if is_final(fleet, &state) {
            break is_wedged(&state).then_some(NO_WEDGE);
        }
        state.ticks(fleet);
    };
    let mut rests = fleet.known.rests.lock().unwrap();
    rests.extend(path.into_iter().map(|key| (key, verdict)));
    verdict
}

/// Takes the next step in which no time passes; gives whether there is one.
fn goes_on(fleet: &Fleet, state: &mut State) -> bool {
    if !state.process.works.is_empty() {
        state.does(fleet, How::Answered);
        return true;
    }
    if state.process.wants_to_look() {
        state.looks(fleet);
        return true;
    }
    if !state.process.unseen(&state.hub).is_empty() {
        state.shows_all();
        return true;
    }
    for at in 0..fleet.names.len() {
        if let Some(after) = fleet.acts(&state.hub, at, true, state.now) {
            state.hub.instances[at] = Some(after);
            return true;
        }
    }
    false
}

/// Does time change nothing any more?
fn is_final(fleet: &Fleet, state: &State) -> bool {
    let engine = &state.process.engine.engine;
    let is_watched = state.hub.instances.iter().flatten().any(|one| {
        let record = one.status.as_ref().and_then(|status| status.upgrade.as_ref());
        record.is_some_and(|record| record.phase == UpgradePhase::Soak)
    });
    let waits = engine.wake().is_some() || engine.wants_a_beat() || is_watched;
    !waits || state.now >= start() + fleet.tick * TICKS
}

/// Does it wait for what ends by itself: an answer, or a status that is to be told again?
fn acts_soon(state: &State) -> bool {
    let soon = state.now + SignedDuration::from_hours(1);
    state.process.engine.engine.wake().is_some_and(|at| at <= soon)
}

fn has_looked_at_all(state: &State) -> bool {
    let process = &state.process;
    let is_shown_all = process.unseen(&state.hub).is_empty();
    process.is_idle() && !process.wants_to_look() && is_shown_all && !acts_soon(state)
}

/// The law that is broken where nothing happens before time passes.
fn at_rest(fleet: &Fleet, state: &State) -> Option<&'static str> {
    if acts_soon(state) {
        return None;
    }
    if is_to_go_back(&state.hub) {
        return Some(BACK);
    }
    (!state.was_refused && !starting_anew_changes_nothing(fleet, state)).then_some(KNOWS)
}

fn starting_anew_changes_nothing(fleet: &Fleet, state: &State) -> bool {
    let mut fresh = Process::starts(&state.hub);
    fresh.looks(fleet, state.now);
    let is_told = !state.process.engine.engine.wants_a_beat();

    fresh.works.iter().all(|work| match &work.what {
        What::Write { .. } => false,
        What::Tell { campaign, status, .. } => {
            let stored = state.hub.campaigns[*campaign].as_ref().and_then(|one| one.status.as_ref());
            let presses = |one: &CampaignStatus| {
                let begun: Vec<bool> = one.waves.iter().map(|wave| wave.started_at.is_some()).collect();
                (one.phase, begun)
            };
            let is_same = stored == Some(&what_decides(status));
            is_same || !is_told && stored.map(presses) == Some(presses(status))
        }
    })
}

/// Does a target wait for a campaign that is over, or gone?
fn holds_for_nobody(state: &State) -> bool {
    let campaigns = || state.hub.campaigns.iter().flatten();
    let goes_on = |name: &str| campaigns().any(|one| one.metadata.name.as_deref() == Some(name) && !is_over(one));
    let boards = campaigns().filter_map(|one| state.process.engine.engine.board(one.metadata.name.as_deref()?));
    boards.flat_map(Board::targets).any(|(_, target)| {
        let Standing::Blocked(why) = &target.standing else { return false };
        let holder = why.strip_prefix("the campaign ").and_then(|rest| rest.strip_suffix(" holds it"));
        holder.is_some_and(|name| !goes_on(name))
    })
}

/// Is there a campaign that neither ended nor says what it waits for?
fn is_wedged(state: &State) -> bool {
    state.hub.campaigns.iter().flatten().any(|campaign| !has_ended_or_says_why(campaign, state.now))
}

fn has_ended_or_says_why(campaign: &Campaign, now: Timestamp) -> bool {
    let Some(status) = &campaign.status else { return false };
    if status.observed_generation != campaign.metadata.generation {
        return false;
    }
    match status.phase {
        CampaignPhase::Completed | CampaignPhase::Aborted | CampaignPhase::Draft | CampaignPhase::Paused => true,
        CampaignPhase::Invalid | CampaignPhase::Halted => !status.conditions.is_empty(),
        CampaignPhase::Aborting => false,
        CampaignPhase::Running => {
            let mut waits = status.waves.iter().filter_map(|wave| wave.waits_for.as_deref());
            waits.any(|why| is_for_a_person(why) || is_for_a_time(why, now))
        }
    }
}

/// Does a sentence say what a person can do, or who holds it?
fn is_for_a_person(why: &str) -> bool {
    let remedies = [
        "Approval",
        "holds it",
        "restore",
        "set ",
        "publish",
        "correct",
        "it runs no release yet",
        "are on a platform",
    ];
    remedies.iter().any(|remedy| why.contains(remedy))
}

/// Does it name a moment that is still to come?
fn is_for_a_time(why: &str, now: Timestamp) -> bool {
    let moment = why.rsplit(' ').next().and_then(|last| last.parse::<Timestamp>().ok());
    moment.is_some_and(|moment| moment > now)
}
