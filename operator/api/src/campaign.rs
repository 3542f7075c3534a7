//! What is changed across a fleet, in which order, and how carefully?

use crate::{Stage, calendar::Window, conditions::Condition, duration::Duration};
use k8s_openapi::apimachinery::pkg::{
    apis::meta::v1::{LabelSelector, Time},
    util::intstr::IntOrString,
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One change to a fleet, wave by wave. As a `Draft` it shows its whole plan and touches nothing.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gotocloud.amue.fr",
    version = "v1alpha1",
    kind = "Campaign",
    derive = "PartialEq",
    status = "CampaignStatus",
    shortname = "gcamp",
    category = "gotocloud",
    doc = "One change to a fleet, wave by wave. As a Draft it shows its whole plan and touches nothing.",
    printcolumn(name = "Application", type_ = "string", json_path = ".spec.application"),
    printcolumn(name = "State", type_ = "string", json_path = ".spec.state"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.counts.targets"),
    printcolumn(name = "Done", type_ = "integer", json_path = ".status.counts.done"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.counts.failed"),
    printcolumn(name = "End", type_ = "string", json_path = ".status.estimatedEnd", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.application",
    selectable = ".spec.state"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.upgrade) ? 1 : 0) + (has(self.provision) ? 1 : 0) + (has(self.promote) ? 1 : 0) == 1")
    .message("give exactly one of upgrade, provision and promote"))]
#[x_kube(validation = Rule::new("oldSelf.state != 'Aborted' || self.state == 'Aborted'")
    .message("an aborted campaign stays aborted: make a new one"))]
#[x_kube(validation = Rule::new("oldSelf.state == 'Draft' || self.state != 'Draft'")
    .message("a campaign that has run cannot become a Draft again: set state: Paused to hold it"))]
#[x_kube(validation = Rule::new("oldSelf.state == 'Draft' || (has(self.upgrade) == has(oldSelf.upgrade) && has(self.provision) == has(oldSelf.provision) \
    && has(self.promote) == has(oldSelf.promote) && (!has(self.upgrade) || self.upgrade == oldSelf.upgrade) \
    && (!has(self.promote) || self.promote == oldSelf.promote) && (!has(self.provision) || self.provision == oldSelf.provision))")
    .message("what a campaign does cannot change once it is no Draft: abort it and make a new one"))]
pub struct CampaignSpec {
    /// Name of the Application whose instances it changes.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("application cannot change: make a new Campaign"))]
    pub application: String,
    /// Namespace, in the hub, of the Instances it changes or makes.
    #[serde(default = "hub")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("namespace cannot change: make a new Campaign"))]
    pub namespace: String,
    /// What is to be done.
    #[serde(default)]
    pub state: CampaignState,
    /// Brings the targets to a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
    /// Makes the instances of the targets, which are establishments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<Provision>,
    /// Brings the targets to a stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote: Option<Promote>,
    /// The waves, in their order. The first is the canary.
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub waves: Vec<Wave>,
    /// When a target may begin, in its establishment's local time, beside its own windows and its application's; empty:
    /// at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub windows: Vec<Window>,
    /// What to do about a target that fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Whether instances that come to match a wave that has begun take part.
    #[serde(default)]
    pub late_joiners: LateJoiners,
    /// How `maxConcurrent` counts.
    #[serde(default)]
    pub weight: Weight,
    /// Most targets at once on one platform, over all waves; none: as many as the waves allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_concurrent_per_platform: Option<u32>,
    /// Most targets at once whose data is on one database server, over all waves; none: as many as the waves allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_concurrent_per_database_server: Option<u32>,
    /// Longest that pods may take to be ready, and a verification to succeed, each, before the target has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_deadline: Option<Duration>,
    /// Most days by which an establishment may defer itself by a Deferral, from the start of its wave. A release that
    /// mends a vulnerability is not deferred.
    #[serde(default)]
    #[schemars(range(min = 0, max = 90))]
    pub max_deferral_days: u32,
    /// When all is to be done, RFC 3339. A campaign that cannot be done by then says so as a `Draft`, and its first wave
    /// does not begin until an Approval accepts that it is done later. Once it has begun it does not stop for this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_by: Option<Time>,
    /// Raise it by one to have every target that failed, or was left out for a reason that has passed, tried again.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub retry_failed: u32,
    /// By name of a target: raise it by one to have that target alone tried again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retry: BTreeMap<String, u32>,
    /// Names of targets to leave out, also such that failed: they no longer count against `maxFailures`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub skip: Vec<String>,
    /// Names of waves whose done targets go back to the release they came from, where that needs no restore.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub roll_back: Vec<String>,
}

