//! What must hold in every state, whatever happened.

use crate::{
    fleet::{Fleet, State, is_pinned},
    hub::{Hub, Other, Sight},
    process::{Note, Process, What},
    rest::{BACK, FREE, KNOWS, NO_WEDGE},
    stored::Stored,
};
use gotocloud_api::{
    Campaign, CampaignSpec, Instance,
    campaign::{CampaignPhase, CampaignState, OnFailure},
    conditions::ConditionType,
    upgrade::{Rollout, UpgradePhase, UpgradeStatus},
};
use gotocloud_planner::campaign::{Engine, Standing, View, bodies, claims::is_over, limits, standing, waves};

use jiff::{SignedDuration, Timestamp};
use stateright::Property;

pub const LIMIT: &str = "no more of a wave at once than may be";
pub const PLACES: &str = "no more on a platform or a server at once than may be, over all campaigns";
pub const FAILURES: &str = "nothing begins once more failed than may";
pub const WINDOW: &str = "nothing begins while its window is closed, or a freeze holds";
pub const DEFERRAL: &str = "nothing begins that is deferred";
pub const STATE: &str = "nothing begins for a campaign that is held";
pub const RECORDED: &str = "a wave that begins is recorded first";
pub const ORDER: &str = "no wave begins before those before it are done";
pub const ONCE: &str = "no wave begins twice";
pub const ONE_HOLDER: &str = "no instance is taken from the campaign that holds it";
pub const PIN: &str = "what a person pinned stays";
pub const PROOF: &str = "done is what its own status proves";
/// Not a law, but what shows that the rest is not said of nothing.
pub const COMPLETES: &str = "all campaigns complete";

/// The laws: each is broken by what happens, and noted in the state that comes of it.
pub fn laws() -> Vec<Property<Fleet>> {
    macro_rules! laws {
        ($($law:ident),+) => {
            vec![$(Property::always($law, |_: &Fleet, state: &State| state.broken != Some($law))),+]
        };
    }
    let mut all = laws![
        LIMIT, PLACES, FAILURES, WINDOW, DEFERRAL, STATE, RECORDED, ORDER, ONCE, ONE_HOLDER, PIN, PROOF, NO_WEDGE,
        BACK, KNOWS, FREE
    ];
    all.push(Property::sometimes(COMPLETES, |_: &Fleet, state: &State| {
        let phase = |one: &Stored<Campaign>| one.status.as_ref().map(|status| status.phase);
        state.hub.campaigns.iter().flatten().all(|one| phase(one) == Some(CampaignPhase::Completed))
    }));
    all
}

/// The law that is broken by what is stored.
pub fn of_what_is_stored(hub: &Hub) -> Option<&'static str> {
    if !waves_keep_their_limits(hub) {
        return Some(LIMIT);
    }
    (!places_keep_their_limits(hub)).then_some(PLACES)
}

fn record(instance: &Instance) -> Option<&UpgradeStatus> {
    instance.status.as_ref()?.upgrade.as_ref()
}

/// Is what a claim asked for neither answered nor given up?
fn is_under_way(instance: &Instance, claim: &Rollout) -> bool {
    let status = instance.status.as_ref();
    let is_there = |kind: ConditionType| {
        status.is_some_and(|status| status.conditions.iter().any(|one| one.type_ == kind.to_string()))
    };
    let is_of_stage = claim.wants == instance.spec.stage.to_string();
    match record(instance).filter(|record| record.rollout.as_ref() == Some(claim)) {
        Some(record) => match record.phase {
            UpgradePhase::Soak | UpgradePhase::RollingBack => false,
            phase => !phase.is_terminal(),
        },
        // Somebody asks for something else since.
        None if instance.spec.release.as_ref() != Some(&claim.wants) && !is_of_stage => false,
        None if is_of_stage => {
            status.is_none_or(|status| status.stage_rollout.as_ref() != Some(claim))
                && !is_there(ConditionType::Stalled)
        }
        // One that was made.
        None if status.is_none_or(|status| status.upgrade.is_none() && status.release.is_none()) => {
            !is_there(ConditionType::Ready) && !is_there(ConditionType::Stalled)
        }
        None => !(is_there(ConditionType::Ready) && status.is_some_and(|status| status.upgrade.is_none())),
    }
}

/// The claims by which a campaign changes instances now.
fn in_hand<'h>(hub: &'h Hub, campaign: &'h Campaign) -> impl Iterator<Item = (&'h Instance, &'h Rollout)> {
    let claimed = hub.instances.iter().flatten().filter_map(|one| Some((&*one.object, one.spec.rollout.as_ref()?)));
    claimed
        .filter(|(instance, claim)| Some(&claim.uid) == campaign.metadata.uid.as_ref() && is_under_way(instance, claim))
}

