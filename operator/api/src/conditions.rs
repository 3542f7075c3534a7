//! What can be true of an object, and why? The contract that `kubectl wait`, Flux, Argo CD and Helm read (kstatus).

use serde::{Deserialize, Serialize};
use std::fmt;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The condition types the operator sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConditionType {
    /// The whole runs as asked. The one to wait for.
    Ready,
    /// Work is under way; present only while it is (kstatus: abnormal-true).
    Reconciling,
    /// Work cannot go on before somebody acts; present only while it is so (kstatus: abnormal-true).
    Stalled,
    /// The database takes connections.
    DatabaseReady,
    /// Every component has the pods it should have.
    WorkloadReady,
    /// The route to the instance is accepted, with its certificate.
    Exposed,
    /// What runs is what would be rendered today. `False` lists what waits for a consent.
    UpToDate,
    /// A freeze holds somewhere.
    Active,
    /// Every name that the object gives stands for something, as in the Gateway API. `False` lists those that do not; what
    /// can go on without them goes on.
    ResolvedRefs,
}

/// Why a condition has its status. Closed: a reason that is not here cannot be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// All is as asked.
    AsDesired,
    /// Objects are being applied.
    Applying,
    /// The database is being made, or does not answer yet.
    DatabaseStarting,
    /// Pods are coming up.
    PodsStarting,
    /// The route or its certificate is not accepted yet.
    RouteStarting,
    /// The Instance is being deleted.
    Deleting,
    /// What runs is older than what would be rendered; a consent is awaited.
    ConsentAwaited,
    /// The spec names no release, and none is running.
    ReleaseNotChosen,
    /// The Application named does not exist.
    ApplicationNotFound,
    /// The Establishment named does not exist.
    EstablishmentNotFound,
    /// The Release named does not exist.
    ReleaseNotFound,
    /// The Release named is of another application.
    ReleaseOfAnotherApplication,
    /// The Release's version does not follow the application's scheme.
    VersionSchemeMismatch,
    /// The Application is not run by this operator (tenancy `External`).
    NotOperatedHere,
    /// No Platform is named, by the Instance or its Establishment.
    PlatformNotChosen,
    /// The Platform named does not exist.
    PlatformNotFound,
    /// The Platform takes no new instance.
    PlatformDraining,
    /// The Platform holds as many instances as its capacity.
    PlatformFull,
    /// The Instance runs elsewhere than its spec says; moving is not an edit.
    PlatformChanged,
    /// Neither the Instance nor the Establishment tells a size.
    SizeUnknown,
    /// The size class's quota cannot hold what the release asks for.
    QuotaTooSmall,
    /// The Instance's name leaves no room for its children's.
    NameTooLong,
    /// Another Instance holds the namespace this one needs.
    NamespaceTaken,
    /// The namespace keeps data of another release than the Instance asks for.
    RetainedData,
    /// Another Instance already runs this application for this establishment in this environment.
    DuplicateInstance,
    /// An object of that name belongs to somebody else.
    ForeignObject,
    /// The establishment is in two groupings for this application.
    MembershipConflict,
    /// An environment value uses a variable that does not exist.
    UnknownVariable,
    /// The Platform lacks an API that the instance needs.
    ApiMissing,
    /// The database server cannot be reached.
    DatabaseUnreachable,
    /// The database server refused what was asked, or what is there is not proven to be the Instance's.
    DatabaseRefused,
    /// The Instance's data is elsewhere than the Platform or Application now says.
    DatabaseMoved,
    /// The Cluster, or the database on a server, that held the Instance's data is gone.
    DatabaseLost,
    /// The Secret with the database server's administrator, or with the instance's own password, is missing or incomplete.
    DatabaseSecretInvalid,
    /// The API server refused an object.
    ObjectRefused,
    /// An object is too large to store.
    ObjectTooLarge,
    /// The API server refused for lack of rights.
    Forbidden,
    /// The API server did not answer.
    ApiUnavailable,
    /// Removals wait: too large a share of the fleet's objects would go at once.
    RemovalsHeld,
    /// The stored revision that pins the pods cannot be read.
    RevisionLost,
    /// The instance is on its way to another release.
    Upgrading,
    /// It failed on its way to another release, and runs the one before, or none.
    UpgradeFailed,
    /// It cannot go to the release it is asked to run.
    UpgradeRefused,
    /// Its way to another release was rehearsed, on a copy of its data, and failed. Told by an event alone.
    RehearsalFailed,
    /// A campaign shows its plan.
    CampaignDraft,
    /// A campaign cannot run as it is written.
    CampaignInvalid,
    /// A campaign goes on.
    CampaignRunning,
    /// A campaign waits for a date, a window or a person.
    CampaignWaiting,
    /// A person paused a campaign.
    CampaignPaused,
    /// More targets of a campaign failed than may.
    CampaignHalted,
    /// A person aborted a campaign.
    CampaignAborted,
    /// The Campaign named does not exist.
    CampaignNotFound,
    /// The Campaign named has no wave of that name.
    WaveNotFound,
    /// A Deferral is not in the namespace that its Establishment names as its own.
    NamespaceMismatch,
    /// The Campaign named lets nobody defer itself.
    DeferralNotAllowed,
    /// The period of a freeze cannot be read.
    PeriodInvalid,
    /// The time zone or a window of an establishment cannot be read.
    CalendarInvalid,
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
