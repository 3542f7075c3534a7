//! The small fleets that are explored.

use crate::{
    fleet::{Fault, Fleet, Known, Left},
    hub::{HUB, Other},
    people::{self, Edit},
};
use gotocloud_api::{Campaign, Deferral, Instance};
use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

fn read<T: DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> T {
    let namespace = if kind == "Instance" { json!(HUB) } else { Value::Null };
    let metadata = json!({"name": name, "namespace": namespace, "uid": format!("uid-{name}"), "generation": 1});
    let version = "gotocloud.amue.fr/v1alpha1";
    serde_json::from_value(json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})).unwrap()
}

#[allow(clippy::needless_pass_by_value)] // reads best with a literal
fn merged(mut all: Value, more: Value) -> Value {
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// An Instance that runs `r1`.
#[allow(clippy::needless_pass_by_value)] // reads best with a literal
fn runs(name: &str, more: Value) -> Instance {
    let spec = merged(json!({"application": "app", "establishment": format!("of-{name}")}), more);
    let mut instance: Instance = read("Instance", name, &spec);
    let stage = json!(instance.spec.stage);
    let status = json!({"release": {"name": "r1", "version": "1.0"}, "stage": stage});
    instance.status = Some(serde_json::from_value(status).unwrap());
    instance
}

/// A wave of those targets.
fn wave(name: &str, targets: &[&str]) -> Value {
    json!({"name": name, "targets": {"names": targets}, "maxConcurrent": 1, "maxFailures": 0})
}

#[allow(clippy::needless_pass_by_value)] // reads best with a literal
fn campaign(name: &str, more: Value) -> Campaign {
    let spec = json!({"application": "app", "namespace": HUB, "state": "Running"});
    read("Campaign", name, &merged(spec, more))
}

fn release(number: u32, more: Value) -> Other {
    let spec =
        json!({"application": "app", "versionScheme": "Dotted", "version": format!("{number}.0"), "components": []});
    Other::Release(Arc::new(read("Release", &format!("r{number}"), &merged(spec, more))))
}

fn establishment(name: &str) -> Other {
    let spec = json!({"displayName": name, "timeZone": "UTC", "namespace": format!("{name}-people")});
    Other::Establishment(Arc::new(read("Establishment", name, &spec)))
}

impl Fleet {
    /// A fleet of these, in which nothing but what is meant to happen does.
    fn of(name: &'static str, instances: Vec<Instance>, campaigns: Vec<Campaign>) -> Self {
        let names: Vec<&'static str> = ["a", "b", "c", "d"].into_iter().take(instances.len()).collect();
        let mut others = vec![release(1, json!({})), release(2, json!({})), release(3, json!({}))];
        others.extend(names.iter().map(|name| establishment(&format!("of-{name}"))));
        let stage = json!({"minReplicas": 1, "databaseInstances": 1});
        let size = json!({"quota": {"cpu": "4", "memory": "4Gi", "storage": "50Gi", "pods": 20},
            "defaultComponent": {"replicas": 1, "cpu": "250m", "memory": "256Mi"},
            "database": {"cpu": "500m", "memory": "1Gi", "storage": "5Gi"}});
        let application = json!({"displayName": "The application", "tenancy": "Grouped", "versionScheme": "Dotted",
            "sizes": {"verySmall": size, "small": size, "medium": size, "large": size, "veryLarge": size},
            "stages": {"provisioned": stage, "partialProduction": stage, "fullProduction": stage}});
        Self {
            name,
            names,
            instances: instances.into_iter().map(Some).collect(),
            campaigns,
            others_there: (1 << others.len()) - 1,
            others,
            application: Arc::new(read("Application", "app", &application)),
            edits: Vec::new(),
            left: Left::default(),
            tick: SignedDuration::from_hours(12),
            lags: false,
            fault: None,
            known: Known::default(),
        }
    }

    /// Adds an object that is not there yet, and that a person makes.
    fn and_makes(mut self, other: Other) -> Self {
        self.edits.push(Edit::Other(self.others.len()));
        self.others.push(other);
        self
    }

    pub fn with(self, fault: Fault) -> Self {
        Self { fault: Some(fault), ..self }
    }

    pub fn left(self, left: Left) -> Self {
        Self { left, ..self }
    }

    pub fn edits(mut self, edits: Vec<Edit>) -> Self {
        self.edits.extend(edits);
        self
    }

    /// Two waves, each of two, within windows.
    pub fn two_waves() -> Self {
        let first = merged(wave("w0", &["a", "b"]), json!({"maxFailures": 1}));
        let waves = json!([first, wave("w1", &["c", "d"])]);
        let windows = json!([{"from": "00:00", "to": "06:00"}]);
        let one = campaign("one", json!({"upgrade": {"release": "r2"}, "waves": waves, "windows": windows}));
        let instances = ["a", "b", "c", "d"].map(|name| runs(name, json!({})));
        Self::of("two waves", instances.into(), vec![one])
    }

    /// Two waves, each of one.
    pub fn small() -> Self {
        let waves = json!([wave("w0", &["a"]), wave("w1", &["b"])]);
        let one = campaign("one", json!({"upgrade": {"release": "r2"}, "waves": waves}));
        Self::of("small", vec![runs("a", json!({})), runs("b", json!({}))], vec![one])
    }

    /// One wave of two, within windows.
    pub fn one_wave() -> Self {
        let windows = json!([{"from": "00:00", "to": "06:00"}]);
        let waves = json!([wave("all", &["a", "b"])]);
        let one = campaign("one", json!({"upgrade": {"release": "r2"}, "waves": waves, "windows": windows}));
        Self::of("one wave", vec![runs("a", json!({})), runs("b", json!({}))], vec![one])
    }

    /// Two campaigns that want the same two instances, to another release each.
    pub fn two_campaigns() -> Self {
        let all = |name: &str, release: &str| {
            let waves = json!([merged(wave("all", &["a", "b"]), json!({"maxConcurrent": 2, "maxFailures": 1}))]);
            campaign(name, json!({"upgrade": {"release": release}, "waves": waves}))
        };
        let instances = vec![runs("a", json!({})), runs("b", json!({}))];
        Self::of("two campaigns", instances, vec![all("one", "r2"), all("two", "r3")])
    }

    /// Two campaigns for instances on one platform and on one server, with limits for these.
    pub fn places(limits: &Value) -> Self {
        let of = |name: &str, targets: &[&str], limit: Value| {
            let waves = json!([merged(wave("all", targets), json!({"maxConcurrent": 2}))]);
            campaign(name, merged(json!({"upgrade": {"release": "r2"}, "waves": waves}), limit))
        };
        let campaigns = vec![of("one", &["a"], limits.clone()), of("two", &["b"], limits.clone())];
        let mut instances = [
            runs("a", json!({"platform": "site"})),
            runs("b", json!({"platform": "site"})),
            runs("c", json!({"platform": "site"})),
        ];
        for instance in &mut instances {
            let database = json!({"server": "s", "name": "d", "role": "r", "secretName": "s"});
            instance.status.as_mut().unwrap().database = Some(serde_json::from_value(database).unwrap());
        }
        Self::of("places", instances.into(), campaigns)
    }

    /// A wave that is watched and another one that waits for a word, of instances that weigh differently, one of which its
    /// establishment defers.
    pub fn calendar() -> Self {
        let waves = json!([
            merged(wave("w0", &["a"]), json!({"soak": "12h"})),
            merged(wave("w1", &["b", "c"]), json!({"maxConcurrent": 2, "approval": "Manual"})),
        ]);
        let spec =
            json!({"upgrade": {"release": "r2"}, "waves": waves, "weight": "Establishments", "maxDeferralDays": 2});
        let mut heavy = runs("c", json!({}));
        heavy.status.as_mut().unwrap().members = vec!["x".into(), "y".into()];
        let instances = vec![runs("a", json!({})), runs("b", json!({})), heavy];

        let approval = json!({"campaign": "one", "wave": "w1", "by": "alice"});
        let deferral =
            json!({"establishment": "of-b", "campaign": "one", "until": "2026-01-06T12:00:00Z", "reason": "exams"});
        let mut deferral: Deferral = read("Deferral", "d", &deferral);
        deferral.metadata.namespace = Some("of-b-people".into());
        Self::of("calendar", instances, vec![campaign("one", spec)])
            .and_makes(Other::Approval(Arc::new(read("Approval", "a", &approval))))
            .and_makes(Other::Deferral(Arc::new(deferral)))
    }

    /// What is done is watched, and is to go back, while windows close and a freeze comes.
    pub fn back() -> Self {
        let first = merged(wave("w0", &["a", "b"]), json!({"soak": "12h"}));
        let windows = json!([{"from": "00:00", "to": "06:00"}]);
        let one = campaign("one", json!({"upgrade": {"release": "r2"}, "waves": [first], "windows": windows}));
        let freeze =
            json!({"reason": "the registrations", "period": {"dates": {"from": "2026-01-01", "until": "2026-12-31"}}});
        Self::of("back", vec![runs("a", json!({})), runs("b", json!({}))], vec![one])
            .and_makes(Other::Freeze("all".into(), serde_json::from_value(freeze).unwrap()))
            .edits(vec![Edit::Campaign(0, people::roll_back_first)])
    }

    /// Instances are brought to another stage.
    pub fn promotion() -> Self {
        let waves = json!([wave("w0", &["a"]), wave("w1", &["b"])]);
        let one = campaign("one", json!({"promote": {"stage": "FullProduction"}, "waves": waves}));
        Self::of("promotion", vec![runs("a", json!({})), runs("b", json!({}))], vec![one])
    }

    /// Instances are made.
    pub fn provision() -> Self {
        let waves = json!([wave("w0", &["of-a"]), wave("w1", &["of-b"])]);
        let one = campaign("one", json!({"provision": {"release": "r1"}, "waves": waves}));
        let fleet = Self::of("provision", vec![runs("a", json!({})), runs("b", json!({}))], vec![one]);
        Self { names: vec!["app-of-a", "app-of-b"], instances: vec![None, None], ..fleet }
    }

    /// Ways are rehearsed first.
    pub fn rehearsal() -> Self {
        let waves = json!([wave("w0", &["a"]), wave("w1", &["b"])]);
        let windows = json!([{"from": "12:00", "to": "18:00"}]);
        let one = campaign("one", json!({"upgrade": {"release": "r2"}, "waves": waves, "windows": windows}));
        let mut fleet = Self::of("rehearsal", vec![runs("a", json!({})), runs("b", json!({}))], vec![one]);
        fleet.others[1] = release(2, json!({"rehearsedWithinDays": 1}));
        fleet
    }

    /// One instance.
    pub fn alone() -> Self {
        let one = campaign("one", json!({"upgrade": {"release": "r2"}, "waves": [wave("w0", &["a"])]}));
        Self::of("alone", vec![runs("a", json!({}))], vec![one])
    }
}

/// The Instance that a person makes for the first establishment.
pub fn made_for_a() -> Instance {
    let mut instance = runs("app-of-a", json!({"release": "r1", "establishment": "of-a"}));
    instance.status = None;
    instance
}
