//! What is stored of one instance, and what people and controllers do to it.

use crate::{
    fixtures,
    pass::{How, Passed, Process},
    print::print_of,
};
use gotocloud_api::{Application, Establishment, Instance, Platform, Release, Stage, names};
use gotocloud_planner::{Kind, ObjectKey, health::Health, snapshot::OperatorIdentity};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stateright::{Model, Property};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex},
};

pub const OWNED: &str = "the Job that moves the data is not removed while it does";
pub const ONCE: &str = "no Job begins twice";
pub const HALF: &str = "nothing begins on data that is half moved before a person says so";
pub const SUITS: &str = "no pod that the operator asks for is there on data that does not suit it";
/// Not a law, but what shows that the rest is not said of nothing.
pub const ARRIVES: &str = "it arrives";

/// A mistake that somebody could make: the checker has to find it by the law that is there for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// While the data is written to, the Job is removed, as it is not rendered.
    RemovesTheJobOfWhatIsWrittenTo,
    /// That the Job was seen is not recorded.
    ForgetsThatTheJobWasSeen,
    /// No Job is ever seen.
    SeesNoJobs,
    /// What broke off is gone on with, as if a person had said so.
    GoesOnUnasked,
    /// What nobody answered is taken for refused.
    TakesTheUnansweredForRefused,
}

/// What a person does, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Scales the Deployment by hand.
    Scale(u64),
    /// Edits the environment of the Instance.
    Env,
    /// Brings the Instance to another stage.
    Stage,
    /// Sets its release back to the one before.
    SetBack,
    /// Edits the migration of the Release that it goes to.
    MigrationOfRelease,
    /// Deletes the Release that it goes to.
    DeleteRelease,
    /// Deletes the Job.
    DeleteJob,
    /// Has the migration that broke off run again on the data as it is.
    GoOn,
    /// Restores the data, and says so.
    Restored,
}

/// How often each may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Left {
    /// A Job fails.
    pub failures: u8,
    /// The pods, and a Job that is not made, have had their time.
    pub waits: u8,
    /// An answer is lost.
    pub losses: u8,
    /// A process dies, and another one starts.
    pub deaths: u8,
}

/// What is explored.
pub struct World {
    pub name: &'static str,
    pub edits: Vec<Edit>,
    pub left: Left,
    /// Do watches lag? If not, all is shown at once.
    pub lags: bool,
    pub fault: Option<Fault>,
    pub application: Application,
    pub establishment: Establishment,
    pub platform: Platform,
    pub served: BTreeSet<Kind>,
    pub operator: OperatorIdentity,
    /// The release before, the one after, and the one after as somebody edited it.
    pub ladder: [Release; 3],
    /// The passes that were worked out already.
    pub known: Mutex<HashMap<u64, Option<Arc<Passed>>>>,
}

/// An Instance with a number that tells it apart.
#[derive(Clone)]
pub struct Stored {
    pub instance: Arc<Instance>,
    print: u64,
}

/// How far an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// Its controller has still to see to it.
    Waits,
    /// Its pod is there.
    Works,
    Well,
    Failed,
}

/// An object as it is stored.
#[derive(Clone)]
pub struct Thing {
    pub manifest: Arc<Value>,
    pub print: u64,
    /// How many pods a person wants of it.
    pub by_hand: Option<u64>,
    pub life: Life,
}

pub type Things = BTreeMap<ObjectKey, Thing>;

/// The pods of the Deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pods {
    /// Of which release they are, where they are there: the number of it.
    of: Option<u8>,
    is_by_hand: bool,
    /// Are there some that were told to end?
    ending: bool,
}

/// The data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Data {
    is_moved: bool,
    is_half: bool,
    /// Did a person say that a migration may begin on it as it is?
    is_released: bool,
    /// The Jobs that ever began.
    begun: BTreeSet<Box<str>>,
}

/// A state of the world, and of the operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub instance: Stored,
    pub things: Arc<Things>,
    pub process: Process,
    pub pods: Pods,
    pub data: Data,
    /// Which of the releases the name of the one after stands for; `None` if it was deleted.
    pub after: Option<usize>,
    pub now: Timestamp,
    /// Which edits people may still make, a bit each.
    edits: u32,
    pub left: Left,
    /// The law that the last event broke.
    pub broken: Option<&'static str>,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A process looks at the Instance, and does what is to be done.
    Pass(How),
    /// Its watches show all.
    Show,
    /// The controller sees to the Deployment.
    Control,
    /// Pods that were told to end have ended.
    End,
    /// The pod of the Job begins.
    Begin,
    /// It ends, well or not.
    Ends { well: bool },
    /// The pods, and a Job that is not made, have had their time.
    Wait,
    /// A person does that.
    Edit(usize),
}

