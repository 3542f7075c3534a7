//! What holds whatever is asked: nothing panics, a plan carried out leaves nothing to do, and no two instances meet.

use crate::support::{World, fixtures};
use gotocloud_api::{
    Instance, Quantity, SizeClass, Stage,
    application::DatabaseEngine,
    conditions::{ConditionType, Reason},
    instance::{DatabaseStatus, DeletionPolicy, Environment, Inventory, InventoryEntry, RevisionStatus},
    release::{
        Autoscaling, Component, DatabaseField, EnvVar, Expose, GeneratedSecret, HealthCheck, MetricsEndpoint, Port,
    },
};
use gotocloud_planner::{Kind, Step, Verdict, removals::Removal};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::collections::BTreeSet;

/// Texts that somebody might give: good ones, and all others.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec!["web", "batch", "app", "http", "default-deny", "database", "database-app", "generated", "public"])
            .prop_map(str::to_owned),
        1 => select(vec!["", "-", "_", "a_b_c_d", "/", "${", "${instance}", "${endpoint.app}", "$${x}", "{password}", "\0", "é€😀"])
            .prop_map(str::to_owned),
        1 => ".{0,40}",
        1 => (0_usize..5000).prop_map(|length| "x".repeat(length)),
    ]
}

fn quantity() -> impl Strategy<Value = Quantity> {
    prop_oneof![
        select(vec!["1", "250m", "1Gi", "0", "999999999999Ti", "lots", "", "-1", "1e9", "."]).prop_map(Quantity::from),
        text().prop_map(Quantity),
    ]
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..5, Just(u32::MAX), any::<u32>()]
}

fn variable() -> impl Strategy<Value = EnvVar> {
    let field = select(vec![DatabaseField::Host, DatabaseField::Password, DatabaseField::Uri]);
    (text(), option::of(text()), option::weighted(0.2, field), option::weighted(0.1, text()))
        .prop_map(|(name, value, from_database, from_secret)| EnvVar { name, value, from_database, from_secret })
}

fn component() -> impl Strategy<Value = Component> {
    let ports = vec((text(), any::<u16>()).prop_map(|(name, port)| Port { name, port }), 0..3);
    let expose = option::of((text(), text()).prop_map(|(port, path)| Expose { port, path }));
    let health = option::of((text(), text(), number()).prop_map(|(port, path, startup_seconds)| HealthCheck {
        port,
        path,
        startup_seconds,
    }));
    let metrics = option::of((text(), text()).prop_map(|(port, path)| MetricsEndpoint { port, path }));
    let scaling =
        option::of((number(), number()).prop_map(|(max_replicas_factor, target_cpu_percent)| Autoscaling {
            max_replicas_factor,
            target_cpu_percent,
        }));
    let lists = (vec(text(), 0..2), ports, vec(variable(), 0..4), vec(text(), 0..2));
    (text(), text(), lists, expose, health, metrics, scaling).prop_map(
        |(name, image, (command, ports, env, talks_to), expose, health, metrics, autoscaling)| Component {
            name,
            image,
            command,
            ports,
            expose,
            env,
            health,
            scratch: Vec::new(),
            talks_to,
            autoscaling,
            metrics,
        },
    )
}

fn status() -> impl Strategy<Value = gotocloud_api::InstanceStatus> {
    let entries = vec((text(), text(), text()).prop_map(|(id, v, h)| InventoryEntry::new(&id, &v, &h)), 0..4);
    let revision = option::of((text(), text()).prop_map(|(running, asked)| RevisionStatus {
        running,
        asked,
        ..RevisionStatus::default()
    }));
    let database = option::of((text(), text(), text()).prop_map(|(server, name, provisioned)| DatabaseStatus {
        server,
        role: name.clone(),
        name,
        secret_name: "database-app".into(),
        provisioned,
        oid: None,
    }));
    (entries, revision, database, option::of(text())).prop_map(|(entries, revision, database, platform)| {
        gotocloud_api::InstanceStatus {
            platform,
            revision,
            database,
            inventory: Some(Inventory { count: 0, entries }),
            ..gotocloud_api::InstanceStatus::default()
        }
    })
}

