//! A fleet as a simulation knows it: objects read from files or a cluster, which campaigns change one after the other.

use super::{Conduct, Schedule, simulate};
use crate::{
    campaign::{
        Admission, Objects, Standing, View, approvals, bodies,
        standing::{Goal, goal},
        view::running,
    },
    grouping,
    instance::own_labels,
    observation::Directory,
    path::Graph,
};
use gotocloud_api::{
    Application, Approval, Campaign, ChangeFreeze, ChangeFreezeSpec, Deferral, Establishment, Instance, Platform,
    Release, Stage,
    instance::{InstanceStatus, RunningRelease},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The objects of a fleet. Where no watch shows them, it is also what Instances are observed by.
#[derive(Clone, Debug, Default)]
pub struct World {
    applications: BTreeMap<String, Arc<Application>>,
    releases: BTreeMap<String, Arc<Release>>,
    platforms: BTreeMap<String, Arc<Platform>>,
    establishments: BTreeMap<String, Arc<Establishment>>,
    instances: BTreeMap<(String, String), Arc<Instance>>,
    freezes: BTreeMap<String, ChangeFreezeSpec>,
    deferrals: Vec<Arc<Deferral>>,
    campaigns: Vec<Arc<Campaign>>,
    approvals: Vec<Arc<Approval>>,
    /// Until when an Instance is held by a campaign that was played.
    held: HashMap<(String, String), Timestamp>,
}

/// An object cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {name} cannot be read: {source}")]
pub struct Unreadable {
    kind: String,
    name: String,
    source: serde_json::Error,
}

impl World {
    /// Takes an object in. Kinds that no campaign is seen against are left out. An Instance that says nothing of what it
    /// runs is taken for running what it asks for.
    ///
    /// # Errors
    /// [`Unreadable`] where it is none of its kind.
    pub fn add(&mut self, object: Value) -> Result<(), Unreadable> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let unreadable = {
            let (kind, name) = (kind.clone(), name.clone());
            |source| Unreadable { kind, name, source }
        };

        if !text("/apiVersion").starts_with(gotocloud_api::GROUP) {
            return Ok(());
        }

        match kind.as_str() {
            "Application" => {
                let read = serde_json::from_value(object).map_err(unreadable)?;
                self.applications.insert(name, Arc::new(read));
            }
            "Release" => {
                let read = serde_json::from_value(object).map_err(unreadable)?;
                self.releases.insert(name, Arc::new(read));
            }
            "Establishment" => {
                let read = serde_json::from_value(object).map_err(unreadable)?;
                self.establishments.insert(name, Arc::new(read));
            }
            "Instance" => {
                let read: Instance = serde_json::from_value(object).map_err(unreadable)?;
                let namespace = read.metadata.namespace.clone().unwrap_or_default();
                self.instances.insert((namespace, name), Arc::new(read));
            }
            "ChangeFreeze" => {
                let read: ChangeFreeze = serde_json::from_value(object).map_err(unreadable)?;
                self.freezes.insert(name, read.spec);
            }
            "Deferral" => self.deferrals.push(Arc::new(serde_json::from_value(object).map_err(unreadable)?)),
            "Approval" => self.approvals.push(Arc::new(serde_json::from_value(object).map_err(unreadable)?)),
            "Campaign" => {
                let mut read: Campaign = serde_json::from_value(object).map_err(unreadable)?;
                read.metadata.uid.get_or_insert_with(|| name.clone());
                self.campaigns.push(Arc::new(read));
            }
            _ => {}
        }

        Ok(())
    }

    /// Plays all its campaigns, each from its own first day on, and gives their schedules by their names in the order in
    /// which they begin. One that meets an instance which another still holds waits for it.
    pub fn simulate(&mut self, conduct: &dyn Conduct, from: Timestamp, until: Timestamp) -> Vec<(String, Schedule)> {
        let begins = |campaign: &Campaign| {
            let first = campaign.spec.waves.first().and_then(|wave| wave.not_before.as_ref());
            first.map_or(from, |at| at.0.max(from))
        };
        let mut campaigns = self.campaigns.clone();
        campaigns.sort_by_key(|campaign| (begins(campaign), campaign.metadata.name.clone()));
        self.settle();
        let schedules = campaigns.iter().filter_map(|campaign| {
            let schedule = self.play(campaign, conduct, begins(campaign), until)?;
            Some((campaign.metadata.name.clone().unwrap_or_default(), schedule))
        });
        schedules.collect()
    }

    /// Instances of whose state nothing is known are where they should be.
    fn settle(&mut self) {
        let Self { releases, establishments, instances, .. } = self;
        for instance in instances.values_mut() {
            let spec = &instance.spec;
            let Some(asked) = spec.release.clone().filter(|_| running(instance).is_none()) else { continue };
            let groupings = grouping::groupings_of(&spec.establishment, establishments.values().map(AsRef::as_ref));
            let establishment = establishments.get(&spec.establishment);
            let membership =
                establishment.and_then(|one| grouping::membership(one, &spec.application, &groupings).ok());
            let membership = membership.unwrap_or_default();
            let instance = Arc::make_mut(instance);
            instance.metadata.labels.get_or_insert_default().extend(own_labels(&instance.spec, &membership));
            let stage = instance.spec.stage;
            let status = instance.status.get_or_insert_default();
            let version = releases.get(&asked).map(|release| release.spec.version.clone()).unwrap_or_default();
            status.release = Some(RunningRelease { name: asked, version });
            status.stage = status.stage.or(Some(stage));
            status.members = membership.members;
        }
    }

    fn play(
        &mut self,
        campaign: &Campaign,
        conduct: &dyn Conduct,
        from: Timestamp,
        until: Timestamp,
    ) -> Option<Schedule> {
        let goal = goal(&campaign.spec)?;
        let status = campaign.status.as_ref();
        let mut view = View::new(campaign, status, self, None, from)?;
        let mut start = view.start(campaign, status, self);
        let key = |target: &str| (campaign.spec.namespace.clone(), bodies::instance_of(&campaign.spec, target));
        start.held = start
            .board
            .targets()
            .filter_map(|(name, _)| Some((Arc::clone(name), *self.held.get(&key(name))?)))
            .collect();

        let schedule = simulate(start, conduct, from, until);
        for (name, target) in &schedule.targets {
            if target.begins.is_none() && target.phases.is_empty() && target.ends.is_none() {
                continue;
            }
            self.held.insert(key(name), target.ends.unwrap_or(until));
            let is_done = matches!(target.outcome, Standing::Done | Standing::Soaking);
            match &goal {
                Goal::Release(release) if is_done => self.change(&key(name), |status, releases| {
                    let version = releases.get(release).map(|one| one.spec.version.clone()).unwrap_or_default();
                    status.release = Some(RunningRelease { name: release.clone(), version });
                }),
                Goal::Stage(stage) if is_done => self.promote(&key(name), *stage),
                // What fails to come up is there all the same.
                Goal::Existence => self.make(campaign, name, key(name)),
                Goal::Release(_) | Goal::Stage(_) => {}
            }
        }

        Some(schedule)
    }

    fn change(
        &mut self,
        key: &(String, String),
        change: impl FnOnce(&mut InstanceStatus, &BTreeMap<String, Arc<Release>>),
    ) {
        let Some(instance) = self.instances.get_mut(key) else { return };
        change(Arc::make_mut(instance).status.get_or_insert_with(InstanceStatus::default), &self.releases);
    }

    fn promote(&mut self, key: &(String, String), stage: Stage) {
        self.change(key, |status, _| status.stage = Some(stage));
        if let Some(instance) = self.instances.get_mut(key) {
            Arc::make_mut(instance).spec.stage = stage;
        }
    }

    fn make(&mut self, campaign: &Campaign, establishment: &str, key: (String, String)) {
        let Some(of) = self.establishments.get(establishment) else { return };
        let admission = Admission { name: establishment.into(), wave: 0, attempt: 1, back_to: None };
        let made = bodies::made(campaign, &admission, of).and_then(|body| serde_json::from_value(body).ok());
        let Some(mut instance): Option<Instance> = made else { return };
        // It is there, so no campaign holds it any more.
        instance.spec.rollout = None;
        self.instances.insert(key, Arc::new(instance));
        self.settle();
    }
}