impl World {
    pub fn new(name: &'static str, edits: Vec<Edit>) -> Self {
        Self {
            name,
            edits,
            left: Left::default(),
            lags: false,
            fault: None,
            application: fixtures::application("app"),
            establishment: fixtures::establishment("etab"),
            platform: platform(),
            served: fixtures::everything_served(),
            operator: fixtures::operator(),
            ladder: [release(1, ""), release(2, "/migrate"), release(2, "/migrate-otherwise")],
            known: Mutex::default(),
        }
    }

    pub fn left(self, left: Left) -> Self {
        Self { left, ..self }
    }

    pub fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The releases that there are.
    pub fn releases(&self, state: &State) -> Vec<&Release> {
        [Some(0), state.after].into_iter().flatten().map(|at| &self.ladder[at]).collect()
    }

    /// The instance runs, and is asked to go to the release after.
    fn initial(&self) -> State {
        let mut instance = fixtures::instance("app-a");
        instance.metadata.uid = Some("uid".into());
        let mut state = State {
            instance: Stored::new(instance),
            things: Arc::default(),
            process: Process::default(),
            pods: Pods::default(),
            data: Data::default(),
            after: Some(1),
            now: "2026-03-01T12:00:00Z".parse().unwrap(),
            edits: (1 << self.edits.len()) - 1,
            left: self.left,
            broken: None,
        };
        for _ in 0..8 {
            state.passes(self, How::Whole);
            state.controls();
            state.shows();
        }
        assert!(state.instance.status().release.is_some(), "it does not run: {:#?}", state.instance.status());
        state.instance = state.instance.edited(|instance| instance.spec.release = Some("app-2".into()));
        state
    }
}

/// A platform whose databases the operator saves by itself.
fn platform() -> Platform {
    let database = fixtures::full_platform().spec.database;
    let mut platform = fixtures::plain_platform();
    platform.spec.database = database;
    platform
}

/// A release of one component, which a migration that cannot be undone leads to.
fn release(number: u8, command: &str) -> Release {
    let mut release = fixtures::release(&format!("app-{number}"), &format!("{number}.0"));
    release.spec.components.truncate(1);
    release.spec.components[0].talks_to.clear();
    release.spec.components[0].expose = None;
    release.spec.components[0].env.retain(|env| env.name != "URL");
    if !command.is_empty() {
        let migration = json!({
            "image": format!("registry.example.fr/migrate@sha256:{}", "ab".repeat(32)), "command": [command],
            "reversible": false, "env": [{"name": "DATABASE_URL", "fromDatabase": "Uri"}],
        });
        release.spec.migration = Some(serde_json::from_value(migration).unwrap());
        release.spec.reachable_from = vec!["1.0".into()];
    }
    release
}

impl State {
    /// The Job of the way, and its name; `None` if there is none.
    fn job(&self) -> Option<(&ObjectKey, &Thing)> {
        self.things.iter().find(|(key, _)| key.kind == Kind::Job)
    }

    fn deployment(&self) -> Option<(&ObjectKey, &Thing)> {
        self.things.iter().find(|(key, _)| key.kind == Kind::Deployment)
    }

