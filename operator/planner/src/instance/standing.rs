//! How does an Instance stand, given what was planned, what came of it and what is seen?

use super::{
    conditions::{Judged, find},
    report::Outcome,
};
use crate::{
    health::Health,
    objects::{Kind, ObjectKey},
    plan::{Plan, Verdict, Waiting},
    removals::Removal,
    retry::ErrorClass,
    snapshot::{Observed, Snapshot},
};
use gotocloud_api::{
    Instance,
    conditions::{ConditionType, Reason},
};

pub(super) fn judge(snapshot: &Snapshot<'_>, plan: &Plan<'_>, outcome: &Outcome) -> Vec<Judged> {
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
                let message = match plan.waiting {
                    Some(Waiting::ForMigration) => {
                        "its data is to be kept and is being moved: it is removed once that Job has ended"
                    }
                    Some(Waiting::ForDatabase | Waiting::ForNamespace) | None => "its workload is being removed",
                };
                working(Reason::Deleting, message)
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
    use ConditionType::{Ready, Reconciling, Stalled};
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
        (Some(part), _) => {
            let hindered =
                if snapshot.lost_credentials.as_ref() == Some(&part.message) { Stalled } else { Reconciling };
            vec![
                Judged::new(Ready, false, part.reason, part.message.clone()),
                Judged::new(hindered, true, part.reason, part.message.clone()),
            ]
        }
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
pub(super) fn parts(snapshot: &Snapshot<'_>, plan: &Plan<'_>, outcome: &Outcome) -> Vec<Judged> {
    use ConditionType::{DatabaseReady, Exposed, UpToDate, WorkloadReady};
    let Some(inputs) = plan.inputs.as_ref().filter(|_| !plan.inventory.is_empty()) else { return Vec::new() };
    let mut parts = Vec::new();
    let part = |kind, unready: Option<String>, waiting: Reason| match unready {
        None => Judged::new(kind, true, Reason::AsDesired, "as asked"),
        Some(message) => Judged::new(kind, false, waiting, message),
    };

    if inputs.has_database() {
        parts.push(match (&plan.database, &outcome.failure) {
            (_, Some(failure)) if is_of_database(failure.reason) => {
                Judged::new(DatabaseReady, false, failure.reason, failure.message.clone())
            }
            (Some(request), _) => {
                let assured = outcome.database_assured || snapshot.has_assured(request);
                let unready = (!assured).then(|| "the database is being made".to_owned());
                part(DatabaseReady, unready, Reason::DatabaseStarting)
            }
            (None, _) if snapshot.lost_credentials.is_some() => {
                part(DatabaseReady, snapshot.lost_credentials.clone(), Reason::DatabaseSecretInvalid)
            }
            (None, _) => {
                part(DatabaseReady, unready(snapshot, plan, outcome, &[Kind::Cluster]), Reason::DatabaseStarting)
            }
        });
    }

    parts.push(part(WorkloadReady, workload(snapshot, plan, outcome), Reason::PodsStarting));
    if !crate::render::endpoints(inputs).is_empty() {
        let unready = unready(snapshot, plan, outcome, &[Kind::Certificate, Kind::ListenerSet, Kind::HttpRoute]);
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

/// What the Instance's status says of lost credentials; `None` if it says nothing of them.
pub fn told_lost_credentials(instance: &Instance) -> Option<&str> {
    let status = instance.status.as_ref()?;
    let told = find(&status.conditions, ConditionType::DatabaseReady)?;

    (told.reason == Reason::DatabaseSecretInvalid.to_string()).then_some(told.message.as_str())
}

fn is_of_database(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::DatabaseUnreachable | Reason::DatabaseRefused | Reason::DatabaseSecretInvalid | Reason::DatabaseLost
    )
}

/// Why the pods are not as they should be; none if they are.
pub(super) fn workload(snapshot: &Snapshot<'_>, plan: &Plan<'_>, outcome: &Outcome) -> Option<String> {
    unready(snapshot, plan, outcome, &[Kind::Deployment])
}

/// Why the first of the planned objects of those kinds that is not ready is not; none if all are. An object is believed
/// only where it was seen as it was last applied: one seen earlier may speak well of what it was before.
pub(super) fn unready(snapshot: &Snapshot<'_>, plan: &Plan<'_>, outcome: &Outcome, kinds: &[Kind]) -> Option<String> {
    let as_applied = |child: &Observed| {
        let applied = outcome.applied.get(&child.key).and_then(|applied| applied.split_once('.'));
        applied.is_some_and(|(_, fields)| fields == &*child.fields)
    };
    let concerns = |key: &&ObjectKey| kinds.contains(&key.kind) && !crate::render::rehearsal::holds(key);
    plan.inventory.iter().filter(concerns).find_map(|key| {
        match snapshot.children.iter().find(|child| child.key == *key) {
            None => Some(format!("{} {} is not there yet", key.kind, key.name)),
            Some(child) if !as_applied(child) => Some(format!("{} {} is not yet as applied", key.kind, key.name)),
            Some(Observed { health: Health::Progressing(why) | Health::Failed(why), .. }) => {
                Some(format!("{} {}: {why}", key.kind, key.name))
            }
            Some(Observed { health: Health::Ready | Health::Unjudged, .. }) => None,
        }
    })
}
