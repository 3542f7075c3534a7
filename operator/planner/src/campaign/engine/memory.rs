//! What does an engine remember, as a number?
//!
//! The model checker tells its states apart by it: of two engines with one memory, each does what the other does, whatever
//! happens to both. Left out is what is only told: the log of decisions, since when a condition holds, and when a campaign
//! will be done.

use super::{Engine, Live, Refusal, Written};
use gotocloud_api::CampaignStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::{
    collections::{BTreeMap, HashMap},
    fmt::{self, Debug, Write as _},
    hash::{DefaultHasher, Hasher as _},
    sync::Arc,
};

/// A memory that is being gathered.
#[derive(Default)]
pub(in crate::campaign) struct Memory(DefaultHasher);

impl fmt::Write for Memory {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Memory {
    /// Adds something, in the form in which it is debugged.
    pub(in crate::campaign) fn note(&mut self, what: &impl Debug) {
        // It never fails: see above.
        let _ = write!(self, "{what:?};");
    }

    /// Adds what is in no order.
    pub(in crate::campaign) fn note_all<K: Ord + Debug, V: Debug>(&mut self, all: &HashMap<K, V>) {
        self.note(&all.iter().collect::<BTreeMap<_, _>>());
    }
}

/// A campaign's status without what nothing is decided by.
pub fn what_decides(status: &CampaignStatus) -> CampaignStatus {
    let kept = |at: &Option<Time>| at.as_ref().map(|_| Time(jiff::Timestamp::UNIX_EPOCH));
    let mut decides =
        CampaignStatus { decisions: Vec::new(), finished_at: kept(&status.finished_at), ..status.clone() };

    for condition in &mut decides.conditions {
        condition.last_transition_time = Time(jiff::Timestamp::UNIX_EPOCH);
    }
    for wave in &mut decides.waves {
        wave.finished_at = kept(&wave.finished_at);
        wave.approved_at = kept(&wave.approved_at);
    }
    decides
}

impl Engine {
    /// All that its next decisions depend on, as a number.
    pub fn memory(&self) -> u64 {
        let mut memory = Memory::default();

        for (name, live) in &self.live {
            memory.note(name);
            live.remember(&mut memory);
        }
        for (name, written) in &self.written {
            memory.note(name);
            written.remember(&mut memory);
        }
        memory.note(&self.claims);
        for (who, flight) in self.flights.iter().collect::<BTreeMap<_, _>>() {
            // Only how writes that are not answered differ matters, and not how many there were before.
            let age = flight.waits.is_none().then(|| self.writes - flight.id);
            memory.note(&(who, age, &flight.campaign, &flight.what, flight.waits, flight.beats));
        }
        memory.note_all(&self.by_hand);
        memory.note(&self.is_by_hand_known);

        memory.0.finish()
    }
}

impl Written {
    fn remember(&self, memory: &mut Memory) {
        let Self { uid, status, version, over } = self;
        memory.note(&(uid, what_decides(status), version, over));
    }
}

impl Live {
    fn remember(&self, memory: &mut Memory) {
        // What was written the engine has as well.
        let Self { campaign, view, stale, telling, refusals, .. } = self;
        let metadata = &campaign.metadata;

        memory.note(&(&metadata.uid, &metadata.resource_version, metadata.generation, &campaign.spec));
        memory.note(&campaign.status.as_ref().map(what_decides));
        memory.note(&(stale.all, &stale.instances));
        memory.note(&telling.as_ref().map(|one| (what_decides(&one.status), &one.version, one.is_start)));
        memory.note(&(self.may_tell, self.is_untold, self.tell_again, self.look_again));
        memory.note(&refusals.iter().collect::<BTreeMap<&Arc<str>, &Refusal>>());
        match view {
            Some(view) => view.remember(memory),
            None => memory.note(&()),
        }
    }
}
