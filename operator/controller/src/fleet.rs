//! When are the catalogue's own statuses written? When no Instance is worked on and nothing has changed for a second;
//! every half a minute while that is not so, those of Establishments, of which there are as many as Instances, every five;
//! and only those that changed.

use crate::{
    catalogue::{Catalogue, Change},
    children::Children,
    metrics::Metrics,
    reconcile::Context,
};
use gotocloud_api::{Deferral, Instance, names, platform::RetainedData};
use gotocloud_planner::{fleet, inputs};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    core::ClusterResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::mpsc::UnboundedReceiver;

/// How long nothing must have changed before the statuses are written.
const QUIET: Duration = Duration::from_secs(1);
/// How often Platforms are looked at all the same: what the cluster serves, and which namespaces keep data, change
/// without a word.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The longest they wait for that, while a whole fleet changes.
const AT_LATEST: Duration = Duration::from_secs(30);
/// The longest that Establishments wait for it.
const ESTABLISHMENTS_AT_LATEST: Duration = Duration::from_mins(5);

/// What may have to be written anew.
#[derive(Default)]
pub struct Dirty {
    applications: BTreeSet<String>,
    releases: BTreeSet<String>,
    platforms: BTreeSet<String>,
    establishments: BTreeSet<String>,
    freezes: bool,
    /// Approvals and Deferrals: whichever names what changed.
    words: bool,
    everything: bool,
}

impl Dirty {
    /// Notes whom a change concerns.
    pub fn mark(&mut self, change: &Change, catalogue: &Catalogue) {
        match change {
            Change::Neighbours(_) | Change::Place(_) => {}
            Change::Campaign(_) => self.words = true,
            Change::Calendar => {
                self.freezes = true;
                self.words = true;
            }
            // Others may name what came, or went.
            Change::Application(_) => {
                self.applications.extend(catalogue.applications.state().iter().map(|one| one.name_any()));
                self.releases.extend(catalogue.releases.state().iter().map(|one| one.name_any()));
                let establishments = catalogue.establishments.state();
                let groupings = establishments.iter().filter(|one| one.spec.grouping.is_some());
                self.establishments.extend(groupings.map(|one| one.name_any()));
                self.freezes = true;
            }
            Change::Release(_) => {
                self.releases.extend(catalogue.releases.state().iter().map(|one| one.name_any()));
                self.freezes = true;
                self.words = true;
            }
            Change::Platform(name) => {
                self.platforms.insert(name.clone());
                let establishments = catalogue.establishments.state();
                let at_home = establishments.iter().filter(|one| one.spec.home_platform.as_ref() == Some(name));
                self.establishments.extend(at_home.map(|one| one.name_any()));
            }
            Change::Establishment(_) => {
                self.establishments.extend(catalogue.establishments.state().iter().map(|one| one.name_any()));
                self.freezes = true;
                self.words = true;
            }
            Change::Instance(instance) => match catalogue.instance(instance) {
                // What it was counted for is no longer known.
                None => self.everything = true,
                Some(instance) => {
                    self.applications.insert(instance.spec.application.clone());
                    self.establishments.insert(instance.spec.establishment.clone());
                    self.releases.extend(inputs::release_name(&instance).map(str::to_owned));

                    let running = instance.status.as_ref().and_then(|status| status.release.as_ref());
                    self.releases.extend(running.map(|release| release.name.clone()));

                    self.platforms.extend(inputs::placed_on(&instance).map(str::to_owned));
                }
            },
        }
    }

    /// Takes out what is to be written now: of a fleet that changes as a whole, Establishments only where they waited long.
    fn due(&mut self, is_quiet: bool, waited: Duration) -> Self {
        let mut due = std::mem::take(self);
        if !is_quiet && waited < ESTABLISHMENTS_AT_LATEST && !due.everything {
            self.establishments = std::mem::take(&mut due.establishments);
        }
        due
    }

    fn is_empty(&self) -> bool {
        !self.everything
            && !self.freezes
            && !self.words
            && self.applications.is_empty()
            && self.releases.is_empty()
            && self.platforms.is_empty()
            && self.establishments.is_empty()
    }
}

