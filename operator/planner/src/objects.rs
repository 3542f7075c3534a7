//! Of what kinds are the objects an instance is made of, and how is each named?

use gotocloud_api::{Instance, instance::InventoryEntry};
use serde_json::Value;
use std::fmt;

/// A kind of object the operator makes. Closed: what is not here is neither made, watched nor removed. So a kind that
/// the operator no longer makes stays here, that what an older operator made of it may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the kinds of Kubernetes and of the projects named by their groups
pub enum Kind {
    Namespace,
    RoleBinding,
    ServiceAccount,
    ResourceQuota,
    LimitRange,
    NetworkPolicy,
    ConfigMap,
    Secret,
    ControllerRevision,
    Cluster,
    Backup,
    Job,
    Deployment,
    Service,
    PodDisruptionBudget,
    HorizontalPodAutoscaler,
    Certificate,
    ListenerSet,
    HttpRoute,
    Ingress,
    ServiceMonitor,
}

impl Kind {
    /// Every kind, in the order in which objects are applied.
    pub const ALL: [Self; 21] = [
        Self::Namespace,
        Self::RoleBinding,
        Self::ServiceAccount,
        Self::ResourceQuota,
        Self::LimitRange,
        Self::NetworkPolicy,
        Self::ConfigMap,
        Self::Secret,
        Self::ControllerRevision,
        Self::Cluster,
        Self::Backup,
        Self::Job,
        Self::Deployment,
        Self::Service,
        Self::PodDisruptionBudget,
        Self::HorizontalPodAutoscaler,
        Self::Certificate,
        Self::ListenerSet,
        Self::HttpRoute,
        Self::Ingress,
        Self::ServiceMonitor,
    ];