    fn put(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Thing)) {
        if let Some(thing) = Arc::make_mut(&mut self.things).get_mut(key) {
            change(thing);
        }
    }

    pub fn shows(&mut self) {
        self.process.seen = Arc::clone(&self.things);
    }

    /// Are there pods that can write to the data?
    pub fn writers(&self) -> Vec<String> {
        let is_there = self.pods.of.is_some() || self.pods.ending;
        if is_there { vec!["web-1".into()] } else { Vec::new() }
    }

    /// The controller sees to the Deployment.
    fn controls(&mut self) {
        let Some((key, thing)) = self.deployment().map(|(key, thing)| (key.clone(), thing.clone())) else { return };
        let wanted = thing.by_hand.or_else(|| thing.manifest["spec"]["replicas"].as_u64()).unwrap_or(1);
        let version = &thing.manifest["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"];
        let of = if version == "1.0" { 1 } else { 2 };

        self.pods.ending |= self.pods.of.is_some_and(|before| wanted == 0 || before != of);
        self.pods.of = (wanted > 0).then_some(of);
        self.pods.is_by_hand = wanted > 0 && thing.by_hand.is_some();
        self.put(&key, |thing| thing.life = Life::Well);
        self.judge_pods();
    }

    fn judge_pods(&mut self) {
        let Some(of) = self.pods.of.filter(|_| !self.pods.is_by_hand) else { return };
        if self.data.is_half || self.data.is_moved != (of == 2) {
            self.broken = Some(SUITS);
        }
    }

    /// The pod of the Job begins.
    fn begins(&mut self) {
        let Some(key) = self.job().map(|(key, _)| key.clone()) else { return };
        if !self.data.begun.insert(key.name.clone()) {
            self.broken = Some(ONCE);
        } else if self.data.is_half && !self.data.is_released {
            self.broken = Some(HALF);
        }
        (self.data.is_half, self.data.is_released) = (true, false);
        self.put(&key, |thing| thing.life = Life::Works);
        self.judge_pods();
    }

    fn ends(&mut self, well: bool) {
        let Some(key) = self.job().map(|(key, _)| key.clone()) else { return };
        if well {
            (self.data.is_half, self.data.is_moved) = (false, true);
        }
        self.put(&key, |thing| thing.life = if well { Life::Well } else { Life::Failed });
    }

    /// A person does something; gives whether that changes anything.
    fn is_edited(&mut self, edit: Edit) -> bool {
        let before = self.clone();
        let job = self.instance.status().upgrade.as_ref().and_then(|record| record.migration.clone());
        match edit {
            Edit::Scale(pods) => {
                let Some(key) = self.deployment().map(|(key, _)| key.clone()) else { return false };
                self.put(&key, |thing| (thing.by_hand, thing.life) = (Some(pods), Life::Waits));
            }
            Edit::Env => {
                let env = serde_json::from_value(json!([{"name": "WORD", "value": "other"}])).unwrap();
                self.instance = self.instance.edited(|instance| instance.spec.env = env);
            }
            Edit::Stage => self.instance = self.instance.edited(|one| one.spec.stage = Stage::PartialProduction),
            Edit::SetBack => self.instance = self.instance.edited(|one| one.spec.release = Some("app-1".into())),
            Edit::MigrationOfRelease => self.after = self.after.map(|_| 2),
            Edit::DeleteRelease => self.after = None,
            Edit::DeleteJob => {
                let Some(key) = self.job().map(|(key, _)| key.clone()) else { return false };
                Arc::make_mut(&mut self.things).remove(&key);
            }
            Edit::GoOn | Edit::Restored => {
                // Who settles it knows that nothing moves the data any more.
                let is_at_it = self.job().is_some_and(|(_, thing)| matches!(thing.life, Life::Waits | Life::Works));
                let Some(job) = job.filter(|_| self.data.is_half && !is_at_it) else { return false };
                let annotation =
                    if edit == Edit::GoOn { names::ANNOTATION_GO_ON_WITH } else { names::ANNOTATION_RESTORED };
                self.data.is_half = edit == Edit::GoOn;
                self.data.is_released = edit == Edit::GoOn;
                // A person takes longer than a second, which tells one try from the next.
                self.now += SignedDuration::from_secs(1);
                self.instance = self.instance.changed(|instance| {
                    instance.metadata.annotations.get_or_insert_default().insert(annotation.to_owned(), job);
                });
            }
        }
        *self != before
    }
}

