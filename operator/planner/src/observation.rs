//! What is one Instance's [`Snapshot`] made from?
//!
//! What is looked up in the catalogue is gathered once, as an [`Observation`]; what is seen of the cluster is laid beside it
//! as often as it is looked at, as a [`Sight`].

use crate::{
    campaign::{Objects, preflight},
    database::Assured,
    grouping,
    inputs::{self, counts_before},
    objects::Kind,
    path::Graph,
    rehearsal,
    snapshot::{NamespaceHolder, Observed, OperatorIdentity, Pinned, Snapshot, Way},
    upgrade::{self, Gates, Terms},
};
use gotocloud_api::{Application, Establishment, Instance, Platform, Release};
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

/// Where what an Instance names is found, and who is beside it.
pub trait Directory {
    /// What campaigns are seen against as well.
    fn objects(&self) -> &dyn Objects;
    /// A Platform.
    fn platform(&self, name: &str) -> Option<Arc<Platform>>;
    /// The Instances of an establishment.
    fn of_establishment(&self, name: &str) -> Vec<Arc<Instance>>;
}

/// What is known of one Instance and of all it depends on; a [`Snapshot`] borrows from it.
#[derive(Clone, Debug)]
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
    releases: Graph,
    ahead: Vec<(String, Option<Arc<Release>>)>,
    rehearsed: Option<Arc<Release>>,
    /// How carefully its way to another release is gone.
    pub terms: Terms,
    /// What the gates of its wave say.
    pub gates: Gates,
    /// Names of the pods that can write to its data; `None` if nobody looked.
    pub writers: Option<Vec<String>>,
    /// Why new pods do not start with the credentials that `CloudNativePG` keeps; `None` if nobody looked.
    pub lost_credentials: Option<String>,
    /// The end of the log of a migration that failed.
    pub migration_log: String,
    /// The end of the log of a rehearsed migration that failed.
    pub rehearsal_log: String,
}

/// What is seen of the cluster, as far as it is the Instance's.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    /// Who holds the namespace it needs.
    pub namespace: NamespaceHolder,
    /// The objects that carry its labels.
    pub children: Vec<Observed>,
    /// The optional kinds the platform's API server serves.
    pub served: &'a BTreeSet<Kind>,
    /// The pinned objects, if they were read.
    pub pinned: Option<Pinned>,
    /// The database on a server that this process made sure of, if it did.
    pub database_assured: Option<&'a Assured>,
    /// Who the operator is.
    pub operator: &'a OperatorIdentity,
}

impl Observation {
    /// Gathers what is known of `instance`, of whose wave the `gates` were asked.
    pub fn of(instance: Arc<Instance>, directory: &dyn Directory, gates: Gates, now: Timestamp) -> Self {
        let objects = directory.objects();
        let spec = &instance.spec;
        let establishment = objects.establishment(&spec.establishment);
        let platform_name = inputs::platform_name(&instance, establishment.as_deref());
        let platform = platform_name.and_then(|name| directory.platform(name));
        let groupings = groupings(&instance, objects);
        let releases = objects.graph(&spec.application);

        let ahead = upgrade::ahead(&instance, &releases).into_iter();
        let ahead = ahead.map(|name| (name.clone(), objects.release(&name))).collect();
        let rehearsed = rehearsal::target_of(&instance).or(spec.rehearse.as_deref());
        let terms = preflight::terms(&instance, establishment.as_deref(), objects, now);

        Self {
            application: objects.application(&spec.application),
            release: inputs::release_name(&instance).and_then(|name| objects.release(name)),
            platform_load: platform.as_deref().map_or(0, |platform| load(&instance, platform, objects)),
            neighbours: neighbours(&instance, directory),
            rehearsed: rehearsed.and_then(|name| objects.release(name)),
            establishment,
            platform,
            groupings,
            releases,
            ahead,
            terms,
            gates,
            writers: None,
            lost_credentials: None,
            migration_log: String::new(),
            rehearsal_log: String::new(),
            instance,
        }
    }

    /// Does the present phase of its way ask that nobody writes to the data?
    pub fn asks_for_quiet(&self) -> bool {
        let record = upgrade::record(&self.instance, &self.releases, None);
        record.is_some_and(|record| upgrade::wants(&record).asks_for_quiet())
    }