fn hub() -> String {
    "gotocloud".into()
}

impl CampaignState {
    /// Is it to be worked out when a campaign in this state will end?
    pub fn is_to_be_forecast(self) -> bool {
        matches!(self, Self::Draft | Self::Running)
    }
}

/// What a campaign is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CampaignState {
    /// Show the plan, and touch nothing.
    #[default]
    Draft,
    /// Go on, within its waves, windows and limits.
    Running,
    /// Begin nothing new; what has begun is finished.
    Paused,
    /// Begin nothing new, for good. What has not touched anything yet is withdrawn, what has is finished.
    Aborted,
}

/// Brings targets to a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upgrade {
    /// Name of the Release. Where it is not reached in one step, the shortest allowed way is taken step by step.
    #[schemars(length(min = 1, max = 253))]
    pub release: String,
}

/// Makes instances for establishments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provision {
    /// Name of the Release they start with.
    #[schemars(length(min = 1, max = 253))]
    pub release: String,
    /// The stage they start in.
    #[serde(default)]
    pub stage: Stage,
    /// Labels of the Instances made, beside the `cohort` that an Establishment hands on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Brings targets to a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Promote {
    /// The stage. Targets that are in it or beyond are left as they are.
    pub stage: Stage,
}

/// Some targets, and how carefully they are changed.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wave {
    /// Name, unique within the campaign: a DNS label.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Who is in it.
    pub targets: Targets,
    /// Who is not, though `targets` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Targets>,
    /// Most targets at once: a number, or a share such as `10%` of the wave, rounded up; 1 if it is left out.
    #[serde(default = "one")]
    #[schemars(extend("maxLength" = 4))]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 1 && self <= 10000 : self.matches('^([1-9][0-9]?|100)%$')")
        .message("maxConcurrent is a number from 1, or a share from 1% to 100%: with none at once the wave would never end"))]
    pub max_concurrent: IntOrString,
    /// How many targets may fail before nothing new begins: a number, or a share such as `5%` of the wave, rounded down; 0 if
    /// it is left out.
    #[serde(default = "zero")]
    #[schemars(extend("maxLength" = 4))]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 0 && self <= 10000 : self.matches('^([0-9]|[1-9][0-9]|100)%$')")
        .message("maxFailures is a number from 0, or a share from 0% to 100%"))]
    pub max_failures: IntOrString,
    /// How long each target is watched after it was changed, before it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Duration>,
    /// Before when it does not begin, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// Whether a person says that it may begin; `Automatic` if it is left out.
    #[serde(default)]
    pub approval: Approval,
    /// The person's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// Whether the waves after it may begin while nobody is in it, though it has a soak, gates or an approval. It begins
    /// once it has a target. Without this, the campaign waits for one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_be_empty: bool,
    /// What must be true of a target before it is done, beside its health.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub gates: Vec<Gate>,
}

fn one() -> IntOrString {
    IntOrString::Int(1)
}

fn zero() -> IntOrString {
    IntOrString::Int(0)
}

/// Who is in a wave: all that one of the three names. For `provision` they are Establishments, else Instances.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.names) || has(self.selector) || has(self.cohort)")
    .message("give at least one of names, selector and cohort"))]
pub struct Targets {
    /// By name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 63)))]
    pub names: Vec<String>,
    /// By label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// By the label `cohort`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub cohort: Option<String>,
}

/// Whether a person says that a wave may begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Approval {
    /// It begins by itself once those before it are done.
    #[default]
    Automatic,
    /// It waits for `approved`.
    Manual,
}

/// A person's word that a wave may begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approved {
    /// Who: the name under which the API server knows the person who writes this; anybody else's is refused.
    #[schemars(length(min = 1, max = 253))]
    pub by: String,
    /// Why, if it is to be remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub reason: Option<String>,
}

/// Something that must be true of a target, and stay true, before it is done: a health check or an expression.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.promql) != has(self.healthCheck)")
    .message("a gate is either a promql expression or a healthCheck: give one of them"))]
