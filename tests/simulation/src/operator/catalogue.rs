//! What people ask for, as a process has seen it: the operator's own kinds. And what a change of one concerns.

use super::{Process, children::InstanceRef, metadata, typed, version};
use crate::{
    api::{Ref, Stored},
    fault::Fault,
};
use gotocloud_api::{
    Application, Approval, Campaign, ChangeFreeze, ChangeFreezeSpec, Deferral, Establishment, Instance, Platform,
    Release, campaign::CampaignState, upgrade::UpgradePhase,
};
use gotocloud_planner::{
    campaign::{
        FIELD_MANAGER, Objects,
        approvals::with_approvals,
        engine::{Event, Seen},
        ownership,
    },
    inputs,
    path::Graph,
};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, sync::Arc};

/// The operator's own kinds that a process watches.
pub const OWN: [&str; 9] = [
    "Instance",
    "Application",
    "Release",
    "Establishment",
    "Platform",
    "Campaign",
    "ChangeFreeze",
    "Deferral",
    "Approval",
];

/// The operator's own kinds, as a process has seen them.
#[derive(Default)]
pub struct Catalogue {
    pub instances: BTreeMap<InstanceRef, Arc<Instance>>,
    pub applications: BTreeMap<String, Arc<Application>>,
    pub releases: BTreeMap<String, Arc<Release>>,
    pub establishments: BTreeMap<String, Arc<Establishment>>,
    pub platforms: BTreeMap<String, Arc<Platform>>,
    campaigns: BTreeMap<String, Arc<Campaign>>,
    freezes: BTreeMap<String, ChangeFreezeSpec>,
    deferrals: BTreeMap<(String, String), Arc<Deferral>>,
    approvals: BTreeMap<String, Arc<Approval>>,
}

impl Catalogue {
    /// Takes up an object of the catalogue as it is; `None` takes it out. Instances are apart.
    pub fn put(&mut self, at: &Ref, stored: Option<&Stored>) {
        let name = &*at.name;
        match at.kind {
            "Application" => put(&mut self.applications, name, stored),
            "Release" => put(&mut self.releases, name, stored),
            "Establishment" => put(&mut self.establishments, name, stored),
            "Platform" => put(&mut self.platforms, name, stored),
            "Campaign" => put(&mut self.campaigns, name, stored),
            "Approval" => put(&mut self.approvals, name, stored),
            "Deferral" => {
                let place = (at.namespace.to_string(), name.to_owned());
                match stored.and_then(|stored| typed(&stored.object)) {
                    Some(deferral) => drop(self.deferrals.insert(place, Arc::new(deferral))),
                    None => drop(self.deferrals.remove(&place)),
                }
            }
            "ChangeFreeze" => match stored.and_then(|stored| typed::<ChangeFreeze>(&stored.object)) {
                Some(freeze) => drop(self.freezes.insert(name.to_owned(), freeze.spec)),
                None => drop(self.freezes.remove(name)),
            },
            _ => {}
        }
    }

    /// A campaign as it was written, without words that were given apart.
    pub fn campaign(&self, name: &str) -> Option<&Arc<Campaign>> {
        self.campaigns.get(name)
    }

    /// The Instances that a change of an object concerns.
    pub fn concerned(&self, at: &Ref) -> Vec<InstanceRef> {
        let name = &*at.name;
        let upgrade = |one: &Instance| one.status.as_ref().and_then(|status| status.upgrade.clone());
        let concerns = |one: &Instance| match at.kind {
            "Application" => one.spec.application == name,
            "Release" => inputs::release_name(one) == Some(name),
            // Those that are on their way by it: its terms are theirs.
            "Campaign" => upgrade(one).is_some_and(|record| {
                !record.phase.is_terminal() && record.rollout.is_some_and(|by| by.campaign == name)
            }),
            // Those that a freeze may hold up.
            "ChangeFreeze" | "Deferral" => upgrade(one).is_some_and(|record| record.phase == UpgradePhase::Preflight),
            "Approval" => false,
            _ => true,
        };
        self.instances.iter().filter(|(_, one)| concerns(one)).map(|(who, _)| who.clone()).collect()
    }

    fn running_beside(&self, instance: &Instance) -> BTreeMap<String, String> {
        let name = &instance.metadata.name;
        let beside = self.instances.values().filter(|other| {
            other.metadata.name != *name
                && other.spec.establishment == instance.spec.establishment
                && other.spec.environment == instance.spec.environment
        });
        let runs = |other: &Arc<Instance>| {
            let version = other.status.as_ref()?.release.as_ref()?.version.clone();
            Some((other.spec.application.clone(), version))
        };
        beside.filter_map(runs).collect()
    }
}

fn put<K: DeserializeOwned>(into: &mut BTreeMap<String, Arc<K>>, name: &str, stored: Option<&Stored>) {
    match stored.and_then(|stored| typed(&stored.object)) {
        Some(object) => drop(into.insert(name.to_owned(), Arc::new(object))),
        None => drop(into.remove(name)),
    }
}