    /// All of it and what is seen, in the form decisions take.
    pub fn snapshot<'a>(&'a self, sight: Sight<'a>) -> Snapshot<'a> {
        let neighbours = self.neighbours.iter();
        let ahead = self.ahead.iter();

        Snapshot {
            instance: &self.instance,
            application: self.application.as_deref(),
            release: self.release.as_deref(),
            establishment: self.establishment.as_deref(),
            platform: self.platform.as_deref(),
            groupings: self.groupings.iter().map(AsRef::as_ref).collect(),
            neighbours: neighbours.map(|(one, application)| (one.as_ref(), application.as_deref())).collect(),
            platform_load: self.platform_load,
            namespace: sight.namespace,
            children: sight.children,
            writers: self.writers.clone(),
            way: Way {
                releases: &self.releases,
                ahead: ahead.map(|(name, release)| (name.clone(), release.as_deref())).collect(),
                rehearsed: self.rehearsed.as_deref(),
                terms: self.terms.clone(),
                gates: self.gates.clone(),
                migration_log: self.migration_log.clone(),
                rehearsal_log: self.rehearsal_log.clone(),
            },
            served: sight.served,
            pinned: sight.pinned,
            database_assured: sight.database_assured,
            lost_credentials: self.lost_credentials.clone(),
            operator: sight.operator,
        }
    }
}

/// The groupings of which its Establishment is a member.
fn groupings(instance: &Instance, objects: &dyn Objects) -> Vec<Arc<Establishment>> {
    let establishment = &instance.spec.establishment;
    objects.establishments().into_iter().filter(|one| grouping::lists(one, establishment)).collect()
}

/// The other Instances of its establishment, each with its Application.
fn neighbours(instance: &Instance, directory: &dyn Directory) -> Vec<(Arc<Instance>, Option<Arc<Application>>)> {
    let is_another = |other: &Arc<Instance>| {
        other.metadata.name != instance.metadata.name || other.metadata.namespace != instance.metadata.namespace
    };
    let others = directory.of_establishment(&instance.spec.establishment).into_iter().filter(is_another);

    let with_application = |other: Arc<Instance>| {
        let application = directory.objects().application(&other.spec.application);
        (other, application)
    };
    others.map(with_application).collect()
}

/// How many Instances take a place on the platform before this one; counted only where it decides something, as it asks for
/// every Instance there is.
fn load(instance: &Instance, platform: &Platform, objects: &dyn Objects) -> u32 {
    let name = platform.metadata.name.as_deref().unwrap_or_default();
    if platform.spec.capacity.is_none() || inputs::placed_on(instance).is_some() {
        return 0;
    }

    let counts = |other: &&Arc<Instance>| {
        let establishment = objects.establishment(&other.spec.establishment);
        counts_before(other, inputs::platform_name(other, establishment.as_deref()), instance, name)
    };
    u32::try_from(objects.instances().iter().filter(counts).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::World;
    use serde_json::json;

    fn instance(namespace: &str, name: &str, establishment: &str) -> Instance {
        serde_json::from_value(json!({
            "apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"application": "app", "establishment": establishment, "platform": "here"},
        }))
        .unwrap()
    }

    fn platform(capacity: Option<u32>) -> Platform {
        serde_json::from_value(json!({
            "apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Platform", "metadata": {"name": "here"},
            "spec": {"dnsZone": "example.org", "exposure": {}, "database": {}, "capacity": capacity},
        }))
        .unwrap()
    }

    fn a_fleet(capacity: Option<u32>) -> World {
        let mut world = World::default();
        world.extend([platform(capacity)]);
        world.extend([instance("a", "one", "e"), instance("b", "one", "e"), instance("b", "two", "another")]);
        world
    }

    fn observed(world: &World, instance: Instance) -> Observation {
        Observation::of(Arc::new(instance), world, Gates::True, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_neighbour_is_of_the_same_establishment_and_another_instance_though_of_the_same_name() {
        let observation = observed(&a_fleet(None), instance("b", "one", "e"));
        let neighbours: Vec<_> = observation.neighbours.iter().map(|(one, _)| inputs::full_name(one)).collect();
        assert_eq!(neighbours, ["a/one"]);
    }

    #[test]
    fn places_are_counted_where_there_is_a_capacity_and_the_instance_has_none_yet() {
        let mut last = instance("c", "one", "e");
        assert_eq!(observed(&a_fleet(Some(5)), last.clone()).platform_load, 3);
        assert_eq!(observed(&a_fleet(None), last.clone()).platform_load, 0);

        last.status = serde_json::from_value(json!({"platform": "here"})).unwrap();
        assert_eq!(observed(&a_fleet(Some(5)), last).platform_load, 0);
    }
}
