//! What a decision about an Instance is made from, as it was when it began.

use super::{
    Process,
    children::{InstanceRef, NamespaceRecord},
};
use gotocloud_api::upgrade::UpgradePhase;
use gotocloud_api::{Application, Establishment, Instance, Platform, Release, names};
use gotocloud_planner::{
    Kind, Snapshot, campaign,
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
use std::{collections::BTreeSet, rc::Rc};

/// What a snapshot borrows from.
pub struct View {
    pub instance: Rc<Instance>,
    who: InstanceRef,
    application: Option<Rc<Application>>,
    release: Option<Rc<Release>>,
    establishment: Option<Rc<Establishment>>,
    pub platform: Option<Rc<Platform>>,
    groupings: Vec<Rc<Establishment>>,
    neighbours: Vec<(Rc<Instance>, Option<Rc<Application>>)>,
    platform_load: u32,
    served: BTreeSet<Kind>,
    operator: OperatorIdentity,
    releases: Graph,
    ahead: Vec<(String, Option<Rc<Release>>)>,
    rehearsed: Option<Rc<Release>>,
    pub terms: Terms,
    /// The pods that can write to its data, if somebody looked.
    pub writers: Option<Vec<String>>,
}

impl View {
    /// Gathers what a process knows of an Instance.
    pub fn of(process: &Process, who: &InstanceRef, instance: Rc<Instance>, now: Timestamp) -> Self {
        let catalogue = &process.catalogue;
        let spec = &instance.spec;
        let release = |name: &str| catalogue.releases.get(name).cloned();
        let establishment = catalogue.establishments.get(&spec.establishment).cloned();
        let platform_name = inputs::platform_name(&instance, establishment.as_deref());
        let platform = platform_name.and_then(|name| catalogue.platforms.get(name)).cloned();

        let all = || catalogue.establishments.values();
        let listing = groupings_of(&spec.establishment, all().map(Rc::as_ref));
        let is_listing = |one: &&Rc<Establishment>| listing.iter().any(|other| std::ptr::eq(*other, one.as_ref()));
        let groupings = all().filter(is_listing).cloned().collect();

        let others = || catalogue.instances.iter().filter(|(other, _)| *other != who).map(|(_, other)| other);
        let neighbours = others().filter(|other| other.spec.establishment == spec.establishment);
        let neighbours =
            neighbours.map(|other| (Rc::clone(other), catalogue.applications.get(&other.spec.application).cloned()));
        let counts = |other: &&Rc<Instance>| {
            let establishment = catalogue.establishments.get(&other.spec.establishment);
            let platform = inputs::platform_name(other, establishment.map(Rc::as_ref));
            counts_before(other, platform, &instance, platform_name.unwrap_or_default())
        };

        let of_application = catalogue.releases.values().filter(|one| one.spec.application == spec.application);
        let releases = Graph::new(of_application.map(Rc::as_ref));
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
            terms: terms(process, &instance, now),
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
            groupings: self.groupings.iter().map(Rc::as_ref).collect(),
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

/// How carefully a way is gone that a person asks for.
fn terms(process: &Process, instance: &Instance, now: Timestamp) -> Terms {
    let Some(wanted) = upgrade::wanted(instance) else { return Terms::default() };
    let record = instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
    let is_about_to_begin =
        record.is_none_or(|record| record.phase.is_terminal() || record.phase == UpgradePhase::Preflight);
    if !is_about_to_begin || upgrade::active(instance) == Some(&wanted.release) {
        return Terms::default();
    }
    let release = process.catalogue.releases.get(&wanted.release);
    let hold = release.and_then(|release| campaign::targets::missing(release, instance, now));
    Terms { hold, ..Terms::default() }
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
