//! How do the parts run together, and how do they stop?

use crate::{
    apply::Cluster,
    campaigns::Runner,
    catalogue::{Catalogue, Change},
    children::{Children, InstanceRef},
    clock::Clock,
    config::Config,
    database::Servers,
    decided::Decided,
    discovery,
    execute::Executor,
    fleet::Fleet,
    gates::Gatekeeper,
    guard::{self, Guard},
    health::{self, WatchState, Watches},
    lease::Election,
    looking,
    metrics::Metrics,
    reconcile::{Context, Memory, reconcile},
    telemetry::look_at,
    watching,
};
use futures::{FutureExt as _, StreamExt as _, stream};
use gotocloud_api::{Instance, names};
use gotocloud_planner::{Kind, snapshot::OperatorIdentity};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    runtime::{
        applier, controller,
        controller::Action,
        events::{Recorder, Reporter},
        reflector::ObjectRef,
    },
};
use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::AtomicUsize},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        watch,
    },
    task::{AbortHandle, JoinSet},
};
use tracing::Instrument as _;

/// How long edits of one Instance are gathered before they are acted on.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// How often the cluster is asked which optional APIs it serves.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(30);
/// How soon the cluster's id is asked for again: nothing is done without it.
const INSTALLATION_RETRY: Duration = Duration::from_secs(2);
/// How often it is looked whether one of them has been listed by now.
const LISTED_INTERVAL: Duration = Duration::from_secs(1);
/// How long the first lists of optional APIs are waited for before all else begins.
const OPTIONAL_PATIENCE: Duration = Duration::from_secs(10);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The process could not go on.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("no cluster is configured: give a kubeconfig by KUBECONFIG, or run in a pod with a service account ({0})")]
    NoCluster(#[source] kube::config::InferConfigError),
    #[error("the cluster's configuration cannot be used: {0}")]
    BadCluster(#[source] kube::Error),
    #[error("{0} cannot be listened on: {1}; choose another with --listen")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    #[error("nothing asks for the Lease any more: report this as a bug")]
    ElectionEnded,
}

/// Runs until told to stop by SIGTERM or SIGINT: what is in hand is finished, and the Lease given back.
pub async fn run(config: Config) -> Result<(), Error> {
    let stop = stop_signal()?;
    let metrics = Metrics::new()?;
    let watches = Watches::default();
    let kube_config = kube::Config::infer().await.map_err(Stop::NoCluster)?;

    let guard = if config.leader_election { Guard::closed() } else { Guard::open() };
    let me = config
        .pod_name
        .clone()
        .unwrap_or_else(|| format!("process-{}-{:08x}", std::process::id(), rand::random::<u32>()));
    let client = guard::client(kube_config.clone(), &guard, &me).map_err(Stop::BadCluster)?;

    let decided = Decided::default();
    let (of_watches, of_decisions) = (watches.clone(), decided.clone());
    let server = health::serve(config.listen, of_watches, of_decisions, metrics.clone(), stopped(stop.clone()));
    let listen = config.listen;
    let mut server = tokio::spawn(server);
    let process = Process { config, client, watches, decided, metrics, guard };
    let acting = async {
        if process.config.leader_election {
            process.act_in_turn(kube_config, me, stop.clone()).await
        } else {
            process.metrics.leader.set(1);
            tokio::select! {
                work = process.begin() => work.lead(stop.clone()).await,
                () = stopped(stop.clone()) => {}
            }
            Ok(())
        }
    };
    tokio::pin!(acting);
    tokio::select! {
        result = &mut acting => return result,
        result = &mut server => match result? {
            Ok(()) => {}
            Err(error) => return Err(Stop::Listen(listen, error).into()),
        },
    }
    acting.await
}

/// What the process has from its start to its end.
struct Process {
    config: Config,
    client: Client,
    watches: Watches,
    decided: Decided,
    metrics: Metrics,
    guard: Guard,
}

impl Process {
    /// Acts whenever this process holds the Lease, until told to stop. What it watches, it watches from its first term to
    /// its end: to lose the Lease and win it again costs no new start.
    async fn act_in_turn(
        &self,
        kube_config: kube::Config,
        me: String,
        stop: watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let election = Election::join(kube_config, self.config.namespace.clone(), me.clone(), self.guard.clone())?;
        let mut terms = election.term.clone();
        let mut work: Option<Work> = None;
        loop {
            let term = tokio::select! {
                term = terms.wait_for(Option::is_some) => *term.map_err(|_| Stop::ElectionEnded)?,
                () = stopped(stop.clone()) => break,
            };
            tracing::info!(me, "holds the Lease: acting");
            self.metrics.leader.set(1);

            let work = if let Some(work) = &mut work {
                work
            } else {
                tokio::select! {
                    begun = self.begin() => work.insert(begun),
                    () = stopped(stop.clone()) => break,
                }
            };
            let is_told_to_stop = tokio::select! {
                () = work.lead(stop.clone()) => true,
                _ = terms.wait_for(|now| *now != term) => false,
            };
            self.metrics.leader.set(0);
            if is_told_to_stop {
                break;
            }
            tracing::warn!(
                "the Lease was lost: it could not be renewed in time, or another process acts now; standing by"
            );
        }
        election.leave().await;
        Ok(())
    }

    /// Begins to watch.
    async fn begin(&self) -> Work {
        let mut tasks = JoinSet::new();
        let (tell, changes) = unbounded_channel();
        let (queue, wanted) = unbounded_channel();
        let children = Arc::new(Children::default());
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_watched() && !kind.is_optional()) {
            self.watches.set(kind.name(), WatchState::Starting);
            let follow =
                watching::follow(self.client.clone(), kind, Arc::clone(&children), self.watches.clone(), queue.clone());
            tasks.spawn(follow);
        }
        let (catalogue, following) = Catalogue::follow(&self.client, &self.config, &self.watches, &tell);
        for task in following {
            tasks.spawn(task);
        }

        let installation = installation(&self.client).await;
        let context = Arc::new(self.context(Arc::clone(&catalogue), Arc::clone(&children), installation));
        let follower = Arc::new(Follower {
            client: self.client.clone(),
            context: Arc::clone(&context),
            watches: self.watches.clone(),
            queue,
            followed: Mutex::default(),
        });
        follower.discover().await;
        let looking = Arc::clone(&follower);
        tasks.spawn(async move { looking.keep_looking().await });

        let listeners = Arc::new(Listeners::default());
        tasks.spawn(route(changes, Arc::clone(&context), Arc::clone(&listeners)));
        tasks.spawn(pass_on(wanted, Arc::clone(&listeners)));
        Work { client: self.client.clone(), watches: self.watches.clone(), context, listeners, follower, _tasks: tasks }
    }

    fn context(&self, catalogue: Arc<Catalogue>, children: Arc<Children>, installation: String) -> Context {
        let config = &self.config;
        let service_account = config.service_account.clone().map(|name| (config.namespace.clone(), name));
        let instance_cluster_role = config.binding_cluster_role.clone();
        let operator = OperatorIdentity { service_account, instance_cluster_role, installation };
        let cluster =
            Cluster { client: self.client.clone(), children, metrics: self.metrics.clone(), guard: self.guard.clone() };
        Context {
            catalogue,
            executor: Executor {
                cluster,
                servers: Servers::new(config.concurrency.into()),
                namespace: config.namespace.clone(),
            },
            served: RwLock::default(),
            operator: Arc::new(operator),
            removal_limit_percent: config.removal_limit_percent.into(),
            active: AtomicUsize::new(0),
            concurrency: config.concurrency.into(),
            recorder: Recorder::new(
                self.client.clone(),
                Reporter { controller: names::FIELD_MANAGER.into(), instance: config.pod_name.clone() },
            ),
            memory: Mutex::new(Memory::default()),
            gates: Gatekeeper::default(),
            watches: self.watches.clone(),
            decided: self.decided.clone(),
            clock: config.clock_file.clone().map_or(Clock::Machine, Clock::File),
        }
    }
}

