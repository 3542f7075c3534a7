//! What do people ask for? The operator's own kinds, followed and kept.

use crate::{
    apply::explained,
    children::InstanceRef,
    config::Config,
    health::{WatchState, Watches},
};
use futures::{Stream, StreamExt as _, TryStreamExt as _, future::join_all};
use gotocloud_api::{
    Application, Approval, Campaign, ChangeFreeze, ChangeFreezeSpec, Deferral, Establishment, Instance, Platform,
    Release,
};
use gotocloud_planner::{
    campaign::{approvals::with_approvals, ownership},
    concern, fingerprint, inputs,
    path::Graph,
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, Lookup, ObjectRef, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Debug,
    future::Future,
    hash::Hash,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::mpsc::UnboundedSender;

/// The operator's own kinds.
pub struct Catalogue {
    /// All Applications.
    pub applications: Store<Application>,
    /// All Releases.
    pub releases: Store<Release>,
    /// All Platforms.
    pub platforms: Store<Platform>,
    /// All Establishments.
    pub establishments: Store<Establishment>,
    /// All Instances.
    pub instances: Store<Instance>,
    /// All Campaigns.
    pub campaigns: Store<Campaign>,
    /// All freezes.
    pub freezes: Store<ChangeFreeze>,
    /// All Approvals.
    pub approvals: Store<Approval>,
    /// All Deferrals.
    pub deferrals: Store<Deferral>,
    by_establishment: Mutex<HashMap<String, BTreeSet<InstanceRef>>>,
    /// The members of each as they were when its last change was told.
    members: Mutex<HashMap<String, BTreeSet<String>>>,
}

/// What changed in the catalogue.
#[derive(Clone, Debug)]
pub enum Change {
    /// An Instance: its spec, its metadata or its status.
    Instance(InstanceRef),
    /// What the Instances of an establishment need to know of each other.
    Neighbours(String),
    /// An Application's spec.
    Application(String),
    /// A Release's spec.
    Release(String),
    /// A Platform's spec or annotations.
    Platform(String),
    /// An Establishment's spec.
    Establishment(String),
    /// An Instance that had, or waited for, a place on a Platform is gone.
    Place(String),
    /// A Campaign's spec.
    Campaign(String),
    /// A freeze, or a deferral: when something may change.
    Calendar,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Catalogue {
    /// The catalogue, and the work that keeps it up to date and sends what changes to `changed`.
    pub fn follow(
        client: &Client,
        config: &Config,
        watches: &Watches,
        changed: &UnboundedSender<Change>,
    ) -> (Arc<Self>, Vec<Task>) {
        let (applications, w1) = reflector::store();
        let (releases, w2) = reflector::store();
        let (platforms, w3) = reflector::store();
        let (establishments, w4) = reflector::store();
        let (instances, w5) = reflector::store();
        let (campaigns, w6) = reflector::store();
        let (freezes, w7) = reflector::store();
        let (deferrals, w8) = reflector::store();
        let (approvals, w9) = reflector::store();
        let catalogue = Arc::new(Self {
            applications,
            releases,
            platforms,
            establishments,
            instances,
            campaigns,
            freezes,
            deferrals,
            approvals,
            by_establishment: Mutex::default(),
            members: Mutex::default(),
        });

        let tasks: Vec<Task> = vec![
            Box::pin(specs(client, w1, watches, changed, Change::Application)),
            Box::pin(specs(client, w2, watches, changed, Change::Release)),
            Box::pin(specs(client, w3, watches, changed, Change::Platform)),
            Box::pin(specs(client, w4, watches, changed, Change::Establishment)),
            Box::pin(specs(client, w6, watches, changed, Change::Campaign)),
            // Whichever Campaign it names: all of them are looked at.
            Box::pin(specs(client, w9, watches, changed, Change::Campaign)),
            Box::pin(specs(client, w7, watches, changed, |_| Change::Calendar)),
            Box::pin(specs(client, w8, watches, changed, |_| Change::Calendar)),
            Box::pin(follow_instances(client, config.clone(), w5, watches, changed, Arc::clone(&catalogue))),
        ];

        (catalogue, tasks)
    }

    /// Waits until everything was listed once.
    pub async fn ready(&self) {
        // A store whose writer is gone never gets ready; then the process ends anyway.
        let waits: Vec<Pin<Box<dyn Future<Output = bool> + Send + '_>>> = vec![
            Box::pin(async { self.applications.wait_until_ready().await.is_ok() }),
            Box::pin(async { self.releases.wait_until_ready().await.is_ok() }),
            Box::pin(async { self.platforms.wait_until_ready().await.is_ok() }),
            Box::pin(async { self.establishments.wait_until_ready().await.is_ok() }),
            Box::pin(async { self.instances.wait_until_ready().await.is_ok() }),
            Box::pin(async { self.campaigns.wait_until_ready().await.is_ok() }),
            Box::pin(async { self.freezes.wait_until_ready().await.is_ok() }),
            Box::pin(async { self.deferrals.wait_until_ready().await.is_ok() }),
            Box::pin(async { self.approvals.wait_until_ready().await.is_ok() }),
        ];
        join_all(waits).await;
    }

    /// All Campaigns, with the words that were given for their waves.
    pub fn campaigns(&self) -> Vec<Arc<Campaign>> {
        let approvals = self.approvals.state();
        self.campaigns.state().iter().map(|campaign| with_approvals(campaign, &approvals)).collect()
    }

    /// The Campaign of that name, with the words that were given for its waves.
    pub fn campaign(&self, name: &str) -> Option<Arc<Campaign>> {
        let campaign = self.campaigns.get(&ObjectRef::new(name))?;
        Some(with_approvals(&campaign, &self.approvals.state()))
    }

    /// The Instance of that name.
    pub fn instance(&self, instance: &InstanceRef) -> Option<Arc<Instance>> {
        self.instances.get(&ObjectRef::new(&instance.name).within(&instance.namespace))
    }

    /// The Instances of an establishment.
    pub fn of_establishment(&self, establishment: &str) -> Vec<Arc<Instance>> {
        let references: Vec<_> = {
            let index = self.by_establishment.lock().unwrap_or_else(PoisonError::into_inner);
            index.get(establishment).into_iter().flatten().cloned().collect()
        };
        references.iter().filter_map(|reference| self.instance(reference)).collect()
    }

    /// What the other applications of an Instance's establishment run, in the same environment: versions by application.
    pub fn running_beside(&self, instance: &Instance) -> BTreeMap<String, String> {
        let me = reference(instance);
        self.of_establishment(&instance.spec.establishment)
            .into_iter()
            .filter(|other| reference(other) != me && other.spec.environment == instance.spec.environment)
            .filter_map(|other| {
                let version = other.status.as_ref()?.release.as_ref()?.version.clone();
                Some((other.spec.application.clone(), version))
            })
            .collect()
    }

    /// All freezes, by name.
    pub fn freezes(&self) -> Vec<(String, ChangeFreezeSpec)> {
        let mut freezes: Vec<_> = self.freezes.state().iter().map(|one| (one.name_any(), one.spec.clone())).collect();
        freezes.sort_by(|(a, _), (b, _)| a.cmp(b));
        freezes
    }

    /// The releases of an application, and which is reached from which.
    pub fn graph(&self, application: &str) -> Graph {
        let releases = self.releases.state();
        Graph::new(releases.iter().filter(|one| one.spec.application == application).map(AsRef::as_ref))
    }

    /// The members of a grouping; none of what is no grouping.
    fn members(&self, establishment: &str) -> BTreeSet<String> {
        let grouping =
            self.establishments.get(&ObjectRef::new(establishment)).and_then(|one| one.spec.grouping.clone());
        grouping.into_iter().flat_map(|grouping| grouping.members).map(|member| member.name).collect()
    }

    /// The Instances that a change, told once, may concern.
    pub fn concerned(&self, change: &Change) -> Vec<InstanceRef> {
        let having = |matches: &dyn Fn(&Instance) -> bool| -> Vec<InstanceRef> {
            self.instances.state().iter().filter(|one| matches(one)).map(|one| reference(one)).collect()
        };
        let of = |one: &Instance| self.establishments.get(&ObjectRef::new(&one.spec.establishment));

        match change {
            Change::Instance(instance) => vec![instance.clone()],
            Change::Neighbours(name) => self.of_establishment(name).iter().map(|one| reference(one)).collect(),
            // Its neighbours too: by its interfaces, flows are open on their side as well.
            Change::Application(name) => {
                let mut concerned = BTreeSet::new();
                for one in having(&|one| one.spec.application == *name) {
                    let establishment =
                        self.instance(&one).map(|one| one.spec.establishment.clone()).unwrap_or_default();
                    concerned.extend(self.of_establishment(&establishment).iter().map(|one| reference(one)));
                    concerned.insert(one);
                }
                concerned.into_iter().collect()
            }
            Change::Release(name) => having(&|one| concern::by_release(one, name)),
            Change::Platform(name) => having(&|one| concern::by_platform(one, of(one).as_deref(), name)),
            Change::Place(name) => having(&|one| concern::by_place(one, of(one).as_deref(), name)),
            Change::Campaign(name) => having(&|one| concern::by_campaign(one, name)),
            Change::Calendar => having(&concern::by_calendar),
            // Its members too, whom it may group, and those it no longer has.
            Change::Establishment(name) => {
                let present = self.members(name);
                let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
                let former = members.remove(name).unwrap_or_default();
                if !present.is_empty() {
                    members.insert(name.clone(), present.clone());
                }
                drop(members);

                let names = present.union(&former).map(String::as_str).chain([name.as_str()]);
                names.flat_map(|name| self.of_establishment(name)).map(|one| reference(&one)).collect()
            }
        }
    }
}

/// Which Instance it is.
pub fn reference(instance: &Instance) -> InstanceRef {
    InstanceRef::new(instance.metadata.namespace.as_deref().unwrap_or_default(), inputs::name_of(instance))
}

/// Follows a kind, and tells when what a person wrote in one of its objects changes; its status alone tells nothing.
fn specs<K>(
    client: &Client,
    writer: reflector::store::Writer<K>,
    watches: &Watches,
    changed: &UnboundedSender<Change>,
    change: fn(String) -> Change,
) -> impl Future<Output = ()> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Lookup<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let stream = objects(Api::<K>::all(client.clone()), |_| true, writer, watches.clone());
    let changed = changed.clone();

    async move {
        let mut known: HashMap<String, String> = HashMap::new();
        let mut stream = std::pin::pin!(stream);

        while let Some((object, is_gone)) = stream.next().await {
            let name = object.name_any();
            let written = fingerprint::of(&(
                object.meta().generation,
                object.labels(),
                object.annotations(),
                object.uid(),
                is_gone,
            ));

            if known.insert(name.clone(), written.clone()) != Some(written) {
                // Nobody listens any more only while the process ends.
                let _ = changed.send(change(name));
            }
        }
    }
}

