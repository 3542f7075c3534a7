//! From a plan and what came of it to the Instance's status and the events that tell of changes.

use super::{
    conditions::{Judged, dated, find},
    planning::location,
};
use crate::{
    health::Health,
    objects::{Kind, ObjectKey},
    plan::{Plan, Verdict, Waiting},
    removals::Removal,
    retry::ErrorClass,
    snapshot::Snapshot,
};
use gotocloud_api::{
    InstanceStatus,
    conditions::{ConditionType, Reason},
    instance::{Inventory, RunningRelease},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

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

/// What is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The status, whether or not it changed.
    pub status: InstanceStatus,
    /// What changed, for those who watch.
    pub events: Vec<Event>,
}

/// A change worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Is it bad news?
    pub warning: bool,
    /// The reason of the condition that changed.
    pub reason: Reason,
    /// A sentence.
    pub message: String,
}

/// What is to be told of the Instance of `snapshot`, whose children are as observed after the plan was carried out.
pub fn report(snapshot: &Snapshot<'_>, plan: &Plan<'_>, outcome: &Outcome, now: Timestamp) -> Report {
    let before = snapshot.instance.status.clone().unwrap_or_default();
    let generation = snapshot.instance.metadata.generation;
    let judged = judge(snapshot, plan, outcome);
    let mut status = before.clone();
    status.observed_generation = generation;
    status.conditions = dated(judged, &before.conditions, generation, now);
    if let (Verdict::Proceed, Some(inputs)) = (&plan.verdict, &plan.inputs) {
        status.stage = Some(snapshot.instance.spec.stage);
        status.size_class = Some(inputs.size);
        status.grouping.clone_from(&inputs.membership.grouping);
        status.members.clone_from(&inputs.membership.members);
        status.namespace = Some(inputs.namespace.clone());
        status.platform = inputs.platform.metadata.name.clone();
        if !plan.inventory.is_empty() {
            status.inventory = Some(inventory(plan, outcome));
            status.endpoints = crate::render::endpoints(inputs);
            status.database = location(inputs, plan.database.as_ref());
        }
        if let (Some(database), Some(request)) = (&mut status.database, &plan.database) {
            let known = before.database.as_ref().map(|database| database.provisioned.clone()).unwrap_or_default();
            database.provisioned = if outcome.database_assured { request.fingerprint() } else { known };
        }
        if outcome.failure.is_none() && plan.waiting.is_none() {
            status.revision.clone_from(&plan.revision);
            if workload(snapshot, plan).is_none() {
                status.release = Some(RunningRelease {
                    name: inputs.release.metadata.name.clone().unwrap_or_default(),
                    version: inputs.release.spec.version.clone(),
                });
            }
        } else if let (Some(revision), Some(planned)) = (&mut status.revision, &plan.revision) {
            revision.pending.clone_from(&planned.pending);
            revision.pending_changes.clone_from(&planned.pending_changes);
        }
    }
    let events = events(&before, &status);
    Report { status, events }
}

fn inventory(plan: &Plan<'_>, outcome: &Outcome) -> Inventory {
    let entry = |key: &ObjectKey| key.to_entry(outcome.applied.get(key).cloned().unwrap_or_default());
    let entries: Vec<_> = plan.inventory.iter().map(entry).collect();
    Inventory { count: u32::try_from(entries.len()).unwrap_or(u32::MAX), entries }
}

fn judge(snapshot: &Snapshot<'_>, plan: &Plan<'_>, outcome: &Outcome) -> Vec<Judged> {
    use ConditionType::{Ready, Reconciling, Stalled};
    let stalled = |reason: Reason, message: &str| {
        vec![Judged::new(Ready, false, reason, message), Judged::new(Stalled, true, reason, message)]
    };
    let working = |reason: Reason, message: &str| {
        vec![Judged::new(Ready, false, reason, message), Judged::new(Reconciling, true, reason, message)]
    };
    let mut judged = match &plan.verdict {
        Verdict::Refused(refusal) => stalled(refusal.reason, &refusal.message),
        Verdict::Tracked => {
            let message = "run by somebody else: tracked, not operated here";
            vec![Judged::new(Ready, None, Reason::NotOperatedHere, message)]
        }
        Verdict::NeedsPinned(_) => working(Reason::Applying, "the revision that pins its pods is being read"),
        Verdict::Proceed | Verdict::Deleting => match (&outcome.failure, &outcome.removal) {
            (Some(failure), _) if failure.class == ErrorClass::Refused => stalled(failure.reason, &failure.message),
            (Some(failure), _) => working(failure.reason, &failure.message),
            (None, Some(Removal::Held { wanted, fleet })) => stalled(Reason::RemovalsHeld, &held(*wanted, *fleet)),
            (None, _) if plan.verdict == Verdict::Deleting => {
                working(Reason::Deleting, "its workload is being removed")
            }
            (None, _) => return running(snapshot, plan, outcome),
        },
    };
    judged.extend(parts(snapshot, plan, outcome));
    judged
}

fn held(wanted: usize, fleet: usize) -> String {
    format!(
        "removing {wanted} of the fleet's {fleet} objects at once needs a person's word: if it is meant, annotate the \
         Platform with {}=TIME, until when it may go on (RFC 3339); if not, undo what asked for it",
        gotocloud_api::names::ANNOTATION_ALLOW_REMOVALS_UNTIL
    )
}

