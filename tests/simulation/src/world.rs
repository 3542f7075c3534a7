//! All there is, and how one thing after the other happens in it.

use crate::{
    api::{Change, Ref, Refused, Server, Told},
    catalogue,
    controllers::{Data, Nodes},
    fault::Fault,
    laws::{Broken, Law, Laws},
    lease::Lease,
    operator::{self, Process, Work},
    people::People,
    prometheus::Prometheus,
    trace::Trace,
};
use gotocloud_api::conditions::Reason;
use gotocloud_planner::{instance::Failure, plan::DatabaseRequest, retry::ErrorClass};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// What is played.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What all chance comes from.
    pub seed: u64,
    /// How many Instances there are at first.
    pub fleet: u32,
    /// How long people and faults go on, in days.
    pub days: u32,
    /// A mistake of the operator, if one is planted.
    pub fault: Option<Fault>,
    /// What people do.
    pub habits: crate::people::Habits,
}

/// How many processes of the operator there are.
const PROCESSES: usize = 2;
/// How long a request that was sent is on its way, at most: less than lies between the end of a holder's writing and the end
/// of its Lease.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(8);

/// Which process asks, and in which of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub(crate) place: usize,
    pub(crate) life: u64,
}

/// The process that asks is dead.
#[derive(Debug)]
pub struct Died;

/// Something that happens at its time.
#[derive(Clone, Debug)]
pub enum Timer {
    /// A pod is ready.
    PodStarts(u64),
    /// A pod that was told to go is gone.
    PodEnds(u64),
    /// The pod of a job begins.
    JobBegins(Ref, String),
    /// The pod of a job ends; well or not.
    JobEnds(Ref, String, bool),
    /// A backup begins.
    BackupBegins(Ref, String),
    /// A backup ends; well or not.
    BackupEnds(Ref, String, bool),
    /// A database server is up.
    ClusterStarts(Ref, String),
    /// A namespace on its way out is empty.
    NamespaceEnds(Ref),
    /// A person does something.
    Person,
    /// A person does something more about an Instance.
    Follow(Ref),
    /// A person looks after what waits for one.
    Round,
    /// A release is put right again.
    Mend(Ref, serde_json::Value),
    /// The API server answers no more, or again.
    Outage(bool),
    /// A policy of somebody's refuses what the operator writes, or no more.
    Policy(bool),
    /// The Lease may be taken.
    Lease,
    /// A person does something about campaigns.
    Campaigns,
    /// What lasts is judged.
    Judgement,
    /// What is measured changes.
    Measure,
}

/// All there is.
pub struct World {
    pub(crate) settings: Settings,
    pub(crate) server: Server,
    pub(crate) random: ChaCha8Rng,
    pub(crate) trace: Trace,
    pub(crate) laws: Laws,
    pub(crate) nodes: Nodes,
    /// The data of each instance, by its namespace.
    pub(crate) data: BTreeMap<String, Data>,
    pub(crate) people: People,
    pub(crate) prometheus: Prometheus,
    pub(crate) broken: Option<Broken>,
    /// Do people and faults go on?
    pub(crate) is_lively: bool,
    /// Objects that a controller has yet to look at.
    pub(crate) dirty: BTreeSet<Ref>,
    pub(crate) processes: Vec<Process>,
    pub(crate) lease: Lease,
    pub(crate) is_out: bool,
    lives: u64,
    timers: BTreeMap<(Timestamp, u64), Timer>,
    timers_made: u64,
    depth: u32,
    /// Until when an answer that is waited for comes.
    latest: Option<Timestamp>,
    events: u64,
    /// The process whose write was just carried out.
    pub(crate) asking: Option<Caller>,
}