/// A world in which anything may be written anywhere.
fn any_world() -> impl Strategy<Value = World> {
    let release = (vec(component(), 0..4), vec((text(), number()), 0..3));
    let sizes = (quantity(), quantity(), number(), number(), option::of(any::<f64>()));
    let names = (text(), text(), text(), option::of(text()), option::of(quantity()));
    let environment = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), option::of(status()));
    (release, sizes, names, environment, vec(variable(), 0..3), vec(text(), 0..5)).prop_map(
        |((components, secrets), (cpu, memory, replicas, pods, mass), names, switches, env, members)| {
            let (is_full, is_served, is_deleted, is_grouping, status) = switches;
            let (name, zone, host, release, storage) = names;
            let mut world = if is_full { World::full() } else { World::plain() };
            if !is_served {
                world.served.clear();
            }
            let spec = &mut world.releases[0].spec;
            spec.components = components;
            spec.generated_secrets =
                secrets.into_iter().map(|(name, length)| GeneratedSecret { name, length: length % 200 }).collect();
            let sizes = &mut world.applications[0].spec.sizes.small;
            sizes.default_component.cpu = cpu.clone();
            sizes.default_component.memory = memory;
            sizes.default_component.replicas = replicas;
            sizes.quota.cpu = cpu;
            sizes.quota.pods = pods;
            world.establishments[0].spec.yearly_mass_million_euros = mass;
            world.platforms[0].spec.dns_zone = zone;
            if let Some(server) = &mut world.platforms[0].spec.database.server {
                (server.host, server.cidr) = (host, None);
            }
            if is_grouping {
                let members: Vec<_> = members.iter().map(String::as_str).collect();
                world.establishments[0] = fixtures::grouping("etab", "Shared", &members);
            }
            let one = world.one();
            one.spec.env = env;
            one.spec.database_storage = storage;
            one.spec.release = release.or(one.spec.release.take());
            one.status = status;
            if is_deleted {
                one.metadata.finalizers = Some(vec![gotocloud_api::names::FINALIZER.into()]);
                world.delete();
            }
            if name.len() < 70 {
                let mut instance = world.instances.remove(fixtures::WHO).unwrap();
                instance.metadata.name = Some(name);
                world.add(instance);
            }
            world
        },
    )
}

/// A world whose one Instance can run, in any of the ways that are offered.
fn accepted_world() -> impl Strategy<Value = World> {
    let choices = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let instance = (select(Stage::ALL.to_vec()), select(SizeClass::ALL.to_vec()), 0_usize..5);
    let name = "[a-z]([-a-z0-9]{0,20}[a-z0-9])?";
    (choices, instance, name).prop_map(|(choices, (stage, size, members), name)| {
        let (is_full, has_issuer, has_database, scales, has_metrics) = choices;
        let mut world = if is_full { World::full() } else { World::plain() };
        if has_issuer {
            world.platforms[0].spec.certificate_issuer = fixtures::full_platform().spec.certificate_issuer;
        } else {
            world.platforms[0].spec.certificate_issuer = None;
        }
        for release in &mut world.releases {
            let components = &mut release.spec.components;
            if !has_database {
                for component in components.iter_mut() {
                    component.env.retain(|variable| variable.from_database.is_none());
                }
            }
            if !has_metrics {
                components[0].metrics = None;
            }
            if scales {
                components[0].autoscaling = Some(Autoscaling { max_replicas_factor: 2, target_cpu_percent: 60 });
            }
        }
        if !has_database {
            world.applications[0].spec.database = DatabaseEngine::None;
        }
        if members > 0 {
            let names: Vec<_> = (0..members).map(|number| format!("member-{number}")).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            world.establishments[0] = fixtures::grouping("etab", "Shared", &names);
        }
        let sizes = &mut world.applications[0].spec.sizes;
        for size in
            [&mut sizes.very_small, &mut sizes.small, &mut sizes.medium, &mut sizes.large, &mut sizes.very_large]
        {
            size.quota.cpu = "100".into();
            size.quota.memory = "200Gi".into();
            size.quota.storage = "500Gi".into();
            size.quota.pods = 200;
        }
        let mut instance = world.instances.remove(fixtures::WHO).unwrap();
        instance.metadata.name = Some(name);
        instance.spec.stage = stage;
        instance.spec.size_class = Some(size);
        world.add(instance);
        world
    })
}

