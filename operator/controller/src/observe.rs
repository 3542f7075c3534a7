//! What does this process see of one Instance at this moment?

use crate::{
    catalogue::{Catalogue, reference},
    reconcile::Context,
};
use gotocloud_api::{Instance, Platform, names};
use gotocloud_planner::{
    Kind,
    campaign::Objects,
    database::Assured,
    inputs,
    instance::namespace_holder,
    observation::{Directory, Observation, Sight},
};
use kube::runtime::reflector::ObjectRef;
use std::{collections::BTreeSet, sync::Arc};

impl Directory for Catalogue {
    fn objects(&self) -> &dyn Objects {
        self
    }

    fn platform(&self, name: &str) -> Option<Arc<Platform>> {
        self.platforms.get(&ObjectRef::new(name))
    }

    fn of_establishment(&self, name: &str) -> Vec<Arc<Instance>> {
        Catalogue::of_establishment(self, name)
    }
}

/// Gathers what is known of `instance`, from what is held in memory.
pub fn observe(context: &Context, instance: Arc<Instance>) -> Observation {
    let gates = context.gates.reading(&reference(&instance), &instance, &context.catalogue);

    Observation::of(instance, &*context.catalogue, gates, context.clock.now())
}

/// Looks at the objects of `instance`, none of them read: `served` are the kinds that may be among them.
pub fn look<'a>(
    context: &'a Context,
    instance: &Instance,
    served: &'a BTreeSet<Kind>,
    database_assured: Option<&'a Assured>,
) -> Sight<'a> {
    let children = &context.executor.cluster.children;
    let record = children.namespace(&names::workload_namespace(inputs::name_of(instance)));
    let holder = record.as_ref().map(|record| (&*record.owner.namespace, &*record.owner.name, &record.of));
    let terminating = record.as_ref().is_some_and(|record| record.terminating);

    Sight {
        namespace: namespace_holder(instance, holder, terminating),
        children: children.of(&reference(instance), |key| key.recorded_in(instance).map(str::to_owned)),
        served,
        pinned: None,
        database_assured,
        operator: &context.operator,
    }
}
