//! All that is known of a campaign's targets: made from the objects, and kept up one target at a time.

use super::{
    Board, Moves, Opening, Rehearsing, Standing, approvals, bodies,
    calendars::Calendars,
    claims::Claims,
    decide,
    engine::Memory,
    findings::{self, World},
    members::Members,
    ownership, report,
    standing::{Goal, goal},
    targets::{self, Candidate, Field, place},
    waves,
};
use crate::{calendar::LOOK_AHEAD, grouping, inputs, path::Graph, rehearsal, simulate::Schedule};
use gotocloud_api::{
    Application, Approval, Campaign, CampaignStatus, ChangeFreezeSpec, Deferral, Establishment, Instance, Release,
    campaign::{Finding, LateEnd},
    version::UpgradeKind,
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// The objects that a campaign is seen against, as they are known now.
pub trait Objects {
    /// An Application.
    fn application(&self, name: &str) -> Option<Arc<Application>>;
    /// A Release.
    fn release(&self, name: &str) -> Option<Arc<Release>>;
    /// The releases of an application, and which is reached from which.
    fn graph(&self, application: &str) -> Graph;
    /// All freezes, by name.
    fn freezes(&self) -> Vec<(String, ChangeFreezeSpec)>;
    /// All campaigns.
    fn campaigns(&self) -> Vec<Arc<Campaign>>;
    /// The Campaign of that name.
    fn campaign(&self, name: &str) -> Option<Arc<Campaign>> {
        self.campaigns().into_iter().find(|one| one.metadata.name.as_deref() == Some(name))
    }
    /// All Approvals.
    fn approvals(&self) -> Vec<Arc<Approval>>;
    /// All deferrals.
    fn deferrals(&self) -> Vec<Arc<Deferral>>;
    /// All establishments.
    fn establishments(&self) -> Vec<Arc<Establishment>>;
    /// An Establishment.
    fn establishment(&self, name: &str) -> Option<Arc<Establishment>>;
    /// All Instances.
    fn instances(&self) -> Vec<Arc<Instance>>;
    /// The Instance of that namespace and name.
    fn instance(&self, namespace: &str, name: &str) -> Option<Arc<Instance>>;
    /// What the other applications of an Instance's establishment run: versions by application.
    fn running_beside(&self, instance: &Instance) -> BTreeMap<String, String>;
}

/// What is known of a campaign.
#[derive(Clone)]
pub struct View {
    /// Where its targets stand.
    pub board: Board,
    /// When they may begin.
    pub calendars: Calendars,
    /// What is wrong with it, or to be known.
    pub findings: Vec<Finding>,
    /// Who accepts that it is done later than its `finishBy`.
    pub late_end: Option<LateEnd>,
    /// Whose standing changed, and was not told yet.
    pub changes: Vec<report::Change>,
    ground: Ground,
    sights: Sights,
    /// By until when what is known of them is valid, targets: they are looked at anew then.
    valid: BTreeMap<Timestamp, BTreeSet<String>>,
    /// Where targets stand that would begin, as their write was refused.
    refused: HashMap<Arc<str>, Standing>,
    /// Which lanes are open, and between which moments that is so.
    openings: HashMap<(u32, Option<UpgradeKind>), Found>,
    /// When it was last looked at.
    now: Timestamp,
    /// Had a wave begun when the whole was looked at?
    has_begun: bool,
    are_findings_stale: bool,
}

/// Whether a lane is open, since when that is known, and until when it is so; `None`: for all time.
#[derive(Clone, Copy)]
struct Found {
    opening: Opening,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// What targets are seen against, which changes seldom.
#[derive(Clone)]
struct Ground {
    goal: Goal,
    claims: Claims,
    members: Members,
    /// Which selector cannot be read; `None` if all can.
    unreadable: Option<String>,
    release: Option<Arc<Release>>,
    releases: Graph,
    freezes: Vec<(String, ChangeFreezeSpec)>,
    deferrals: Vec<Arc<Deferral>>,
    groupings: HashMap<String, BTreeSet<String>>,
}

/// What was seen while all targets were looked at, and only findings are made of.
#[derive(Clone, Debug, Default)]
struct Sights {
    names: BTreeSet<String>,
    running: BTreeMap<String, String>,
    twice: BTreeMap<String, Vec<usize>>,
    unmatched: BTreeSet<String>,
    never_open: Vec<String>,
}

impl Sights {
    /// Takes out what was seen of a target.
    fn forget(&mut self, name: &str) {
        self.names.remove(name);
        self.running.remove(name);
        self.unmatched.remove(name);
        self.twice.remove(name);
    }

    /// Whether there is a target of that name, and its waves if it is not in one.
    fn of(&self, name: &str) -> (bool, Option<Vec<usize>>) {
        let waves = if self.unmatched.contains(name) { Some(Vec::new()) } else { self.twice.get(name).cloned() };
        (self.names.contains(name), waves)
    }
}

/// Something that could be a target.
pub(crate) struct Possible {
    pub(crate) name: String,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) instance: Option<Arc<Instance>>,
    pub(crate) establishment: Option<Arc<Establishment>>,
}

impl View {
    /// All that is known of a campaign; none where its spec asks for nothing, which its schema refuses. `status` is its
    /// status as it was last written, `before` what was known of it until now.
    pub fn new(
        campaign: &Campaign,
        status: Option<&CampaignStatus>,
        objects: &dyn Objects,
        before: Option<View>,
        now: Timestamp,
    ) -> Option<Self> {
        let mut view = Self::with_claims(campaign, status, objects, before, Claims::of(&objects.campaigns()), now)?;
        view.find(campaign, objects, None, now);
        Some(view)
    }

    /// The same, given which campaigns go on, and before its findings are worked out.
    pub fn with_claims(
        campaign: &Campaign,
        status: Option<&CampaignStatus>,
        objects: &dyn Objects,
        before: Option<View>,
        claims: Claims,
        now: Timestamp,
    ) -> Option<Self> {
        let spec = &campaign.spec;
        let named = spec.upgrade.as_ref().map(|one| &one.release).or(spec.provision.as_ref().map(|one| &one.release));
        let (members, unreadable) = Members::as_far_as_read(spec);
        let ground = Ground {
            goal: goal(spec)?,
            claims,
            members,
            unreadable: unreadable.map(|error| error.to_string()),
            release: named.and_then(|name| objects.release(name)),
            releases: objects.graph(&spec.application),
            freezes: objects.freezes(),
            deferrals: objects.deferrals(),
            groupings: groupings(objects),
        };

        let (earlier, changes, refused) =
            before.map_or_else(Default::default, |before| (Some(before.board), before.changes, before.refused));
        let mut view = Self {
            board: Board::new(spec.waves.len()),
            calendars: Calendars::default(),
            findings: Vec::new(),
            late_end: None,
            changes,
            ground,
            sights: Sights::default(),
            valid: BTreeMap::new(),
            refused,
            openings: HashMap::new(),
            now,
            has_begun: spec.waves.iter().any(|wave| waves::has_begun(status, &wave.name)),
            are_findings_stale: true,
        };

        for candidate in candidates(campaign, &view.ground.goal, objects) {
            view.note(&candidate);
            view.put(campaign, status, objects, &candidate, earlier.as_ref());
        }

        view.sights.never_open = view.never_open(now);
        Some(view)
    }

    /// Works the findings out anew, given what a simulation says of when it ends.
    pub fn find(&mut self, campaign: &Campaign, objects: &dyn Objects, schedule: Option<&Schedule>, now: Timestamp) {
        let application = objects.application(&campaign.spec.application);
        let approvals = objects.approvals();
        let late_end = approvals::late_end(campaign, &approvals);

        let world = World {
            application: application.as_deref(),
            release: self.ground.release.as_deref(),
            releases: &self.ground.releases,
            names: &self.sights.names,
            unreadable_selector: self.ground.unreadable.as_deref(),
            board: &self.board,
            running: &self.sights.running,
            twice: &self.sights.twice,
            unmatched: &self.sights.unmatched,
            calendars: self.calendars.own_errors(),
            unreadable: self.unreadable(),
            never_open: &self.sights.never_open,
            schedule,
            has_begun: self.has_begun,
            late_end: late_end.as_ref(),
            strayed: &approvals::strayed(campaign, &approvals),
        };

        self.findings = findings::findings(campaign, &world, now);
        self.are_findings_stale = false;
        self.board.set_late(waves::too_late(&campaign.spec, schedule, late_end.as_ref()));
        self.late_end = late_end;
    }

    /// Can the campaign run as it is written?
    pub fn is_valid(&self) -> bool {
        findings::is_valid(&self.findings)
    }

    /// Is one of its targets being changed, or watched?
    pub fn is_moving(&self) -> bool {
        self.board.waves().iter().any(|wave| !wave.in_hand.is_empty())
    }

    /// What the campaign does now.
    pub fn decide(&mut self, campaign: &Campaign, status: Option<&CampaignStatus>, now: Timestamp) -> Moves {
        let release = self.ground.release.as_ref().and_then(|release| release.metadata.name.as_deref());
        let is_valid = findings::is_valid(&self.findings);
        let Self { board, calendars, openings, .. } = self;
        let opening = |lane: &super::Lane| {
            let key = (lane.calendar, lane.kind);
            let is_so = |found: &&Found| found.from <= now && found.until.is_none_or(|until| now < until);
            if let Some(found) = openings.get(&key).filter(is_so) {
                return found.opening;
            }

            let (opening, until) = calendars.opening_until(lane, release, now);
            openings.insert(key, Found { opening, from: now, until });
            opening
        };
        decide(&campaign.spec, status, board, is_valid, opening, now)
    }

    /// Looks anew at those of which what is known was valid until now.
    pub fn age(&mut self, campaign: &Campaign, status: Option<&CampaignStatus>, objects: &dyn Objects, now: Timestamp) {
        while let Some(first) = self.valid.first_entry().filter(|first| *first.key() <= now) {
            for target in first.remove() {
                self.update(campaign, status, objects, &bodies::instance_of(&campaign.spec, &target), now);
            }
        }
    }

    /// Until when what is known of all targets is valid; `None`: until something changes.
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.valid.first_key_value().map(|(at, _)| *at)
    }

    /// Notes where a target stands that would begin, as its write was refused, or that it was not. Gives whether that is
    /// news: then the target is to be looked at anew.
    pub(super) fn refuse(&mut self, name: &Arc<str>, standing: Option<&Standing>) -> bool {
        let before = match standing {
            Some(standing) => self.refused.insert(Arc::clone(name), standing.clone()),
            None => self.refused.remove(name),
        };
        before.as_ref() != standing
    }

    /// Puts the Instance of that name, which changed, where it now stands. One that is gone, or going, is no target.
    pub fn update(
        &mut self,
        campaign: &Campaign,
        status: Option<&CampaignStatus>,
        objects: &dyn Objects,
        name: &str,
        now: Timestamp,
    ) {
        self.now = now;
        let spec = &campaign.spec;
        let candidate = match (objects.instance(&spec.namespace, name), &self.ground.goal) {
            (_, Goal::Existence) => {
                let establishment = objects.establishment(bodies::target_of(spec, name));
                establishment.map(|one| to_be_made(campaign, one, objects))
            }
            (Some(instance), Goal::Release(_) | Goal::Stage(_)) => {
                is_of(campaign, &instance).then(|| there(instance, objects))
            }
            (None, Goal::Release(_) | Goal::Stage(_)) => None,
        };

        let target = bodies::target_of(spec, name);
        let before = self.sights.of(target);
        self.sights.forget(target);
        match candidate {
            Some(candidate) => {
                self.note(&candidate);
                self.put(campaign, status, objects, &candidate, None);
            }
            None => drop(self.board.take(target)),
        }
        self.are_findings_stale |= self.sights.of(target) != before;
    }

    /// Are the findings to be worked out? They never were, or a target came, went or changed its waves since.
    pub fn are_findings_stale(&self) -> bool {
        self.are_findings_stale
    }

    /// Notes what findings are made of.
    fn note(&mut self, candidate: &Possible) {
        let Possible { name, labels, instance, .. } = candidate;
        self.sights.names.insert(name.clone());
        if self.ground.unreadable.is_none() {
            let waves: Vec<usize> = self.ground.members.waves_of(name, labels.as_ref()).collect();
            match waves.len() {
                0 => drop(self.sights.unmatched.insert(name.clone())),
                1 => {}
                _ => drop(self.sights.twice.insert(name.clone(), waves)),
            }
        }
        if let Some(running) = instance.as_deref().and_then(running) {
            self.sights.running.insert(name.clone(), running.to_owned());
        }
    }

    /// Puts one target on the board, and notes what changed about it since it was last there, or on `earlier`.
    fn put(
        &mut self,
        campaign: &Campaign,
        status: Option<&CampaignStatus>,
        objects: &dyn Objects,
        candidate: &Possible,
        earlier: Option<&Board>,
    ) {
        let seen = self.seen(campaign, status, objects, candidate, |field, calendars, candidate| {
            Some((place(field, calendars, candidate)?, targets::valid_until(field, candidate)))
        });
        let Some((mut target, until)) = seen else {
            self.board.take(&candidate.name);
            return;
        };
        let refused = self.refused.get(candidate.name.as_str());
        let is_due = matches!(target.standing, Standing::Pending | Standing::ToGoBack(_));
        if let Some(standing) = refused.filter(|_| is_due).cloned() {
            target.standing = standing;
        }
        if let Some(until) = until {
            self.valid.entry(until).or_default().insert(candidate.name.clone());
        }
        let name: Arc<str> = candidate.name.as_str().into();
        let (wave, after) = (target.wave, target.standing.clone());
        let known = self.board.put(&name, target);
        let before = known.or_else(|| earlier?.target(&name).map(|target| target.standing.clone()));
        if before.as_ref() != Some(&after) {
            self.changes.push(report::Change { name: candidate.name.clone(), wave, before, after });
        }
    }

    /// Looks at a candidate with all that it is seen against.
    fn seen<T>(
        &mut self,
        campaign: &Campaign,
        status: Option<&CampaignStatus>,
        objects: &dyn Objects,
        candidate: &Possible,
        see: impl FnOnce(&Field<'_>, &mut Calendars, &Candidate<'_>) -> T,
    ) -> T {
        let application = objects.application(&campaign.spec.application);
        let instance = candidate.instance.as_deref();
        let establishment = candidate.establishment.as_deref();
        let sharers = sharers(establishment, &campaign.spec.application, objects);
        let has_requirements = self.ground.release.as_ref().is_some_and(|release| !release.spec.requires.is_empty());
        let neighbours = match instance {
            Some(instance) if has_requirements => objects.running_beside(instance),
            Some(_) | None => BTreeMap::new(),
        };

        let written = if matches!(self.ground.goal, Goal::Stage(_)) { "stage" } else { "release" };
        let field = Field {
            spec: &campaign.spec,
            status,
            uid: campaign.metadata.uid.as_deref().unwrap_or_default(),
            name: campaign.metadata.name.as_deref().unwrap_or_default(),
            goal: &self.ground.goal,
            claims: &self.ground.claims,
            members: &self.ground.members,
            application: application.as_deref(),
            release: self.ground.release.as_deref(),
            releases: &self.ground.releases,
            freezes: &self.ground.freezes,
            groupings: &self.ground.groupings,
            deferrals: &self.ground.deferrals,
            now: self.now,
        };

        let candidate = Candidate {
            name: &candidate.name,
            labels: candidate.labels.as_ref(),
            instance,
            establishment,
            sharers: &sharers,
            neighbours: &neighbours,
            schemes: &|application| objects.application(application).map(|one| one.spec.version_scheme),
            owner: instance.and_then(|one| ownership::owner(one.metadata.managed_fields.as_deref(), written)),
            rehearsed_by: instance.and_then(|one| ownership::owner(one.metadata.managed_fields.as_deref(), "rehearse")),
            platform: instance.and_then(|one| inputs::platform_name(one, establishment)),
        };

        see(&field, &mut self.calendars, &candidate)
    }

    /// All that a simulation of the campaign starts from.
    pub fn start(
        &mut self,
        campaign: &Campaign,
        status: Option<&CampaignStatus>,
        objects: &dyn Objects,
    ) -> crate::simulate::Start {
        let mut running = HashMap::new();
        let mut wishes = HashMap::new();
        let mut rehearsed = HashMap::new();

        for candidate in candidates(campaign, &self.ground.goal, objects) {
            let name: Arc<str> = candidate.name.as_str().into();
            let wish =
                self.seen(campaign, status, objects, &candidate, |field, _, candidate| targets::wish(field, candidate));
            wishes.extend(wish.map(|until| (Arc::clone(&name), until)));
            let release = candidate.instance.as_deref().and_then(self::running);
            running.extend(release.map(|release| (Arc::clone(&name), Arc::from(release))));
            let goal = self.release_name().zip(candidate.instance.as_deref());
            let measured = goal.and_then(|(goal, one)| rehearsal::measured(one, goal, &self.ground.releases));
            rehearsed.extend(measured.map(|measured| (name, measured)));
        }

        let mut board = self.board.clone();
        // When it would be done is asked, not whether that is in time.
        board.set_late(None);

        // That a rehearsal goes well is taken for given, as that nothing fails is.
        for (name, target) in self.board.targets().filter(|(_, target)| target.rehearsal != Rehearsing::No) {
            let (standing, rehearsal) = (Standing::Pending, Rehearsing::No);
            board.put(name, super::Target { standing, rehearsal, ..target.clone() });
        }

        crate::simulate::Start {
            spec: campaign.spec.clone(),
            status: status.cloned().unwrap_or_default(),
            board,
            calendars: self.calendars.clone(),
            goal: self.ground.goal.clone(),
            release: self.release_name().map(str::to_owned),
            releases: self.ground.releases.clone(),
            running,
            wishes,
            rehearsed,
            held: HashMap::new(),
        }
    }

    /// Adds what it decides by. When targets may begin follows from what they are seen against.
    pub(super) fn remember(&self, memory: &mut Memory) {
        let Ground { goal, claims, members, unreadable, release, releases, freezes, deferrals, groupings } =
            &self.ground;

        memory.note(&self.board.targets().collect::<BTreeMap<_, _>>());
        memory.note(&self.findings);
        memory.note(&(self.board.late(), &self.late_end));
        memory.note(&(goal, claims, members, unreadable, release, releases, freezes, deferrals));
        memory.note_all(groupings);
        memory.note(&self.sights);
        memory.note(&self.valid);
        memory.note_all(&self.refused);
        memory.note(&(self.has_begun, self.are_findings_stale));
    }

    /// By why its calendar cannot be read, the targets that wait for that.
    fn unreadable(&self) -> BTreeMap<String, Vec<String>> {
        let mut by_why: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, target) in self.board.targets() {
            let Standing::Blocked(why) = &target.standing else { continue };
            if self.calendars.unreadable(&target.lane).is_some_and(|error| why.contains(&error.to_string())) {
                by_why.entry(why.to_string()).or_default().push(name.to_string());
            }
        }
        for names in by_why.values_mut() {
            names.sort_unstable();
        }
        by_why
    }

    fn release_name(&self) -> Option<&str> {
        self.ground.release.as_ref()?.metadata.name.as_deref()
    }

    /// Targets that are still to begin and whose calendars do not open in the years to come.
    fn never_open(&self, now: Timestamp) -> Vec<String> {
        let horizon = now.checked_add(LOOK_AHEAD).unwrap_or(Timestamp::MAX);
        let release = self.release_name();
        let mut known: HashMap<&super::Lane, bool> = HashMap::new();
        let mut names: Vec<String> = self
            .board
            .targets()
            .filter(|(_, target)| target.standing == Standing::Pending)
            .filter(|(_, target)| {
                let opens = || self.calendars.next_open(&target.lane, release, now, horizon).is_some();
                !*known.entry(&target.lane).or_insert_with(opens)
            })
            .map(|(name, _)| name.to_string())
            .collect();
        names.sort_unstable();
        names
    }
}

