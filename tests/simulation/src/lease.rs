//! Which of the two processes acts? As the operator's `lease.rs` and `guard.rs` have it: who holds the Lease renews it, and
//! writes nothing once its last renewal is old; another takes it some seconds after that.
//!
//! Renewals are not played one by one: a process that is well, before an API server that answers, has just renewed it.

use crate::{
    fault::Fault,
    operator,
    world::{Caller, Timer, World},
};
use jiff::{SignedDuration, Timestamp};

/// How long the Lease lasts after its last renewal.
const DURATION: SignedDuration = SignedDuration::from_secs(30);
/// How long after its last renewal its holder stops writing.
const DEADLINE: SignedDuration = SignedDuration::from_secs(20);
/// How often its holder renews it, in seconds.
const RENEWAL: i64 = 5;
/// How soon the others look again whether it can be taken.
const RETRY: SignedDuration = SignedDuration::from_secs(2);
/// How many things may happen while a process is frozen.
const FROZEN_AT_MOST: u32 = 2_000;

/// The Lease.
#[derive(Debug)]
pub struct Lease {
    /// The place of its holder.
    pub holder: Option<usize>,
    /// When it was renewed last; `None` while it is renewed.
    renewed: Option<Timestamp>,
}

impl Lease {
    /// One that nobody took yet.
    pub fn new() -> Self {
        Self { holder: None, renewed: None }
    }

    fn may_be_taken(&self, now: Timestamp) -> bool {
        self.holder.is_none() || self.renewed.is_some_and(|renewed| renewed + DURATION <= now)
    }
}

impl World {
    /// May a process send a write now, as far as it knows?
    pub(crate) fn may_write(&self, caller: Caller) -> bool {
        if self.fault() == Some(Fault::AsksNoGuard) {
            return true;
        }
        self.lease.holder == Some(caller.place)
            && self.lease.renewed.is_none_or(|renewed| self.now() < renewed + DEADLINE)
    }

    /// The Lease is renewed no more from now on.
    pub(crate) fn stop_renewing(&mut self) {
        let ago = self.between_seconds(0, RENEWAL);
        let now = self.now();
        self.lease.renewed.get_or_insert(now - ago);
        self.after(DURATION, Timer::Lease);
    }

    /// Somebody takes the Lease, if it can be taken; or its holder renews it.
    pub(crate) fn elect(&mut self) {
        let now = self.now();
        if self.is_out || (self.lease.holder.is_some() && self.lease.renewed.is_none()) {
            return;
        }
        let holder = self.lease.holder.filter(|place| !self.processes[*place].is_frozen);
        let may_be_taken = self.lease.may_be_taken(now);
        let ready: Vec<usize> = (0..self.processes.len())
            .filter(|place| !self.processes[*place].is_frozen && (may_be_taken || Some(*place) == holder))
            .collect();
        let Some(place) = self.any(&ready) else { return self.after(RETRY, Timer::Lease) };

        let is_same = self.lease.holder == Some(place);
        let is_in_time = self.lease.renewed.is_none_or(|renewed| now < renewed + DEADLINE);
        self.lease = Lease { holder: Some(place), renewed: None };
        for other in self.processes.iter_mut().filter(|other| other.place != place) {
            if !other.is_frozen {
                other.is_leading = false;
            }
        }
        if is_same && is_in_time && self.processes[place].is_leading {
            return;
        }
        self.say(|| format!("process {place} holds the Lease"));
        // What an earlier term had in hand ends with that.
        let life = self.next_life();
        self.processes[place].lead(life, now);
        if !std::mem::replace(&mut self.processes[place].is_watching, true) {
            for kind in operator::watched() {
                self.list_anew(place, kind);
            }
        }
    }

    /// A process is not scheduled for a while, with a request in hand.
    pub(crate) fn freeze(&mut self, caller: Caller) {
        let lasts = self.between_seconds(3, 120);
        let until = self.now() + lasts;
        self.say(|| format!("process {} is frozen for {lasts:#}", caller.place));
        self.processes[caller.place].is_frozen = true;
        self.stop_renewing();

        self.play_until(until, FROZEN_AT_MOST);
        let process = &mut self.processes[caller.place];
        if process.life != caller.life {
            return;
        }
        process.is_frozen = false;
        self.say(|| format!("process {} is awake", caller.place));
        if self.lease.holder == Some(caller.place) {
            self.elect();
        }
        let holds = self.lease.holder == Some(caller.place);
        self.processes[caller.place].is_leading &= holds;
    }
}
