//! What does an Instance refer to, and can it run at all?

use crate::{
    grouping::{Membership, membership},
    objects::Kind,
    plan::Refusal,
    snapshot::{NamespaceHolder, Snapshot},
};
use gotocloud_api::{
    Application, Establishment, Instance, Platform, Release, SizeClass,
    application::{ComponentSize, DatabaseEngine, Tenancy},
    conditions::Reason,
    names,
    platform::PlatformState,
};
use std::collections::BTreeSet;

/// All an instance is rendered from.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs<'a> {
    /// The Instance.
    pub instance: &'a Instance,
    /// What it runs.
    pub application: &'a Application,
    /// In which version.
    pub release: &'a Release,
    /// For whom.
    pub establishment: &'a Establishment,
    /// Where.
    pub platform: &'a Platform,
    /// How large.
    pub size: SizeClass,
    /// Through which grouping, and serving whom.
    pub membership: Membership,
    /// The namespace its workload lives in.
    pub namespace: String,
    /// Its host name.
    pub host: String,
}

impl Inputs<'_> {
    /// Name of the Instance.
    pub fn name(&self) -> &str {
        name_of(self.instance)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("https://{}", self.host)
    }

    /// What the component called `component` gets, by size class, and how many pods by size class and stage.
    pub fn component_size(&self, component: &str) -> (&ComponentSize, u32) {
        let size = self.application.spec.sizes.of(self.size).component(component);
        let stage = self.application.spec.stages.of(self.instance.spec.stage);
        (size, size.replicas.max(stage.min_replicas))
    }

    /// Has it a database?
    pub fn has_database(&self) -> bool {
        self.application.spec.database == DatabaseEngine::PostgreSQL
    }
}

/// Name of an Instance; never empty for one that an API server gave.
pub fn name_of(instance: &Instance) -> &str {
    instance.metadata.name.as_deref().unwrap_or_default()
}

/// An Instance as `NAMESPACE/NAME`.
pub fn full_name(instance: &Instance) -> String {
    format!("{}/{}", instance.metadata.namespace.as_deref().unwrap_or_default(), name_of(instance))
}

/// Name of the Release an Instance's pods are to run now: on its way to another release, the one before until it is time.
pub fn release_name(instance: &Instance) -> Option<&str> {
    crate::upgrade::active(instance)
}

/// Name of the Platform an Instance is for: its own, else the one it runs on already, else its establishment's home.
pub fn platform_name<'a>(instance: &'a Instance, establishment: Option<&'a Establishment>) -> Option<&'a str> {
    let home = || establishment?.spec.home_platform.as_deref();
    instance.spec.platform.as_deref().or_else(|| placed_on(instance)).or_else(home)
}

/// Name of the Platform an Instance runs on already.
pub fn placed_on(instance: &Instance) -> Option<&str> {
    instance.status.as_ref()?.platform.as_deref()
}

/// Does `other` take a place on the platform before `instance` may? It does once it is there; of two that are not, the
/// older goes first.
pub fn counts_before(other: &Instance, other_platform: Option<&str>, instance: &Instance, platform: &str) -> bool {
    if full_name(other) == full_name(instance) || other.metadata.deletion_timestamp.is_some() {
        return false;
    }
    match placed_on(other) {
        Some(placed) => placed == platform,
        None => other_platform == Some(platform) && is_older(other, instance),
    }
}

fn is_older(one: &Instance, other: &Instance) -> bool {
    let rank = |instance: &Instance| (instance.metadata.creation_timestamp.clone(), full_name(instance));
    rank(one) < rank(other)
}

/// What the Instance refers to, or the first reason why it cannot run.
pub fn resolve<'a>(snapshot: &Snapshot<'a>) -> Result<Inputs<'a>, Refusal> {
    let instance = snapshot.instance;
    name_fits(instance)?;
    let application = snapshot.application.ok_or_else(|| {
        not_found(Reason::ApplicationNotFound, "Application", &instance.spec.application, "spec.application")
    })?;
    let establishment = snapshot.establishment.ok_or_else(|| {
        not_found(Reason::EstablishmentNotFound, "Establishment", &instance.spec.establishment, "spec.establishment")
    })?;
    let membership = membership(establishment, &instance.spec.application, &snapshot.groupings)?;
    is_the_only_one(snapshot)?;
    let release = release(snapshot)?;
    let platform = platform(snapshot)?;
    let size = size(instance, establishment)?;
    holds_its_namespace(snapshot)?;
    let name = name_of(instance);
    let inputs = Inputs {
        instance,
        application,
        release,
        establishment,
        platform,
        size,
        membership,
        namespace: names::workload_namespace(name),
        host: format!("{name}.{}", platform.spec.dns_zone),
    };

    apis_are_served(&inputs, snapshot.served)?;
    crate::quota::holds(&inputs)?;
    Ok(inputs)
}