/// What the statuses are computed from, and where they go.
pub struct Fleet {
    /// The API server.
    pub client: Client,
    /// What people ask for.
    pub catalogue: Arc<Catalogue>,
    /// What is known of the objects.
    pub children: Arc<Children>,
    /// What is counted.
    pub metrics: Metrics,
}

impl Fleet {
    /// What writes the statuses of what a context knows.
    pub fn of(client: Client, context: &Context) -> Self {
        let cluster = &context.executor.cluster;
        let catalogue = Arc::clone(&context.catalogue);
        Self { client, catalogue, children: Arc::clone(&cluster.children), metrics: cluster.metrics.clone() }
    }

    /// Writes what changed, each time something may have, until `changes` has no more senders.
    pub async fn run(self, mut changes: UnboundedReceiver<Change>, context: Arc<Context>) {
        // What changed before anybody listened.
        let mut dirty = Dirty { everything: true, ..Dirty::default() };
        let mut looked = tokio::time::Instant::now();
        let mut complete = tokio::time::Instant::now();

        loop {
            match tokio::time::timeout_at(looked + LOOK_AGAIN, changes.recv()).await {
                Ok(None) => return,
                Ok(Some(change)) => dirty.mark(&change, &self.catalogue),
                Err(_) => {}
            }
            if looked.elapsed() >= LOOK_AGAIN {
                looked = tokio::time::Instant::now();
                dirty.platforms.extend(self.catalogue.platforms.state().iter().map(|one| one.name_any()));
                // A freeze begins and ends without a word, too.
                dirty.freezes = true;
            }
            if dirty.is_empty() {
                complete = tokio::time::Instant::now();
            }
            let at_latest = tokio::time::Instant::now() + AT_LATEST;
            let mut is_quiet = false;
            while !is_quiet && tokio::time::Instant::now() < at_latest {
                match tokio::time::timeout(QUIET, changes.recv()).await {
                    Ok(Some(change)) => dirty.mark(&change, &self.catalogue),
                    Ok(None) => return,
                    Err(_) => is_quiet = context.active.load(Ordering::Relaxed) == 0,
                }
            }
            let due = dirty.due(is_quiet, complete.elapsed());
            if dirty.is_empty() {
                complete = tokio::time::Instant::now();
            }
            if !due.is_empty() {
                dirty.everything |= !self.write(&due, &context).await;
            }
        }
    }

    /// Writes what changed; false where a status could not be written.
    async fn write(&self, dirty: &Dirty, context: &Context) -> bool {
        let mut is_done = true;
        let instances = self.catalogue.instances.state();
        self.count(&instances);
        let (now, served) = (context.clock.now(), context.served());
        let concerned = |names: &BTreeSet<String>, name: &str| dirty.everything || names.contains(name);

        let applications = self.catalogue.applications.state();
        let releases = self.catalogue.releases.state();
        let platforms = self.catalogue.platforms.state();
        let establishments = self.catalogue.establishments.state();
        let campaigns = self.catalogue.campaigns.state();
        let known = fleet::Known {
            applications: by_name(&applications),
            releases: by_name(&releases),
            platforms: by_name(&platforms),
            establishments: by_name(&establishments),
            campaigns: by_name(&campaigns),
        };

        for one in &applications {
            let name = one.name_any();
            if concerned(&dirty.applications, &name) {
                let of_it = instances.iter().filter(|instance| instance.spec.application == name).map(AsRef::as_ref);
                let status = fleet::application(one, of_it, &known, now);
                is_done &= self.patch(&**one, one.status.as_ref() == Some(&status), &status).await;
            }
        }

        for one in &releases {
            let name = one.name_any();
            if concerned(&dirty.releases, &name) {
                let of_it = instances.iter().filter(|instance| instance.spec.application == one.spec.application);
                let status = fleet::release(one, of_it.map(AsRef::as_ref), &known, now);
                is_done &= self.patch(&**one, one.status.as_ref() == Some(&status), &status).await;
            }
        }

        for one in &platforms {
            let name = one.name_any();
            if concerned(&dirty.platforms, &name) {
                let missing = fleet::missing_apis(one, &served);
                let status =
                    fleet::platform(one, instances.iter().map(AsRef::as_ref), self.retained(&name), &missing, now);
                is_done &= self.patch(&**one, one.status.as_ref() == Some(&status), &status).await;
            }
        }

        if dirty.everything || dirty.freezes {
            let zones: BTreeSet<&str> = establishments.iter().map(|one| one.spec.time_zone.as_str()).collect();
            for one in self.catalogue.freezes.state() {
                let status = fleet::freeze(&one, zones.iter().copied(), &known, now);
                is_done &= self.patch(&*one, one.status.as_ref() == Some(&status), &status).await;
            }
        }

        if dirty.everything || dirty.words {
            for one in self.catalogue.approvals.state() {
                let status = fleet::approval(&one, &known, now);
                is_done &= self.patch(&*one, one.status.as_ref() == Some(&status), &status).await;
            }
            for one in self.catalogue.deferrals.state() {
                let status = fleet::deferral(&one, &known, now);
                let namespace = one.namespace().unwrap_or_default();
                let api = Api::<Deferral>::namespaced(self.client.clone(), &namespace);
                is_done &= self.patch_by(api, &*one, one.status.as_ref() == Some(&status), &status).await;
            }
        }

        for one in &establishments {
            let name = one.name_any();
            if concerned(&dirty.establishments, &name) {
                let of_it = self.catalogue.of_establishment(&name);
                let status = fleet::establishment(one, of_it.iter().map(AsRef::as_ref), &known, now);
                is_done &= self.patch(&**one, one.status.as_ref() == Some(&status), &status).await;
            }
        }

        is_done
    }

