//! Of which objects is an instance made?
//!
//! One file for each concern; each gives manifests for server-side apply. Manifests are written as JSON, as a reader of
//! Kubernetes knows them; the API server checks their fields strictly when they are applied.

mod access;
mod config;
mod database;
mod exposure;
mod limits;
pub(crate) mod migration;
mod monitoring;
mod namespace;
mod network;
mod references;
pub(crate) mod rehearsal;
mod workload;

use crate::{
    inputs::Inputs,
    objects::{Kind, Object, ObjectKey},
    plan::{DatabaseRequest, Refusal},
    secrets::SecretRequest,
    snapshot::OperatorIdentity,
    variables::Scope,
};
use gotocloud_api::{Application, Instance, conditions::Reason, instance::Endpoint, names};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(crate) use access::binding as own_rights;
pub use database::{CLUSTER as DATABASE_CLUSTER, SECRET as DATABASE_SECRET, identifier as database_identifier};
pub use exposure::endpoints;
pub use migration::NAME as MIGRATION;
pub use namespace::retained as retained_namespace;

/// Largest manifest that is sent. Stored objects are limited to 1.5 MiB, of which the server's own bookkeeping of
/// fields takes a part.
pub const MANIFEST_MAX_BYTES: usize = 1_000_000;

/// An instance, rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Its objects, in the order in which they are applied.
    pub objects: Vec<Object>,
    /// Its Secrets, whose content is not known here.
    pub secrets: Vec<SecretRequest>,
    /// Its database, where it is on a server that is already there.
    pub database: Option<DatabaseRequest>,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
}

impl Rendered {
    /// Puts an object where it belongs in the order of application.
    pub(crate) fn push(&mut self, object: Object) {
        let at = self.objects.partition_point(|other| other.key <= object.key);
        self.objects.insert(at, object);
    }
}

/// What an instance is rendered from, beside its inputs.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// The other Instances of the same establishment.
    pub neighbours: &'a [(&'a Instance, Option<&'a Application>)],
    /// Who the operator is.
    pub operator: &'a OperatorIdentity,
}

/// Renders an instance, or says what of it cannot be rendered.
pub fn render(inputs: &Inputs<'_>, surroundings: &Surroundings<'_>) -> Result<Rendered, Refusal> {
    references::hold(inputs)?;
    let scope = scope(inputs, surroundings.neighbours);
    let database = database::render(inputs, surroundings.operator);
    let mut objects = vec![namespace::render(inputs)];
    objects.extend(access::render(inputs, surroundings.operator));
    objects.extend(limits::render(inputs));
    objects.extend(network::render(inputs, surroundings.neighbours));
    let configs = config::render(inputs, &scope)?;
    objects.extend(workload::render(inputs, &configs));
    objects.extend(configs.into_iter().filter_map(|config| config.object));
    objects.extend(database.cluster);
    objects.extend(exposure::render(inputs));
    objects.extend(monitoring::render(inputs));
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    references::no_two_share_a_name(inputs, &objects)?;
    objects.iter().try_for_each(fits_the_store)?;
    let mut secrets: Vec<_> = database.secret.into_iter().collect();
    secrets.extend(config::generated(inputs));
    Ok(Rendered { objects, secrets, database: database.request, endpoints: exposure::endpoints(inputs) })
}