/// What this process sees, kept up whether it leads or not.
struct Work {
    client: Client,
    watches: Watches,
    context: Arc<Context>,
    listeners: Arc<Listeners>,
    follower: Arc<Follower>,
    _tasks: JoinSet<()>,
}

/// Who is told of changes: what this process does while it leads, and nobody while it stands by.
#[derive(Default)]
struct Listeners(Mutex<Option<Term>>);

/// Where the changes go during one term.
struct Term {
    queue: UnboundedSender<InstanceRef>,
    fleet: UnboundedSender<Change>,
    campaigns: UnboundedSender<Change>,
}

impl Listeners {
    fn set(&self, term: Option<Term>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = term;
    }

    /// Tells whoever listens. That somebody does not any more is so only while a term ends.
    fn tell(&self, tell: impl FnOnce(&Term)) {
        if let Some(term) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            tell(term);
        }
    }
}

impl Work {
    /// Plans and applies until told to stop; returns once what was in hand is finished. To drop it ends the term at once:
    /// nothing is carried over to the next but what the watches show.
    async fn lead(&self, stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        let (queue, wanted) = unbounded_channel();
        let (fleet, fleet_changes) = unbounded_channel();
        let (campaigns, campaign_changes) = unbounded_channel();
        self.listeners.set(Some(Term { queue: queue.clone(), fleet, campaigns }));
        self.context.begin_anew();

        let (context, catalogue) = (Arc::clone(&self.context), Arc::clone(&self.context.catalogue));
        let of_gates = queue.clone();
        tasks.spawn(looking::run(Arc::clone(&context), queue.clone()));
        tasks.spawn(async move { context.gates.run(catalogue, context.clock.clone(), of_gates).await });
        tasks.spawn(Fleet::of(self.client.clone(), &self.context).run(fleet_changes, Arc::clone(&self.context)));

        let stopping = stopped(stop);
        tokio::pin!(stopping);
        tokio::select! {
            () = synced(&self.watches, &self.context.catalogue) => {}
            () = &mut stopping => return,
        }
        self.follower.note_what_is_listed();
        // What changed while nobody listened.
        for instance in self.context.catalogue.instances.state() {
            let _ = queue.send(crate::catalogue::reference(&instance));
        }

        tasks.spawn(tell_the_time(Arc::clone(&self.context), Arc::clone(&self.listeners)));
        let catalogue = Arc::clone(&self.context.catalogue);
        let campaigns = Runner::new(self.client.clone(), catalogue, Arc::clone(&self.context));
        tasks.spawn(campaigns.run(campaign_changes));
        let queue = requests(wanted, Arc::clone(&self.context)).take_until(stopping);
        let concurrency = u16::try_from(self.context.concurrency).unwrap_or(u16::MAX);
        let config = controller::Config::default().concurrency(concurrency).debounce(DEBOUNCE);
        let reconciler = |instance: Arc<Instance>, context| {
            let span = look_at(&instance);
            reconcile(instance, context).instrument(span).boxed()
        };
        let on_error = |_: Arc<Instance>, error: &Infallible, _| -> Action { match *error {} };
        let instances = self.context.catalogue.instances.clone();
        applier(reconciler, on_error, Arc::clone(&self.context), instances, queue, config)
            .for_each(|_| std::future::ready(()))
            .await;
        self.listeners.set(None);
        tracing::info!("what was in hand is finished");
    }
}

