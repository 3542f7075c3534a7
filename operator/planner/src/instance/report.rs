//! From a plan and what came of it to the Instance's status and the events that tell of changes.

use super::{
    conditions::dated,
    events::{Event, events},
    on_the_way,
    planning::location,
    rehearsing,
    standing::{judge, workload},
};
use crate::{
    health::Health,
    inputs::Inputs,
    objects::{Kind, ObjectKey},
    plan::{Plan, Refusal, Step, Verdict},
    removals::Removal,
    retry::ErrorClass,
    snapshot::{Observed, Snapshot},
};
use gotocloud_api::{
    Instance, InstanceStatus,
    conditions::{Condition, ConditionType, Reason},
    instance::{DatabasePlace, Inventory, RunningRelease},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What came of carrying out a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The step that failed, if one did. Those after it were not tried.
    pub failure: Option<Failure>,
    /// What was last applied to each object, as `DESIRED.FIELDS`.
    pub applied: BTreeMap<ObjectKey, String>,
    /// Whether removals were carried out.
    pub removal: Option<Removal>,
    /// Was the database made sure of?
    pub database_assured: bool,
    /// What failed of what was done for a rehearsal.
    pub aside: Option<Failure>,
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// How it is to be met.
    pub class: ErrorClass,
    /// Under which reason it is reported.
    pub reason: Reason,
    /// What happened and what to do: a sentence.
    pub message: String,
}

impl From<Refusal> for Failure {
    fn from(Refusal { reason, message }: Refusal) -> Self {
        Self { class: ErrorClass::Refused, reason, message }
    }
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The status, whether or not it changed.
    pub status: InstanceStatus,
    /// What changed, for those who watch.
    pub events: Vec<Event>,
    /// Does it tell something that others act on? If not, such as how many pods are up by now, it may wait for more to be
    /// told with it.
    pub presses: bool,
}

/// How long a report may wait for more to be told with it. While as many Instances are worked on as may be at once, what
/// nobody acts on waits longer: each word would put all of them off.
pub fn patience(presses: bool, is_busy: bool) -> Duration {
    match (presses, is_busy) {
        (true, _) => Duration::ZERO,
        (false, false) => Duration::from_secs(5),
        (false, true) => Duration::from_secs(15),
    }
}

/// What is to be told of the Instance of `snapshot`, whose children are as observed after the plan was carried out.
pub fn report(snapshot: &Snapshot<'_>, plan: &Plan<'_>, outcome: &Outcome, now: Timestamp) -> Report {
    let before = snapshot.instance.status.clone().unwrap_or_default();
    let generation = snapshot.instance.metadata.generation;
    let mut status = before.clone();
    status.observed_generation = generation;
    status.upgrade = on_the_way::next(snapshot, plan, outcome, now);
    status.point_of_no_return = on_the_way::point_of_no_return(snapshot, status.upgrade.as_ref(), now);
    status.rehearsal = rehearsing::next(snapshot, plan, outcome, now);
    let judged = on_the_way::told(judge(snapshot, plan, outcome), snapshot.instance, status.upgrade.as_ref());
    status.conditions = dated(judged, &before.conditions, generation, now);

    match (&plan.verdict, &plan.inputs) {
        (Verdict::Proceed, Some(inputs)) => proceeded(&mut status, &before, snapshot, plan, inputs, outcome),
        // Its address is known, and said: two instances that each wait for the other's would wait for ever.
        (Verdict::Refused(refusal), Some(inputs)) if refusal.reason == Reason::UnknownVariable => {
            status.endpoints = crate::render::endpoints(inputs);
        }
        (Verdict::Deleting, _) => {
            let is_dropped = plan.steps.iter().any(|step| matches!(step, Step::DropDatabase(_))) && all_done(outcome);
            if let Some(database) = status.database.as_mut().filter(|_| is_dropped) {
                database.provisioned.clear();
                database.oid = None;
            }
        }
        (Verdict::Proceed | Verdict::Refused(_) | Verdict::Tracked | Verdict::NeedsPinned(_), _) => {}
    }

    let events = events(&before, &status);
    let presses = presses(&before, &status);
    Report { status, events, presses }
}

/// Does the step from one status to the other tell something that others act on?
fn presses(before: &InstanceStatus, after: &InstanceStatus) -> bool {
    // The parts may wait for the whole; of what stalls, also another reason is news.
    let whole = [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled].map(|kind| kind.to_string());
    let known = |status: &InstanceStatus| -> Vec<(String, String, Option<String>)> {
        let of_whole = status.conditions.iter().filter(|one| whole.contains(&one.type_));
        let reason = |one: &Condition| (one.type_ == whole[2]).then(|| one.reason.clone());
        of_whole.map(|one| (one.type_.clone(), one.status.clone(), reason(one))).collect()
    };
    let facts = |status: &InstanceStatus| {
        let place = (status.endpoints.clone(), status.namespace.clone());
        (
            known(status),
            status.observed_generation,
            place,
            status.release.clone(),
            (status.upgrade.clone(), status.rehearsal.clone()),
            status.stage_rollout.clone(),
        )
    };
    facts(before) != facts(after)
}

