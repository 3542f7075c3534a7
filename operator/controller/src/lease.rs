//! Which of several processes acts?
//!
//! One Lease, taken as client-go takes it: who holds it renews it; who does not takes it once it has not been renewed
//! for its duration, by this process's own clock from when it last saw it change. Two processes cannot both write it:
//! each write names the version it read.

use crate::apply::explained;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use std::time::{Duration, Instant};

/// How long the Lease lasts after its last renewal.
const DURATION: Duration = Duration::from_secs(15);
/// How often its holder renews it. The holder gives up after `DURATION` less one of these.
const RENEWAL: Duration = Duration::from_secs(5);
/// How often others look.
const RETRY: Duration = Duration::from_secs(2);
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Its name.
const NAME: &str = "gotocloud-operator";

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

/// What to do, given who holds the Lease and for how long it has not changed.
fn next(holder: Option<&str>, me: &str, exists: bool, unchanged_for: Duration) -> Move {
    match holder {
        _ if !exists => Move::Create,
        None | Some("") => Move::Take,
        Some(holder) if holder == me => Move::Take,
        Some(_) if unchanged_for > DURATION => Move::Take,
        Some(_) => Move::Wait,
    }
}

/// The Lease, and who this process is.
pub struct Elector {
    leases: Api<Lease>,
    me: String,
    seen: Option<(Option<String>, Instant)>,
}

impl Elector {
    /// Competes in `namespace` under the name `me`.
    pub fn new(client: Client, namespace: &str, me: String) -> Self {
        Self { leases: Api::namespaced(client, namespace), me, seen: None }
    }

    /// Waits until this process holds the Lease.
    pub async fn acquire(&mut self) {
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = explained(&*error), "the Lease cannot be read or written; trying again");
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Renews the Lease for as long as that works; returns once it is lost.
    pub async fn hold(&mut self) {
        let mut renewed = Instant::now();
        let mut wait = RENEWAL;
        loop {
            // Another takes the Lease once it was not renewed for its whole duration, so its holder ends before that, also
            // while it waits for an answer.
            let last = renewed + DURATION.saturating_sub(RENEWAL);
            let attempt = async {
                tokio::time::sleep(wait).await;
                let begun = Instant::now();
                (begun, self.attempt().await)
            };
            match tokio::time::timeout_at(last.into(), attempt).await {
                Ok((begun, Ok(true))) => (renewed, wait) = (begun, RENEWAL),
                Ok((_, Ok(false))) | Err(_) => return,
                Ok((_, Err(error))) => {
                    tracing::warn!(error = explained(&*error), "the Lease was not renewed; trying again");
                    wait = RETRY;
                }
            }
        }
    }

    /// Gives the Lease back, so that another need not wait for its end.
    pub async fn release(&mut self) {
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

    async fn attempt(&mut self) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        let lease = tokio::time::timeout(TIMEOUT, self.leases.get_opt(NAME)).await??;
        let version = lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => Instant::now(),
        };
        self.seen = Some((version, since));
        let spec = lease.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let write = async {
            match next(spec.holder_identity.as_deref(), &self.me, lease.is_some(), since.elapsed()) {
                Move::Wait => Ok(false),
                Move::Create => {
                    let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
                    let lease = Lease { metadata, spec: Some(self.renewed(&LeaseSpec::default())) };
                    self.leases.create(&PostParams::default(), &lease).await.map(|_| true)
                }
                Move::Take => {
                    let metadata = lease.as_ref().map(|lease| lease.metadata.clone()).unwrap_or_default();
                    let lease = Lease { metadata, spec: Some(self.renewed(&spec)) };
                    self.leases.replace(NAME, &PostParams::default(), &lease).await.map(|_| true)
                }
            }
        };
        match tokio::time::timeout(TIMEOUT, write).await? {
            // Somebody else was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            other => Ok(other?),
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

    #[test]
    fn a_lease_that_is_renewed_is_left_to_its_holder() {
        assert_eq!(next(Some("other"), "me", true, DURATION / 2), Move::Wait);
    }

    #[test]
    fn a_lease_that_is_not_renewed_or_given_back_is_taken() {
        assert_eq!(next(Some("other"), "me", true, DURATION * 2), Move::Take);
        assert_eq!(next(Some(""), "me", true, Duration::ZERO), Move::Take);
        assert_eq!(next(None, "me", true, Duration::ZERO), Move::Take);
    }

    #[test]
    fn a_lease_that_is_not_there_is_made_and_ones_own_is_renewed() {
        assert_eq!(next(None, "me", false, Duration::ZERO), Move::Create);
        assert_eq!(next(Some("me"), "me", true, Duration::ZERO), Move::Take);
    }
}