/// An Instance with what decides of who owns its fields.
pub fn instance_of(stored: &Stored) -> Option<Instance> {
    let mut instance: Instance = typed(&stored.object)?;
    instance.metadata = metadata(stored);
    if let Some(entries) = &mut instance.metadata.managed_fields {
        ownership::keep_what_decides(entries);
    }
    Some(instance)
}

/// What a change of an object is to campaigns; `None` if it is nothing to them.
pub fn event(at: &Ref) -> Option<Event> {
    let name = || at.name.to_string();
    let seen = match at.kind {
        "Instance" => Seen::Instance(at.namespace.to_string(), name()),
        "Application" => Seen::Application(name()),
        "Release" => Seen::Release(name()),
        "Establishment" => Seen::Establishment,
        "Campaign" | "Approval" => Seen::Campaign(name()),
        "ChangeFreeze" | "Deferral" => Seen::Calendar,
        _ => return None,
    };
    Some(Event::Seen(seen))
}

/// What campaigns know: the catalogue, with what was written and the watch does not show yet.
pub struct Known<'p> {
    process: &'p Process,
    fault: Option<Fault>,
}

impl<'p> Known<'p> {
    /// What a process knows.
    pub fn of(process: &'p Process) -> Self {
        Self { process, fault: None }
    }

    /// What a process takes for known, given a mistake of it.
    pub fn mistaken(process: &'p Process, fault: Option<Fault>) -> Self {
        Self { process, fault }
    }
}

impl Known<'_> {
    fn latest(&self, who: &InstanceRef, watched: &Arc<Instance>) -> Arc<Instance> {
        let written = self.process.memory.get(who).and_then(|one| one.written.as_ref());
        let is_newer = |written: &&Arc<Instance>| {
            written.metadata.uid == watched.metadata.uid && version(written) > version(watched)
        };
        let latest = Arc::clone(written.filter(is_newer).unwrap_or(watched));
        match self.fault {
            Some(Fault::TakesPinned) => {
                let mut instance = Instance::clone(&latest);
                if let Some(entries) = &mut instance.metadata.managed_fields {
                    entries.retain(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
                }
                Arc::new(instance)
            }
            Some(Fault::SeesNoClaims) => {
                let mut instance = Instance::clone(&latest);
                instance.spec.rollout = None;
                Arc::new(instance)
            }
            _ => latest,
        }
    }
}

impl Objects for Known<'_> {
    fn application(&self, name: &str) -> Option<Arc<Application>> {
        self.process.catalogue.applications.get(name).cloned()
    }

    fn release(&self, name: &str) -> Option<Arc<Release>> {
        self.process.catalogue.releases.get(name).cloned()
    }

    fn graph(&self, application: &str) -> Graph {
        let of_application = self.process.catalogue.releases.values().filter(|one| one.spec.application == application);
        Graph::new(of_application.map(Arc::as_ref))
    }

    fn freezes(&self) -> Vec<(String, ChangeFreezeSpec)> {
        self.process.catalogue.freezes.iter().map(|(name, spec)| (name.clone(), spec.clone())).collect()
    }

    fn approvals(&self) -> Vec<Arc<Approval>> {
        self.process.catalogue.approvals.values().cloned().collect()
    }

    fn campaigns(&self) -> Vec<Arc<Campaign>> {
        let approvals = self.approvals();
        let all = self.process.catalogue.campaigns.values().map(|one| with_approvals(one, &approvals));
        let seen = |one: Arc<Campaign>| {
            let mut campaign = Campaign::clone(&one);
            match self.fault {
                Some(Fault::SeesNoPause) => campaign.spec.state = CampaignState::Running,
                Some(Fault::SeesNoDay) => campaign.spec.finish_by = None,
                _ => return one,
            }
            Arc::new(campaign)
        };
        all.map(seen).collect()
    }

    fn deferrals(&self) -> Vec<Arc<Deferral>> {
        self.process.catalogue.deferrals.values().cloned().collect()
    }

    fn establishments(&self) -> Vec<Arc<Establishment>> {
        self.process.catalogue.establishments.values().cloned().collect()
    }

    fn establishment(&self, name: &str) -> Option<Arc<Establishment>> {
        let found = self.process.catalogue.establishments.get(name).cloned()?;
        if self.fault != Some(Fault::SeesNoWindows) {
            return Some(found);
        }
        let mut establishment = Establishment::clone(&found);
        establishment.spec.windows.clear();
        Some(Arc::new(establishment))
    }

    fn instances(&self) -> Vec<Arc<Instance>> {
        self.process.catalogue.instances.iter().map(|(who, one)| self.latest(who, one)).collect()
    }

    fn instance(&self, namespace: &str, name: &str) -> Option<Arc<Instance>> {
        let who = InstanceRef::new(namespace, name);
        Some(self.latest(&who, self.process.catalogue.instances.get(&who)?))
    }

    fn running_beside(&self, instance: &Instance) -> BTreeMap<String, String> {
        self.process.catalogue.running_beside(instance)
    }
}