/// The name of the release that an instance runs.
pub(crate) fn running(instance: &Instance) -> Option<&str> {
    Some(instance.status.as_ref()?.release.as_ref()?.name.as_str())
}

/// The groupings that list each establishment, by its name.
fn groupings(objects: &dyn Objects) -> HashMap<String, BTreeSet<String>> {
    let mut groupings: HashMap<String, BTreeSet<String>> = HashMap::new();
    for one in objects.establishments() {
        for member in one.spec.grouping.iter().flat_map(|grouping| &grouping.members) {
            let name = one.metadata.name.clone().unwrap_or_default();
            groupings.entry(member.name.clone()).or_default().insert(name);
        }
    }
    groupings
}

/// Those who share an establishment's instance of an application, as far as they are Establishments.
pub(super) fn sharers(
    establishment: Option<&Establishment>,
    application: &str,
    objects: &dyn Objects,
) -> Vec<Arc<Establishment>> {
    let names = establishment.into_iter().flat_map(|one| grouping::sharers(one, application));
    names.filter_map(|name| objects.establishment(name)).collect()
}

/// All that could be a target.
fn candidates(campaign: &Campaign, goal: &Goal, objects: &dyn Objects) -> Vec<Possible> {
    if *goal == Goal::Existence {
        return objects.establishments().into_iter().map(|one| to_be_made(campaign, one, objects)).collect();
    }
    let instances = objects.instances().into_iter().filter(|one| is_of(campaign, one));
    instances.map(|one| there(one, objects)).collect()
}

/// Can an Instance that is there be a target of the campaign?
fn is_of(campaign: &Campaign, instance: &Instance) -> bool {
    instance.spec.application == campaign.spec.application
        && instance.metadata.namespace.as_deref() == Some(&campaign.spec.namespace)
        && instance.metadata.deletion_timestamp.is_none()
}

fn to_be_made(campaign: &Campaign, establishment: Arc<Establishment>, objects: &dyn Objects) -> Possible {
    let name = establishment.metadata.name.clone().unwrap_or_default();
    let instance = objects.instance(&campaign.spec.namespace, &bodies::instance_name(&campaign.spec, &name));
    let labels = establishment.metadata.labels.clone();
    Possible { name, labels, instance, establishment: Some(establishment) }
}

fn there(instance: Arc<Instance>, objects: &dyn Objects) -> Possible {
    let establishment = objects.establishment(&instance.spec.establishment);
    let labels = instance.metadata.labels.clone();
    let name = instance.metadata.name.clone().unwrap_or_default();
    Possible { name, labels, instance: Some(instance), establishment }
}