impl World {
    /// A world in which a fleet is asked for.
    pub fn new(settings: Settings) -> Self {
        let begin = Timestamp::from_second(1_735_689_600).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut world = Self {
            server: Server::new(begin),
            random: ChaCha8Rng::seed_from_u64(settings.seed),
            trace: Trace::default(),
            laws: Laws::default(),
            nodes: Nodes::default(),
            data: BTreeMap::new(),
            people: People::default(),
            prometheus: Prometheus::default(),
            broken: None,
            is_lively: true,
            dirty: BTreeSet::new(),
            processes: (0..PROCESSES).map(|place| Process::new(place, 1, settings.fault)).collect(),
            lease: Lease::new(),
            is_out: false,
            lives: 1,
            timers: BTreeMap::new(),
            timers_made: 0,
            depth: 0,
            latest: None,
            events: 0,
            asking: None,
            settings,
        };
        catalogue::publish(&mut world);
        world.elect();
        world.after(SignedDuration::from_mins(30), Timer::Person);
        world.after(SignedDuration::from_hours(6), Timer::Round);
        world.after(SignedDuration::from_hours(9), Timer::Outage(true));
        if world.settings.habits.refuse {
            world.after(SignedDuration::from_hours(20), Timer::Policy(true));
        }
        if world.settings.habits.campaigns {
            world.after(SignedDuration::from_hours(4), Timer::Campaigns);
            world.after(SignedDuration::from_mins(30), Timer::Judgement);
            world.after(SignedDuration::from_mins(50), Timer::Measure);
        }
        world
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.server.now
    }