/// The labels that say whose an object is.
pub fn owner_labels(instance: &Instance) -> BTreeMap<String, String> {
    let namespace = instance.metadata.namespace.as_deref().unwrap_or_default();
    let name = instance.metadata.name.as_deref().unwrap_or_default();
    [
        (names::LABEL_MANAGED_BY, names::FIELD_MANAGER),
        (names::LABEL_INSTANCE, name),
        (names::LABEL_INSTANCE_NAMESPACE, namespace),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The labels of what belongs to one component.
fn component_labels(inputs: &Inputs<'_>, component: &str) -> BTreeMap<String, String> {
    let mut labels = owner_labels(inputs.instance);
    labels.insert(names::LABEL_NAME.into(), inputs.instance.spec.application.clone());
    labels.insert(names::LABEL_COMPONENT.into(), component.into());
    labels
}

/// The labels that select one component's pods. They never change: a Deployment's selector is immutable.
fn selector(component: &str) -> Value {
    json!({ names::LABEL_COMPONENT: component })
}

/// A manifest of `kind` called `name` in the instance's namespace, with its labels and those fields beside `metadata`.
fn object(inputs: &Inputs<'_>, kind: Kind, name: &str, labels: &BTreeMap<String, String>, fields: Value) -> Object {
    object_in(&inputs.namespace, kind, name, labels, fields)
}

/// The same, in that namespace.
fn object_in(namespace: &str, kind: Kind, name: &str, labels: &BTreeMap<String, String>, fields: Value) -> Object {
    let mut manifest = Map::new();
    manifest.insert("apiVersion".into(), kind.api_version().into());
    manifest.insert("kind".into(), kind.name().into());
    manifest.insert("metadata".into(), json!({"name": name, "namespace": namespace, "labels": labels}));
    if let Value::Object(fields) = fields {
        manifest.extend(fields);
    }
    Object { key: ObjectKey::new(kind, namespace, name), manifest: manifest.into() }
}

/// The `ControllerRevision` that keeps the objects that move pods.
pub fn revision_object(inputs: &Inputs<'_>, hash: &str, objects: &[Object]) -> Result<Object, Refusal> {
    let key = crate::revision::key(&inputs.namespace, hash);
    let fields = json!({"revision": 1, "data": crate::revision::content(objects)});
    let object = object(inputs, Kind::ControllerRevision, &key.name, &owner_labels(inputs.instance), fields);
    fits_the_store(&object).map(|()| object)
}

fn fits_the_store(object: &Object) -> Result<(), Refusal> {
    let bytes = object.manifest.to_string().len();
    if bytes <= MANIFEST_MAX_BYTES {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::ObjectTooLarge,
        format!(
            "{} would be {bytes} bytes, over the {MANIFEST_MAX_BYTES} that are safe to store: shorten its environment values",
            object.key
        ),
    ))
}

fn scope(inputs: &Inputs<'_>, neighbours: &[(&Instance, Option<&Application>)]) -> Scope {
    let (instance, establishment) = (inputs.instance, &inputs.establishment.spec);
    let named = |metadata: &Option<String>| metadata.clone().unwrap_or_default();
    let values = [
        ("application", instance.spec.application.clone()),
        ("establishment", instance.spec.establishment.clone()),
        ("establishment.displayName", establishment.display_name.clone()),
        ("establishment.uai", establishment.uai.as_ref().map(|uai| uai.as_str().to_owned()).unwrap_or_default()),
        ("establishment.timeZone", establishment.time_zone.clone()),
        (
            "establishment.identityProvider",
            establishment.identity_provider.as_ref().map(|provider| provider.issuer.clone()).unwrap_or_default(),
        ),
        ("instance", inputs.name().to_owned()),
        ("instance.stage", instance.spec.stage.to_string()),
        ("instance.environment", format!("{:?}", instance.spec.environment)),
        ("instance.host", inputs.host.clone()),
        ("instance.url", inputs.url()),
        ("platform", named(&inputs.platform.metadata.name)),
        ("platform.dnsZone", inputs.platform.spec.dns_zone.clone()),
        ("release.version", inputs.release.spec.version.clone()),
    ];

    let mut values: BTreeMap<_, _> = values.map(|(key, value)| (key.to_owned(), value)).into();
    let mut peers: Vec<_> = neighbours
        .iter()
        .map(|(one, _)| *one)
        .filter(|one| one.spec.environment == instance.spec.environment)
        .collect();

    peers.sort_by_cached_key(|peer| crate::inputs::full_name(peer));
    for peer in peers {
        let url = peer.status.as_ref().and_then(|status| status.endpoints.first()).map(|endpoint| endpoint.url.clone());
        if let Some(url) = url {
            values.insert(format!("{}{}", crate::variables::ENDPOINT_PREFIX, peer.spec.application), url);
        }
    }

    Scope { values }
}