fn who(world: &World) -> String {
    world.instances.keys().next().unwrap().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_that_is_written_makes_it_panic_and_the_same_is_always_answered_the_same(mut world in any_world()) {
        let who = who(&world);
        let seen = || world.with_plan(&who, |plan| format!("{plan:?}"));
        prop_assert_eq!(seen(), seen());
        for removal in [Removal::Settling, Removal::Allowed] {
            world.removal = removal;
            for _ in 0..3 {
                world.round_of(&who);
                world.cluster.settle();
            }
        }
    }

    #[test]
    fn whatever_is_asked_the_steps_stay_at_home(world in any_world()) {
        let who = who(&world);
        let namespace = format!("gtc-{}", who.split_once('/').unwrap().1);
        world.with_plan(&who, |plan| {
            for step in &plan.steps {
                let key = match step {
                    Step::Apply { object, .. } | Step::HandOver { object, .. } => &object.key,
                    Step::EnsureSecret(request) => request.key(),
                    Step::Remove(key) | Step::RemoveReplaced(key) => key,
                    Step::EnsureDatabase(_) | Step::SealDatabase(_) | Step::DropDatabase(_) | Step::Release => continue,
                };
                let home = if key.kind == Kind::Namespace { &key.name } else { &key.namespace };
                assert_eq!(&**home, namespace, "{key}");
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_plan_carried_out_leaves_nothing_to_do(mut world in accepted_world()) {
        let who = who(&world);
        let rounds = world.run_of(&who);
        prop_assert!(rounds.len() <= 4, "{rounds:#?}");
        prop_assert_eq!(world.condition_of(&who, ConditionType::Ready), "True AsDesired");
        world.restart();
        world.run_of(&who);
        prop_assert!(world.round_of(&who).unwrap().is_silent());
        let inventory = world.status_of(&who).inventory.clone().unwrap();
        prop_assert_eq!(inventory.entries.len(), world.cluster.objects.len());
    }

    #[test]
    fn no_step_removes_what_is_wanted_and_each_object_bears_its_owner(mut world in accepted_world(), edits in vec(0_u8..6, 1..4)) {
        let who = who(&world);
        world.run_of(&who);
        for edit in edits {
            let instance = world.instances.get_mut(&who).unwrap();
            match edit {
                0 => instance.spec.release = Some("app-2".into()),
                1 => instance.spec.stage = Stage::FullProduction,
                2 => world.platforms[0].spec.exposure = fixtures::plain_platform().spec.exposure,
                3 => world.platforms[0].spec.exposure = fixtures::full_platform().spec.exposure,
                4 => world.releases[0].spec.generated_secrets.clear(),
                _ => world.applications[0].spec.stages.provisioned.min_replicas = 3,
            }
            world.with_plan(&who, |plan| {
                let wanted: BTreeSet<_> = plan.inventory.iter().collect();
                for step in &plan.steps {
                    match step {
                        Step::Remove(key) | Step::RemoveReplaced(key) => assert!(!wanted.contains(key), "{key}"),
                        Step::Apply { object, .. } => {
                            assert!(wanted.contains(&object.key), "{}", object.key);
                            let labels = crate::support::labels(&object.manifest, "labels");
                            let owner = gotocloud_planner::ownership::holder(&labels).unwrap();
                            assert_eq!(format!("{}/{}", owner.0, owner.1), who);
                        }
                        Step::HandOver { object, .. } => assert!(wanted.contains(&object.key), "{}", object.key),
                        Step::EnsureSecret(request) => assert!(wanted.contains(request.key())),
                        Step::EnsureDatabase(_) | Step::SealDatabase(_) | Step::DropDatabase(_) | Step::Release => {}
                    }
                }
            });
            world.run_of(&who);
            prop_assert!(world.round_of(&who).unwrap().is_silent());
        }
    }

    #[test]
    fn two_instances_plan_no_object_in_common_or_the_second_is_refused(
        mut world in accepted_world(), name in "[a-z]([-a-z0-9]{0,6}[a-z0-9])?", hub in select(vec!["hub", "hub-2"]), is_same: bool,
    ) {
        let first = who(&world);
        world.run_of(&first);
        let before = world.cluster.clone();
        let mut second: Instance = fixtures::instance(if is_same { first.split_once('/').unwrap().1 } else { &name });
        second.metadata.namespace = Some(hub.into());
        second.spec.environment = Environment::Training;
        let other = gotocloud_planner::inputs::full_name(&second);
        prop_assume!(other != first);
        world.add(second);
        world.run_of(&other);
        prop_assert!(before.objects.iter().all(|(key, stored)| world.cluster.objects.get(key) == Some(stored)));
        let shares_a_name = other.split_once('/').unwrap().1 == first.split_once('/').unwrap().1;
        let stalled = world.condition_of(&other, ConditionType::Stalled);
        prop_assert_eq!(stalled == format!("True {}", Reason::NamespaceTaken), shares_a_name);
        prop_assert!(world.round_of(&first).unwrap().is_silent());
    }

    #[test]
    fn deleting_ends_and_keeps_the_data_unless_it_is_told_not_to(mut world in accepted_world(), is_kept: bool) {
        let first = who(&world);
        world.run_of(&first);
        let has_data = world.status_of(&first).database.is_some();
        let now = world.now;
        let instance = world.instances.get_mut(&first).unwrap();
        instance.spec.deletion_policy = if is_kept { DeletionPolicy::Retain } else { DeletionPolicy::Delete };
        instance.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        world.run_of(&first);
        prop_assert!(world.instances.is_empty());
        let data = world.cluster.databases.len() + world.cluster.of_kind(Kind::Cluster).len();
        prop_assert_eq!(data > 0, has_data && is_kept);
        prop_assert_eq!(world.cluster.of_kind(Kind::Namespace).iter().any(|one| crate::support::is_retained(one)), has_data && is_kept);
    }
}

#[test]
fn the_generated_worlds_are_of_both_kinds() {
    // A generator that only ever makes what is refused would prove nothing of what is accepted.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut proceed = 0;
    for _ in 0..400 {
        let world = proptest::strategy::ValueTree::current(&any_world().new_tree(&mut runner).unwrap());
        proceed += usize::from(world.with_plan(&who(&world), |plan| plan.verdict == Verdict::Proceed));
    }
    assert!(proceed > 4, "{proceed} of 400");
}