    /// Writes the status of an object that is in no namespace, as [`Self::patch_by`] does.
    async fn patch<K>(&self, of: &K, is_same: bool, status: &impl Serialize) -> bool
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + DeserializeOwned,
    {
        self.patch_by(Api::all(self.client.clone()), of, is_same, status).await
    }

    /// Writes a status over the object that it was computed from; false if that has to be done again.
    async fn patch_by<K>(&self, api: Api<K>, of: &K, is_same: bool, status: &impl Serialize) -> bool
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        if is_same {
            return true;
        }

        let (kind, name) = (K::kind(&()), of.name_any());
        let metadata = json!({"name": name, "resourceVersion": of.meta().resource_version});
        let manifest = json!({"apiVersion": K::api_version(&()), "kind": kind, "metadata": metadata, "status": status});
        self.metrics.writes.with_label_values(&["patch", &format!("{kind}/status")]).inc();
        let parameters = PatchParams::apply(names::FIELD_MANAGER).force();
        match api.patch_status(&name, &parameters, &Patch::Apply(&manifest)).await {
            Ok(_) => true,
            Err(kube::Error::Api(status)) if status.code == 404 => true,
            // It changed since: the watch shows how.
            Err(kube::Error::Api(status)) if status.code == 409 => false,
            Err(error) => {
                tracing::warn!(%kind, name, %error, "a status was not written; it is tried again");
                false
            }
        }
    }

    fn retained(&self, platform: &str) -> Vec<RetainedData> {
        let kept = self.children.retained().into_iter();
        kept.filter_map(|(namespace, record)| {
            let (since, data, on) = record.retained?;
            (on == platform).then(|| RetainedData { instance: record.owner.to_string(), namespace, since, data })
        })
        .collect()
    }

    fn count(&self, instances: &[Arc<Instance>]) {
        let mut counts: BTreeMap<(String, String, bool), i64> = BTreeMap::new();
        for instance in instances {
            let key = (instance.spec.application.clone(), instance.spec.stage.to_string(), fleet::is_ready(instance));
            *counts.entry(key).or_default() += 1;
        }
        self.metrics.instances.reset();
        for ((application, stage, ready), count) in counts {
            self.metrics
                .instances
                .with_label_values(&[application.as_str(), stage.as_str(), if ready { "true" } else { "false" }])
                .set(count);
        }
        self.metrics.objects.set(i64::try_from(self.children.count()).unwrap_or(i64::MAX));
    }
}

/// The objects of a kind that is not namespaced, by name.
fn by_name<K: Resource>(all: &[Arc<K>]) -> BTreeMap<&str, &K> {
    all.iter().map(|one| (one.meta().name.as_deref().unwrap_or_default(), &**one)).collect()
}
