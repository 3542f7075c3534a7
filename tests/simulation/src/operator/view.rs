//! What a decision about an Instance is made from, as it was when it began.

use super::{
    Known, Process,
    children::{InstanceRef, NamespaceRecord},
};
use gotocloud_api::{Application, Establishment, Instance, Platform, Release, names};
use gotocloud_planner::{
    Kind, Snapshot,
    campaign::preflight,
    database::Assured,
    grouping::groupings_of,
    inputs::{self, counts_before},
    instance::namespace_holder,
    path::Graph,
    rehearsal,
    snapshot::{NamespaceHolder, OperatorIdentity, Pinned, Way},
    upgrade::{self, Gates, Terms},
};
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

/// What a snapshot borrows from.
pub struct View {
    pub instance: Arc<Instance>,
    who: InstanceRef,
    application: Option<Arc<Application>>,
    release: Option<Arc<Release>>,
    establishment: Option<Arc<Establishment>>,
    pub platform: Option<Arc<Platform>>,
    groupings: Vec<Arc<Establishment>>,
    neighbours: Vec<(Arc<Instance>, Option<Arc<Application>>)>,
    platform_load: u32,
    served: BTreeSet<Kind>,
    operator: OperatorIdentity,
    releases: Graph,
    ahead: Vec<(String, Option<Arc<Release>>)>,
    rehearsed: Option<Arc<Release>>,
    pub terms: Terms,
    /// The pods that can write to its data, if somebody looked.
    pub writers: Option<Vec<String>>,
}

impl View {
    /// Gathers what a process knows of an Instance.
    pub fn of(process: &Process, who: &InstanceRef, instance: Arc<Instance>, now: Timestamp) -> Self {
        let catalogue = &process.catalogue;
        let spec = &instance.spec;
        let release = |name: &str| catalogue.releases.get(name).cloned();
        let establishment = catalogue.establishments.get(&spec.establishment).cloned();
        let platform_name = inputs::platform_name(&instance, establishment.as_deref());
        let platform = platform_name.and_then(|name| catalogue.platforms.get(name)).cloned();

        let all = || catalogue.establishments.values();
        let listing = groupings_of(&spec.establishment, all().map(Arc::as_ref));
        let is_listing = |one: &&Arc<Establishment>| listing.iter().any(|other| std::ptr::eq(*other, one.as_ref()));
        let of_groups = listing.iter().filter_map(|one| one.metadata.name.clone()).collect();
        let groupings = all().filter(is_listing).cloned().collect();

        let others = || catalogue.instances.iter().filter(|(other, _)| *other != who).map(|(_, other)| other);
        let neighbours = others().filter(|other| other.spec.establishment == spec.establishment);
        let neighbours =
            neighbours.map(|other| (Arc::clone(other), catalogue.applications.get(&other.spec.application).cloned()));
        let counts = |other: &&Arc<Instance>| {
            let establishment = catalogue.establishments.get(&other.spec.establishment);
            let platform = inputs::platform_name(other, establishment.map(Arc::as_ref));
            counts_before(other, platform, &instance, platform_name.unwrap_or_default())
        };

        let of_application = catalogue.releases.values().filter(|one| one.spec.application == spec.application);
        let releases = Graph::new(of_application.map(Arc::as_ref));
        let rehearsed = rehearsal::target_of(&instance).or(spec.rehearse.as_deref()).and_then(release);
        let ahead = upgrade::ahead(&instance, &releases);
        let ahead = ahead.into_iter().map(|name| (name.clone(), release(&name))).collect();
        Self {
            application: catalogue.applications.get(&spec.application).cloned(),
            release: inputs::release_name(&instance).and_then(release),
            platform_load: u32::try_from(others().filter(counts).count()).unwrap_or(u32::MAX),
            neighbours: neighbours.collect(),
            served: served(),
            operator: identity(),
            terms: preflight::terms(&instance, establishment.as_deref(), &of_groups, &Known::of(process), now),
            who: who.clone(),
            establishment,
            platform,
            groupings,
            releases,
            ahead,
            rehearsed,
            writers: None,
            instance,
        }
    }

    /// Does the present phase of its way ask that nobody writes to the data?
    pub fn asks_for_quiet(&self) -> bool {
        let record = upgrade::record(&self.instance, &self.releases, None);
        record.is_some_and(|record| upgrade::wants(&record).asks_for_quiet())
    }

    /// All of it, with what the process sees of the Instance's objects now.
    pub fn snapshot<'a>(
        &'a self,
        process: &Process,
        pinned: Option<Pinned>,
        assured: Option<&'a Assured>,
    ) -> Snapshot<'a> {
        let recorded = |key: &gotocloud_planner::ObjectKey| key.recorded_in(&self.instance).map(str::to_owned);
        let children = process.children.of(&self.who, recorded);
        Snapshot {
            instance: &self.instance,
            application: self.application.as_deref(),
            release: self.release.as_deref(),
            establishment: self.establishment.as_deref(),
            platform: self.platform.as_deref(),
            groupings: self.groupings.iter().map(Arc::as_ref).collect(),
            neighbours: self.neighbours.iter().map(|(one, of)| (one.as_ref(), of.as_deref())).collect(),
            platform_load: self.platform_load,
            namespace: self.holder(process),
            children,
            served: &self.served,
            writers: self.writers.clone(),
            pinned,
            database_assured: assured,
            operator: &self.operator,
            way: Way {
                releases: &self.releases,
                ahead: self.ahead.iter().map(|(name, release)| (name.clone(), release.as_deref())).collect(),
                rehearsed: self.rehearsed.as_deref(),
                terms: self.terms.clone(),
                gates: Gates::True,
                migration_log: String::new(),
                rehearsal_log: String::new(),
            },
        }
    }

    fn holder(&self, process: &Process) -> NamespaceHolder {
        let record: Option<NamespaceRecord> = process.children.namespace(&names::workload_namespace(&self.who.name));
        let holder = record.as_ref().map(|record| (&*record.owner.namespace, &*record.owner.name, &record.of));
        namespace_holder(&self.instance, holder, record.as_ref().is_some_and(|record| record.terminating))
    }
}

fn served() -> BTreeSet<Kind> {
    [Kind::Cluster, Kind::Backup].into()
}

fn identity() -> OperatorIdentity {
    OperatorIdentity {
        service_account: Some(("gotocloud-system".into(), "gotocloud-operator".into())),
        instance_cluster_role: "gotocloud-instance".into(),
        installation: "installation-1".into(),
    }
}
