//! How are campaigns carried on? Their targets are folded into boards, a decision is made whenever one of them moves or
//! time has come, and what was decided is written: first the campaign's own status where a wave begins, then the targets.

use crate::{
    apply::explained,
    catalogue::{Catalogue, Change, reference},
    children::InstanceRef,
    reconcile::Context,
};
use futures::{FutureExt as _, StreamExt as _, stream};
use gotocloud_api::{
    Campaign, CampaignSpec, CampaignStatus, ChangeFreezeSpec, Deferral, Establishment, Instance, Release,
    campaign::{CampaignPhase, Finding},
    names,
};
use gotocloud_planner::{
    campaign::{
        self, Admission, Board, FIELD_MANAGER, Moves, Standing, bodies,
        findings::{self, World},
        members::Members,
        ownership,
        report::{self, Detail, Facts},
        standing::{self, Goal, goal},
        targets::{Calendars, Candidate, Field, place},
    },
    inputs,
    path::Graph,
};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::reflector::ObjectRef,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::UnboundedReceiver;

/// How long changes are gathered before they are acted on.
const GATHER: Duration = Duration::from_millis(50);
/// How often a campaign's counts are told while nothing of more weight happens.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How often campaigns are looked at though nothing seems to happen: a clock may be moved.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
/// Writes at once.
const CONCURRENCY: usize = 16;

/// What carries campaigns on.
pub struct Runner {
    client: Client,
    catalogue: Arc<Catalogue>,
    context: Arc<Context>,
    live: HashMap<String, Live>,
}

/// What is known of a campaign that goes on.
struct Live {
    uid: String,
    generation: Option<i64>,
    ground: Ground,
    board: Board,
    calendars: Calendars,
    findings: Vec<Finding>,
    changes: Vec<report::Change>,
    /// What it began and has not told yet.
    begun: Vec<Admission>,
    /// Its status as last written, until the watch shows it.
    status: Option<CampaignStatus>,
    told: Option<Instant>,
    look_again: Option<Timestamp>,
}

/// What a campaign's targets are seen against, which changes seldom.
struct Ground {
    goal: Goal,
    members: Result<Members, String>,
    release: Option<Arc<Release>>,
    releases: Graph,
    freezes: Vec<(String, ChangeFreezeSpec)>,
    deferrals: Vec<Arc<Deferral>>,
    groupings: HashMap<String, BTreeSet<String>>,
}

/// What happened since the last look.
#[derive(Default)]
struct News {
    instances: BTreeSet<InstanceRef>,
    everything: bool,
}

impl News {
    fn note(&mut self, change: Change, catalogue: &Catalogue) {
        match change {
            Change::Instance(instance) => drop(self.instances.insert(instance)),
            Change::Application(_)
            | Change::Release(_)
            | Change::Establishment(_)
            | Change::Campaign(_)
            | Change::Calendar => self.everything = true,
            Change::Neighbours(establishment) => {
                self.instances.extend(catalogue.of_establishment(&establishment).iter().map(|one| reference(one)));
            }
            Change::Place(_) | Change::Platform(_) => {}
        }
    }
}

impl Runner {
    /// What carries on the campaigns of a catalogue.
    pub fn new(client: Client, catalogue: Arc<Catalogue>, context: Arc<Context>) -> Self {
        Self { client, catalogue, context, live: HashMap::new() }
    }

    /// Carries them on until `changes` has no more senders.
    pub async fn run(mut self, mut changes: UnboundedReceiver<Change>) {
        let mut news = News { everything: true, ..News::default() };
        loop {
            self.look(std::mem::take(&mut news)).await;
            match tokio::time::timeout(self.patience(), changes.recv()).await {
                Ok(None) => return,
                Ok(Some(change)) => news.note(change, &self.catalogue),
                Err(_) => {}
            }
            let until = tokio::time::Instant::now() + GATHER;
            while let Ok(change) = tokio::time::timeout_at(until, changes.recv()).await {
                match change {
                    Some(change) => news.note(change, &self.catalogue),
                    None => return,
                }
            }
        }
    }

