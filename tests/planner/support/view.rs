//! What an Instance's decisions are made from, as it was when a round began.

use super::World;
use gotocloud_api::Instance;
use gotocloud_planner::{
    Kind, Plan, Snapshot, Verdict,
    database::Assured,
    instance,
    observation::{Observation, Sight},
    revision, simulate,
    snapshot::{OperatorIdentity, Pinned},
};
use std::{collections::BTreeSet, sync::Arc};

/// What a snapshot borrows from, as it was when the round began.
pub(super) struct View {
    observation: Observation,
    served: BTreeSet<Kind>,
    operator: OperatorIdentity,
}

impl View {
    pub(super) fn of(world: &World, instance: &Instance) -> Self {
        let mut objects = simulate::World::default();
        objects.extend(world.applications.iter().cloned());
        objects.extend(world.releases.iter().cloned());
        objects.extend(world.platforms.iter().cloned());
        objects.extend(world.establishments.iter().cloned());
        objects.extend(world.instances.values().cloned());

        let instance = Arc::new(instance.clone());
        let mut observation = Observation::of(instance, &objects, world.gates.clone(), world.now);
        // There is no campaign to have them from.
        observation.terms = world.terms.clone();
        observation.writers = Some(world.cluster.terminating.clone());
        observation.rehearsal_log = "the end".into();
        observation.lost_credentials.clone_from(&world.lost_credentials);

        Self { observation, served: world.served.clone(), operator: world.operator.clone() }
    }

    pub(super) fn snapshot<'a>(
        &'a self,
        world: &World,
        pinned: Option<Pinned>,
        database_assured: Option<&'a Assured>,
    ) -> Snapshot<'a> {
        let instance = &self.observation.instance;
        let mut snapshot = self.observation.snapshot(Sight {
            namespace: world.holder(instance),
            children: world.children(instance),
            served: &self.served,
            pinned,
            database_assured,
            operator: &self.operator,
        });

        if world.is_reversed {
            snapshot.neighbours.reverse();
        }
        snapshot
    }

    /// The plan, and how many objects it takes away.
    pub(super) fn plan<'a>(&'a self, world: &World, assured: Option<&'a Assured>) -> (Plan<'a>, usize) {
        let snapshot = self.snapshot(world, None, assured);
        let plan = instance::plan(&snapshot);
        let Verdict::NeedsPinned(key) = &plan.verdict else { return with_removals(plan, &snapshot) };
        let stored = world.cluster.objects.get(key);
        let found = stored.and_then(|stored| revision::parse(&stored.manifest["data"]));
        let snapshot = self.snapshot(world, Some(found.map_or(Pinned::Lost, Pinned::Found)), assured);
        with_removals(instance::plan(&snapshot), &snapshot)
    }
}

fn with_removals<'a>(plan: Plan<'a>, snapshot: &Snapshot<'_>) -> (Plan<'a>, usize) {
    let removals = plan.removals(snapshot);
    (plan, removals)
}