pub(crate) fn not_found(reason: Reason, kind: &str, name: &str, field: &str) -> Refusal {
    Refusal::new(reason, format!("there is no {kind} called {name}: create it, or correct {field}"))
}

fn name_fits(instance: &Instance) -> Result<(), Refusal> {
    let name = name_of(instance);
    if name.len() <= names::INSTANCE_NAME_MAX && !name.contains('.') {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::NameTooLong,
        format!(
            "the name {name} does not fit: its namespace {}NAME takes a DNS label of at most {} characters for NAME; \
             make an Instance with a shorter name",
            names::WORKLOAD_NAMESPACE_PREFIX,
            names::INSTANCE_NAME_MAX
        ),
    ))
}

fn is_the_only_one(snapshot: &Snapshot<'_>) -> Result<(), Refusal> {
    let spec = &snapshot.instance.spec;
    let same = |other: &&Instance| {
        other.spec.application == spec.application
            && other.spec.establishment == spec.establishment
            && other.spec.environment == spec.environment
            && is_older(other, snapshot.instance)
    };
    match snapshot.neighbours.iter().map(|(other, _)| *other).find(same) {
        None => Ok(()),
        Some(other) => Err(Refusal::new(
            Reason::DuplicateInstance,
            format!(
                "{} already runs {} for {} in {:?}: delete this Instance, or give it another environment",
                full_name(other),
                spec.application,
                spec.establishment,
                spec.environment
            ),
        )),
    }
}

fn release<'a>(snapshot: &Snapshot<'a>) -> Result<&'a Release, Refusal> {
    let application = &snapshot.instance.spec.application;
    let Some(name) = release_name(snapshot.instance) else {
        return Err(Refusal::new(
            Reason::ReleaseNotChosen,
            format!("no release is chosen: set spec.release to a Release of {application}, or let a campaign choose"),
        ));
    };

    let release =
        snapshot.release.ok_or_else(|| not_found(Reason::ReleaseNotFound, "Release", name, "spec.release"))?;

    if release.spec.application != *application {
        return Err(Refusal::new(
            Reason::ReleaseOfAnotherApplication,
            format!(
                "the Release {name} is of {}, not of {application}: set spec.release to a Release of {application}",
                release.spec.application
            ),
        ));
    }

    let scheme = snapshot.application.map(|application| application.spec.version_scheme);
    if scheme != Some(release.spec.version_scheme) || release.spec.version_scheme.parse(&release.spec.version).is_err()
    {
        return Err(Refusal::new(
            Reason::VersionSchemeMismatch,
            format!(
                "the Release {name} writes its version {} by the scheme {}, {application} by another: publish it by \
                 the application's scheme",
                release.spec.version, release.spec.version_scheme
            ),
        ));
    }

    Ok(release)
}

fn platform<'a>(snapshot: &Snapshot<'a>) -> Result<&'a Platform, Refusal> {
    let instance = snapshot.instance;
    let Some(name) = platform_name(instance, snapshot.establishment) else {
        return Err(Refusal::new(
            Reason::PlatformNotChosen,
            format!(
                "no platform is chosen: set spec.platform, or homePlatform of the Establishment {}",
                instance.spec.establishment
            ),
        ));
    };

    let platform =
        snapshot.platform.ok_or_else(|| not_found(Reason::PlatformNotFound, "Platform", name, "spec.platform"))?;

    match placed_on(instance) {
        Some(placed) if placed != name => Err(Refusal::new(
            Reason::PlatformChanged,
            format!(
                "it runs on {placed}, not on {name}: moving it moves its data, which an edit does not do; set spec.platform: {placed}"
            ),
        )),
        None if platform.spec.state == PlatformState::Draining => Err(Refusal::new(
            Reason::PlatformDraining,
            format!("the Platform {name} is draining and takes no new instance: choose another in spec.platform"),
        )),
        None if platform.spec.capacity.is_some_and(|capacity| snapshot.platform_load >= capacity) => Err(Refusal::new(
            Reason::PlatformFull,
            format!(
                "the Platform {name} holds {} instances, as many as its capacity: raise it, or choose another in spec.platform",
                snapshot.platform_load
            ),
        )),
        Some(_) | None => Ok(platform),
    }
}

