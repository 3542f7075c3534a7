//! How do the parts run together, and how do they stop?

use crate::{
    apply::Cluster,
    campaigns::Runner,
    catalogue::{Catalogue, Change},
    children::{Children, InstanceRef},
    clock::Clock,
    config::Config,
    database::Servers,
    discovery,
    execute::Executor,
    fleet::Fleet,
    gates::Gatekeeper,
    health::{self, WatchState, Watches},
    lease::Elector,
    looking,
    metrics::Metrics,
    reconcile::{Context, Memory, reconcile},
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
    sync::{Arc, Mutex, RwLock, atomic::AtomicUsize},
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

/// How long edits of one Instance are gathered before they are acted on.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// How often the cluster is asked which optional APIs it serves.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(30);
/// How soon the cluster's id is asked for again: nothing is done without it.
const INSTALLATION_RETRY: Duration = Duration::from_secs(2);

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
    #[error("the Lease was lost: it could not be renewed in time, or another process acts now")]
    LeaseLost,
}

/// Runs until told to stop by SIGTERM or SIGINT: what is in hand is finished, and the Lease given back.
pub async fn run(config: Config) -> Result<(), Error> {
    let stop = stop_signal()?;
    let metrics = Metrics::new()?;
    let watches = Watches::default();
    let kube_config = kube::Config::infer().await.map_err(Stop::NoCluster)?;
    let client = Client::try_from(kube_config).map_err(Stop::BadCluster)?;
    let server = health::serve(config.listen, watches.clone(), metrics.clone(), stopped(stop.clone()));
    let listen = config.listen;
    let mut server = tokio::spawn(server);
    let acting = act_as_leader(config, client, watches, metrics, stop.clone());
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

/// Waits for its turn, then acts until told to stop or until the Lease is lost.
async fn act_as_leader(
    config: Config,
    client: Client,
    watches: Watches,
    metrics: Metrics,
    stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    if !config.leader_election {
        metrics.leader.set(1);
        act(&config, client, watches, metrics, stop).await;
        return Ok(());
    }
    let me = config
        .pod_name
        .clone()
        .unwrap_or_else(|| format!("process-{}-{:08x}", std::process::id(), rand::random::<u32>()));
    let mut elector = Elector::new(client.clone(), &config.namespace, me.clone());
    tokio::select! {
        () = elector.acquire() => {}
        () = stopped(stop.clone()) => return Ok(()),
    }
    tracing::info!(me, "holds the Lease: acting");
    metrics.leader.set(1);
    let is_lost = {
        let acting = act(&config, client, watches, metrics.clone(), stop);
        tokio::pin!(acting);
        tokio::select! {
            () = &mut acting => false,
            () = elector.hold() => true,
        }
    };
    metrics.leader.set(0);
    if is_lost {
        return Err(Stop::LeaseLost.into());
    }
    elector.release().await;
    Ok(())
}

/// Watches, plans and applies until told to stop; returns once what was in hand is finished.
async fn act(config: &Config, client: Client, watches: Watches, metrics: Metrics, stop: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    let (tell, changes) = unbounded_channel();
    let (queue, wanted) = unbounded_channel();
    let children = Arc::new(Children::default());
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_watched() && !kind.is_optional()) {
        watches.set(kind.name(), WatchState::Starting);
        tasks.spawn(watching::follow(client.clone(), kind, Arc::clone(&children), watches.clone(), queue.clone()));
    }
    let (catalogue, following) = Catalogue::follow(&client, &watches, &tell);
    for task in following {
        tasks.spawn(task);
    }
    let service_account = config.service_account.clone().map(|name| (config.namespace.clone(), name));
    let installation = tokio::select! {
        installation = installation(&client) => installation,
        () = stopped(stop.clone()) => return,
    };
    let instance_cluster_role = config.binding_cluster_role.clone();
    let operator = OperatorIdentity { service_account, instance_cluster_role, installation };
    let cluster = Cluster { client: client.clone(), children: Arc::clone(&children), metrics: metrics.clone() };
    let clock = config.clock_file.clone().map_or(Clock::Machine, Clock::File);
    let context = Arc::new(Context {
        catalogue: Arc::clone(&catalogue),
        executor: Executor { cluster, servers: Servers::default(), namespace: config.namespace.clone() },
        served: RwLock::default(),
        operator: Arc::new(operator),
        removal_limit_percent: config.removal_limit_percent.into(),
        active: AtomicUsize::new(0),
        concurrency: config.concurrency.into(),
        recorder: Recorder::new(
            client.clone(),
            Reporter { controller: names::FIELD_MANAGER.into(), instance: config.pod_name.clone() },
        ),
        memory: Mutex::new(Memory::default()),
        gates: Gatekeeper::default(),
        clock: clock.clone(),
    });
    let follower = Follower {
        client: client.clone(),
        context: Arc::clone(&context),
        watches: watches.clone(),
        queue: queue.clone(),
    };
    let follower = follower.look(HashMap::new(), &mut tasks).await;
    let (for_fleet, fleet_changes) = unbounded_channel();
    let (for_campaigns, campaign_changes) = unbounded_channel();
    tasks.spawn(looking::run(Arc::clone(&context), queue.clone()));
    let gatekeeper = Arc::clone(&context);
    let (gated, of_gates) = (Arc::clone(&catalogue), queue.clone());
    tasks.spawn(async move { gatekeeper.gates.run(gated, clock, of_gates).await });
    tasks.spawn(route(changes, Arc::clone(&context), queue, [for_fleet, for_campaigns]));
    let campaigns = Runner::new(client.clone(), Arc::clone(&catalogue), Arc::clone(&context));
    let fleet = Fleet { client, catalogue: Arc::clone(&catalogue), children, metrics };
    let fleet_context = Arc::clone(&context);
    tasks.spawn(fleet.run(fleet_changes, fleet_context));
    let stopping = stopped(stop);
    tokio::pin!(stopping);
    tokio::select! {
        () = synced(&watches, &catalogue) => tracing::info!("all watches have seen everything"),
        () = &mut stopping => return,
    }
    tasks.spawn(follower.keep_looking());
    tasks.spawn(campaigns.run(campaign_changes));
    let queue = requests(wanted, Arc::clone(&context)).take_until(stopping);
    let config = controller::Config::default().concurrency(config.concurrency).debounce(DEBOUNCE);
    let reconciler = |instance, context| reconcile(instance, context).boxed();
    let on_error = |_: Arc<Instance>, error: &Infallible, _| -> Action { match *error {} };
    applier(reconciler, on_error, Arc::clone(&context), catalogue.instances.clone(), queue, config)
        .for_each(|_| std::future::ready(()))
        .await;
    tracing::info!("what was in hand is finished");
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

/// Waits until every watch has listed everything once.
async fn synced(watches: &Watches, catalogue: &Catalogue) {
    catalogue.ready().await;
    while !watches.all_synced() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends each change to the Instances it concerns, to what counts the fleet and to what carries campaigns on.
async fn route(
    mut changes: UnboundedReceiver<Change>,
    context: Arc<Context>,
    queue: UnboundedSender<InstanceRef>,
    others: [UnboundedSender<Change>; 2],
) {
    while let Some(change) = changes.recv().await {
        for instance in context.catalogue.concerned(&change) {
            if context.catalogue.instance(&instance).is_none() {
                context.forget(&instance);
            }
            // Nobody listens any more only while the process ends.
            let _ = queue.send(instance);
        }
        for other in &others {
            let _ = other.send(change.clone());
        }
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
}

/// A [`Follower`] that has looked once.
struct Following {
    follower: Follower,
    followed: HashMap<Kind, AbortHandle>,
}

impl Follower {
    async fn look(self, mut followed: HashMap<Kind, AbortHandle>, tasks: &mut JoinSet<()>) -> Following {
        let served = discovery::served(&self.client, &self.context.served()).await;
        self.adjust(&served, &mut followed, |task| tasks.spawn(task));
        self.context.set_served(served);
        Following { follower: self, followed }
    }

    fn adjust(
        &self,
        served: &BTreeSet<Kind>,
        followed: &mut HashMap<Kind, AbortHandle>,
        mut spawn: impl FnMut(futures::future::BoxFuture<'static, ()>) -> AbortHandle,
    ) {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_optional()) {
            match (served.contains(&kind), followed.contains_key(&kind)) {
                (true, false) => {
                    self.watches.set(kind.name(), WatchState::Starting);
                    let children = Arc::clone(&self.context.executor.cluster.children);
                    let follow =
                        watching::follow(self.client.clone(), kind, children, self.watches.clone(), self.queue.clone());
                    followed.insert(kind, spawn(follow.boxed()));
                }
                (false, true) => {
                    if let Some(task) = followed.remove(&kind) {
                        task.abort();
                    }
                    self.watches.remove(kind.name());
                }
                (true, true) | (false, false) => {}
            }
        }
    }
}

impl Following {
    async fn keep_looking(mut self) {
        let mut tasks = JoinSet::new();
        loop {
            tokio::time::sleep(DISCOVERY_INTERVAL).await;
            let before = self.follower.context.served();
            let served = discovery::served(&self.follower.client, &before).await;
            if served == before {
                continue;
            }
            tracing::info!("the optional APIs changed; every Instance is looked at again");
            self.follower.adjust(&served, &mut self.followed, |task| tasks.spawn(task));
            self.follower.context.set_served(served);
            for instance in self.follower.context.catalogue.instances.state() {
                let _ = self.follower.queue.send(crate::catalogue::reference(&instance));
            }
        }
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
