//! A small API server, and an engine of campaigns before it.

use super::{application, at, establishment, merged, release_object};
use gotocloud_api::{Campaign, CampaignSpec, CampaignStatus};
use gotocloud_planner::{
    campaign::{
        Engine, Standing,
        engine::{Effect, Event, Outcome, Seen, Write},
    },
    simulate,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the API server does with a write.
pub type Answering = fn(&Write) -> Outcome;

/// An API server that takes what names the version it has, and an engine before it.
pub struct Hub {
    pub engine: Engine,
    pub objects: Vec<Value>,
    pub instances: BTreeMap<String, Value>,
    pub campaigns: BTreeMap<String, Campaign>,
    pub now: Timestamp,
    pub answer: Answering,
    /// Are the answers to statuses lost, though they are written?
    pub loses_answers: bool,
    /// All writes, by campaign and instance.
    pub written: Vec<(String, String)>,
}

impl Hub {
    pub fn new(objects: Vec<Value>, campaigns: Vec<Campaign>, now: &str) -> Self {
        let (instances, objects): (Vec<Value>, Vec<Value>) =
            objects.into_iter().partition(|one| one["kind"] == "Instance");
        let name = |one: &Value| one["metadata"]["name"].as_str().unwrap().to_owned();
        Self {
            engine: Engine::default(),
            objects,
            instances: instances.into_iter().map(|one| (name(&one), one)).collect(),
            campaigns: campaigns.into_iter().map(|one| (one.metadata.name.clone().unwrap(), one)).collect(),
            now: at(now),
            answer: |_| Outcome::Accepted,
            loses_answers: false,
            written: Vec::new(),
        }
    }

    pub fn world(&self) -> simulate::World {
        let mut all: Vec<Value> = self.objects.iter().chain(self.instances.values()).cloned().collect();
        all.extend(self.campaigns.values().map(|one| serde_json::to_value(one).unwrap()));
        super::fleet(&all)
    }

    /// Gives the engine what happened, and does what it wants until it wants nothing more.
    pub fn happens(&mut self, event: Event) {
        let mut events = vec![event];
        for _ in 0..50 {
            let effects = self.engine.handle(std::mem::take(&mut events), &self.world(), self.now);
            if effects.is_empty() {
                return;
            }
            // All decisions of one look are made before any is answered.
            events.extend(effects.into_iter().map(|effect| self.perform(effect)));
        }
        panic!("it does not come to rest");
    }

    fn perform(&mut self, effect: Effect) -> Event {
        match effect {
            Effect::Tell { campaign, version, status, .. } => {
                let version = self.tell(&campaign, version, *status).filter(|_| !self.loses_answers);
                Event::Told { campaign, version }
            }
            Effect::Write(write) => {
                self.written.push((write.campaign.clone(), write.name.clone()));
                let outcome = (self.answer)(&write);
                let outcome = if outcome == Outcome::Accepted { self.apply(&write) } else { outcome };
                Event::Answered { id: write.id, outcome }
            }
        }
    }

    /// Writes a status over the version that it was computed from; gives the version that comes of it.
    pub fn tell(&mut self, campaign: &str, version: Option<String>, status: CampaignStatus) -> Option<String> {
        let campaign = self.campaigns.get_mut(campaign)?;
        if version != campaign.metadata.resource_version {
            return None;
        }
        let next = version.map_or(1, |version| version.parse::<u32>().unwrap() + 1);
        campaign.metadata.resource_version = Some(next.to_string());
        campaign.status = Some(status);
        campaign.metadata.resource_version.clone()
    }

    fn apply(&mut self, write: &Write) -> Outcome {
        let Some(instance) = self.instances.get_mut(&write.name) else { return self.make(write) };
        if write.body["metadata"]["resourceVersion"] != instance["metadata"]["resourceVersion"] {
            return Outcome::Conflict;
        }
        let version: u32 = instance["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        instance["metadata"]["resourceVersion"] = json!((version + 1).to_string());
        instance["spec"] = merged(instance["spec"].clone(), &write.body["spec"]);
        Outcome::Accepted
    }

    /// Makes an Instance that is not there, if the write names no version of it.
    fn make(&mut self, write: &Write) -> Outcome {
        if !write.body["metadata"]["resourceVersion"].is_null() {
            return Outcome::Lost;
        }

        let mut made = write.body.clone();
        made["metadata"]["resourceVersion"] = json!("1");
        made["metadata"]["uid"] = json!(format!("uid-{}", write.name));
        self.instances.insert(write.name.clone(), made);
        Outcome::Accepted
    }

    pub fn starts(&mut self) {
        self.happens(Event::Seen(Seen::Everything));
    }

    pub fn passes(&mut self, length: SignedDuration) {
        self.now += length;
        self.happens(Event::Beat);
    }

    /// An Instance changes, or comes, and the watch shows it.
    pub fn shows(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        change(self.instances.entry(name.to_owned()).or_default());
        self.happens(Event::Seen(Seen::Instance("gotocloud".into(), name.into())));
    }

    /// A person edits a campaign's spec.
    pub fn edits(&mut self, name: &str, change: impl FnOnce(&mut CampaignSpec)) {
        let campaign = self.campaigns.get_mut(name).unwrap();
        change(&mut campaign.spec);
        *campaign.metadata.generation.get_or_insert(1) += 1;
        self.happens(Event::Seen(Seen::Campaign(name.into())));
    }

    /// Works out when a campaign will end, as whoever runs the engine does.
    pub fn is_forecast(&mut self, campaign: &str) {
        let world = self.world();
        let (start, measured, generation) = self.engine.start(campaign, &world).unwrap();
        let until = self.now + SignedDuration::from_hours(24 * 365);
        let schedule = Box::new(simulate::simulate(start, &measured, self.now, until));
        self.happens(Event::Forecast { campaign: campaign.to_owned(), generation, schedule });
    }

    pub fn status(&self, campaign: &str) -> &CampaignStatus {
        self.campaigns[campaign].status.as_ref().unwrap()
    }

    pub fn standing(&self, campaign: &str, target: &str) -> Standing {
        self.engine.board(campaign).unwrap().target(target).unwrap().standing.clone()
    }
}

pub fn catalogue() -> Vec<Value> {
    vec![
        application(),
        release_object("app-1", "1.0", &json!({})),
        release_object("app-2", "2.0", &json!({})),
        release_object("app-3", "3.0", &json!({})),
        establishment("e", &json!({})),
    ]
}

pub fn fleet_of(more: Vec<Value>) -> Vec<Value> {
    let mut all = catalogue();
    all.extend(more);
    all
}
