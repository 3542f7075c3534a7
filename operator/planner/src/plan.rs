//! What is a plan?

use crate::{
    database::{Identity, Known},
    inputs::{Inputs, name_of},
    objects::{Object, ObjectKey},
    secrets::SecretRequest,
    snapshot::{NamespaceHolder, OperatorIdentity, Snapshot},
};
use gotocloud_api::{Instance, conditions::Reason, instance::RevisionStatus, names, platform::DatabaseServer};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is to be done about one Instance, and why. Carrying it out takes no decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<'a> {
    /// Whether it can run.
    pub verdict: Verdict,
    /// Labels and finalizer the Instance itself is to have; none where it has them already.
    pub metadata: Option<InstanceMetadata>,
    /// What to do, in this order. A step that fails ends the plan.
    pub steps: Vec<Step>,
    /// What to do after that for a rehearsal, also where the steps failed. If it fails, the rehearsal does, and nothing else.
    pub aside: Vec<Step>,
    /// Why a release that it still has to be made from cannot be planned.
    pub blocked: Option<Refusal>,
    /// What the release before had and this one lacks: its removal is a part of the upgrade.
    pub replaced: Vec<ObjectKey>,
    /// Why data that is to be saved or moved may still be written to.
    pub writers: Option<String>,
    /// Why a rehearsal that is under way cannot go on.
    pub unrehearsable: Option<Refusal>,
    /// Every object the Instance is to be made of once the steps are done, in the order of application.
    pub inventory: Vec<ObjectKey>,
    /// What it refers to; none where that cannot be told, or does not matter.
    pub inputs: Option<Inputs<'a>>,
    /// Which revision pins its pods.
    pub revision: Option<RevisionStatus>,
    /// Where its database is.
    pub database: Option<DatabaseRequest>,
    /// Are there objects that wait for others?
    pub waiting: Option<Waiting>,
}

/// Whether an Instance can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can.
    Proceed,
    /// It cannot before somebody acts. What runs goes on, untouched.
    Refused(Refusal),
    /// Somebody else runs it: only tracked.
    Tracked,
    /// The plan must be made again with the content of this `ControllerRevision` (namespace and name).
    NeedsPinned(ObjectKey),
    /// It is being deleted.
    Deleting,
}

/// Why an Instance cannot run, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The rule.
    pub reason: Reason,
    /// What is wrong, where, and what to do: a sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal by that rule.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Why some objects are not applied yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Pods wait for their database.
    ForDatabase,
    /// All wait for a namespace that is being deleted.
    ForNamespace,
    /// What is being deleted waits for a Job that moves the data which is to be kept.
    ForMigration,
}

/// What the Instance's own metadata is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InstanceMetadata {
    /// Labels, by which people select.
    pub labels: BTreeMap<String, String>,
    /// Does it hold the finalizer?
    pub finalizer: bool,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Apply an object. `known` if it was seen to be the Instance's own; else it may belong to somebody.
    Apply {
        /// The object.
        object: Object,
        /// Was it seen to be the Instance's own?
        known: bool,
    },
    /// Say how many pods a Deployment has, as [`gotocloud_api::names::REPLICAS_FIELD_MANAGER`], until an autoscaler says
    /// another number.
    HandOver {
        /// The Deployment, with its number of pods and nothing else.
        object: Object,
        /// Was it seen that nobody but the operator says a number? Else one that somebody says stands.
        known: bool,
    },
    /// See to a Secret, whose content the operator makes but never keeps.
    EnsureSecret(SecretRequest),
    /// See to a database and its role.
    EnsureDatabase(DatabaseRequest),
    /// Keep the data, but let nobody log in.
    SealDatabase(DatabaseRequest),
    /// Delete database and role.
    DropDatabase(DatabaseRequest),
    /// Remove an object that is no longer wanted.
    Remove(ObjectKey),
    /// Remove an object of the release before: a part of the upgrade, which somebody asked for.
    RemoveReplaced(ObjectKey),
    /// Let the Instance go: take the finalizer off.
    Release,
}

impl Step {
    /// Does it take something away? Such steps wait for the word of [`crate::removals`].
    pub fn takes_away(&self) -> bool {
        match self {
            Self::Apply { .. }
            | Self::HandOver { .. }
            | Self::EnsureSecret(_)
            | Self::EnsureDatabase(_)
            | Self::RemoveReplaced(_) => false,
            Self::SealDatabase(_) | Self::DropDatabase(_) | Self::Remove(_) | Self::Release => true,
        }
    }
}