    /// How many things happened.
    pub fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.settings.fault
    }

    /// Notes what happens.
    pub(crate) fn say(&mut self, words: impl FnOnce() -> String) {
        self.trace.note(self.events, self.server.now, &words());
    }

    /// Is it one of so many?
    pub(crate) fn one_in(&mut self, many: u32) -> bool {
        self.random.random_ratio(1, many.max(1))
    }

    /// A number from 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.random.random()
    }

    /// A number within those bounds.
    pub(crate) fn between_seconds(&mut self, least: i64, most: i64) -> SignedDuration {
        SignedDuration::from_secs(self.random.random_range(least..=most))
    }

    /// So many letters.
    pub(crate) fn letters(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(self.random.random_range(b'a'..=b'z'))).collect()
    }

    pub(crate) fn any<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        of.choose(&mut self.random).cloned()
    }

    /// Has something happen after a while.
    pub(crate) fn after(&mut self, while_: SignedDuration, timer: Timer) {
        self.timers_made += 1;
        let at = self.now().checked_add(while_).unwrap_or(self.now());
        self.timers.insert((at, self.timers_made), timer);
    }

    /// The process that asks.
    pub(crate) fn process(&mut self, caller: Caller) -> &mut Process {
        &mut self.processes[caller.place]
    }

    pub(crate) fn is_alive(&self, caller: Caller) -> bool {
        self.processes[caller.place].life == caller.life
    }

    /// Asks the API server on behalf of a process. Before the request arrives, anything may happen; it may be lost, or its
    /// answer.
    pub(crate) fn ask<T>(
        &mut self,
        caller: Caller,
        at: &Ref,
        verb: &str,
        what: impl FnOnce(&mut Server) -> Result<T, Refused>,
    ) -> Result<Result<T, Refused>, Died> {
        self.meanwhile(caller)?;
        let is_write = !matches!(verb, "read" | "look at" | "list");
        if is_write {
            self.may_send(caller)?;
        }
        let no_answer =
            || Err(Refused { code: 504, reason: "Timeout", message: "the API server did not answer".to_owned() });
        let is_lost = self.is_lively && self.one_in(300);
        if self.is_out || (is_lost && self.one_in(2)) {
            self.say(|| format!("operator: {verb} {at}: the request is lost"));
            return Ok(no_answer());
        }

        let result = what(&mut self.server);
        self.say(|| match &result {
            Ok(_) => format!("operator: {verb} {at}"),
            Err(refused) => format!("operator: {verb} {at}: {} {}", refused.code, refused.message),
        });
        self.asking = is_write.then_some(caller);
        self.settle();
        self.asking = None;
        if is_lost {
            self.say(|| "operator: the answer is lost".to_owned());
            return Ok(no_answer());
        }
        if self.is_alive(caller) { Ok(result) } else { Err(Died) }
    }

    /// Which database an instance has, on a server that is there already.
    pub(crate) fn database(&self, namespace: &str) -> u32 {
        self.data.get(namespace).map_or(0, |data| data.oid)
    }

    /// The version of an object that is there.
    pub(crate) fn now_at(&self, at: &Ref) -> Option<String> {
        self.server.get(at).map(|stored| stored.version.to_string())
    }

    /// The pods in a namespace, as the API server lists them.
    pub(crate) fn pods(&self, namespace: &str) -> Vec<Pod> {
        let of_deployments = self.nodes.pods.iter().filter(|(_, pod)| &*pod.of.namespace == namespace);
        let pod = |(id, pod): (&u64, &crate::controllers::Pod)| {
            let labels = json!({"app.kubernetes.io/component": pod.of.name});
            let name = format!("{}-{id}", pod.of.name);
            operator::typed(&json!({"metadata": {"name": name, "labels": labels}, "status": {"phase": "Running"}}))
        };
        of_deployments.filter_map(pod).collect()
    }

    /// Asks a database server on behalf of a process.
    pub(crate) fn on_database_server(
        &mut self,
        caller: Caller,
        verb: &str,
        request: &DatabaseRequest,
    ) -> Result<Result<(), Failure>, Died> {
        self.meanwhile(caller)?;
        self.may_send(caller)?;
        if self.is_lively && self.one_in(100) {
            let message = "the database server does not answer".to_owned();
            let reason = Reason::DatabaseUnreachable;
            return Ok(Err(Failure { class: ErrorClass::Unavailable, reason, message }));
        }

        self.say(|| format!("operator: {verb} the database {}", request.name));
        let namespace = request.secret.0.clone();
        match verb {
            "ensure" => {
                let made = u32::try_from(self.events).unwrap_or(u32::MAX).max(1);
                let data = self.data.entry(namespace).or_default();
                data.is_sealed = false;
                if data.oid == 0 {
                    data.oid = made;
                }
            }
            "seal" => {
                if let Some(data) = self.data.get_mut(&namespace) {
                    data.is_sealed = true;
                }
            }
            _ => self.drop_data(&namespace),
        }
        Ok(Ok(()))
    }

    /// A process that may not write ends what it has in hand. What it may send can be on its way for some seconds.
    fn may_send(&mut self, caller: Caller) -> Result<(), Died> {
        if !self.may_write(caller) {
            self.say(|| format!("process {} writes nothing, as it does not hold the Lease", caller.place));
            self.processes[caller.place].is_leading = false;
            return Err(Died);
        }
        if self.is_lively && self.depth == 0 && self.one_in(1000) {
            self.play_until(self.now() + ON_ITS_WAY, 200);
            return if self.is_alive(caller) && self.broken.is_none() { Ok(()) } else { Err(Died) };
        }
        Ok(())
    }

    /// Things happen until a moment, or until so many have.
    pub(crate) fn play_until(&mut self, until: Timestamp, most: u32) {
        let before = self.latest.replace(self.latest.map_or(until, |before| before.min(until)));
        self.depth += 1;
        for _ in 0..most {
            if self.broken.is_none() && self.now() < until {
                self.event();
            }
        }
        self.depth -= 1;
        self.latest = before;
    }

    /// What happens while a process waits for an answer: mostly nothing, at times much.
    fn meanwhile(&mut self, caller: Caller) -> Result<(), Died> {
        if self.is_lively && self.depth == 0 && self.one_in(120) {
            self.freeze(caller);
            return if self.is_alive(caller) && self.broken.is_none() { Ok(()) } else { Err(Died) };
        }
        let (things, seconds) = match self.random.random_range(0..100) {
            0..80 => (0, 0),
            80..98 => (self.random.random_range(1..4), 2),
            // A slow answer, or a process that is not scheduled for a while.
            _ => (self.random.random_range(10..60), 60),
        };
        let latest = self.now() + SignedDuration::from_secs(seconds);
        let before = self.latest.replace(self.latest.map_or(latest, |before| before.min(latest)));
        self.depth += 1;
        for _ in 0..things {
            if self.broken.is_none() && self.is_alive(caller) {
                self.event();
            }
        }
        self.depth -= 1;
        self.latest = before;
        if self.is_alive(caller) && self.broken.is_none() { Ok(()) } else { Err(Died) }
    }

    /// One thing happens. Gives false if nothing will ever happen any more.
    pub fn event(&mut self) -> bool {
        self.events += 1;
        self.server.now += SignedDuration::from_millis(self.random.random_range(1..40));
        if self.is_lively {
            self.mishap();
        }

        let now = self.now();
        let waiting: Vec<(usize, &'static str)> = self.processes.iter().flat_map(Process::waiting).collect();
        let due = if self.depth < 2 { self.due(Some(now)) } else { Vec::new() };
        let has_timer = self.timers.first_key_value().is_some_and(|((at, _), _)| *at <= now);

        let mut can: Vec<u8> = Vec::new();
        can.extend(std::iter::repeat_n(0, if waiting.is_empty() { 0 } else { 5 }));
        can.extend(std::iter::repeat_n(1, if due.is_empty() { 0 } else { 3 }));
        can.extend(std::iter::repeat_n(2, if self.dirty.is_empty() { 0 } else { 4 }));
        can.extend(std::iter::repeat_n(3, if has_timer { 4 } else { 0 }));
        // Time may pass though something could happen now: a watch or a controller that lags.
        if can.is_empty() {
            return self.pass_time(None);
        }
        if self.one_in(60) {
            let most = self.between_seconds(1, 30);
            return self.pass_time(Some(most));
        }
        match self.any(&can) {
            Some(0) => self.tell_process(&waiting),
            Some(1) => {
                if let Some((place, what, _)) = self.any(&due) {
                    self.begin(place, what);
                }
            }
            Some(2) => {
                let dirty: Vec<Ref> = self.dirty.iter().cloned().collect();
                if let Some(at) = self.any(&dirty) {
                    self.dirty.remove(&at);
                    self.control(&at);
                }
            }
            _ => {
                if let Some((_, timer)) = self.timers.pop_first() {
                    self.fire(timer);
                }
            }
        }
        self.settle();
        true
    }

    /// What the processes that act have to do by a moment; `None`: ever.
    fn due(&self, by: Option<Timestamp>) -> Vec<(usize, Work, Timestamp)> {
        let acting =
            self.processes.iter().filter(|process| process.is_leading && !process.is_frozen && process.is_synced());
        let all = acting.flat_map(|process| process.work().map(|(work, at)| (process.place, work, at)));
        all.filter(|(_, _, at)| by.is_none_or(|by| *at <= by)).collect()
    }

    fn begin(&mut self, place: usize, what: Work) {
        let process = &mut self.processes[place];
        let caller = Caller { place, life: process.life };
        match what {
            Work::Instance(who) => {
                process.queue.remove(&who);
                self.say(|| format!("operator: looks at {who}"));
                operator::pass(self, caller, &who);
            }
            Work::Campaigns => operator::campaigns::look(self, caller),
            Work::Gates => operator::gates::ask(self, caller),
        }
    }

    /// Time goes on to when something is due, by so much at most.
    fn pass_time(&mut self, most: Option<SignedDuration>) -> bool {
        let timer = self.timers.first_key_value().map(|((at, _), _)| *at);
        let due = self.due(None).into_iter().map(|(_, _, at)| at).min();
        let at_most = most.map(|most| self.now() + most);
        let bounds = at_most.into_iter().chain(self.latest);
        let Some(next) = timer.into_iter().chain(due).chain(bounds).min() else { return false };
        self.server.now = next.max(self.now());
        true
    }

    fn tell_process(&mut self, waiting: &[(usize, &'static str)]) {
        let Some((place, kind)) = self.any(waiting) else { return };
        let (is_repeated, now) = (self.one_in(50), self.now());
        let Some(inbox) = self.processes[place].inbox.get_mut(kind) else { return };
        let Some(told) = inbox.pop_front() else { return };
        if is_repeated {
            inbox.push_front(told.clone());
        }
        self.say(|| match &told {
            Told::Is(at, stored) => format!("watch: {at} is at {}", stored.version),
            Told::Gone(at, _) => format!("watch: {at} is gone"),
            Told::All(all) => format!("watch: {kind} lists {}", all.len()),
        });
        self.processes[place].learn(kind, &told, now);
    }

    /// Something goes wrong, at times.
    fn mishap(&mut self) {
        if self.one_in(4000) {
            self.somebody_dies();
        }
        if self.one_in(1500) {
            let kinds: Vec<&'static str> = operator::watched().collect();
            let watching: Vec<usize> =
                self.processes.iter().filter(|one| one.is_watching).map(|one| one.place).collect();
            if let (Some(place), Some(kind)) = (self.any(&watching), self.any(&kinds)) {
                self.say(|| format!("the watch of {kind} of process {place} breaks, and lists anew"));
                self.list_anew(place, kind);
            }
        }
    }

    /// A process dies, and begins anew. Its Lease it takes again at once, or another does once it is over.
    fn somebody_dies(&mut self) {
        let places: Vec<usize> = (0..self.processes.len()).collect();
        let Some(place) = self.any(&places) else { return };
        let life = self.next_life();
        self.processes[place] = Process::new(place, life, self.settings.fault);
        self.say(|| format!("process {place} dies, and begins anew"));
        if self.lease.holder == Some(place) {
            self.stop_renewing();
            if self.one_in(2) {
                self.elect();
            }
        }
    }

    /// What has not been a life yet.
    pub(crate) fn next_life(&mut self) -> u64 {
        self.lives += 1;
        self.lives
    }

    /// A watch begins with a list, without what it had yet to tell.
    pub(crate) fn list_anew(&mut self, place: usize, kind: &'static str) {
        let listed = self.server.listed(kind, operator::selector(kind));
        let process = &mut self.processes[place];
        if let Some(inbox) = process.inbox.get_mut(kind) {
            inbox.clear();
            inbox.push_back(listed);
        }
    }

    /// Hands on what changed: to the watches, the controllers and the laws.
    pub(crate) fn settle(&mut self) {
        loop {
            let changes = self.server.changes();
            if changes.is_empty() {
                return;
            }
            for change in &changes {
                self.processes.iter_mut().for_each(|process| process.note(change));
                if is_controlled(change) {
                    self.dirty.insert(change.at.clone());
                }
                self.judge(change);
            }
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Person if self.is_lively => self.somebody_acts(),
            Timer::Follow(at) if self.is_lively => self.somebody_follows(&at),
            Timer::Round => self.somebody_looks_after(),
            Timer::Mend(at, change) => self.somebody_mends(&at, &change),
            Timer::Outage(begins) => {
                self.is_out = begins && self.is_lively;
                self.say(|| format!("the API server {}", if begins { "is out" } else { "is back" }));
                let lasts = if begins { self.between_seconds(1, 400) } else { self.between_seconds(86_400, 1_900_000) };
                if self.is_lively || !begins {
                    self.after(lasts, Timer::Outage(!begins));
                }
                if self.is_out {
                    self.stop_renewing();
                } else {
                    self.elect();
                }
            }
            Timer::Policy(begins) => self.somebody_refuses(begins),
            Timer::Lease => self.elect(),
            Timer::Measure => self.measures_change(),
            Timer::Campaigns if self.is_lively => self.somebody_directs(),
            Timer::Judgement => {
                self.judge_what_lasts();
                self.after(SignedDuration::from_mins(30), Timer::Judgement);
            }
            Timer::Person | Timer::Follow(_) | Timer::Campaigns => {}
            timer => self.carry_on(timer),
        }
    }

    /// Breaks a law, if none is broken yet.
    pub(crate) fn breaks(&mut self, law: Law, what: String) {
        if self.broken.is_none() {
            self.say(|| format!("BROKEN: {law}: {what}"));
            self.broken = Some(Broken { law, what, event: self.events });
        }
    }
}

/// Does a controller look at what changed? What it wrote itself it knows.
fn is_controlled(change: &Change) -> bool {
    matches!(change.at.kind, "Deployment" | "Job" | "Backup" | "Cluster" | "Namespace")
        && change.by != crate::controllers::MANAGER
}