impl Model for World {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial()]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        if state.broken.is_some() {
            return;
        }
        events.push(Event::Pass(How::Whole));
        if state.left.losses > 0 {
            events.push(Event::Pass(How::LosesTheJobsAnswer));
        }
        if state.left.deaths > 0 {
            events.extend([How::DiesAfterTheJob, How::DiesBeforeItTells].map(Event::Pass));
        }
        let is_shown_all = state.process.seen == state.things;
        if !is_shown_all {
            events.push(Event::Show);
        }
        events.push(Event::Control);
        if state.pods.ending {
            events.push(Event::End);
        }
        match state.job().map(|(_, thing)| thing.life) {
            Some(Life::Waits) => events.push(Event::Begin),
            Some(Life::Works) => {
                events.push(Event::Ends { well: true });
                if state.left.failures > 0 {
                    events.push(Event::Ends { well: false });
                }
            }
            Some(Life::Well | Life::Failed) | None => {}
        }
        // A deadline is longer than a watch lags.
        if state.left.waits > 0 && is_shown_all {
            events.push(Event::Wait);
        }
        let edits = (0..self.edits.len()).filter(|edit| state.edits & (1 << edit) != 0);
        events.extend(edits.map(Event::Edit));
    }

    fn next_state(&self, before: &State, event: Event) -> Option<State> {
        let mut state = before.clone();
        match event {
            Event::Pass(how) => {
                if !state.passes(self, how) {
                    return None;
                }
                match how {
                    How::Whole => {}
                    How::LosesTheJobsAnswer => {
                        state.left.losses -= 1;
                        // What failed is tried again after a while, which is longer than a watch lags.
                        state.shows();
                    }
                    How::DiesAfterTheJob | How::DiesBeforeItTells => state.left.deaths -= 1,
                }
            }
            Event::Show => state.shows(),
            Event::Control => state.controls(),
            Event::End => state.pods.ending = false,
            Event::Begin => state.begins(),
            Event::Ends { well } => {
                state.left.failures -= u8::from(!well);
                state.ends(well);
            }
            Event::Wait => {
                state.left.waits -= 1;
                state.now += SignedDuration::from_mins(20);
            }
            Event::Edit(edit) => {
                state.edits &= !(1 << edit);
                if !state.is_edited(self.edits[edit]) {
                    return None;
                }
            }
        }
        if !self.lags {
            state.shows();
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(OWNED, |_: &Self, state: &State| state.broken != Some(OWNED)),
            Property::always(ONCE, |_: &Self, state: &State| state.broken != Some(ONCE)),
            Property::always(HALF, |_: &Self, state: &State| state.broken != Some(HALF)),
            Property::always(SUITS, |_: &Self, state: &State| state.broken != Some(SUITS)),
            Property::sometimes(ARRIVES, |_: &Self, state: &State| {
                let runs = state.instance.status().release.as_ref().map(|release| &*release.name);
                runs == Some("app-2") && state.pods.of == Some(2)
            }),
        ]
    }
}

impl Stored {
    pub fn new(instance: Instance) -> Self {
        let print = print_of(&serde_json::to_vec(&instance).unwrap());
        Self { instance: Arc::new(instance), print }
    }

    pub fn changed(&self, change: impl FnOnce(&mut Instance)) -> Self {
        let mut instance = Instance::clone(&self.instance);
        change(&mut instance);
        Self::new(instance)
    }

    /// The Instance after an edit of its spec, which is another generation of it.
    fn edited(&self, edit: impl FnOnce(&mut Instance)) -> Self {
        let edited = self.changed(edit);
        if edited == *self {
            return edited;
        }
        edited.changed(|instance| *instance.metadata.generation.get_or_insert(1) += 1)
    }

    fn status(&self) -> &gotocloud_api::InstanceStatus {
        self.instance.status.as_ref().unwrap()
    }
}

impl Thing {
    pub fn new(manifest: Value, life: Life) -> Self {
        let print = print_of(&manifest.to_string());
        Self { manifest: Arc::new(manifest), print, by_hand: None, life }
    }

    /// The fields that the operator owns, as a hash tells them.
    pub fn fields(&self) -> String {
        let taken = if self.by_hand.is_some() { "-taken" } else { "" };
        format!("{:x}{taken}", self.print)
    }

    pub fn health(&self, kind: Kind) -> Health {
        match self.life {
            _ if !kind.has_health() => Health::Unjudged,
            Life::Waits | Life::Works => Health::Progressing("it is at it".into()),
            Life::Well => Health::Ready,
            Life::Failed => Health::Failed("it ended with 3".into()),
        }
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl Eq for Stored {}

impl Hash for Stored {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.instance.fmt(f)
    }
}

impl PartialEq for Thing {
    fn eq(&self, other: &Self) -> bool {
        (self.print, self.by_hand, self.life) == (other.print, other.by_hand, other.life)
    }
}

impl Eq for Thing {}

impl Hash for Thing {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.print, self.by_hand, self.life).hash(state);
    }
}

impl fmt::Debug for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.manifest["metadata"]["name"], self.life, self.by_hand)
    }
}
