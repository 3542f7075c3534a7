//! Is the operator alive, and does it see what it should?

use crate::{decided::Decided, metrics::Metrics};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a watch counts as failing after an error. It is tried again within half a minute; that it then follows, only
/// the silence of errors tells where nothing of its kind changes.
const FAILING_FOR: Duration = Duration::from_secs(35);

/// How each watch stands, and since when. A process that does not act, since another holds the Lease, has none.
#[derive(Clone, Default)]
pub struct Watches(Arc<Mutex<BTreeMap<String, (WatchState, Instant)>>>);

/// How one watch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// Its first list is not complete.
    Starting,
    /// It follows.
    Following,
    /// Its last answer was an error.
    Failing,
}

impl Watches {
    /// Notes how the watch called `name` stands.
    pub fn set(&self, name: &str, state: WatchState) {
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match watches.get_mut(name) {
            Some(known) => *known = (state, Instant::now()),
            None => {
                watches.insert(name.to_owned(), (state, Instant::now()));
            }
        }
    }

    /// Forgets the watch called `name`, which has ended on purpose.
    pub fn remove(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Those that have not seen everything once.
    pub fn starting(&self) -> BTreeSet<String> {
        let watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let starting = watches.iter().filter(|(_, (state, _))| *state == WatchState::Starting);
        starting.map(|(name, _)| name.clone()).collect()
    }

    /// Those that do not follow.
    fn behind(&self) -> Vec<String> {
        let watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_behind = |state: WatchState, since: Instant| match state {
            WatchState::Starting => true,
            WatchState::Following => false,
            WatchState::Failing => since.elapsed() < FAILING_FOR,
        };
        let behind = watches.iter().filter(|(_, (state, since))| is_behind(*state, *since));
        behind.map(|(name, (state, _))| format!("{name}: {state:?}")).collect()
    }
}

/// Answers `/livez`, `/readyz`, `/decided` and `/metrics` on `address` until `stop` completes.
pub async fn serve(
    address: SocketAddr,
    watches: Watches,
    decided: Decided,
    metrics: Metrics,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "answering /livez, /readyz, /decided and /metrics");
    let router = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/decided", get(move || std::future::ready(told(&decided))))
        .route("/metrics", get(measured))
        .with_state((watches, metrics));
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn ready(State((watches, _)): State<(Watches, Metrics)>) -> (StatusCode, String) {
    let behind = watches.behind();
    if behind.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("watches that do not follow:\n{}\n", behind.join("\n")))
    }
}

fn told(decided: &Decided) -> impl IntoResponse + use<> {
    let answer = serde_json::to_string(&decided.answer()).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], answer)
}

async fn measured(State((_, metrics)): State<(Watches, Metrics)>) -> (StatusCode, Vec<u8>) {
    match metrics.encode() {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string().into_bytes()),
    }
}
