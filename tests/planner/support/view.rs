//! What an Instance's decisions are made from, as it was when a round began.

use super::World;
use gotocloud_api::{Application, Establishment, Instance, Platform, Release};
use gotocloud_planner::{
    Kind, Plan, Snapshot, Verdict,
    database::Assured,
    grouping::groupings_of,
    inputs::{self, counts_before, full_name},
    instance,
    path::Graph,
    rehearsal, revision,
    snapshot::{OperatorIdentity, Pinned, Way},
    upgrade,
};
use std::collections::BTreeSet;

/// What a snapshot borrows from, as it was when the round began.
pub(super) struct View {
    instance: Instance,
    application: Option<Application>,
    release: Option<Release>,
    establishment: Option<Establishment>,
    platform: Option<Platform>,
    groupings: Vec<Establishment>,
    neighbours: Vec<(Instance, Option<Application>)>,
    platform_load: u32,
    served: BTreeSet<Kind>,
    operator: OperatorIdentity,
    releases: Graph,
    ahead: Vec<(String, Option<Release>)>,
    rehearsed: Option<Release>,
}

impl View {
    pub(super) fn of(world: &World, instance: &Instance) -> Self {
        let application =
            |name: &str| world.applications.iter().find(|one| is(one.metadata.name.as_ref(), name)).cloned();
        let establishment = |name: &str| world.establishments.iter().find(|one| is(one.metadata.name.as_ref(), name));
        let own = establishment(&instance.spec.establishment);
        let platform_name = inputs::platform_name(instance, own);
        let others = || world.instances.values().filter(|other| full_name(other) != full_name(instance));
        let neighbours = others().filter(|other| other.spec.establishment == instance.spec.establishment);
        let counts = |other: &&Instance| {
            let platform = inputs::platform_name(other, establishment(&other.spec.establishment));
            counts_before(other, platform, instance, platform_name.unwrap_or_default())
        };
        let mut neighbours: Vec<_> =
            neighbours.map(|other| (other.clone(), application(&other.spec.application))).collect();
        if world.is_reversed {
            neighbours.reverse();
        }
        let release = inputs::release_name(instance);
        let releases =
            Graph::new(world.releases.iter().filter(|one| one.spec.application == instance.spec.application));
        let named = |name: &str| world.releases.iter().find(|one| is(one.metadata.name.as_ref(), name)).cloned();
        Self {
            application: application(&instance.spec.application),
            release: release
                .and_then(|name| world.releases.iter().find(|one| is(one.metadata.name.as_ref(), name)).cloned()),
            establishment: own.cloned(),
            platform: platform_name
                .and_then(|name| world.platforms.iter().find(|one| is(one.metadata.name.as_ref(), name)).cloned()),
            groupings: groupings_of(&instance.spec.establishment, &world.establishments).into_iter().cloned().collect(),
            neighbours,
            platform_load: u32::try_from(others().filter(counts).count()).unwrap(),
            served: world.served.clone(),
            operator: world.operator.clone(),
            ahead: upgrade::ahead(instance, &releases).into_iter().map(|name| (name.clone(), named(&name))).collect(),
            releases,
            rehearsed: rehearsal::target_of(instance)
                .or(instance.spec.rehearse.as_deref())
                .and_then(|name| world.releases.iter().find(|one| is(one.metadata.name.as_ref(), name)).cloned()),
            instance: instance.clone(),
        }
    }

    pub(super) fn snapshot<'a>(
        &'a self,
        world: &World,
        pinned: Option<Pinned>,
        assured: Option<&'a Assured>,
    ) -> Snapshot<'a> {
        Snapshot {
            instance: &self.instance,
            application: self.application.as_ref(),
            release: self.release.as_ref(),
            establishment: self.establishment.as_ref(),
            platform: self.platform.as_ref(),
            groupings: self.groupings.iter().collect(),
            neighbours: self.neighbours.iter().map(|(one, application)| (one, application.as_ref())).collect(),
            platform_load: self.platform_load,
            namespace: world.holder(&self.instance),
            children: world.children(&self.instance),
            served: &self.served,
            pinned,
            database_assured: assured,
            operator: &self.operator,
            writers: Some(world.cluster.terminating.clone()),
            way: Way {
                releases: &self.releases,
                ahead: self.ahead.iter().map(|(name, release)| (name.clone(), release.as_ref())).collect(),
                rehearsed: self.rehearsed.as_ref(),
                terms: world.terms.clone(),
                gates: world.gates.clone(),
                migration_log: String::new(),
                rehearsal_log: "the end".into(),
            },
        }
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

fn is(name: Option<&String>, other: &str) -> bool {
    name.is_some_and(|name| name == other)
}
