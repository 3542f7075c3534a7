//! May this process still write?
//!
//! One answer for every write, to an API server as to a database server: while the Lease was renewed lately enough.
//! It is asked right before each request is sent, each retry included, so a process that was frozen, or whose Lease
//! another holds, writes nothing when it wakes.

use futures::future::{Either, Ready, ready};
use http::{HeaderValue, Method, Request, header::USER_AGENT};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, retry::RetryPolicy},
};
use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tower::{BoxError, Layer, Service, buffer::BufferLayer, retry::RetryLayer};

/// Requests that may wait for the connection, as in kube's own client.
const WAITING: usize = 1024;
/// Shortest and longest time before a request is sent again that the API server had no room for.
const AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(10));
/// How often such a request is sent again; then the pass ends, and a later one takes it up.
const TRIES: u32 = 8;

/// A moment by a clock that never goes back, and that goes on while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// The present one.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
        Self(Duration::new(seconds, nanoseconds))
    }

    /// The moment that long after this one.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// How long it is until this moment, or zero if it is past.
    pub fn left(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    fn nanoseconds(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Until when this process may write. All clones are one.
#[derive(Clone, Debug)]
pub struct Guard(Arc<AtomicU64>);

/// A write was held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process does not hold the Lease, so it writes nothing")]
pub struct NotLeading;

impl Guard {
    /// One that lets every write pass: nobody competes.
    pub fn open() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    /// One that lets nothing pass yet.
    pub fn closed() -> Self {
        Self(Arc::new(AtomicU64::new(0)))
    }

    /// Lets writes pass until that moment.
    pub fn open_until(&self, moment: Moment) {
        self.0.store(moment.nanoseconds(), Ordering::SeqCst);
    }

    /// Lets nothing pass any more.
    pub fn close(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    /// May a write be sent now?
    pub fn may_write(&self) -> Result<(), NotLeading> {
        if Moment::now().nanoseconds() < self.0.load(Ordering::SeqCst) { Ok(()) } else { Err(NotLeading) }
    }
}

/// A client whose writes pass the guard. It tells the API server which process asks, so that its audit log can.
pub fn client(mut config: Config, guard: &Guard, process: &str) -> Result<Client, kube::Error> {
    // A request that is sent again is asked about again, so that happens outside of the guard.
    config.default_retry = false;
    let name = format!("{}/{} ({process})", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let user_agent = HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static(env!("CARGO_PKG_NAME")));
    let guarding = Guarding { guard: guard.clone(), user_agent };
    let retry = RetryPolicy::new(AGAIN.0, AGAIN.1, TRIES, true).unwrap_or_default();

    let stack = ClientBuilder::try_from(config)?.with_layer(&guarding).with_layer(&BufferLayer::new(WAITING));
    Ok(stack.with_layer(&RetryLayer::new(retry)).build())
}

/// Puts the guard before a client's connection.
#[derive(Clone)]
struct Guarding {
    guard: Guard,
    user_agent: HeaderValue,
}

impl<S> Layer<S> for Guarding {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guarding: self.clone() }
    }
}

/// A connection that refuses writes while the guard does.
struct Guarded<S> {
    inner: S,
    guarding: Guarding,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Error = BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<S::Future, Ready<Result<S::Response, BoxError>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let is_write = request.method() != Method::GET;
        if is_write && let Err(refused) = self.guarding.guard.may_write() {
            return Either::Right(ready(Err(refused.into())));
        }

        request.headers_mut().insert(USER_AGENT, self.guarding.user_agent.clone());
        Either::Left(self.inner.call(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Answers everything, and counts it.
    #[derive(Clone, Default)]
    struct Server(Arc<AtomicUsize>);

    impl Service<Request<Body>> for Server {
        type Response = ();
        type Error = BoxError;
        type Future = Ready<Result<(), BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            self.0.fetch_add(1, Ordering::SeqCst);
            ready(Ok(()))
        }
    }

    async fn send(guard: &Guard, server: &Server, method: Method) -> bool {
        let guarding = Guarding { guard: guard.clone(), user_agent: HeaderValue::from_static("test") };
        let request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
        guarding.layer(server.clone()).call(request).await.is_ok()
    }

    #[tokio::test]
    async fn a_process_without_the_lease_reads_and_writes_nothing() {
        let (guard, server) = (Guard::closed(), Server::default());
        for method in [Method::PATCH, Method::POST, Method::PUT, Method::DELETE] {
            assert!(!send(&guard, &server, method).await);
        }
        assert_eq!(server.0.load(Ordering::SeqCst), 0);
        assert!(send(&guard, &server, Method::GET).await);
    }

    #[tokio::test]
    async fn a_write_passes_until_the_deadline_and_not_a_moment_longer() {
        let (guard, server) = (Guard::closed(), Server::default());
        guard.open_until(Moment::now().plus(Duration::from_millis(200)));
        assert!(send(&guard, &server, Method::PATCH).await);
        std::thread::sleep(Duration::from_millis(250));
        assert!(!send(&guard, &server, Method::PATCH).await, "as after a freeze: nobody had to close it");
    }

    #[test]
    fn who_competes_with_nobody_may_always_write() {
        assert_eq!(Guard::open().may_write(), Ok(()));
        let guard = Guard::open();
        guard.close();
        assert_eq!(guard.may_write(), Err(NotLeading));
    }
}