fn size(instance: &Instance, establishment: &Establishment) -> Result<SizeClass, Refusal> {
    instance.spec.size_class.or_else(|| size_of(establishment)).ok_or_else(|| {
        Refusal::new(
            Reason::SizeUnknown,
            format!(
                "the size is not known: give the Establishment {} a yearlyMassMillionEuros or a sizeClass, or this \
                 Instance a sizeClass",
                instance.spec.establishment
            ),
        )
    })
}

/// The size class of an establishment, by its mass or as it says.
pub fn size_of(establishment: &Establishment) -> Option<SizeClass> {
    let spec = &establishment.spec;
    spec.yearly_mass_million_euros.map(SizeClass::from_yearly_mass).or(spec.size_class)
}

fn holds_its_namespace(snapshot: &Snapshot<'_>) -> Result<(), Refusal> {
    match &snapshot.namespace {
        NamespaceHolder::Nobody | NamespaceHolder::Itself { .. } => Ok(()),
        NamespaceHolder::Kept(release) if release_name(snapshot.instance) == Some(release) => Ok(()),
        NamespaceHolder::Kept(release) => Err(Refusal::new(
            Reason::RetainedData,
            format!(
                "the namespace {} keeps data of the Release {release}: set spec.release: {release}, which takes it up, and \
                 go to another release from there; or restore it to another, and annotate the namespace with {}=RELEASE",
                names::workload_namespace(name_of(snapshot.instance)),
                names::ANNOTATION_RETAINED_RELEASE
            ),
        )),
        NamespaceHolder::Another(other) => Err(Refusal::new(
            Reason::NamespaceTaken,
            format!(
                "the namespace {} belongs to the Instance {other}: give this Instance another name",
                names::workload_namespace(name_of(snapshot.instance))
            ),
        )),
    }
}

/// The optional APIs an instance needs, with what for.
fn needs(inputs: &Inputs<'_>) -> Vec<(Kind, &'static str)> {
    let platform = &inputs.platform.spec;
    let mut needs = Vec::new();
    if inputs.has_database() && platform.database.cloud_native_pg.is_some() {
        needs.push((Kind::Cluster, "install CloudNativePG, or give the Platform a database server"));
    }
    let is_exposed = inputs.release.spec.components.iter().any(|component| component.expose.is_some());
    if is_exposed && platform.exposure.gateway.is_some() {
        needs.push((Kind::HttpRoute, "install the Gateway API, or give the Platform an Ingress controller"));
        if platform.certificate_issuer.is_some() {
            needs.push((Kind::ListenerSet, "install the Gateway API 1.5 or later, or leave certificateIssuer out"));
        }
    }
    if is_exposed && platform.certificate_issuer.is_some() {
        needs.push((Kind::Certificate, "install cert-manager, or leave certificateIssuer out of the Platform"));
    }
    let has_metrics = inputs.release.spec.components.iter().any(|component| component.metrics.is_some());
    if has_metrics && platform.monitoring.is_some() {
        needs.push((Kind::ServiceMonitor, "install the Prometheus Operator, or leave monitoring out of the Platform"));
    }
    needs
}

fn apis_are_served(inputs: &Inputs<'_>, served: &BTreeSet<Kind>) -> Result<(), Refusal> {
    match needs(inputs).into_iter().find(|(kind, _)| !served.contains(kind)) {
        None => Ok(()),
        Some((kind, remedy)) => Err(Refusal::new(
            Reason::ApiMissing,
            format!(
                "the Platform {} does not serve {kind} ({}), or does not let it be listed: {remedy}",
                inputs.platform.metadata.name.as_deref().unwrap_or_default(),
                kind.api_version()
            ),
        )),
    }
}

/// Is the application run by somebody else?
pub fn is_external(snapshot: &Snapshot<'_>) -> bool {
    snapshot.application.is_some_and(|application| application.spec.tenancy == Tenancy::External)
}
