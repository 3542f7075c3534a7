//! Which conditions does an Instance have, given how its parts stand?

use gotocloud_api::conditions::{Condition, ConditionType, Reason};
use jiff::Timestamp;

/// Longest message of a condition, and so of the event that repeats it, whose note takes 1,024 bytes.
const MESSAGE_MAX_BYTES: usize = 1000;

/// A condition as it is to be, before it is given the time of its last transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub kind: ConditionType,
    pub status: Option<bool>,
    pub reason: Reason,
    pub message: String,
}

impl Judged {
    pub fn new(
        kind: ConditionType,
        status: impl Into<Option<bool>>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, status: status.into(), reason, message: message.into() }
    }
}

/// The conditions with the times at which each last changed its status: those of `before` where it did not.
pub(super) fn dated(
    judged: Vec<Judged>,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    judged
        .into_iter()
        .map(|one| {
            let kind = one.kind.to_string();
            let status = match one.status {
                Some(true) => "True",
                Some(false) => "False",
                None => "Unknown",
            };
            let same = before.iter().find(|old| old.type_ == kind && old.status == status);
            let last_transition_time =
                same.map_or_else(|| crate::whole_seconds(now), |old| old.last_transition_time.clone());
            Condition {
                last_transition_time,
                message: cut(one.message),
                observed_generation: generation,
                reason: one.reason.to_string(),
                status: status.to_owned(),
                type_: kind,
            }
        })
        .collect()
}

/// The message, or as much of it as there is room for.
fn cut(mut message: String) -> String {
    const MORE: &str = "...";
    if message.len() > MESSAGE_MAX_BYTES {
        let end = message.floor_char_boundary(MESSAGE_MAX_BYTES - MORE.len());
        message.truncate(end);
        message.push_str(MORE);
    }
    message
}

/// The condition of that type, if it is there.
pub(super) fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.to_string())
}
