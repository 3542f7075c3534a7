//! How much of a fleet may go at once?
//!
//! A wrong edit of the catalogue, a faulty operator version or a Git repository emptied by mistake can each ask for the
//! removal of most of a fleet. So removals wait until the whole fleet's wish is known, and stop where it is larger than
//! a share of all objects: then a person says whether it is meant.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long a wish to remove waits for the others, so that a wish of the whole fleet is seen as one.
pub const SETTLE: SignedDuration = SignedDuration::from_secs(2);
/// How long what was removed counts as "at once" with what is to be removed.
pub const MEMORY: SignedDuration = SignedDuration::from_mins(10);
/// Removals up to this many objects are never held: about five instances.
pub const ALWAYS_ALLOWED: usize = 100;

/// Whether objects may be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Now.
    Allowed,
    /// Not yet: the fleet's wish is still becoming known.
    Settling,
    /// Not before a person says so; the figures that led to it.
    Held {
        /// Objects that would go, with those that went lately.
        wanted: usize,
        /// Objects of the whole fleet.
        fleet: usize,
    },
}

/// Who wishes to remove how much, and what went lately.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    wishes: BTreeMap<String, (usize, Timestamp)>,
    done: Vec<(Timestamp, usize)>,
}

impl Ledger {
    /// Notes that the Instance `who` wishes to remove `objects`; 0 takes its wish back.
    pub fn wish(&mut self, who: &str, objects: usize, now: Timestamp) {
        if objects == 0 {
            self.wishes.remove(who);
            return;
        }
        let entry = self.wishes.entry(who.to_owned()).or_insert((objects, now));
        if entry.0 != objects {
            *entry = (objects, now);
        }
    }

    /// Notes that what `who` wished was done.
    pub fn done(&mut self, who: &str, now: Timestamp) {
        self.done.retain(|(at, _)| now.duration_since(*at) < MEMORY);
        if let Some((objects, _)) = self.wishes.remove(who) {
            self.done.push((now, objects));
        }
    }

    /// May `who` remove what it wishes? `fleet` counts the objects of all instances, `limit_percent` is the share that
    /// may go at once, and `allowed_until` is a person's word that more is meant.
    pub fn verdict(
        &self,
        who: &str,
        fleet: usize,
        limit_percent: usize,
        allowed_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Removal {
        let Some((_, since)) = self.wishes.get(who) else { return Removal::Allowed };
        if allowed_until.is_some_and(|until| now < until) {
            return Removal::Allowed;
        }
        let wished: usize = self.wishes.values().map(|(objects, _)| objects).sum();
        let recent = self.done.iter().filter(|(at, _)| now.duration_since(*at) < MEMORY);
        let lately: usize = recent.map(|(_, objects)| objects).sum();
        let wanted = wished + lately;
        if wanted > ALWAYS_ALLOWED && wanted * 100 > (fleet + lately) * limit_percent {
            return Removal::Held { wanted, fleet: fleet + lately };
        }
        if now.duration_since(*since) < SETTLE { Removal::Settling } else { Removal::Allowed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn one_instance_may_go_once_the_fleets_wish_is_known() {
        let mut ledger = Ledger::default();
        ledger.wish("hub/a", 20, at(0));
        assert_eq!(ledger.verdict("hub/a", 1000, 10, None, at(1)), Removal::Settling);
        assert_eq!(ledger.verdict("hub/a", 1000, 10, None, at(2)), Removal::Allowed);
    }

    #[test]
    fn more_than_a_tenth_of_the_fleet_is_held_from_its_first_object_on() {
        let mut ledger = Ledger::default();
        for i in 0..8 {
            ledger.wish(&format!("hub/{i}"), 20, at(0));
        }
        assert_eq!(ledger.verdict("hub/0", 1300, 10, None, at(60)), Removal::Held { wanted: 160, fleet: 1300 });
        assert_eq!(ledger.verdict("hub/0", 1600, 10, None, at(60)), Removal::Allowed);
    }

    #[test]
    fn slices_of_a_large_removal_are_seen_as_one() {
        let mut ledger = Ledger::default();
        for i in 0..20 {
            ledger.wish(&format!("hub/{i}"), 10, at(0));
            if ledger.verdict(&format!("hub/{i}"), 1000 - i * 10, 10, None, at(10)) == Removal::Allowed {
                ledger.done(&format!("hub/{i}"), at(10));
            }
        }
        assert!(matches!(ledger.verdict("hub/19", 890, 10, None, at(10)), Removal::Held { .. }));
        assert_eq!(ledger.verdict("hub/10", 1000, 10, None, at(700)), Removal::Allowed);
    }

    #[test]
    fn a_persons_word_lets_it_pass_until_it_expires() {
        let mut ledger = Ledger::default();
        ledger.wish("hub/a", 500, at(0));
        assert_eq!(ledger.verdict("hub/a", 1000, 10, Some(at(100)), at(99)), Removal::Allowed);
        assert!(matches!(ledger.verdict("hub/a", 1000, 10, Some(at(100)), at(100)), Removal::Held { .. }));
    }

    #[test]
    fn a_small_fleet_is_not_held_for_its_smallness() {
        let mut ledger = Ledger::default();
        ledger.wish("hub/a", 20, at(0));
        assert_eq!(ledger.verdict("hub/a", 40, 10, None, at(5)), Removal::Allowed);
    }

    #[test]
    fn a_wish_taken_back_no_longer_counts() {
        let mut ledger = Ledger::default();
        ledger.wish("hub/a", 500, at(0));
        ledger.wish("hub/a", 0, at(1));
        ledger.wish("hub/b", 20, at(1));
        assert_eq!(ledger.verdict("hub/b", 1000, 10, None, at(5)), Removal::Allowed);
    }
}
