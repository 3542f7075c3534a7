//! Which of several processes acts?
//!
//! One Lease, taken as client-go takes it: who holds it renews it; who does not takes it once it has not been renewed
//! for its duration, by this process's own clock from when it last saw it change. Two processes cannot both write it:
//! each write names the version it read.
//!
//! It is renewed on a thread of its own, by a connection of its own: however long the operator's planning takes, that
//! does not cost it the Lease.

use crate::{
    apply::explained,
    guard::{Guard, Moment},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, Config,
    api::{ObjectMeta, PostParams},
};
use std::{
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How long the Lease lasts after its last renewal: twice client-go's, as a busy machine may be silent for long.
const DURATION: Duration = Duration::from_secs(30);
/// How long after its last renewal its holder stops writing. What it sent until then arrives before another may act.
const DEADLINE: Duration = Duration::from_secs(20);
/// How often its holder renews it.
const RENEWAL: Duration = Duration::from_secs(5);
/// How often others look, and how soon what failed is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// Longest wait for an answer: three tries to renew it fit before the deadline.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Its name.
const NAME: &str = "gotocloud-operator";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What to do about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    /// Make it.
    Create,
    /// Write oneself into it.
    Take,
    /// Leave it.
    Wait,
}

/// What to do, given the Lease and for how long it has not changed.
fn next(lease: Option<&LeaseSpec>, me: &str, unchanged_for: Duration) -> Move {
    let Some(lease) = lease else { return Move::Create };
    // Another version of the operator may promise another time.
    let promised = lease.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let promised = promised.map_or(DURATION, Duration::from_secs);

    match lease.holder_identity.as_deref() {
        None | Some("") => Move::Take,
        Some(holder) if holder == me => Move::Take,
        Some(_) if unchanged_for > promised => Move::Take,
        Some(_) => Move::Wait,
    }
}

/// The election that this process takes part in, on a thread of its own.
pub struct Election {
    /// Which of its terms this process leads in, counted from 1; `None` while it stands by.
    pub term: watch::Receiver<Option<u64>>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Election {
    /// Takes part under the name `me`, for the Lease in `namespace`, and opens the guard while this process leads.
    pub fn join(config: Config, namespace: String, me: String, guard: Guard) -> Result<Self, Error> {
        let (tell, term) = watch::channel(None);
        let (stop, stopping) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            runtime.block_on(async {
                match Client::try_from(config) {
                    Ok(client) => {
                        let leases = Api::namespaced(client, &namespace);
                        let elector = Elector { leases, me, guard, last: None, seen: None };
                        elector.run(&tell, stopping).await;
                    }
                    Err(error) => tracing::error!(error = explained(&error), "the Lease cannot be asked for"),
                }
            });
        };

        let thread = std::thread::Builder::new().name("lease".to_owned()).spawn(run)?;
        Ok(Self { term, stop, thread })
    }

    /// Leaves it; a Lease that is held is given back, so that another need not wait for its end.
    pub async fn leave(self) {
        self.stop.send_replace(true);
        let ended = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::error!("the thread that renews the Lease broke off; report this as a bug");
        }
    }
}

/// The Lease, and who this process is.
struct Elector {
    leases: Api<Lease>,
    me: String,
    guard: Guard,
    /// The Lease as this process last wrote it.
    last: Option<Lease>,
    /// Its version as last read, and since when that has not changed.
    seen: Option<(Option<String>, Instant)>,
}

impl Elector {
    /// Takes the Lease, holds it and takes it again, until told to stop.
    async fn run(mut self, tell: &watch::Sender<Option<u64>>, mut stop: watch::Receiver<bool>) {
        // An error means that whoever would tell it to stop is gone.
        let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
        let leading = async {
            for term in 1.. {
                self.acquire().await;
                tell.send_replace(Some(term));
                self.hold().await;
                self.guard.close();
                self.last = None;
                tell.send_replace(None);
            }
        };
        tokio::select! {
            () = leading => {}
            () = stopped => {}
        }
        self.guard.close();
        self.release().await;
    }

