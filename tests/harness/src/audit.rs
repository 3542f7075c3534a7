//! Who asked the API server for what, and how often?
//!
//! Counted from the audit log of a cluster started with [`crate::ClusterSpec::audit`]: every request that names a
//! resource, by everybody, the control plane's own components included. Those share one user and differ only by user
//! agent.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A point in time, as the API server writes it.
pub type Moment = Timestamp;

/// Which requests count. The default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Only those of this user, such as `system:serviceaccount:gotocloud-system:gotocloud`. Whoever impersonates it
    /// counts as this user.
    pub user: Option<String>,
    /// Only those whose user agent begins so, such as `gotocloud/`.
    pub user_agent: Option<String>,
    /// Only those received at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those received before this moment.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// The requests of this user.
    #[must_use]
    pub fn user(user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..Self::default() }
    }

    /// The requests whose user agent begins so.
    #[must_use]
    pub fn user_agent(prefix: &str) -> Self {
        Self { user_agent: Some(prefix.to_owned()), ..Self::default() }
    }

    /// The same, of this moment or later.
    #[must_use]
    pub fn since(mut self, moment: Timestamp) -> Self {
        self.since = Some(moment);
        self
    }

    /// The same, before this moment.
    #[must_use]
    pub fn until(mut self, moment: Timestamp) -> Self {
        self.until = Some(moment);
        self
    }

    fn takes(&self, event: &Event) -> bool {
        let user = event.impersonated_user.as_ref().unwrap_or(&event.user);
        self.user.as_ref().is_none_or(|wanted| *wanted == user.username)
            && self.user_agent.as_ref().is_none_or(|prefix| event.user_agent.starts_with(prefix))
            && self.since.is_none_or(|moment| event.request_received_timestamp >= moment)
            && self.until.is_none_or(|moment| event.request_received_timestamp < moment)
    }
}

/// How often.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AuditCounts {
    /// Creations, updates, patches and deletions, those of leases aside, refused ones included.
    pub writes: u64,
    /// Writes of leases, by which leaders and nodes say that they live.
    pub lease_writes: u64,
    /// Writes, those of leases aside, that were answered with an error; a conflict is one.
    pub refused_writes: u64,
    /// Reads of one object.
    pub gets: u64,
    /// Reads of many objects.
    pub lists: u64,
    /// Watches begun.
    pub watches: u64,
    /// All requests by verb, those for leases included.
    pub by_verb: BTreeMap<String, u64>,
    /// Writes by what is written, such as `deployments.apps` or `instances.gotocloud.amue.fr/status`; those of leases
    /// aside.
    pub writes_by_resource: BTreeMap<String, u64>,
}

/// Counts the requests in the audit log at `path` that `filter` takes.
pub fn count(path: &Path, filter: &AuditFilter) -> anyhow::Result<AuditCounts> {
    let file = File::open(path)
        .with_context(|| format!("no audit log at {}: was the cluster started with one?", path.display()))?;
    count_lines(BufReader::new(file), filter)
}

fn count_lines(log: impl BufRead, filter: &AuditFilter) -> anyhow::Result<AuditCounts> {
    let mut counts = AuditCounts::default();
    for line in log.split(b'\n') {
        // The last line may be half written.
        let Ok(event) = serde_json::from_slice::<Event>(&line.context("cannot read the audit log")?) else { continue };
        if filter.takes(&event) {
            counts.add(&event);
        }
    }
    Ok(counts)
}

impl AuditCounts {
    fn add(&mut self, event: &Event) {
        let watch = event.verb == "watch";
        // A watch is told of when it begins and when it ends; all else when it is answered.
        if watch != (event.stage == "ResponseStarted") {
            return;
        }
        *self.by_verb.entry(event.verb.clone()).or_default() += 1;
        match event.verb.as_str() {
            "get" => self.gets += 1,
            "list" => self.lists += 1,
            "watch" => self.watches += 1,
            "create" | "update" | "patch" | "delete" | "deletecollection" => self.add_write(event),
            _ => {}
        }
    }

    fn add_write(&mut self, event: &Event) {
        if event.object_ref.resource == "leases" && event.object_ref.api_group == "coordination.k8s.io" {
            self.lease_writes += 1;
            return;
        }
        self.writes += 1;
        if event.response_status.code >= 400 {
            self.refused_writes += 1;
        }
        *self.writes_by_resource.entry(event.object_ref.to_string()).or_default() += 1;
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: Timestamp,
}

#[derive(Deserialize, Default)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    api_group: String,
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.resource)?;
        if !self.api_group.is_empty() {
            write!(out, ".{}", self.api_group)?;
        }
        if !self.subresource.is_empty() {
            write!(out, "/{}", self.subresource)?;
        }
        Ok(())
    }
}

#[derive(Deserialize, Default)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

#[cfg(test)]
mod tests {
    use super::{AuditCounts, AuditFilter, count_lines};

    fn event(stage: &str, verb: &str, user: &str, resource: &str, group: &str, code: u16) -> String {
        serde_json::json!({
            "stage": stage,
            "verb": verb,
            "user": {"username": user},
            "userAgent": "gotocloud/0.1",
            "objectRef": {"resource": resource, "apiGroup": group},
            "responseStatus": {"code": code},
            "requestReceivedTimestamp": "2026-01-02T03:04:05.000006Z",
        })
        .to_string()
    }

    fn counted(filter: &AuditFilter) -> AuditCounts {
        let log = [
            event("ResponseComplete", "patch", "operator", "deployments", "apps", 200),
            event("ResponseComplete", "patch", "operator", "deployments", "apps", 409),
            event("ResponseComplete", "update", "operator", "leases", "coordination.k8s.io", 200),
            event("ResponseStarted", "watch", "operator", "pods", "", 200),
            event("ResponseComplete", "watch", "operator", "pods", "", 200),
            event("ResponseComplete", "list", "someone", "pods", "", 200),
            "{\"stage\": \"Resp".to_owned(),
        ];
        count_lines(log.join("\n").as_bytes(), filter).unwrap()
    }

    #[test]
    fn leases_are_counted_apart_and_a_watch_once() {
        let counts = counted(&AuditFilter::user("operator"));
        assert_eq!((counts.writes, counts.refused_writes, counts.lease_writes), (2, 1, 1));
        assert_eq!((counts.watches, counts.lists), (1, 0));
        assert_eq!(counts.writes_by_resource["deployments.apps"], 2);
    }

    #[test]
    fn a_moment_and_a_user_agent_bound_what_counts() {
        let later = "2026-01-02T03:04:06Z".parse().unwrap();
        assert_eq!(counted(&AuditFilter::default().since(later)), AuditCounts::default());
        assert_eq!(counted(&AuditFilter::user_agent("gotocloud/").until(later)).lists, 1);
        assert_eq!(counted(&AuditFilter::user_agent("kubectl/")), AuditCounts::default());
    }
}
