//! What a decision about an Instance is made from, as it was when it began.

use super::{
    Known, Process,
    children::{InstanceRef, NamespaceRecord},
    gates,
};
use crate::fault::Fault;
use gotocloud_api::{Instance, Platform, names};
use gotocloud_planner::{
    Kind, ObjectKey, Snapshot,
    campaign::Objects,
    database::Assured,
    health::Health,
    instance::namespace_holder,
    observation::{Directory, Observation, Sight},
    snapshot::{NamespaceHolder, OperatorIdentity, Pinned},
};
use jiff::Timestamp;
use std::{
    collections::BTreeSet,
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// What a snapshot borrows from.
pub struct View {
    who: InstanceRef,
    served: BTreeSet<Kind>,
    operator: OperatorIdentity,
    observation: Observation,
}

impl View {
    /// Gathers what a process knows of an Instance.
    pub fn of(process: &Process, who: &InstanceRef, instance: Arc<Instance>, now: Timestamp) -> Self {
        let directory = Watched { process, known: Known::of(process) };
        let said = gates::reading(process, who, &instance);

        Self {
            who: who.clone(),
            served: served(),
            operator: identity(),
            observation: Observation::of(instance, &directory, said, now),
        }
    }

    /// All of it, with what the process sees of the Instance's objects now.
    pub fn snapshot<'a>(
        &'a self,
        process: &Process,
        pinned: Option<Pinned>,
        database_assured: Option<&'a Assured>,
    ) -> Snapshot<'a> {
        let recorded = |key: &ObjectKey| key.recorded_in(&self.instance).map(str::to_owned);
        let mut children = process.children.of(&self.who, recorded);
        if process.fault == Some(Fault::SeesNoHealth) {
            let deployments = children.iter_mut().filter(|child| child.key.kind == Kind::Deployment);
            deployments.for_each(|child| child.health = Health::Ready);
        }

        self.observation.snapshot(Sight {
            namespace: self.holder(process),
            children,
            served: &self.served,
            pinned,
            database_assured,
            operator: &self.operator,
        })
    }

    fn holder(&self, process: &Process) -> NamespaceHolder {
        let record: Option<NamespaceRecord> = process.children.namespace(&names::workload_namespace(&self.who.name));
        let holder = record.as_ref().map(|record| (&*record.owner.namespace, &*record.owner.name, &record.of));
        namespace_holder(&self.instance, holder, record.as_ref().is_some_and(|record| record.terminating))
    }
}

impl Deref for View {
    type Target = Observation;

    fn deref(&self) -> &Observation {
        &self.observation
    }
}

impl DerefMut for View {
    fn deref_mut(&mut self) -> &mut Observation {
        &mut self.observation
    }
}

/// What the watches of a process have shown.
struct Watched<'p> {
    process: &'p Process,
    known: Known<'p>,
}

impl Directory for Watched<'_> {
    fn objects(&self) -> &dyn Objects {
        &self.known
    }

    fn platform(&self, name: &str) -> Option<Arc<Platform>> {
        self.process.catalogue.platforms.get(name).cloned()
    }

    fn of_establishment(&self, name: &str) -> Vec<Arc<Instance>> {
        let all = self.process.catalogue.instances.values();
        all.filter(|one| one.spec.establishment == name).cloned().collect()
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