    /// API group; empty for the core.
    pub fn group(self) -> &'static str {
        match self {
            Self::Namespace
            | Self::ServiceAccount
            | Self::ResourceQuota
            | Self::LimitRange
            | Self::ConfigMap
            | Self::Secret
            | Self::Service => "",
            Self::RoleBinding => "rbac.authorization.k8s.io",
            Self::NetworkPolicy | Self::Ingress => "networking.k8s.io",
            Self::ControllerRevision | Self::Deployment => "apps",
            Self::Cluster | Self::Backup => "postgresql.cnpg.io",
            Self::Job => "batch",
            Self::PodDisruptionBudget => "policy",
            Self::HorizontalPodAutoscaler => "autoscaling",
            Self::Certificate => "cert-manager.io",
            Self::ListenerSet | Self::HttpRoute => "gateway.networking.k8s.io",
            Self::ServiceMonitor => "monitoring.coreos.com",
        }
    }

    /// Version of the API.
    pub fn version(self) -> &'static str {
        match self {
            Self::HorizontalPodAutoscaler => "v2",
            Self::Namespace
            | Self::RoleBinding
            | Self::ServiceAccount
            | Self::ResourceQuota
            | Self::LimitRange
            | Self::NetworkPolicy
            | Self::ConfigMap
            | Self::Secret
            | Self::ControllerRevision
            | Self::Cluster
            | Self::Backup
            | Self::Job
            | Self::Deployment
            | Self::Service
            | Self::PodDisruptionBudget
            | Self::Certificate
            | Self::ListenerSet
            | Self::HttpRoute
            | Self::Ingress
            | Self::ServiceMonitor => "v1",
        }
    }

    /// `GROUP/VERSION`, or `VERSION` for the core: the `apiVersion` of a manifest.
    pub fn api_version(self) -> String {
        match self.group() {
            "" => self.version().to_owned(),
            group => format!("{group}/{}", self.version()),
        }
    }

    /// Name of the kind in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::RoleBinding => "RoleBinding",
            Self::ServiceAccount => "ServiceAccount",
            Self::ResourceQuota => "ResourceQuota",
            Self::LimitRange => "LimitRange",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::ControllerRevision => "ControllerRevision",
            Self::Cluster => "Cluster",
            Self::Backup => "Backup",
            Self::Job => "Job",
            Self::Deployment => "Deployment",
            Self::Service => "Service",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::Certificate => "Certificate",
            Self::ListenerSet => "ListenerSet",
            Self::HttpRoute => "HTTPRoute",
            Self::Ingress => "Ingress",
            Self::ServiceMonitor => "ServiceMonitor",
        }
    }

    /// Name of the resource in a URL.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::RoleBinding => "rolebindings",
            Self::ServiceAccount => "serviceaccounts",
            Self::ResourceQuota => "resourcequotas",
            Self::LimitRange => "limitranges",
            Self::NetworkPolicy => "networkpolicies",
            Self::ConfigMap => "configmaps",
            Self::Secret => "secrets",
            Self::ControllerRevision => "controllerrevisions",
            Self::Cluster => "clusters",
            Self::Backup => "backups",
            Self::Job => "jobs",
            Self::Deployment => "deployments",
            Self::Service => "services",
            Self::PodDisruptionBudget => "poddisruptionbudgets",
            Self::HorizontalPodAutoscaler => "horizontalpodautoscalers",
            Self::Certificate => "certificates",
            Self::ListenerSet => "listenersets",
            Self::HttpRoute => "httproutes",
            Self::Ingress => "ingresses",
            Self::ServiceMonitor => "servicemonitors",
        }
    }

    /// May a cluster lack it? Then its absence is a condition of the instances that need it.
    pub fn is_optional(self) -> bool {
        matches!(
            self,
            Self::Cluster
                | Self::Backup
                | Self::Certificate
                | Self::ListenerSet
                | Self::HttpRoute
                | Self::ServiceMonitor
        )
    }

    /// Does an object of this kind make, change, restart or bound pods? Such objects are pinned until a consent. What
    /// bounds pods goes with them: a smaller quota over pods that stay large would keep a lost one from coming back.
    pub fn moves_pods(self) -> bool {
        matches!(
            self,
            Self::ResourceQuota
                | Self::LimitRange
                | Self::ConfigMap
                | Self::Cluster
                | Self::Deployment
                | Self::HorizontalPodAutoscaler
        )
    }

    /// Does its status tell how the instance stands? Then it is watched whole; the others by metadata alone.
    pub fn has_health(self) -> bool {
        matches!(
            self,
            Self::Cluster
                | Self::Backup
                | Self::Job
                | Self::Deployment
                | Self::Certificate
                | Self::ListenerSet
                | Self::HttpRoute
        )
    }

    /// Is it watched? Secrets are not: watching them across namespaces would mean the right to read them all. The
    /// chart's admission policy keeps others from changing them instead.
    pub fn is_watched(self) -> bool {
        self != Self::Secret
    }

    /// The kind of that name and group.
    pub fn parse(group: &str, name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.group() == group && kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which object, among all of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for an object of the cluster.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

impl ObjectKey {
    /// The object of that kind, namespace and name.
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }

    /// Is it made for one change and taken away after it? Then its removal is no loss, and does not count as one.
    pub fn is_passing(&self) -> bool {
        matches!(self.kind, Kind::ControllerRevision | Kind::Job)
            || (self.kind == Kind::NetworkPolicy && &*self.name == crate::render::MIGRATION)
    }

    /// The object's entry in an inventory, with its fingerprint.
    pub fn to_entry(&self, fingerprint: &str) -> InventoryEntry {
        InventoryEntry::new(&self.to_id(), self.kind.version(), fingerprint)
    }

    fn to_id(&self) -> String {
        format!("{}_{}_{}_{}", self.namespace, self.name, self.kind.group(), self.kind.name())
    }

    /// What the Instance's inventory says was last applied to the object: none where it does not list it, empty where
    /// nothing was.
    pub fn recorded_in<'i>(&self, instance: &'i Instance) -> Option<&'i str> {
        let inventory = instance.status.as_ref()?.inventory.as_ref()?;
        let id = self.to_id();
        inventory.entries.iter().find(|entry| entry.id() == id).map(InventoryEntry::h)
    }

    /// Was the object ever applied, as the Instance's inventory tells?
    pub fn was_applied(&self, instance: &Instance) -> bool {
        self.recorded_in(instance).is_some_and(|applied| !applied.is_empty())
    }

    /// The object an entry of an inventory stands for, if it is of a kind this operator knows.
    pub fn from_entry(entry: &InventoryEntry) -> Option<Self> {
        let mut parts = entry.id().split('_');
        let (namespace, name, group, kind) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Self::new(Kind::parse(group, kind)?, namespace, name))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.namespace {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// An object as it is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Which one.
    pub key: ObjectKey,
    /// All the operator says of it: the body of a server-side apply.
    pub manifest: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_entry_names_its_object() {
        for kind in Kind::ALL {
            let key = ObjectKey::new(kind, if kind == Kind::Namespace { "" } else { "gtc-a" }, "web");
            assert_eq!(ObjectKey::from_entry(&key.to_entry("1.2")), Some(key));
        }
    }

    #[test]
    fn an_entry_of_an_unknown_kind_is_none() {
        let entry = InventoryEntry::new("ns_name_example.org_Gadget", "v1", "");
        assert_eq!(ObjectKey::from_entry(&entry), None);
    }
}
