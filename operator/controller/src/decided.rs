//! By which time was everything decided last?
//!
//! `/decided` says so, for whoever moves a clock on: once the answer names the moment the clock was set to, and the newest
//! Instance there is, what that moment brings has been done, and nothing waits but for a later one.

use crate::children::InstanceRef;
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What was decided, and by which time. All clones are one.
#[derive(Clone, Default)]
pub struct Decided(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    campaigns: Option<Pass>,
    instances: BTreeMap<InstanceRef, Timestamp>,
}

/// One look at all campaigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The time it decided by.
    pub at: Timestamp,
    /// The newest resource version of an Instance that it knew.
    pub seen: u64,
    /// Has it told all it knows, and is nothing due before a later moment?
    pub is_at_rest: bool,
}

/// The answer of `/decided`.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The time by which every campaign and every Instance was decided; `None` before the first time.
    at: Option<Timestamp>,
    /// The newest resource version of an Instance that the campaigns were decided by.
    seen: u64,
    /// Is nothing left to be told or done before a later moment?
    at_rest: bool,
}

impl Decided {
    /// Notes a look at all campaigns, at its end.
    pub fn campaigns(&self, pass: Pass) {
        self.known().campaigns = Some(pass);
    }

    /// Notes that an Instance was decided by that time, and told.
    pub fn instance(&self, who: &InstanceRef, at: Timestamp) {
        self.known().instances.insert(who.clone(), at);
    }

    /// Forgets an Instance that is gone.
    pub fn forget(&self, who: &InstanceRef) {
        self.known().instances.remove(who);
    }

    /// Forgets all: this process begins anew.
    pub fn clear(&self) {
        *self.known() = Known::default();
    }

    /// What is known now.
    pub fn answer(&self) -> Answer {
        let known = self.known();
        let Some(pass) = known.campaigns else { return Answer { at: None, seen: 0, at_rest: false } };
        let oldest = known.instances.values().min().copied().unwrap_or(pass.at);
        Answer { at: Some(pass.at.min(oldest)), seen: pass.seen, at_rest: pass.is_at_rest }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn all_is_decided_by_the_time_of_whatever_was_decided_first() {
        let (spring, autumn) = (at("2024-04-01T00:00:00Z"), at("2024-09-01T00:00:00Z"));
        let decided = Decided::default();
        assert_eq!(decided.answer().at, None);

        let (one, other) = (InstanceRef::new("hub", "one"), InstanceRef::new("hub", "other"));
        decided.instance(&one, spring);
        decided.instance(&other, spring);
        decided.campaigns(Pass { at: autumn, seen: 7, is_at_rest: true });
        decided.instance(&one, autumn);
        assert_eq!(decided.answer(), Answer { at: Some(spring), seen: 7, at_rest: true });

        decided.instance(&other, autumn);
        assert_eq!(decided.answer().at, Some(autumn));
        decided.clear();
        assert_eq!(decided.answer().at, None);
    }
}