/// Puts into the status what came of a plan that went ahead.
fn proceeded(
    status: &mut InstanceStatus,
    before: &InstanceStatus,
    snapshot: &Snapshot<'_>,
    plan: &Plan<'_>,
    inputs: &Inputs<'_>,
    outcome: &Outcome,
) {
    status.stage = Some(snapshot.instance.spec.stage);
    status.size_class = Some(inputs.size);
    status.grouping.clone_from(&inputs.membership.grouping);
    status.members.clone_from(&inputs.membership.members);
    status.namespace = Some(inputs.namespace.clone());
    status.platform.clone_from(&inputs.platform.metadata.name);

    if !plan.inventory.is_empty() {
        status.inventory = Some(inventory(snapshot.instance, plan, outcome));
        status.endpoints = crate::render::endpoints(inputs);
        status.database = location(inputs, plan.database.as_ref());
    }

    if let Some(database) = &mut status.database {
        let known = before.database.as_ref();
        let known_here = known.filter(|known| plan.database.is_some() || known.server == database.server);
        // Made sure of in this pass, or in one whose report was put off.
        let assured =
            snapshot.database_assured.filter(|_| plan.database.as_ref().is_some_and(|one| snapshot.has_assured(one)));
        match (assured, ready_cluster(snapshot, database.place()), known_here) {
            (Some(assured), _, _) => {
                database.provisioned.clone_from(&assured.fingerprint);
                database.oid = Some(assured.oid);
            }
            (None, Some(uid), _) => database.provisioned = uid,
            (None, None, Some(known)) => {
                database.provisioned.clone_from(&known.provisioned);
                database.oid = known.oid;
            }
            (None, None, None) => {}
        }
    }

    let is_applied = outcome.failure.is_none() && plan.waiting.is_none();
    if is_applied || pods_are_asked_for(plan, outcome) {
        status.revision.clone_from(&plan.revision);
    } else if let (Some(revision), Some(planned)) = (&mut status.revision, &plan.revision) {
        revision.pending.clone_from(&planned.pending);
        revision.pending_changes.clone_from(&planned.pending_changes);
    }

    if is_applied && workload(snapshot, plan, outcome).is_none() {
        status.release = Some(RunningRelease {
            name: inputs.release.metadata.name.clone().unwrap_or_default(),
            version: inputs.release.spec.version.clone(),
        });
        let rollout = snapshot.instance.spec.rollout.as_ref();
        if let Some(rollout) = rollout.filter(|rollout| rollout.wants == snapshot.instance.spec.stage.to_string()) {
            status.stage_rollout = Some(rollout.clone());
        }
    }
}

/// The uid of the `CloudNativePG` Cluster at that place, once it is ready to hold data.
fn ready_cluster(snapshot: &Snapshot<'_>, place: DatabasePlace<'_>) -> Option<String> {
    let is_it = |Observed { key, health, .. }: &&Observed| {
        key.kind == Kind::Cluster
            && *health == Health::Ready
            && place == DatabasePlace::Cluster { namespace: &key.namespace, name: &key.name }
    };
    snapshot.children.iter().find(is_it).map(|cluster| cluster.uid.to_string())
}

/// Were pods asked for by this plan, though not all of it could be done? Then they are pinned to its revision, which is
/// applied before them: what keeps the rest from being done is no reason for them to follow a further edit.
fn pods_are_asked_for(plan: &Plan<'_>, outcome: &Outcome) -> bool {
    plan.steps.iter().any(|step| {
        let Step::Apply { object, .. } = step else { return false };
        let applied = outcome.applied.get(&object.key).and_then(|applied| applied.split_once('.'));
        object.key.kind == Kind::Deployment
            && applied.is_some_and(|(desired, _)| desired == crate::fingerprint::of(&object.manifest))
    })
}

/// Was all of the plan done, removals included?
fn all_done(outcome: &Outcome) -> bool {
    outcome.failure.is_none() && matches!(outcome.removal, None | Some(Removal::Allowed))
}

/// What the Instance is made of: all that is wanted, and what is still to be removed, lest it be forgotten.
fn inventory(instance: &Instance, plan: &Plan<'_>, outcome: &Outcome) -> Inventory {
    let mut keys: BTreeSet<&ObjectKey> = plan.inventory.iter().collect();
    if !all_done(outcome) {
        keys.extend(plan.steps.iter().filter_map(|step| if let Step::Remove(key) = step { Some(key) } else { None }));
    }
    // Of what is not seen, what was told stands until it is applied again: nothing watches it, it is gone, or its labels are.
    let entry = |key: &ObjectKey| match outcome.applied.get(key) {
        Some(applied) => key.to_entry(applied),
        None => key.to_entry(key.recorded_in(instance).unwrap_or_default()),
    };
    let entries: Vec<_> = keys.into_iter().map(entry).collect();
    Inventory { count: u32::try_from(entries.len()).unwrap_or(u32::MAX), entries }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn status(ready: &str, message: &str) -> InstanceStatus {
        let condition = Condition {
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            message: message.into(),
            observed_generation: Some(1),
            reason: "PodsStarting".into(),
            status: ready.into(),
            type_: "Ready".into(),
        };
        InstanceStatus { conditions: vec![condition], ..InstanceStatus::default() }
    }

    #[test]
    fn that_one_more_pod_is_up_does_not_press() {
        assert!(!presses(&status("False", "1 of 3 pods"), &status("False", "2 of 3 pods")));
    }

    #[test]
    fn progress_waits_longer_while_the_whole_fleet_is_worked_on_and_what_presses_never_does() {
        let first = InstanceStatus { observed_generation: Some(1), ..status("False", "1 of 3 pods") };
        assert!(presses(&InstanceStatus::default(), &first), "neighbours wait for its address");
        assert_eq!(patience(true, true), Duration::ZERO);
        assert!(patience(false, true) > patience(false, false));
    }

    #[test]
    fn that_it_is_ready_or_that_a_new_generation_was_seen_presses() {
        assert!(presses(&status("False", "2 of 3 pods"), &status("True", "all runs as asked")));
        let newer = InstanceStatus { observed_generation: Some(2), ..status("False", "1 of 3 pods") };
        assert!(presses(&status("False", "1 of 3 pods"), &newer));
    }
}
