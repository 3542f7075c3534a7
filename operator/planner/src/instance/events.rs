//! What changed that is worth telling those who watch?

use super::conditions::find;
use gotocloud_api::{
    InstanceStatus,
    conditions::{Condition, ConditionType, Reason},
    rehearsal::RehearsalPhase,
};

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

/// What changed between two statuses that is worth telling.
pub(super) fn events(before: &InstanceStatus, after: &InstanceStatus) -> Vec<Event> {
    let mut events = Vec::new();
    let changed = |kind: ConditionType| {
        let (old, new) = (find(&before.conditions, kind), find(&after.conditions, kind));
        let key = |condition: &Condition| (condition.status.clone(), condition.reason.clone());
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
    let has_failed = |status: &InstanceStatus| {
        let rehearsal = status.rehearsal.as_ref();
        rehearsal.filter(|rehearsal| rehearsal.phase == RehearsalPhase::Failed).map(|failed| failed.started_at.clone())
    };

    if let (Some(rehearsal), true) = (&after.rehearsal, has_failed(after) > has_failed(before)) {
        let message = format!("the rehearsal of {} to {} failed: {}", rehearsal.from, rehearsal.to, rehearsal.message);
        events.push(Event { warning: true, reason: Reason::RehearsalFailed, message });
    }

    events
}

fn event(warning: bool, condition: &Condition) -> Event {
    // Reasons are written by this crate from the enum; an unknown one can only be that of a newer operator.
    let reason = serde_json::from_value(condition.reason.clone().into()).unwrap_or(Reason::AsDesired);
    Event { warning, reason, message: condition.message.clone() }
}