fn weight(spec: &CampaignSpec, instance: &Instance) -> u32 {
    let members = instance.status.as_ref().map_or(0, |status| status.members.len());
    match spec.weight {
        gotocloud_api::campaign::Weight::Targets => 1,
        gotocloud_api::campaign::Weight::Establishments => u32::try_from(members.max(1)).unwrap(),
    }
}

fn waves_keep_their_limits(hub: &Hub) -> bool {
    let all = u32::try_from(hub.instances.len()).unwrap();
    hub.campaigns.iter().flatten().all(|campaign| {
        campaign.spec.waves.iter().all(|wave| {
            let weights = in_hand(hub, campaign).filter(|(_, claim)| claim.wave == wave.name);
            let weights: Vec<u32> = weights.map(|(instance, _)| weight(&campaign.spec, instance)).collect();
            // One that is over the limit by itself runs alone.
            weights.len() < 2 || weights.iter().sum::<u32>() <= limits::at_once(&wave.max_concurrent, all)
        })
    })
}

fn server(instance: &Instance) -> Option<&str> {
    Some(instance.status.as_ref()?.database.as_ref()?.server.as_str())
}

/// How many instances campaigns change beside `instance`, on its platform and on its server.
fn beside(hub: &Hub, instance: &Instance) -> (u32, u32) {
    let campaigns = hub.campaigns.iter().flatten().filter(|one| !is_over(one));
    let others: Vec<_> = campaigns.flat_map(|one| in_hand(hub, one)).map(|(other, _)| other).collect();
    let is_other = |other: &&&Instance| other.metadata.name != instance.metadata.name;
    let count = |is_beside: &dyn Fn(&Instance) -> bool| {
        u32::try_from(others.iter().filter(is_other).filter(|other| is_beside(other)).count()).unwrap()
    };
    let platform = count(&|other| instance.spec.platform.is_some() && other.spec.platform == instance.spec.platform);
    let on_server = count(&|other| server(instance).is_some() && server(other) == server(instance));
    (platform, on_server)
}

fn places_keep_their_limits(hub: &Hub) -> bool {
    hub.campaigns.iter().flatten().filter(|one| !is_over(one)).all(|campaign| {
        in_hand(hub, campaign).all(|(instance, _)| {
            let (on_platform, on_server) = beside(hub, instance);
            campaign.spec.max_concurrent_per_platform.is_none_or(|limit| on_platform < limit)
                && campaign.spec.max_concurrent_per_database_server.is_none_or(|limit| on_server < limit)
        })
    })
}

/// Does a person, or a campaign that is gone, change an instance at the same place?
fn is_changed_by_hand_beside(hub: &Hub, instance: &Instance) -> (bool, bool) {
    let goes_on = |claim: &Rollout| {
        hub.campaigns.iter().flatten().any(|one| one.metadata.uid.as_ref() == Some(&claim.uid) && !is_over(one))
    };
    let by_hand = hub.instances.iter().flatten().filter(|other| other.metadata.name != instance.metadata.name);
    let by_hand: Vec<_> = by_hand.filter(|other| standing::is_changed_by_hand(other, goes_on)).collect();
    (
        by_hand.iter().any(|other| instance.spec.platform.is_some() && other.spec.platform == instance.spec.platform),
        by_hand.iter().any(|other| server(instance).is_some() && server(other) == server(instance)),
    )
}

/// The law that a look breaks, by what the process saw. What it was shown of other objects meanwhile, and has still
/// to look at, is not held against it.
pub fn of_a_look(fleet: &Fleet, process: &Process, now: Timestamp) -> Option<&'static str> {
    let Process { seen, notes, works, .. } = process;
    let mut begun = works.iter().filter_map(|work| match &work.what {
        What::Write { campaign, instance, body, .. } if !body["spec"]["rollout"].is_null() => {
            let claim: Rollout = serde_json::from_value(body["spec"]["rollout"].clone()).unwrap();
            let is_known = |one: &Stored<Instance>| one.spec.rollout.as_ref() == Some(&claim);
            (!seen.instances[*instance].as_ref().is_some_and(is_known)).then_some((*campaign, *instance, claim))
        }
        What::Write { .. } | What::Tell { .. } => None,
    });
    let engine = &process.engine.engine;
    if notes.iter().any(|note| !matches!(note, Note::Campaign(_))) {
        return None;
    }
    begun
        .find_map(|(campaign, instance, claim)| of_a_beginning(fleet, seen, campaign, instance, &claim, now))
        .or_else(|| of_what_is_done(seen, engine))
}