    /// How long to wait for news.
    fn patience(&self) -> Duration {
        let now = self.context.clock.now();
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO);
        let waits = self.live.values().flat_map(|live| {
            let tell = (!live.changes.is_empty()).then_some(TELL_EVERY);
            live.look_again.map(until).into_iter().chain(tell)
        });
        waits.min().unwrap_or(LOOK_AGAIN).clamp(Duration::from_millis(20), LOOK_AGAIN)
    }

    /// Looks at every campaign that goes on, or that changed.
    async fn look(&mut self, news: News) {
        let campaigns = self.catalogue.campaigns.state();
        self.live.retain(|name, live| {
            campaigns.iter().any(|one| one.name_any() == *name && one.metadata.uid.as_ref() == Some(&live.uid))
        });
        for campaign in campaigns {
            // What has ended takes nobody more, whatever becomes of its targets; an edit of its spec opens it again.
            if is_over(&campaign) {
                self.live.remove(&campaign.name_any());
                continue;
            }
            self.carry_on(&campaign, &news).await;
        }
    }

    async fn carry_on(&mut self, campaign: &Arc<Campaign>, news: &News) {
        let name = campaign.name_any();
        let Some(goal) = goal(&campaign.spec) else { return };
        // What is wrong with it may have been mended by a change of its targets.
        let is_known = self.live.get(&name).is_some_and(|live| {
            findings::is_valid(&live.findings)
                && live.generation == campaign.metadata.generation
                && Some(&live.uid) == campaign.metadata.uid.as_ref()
        });
        if is_known && !news.everything {
            self.update(campaign, news);
        } else {
            let before = self.live.remove(&name);
            let live = self.begin(campaign, goal, before);
            self.live.insert(name.clone(), live);
        }
        // A wave that begins is recorded before its targets begin: so twice at most.
        if self.step(campaign).await == Some(true) {
            // From its start on its deferrals count, and who comes too late.
            if let (Some(goal), before) = (standing::goal(&campaign.spec), self.live.remove(&name)) {
                let live = self.begin(campaign, goal, before);
                self.live.insert(name, live);
            }
            self.step(campaign).await;
        }
    }

    /// All that is known of a campaign, made anew.
    #[allow(clippy::needless_pass_by_value)] // what was known is done with
    fn begin(&self, campaign: &Arc<Campaign>, goal: Goal, before: Option<Live>) -> Live {
        let spec = &campaign.spec;
        let release = match (&spec.upgrade, &spec.provision) {
            (Some(upgrade), _) => self.catalogue.releases.get(&ObjectRef::new(&upgrade.release)),
            (None, Some(provision)) => self.catalogue.releases.get(&ObjectRef::new(&provision.release)),
            (None, None) => None,
        };
        let ground = Ground {
            members: Members::new(spec).map_err(|error| error.to_string()),
            release,
            releases: self.catalogue.graph(&spec.application),
            freezes: self.catalogue.freezes(),
            deferrals: self.catalogue.deferrals.state(),
            groupings: self.groupings(),
            goal,
        };
        let mut live = Live {
            uid: campaign.metadata.uid.clone().unwrap_or_default(),
            generation: campaign.metadata.generation,
            board: Board::new(spec.waves.len()),
            calendars: Calendars::default(),
            findings: Vec::new(),
            changes: before.as_ref().map(|before| before.changes.clone()).unwrap_or_default(),
            begun: before.as_ref().map(|before| before.begun.clone()).unwrap_or_default(),
            status: before.as_ref().and_then(|before| before.status.clone()),
            told: before.as_ref().and_then(|before| before.told),
            look_again: None,
            ground,
        };
        let (mut names, mut running, mut twice, mut unmatched) =
            (BTreeSet::new(), BTreeMap::new(), Vec::new(), Vec::new());
        for candidate in self.candidates(spec, &live.ground.goal) {
            names.insert(candidate.name.clone());
            let labels = candidate.labels.clone();
            if let Ok(members) = &live.ground.members {
                let waves: Vec<usize> = members.waves_of(&candidate.name, labels.as_ref()).collect();
                match waves.len() {
                    0 => unmatched.push(candidate.name.clone()),
                    1 => {}
                    _ => twice.push((candidate.name.clone(), waves)),
                }
            }
            let status = candidate.instance.as_ref().and_then(|one| one.status.as_ref());
            if let Some(release) = status.and_then(|status| status.release.as_ref()) {
                running.insert(candidate.name.clone(), release.name.clone());
            }
            self.put(&mut live, campaign, &candidate, before.as_ref().map(|before| &before.board));
        }
        let now = self.context.clock.now();
        let never_open = never_open(&live, now);
        let application = self.catalogue.applications.get(&ObjectRef::new(&spec.application));
        let world = World {
            application: application.as_deref(),
            release: live.ground.release.as_deref(),
            releases: &live.ground.releases,
            names: &names,
            members: live.ground.members.as_ref().map_err(Clone::clone),
            board: &live.board,
            running: &running,
            twice: &twice,
            unmatched: &unmatched,
            calendars: live.calendars.errors().collect(),
            never_open: &never_open,
            expected_end: None,
        };
        live.findings = findings::findings(campaign, &world, now);
        live
    }

    /// The groupings that list each establishment, by its name.
    fn groupings(&self) -> HashMap<String, BTreeSet<String>> {
        let all = self.catalogue.establishments.state();
        let mut groupings: HashMap<String, BTreeSet<String>> = HashMap::new();
        for one in &all {
            for member in one.spec.grouping.iter().flat_map(|grouping| &grouping.members) {
                groupings.entry(member.name.clone()).or_default().insert(one.name_any());
            }
        }
        groupings
    }

    /// All that could be a target.
    fn candidates(&self, spec: &CampaignSpec, goal: &Goal) -> Vec<Possible> {
        if *goal == Goal::Existence {
            let establishments = self.catalogue.establishments.state();
            return establishments.into_iter().map(|one| self.to_be_made(spec, one)).collect();
        }
        let of_it = |one: &Arc<Instance>| {
            one.spec.application == spec.application && one.metadata.namespace.as_deref() == Some(&spec.namespace)
        };
        let instances = self.catalogue.instances.state().into_iter().filter(of_it);
        instances.filter(|one| one.metadata.deletion_timestamp.is_none()).map(|one| self.there(one)).collect()
    }

    fn to_be_made(&self, spec: &CampaignSpec, establishment: Arc<Establishment>) -> Possible {
        let name = establishment.name_any();
        let who = InstanceRef::new(&spec.namespace, &bodies::instance_name(spec, &name));
        let instance = self.catalogue.instance(&who).map(|watched| self.context.latest(&who, watched));
        let labels = establishment.metadata.labels.clone();
        Possible { name, labels, instance, establishment: Some(establishment) }
    }

    fn there(&self, watched: Arc<Instance>) -> Possible {
        let instance = self.context.latest(&reference(&watched), watched);
        let establishment = self.catalogue.establishments.get(&ObjectRef::new(&instance.spec.establishment));
        let labels = instance.metadata.labels.clone();
        Possible { name: instance.name_any(), labels, instance: Some(instance), establishment }
    }

    /// Puts what changed where it now stands.
    fn update(&mut self, campaign: &Arc<Campaign>, news: &News) {
        let name = campaign.name_any();
        let Some(mut live) = self.live.remove(&name) else { return };
        let spec = &campaign.spec;
        for who in news.instances.iter().filter(|who| *who.namespace == *spec.namespace) {
            let candidate = match (self.catalogue.instance(who), &live.ground.goal) {
                (_, Goal::Existence) => {
                    let establishment = who.name.strip_prefix(&format!("{}-", spec.application));
                    let establishment =
                        establishment.and_then(|name| self.catalogue.establishments.get(&ObjectRef::new(name)));
                    establishment.map(|one| self.to_be_made(spec, one))
                }
                (Some(instance), Goal::Release(_) | Goal::Stage(_)) => {
                    let is_target =
                        instance.spec.application == spec.application && instance.metadata.deletion_timestamp.is_none();
                    is_target.then(|| self.there(instance))
                }
                (None, Goal::Release(_) | Goal::Stage(_)) => None,
            };
            match candidate {
                Some(candidate) => self.put(&mut live, campaign, &candidate, None),
                // One that is gone, or going, is no target any more.
                None => drop(live.board.take(&who.name)),
            }
        }
        self.live.insert(name, live);
    }

    /// Puts one target on a campaign's board, and notes what changed about it since it was last there, or on `earlier`.
    fn put(&self, live: &mut Live, campaign: &Campaign, candidate: &Possible, earlier: Option<&Board>) {
        let Ok(members) = &live.ground.members else { return };
        let spec = &campaign.spec;
        let status = live.status.as_ref().or(campaign.status.as_ref());
        let application = self.catalogue.applications.get(&ObjectRef::new(&spec.application));
        let instance = candidate.instance.as_deref();
        let none = BTreeSet::new();
        let establishment = candidate.establishment.as_deref();
        let groupings = establishment.and_then(|one| live.ground.groupings.get(&one.name_any())).unwrap_or(&none);
        let has_requirements = live.ground.release.as_ref().is_some_and(|release| !release.spec.requires.is_empty());
        let neighbours = match instance {
            Some(instance) if has_requirements => self.catalogue.running_beside(instance),
            Some(_) | None => BTreeMap::new(),
        };
        let field_name = if matches!(live.ground.goal, Goal::Stage(_)) { "stage" } else { "release" };
        let field = Field {
            spec,
            status,
            uid: &live.uid,
            name: &campaign.name_any(),
            goal: &live.ground.goal,
            members,
            application: application.as_deref(),
            release: live.ground.release.as_deref(),
            releases: &live.ground.releases,
            freezes: &live.ground.freezes,
            deferrals: &live.ground.deferrals,
        };
        let target = place(
            &field,
            &mut live.calendars,
            &Candidate {
                name: &candidate.name,
                labels: candidate.labels.as_ref(),
                instance,
                establishment,
                groupings,
                neighbours: &neighbours,
                schemes: &|application| {
                    self.catalogue.applications.get(&ObjectRef::new(application)).map(|one| one.spec.version_scheme)
                },
                owner: instance.and_then(|one| ownership::owner(one.metadata.managed_fields.as_deref(), field_name)),
                platform: instance.and_then(|one| inputs::platform_name(one, establishment)),
            },
        );
        let Some(target) = target else {
            live.board.take(&candidate.name);
            return;
        };
        let name: Arc<str> = candidate.name.as_str().into();
        let (wave, after) = (target.wave, target.standing.clone());
        let known = live.board.put(&name, target);
        let before = known.or_else(|| earlier?.target(&name).map(|target| target.standing.clone()));
        if before.as_ref() != Some(&after) {
            live.changes.push(report::Change { name: candidate.name.clone(), wave, before, after });
        }
    }

    /// Decides and carries out once. Gives whether a wave began; none where the status could not be written.
    async fn step(&mut self, campaign: &Arc<Campaign>) -> Option<bool> {
        let name = campaign.name_any();
        let now = self.context.clock.now();
        let live = self.live.get_mut(&name)?;
        let is_valid = findings::is_valid(&live.findings);
        // What was written and the watch does not show yet counts.
        let stored = live.status.clone().or_else(|| campaign.status.clone());
        let release = live.ground.release.as_ref().and_then(|release| release.metadata.name.clone());
        let opening = |lane: &campaign::Lane| live.calendars.opening(lane, release.as_deref(), now);
        let moves = campaign::decide(&campaign.spec, stored.as_ref(), &live.board, is_valid, opening, now);
        live.look_again = moves.look_again;
        if moves.start.is_none() {
            live.begun.extend(moves.begin.iter().cloned());
            self.carry_out(campaign, &moves).await;
        }
        self.tell(campaign, stored, &moves, now).await?;
        Some(moves.start.is_some())
    }

    /// Writes the campaign's status where it changed and that presses, or has not been told for a while.
    async fn tell(
        &mut self,
        campaign: &Arc<Campaign>,
        stored: Option<CampaignStatus>,
        moves: &Moves,
        now: Timestamp,
    ) -> Option<()> {
        let name = campaign.name_any();
        let live = self.live.get_mut(&name)?;
        let told = Moves { begin: live.begun.clone(), ..moves.clone() };
        let status = {
            let detail = |target: &str| {
                self.context
                    .detail(&InstanceRef::new(&campaign.spec.namespace, &bodies::instance_of(&campaign.spec, target)))
            };
            let facts = Facts {
                board: &live.board,
                moves: &told,
                changes: &live.changes,
                findings: &live.findings,
                is_valid: findings::is_valid(&live.findings),
                estimated_end: None,
                detail: &detail,
            };
            let known = Campaign { status: stored.clone(), ..(**campaign).clone() };
            report::report(&known, &facts, now)
        };
        let presses = moves.start.is_some()
            || stored.as_ref().is_none_or(|stored| {
                stored.phase != status.phase || stored.observed_generation != status.observed_generation
            })
            || stored.as_ref().is_some_and(|stored| finished(stored) != finished(&status));
        let is_due = live.told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if stored.as_ref() == Some(&status) || !(presses || is_due) {
            return Some(());
        }
        for decision in
            status.decisions.iter().filter(|one| stored.as_ref().is_none_or(|old| !old.decisions.contains(one)))
        {
            tracing::info!(campaign = name, verb = ?decision.verb, subject = decision.subject, actor = decision.actor,
                reason = decision.reason, "decided");
        }
        let manifest = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": name}, "status": status});
        self.context.executor.cluster.metrics.writes.with_label_values(&["patch", "Campaign/status"]).inc();
        let parameters = PatchParams::apply(names::FIELD_MANAGER).force();
        match Api::<Campaign>::all(self.client.clone()).patch_status(&name, &parameters, &Patch::Apply(&manifest)).await
        {
            Ok(_) => {
                live.status = Some(status);
                live.changes.clear();
                live.begun.clear();
                live.told = Some(Instant::now());
                Some(())
            }
            Err(error) => {
                tracing::warn!(
                    campaign = name,
                    error = explained(&error),
                    "its status was not written; it is tried again"
                );
                live.look_again = now.checked_add(SignedDuration::from_secs(2)).ok();
                None
            }
        }
    }

    /// Writes what was decided about targets.
    async fn carry_out(&mut self, campaign: &Arc<Campaign>, moves: &Moves) {
        let begin = moves.begin.iter().cloned().map(Write::Begin);
        let writes = begin.chain(moves.withdraw.iter().cloned().map(Write::Withdraw));
        let writes: Vec<_> = writes.map(|write| self.write(campaign, write).boxed()).collect();
        let written: Vec<Option<Arc<Instance>>> = stream::iter(writes).buffer_unordered(CONCURRENCY).collect().await;
        let mut news = News::default();
        for instance in written.into_iter().flatten() {
            let who = reference(&instance);
            self.context.written(&who, instance);
            news.instances.insert(who);
        }
        self.update(campaign, &news);
    }

    async fn write(&self, campaign: &Campaign, write: Write) -> Option<Arc<Instance>> {
        let spec = &campaign.spec;
        let target = match &write {
            Write::Begin(admission) => &*admission.name,
            Write::Withdraw(name) => &**name,
        };
        let who = InstanceRef::new(&spec.namespace, &bodies::instance_of(&campaign.spec, target));
        let watched = self.catalogue.instance(&who).map(|watched| self.context.latest(&who, watched));
        let body = match (&write, &watched) {
            (Write::Begin(admission), Some(instance)) => bodies::begun(campaign, admission, instance)?,
            (Write::Begin(admission), None) => {
                let establishment = self.catalogue.establishments.get(&ObjectRef::new(&admission.name))?;
                bodies::made(campaign, admission, &establishment)?
            }
            (Write::Withdraw(_), Some(instance)) => bodies::withdrawn(instance)?,
            (Write::Withdraw(_), None) => return None,
        };
        self.context.executor.cluster.metrics.writes.with_label_values(&["patch", "Instance"]).inc();
        let api: Api<Instance> = Api::namespaced(self.client.clone(), &spec.namespace);
        // Never by force: what somebody else set is theirs.
        match api.patch(&who.name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(&body)).await {
            Ok(mut written) => {
                ownership::keep_what_decides(written.managed_fields_mut());
                Some(Arc::new(written))
            }
            // It changed since it was seen, or somebody owns the field: the watch shows which.
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => None,
            Err(error) => {
                tracing::warn!(campaign = campaign.name_any(), target = %who, error = explained(&error), "a target was not written; it is tried again");
                None
            }
        }
    }
}