pub struct Gate {
    /// Name, unique within the wave.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// A `PromQL` expression; `${namespace}`, `${instance}` and `${establishment}` stand for the target's. It is true where
    /// it has a result and none of its values is 0, and unknown where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub promql: Option<String>,
    /// A health check of the target, by the condition in which its Instance tells of it. It needs no Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// How long it must be true without a break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<Duration>,
}

/// A health check of an instance, by the condition in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum HealthCheck {
    /// All its pods are ready, by the checks of their components.
    WorkloadReady,
    /// Its database is.
    DatabaseReady,
    /// Its route and its certificate are.
    Exposed,
}

/// What to do about a target that fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// Take it back to the release it came from, where that needs no restore; go on within `maxFailures`.
    #[default]
    Rollback,
    /// Leave it as it is, and begin nothing new before a person retries or skips it.
    Pause,
    /// Leave it as it is; go on within `maxFailures`.
    Continue,
}

/// Whether instances that come to match a wave that has begun take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum LateJoiners {
    /// They do, within the limits of their wave; waves that began go on.
    #[default]
    Include,
    /// They do not; they are counted as left out.
    Exclude,
}

/// How `maxConcurrent` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Weight {
    /// Each target is one.
    #[default]
    Targets,
    /// Each target is as many as the establishments it serves. One that is over the limit by itself runs alone.
    Establishments,
}

/// What the operator reports of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignStatus {
    /// The generation of the spec this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where it is.
    #[serde(default)]
    pub phase: CampaignPhase,
    /// All its targets, counted.
    #[serde(default)]
    pub counts: Counts,
    /// Each wave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<WaveStatus>,
    /// What is being changed now; the first 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<TargetStatus>,
    /// What failed; the first 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<TargetStatus>,
    /// What holds it up, and what to look at before it runs; the first 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What was decided, newest last; the last 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// When it will be done, if what waits for a person is agreed to at once and nothing fails: by a simulation with what
    /// its targets took so far, and with what is assumed while none is done. Rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_end: Option<Time>,
    /// Who accepted that it is done later than `finishBy`, as it was when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_end: Option<LateEnd>,
    /// When its first wave began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When its last target was done, or when it was aborted and nothing was in between any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// `Ready` once it is done; `Reconciling` while it goes on; `Stalled` where a person is needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A person's word that a campaign may be done later than its `finishBy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LateEnd {
    /// Who.
    pub by: String,
    /// Until when, RFC 3339.
    pub until: Time,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where a campaign is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CampaignPhase {
    /// It shows its plan.
    #[default]
    Draft,
    /// It cannot run as it is written; its findings say why.
    Invalid,
    /// It goes on.
    Running,
    /// A person holds it.
    Paused,
    /// More failed than may, or what failed waits for a person.
    Halted,
    /// It was aborted, and what had begun is being finished.
    Aborting,
    /// It was aborted, and nothing is in between.
    Aborted,
    /// All its targets are done or left out.
    Completed,
}

/// Targets, counted by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All.
    #[serde(default)]
    pub targets: u32,
    /// Not begun.
    #[serde(default)]
    pub pending: u32,
    /// Being changed.
    #[serde(default)]
    pub running: u32,
    /// Changed, and watched.
    #[serde(default)]
    pub soaking: u32,
    /// Done, by their own proof.
    #[serde(default)]
    pub done: u32,
    /// Where they should be already, by no doing of this campaign.
    #[serde(default)]
    pub unneeded: u32,
    /// Failed, refused or gone back.
    #[serde(default)]
    pub failed: u32,
    /// Left out by a person, or come too late.
    #[serde(default)]
    pub skipped: u32,
    /// Held by somebody who set the field that the campaign would write.
    #[serde(default)]
    pub pinned: u32,
    /// On a platform that does not answer.
    #[serde(default)]
    pub unreachable: u32,
}