/// Follows the Instances of the hubs; tells of each change, and of those that their neighbours need to know of.
fn follow_instances(
    client: &Client,
    config: Config,
    writer: reflector::store::Writer<Instance>,
    watches: &Watches,
    changed: &UnboundedSender<Change>,
    catalogue: Arc<Catalogue>,
) -> impl Future<Output = ()> + Send + use<> {
    let is_in_a_hub = move |one: &Instance| config.is_hub(one.metadata.namespace.as_deref().unwrap_or_default());
    let stream = objects(Api::<Instance>::all(client.clone()), is_in_a_hub, writer, watches.clone());
    let changed = changed.clone();

    async move {
        let mut known: HashMap<InstanceRef, String> = HashMap::new();
        let mut stream = std::pin::pin!(stream);

        while let Some((instance, is_gone)) = stream.next().await {
            let who = reference(&instance);
            let establishment = instance.spec.establishment.clone();
            {
                let mut index = catalogue.by_establishment.lock().unwrap_or_else(PoisonError::into_inner);
                let neighbours = index.entry(establishment.clone()).or_default();
                if is_gone {
                    neighbours.remove(&who);
                } else {
                    neighbours.insert(who.clone());
                }
            }

            let told = instance.status.as_ref().map(|status| (&status.endpoints, &status.namespace, &status.release));
            let told = fingerprint::of(&(&instance.spec.application, instance.spec.environment, told, is_gone));
            let _ = changed.send(Change::Instance(who.clone()));

            if is_gone {
                known.remove(&who);
                let of = catalogue.establishments.get(&ObjectRef::new(&establishment));
                if let Some(platform) = inputs::platform_name(&instance, of.as_deref()) {
                    let _ = changed.send(Change::Place(platform.to_owned()));
                }
                let _ = changed.send(Change::Neighbours(establishment));
            } else if known.insert(who, told.clone()).is_some_and(|before| before != told) {
                let _ = changed.send(Change::Neighbours(establishment));
            }
        }
    }
}