impl Objects for World {
    fn application(&self, name: &str) -> Option<Arc<Application>> {
        self.applications.get(name).cloned()
    }

    fn release(&self, name: &str) -> Option<Arc<Release>> {
        self.releases.get(name).cloned()
    }

    fn graph(&self, application: &str) -> Graph {
        Graph::new(self.releases.values().map(AsRef::as_ref).filter(|one| one.spec.application == application))
    }

    fn freezes(&self) -> Vec<(String, ChangeFreezeSpec)> {
        self.freezes.iter().map(|(name, spec)| (name.clone(), spec.clone())).collect()
    }

    fn approvals(&self) -> Vec<Arc<Approval>> {
        self.approvals.clone()
    }

    fn campaigns(&self) -> Vec<Arc<Campaign>> {
        self.campaigns.iter().map(|campaign| approvals::with_approvals(campaign, &self.approvals)).collect()
    }

    fn deferrals(&self) -> Vec<Arc<Deferral>> {
        self.deferrals.clone()
    }

    fn establishments(&self) -> Vec<Arc<Establishment>> {
        self.establishments.values().cloned().collect()
    }

    fn establishment(&self, name: &str) -> Option<Arc<Establishment>> {
        self.establishments.get(name).cloned()
    }

    fn instances(&self) -> Vec<Arc<Instance>> {
        self.instances.values().cloned().collect()
    }