/// One write to a target.
enum Write {
    Begin(Admission),
    Withdraw(Arc<str>),
}

/// Something that could be a target.
struct Possible {
    name: String,
    labels: Option<BTreeMap<String, String>>,
    instance: Option<Arc<Instance>>,
    establishment: Option<Arc<Establishment>>,
}

/// Has a campaign ended, and is that known of its present spec?
fn is_over(campaign: &Campaign) -> bool {
    campaign.status.as_ref().is_some_and(|status| {
        status.observed_generation == campaign.metadata.generation
            && matches!(status.phase, CampaignPhase::Completed | CampaignPhase::Aborted)
    })
}

fn finished(status: &CampaignStatus) -> Vec<bool> {
    status.waves.iter().map(|wave| wave.finished_at.is_some()).collect()
}

/// Targets that are still to begin and whose calendars do not open in the years to come.
fn never_open(live: &Live, now: Timestamp) -> Vec<String> {
    let horizon = now.checked_add(SignedDuration::from_hours(24 * 731)).unwrap_or(Timestamp::MAX);
    let release = live.ground.release.as_ref().and_then(|release| release.metadata.name.clone());
    let mut known: HashMap<&campaign::Lane, bool> = HashMap::new();
    let mut names: Vec<String> = live
        .board
        .targets()
        .filter(|(_, target)| target.standing == Standing::Pending)
        .filter(|(_, target)| {
            !*known
                .entry(&target.lane)
                .or_insert_with(|| live.calendars.next_open(&target.lane, release.as_deref(), now, horizon).is_some())
        })
        .map(|(name, _)| name.to_string())
        .collect();
    names.sort_unstable();
    names
}

impl Context {
    /// What is told of a target that is under way.
    fn detail(&self, who: &InstanceRef) -> Detail {
        let instance = self.catalogue.instance(who);
        let upgrade = instance.as_ref().and_then(|one| one.status.as_ref()).and_then(|status| status.upgrade.as_ref());
        match upgrade {
            Some(upgrade) => Detail { phase: upgrade.phase.to_string(), message: upgrade.message.clone() },
            None => Detail { phase: "Asked".into(), message: String::new() },
        }
    }
}