impl Plan<'_> {
    /// How many objects the plan takes away. What is on its way out already was counted when it was sent there.
    pub fn removals(&self, snapshot: &Snapshot<'_>) -> usize {
        match self.verdict {
            Verdict::Deleting if self.steps.is_empty() => 0,
            Verdict::Deleting => standing(snapshot).max(self.taken_away()),
            Verdict::Proceed | Verdict::Refused(_) | Verdict::Tracked | Verdict::NeedsPinned(_) => self.taken_away(),
        }
    }

    fn taken_away(&self) -> usize {
        let counts = |step: &&Step| match step {
            Step::Remove(key) => !key.is_passing(),
            Step::SealDatabase(_) | Step::DropDatabase(_) => true,
            Step::Apply { .. }
            | Step::HandOver { .. }
            | Step::EnsureSecret(_)
            | Step::EnsureDatabase(_)
            | Step::RemoveReplaced(_)
            | Step::Release => false,
        };
        self.steps.iter().filter(counts).count()
    }

    /// The steps to carry out: all of them, or, where removals have to wait, those that take nothing away. Of a
    /// deletion, nothing is done before all of it may be.
    pub fn steps_allowed(&self, removals: bool) -> Vec<&Step> {
        let allowed = |step: &&Step| removals || (self.verdict != Verdict::Deleting && !step.takes_away());
        self.steps.iter().filter(allowed).collect()
    }
}

/// How many of the Instance's objects nobody has deleted yet. With its namespace all others go, and some are still
/// shown by a watch when the namespace no longer is.
fn standing(snapshot: &Snapshot<'_>) -> usize {
    match snapshot.namespace {
        NamespaceHolder::Itself { terminating: false } => {
            snapshot.children.iter().filter(|child| !child.terminating).count()
        }
        NamespaceHolder::Itself { terminating: true }
        | NamespaceHolder::Nobody
        | NamespaceHolder::Another(_)
        | NamespaceHolder::Kept(_) => 0,
    }
}

/// A database on a server that is already there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseRequest {
    /// Name or address of the server.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// Secret, in the operator's namespace, with the administrator's credentials.
    pub admin_secret_name: String,
    /// Certificate authority of the server, PEM.
    pub ca_certificate: String,
    /// Name of the database and of the role that owns it.
    pub name: String,
    /// For whom it is: written into the comments of role and database, so that those of somebody else are told from its
    /// own.
    pub identity: Identity,
    /// Most connections of the role.
    pub connection_limit: u32,
    /// The Secret that holds the role's password, in the instance's namespace.
    pub secret: (String, String),
    /// What the Instance's status tells of it; `None` where it was never made sure of.
    #[serde(skip)]
    pub known: Option<Known>,
}

impl DatabaseRequest {
    /// The database of an Instance on that server.
    pub fn on(
        server: &DatabaseServer,
        instance: &Instance,
        operator: &OperatorIdentity,
        name: &str,
        secret_name: &str,
    ) -> Self {
        Self {
            host: server.host.clone(),
            port: server.port,
            admin_secret_name: server.admin_secret_name.clone(),
            ca_certificate: server.ca_certificate.clone(),
            name: name.to_owned(),
            identity: Identity::of(instance, operator),
            connection_limit: server.connection_limit,
            secret: (names::workload_namespace(name_of(instance)), secret_name.to_owned()),
            known: known(instance),
        }
    }

    /// Which database this is, and how it is set up: a hash that changes when the server is to be asked again.
    pub fn fingerprint(&self) -> String {
        crate::fingerprint::of(self)
    }
}

/// What the Instance's status tells of its database on a server.
fn known(instance: &Instance) -> Option<Known> {
    let status = instance.status.as_ref()?;
    let database = status.database.as_ref().filter(|database| !database.provisioned.is_empty())?;
    let lost = match database.oid {
        Some(oid) => oid.to_string(),
        None => format!("{}/{}", database.server, database.name),
    };
    let annotations = instance.metadata.annotations.as_ref();
    let may_begin_anew = annotations.and_then(|all| all.get(names::ANNOTATION_NEW_EMPTY_DATABASE)) == Some(&lost);
    Some(Known { lost, ran: status.release.is_some(), may_begin_anew })
}