/// The objects of a kind that came, changed or, where true, went, after that went into its store. Those that do not count,
/// and what nothing decides by, are left out of it.
fn objects<K>(
    api: Api<K>,
    counts: impl Fn(&K) -> bool + Send + 'static,
    writer: reflector::store::Writer<K>,
    watches: Watches,
) -> impl Stream<Item = (K, bool)> + Send
where
    K: Resource<DynamicType = ()> + Lookup<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone,
{
    let kind = <K as Resource>::kind(&()).into_owned();
    watches.set(&kind, WatchState::Starting);

    let mut synced = false;
    let store = writer.as_reader();
    let mut relist = Relist::default();

    watcher::watcher(api, watcher::Config::default())
        .default_backoff()
        .try_filter(move |event| futures::future::ready(object_of(event).is_none_or(&counts)))
        .modify(|object| {
            ownership::keep_what_decides(object.managed_fields_mut());
            ownership::keep_words(object.annotations_mut());
        })
        .reflect(writer)
        .filter_map(move |event| {
            let event = match event {
                Ok(event) => {
                    synced |= matches!(event, watcher::Event::InitDone);
                    watches.set(&kind, if synced { WatchState::Following } else { WatchState::Starting });
                    Some(event)
                }
                Err(error) => {
                    tracing::warn!(%kind, error = explained(&error), "watch failed; it is tried again");
                    watches.set(&kind, if synced { WatchState::Failing } else { WatchState::Starting });
                    None
                }
            };
            futures::future::ready(event)
        })
        .flat_map(move |event| futures::stream::iter(relist.changes(event, || store.state())))
}