fn of_a_beginning(
    fleet: &Fleet,
    seen: &Hub,
    campaign: usize,
    at: usize,
    claim: &Rollout,
    now: Timestamp,
) -> Option<&'static str> {
    let campaign = seen.campaigns[campaign].as_ref()?;
    let spec = &campaign.spec;
    let instance = seen.instances[at].as_ref();
    if spec.state != CampaignState::Running {
        return Some(STATE);
    }
    if let Some(instance) = instance {
        let (on_platform, on_server) = is_changed_by_hand_beside(seen, instance);
        if on_platform && spec.max_concurrent_per_platform == Some(1)
            || on_server && spec.max_concurrent_per_database_server == Some(1)
        {
            return Some(PLACES);
        }
        if is_pinned(instance) && instance.spec.release.as_ref() != Some(&claim.wants) && spec.upgrade.is_some() {
            return Some(PIN);
        }
    }
    // A person wants it back: nothing else holds that.
    if spec.upgrade.as_ref().is_some_and(|upgrade| upgrade.release != claim.wants) {
        return None;
    }

    if spec.windows.iter().any(|window| !is_within(window, now)) || fleet.is_frozen(seen) {
        return Some(WINDOW);
    }
    let wave = spec.waves.iter().find(|wave| wave.name == claim.wave)?;
    // One whose beginning is not shown yet began now.
    let began = waves::started_at(campaign.status.as_ref(), &wave.name).unwrap_or(now);
    let latest = began + SignedDuration::from_hours(24 * i64::from(spec.max_deferral_days));
    if fleet.deferred_until(seen, at).is_some_and(|until| now < until.min(latest)) {
        return Some(DEFERRAL);
    }
    let is_over_the_limit = spec.waves.iter().any(|wave| {
        let allowed = match spec.on_failure {
            OnFailure::Pause => 0,
            OnFailure::Rollback | OnFailure::Continue => limits::failures(&wave.max_failures, 9),
        };
        let failed = seen.instances.iter().flatten().filter(|one| has_failed(campaign, &wave.name, one)).count();
        failed > usize::try_from(allowed).unwrap()
    });
    is_over_the_limit.then_some(FAILURES)
}

/// Did what the campaign asked of an instance of that wave fail, and is that neither left out, nor tried again, nor anybody
/// else's by now?
fn has_failed(campaign: &Campaign, wave: &str, instance: &Instance) -> bool {
    let name = instance.metadata.name.as_deref().unwrap_or_default();
    let target = bodies::target_of(&campaign.spec, name);
    let Some(claim) = instance.spec.rollout.as_ref() else { return false };
    let is_its = Some(&claim.uid) == campaign.metadata.uid.as_ref() && claim.wave == wave;
    let is_current = claim.attempt >= standing::attempt(&campaign.spec, target);
    let is_asked = instance.spec.release.as_ref() == Some(&claim.wants) && !is_pinned(instance);
    let is_left_out = campaign.spec.skip.iter().any(|skipped| skipped == target);
    let failed = record(instance).is_some_and(|record| {
        let phases = [UpgradePhase::Failed, UpgradePhase::RolledBack, UpgradePhase::Refused];
        record.rollout.as_ref() == Some(claim) && phases.contains(&record.phase)
    });
    is_its && is_current && is_asked && !is_left_out && failed
}

/// Is every target that counts as done so by its own status?
fn of_what_is_done(seen: &Hub, engine: &Engine) -> Option<&'static str> {
    for campaign in seen.campaigns.iter().flatten() {
        let Some(board) = engine.board(campaign.metadata.name.as_deref()?) else { continue };
        for (name, target) in board.targets().filter(|(_, target)| target.standing == Standing::Done) {
            let name = bodies::instance_of(&campaign.spec, name);
            let instance = seen.instances.iter().flatten().find(|one| one.metadata.name.as_deref() == Some(&name));
            if !target.unreachable && !instance.is_some_and(|one| is_proven(campaign, one)) {
                return Some(PROOF);
            }
        }
    }
    None
}

fn is_proven(campaign: &Campaign, instance: &Instance) -> bool {
    let Some(status) = &instance.status else { return false };
    let is_its = |claim: &Rollout| Some(&claim.uid) == campaign.metadata.uid.as_ref();
    let by_record = record(instance).is_some_and(|record| {
        record.phase == UpgradePhase::Done
            && record.rollout.as_ref().is_some_and(is_its)
            && campaign.spec.upgrade.as_ref().is_some_and(|upgrade| upgrade.release == record.to)
    });
    match (&campaign.spec.upgrade, &campaign.spec.promote) {
        (Some(_), _) => by_record,
        (None, Some(promote)) => {
            status.stage_rollout.as_ref().is_some_and(is_its) && status.stage == Some(promote.stage)
        }
        (None, None) => status.conditions.iter().any(|one| one.type_ == ConditionType::Ready.to_string()),
    }
}