    /// Waits until this process holds the Lease.
    async fn acquire(&mut self) {
        loop {
            match self.attempt().await {
                Ok(Some(renewed)) => return self.guard.open_until(renewed.plus(DEADLINE)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(error = explained(&*error), "the Lease cannot be read or written; trying again");
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Renews the Lease for as long as that works; returns once it is lost.
    async fn hold(&mut self) {
        let mut deadline = Moment::now().plus(DEADLINE);
        let mut wait = RENEWAL;
        loop {
            tokio::time::sleep(wait.min(deadline.left())).await;
            // Also where this process was frozen: what it would find out is that another leads.
            if deadline.left().is_zero() {
                return;
            }

            match tokio::time::timeout(deadline.left(), self.renew()).await {
                Ok(Ok(Some(renewed))) => {
                    deadline = renewed.plus(DEADLINE);
                    self.guard.open_until(deadline);
                    wait = RENEWAL;
                }
                Ok(Ok(None)) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::warn!(error = explained(&*error), "the Lease was not renewed; trying again");
                    wait = RETRY;
                }
            }
        }
    }

    /// Gives the Lease back if this process holds it.
    async fn release(&mut self) {
        let Ok(Ok(Some(mut lease))) = tokio::time::timeout(TIMEOUT, self.leases.get_opt(NAME)).await else { return };
        if lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) != Some(self.me.as_str()) {
            return;
        }

        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        let replaced = tokio::time::timeout(TIMEOUT, self.leases.replace(NAME, &PostParams::default(), &lease)).await;
        if let Ok(Err(error)) = replaced {
            tracing::warn!(%error, "the Lease was not given back; another takes it when it ends");
        }
    }

    /// Renews the Lease over the version this process wrote last, without reading it first. Gives when that was sent, or
    /// `None` if another took it.
    async fn renew(&mut self) -> Result<Option<Moment>, Error> {
        let Some(last) = self.last.clone() else { return self.attempt().await };
        let lease = Lease { spec: Some(self.renewed(&last.spec.unwrap_or_default())), ..last };
        let sent = Moment::now();

        match tokio::time::timeout(TIMEOUT, self.leases.replace(NAME, &PostParams::default(), &lease)).await? {
            Ok(written) => {
                self.last = Some(written);
                Ok(Some(sent))
            }
            // Somebody wrote it: this process, whose answer was lost, or another.
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => self.attempt().await,
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the Lease and takes it if it is free. Gives when that was sent, or `None` if another has it.
    async fn attempt(&mut self) -> Result<Option<Moment>, Error> {
        let lease = tokio::time::timeout(TIMEOUT, self.leases.get_opt(NAME)).await??;
        let version = lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => Instant::now(),
        };
        self.seen = Some((version, since));

        let spec = lease.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let sent = Moment::now();
        let write = async {
            match next(spec.as_ref(), &self.me, since.elapsed()) {
                Move::Wait => Ok(None),
                Move::Create => {
                    let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
                    let lease = Lease { metadata, spec: Some(self.renewed(&LeaseSpec::default())) };
                    self.leases.create(&PostParams::default(), &lease).await.map(Some)
                }
                Move::Take => {
                    let metadata = lease.as_ref().map(|lease| lease.metadata.clone()).unwrap_or_default();
                    let lease = Lease { metadata, spec: Some(self.renewed(&spec.clone().unwrap_or_default())) };
                    self.leases.replace(NAME, &PostParams::default(), &lease).await.map(Some)
                }
            }
        };
        match tokio::time::timeout(TIMEOUT, write).await? {
            Ok(written) => {
                self.last = written;
                Ok(self.last.is_some().then_some(sent))
            }
            // Somebody else was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn renewed(&self, spec: &LeaseSpec) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let is_mine = spec.holder_identity.as_deref() == Some(self.me.as_str());
        let transitions = spec.lease_transitions.unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: if is_mine { spec.acquire_time.clone() } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(if is_mine { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(holder: Option<&str>, seconds: Option<i32>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: seconds,
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_that_is_renewed_is_left_to_its_holder() {
        assert_eq!(next(Some(&held_by(Some("other"), Some(30))), "me", DURATION / 2), Move::Wait);
    }

    #[test]
    fn a_lease_that_is_not_renewed_or_given_back_is_taken() {
        assert_eq!(next(Some(&held_by(Some("other"), Some(30))), "me", DURATION * 2), Move::Take);
        assert_eq!(next(Some(&held_by(Some("other"), None)), "me", DURATION * 2), Move::Take);
        assert_eq!(next(Some(&held_by(Some(""), Some(1))), "me", Duration::ZERO), Move::Take);
        assert_eq!(next(Some(&held_by(None, None)), "me", Duration::ZERO), Move::Take);
    }

    #[test]
    fn a_lease_lasts_as_long_as_its_holder_said() {
        let of_another_version = held_by(Some("other"), Some(15));
        assert_eq!(next(Some(&of_another_version), "me", Duration::from_secs(14)), Move::Wait);
        assert_eq!(next(Some(&of_another_version), "me", Duration::from_secs(16)), Move::Take);
    }

    #[test]
    fn a_lease_that_is_not_there_is_made_and_ones_own_is_renewed() {
        assert_eq!(next(None, "me", Duration::ZERO), Move::Create);
        assert_eq!(next(Some(&held_by(Some("me"), Some(30))), "me", Duration::ZERO), Move::Take);
    }

    #[test]
    fn its_holder_stops_writing_well_before_another_may_take_it() {
        assert!(DEADLINE + TIMEOUT < DURATION);
        assert!(RENEWAL + TIMEOUT + RETRY + TIMEOUT < DEADLINE, "one answer that is lost costs nothing");
    }
}