/// The object that an event is about.
fn object_of<K>(event: &watcher::Event<K>) -> Option<&K> {
    match event {
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) | watcher::Event::Delete(object) => {
            Some(object)
        }
        watcher::Event::Init | watcher::Event::InitDone => None,
    }
}

/// A watch that lost its place lists everything anew, and says of nothing that it went meanwhile.
struct Relist<K: Lookup> {
    /// What was there before, and has not been listed yet.
    unlisted: HashMap<ObjectRef<K>, Arc<K>>,
}

impl<K: Lookup<DynamicType: Default + Eq + Hash>> Default for Relist<K> {
    fn default() -> Self {
        Self { unlisted: HashMap::new() }
    }
}

impl<K: Lookup<DynamicType: Default + Eq + Hash + Clone> + Clone> Relist<K> {
    /// What an event says: the objects that came, changed or, where true, went, given what was there `before` it.
    fn changes(&mut self, event: watcher::Event<K>, before: impl FnOnce() -> Vec<Arc<K>>) -> Vec<(K, bool)> {
        match event {
            watcher::Event::Apply(object) => vec![(object, false)],
            watcher::Event::Delete(object) => vec![(object, true)],
            watcher::Event::Init => {
                self.unlisted = before().into_iter().map(|one| (ObjectRef::from_obj(&*one), one)).collect();
                Vec::new()
            }
            watcher::Event::InitApply(object) => {
                self.unlisted.remove(&ObjectRef::from_obj(&object));
                vec![(object, false)]
            }
            watcher::Event::InitDone => {
                std::mem::take(&mut self.unlisted).into_values().map(|one| (K::clone(&one), true)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::watcher::Event;

    fn named(name: &str) -> Instance {
        let spec = serde_json::json!({"application": "app", "establishment": "etab", "size": "S"});
        Instance::new(name, serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn what_went_while_a_watch_had_lost_its_place_is_told() {
        let mut relist = Relist::default();
        let mut told = |event: Event<Instance>, before: &[&str]| -> Vec<(String, bool)> {
            let before = || before.iter().map(|name| Arc::new(named(name))).collect();
            relist.changes(event, before).into_iter().map(|(one, is_gone)| (one.name_any(), is_gone)).collect()
        };
        assert_eq!(told(Event::Init, &[]), []);
        assert_eq!(told(Event::InitApply(named("a")), &[]), [("a".into(), false)]);
        assert_eq!(told(Event::InitDone, &[]), []);
        assert_eq!(told(Event::Apply(named("b")), &[]), [("b".into(), false)]);
        assert_eq!(told(Event::Init, &["a", "b"]), []);
        assert_eq!(told(Event::InitApply(named("b")), &[]), [("b".into(), false)]);
        assert_eq!(told(Event::InitDone, &[]), [("a".into(), true)]);
        assert_eq!(told(Event::Init, &["b"]), []);
        assert_eq!(told(Event::InitApply(named("b")), &[]), [("b".into(), false)]);
        assert_eq!(told(Event::InitDone, &[]), [], "once");
        assert_eq!(told(Event::Delete(named("b")), &[]), [("b".into(), true)]);
    }
}