/// The law that a status breaks which takes the place of another.
pub fn of_a_status(before: &Campaign, after: &Campaign) -> Option<&'static str> {
    let names = after.spec.waves.iter().map(|wave| &wave.name);
    let is_lost = |name: &String| {
        let began = waves::started_at(before.status.as_ref(), name);
        began.is_some() && waves::started_at(after.status.as_ref(), name) != began
    };
    names.into_iter().any(is_lost).then_some(ONCE)
}

/// The law that a write breaks once it is done.
pub fn of_a_write(hub: &Hub, campaign: usize, at: usize, after: &Stored<Instance>) -> Option<&'static str> {
    let campaign = hub.campaigns[campaign].as_ref()?;
    let claim = after.spec.rollout.as_ref()?;
    let before = hub.instances[at].as_ref();
    if before.is_some_and(|before| before.spec.rollout.as_ref() == Some(claim)) {
        return None;
    }
    if !waves::has_begun(campaign.status.as_ref(), &claim.wave) {
        return Some(RECORDED);
    }
    let before = before?;
    if is_pinned(before) && before.spec.release != after.spec.release {
        return Some(PIN);
    }
    let other = before.spec.rollout.as_ref().filter(|other| other.uid != claim.uid)?;
    let goes_on =
        hub.campaigns.iter().flatten().any(|one| one.metadata.uid.as_ref() == Some(&other.uid) && !is_over(one));
    let is_wanted = before.spec.release.as_ref() == Some(&other.wants) || before.spec.stage.to_string() == other.wants;
    (goes_on && is_wanted && is_under_way(before, other)).then_some(ONE_HOLDER)
}

/// The law that the waves break which begin by what the process is about to tell.
pub fn of_waves_that_begin(fleet: &Fleet, state: &State) -> Option<&'static str> {
    state.process.works.iter().find_map(|work| {
        let What::Tell { campaign, status, .. } = &work.what else { return None };
        let stored = state.hub.campaigns[*campaign].as_ref()?;
        let seen = state.process.seen.campaigns[*campaign].as_ref()?;
        let mut begins = seen.spec.waves.iter().enumerate().filter(|(_, wave)| {
            waves::has_begun(Some(status), &wave.name) && !waves::has_begun(stored.status.as_ref(), &wave.name)
        });
        let (at, _) = begins.next()?;
        let objects = Sight { fleet, hub: &state.process.seen, is_process: false };
        let view = View::new(seen, stored.status.as_ref(), &objects, None, state.now)?;
        view.board.waves().iter().take(at).any(|wave| wave.unsettled > 0).then_some(ORDER)
    })
}

/// Is something left that a person wants back, and that is not on its way?
pub fn is_to_go_back(hub: &Hub) -> bool {
    hub.campaigns.iter().flatten().filter(|one| one.spec.state == CampaignState::Running).any(|campaign| {
        let goal = campaign.spec.upgrade.as_ref().map(|upgrade| &upgrade.release);
        hub.instances.iter().flatten().any(|one| {
            let Some((claim, record)) = one.spec.rollout.as_ref().zip(record(one)) else { return false };
            let is_its = Some(&claim.uid) == campaign.metadata.uid.as_ref() && record.rollout.as_ref() == Some(claim);
            let is_done = matches!(record.phase, UpgradePhase::Done | UpgradePhase::Soak);
            let is_there = Some(&record.to) == goal && record.from != record.to;
            is_its
                && is_done
                && is_there
                && one.spec.release.as_ref() == goal
                && !is_pinned(one)
                && campaign.spec.roll_back.contains(&claim.wave)
        })
    })
}

fn is_within(window: &gotocloud_api::Window, now: Timestamp) -> bool {
    let time = now.to_zoned(jiff::tz::TimeZone::UTC).time().to_string();
    *window.from <= *time && time[..5] < *window.to
}

impl Fleet {
    /// Does a freeze hold? In a model each holds everybody.
    fn is_frozen(&self, seen: &Hub) -> bool {
        self.others.iter().enumerate().any(|(at, other)| seen.has(at) && matches!(other, Other::Freeze(..)))
    }

    fn deferred_until(&self, seen: &Hub, instance: usize) -> Option<Timestamp> {
        let instance = seen.instances[instance].as_ref()?;
        self.others.iter().enumerate().find_map(|(at, other)| match other {
            Other::Deferral(one) if seen.has(at) && one.spec.establishment == instance.spec.establishment => {
                Some(one.spec.until.0)
            }
            _ => None,
        })
    }
}