fn running(snapshot: &Snapshot<'_>, plan: &Plan<'_>, outcome: &Outcome) -> Vec<Judged> {
    use ConditionType::{Ready, Reconciling};
    let parts = parts(snapshot, plan, outcome);
    let unready = parts.iter().find(|part| part.kind != ConditionType::UpToDate && part.status == Some(false));
    let settling = outcome.removal == Some(Removal::Settling);
    let mut judged = match (unready, plan.waiting) {
        (_, Some(Waiting::ForNamespace)) => {
            let message = "its namespace is being deleted; it is made again once it is gone";
            vec![
                Judged::new(Ready, false, Reason::Applying, message),
                Judged::new(Reconciling, true, Reason::Applying, message),
            ]
        }
        (Some(part), _) => vec![
            Judged::new(Ready, false, part.reason, part.message.clone()),
            Judged::new(Reconciling, true, part.reason, part.message.clone()),
        ],
        (None, _) if settling => {
            let message = "objects that are no longer wanted are being removed";
            vec![
                Judged::new(Ready, true, Reason::AsDesired, "all runs as asked"),
                Judged::new(Reconciling, true, Reason::Applying, message),
            ]
        }
        (None, _) => vec![Judged::new(Ready, true, Reason::AsDesired, "all runs as asked")],
    };
    judged.extend(parts);
    judged
}

/// How the database, the pods and the route stand, and whether what runs is what would be rendered.
fn parts(snapshot: &Snapshot<'_>, plan: &Plan<'_>, outcome: &Outcome) -> Vec<Judged> {
    use ConditionType::{DatabaseReady, Exposed, UpToDate, WorkloadReady};
    let Some(inputs) = plan.inputs.as_ref().filter(|_| !plan.inventory.is_empty()) else { return Vec::new() };
    let mut parts = Vec::new();
    let part = |kind, unready: Option<String>, waiting: Reason| match unready {
        None => Judged::new(kind, true, Reason::AsDesired, "as asked"),
        Some(message) => Judged::new(kind, false, waiting, message),
    };
    if inputs.has_database() {
        parts.push(match (&plan.database, &outcome.failure) {
            (Some(_), Some(failure)) if is_of_database(failure.reason) => {
                Judged::new(DatabaseReady, false, failure.reason, failure.message.clone())
            }
            (Some(request), _) => {
                let assured = outcome.database_assured || snapshot.database_assured == Some(&request.fingerprint());
                let unready = (!assured).then(|| "the database is being made".to_owned());
                part(DatabaseReady, unready, Reason::DatabaseStarting)
            }
            (None, _) => part(DatabaseReady, unready(snapshot, plan, &[Kind::Cluster]), Reason::DatabaseStarting),
        });
    }
    parts.push(part(WorkloadReady, workload(snapshot, plan), Reason::PodsStarting));
    if !crate::render::endpoints(inputs).is_empty() {
        let unready = unready(snapshot, plan, &[Kind::Certificate, Kind::HttpRoute]);
        parts.push(part(Exposed, unready, Reason::RouteStarting));
    }
    if let Some(revision) = &plan.revision {
        parts.push(match &revision.pending {
            None => Judged::new(UpToDate, true, Reason::AsDesired, "what runs is what would be made today"),
            Some(pending) => {
                let message = format!(
                    "its pods stay as they are until somebody consents (spec.acceptedRevision: {pending}) to: {}",
                    revision.pending_changes.join("; ")
                );
                Judged::new(UpToDate, false, Reason::ConsentAwaited, message)
            }
        });
    }
    parts
}

fn is_of_database(reason: Reason) -> bool {
    matches!(reason, Reason::DatabaseUnreachable | Reason::DatabaseRefused | Reason::DatabaseSecretInvalid)
}

/// Why the pods are not as they should be; none if they are.
fn workload(snapshot: &Snapshot<'_>, plan: &Plan<'_>) -> Option<String> {
    unready(snapshot, plan, &[Kind::Deployment])
}

/// Why the first of the planned objects of those kinds that is not ready is not; none if all are.
fn unready(snapshot: &Snapshot<'_>, plan: &Plan<'_>, kinds: &[Kind]) -> Option<String> {
    plan.inventory.iter().filter(|key| kinds.contains(&key.kind)).find_map(|key| {
        match snapshot.children.iter().find(|child| child.key == *key).map(|child| &child.health) {
            None => Some(format!("{} {} is not there yet", key.kind, key.name)),
            Some(Health::Progressing(why)) => Some(format!("{} {}: {why}", key.kind, key.name)),
            Some(Health::Ready | Health::Unjudged) => None,
        }
    })
}

/// What changed between two statuses that is worth telling.
fn events(before: &InstanceStatus, after: &InstanceStatus) -> Vec<Event> {
    let mut events = Vec::new();
    let changed = |kind: ConditionType| {
        let (old, new) = (find(&before.conditions, kind), find(&after.conditions, kind));
        let key =
            |condition: &gotocloud_api::conditions::Condition| (condition.status.clone(), condition.reason.clone());
        new.filter(|new| old.map(key) != Some(key(new)))
    };
    if let Some(stalled) = changed(ConditionType::Stalled) {
        events.push(event(true, stalled));
    }
    if let Some(ready) = changed(ConditionType::Ready) {
        let was_ready = find(&before.conditions, ConditionType::Ready).is_some_and(|old| old.status == "True");
        let is_ready = ready.status == "True";
        let is_told = find(&after.conditions, ConditionType::Stalled).is_some();
        if is_ready || (was_ready && !is_told) {
            events.push(event(false, ready));
        }
    }
    if let Some(pending) = changed(ConditionType::UpToDate).filter(|condition| condition.status == "False") {
        events.push(event(false, pending));
    }
    events
}

fn event(warning: bool, condition: &gotocloud_api::conditions::Condition) -> Event {
    // Reasons are written by this crate from the enum; an unknown one can only be that of a newer operator.
    let reason = serde_json::from_value(condition.reason.clone().into()).unwrap_or(Reason::AsDesired);
    Event { warning, reason, message: condition.message.clone() }
}
