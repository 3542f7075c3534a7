//! What is known when a decision is made?

use crate::{
    database::Assured,
    health::Health,
    objects::{Kind, Object, ObjectKey},
    path::Graph,
    plan::DatabaseRequest,
    upgrade::{Gates, Terms},
};
use gotocloud_api::{Application, Establishment, Instance, Platform, Release, names};
use std::collections::{BTreeMap, BTreeSet};

/// All that decides about one Instance, as it was observed: made by [`crate::observation::Observation::snapshot`].
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    /// The Instance.
    pub instance: &'a Instance,
    /// The Application it names, if there is one.
    pub application: Option<&'a Application>,
    /// The Release its spec names, or that runs where the spec names none; if there is one.
    pub release: Option<&'a Release>,
    /// The Establishment it names, if there is one.
    pub establishment: Option<&'a Establishment>,
    /// The Platform it names or inherits, if there is one.
    pub platform: Option<&'a Platform>,
    /// The groupings of which its Establishment is a member.
    pub groupings: Vec<&'a Establishment>,
    /// The other Instances of the same Establishment, each with its Application.
    pub neighbours: Vec<(&'a Instance, Option<&'a Application>)>,
    /// How many other Instances run on the platform.
    pub platform_load: u32,
    /// Who holds the namespace it needs.
    pub namespace: NamespaceHolder,
    /// The objects that carry its labels.
    pub children: Vec<Observed>,
    /// Names of the pods that can write to its data. `None` if nobody looked: it is asked only while the data is saved or
    /// moved.
    pub writers: Option<Vec<String>>,
    /// What decides how it gets to another release.
    pub way: Way<'a>,
    /// The optional kinds the platform's API server serves.
    pub served: &'a BTreeSet<Kind>,
    /// The pinned objects, once they were read; see [`crate::plan::Verdict::NeedsPinned`].
    pub pinned: Option<Pinned>,
    /// The database on a server that this process made sure of, if it did.
    pub database_assured: Option<&'a Assured>,
    /// Why new pods do not start with the credentials that `CloudNativePG` keeps. `None` if they do, and if nobody
    /// looked: it is asked only where that is in doubt.
    pub lost_credentials: Option<String>,
    /// Who the operator is.
    pub operator: &'a OperatorIdentity,
}

impl Snapshot<'_> {
    /// Has this process made sure of just that database?
    pub fn has_assured(&self, request: &DatabaseRequest) -> bool {
        self.database_assured.is_some_and(|assured| assured.fingerprint == request.fingerprint())
    }
}

/// What decides how an Instance gets to another release.
#[derive(Clone, Debug)]
pub struct Way<'a> {
    /// The releases of its application.
    pub releases: &'a Graph,
    /// The Releases it still has to be made from, by [`crate::upgrade::ahead`], each with its name.
    pub ahead: Vec<(String, Option<&'a Release>)>,
    /// The Release that the present step of a rehearsal ends at, or that is asked to be rehearsed where none is under way.
    pub rehearsed: Option<&'a Release>,
    /// How carefully it is gone.
    pub terms: Terms,
    /// What the gates of its wave say.
    pub gates: Gates,
    /// The end of the log of a migration that failed.
    pub migration_log: String,
    /// The end of the log of a rehearsed migration that failed.
    pub rehearsal_log: String,
}

/// Who holds the namespace an Instance needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespaceHolder {
    /// Nobody the operator knows of.
    Nobody,
    /// The Instance itself. `terminating` while it is being deleted.
    Itself {
        /// Is it being deleted?
        terminating: bool,
    },
    /// The Instance itself, which was not made yet: it keeps the data of one that was deleted, and that was of this Release.
    Kept(String),
    /// Another Instance, as `NAMESPACE/NAME`.
    Another(String),
}

/// Whom a namespace is for, and whose data it keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceOf {
    /// Name of the establishment.
    pub establishment: Option<Box<str>>,
    /// Name of the application.
    pub application: Option<Box<str>>,
    /// Name of the Release that the data is of which it keeps.
    pub release: Option<Box<str>>,
}

impl NamespaceOf {
    /// What those labels and annotations say.
    pub fn marked(labels: &BTreeMap<String, String>, annotations: Option<&BTreeMap<String, String>>) -> Self {
        let label = |key: &str| labels.get(key).map(|value| value.as_str().into());
        let release = annotations.and_then(|all| all.get(names::ANNOTATION_RETAINED_RELEASE));

        Self {
            establishment: label(names::LABEL_ESTABLISHMENT),
            application: label(names::LABEL_APPLICATION),
            release: release.map(|release| release.as_str().into()),
        }
    }
}

/// An object that carries the Instance's labels, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Which one.
    pub key: ObjectKey,
    /// Hash of the fields the operator owns in it now.
    pub fields: Box<str>,
    /// What was last applied and which fields were owned right after, as `DESIRED.FIELDS`; empty if not known.
    pub applied: Box<str>,
    /// How it stands.
    pub health: Health,
    /// Is it being deleted?
    pub terminating: bool,
    /// Which one of those that bore its name; told of what holds data.
    pub uid: Box<str>,
    /// Does anybody but the operator say how many pods it has? Told of Deployments.
    pub is_scaled: bool,
}

/// The objects that move pods, as they were when the running revision was made.
#[derive(Clone, Debug, PartialEq)]
pub enum Pinned {
    /// They were read.
    Found(Vec<Object>),
    /// The revision's object is gone or unreadable.
    Lost,
}

/// Who the operator is: for the rights it gives itself in the namespaces it makes, and for the marks by which it tells its
/// own databases on a server from those of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorIdentity {
    /// Its service account, as namespace and name; none when it runs outside a cluster with a person's rights.
    pub service_account: Option<(String, String)>,
    /// The `ClusterRole` that holds what it may do in a namespace it made.
    pub instance_cluster_role: String,
    /// Which installation it is of: the lasting id of its cluster, the uid of the namespace `kube-system`.
    pub installation: String,
}
