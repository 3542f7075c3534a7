//! What is known of one Instance at this moment?

use crate::{
    catalogue::{Catalogue, reference},
    children::Children,
};
use gotocloud_api::{Application, Establishment, Instance, Platform, Release};
use gotocloud_planner::{
    Kind, Snapshot,
    campaign::preflight,
    database::Assured,
    grouping,
    inputs::{self, counts_before},
    instance::namespace_holder,
    path::Graph,
    rehearsal,
    snapshot::{NamespaceHolder, Observed, OperatorIdentity, Pinned, Way},
    upgrade::{self, Gates, Terms},
};
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use std::{collections::BTreeSet, sync::Arc};

/// What a [`Snapshot`] borrows from.
pub struct Observation {
    /// The Instance.
    pub instance: Arc<Instance>,
    application: Option<Arc<Application>>,
    release: Option<Arc<Release>>,
    establishment: Option<Arc<Establishment>>,
    /// The Platform it names or inherits.
    pub platform: Option<Arc<Platform>>,
    groupings: Vec<Arc<Establishment>>,
    neighbours: Vec<(Arc<Instance>, Option<Arc<Application>>)>,
    platform_load: u32,
    served: BTreeSet<Kind>,
    operator: Arc<OperatorIdentity>,
    releases: Graph,
    ahead: Vec<(String, Option<Arc<Release>>)>,
    rehearsed: Option<Arc<Release>>,
    /// How carefully its way to another release is gone.
    pub terms: Terms,
    gates: Gates,
    /// Names of the pods that can write to its data; `None` if nobody looked.
    pub writers: Option<Vec<String>>,
    /// The end of the log of a migration that failed.
    pub migration_log: String,
    /// The end of the log of a rehearsed migration that failed.
    pub rehearsal_log: String,
}

/// What is seen of an Instance's objects.
pub struct Sight {
    namespace: NamespaceHolder,
    /// The objects.
    pub children: Vec<Observed>,
}

impl Observation {
    /// Gathers what is known of `instance`.
    pub fn new(
        instance: Arc<Instance>,
        catalogue: &Catalogue,
        served: BTreeSet<Kind>,
        operator: Arc<OperatorIdentity>,
        gates: Gates,
        now: Timestamp,
    ) -> Self {
        let spec = &instance.spec;
        let application = catalogue.applications.get(&ObjectRef::new(&spec.application));
        let release = inputs::release_name(&instance).and_then(|name| catalogue.releases.get(&ObjectRef::new(name)));
        let establishment = catalogue.establishments.get(&ObjectRef::new(&spec.establishment));
        let platform_name = inputs::platform_name(&instance, establishment.as_deref());
        let platform = platform_name.and_then(|name| catalogue.platforms.get(&ObjectRef::new(name)));
        let platform_load = platform.as_deref().map_or(0, |platform| load(&instance, platform, catalogue));

        let all = catalogue.establishments.state();
        let listing: Vec<_> = grouping::groupings_of(&spec.establishment, all.iter().map(AsRef::as_ref))
            .into_iter()
            .map(name_of)
            .collect();
        let groupings = all.iter().filter(|one| listing.contains(&name_of(one))).cloned().collect();

        let me = reference(&instance);
        let neighbours = catalogue
            .of_establishment(&spec.establishment)
            .into_iter()
            .filter(|other| reference(other) != me)
            .map(|other| {
                let application = catalogue.applications.get(&ObjectRef::new(&other.spec.application));
                (other, application)
            })
            .collect();

        let releases = catalogue.graph(&spec.application);
        let ahead = upgrade::ahead(&instance, &releases);
        let read = |name: String| {
            let release = catalogue.releases.get(&ObjectRef::new(&name));
            (name, release)
        };
        let ahead = ahead.into_iter().map(read).collect();
        let rehearsed = rehearsal::target_of(&instance).or(instance.spec.rehearse.as_deref());
        let rehearsed = rehearsed.and_then(|name| catalogue.releases.get(&ObjectRef::new(name)));

        let of_groups = listing.into_iter().collect();
        let terms = preflight::terms(&instance, establishment.as_deref(), &of_groups, catalogue, now);

        Self {
            instance,
            application,
            release,
            establishment,
            platform,
            groupings,
            neighbours,
            platform_load,
            served,
            operator,
            releases,
            ahead,
            rehearsed,
            gates,
            terms,
            writers: None,
            migration_log: String::new(),
            rehearsal_log: String::new(),
        }
    }

    /// Does the present phase of its way ask that nobody writes to the data?
    pub fn asks_for_quiet(&self) -> bool {
        let record = upgrade::record(&self.instance, &self.releases, None);
        record.is_some_and(|record| upgrade::wants(&record).asks_for_quiet())
    }

    /// Looks at the Instance's objects.
    pub fn look(&self, children: &Children) -> Sight {
        let workload = gotocloud_api::names::workload_namespace(inputs::name_of(&self.instance));
        let record = children.namespace(&workload);
        let terminating = record.as_ref().is_some_and(|record| record.terminating);
        let holder = record.as_ref().map(|record| (&*record.owner.namespace, &*record.owner.name, &record.of));

        Sight {
            namespace: namespace_holder(&self.instance, holder, terminating),
            children: children.of(&reference(&self.instance), |key| key.recorded_in(&self.instance).map(str::to_owned)),
        }
    }

    /// All of it, in the form decisions take.
    pub fn snapshot<'a>(
        &'a self,
        sight: Sight,
        pinned: Option<Pinned>,
        database_assured: Option<&'a Assured>,
    ) -> Snapshot<'a> {
        Snapshot {
            instance: &self.instance,
            application: self.application.as_deref(),
            release: self.release.as_deref(),
            establishment: self.establishment.as_deref(),
            platform: self.platform.as_deref(),
            groupings: self.groupings.iter().map(AsRef::as_ref).collect(),
            neighbours: self
                .neighbours
                .iter()
                .map(|(one, application)| (one.as_ref(), application.as_deref()))
                .collect(),
            platform_load: self.platform_load,
            namespace: sight.namespace,
            children: sight.children,
            served: &self.served,
            pinned,
            database_assured,
            operator: &self.operator,
            writers: self.writers.clone(),
            way: Way {
                releases: &self.releases,
                ahead: self.ahead.iter().map(|(name, release)| (name.clone(), release.as_deref())).collect(),
                rehearsed: self.rehearsed.as_deref(),
                terms: self.terms.clone(),
                gates: self.gates.clone(),
                migration_log: self.migration_log.clone(),
                rehearsal_log: self.rehearsal_log.clone(),
            },
        }
    }
}

fn name_of(establishment: &Establishment) -> String {
    establishment.metadata.name.clone().unwrap_or_default()
}

/// How many Instances take a place on the platform before this one; counted only where it decides something.
fn load(instance: &Instance, platform: &Platform, catalogue: &Catalogue) -> u32 {
    let name = platform.metadata.name.as_deref().unwrap_or_default();
    if platform.spec.capacity.is_none() || inputs::placed_on(instance).is_some() {
        return 0;
    }
    let counts = |other: &Arc<Instance>| {
        let establishment = catalogue.establishments.get(&ObjectRef::new(&other.spec.establishment));
        counts_before(other, inputs::platform_name(other, establishment.as_deref()), instance, name)
    };
    u32::try_from(catalogue.instances.state().iter().filter(|other| counts(other)).count()).unwrap_or(u32::MAX)
}
