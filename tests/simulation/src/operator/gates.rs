//! What gates say: asked again and again for those that wait for them, as the operator's `gates.rs` does it.

use super::{Process, children::InstanceRef};
use crate::{
    fault::Fault,
    world::{Caller, World},
};
use gotocloud_api::{Instance, campaign::Gate, names, upgrade::UpgradePhase};
use gotocloud_planner::{
    campaign::gates::{self, Question, Series},
    upgrade::Gates,
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeMap, sync::Arc};

/// How often gates are asked. The operator does so every 15 seconds.
const EVERY: SignedDuration = SignedDuration::from_mins(6);

/// What gates say, as last asked.
#[derive(Default)]
pub struct Gatekeeper {
    readings: BTreeMap<InstanceRef, (Timestamp, Gates)>,
    asked: Option<Timestamp>,
}

/// What the gates of an Instance's wave say.
pub fn reading(process: &Process, who: &InstanceRef, instance: &Instance) -> Gates {
    if of(process, instance).is_empty() || process.fault == Some(Fault::SeesNoGates) {
        return Gates::True;
    }
    // A reading of an earlier phase speaks of what was there before.
    let since = since(instance);
    let known = process.gates.readings.get(who).filter(|(of, _)| Some(*of) == since);
    let reading = known
        .map_or_else(|| Gates::Unknown("its gates have not been asked yet".into()), |(_, reading)| reading.clone());
    match reading {
        Gates::Unknown(_) if process.fault == Some(Fault::TakesUnknownForTrue) => Gates::True,
        reading => reading,
    }
}

/// When gates are asked next; `None` while nobody waits for them.
pub fn next_round(process: &Process) -> Option<Timestamp> {
    let is_waited_for = waiting(process).next().is_some();
    is_waited_for.then(|| process.gates.asked.map_or(Timestamp::MIN, |asked| asked + EVERY))
}

/// Asks the gates of all that wait for them, and wakes those whose answer changed.
pub fn ask(world: &mut World, caller: Caller) {
    let now = world.now();
    let process = world.process(caller);
    process.gates.asked = Some(now);
    let waiting: Vec<(InstanceRef, Arc<Instance>)> =
        waiting(process).map(|(who, instance)| (who.clone(), Arc::clone(instance))).collect();
    process.gates.readings.retain(|who, _| waiting.iter().any(|(other, _)| other == who));

    for (who, instance) in waiting {
        let Some(since) = since(&instance) else { continue };
        let all = of(world.process(caller), &instance).to_vec();
        let said: Vec<Gates> = all.iter().map(|gate| ask_one(world, gate, &instance, since, now)).collect();
        let reading = (since, gates::together(said));

        let process = world.process(caller);
        if process.gates.readings.insert(who.clone(), reading.clone()).as_ref() != Some(&reading) {
            process.wake_at(&who, now);
            world.say(|| format!("operator: the gates of {who} say {:?}", reading.1));
        }
    }
}

fn ask_one(world: &mut World, gate: &Gate, instance: &Instance, since: Timestamp, now: Timestamp) -> Gates {
    if let Some(check) = gate.health_check {
        return gates::checked(gate, check, instance, since, now);
    }
    let promql = gate.promql.as_deref().unwrap_or_default();
    let name = instance.metadata.name.as_deref().unwrap_or_default();
    let namespace = names::workload_namespace(name);
    let establishment = &instance.spec.establishment;
    let Some(question) = gates::question(gate, promql, &namespace, name, establishment, since, now) else {
        return gates::too_short(gate);
    };

    let answer = answer(world, &question);
    gates::judge(gate, &question, &answer)
}

/// What a Prometheus answers; at times nothing.
fn answer(world: &mut World, question: &Question) -> Result<Vec<Series>, String> {
    if world.is_lively && world.one_in(10) {
        return Err("it did not answer in 10 s".to_owned());
    }
    Ok(world.prometheus.answer(question))
}

/// All that wait for their gates.
fn waiting(process: &Process) -> impl Iterator<Item = (&InstanceRef, &Arc<Instance>)> {
    let all = process.catalogue.instances.iter();
    all.filter(|(_, instance)| is_waiting(instance) && !of(process, instance).is_empty())
}

/// Is it in a phase that its gates decide about?
fn is_waiting(instance: &Instance) -> bool {
    let upgrade = instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
    upgrade.is_some_and(|upgrade| matches!(upgrade.phase, UpgradePhase::Verify | UpgradePhase::Soak))
}

/// Since when an Instance has been in its phase.
fn since(instance: &Instance) -> Option<Timestamp> {
    instance.status.as_ref()?.upgrade.as_ref().map(|upgrade| upgrade.since.0)
}

/// The gates of an Instance on its way.
fn of<'a>(process: &'a Process, instance: &'a Instance) -> &'a [Gate] {
    let Some(way) = instance.status.as_ref().and_then(|status| status.upgrade.as_ref()) else { return &[] };
    let campaign = way.rollout.as_ref().and_then(|by| process.catalogue.campaign(&by.campaign));

    gates::of(campaign.map(AsRef::as_ref), way)
}