impl Counts {
    /// How many stand where, by the names of the fields.
    pub fn by_standing(&self) -> [(&'static str, u32); 9] {
        [
            ("pending", self.pending),
            ("running", self.running),
            ("soaking", self.soaking),
            ("done", self.done),
            ("unneeded", self.unneeded),
            ("failed", self.failed),
            ("skipped", self.skipped),
            ("pinned", self.pinned),
            ("unreachable", self.unreachable),
        ]
    }
}

/// Where a wave is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveStatus {
    /// Its name.
    pub name: String,
    /// Its targets, counted.
    #[serde(default)]
    pub counts: Counts,
    /// When it began; never changed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When its last target was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// When it will begin, where it has not, as `estimatedEnd` of the campaign is worked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_start: Option<Time>,
    /// When it will be done, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_end: Option<Time>,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// When that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Time>,
    /// What it waits for, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}

/// Where one target is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Its name.
    pub name: String,
    /// Its wave.
    pub wave: String,
    /// Where it is, in a word.
    pub phase: String,
    /// Why, as a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Something to know about a campaign before it runs, or that holds it up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The rule, in a word.
    #[schemars(with = "String")]
    pub rule: Rule,
    /// What is so, where, and what to do: a sentence.
    pub message: String,
}

/// What a finding is about. Closed: a rule that is not here cannot be broken.
// By their names, in which order those of one severity are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// The Application named does not exist.
    ApplicationNotFound,
    /// Windows, a time zone or a freeze cannot be read.
    CalendarInvalid,
    /// A length of time cannot be read.
    DurationInvalid,
    /// A gate would never be true, or cannot be asked.
    GateInvalid,
    /// No way leads from the release of a target to that of the campaign.
    NoWay,
    /// No end can be told.
    NotFinished,
    /// A possible target is in no wave.
    NotInAnyWave,
    /// Somebody else set what the campaign would write.
    Pinned,
    /// The Release named does not exist.
    ReleaseNotFound,
    /// The Release named is of another application.
    ReleaseOfAnotherApplication,
    /// Releases are each reached from the one before, in a circle.
    ReleasesInACircle,
    /// Targets can go back by their image.
    RollbackByImage,
    /// Targets can go back only by a restore.
    RollbackByRestore,
    /// A selector cannot be read.
    SelectorInvalid,
    /// The support of the release has ended.
    SupportEnded,
    /// The end of the release's support cannot be read.
    SupportInvalid,
    /// A target is in more than one wave.
    TargetInTwoWaves,
    /// A target is named that does not exist.
    TargetNotFound,
    /// It is done later than it is to be.
    TooLate,
    /// A wave has no target.
    WaveEmpty,
    /// A wave is named that does not exist.
    WaveNotFound,
    /// No window of a target opens in the years to come.
    WindowNeverOpens,
    /// It was written by another version of the operator.
    #[serde(other)]
    Unknown,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Severity {
    /// The campaign cannot run before it is mended.
    Error,
    /// It can run, but not as somebody may expect.
    Warning,
    /// To be known.
    Info,
}

/// Something that was decided, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When.
    pub at: Time,
    /// What.
    pub verb: DecisionVerb,
    /// About what: a wave, or a target as `WAVE/TARGET`.
    pub subject: String,
    /// Who is behind it: a person, or the campaign's own rules.
    pub actor: String,
    /// Why, with the figures that led to it.
    pub reason: String,
}

/// What can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DecisionVerb {
    /// A wave or a target begins.
    Start,
    /// A wave or a campaign waits.
    Hold,
    /// A wave was approved.
    Approve,
    /// A target or a wave is done.
    Finish,
    /// A target failed.
    Fail,
    /// A target goes back.
    RollBack,
    /// A target is tried again.
    Retry,
    /// A target is left out.
    Skip,
    /// A target's change is taken back before it touched anything.
    Withdraw,
    /// A target's way is rehearsed, on a copy of its data.
    Rehearse,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_by_its_name() {
        assert_eq!(serde_json::to_value(Rule::TargetInTwoWaves).unwrap(), "TargetInTwoWaves");
        assert_eq!(serde_json::from_value::<Rule>("TooLate".into()).unwrap(), Rule::TooLate);
    }

    #[test]
    fn a_finding_by_a_rule_of_another_version_keeps_no_campaign_from_being_read() {
        let status = serde_json::json!({
            "findings": [{"severity": "Info", "rule": "OfTheNextVersion", "message": "So it is."}],
        });
        let status: CampaignStatus = serde_json::from_value(status).unwrap();
        assert_eq!(status.findings[0].rule, Rule::Unknown);
    }
}