/// Which installation this is, asked until it is told: the uid of the namespace `kube-system`, which lasts as long as its
/// cluster, whatever becomes of the chart.
async fn installation(client: &Client) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    loop {
        let answer = namespaces.get_metadata("kube-system").await;
        match answer.map(|namespace| namespace.metadata.uid) {
            Ok(Some(uid)) => return uid,
            Ok(None) => tracing::warn!("the namespace kube-system has no uid; it is asked again"),
            Err(error) => tracing::warn!(%error, "the namespace kube-system cannot be read; it is asked again"),
        }
        tokio::time::sleep(INSTALLATION_RETRY).await;
    }
}

/// Waits until every watch has listed everything once. Those of optional APIs are not waited for longer than a while: if
/// one cannot be listed, only what needs it waits for it.
async fn synced(watches: &Watches, catalogue: &Catalogue) {
    catalogue.ready().await;
    let optional: BTreeSet<&str> = Kind::ALL.iter().filter(|kind| kind.is_optional()).map(|kind| kind.name()).collect();
    let begun = tokio::time::Instant::now();
    loop {
        let starting = watches.starting();
        if starting.is_empty() {
            tracing::info!("all watches have seen everything");
            return;
        }
        let are_optional = starting.iter().all(|name| optional.contains(name.as_str()));
        if are_optional && begun.elapsed() > OPTIONAL_PATIENCE {
            tracing::warn!(?starting, "optional APIs cannot be listed: what needs them waits, all else goes on");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends each change to the Instances it concerns, to what counts the fleet and to what carries campaigns on.
async fn route(mut changes: UnboundedReceiver<Change>, context: Arc<Context>, listeners: Arc<Listeners>) {
    while let Some(change) = changes.recv().await {
        let concerned = context.catalogue.concerned(&change);
        for instance in concerned.iter().filter(|one| context.catalogue.instance(one).is_none()) {
            context.forget(instance);
        }
        listeners.tell(|term| {
            for instance in concerned {
                let _ = term.queue.send(instance);
            }
            let _ = term.fleet.send(change.clone());
            let _ = term.campaigns.send(change);
        });
    }
}

/// Passes on whose objects changed.
async fn pass_on(mut changed: UnboundedReceiver<InstanceRef>, listeners: Arc<Listeners>) {
    while let Some(instance) = changed.recv().await {
        listeners.tell(|term| drop(term.queue.send(instance)));
    }
}

/// Tells everybody each time the clock is set to another moment: time is a change like any other.
async fn tell_the_time(context: Arc<Context>, listeners: Arc<Listeners>) {
    let mut now = context.clock.now();
    loop {
        now = context.clock.is_set(now).await;
        let instances = context.catalogue.instances.state();
        listeners.tell(|term| {
            for instance in &instances {
                let _ = term.queue.send(crate::catalogue::reference(instance));
            }
            let _ = term.fleet.send(Change::Calendar);
            let _ = term.campaigns.send(Change::Calendar);
        });
    }
}

/// The requests to reconcile. One without a namespace is for every Instance of that name.
fn requests(
    queued: UnboundedReceiver<InstanceRef>,
    context: Arc<Context>,
) -> impl stream::Stream<Item = Result<ObjectRef<Instance>, Infallible>> {
    let incoming = stream::unfold(queued, |mut queued| async move { queued.recv().await.map(|one| (one, queued)) });
    incoming.flat_map(move |wanted| {
        let concerned: Vec<InstanceRef> = if wanted.namespace.is_empty() {
            let all = context.catalogue.instances.state();
            let all = all.iter().map(|one| crate::catalogue::reference(one));
            all.filter(|one| one.name == wanted.name).collect()
        } else {
            vec![wanted]
        };
        let known = concerned.into_iter().filter(|one| context.catalogue.instance(one).is_some());
        stream::iter(known.map(|one| Ok(ObjectRef::new(&one.name).within(&one.namespace))).collect::<Vec<_>>())
    })
}

/// Follows the optional kinds for as long as the cluster serves them.
struct Follower {
    client: Client,
    context: Arc<Context>,
    watches: Watches,
    queue: UnboundedSender<InstanceRef>,
    followed: Mutex<Followed>,
}

/// The kinds that discovery lists, and the watches of the optional ones.
#[derive(Default)]
struct Followed {
    discovered: BTreeSet<Kind>,
    handles: HashMap<Kind, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Follower {
    /// Asks which kinds are served, and follows those.
    async fn discover(&self) {
        let before = self.followed().discovered.clone();
        let discovered = discovery::served(&self.client, &before).await;
        let mut followed = self.followed();
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_optional()) {
            match (discovered.contains(&kind), followed.handles.contains_key(&kind)) {
                (true, false) => {
                    self.watches.set(kind.name(), WatchState::Starting);
                    let children = Arc::clone(&self.context.executor.cluster.children);
                    let queue = self.queue.clone();
                    let follow = watching::follow(self.client.clone(), kind, children, self.watches.clone(), queue);
                    let handle = followed.tasks.spawn(follow);
                    followed.handles.insert(kind, handle);
                }
                (false, true) => {
                    if let Some(task) = followed.handles.remove(&kind) {
                        task.abort();
                    }
                    self.watches.remove(kind.name());
                }
                (true, true) | (false, false) => {}
            }
        }
        followed.discovered = discovered;
    }

    /// Notes which kinds can be worked with: those served of which all is known. Gives whether that changed.
    fn note_what_is_listed(&self) -> bool {
        let starting = self.watches.starting();
        let is_listed = |kind: &&Kind| !kind.is_optional() || !starting.contains(kind.name());
        let listed: BTreeSet<Kind> = self.followed().discovered.iter().filter(is_listed).copied().collect();
        let has_changed = listed != self.context.served();
        self.context.set_served(listed);
        has_changed
    }

    async fn keep_looking(&self) {
        let mut looked = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(LISTED_INTERVAL).await;
            if looked.elapsed() >= DISCOVERY_INTERVAL {
                self.discover().await;
                looked = tokio::time::Instant::now();
            }
            if self.note_what_is_listed() {
                tracing::info!("the optional APIs changed; every Instance is looked at again");
                for instance in self.context.catalogue.instances.state() {
                    let _ = self.queue.send(crate::catalogue::reference(&instance));
                }
            }
        }
    }

    fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A value that becomes true when the process is told to stop.
fn stop_signal() -> std::io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop: what is in hand is finished first");
        sender.send_replace(true);
        // The value must outlive those who wait for it.
        sender.closed().await;
    });
    Ok(receiver)
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, which it is only when the process ends.
    let _ = stop.wait_for(|stop| *stop).await;
}
