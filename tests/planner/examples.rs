//! Can everything in the examples run? Every instance of the fleet, and every release in every size and stage on every
//! platform.

#[path = "../../operator/api/tests/example_files/mod.rs"]
mod example_files;

use example_files::Examples;
use gotocloud_api::{
    Instance, InstanceSpec, InstanceStatus, Quantity, SizeClass, Stage, application::Tenancy, instance::Environment,
    names,
};
use gotocloud_planner::{
    Kind, Object, Plan, Snapshot, Verdict,
    inputs::resolve,
    instance::plan,
    observation::{Observation, Sight},
    render::{Surroundings, render},
    simulate,
    snapshot::{NamespaceHolder, OperatorIdentity},
    upgrade::Gates,
};
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;

/// The examples, as what snapshots are made from.
fn directory(examples: &Examples) -> simulate::World {
    let mut directory = simulate::World::default();
    directory.extend(examples.applications.values().cloned());
    directory.extend(examples.releases.values().cloned());
    directory.extend(examples.platforms.values().cloned());
    directory.extend(examples.establishments.values().cloned());
    directory.extend(examples.instances.values().cloned());
    directory
}

/// What a new cluster that serves every optional kind shows of `instance`.
fn with_snapshot<T>(directory: &simulate::World, instance: &Instance, look: impl FnOnce(&Snapshot<'_>) -> T) -> T {
    let served = Kind::ALL.into();
    let operator = OperatorIdentity::default();
    let observation = Observation::of(Arc::new(instance.clone()), directory, Gates::True, Timestamp::UNIX_EPOCH);

    look(&observation.snapshot(Sight {
        namespace: NamespaceHolder::Nobody,
        children: Vec::new(),
        served: &served,
        pinned: None,
        database_assured: None,
        operator: &operator,
    }))
}

fn with_plan(directory: &simulate::World, instance: &Instance, look: impl FnOnce(&Plan<'_>)) {
    with_snapshot(directory, instance, |snapshot| look(&plan(snapshot)));
}

/// All objects `instance` is made of, those that wait for its database too.
fn objects(directory: &simulate::World, instance: &Instance) -> Vec<Object> {
    let rendered = with_snapshot(directory, instance, |snapshot| {
        let surroundings = Surroundings { neighbours: &snapshot.neighbours, operator: snapshot.operator };
        resolve(snapshot).and_then(|inputs| render(&inputs, &surroundings))
    });
    rendered.unwrap_or_else(|refusal| panic!("{}: {refusal}", described(instance))).objects
}

fn of_kind(objects: &[Object], kind: Kind) -> impl Iterator<Item = &Value> {
    objects.iter().filter(move |object| object.key.kind == kind).map(|object| &object.manifest)
}

#[test]
fn every_instance_of_the_fleet_can_run() {
    let examples = Examples::read();
    let directory = directory(&examples);
    for (name, instance) in &examples.instances {
        with_plan(&directory, instance, |plan| assert_eq!(plan.verdict, Verdict::Proceed, "{name}"));
    }
}

#[test]
fn the_instance_of_a_grouping_of_schools_names_them_and_the_ministry() {
    let examples = Examples::read();
    let directory = directory(&examples);
    for name in ["pegase-culture-architecture", "pegase-culture-art"] {
        with_plan(&directory, &examples.instances[name], |plan| {
            let membership = plan.inputs.as_ref().map(|inputs| &inputs.membership);
            assert_eq!(membership.and_then(|it| it.grouping.as_deref()), Some("ministere-culture"), "{name}");
            assert_eq!(membership.map(|it| it.members.len()), Some(14), "{name}");
        });
    }
}

#[test]
fn a_member_of_unir_is_known_by_it_and_shares_with_nobody() {
    let examples = Examples::read();
    let directory = directory(&examples);
    with_plan(&directory, &examples.instances["pegase-rennes-2"], |plan| {
        let metadata = plan.metadata.as_ref().map(|metadata| &metadata.labels);
        assert_eq!(metadata.and_then(|labels| labels.get(names::LABEL_GROUPING)).map(String::as_str), Some("unir"));
        assert_eq!(plan.inputs.as_ref().map(|inputs| inputs.membership.members.len()), Some(0));
    });
}

/// An establishment that has Pégase and Sinaps: once both hold their namespaces, the flow between them is open.
#[test]
fn pegase_calls_the_sinaps_of_its_establishment() {
    let mut examples = Examples::read();
    for (name, instance) in &mut examples.instances {
        let namespace = Some(names::workload_namespace(name));
        instance.status = Some(InstanceStatus { namespace, ..InstanceStatus::default() });
    }
    let directory = directory(&examples);

    let mentions = |instance: &str, namespace: &str| {
        let objects = objects(&directory, &examples.instances[instance]);
        of_kind(&objects, Kind::NetworkPolicy).any(|policy| policy.to_string().contains(namespace))
    };
    assert!(mentions("pegase-poitiers", "gtc-sinaps-poitiers"));
    assert!(mentions("sinaps-poitiers", "gtc-pegase-poitiers"));
    assert!(!mentions("pegase-engees", "gtc-sinaps"));
}

/// Every release of an application, in every size and stage, on every platform.
fn everything(examples: &Examples) -> impl Iterator<Item = Instance> {
    let operated = examples.releases.iter().filter(|(_, release)| {
        examples.applications.get(&release.spec.application).is_some_and(|it| it.spec.tenancy != Tenancy::External)
    });
    operated.flat_map(move |(name, release)| {
        let choices = examples.platforms.keys().flat_map(|platform| {
            SizeClass::ALL.into_iter().flat_map(move |size| Stage::ALL.into_iter().map(move |stage| (platform, size, stage)))
        });
        choices.map(move |(platform, size, stage)| {
            let spec = serde_json::json!({"application": release.spec.application, "establishment": "amue", "stage": stage,
                "release": name, "platform": platform, "sizeClass": size});
            let spec: InstanceSpec = serde_json::from_value(spec).unwrap_or_else(|error| panic!("{error}"));
            let mut instance = Instance::new("any", spec);
            instance.metadata.namespace = Some("any".into());
            // Caplab is there already: another environment is another instance.
            instance.spec.environment = Environment::Test;
            instance
        })
    })
}

fn described(instance: &Instance) -> String {
    let spec = &instance.spec;
    format!("{:?} on {:?} in {:?}, {}", spec.release, spec.platform, spec.size_class, spec.stage)
}

#[test]
fn every_release_can_run_in_every_size_and_stage_on_every_platform() {
    let examples = Examples::read();
    let directory = directory(&examples);
    for instance in everything(&examples) {
        with_plan(&directory, &instance, |plan| assert_eq!(plan.verdict, Verdict::Proceed, "{}", described(&instance)));
    }
}

/// The planner asks of a quota that it holds a rolling update; these hold the most pods an autoscaler may ask for, too.
#[test]
fn every_quota_holds_what_the_autoscaler_may_ask_for() {
    let examples = Examples::read();
    let directory = directory(&examples);
    for instance in everything(&examples) {
        let objects = objects(&directory, &instance);
        let [pods, cpu, memory] = most(&objects);
        let hard = of_kind(&objects, Kind::ResourceQuota).next().map(|quota| &quota["spec"]["hard"]);
        let limit = |what: &str| hard.map_or(0, |hard| thousandths(&hard[what]));
        let what = described(&instance);
        assert!(pods * 1000 <= limit("pods"), "{what}: {pods} pods");
        assert!(cpu <= limit("requests.cpu"), "{what}: {cpu}m of cpu");
        assert!(memory <= limit("requests.memory"), "{what}: {} bytes of memory", memory / 1000);
    }
}

/// The most pods there may be at once, with the thousandths of processors and bytes they request.
fn most(objects: &[Object]) -> [u128; 3] {
    let autoscaler =
        |name: &Value| of_kind(objects, Kind::HorizontalPodAutoscaler).find(|one| one["metadata"]["name"] == *name);
    let components = of_kind(objects, Kind::Deployment).map(|deployment| {
        let scaler = autoscaler(&deployment["metadata"]["name"]);
        let replicas = scaler.map_or(&deployment["spec"]["replicas"], |one| &one["spec"]["maxReplicas"]);
        // One more for a rolling update.
        (
            replicas.as_u64().unwrap_or_default() + 1,
            &deployment["spec"]["template"]["spec"]["containers"][0]["resources"],
        )
    });
    let databases = of_kind(objects, Kind::Cluster)
        .map(|cluster| (cluster["spec"]["instances"].as_u64().unwrap_or_default(), &cluster["spec"]["resources"]));
    let mut sums = [0; 3];
    for (pods, resources) in components.chain(databases) {
        let pods = u128::from(pods);
        sums[0] += pods;
        sums[1] += pods * thousandths(&resources["requests"]["cpu"]);
        sums[2] += pods * thousandths(&resources["requests"]["memory"]);
    }
    sums
}

fn thousandths(quantity: &Value) -> u128 {
    quantity
        .as_str()
        .and_then(|text| Quantity::from(text).thousandths())
        .unwrap_or_else(|| panic!("{quantity} is no quantity"))
}