    fn instance(&self, namespace: &str, name: &str) -> Option<Arc<Instance>> {
        self.instances.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    fn running_beside(&self, instance: &Instance) -> BTreeMap<String, String> {
        let is_beside = |other: &&Arc<Instance>| {
            other.spec.establishment == instance.spec.establishment
                && other.spec.environment == instance.spec.environment
                && other.metadata.name != instance.metadata.name
        };
        let version = |other: &Arc<Instance>| {
            let version = other.status.as_ref()?.release.as_ref()?.version.clone();
            Some((other.spec.application.clone(), version))
        };
        self.instances.values().filter(is_beside).filter_map(version).collect()
    }
}

impl Directory for World {
    fn objects(&self) -> &dyn Objects {
        self
    }

    fn platform(&self, name: &str) -> Option<Arc<Platform>> {
        self.platforms.get(name).cloned()
    }

    fn of_establishment(&self, name: &str) -> Vec<Arc<Instance>> {
        self.instances.values().filter(|one| one.spec.establishment == name).cloned().collect()
    }
}

impl Extend<Application> for World {
    fn extend<All: IntoIterator<Item = Application>>(&mut self, all: All) {
        self.applications.extend(all.into_iter().map(|one| (name(&one.metadata), Arc::new(one))));
    }
}

impl Extend<Release> for World {
    fn extend<All: IntoIterator<Item = Release>>(&mut self, all: All) {
        self.releases.extend(all.into_iter().map(|one| (name(&one.metadata), Arc::new(one))));
    }
}

impl Extend<Platform> for World {
    fn extend<All: IntoIterator<Item = Platform>>(&mut self, all: All) {
        self.platforms.extend(all.into_iter().map(|one| (name(&one.metadata), Arc::new(one))));
    }
}

impl Extend<Establishment> for World {
    fn extend<All: IntoIterator<Item = Establishment>>(&mut self, all: All) {
        self.establishments.extend(all.into_iter().map(|one| (name(&one.metadata), Arc::new(one))));
    }
}

impl Extend<Instance> for World {
    fn extend<All: IntoIterator<Item = Instance>>(&mut self, all: All) {
        let key = |one: &Instance| (one.metadata.namespace.clone().unwrap_or_default(), name(&one.metadata));
        self.instances.extend(all.into_iter().map(|one| (key(&one), Arc::new(one))));
    }
}

fn name(metadata: &ObjectMeta) -> String {
    metadata.name.clone().unwrap_or_default()
}
