//! What does a campaign know of one target?

use super::{
    Lane, Rehearsing, Standing, Target, bodies, calendars::Calendars, claims::Claims, members::Members, standing, waves,
};
use crate::{
    calendar::{CalendarError, WindowOwner},
    path::Graph,
    rehearsal,
};
use gotocloud_api::{
    Application, CampaignSpec, CampaignStatus, ChangeFreezeSpec, Deferral, Establishment, Instance, Release,
    campaign::{LateJoiners, Weight},
    names,
    version::{Relation, UpgradeKind},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// All that a campaign's targets are seen against.
pub struct Field<'a> {
    /// The campaign's spec.
    pub spec: &'a CampaignSpec,
    /// Its status, as it is stored.
    pub status: Option<&'a CampaignStatus>,
    /// Its uid.
    pub uid: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What it wants.
    pub goal: &'a standing::Goal,
    /// The campaigns that go on.
    pub claims: &'a Claims,
    /// Its waves.
    pub members: &'a Members,
    /// The application.
    pub application: Option<&'a Application>,
    /// The release its targets are to run; none for a stage.
    pub release: Option<&'a Release>,
    /// The releases of the application.
    pub releases: &'a Graph,
    /// All freezes, by name.
    pub freezes: &'a [(String, ChangeFreezeSpec)],
    /// The groupings that list each establishment, by its name.
    pub groupings: &'a HashMap<String, BTreeSet<String>>,
    /// The deferrals of this campaign.
    pub deferrals: &'a [Arc<Deferral>],
    /// What time it is.
    pub now: Timestamp,
}

/// One possible target, as it is seen.
pub struct Candidate<'a> {
    /// What the campaign calls it.
    pub name: &'a str,
    /// The labels by which waves select it.
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// The Instance; none where it is to be made.
    pub instance: Option<&'a Instance>,
    /// Whose it is.
    pub establishment: Option<&'a Establishment>,
    /// Those who share it, if it is a grouping's.
    pub sharers: &'a [Arc<Establishment>],
    /// What the other applications of its establishment run, by application.
    pub neighbours: &'a BTreeMap<String, String>,
    /// The schemes of those applications.
    pub schemes: &'a dyn Fn(&str) -> Option<gotocloud_api::version::VersionScheme>,
    /// The field manager that set what the campaign would write.
    pub owner: Option<&'a str>,
    /// The field manager that set what is to be rehearsed.
    pub rehearsed_by: Option<&'a str>,
    /// Its platform, if that is known.
    pub platform: Option<&'a str>,
}

impl<'a> Candidate<'a> {
    /// Whom it serves: its own establishment, if that is known, and those who share it.
    pub(super) fn serves(&self) -> impl Iterator<Item = Option<&'a Establishment>> + use<'a> {
        std::iter::once(self.establishment).chain(self.sharers.iter().map(|one| Some(&**one)))
    }
}

/// Its wave, by its place; `None` if it is in none. While a selector cannot be read, what was begun stays in the wave by which
/// it was: it may still go back, or be withdrawn.
fn wave(field: &Field<'_>, candidate: &Candidate<'_>) -> Option<usize> {
    let read = field.members.wave_of(candidate.name, candidate.labels);
    if read.is_some() || field.members.is_whole() {
        return read;
    }

    let rollout = candidate.instance?.spec.rollout.as_ref()?;
    let is_ours = rollout.campaign == field.name && rollout.uid == field.uid;
    field.spec.waves.iter().position(|wave| is_ours && wave.name == rollout.wave)
}

/// What the campaign knows of a candidate; none where it is in no wave.
pub fn place(field: &Field<'_>, calendars: &mut Calendars, candidate: &Candidate<'_>) -> Option<Target> {
    let wave = wave(field, candidate)?;
    let of = field.spec.waves.get(wave)?;
    let asker =
        standing::Asker { spec: field.spec, uid: field.uid, goal: field.goal, claims: field.claims, now: field.now };
    let mut standing = standing::of(asker, candidate.name, &of.name, candidate.instance, candidate.owner);
    let mut rehearsal = Rehearsing::No;
    if standing == Standing::Pending {
        if is_beyond(field, candidate.instance) {
            standing = Standing::Unneeded;
        } else if is_late(field, &of.name, candidate) {
            standing = Standing::Skipped;
        } else if let Some(why) = too_long(field, candidate).or_else(|| incompatible(field, candidate)) {
            standing = Standing::Blocked(why.into());
        } else if let Some(why) = unprepared(field, candidate) {
            rehearsal = rehearsing(field, candidate);
            standing = Standing::Blocked(why.into());
        }
    }
    let lane = lane(field, calendars, candidate);
    if let (Standing::Pending, Some(error)) = (&standing, calendars.unreadable(&lane)) {
        standing = Standing::Blocked(unreadable(error, candidate).into());
    }

    let status = candidate.instance.and_then(|instance| instance.status.as_ref());
    let members = status.map_or(0, |status| status.members.len());
    let progress = candidate.instance.and_then(|instance| standing::progress(asker, &of.name, instance));
    Some(Target {
        wave,
        standing,
        lane,
        weight: match field.spec.weight {
            Weight::Targets => 1,
            Weight::Establishments => u32::try_from(members.max(1)).unwrap_or(u32::MAX),
        },
        deferred_until: deferred(field, &of.name, candidate),
        unreachable: candidate.instance.is_some_and(standing::is_unreachable),
        rehearsal,
        progress: progress.unwrap_or_default(),
    })
}

/// Until when what is known of a candidate is valid, if nothing of it changes: a rehearsal or a drill grows too old, or a
/// deadline is over. `None`: for all time.
pub(super) fn valid_until(field: &Field<'_>, candidate: &Candidate<'_>) -> Option<Timestamp> {
    let instance = candidate.instance?;
    let status = instance.status.as_ref()?;
    // Just after it, as what is exactly so old counts.
    let after = |at: Timestamp, length: SignedDuration| at.checked_add(length + SignedDuration::from_secs(1)).ok();
    let of_rehearsal = |days: Option<u32>, at: Option<Timestamp>| after(at?, rehearsal::days(days?));

    let spec = field.release.map(|release| &release.spec);
    let rehearsal = status.rehearsal.as_ref();
    let finished = rehearsal.and_then(|one| one.finished_at.as_ref()).map(|at| at.0);
    let restored = rehearsal.and_then(|one| one.restored_at.as_ref()).map(|at| at.0);
    let drilled = instance.metadata.annotations.as_ref().and_then(|all| all.get(names::ANNOTATION_RESTORE_DRILLED_AT));
    let drilled = drilled.and_then(|text| text.parse::<Timestamp>().ok());
    let drill_days = spec.and_then(|spec| spec.restore_drill_within_days);
    let moments = [
        of_rehearsal(spec.and_then(|spec| spec.rehearsed_within_days), finished),
        of_rehearsal(drill_days, restored),
        of_rehearsal(drill_days, drilled),
        // A drill of a time to come counts from then on.
        drilled,
        match field.goal {
            standing::Goal::Release(_) => None,
            standing::Goal::Stage(_) | standing::Goal::Existence => standing::deadline(field.spec, instance),
        },
    ];
    moments.into_iter().flatten().filter(|at| *at > field.now).min()
}

/// Why no Instance can be made for an establishment of so long a name, as a sentence; `None` if one can.
fn too_long(field: &Field<'_>, candidate: &Candidate<'_>) -> Option<String> {
    if *field.goal != standing::Goal::Existence || candidate.instance.is_some() {
        return None;
    }
    let name = bodies::instance_name(field.spec, candidate.name);
    let longest = names::INSTANCE_NAME_MAX;
    (name.len() > longest).then(|| {
        format!(
            "its Instance would be called {name}, which is {} characters long and may be {longest}: make it by hand under \
             a shorter name, and leave it out (spec.skip)",
            name.len()
        )
    })
}

/// Whose calendar cannot be read, and why, as a sentence.
fn unreadable(error: &CalendarError, candidate: &Candidate<'_>) -> String {
    let is_somebodys =
        matches!(error, CalendarError::TimeZone(_) | CalendarError::Time { whose: WindowOwner::Establishment, .. });
    let name = candidate.establishment.and_then(|one| one.metadata.name.as_deref()).filter(|_| is_somebodys);

    match name {
        Some(name) if candidate.sharers.is_empty() => {
            format!("the calendar of Establishment {name} cannot be read: {error}")
        }
        Some(name) => format!("the calendar of Establishment {name}, or of one who shares it, cannot be read: {error}"),
        None => format!("its calendar cannot be read: {error}"),
    }
}

/// When and where a candidate may begin.
fn lane(field: &Field<'_>, calendars: &mut Calendars, candidate: &Candidate<'_>) -> Lane {
    let status = candidate.instance.and_then(|instance| instance.status.as_ref());
    let database = status.and_then(|status| status.database.as_ref());
    Lane {
        calendar: calendars.of(field, candidate),
        kind: kind(field, candidate.instance),
        platform: candidate.platform.map(Arc::from),
        server: database.map(|database| Arc::from(database.server.as_str())),
    }
}

/// Does it run a newer release than the campaign brings? A campaign takes nobody back, but by `rollBack`.
fn is_beyond(field: &Field<'_>, instance: Option<&Instance>) -> bool {
    let running = instance.and_then(|one| one.status.as_ref()?.release.as_ref());
    let versions = running.and_then(|running| {
        let to = field.releases.version(field.release?.metadata.name.as_deref()?)?;
        field.releases.version(&running.name)?.relation(to)
    });
    versions == Some(Relation::Newer)
}

/// Did it come to be after its wave began, in a campaign that wants no late joiners?
fn is_late(field: &Field<'_>, wave: &str, candidate: &Candidate<'_>) -> bool {
    let created = candidate.instance.and_then(|instance| instance.metadata.creation_timestamp.as_ref());
    field.spec.late_joiners == LateJoiners::Exclude
        && waves::started_at(field.status, wave)
            .is_some_and(|started| created.is_some_and(|created| created.0 > started))
}

/// How much the upgrade of an instance changes; none where it is none.
fn kind(field: &Field<'_>, instance: Option<&Instance>) -> Option<UpgradeKind> {
    let running = instance?.status.as_ref()?.release.as_ref()?;
    field.releases.kind(&running.name, field.release?.metadata.name.as_deref()?)
}

/// What another application of the establishment has to run first; none where all fits.
fn incompatible(field: &Field<'_>, candidate: &Candidate<'_>) -> Option<String> {
    unmet(field.release?, candidate.neighbours, candidate.schemes)
}

/// What is missing of the restore drill and the rehearsal that its release asks for; none where nothing is.
fn unprepared(field: &Field<'_>, candidate: &Candidate<'_>) -> Option<String> {
    missing(field.release?, candidate.instance?, field.now)
}

/// Is its way to be rehearsed? A person who asked for something else to be, on the instance itself, is not overruled, nor
/// is another campaign that goes on; and what failed is for a person to look at.
fn rehearsing(field: &Field<'_>, candidate: &Candidate<'_>) -> Rehearsing {
    let (Some(release), Some(instance)) = (field.release, candidate.instance) else { return Rehearsing::No };
    if rehearsal::unrehearsed(release, instance, field.now).is_none() {
        return Rehearsing::No;
    }
    match &instance.spec.rehearse {
        None => Rehearsing::Due,
        Some(asked) if Some(asked) == release.metadata.name.as_ref() && !rehearsal::has_failed(instance, asked) => {
            Rehearsing::UnderWay
        }
        Some(asked) if Some(asked) != release.metadata.name.as_ref() && is_left_over(field, candidate, asked) => {
            Rehearsing::Due
        }
        Some(_) => Rehearsing::No,
    }
}

/// Did a campaign ask for the rehearsal of `asked` that no campaign wants any more?
fn is_left_over(field: &Field<'_>, candidate: &Candidate<'_>, asked: &str) -> bool {
    let CampaignSpec { application, namespace, .. } = field.spec;
    candidate.rehearsed_by == Some(super::FIELD_MANAGER)
        && !field.claims.is_brought_by_another(field.uid, application, namespace, asked)
}

/// What is missing of the restore drill and the rehearsal that `release` asks for, as a sentence; none where nothing is.
pub fn missing(release: &Release, instance: &Instance, now: Timestamp) -> Option<String> {
    rehearsal::unrehearsed(release, instance, now).or_else(|| undrilled(release, instance, now))
}

/// Why an instance has no restore drill as fresh as `release` asks for, as a sentence; none where it has.
pub fn undrilled(release: &Release, instance: &Instance, now: Timestamp) -> Option<String> {
    let days = release.spec.restore_drill_within_days?;
    let within = rehearsal::days(days);
    // A rehearsal is one.
    if rehearsal::restored_within(instance, within, now) {
        return None;
    }
    let key = names::ANNOTATION_RESTORE_DRILLED_AT;
    let remedy = format!(
        "restore its last backup elsewhere, look whether it is good, then annotate the Instance with {key}=TIME"
    );
    let version = &release.spec.version;
    let needs = format!("{version} needs a restore drill of the last {days} days");
    let text = instance.metadata.annotations.as_ref().and_then(|all| all.get(key));
    let age = match text.map(|text| text.parse::<Timestamp>()) {
        None => return Some(format!("{needs}, and there was none: {remedy}")),
        Some(Err(_)) => {
            return Some(format!("{needs}, and the annotation {key} is no time: write it like 2026-01-31T22:00:00Z"));
        }
        Some(Ok(at)) => now.duration_since(at),
    };
    let is_fresh = (SignedDuration::ZERO..=within).contains(&age);
    (!is_fresh).then(|| format!("{needs}, and the last was {} days ago: {remedy}", age.as_hours() / 24))
}

/// The first requirement of `release` that the other applications of an establishment, each with the version it runs, do
/// not meet, as a sentence. An application that the establishment does not have is met.
pub fn unmet(
    release: &Release,
    running: &BTreeMap<String, String>,
    schemes: &dyn Fn(&str) -> Option<gotocloud_api::version::VersionScheme>,
) -> Option<String> {
    release.spec.requires.iter().find_map(|required| {
        let version = running.get(&required.application)?;
        let scheme = schemes(&required.application)?;
        let (has, needs) = (scheme.parse(version).ok(), scheme.parse(&required.at_least).ok());
        let fits = has.zip(needs).and_then(|(has, needs)| has.relation(&needs));
        let fits = matches!(fits, Some(Relation::Newer | Relation::Same));
        (!fits).then(|| {
            format!(
                "{} needs {} of the same establishment at {} or later, which runs {version}: upgrade it first",
                release.spec.version, required.application, required.at_least
            )
        })
    })
}

/// Until when those whom it serves have deferred it, within what the campaign allows. Before its wave began nothing does.
fn deferred(field: &Field<'_>, wave: &str, candidate: &Candidate<'_>) -> Option<Timestamp> {
    let began = waves::started_at(field.status, wave)?;
    Some(wish(field, candidate)?.min(latest_deferral(field.spec, began)?))
}

/// The latest moment to which a target may be deferred whose wave began then.
pub fn latest_deferral(spec: &CampaignSpec, began: Timestamp) -> Option<Timestamp> {
    began.checked_add(rehearsal::days(spec.max_deferral_days)).ok()
}

/// Until when those whom it serves wish it deferred, the last of them; none where nobody does, or where none is.
pub fn wish(field: &Field<'_>, candidate: &Candidate<'_>) -> Option<Timestamp> {
    if field.spec.max_deferral_days == 0 || field.release.is_some_and(|release| release.spec.security) {
        return None;
    }
    let is_by = |deferral: &Deferral, one: &Establishment| {
        one.metadata.name.as_ref() == Some(&deferral.spec.establishment)
            && deferral.spec.campaign == field.name
            && one.spec.namespace.is_some()
            && deferral.metadata.namespace == one.spec.namespace
    };

    let counts = |deferral: &&Arc<Deferral>| candidate.serves().flatten().any(|one| is_by(deferral, one));
    field.deferrals.iter().filter(counts).map(|deferral| deferral.spec.until.0).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Opening;
    use serde_json::{Value, json};

    struct World {
        spec: CampaignSpec,
        status: CampaignStatus,
        freezes: Vec<(String, ChangeFreezeSpec)>,
        deferrals: Vec<Arc<Deferral>>,
        release: Release,
        establishment: Establishment,
        instance: Instance,
        sharers: Vec<Arc<Establishment>>,
        neighbours: BTreeMap<String, String>,
    }

    fn read<T: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> T {
        let (version, metadata) = ("gotocloud.amue.fr/v1alpha1", json!({"name": name}));
        serde_json::from_value(json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}))
            .unwrap()
    }

    fn release(version: &str) -> Release {
        let spec =
            json!({"application": "app", "versionScheme": "MajorMinorRevision", "version": version, "components": []});
        read("Release", &version.to_lowercase(), &spec)
    }

    impl World {
        fn new() -> Self {
            let mut instance: Instance =
                read("Instance", "app-tahiti", &json!({"application": "app", "establishment": "tahiti"}));
            instance.metadata.creation_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
            instance.status =
                Some(serde_json::from_value(json!({"release": {"name": "v1.4.00", "version": "V1.4.00"}})).unwrap());
            Self {
                spec: serde_json::from_value(json!({
                    "application": "app", "state": "Running", "upgrade": {"release": "v1.4.00-p01"}, "maxDeferralDays": 14,
                    "windows": [{"from": "22:00", "to": "05:00"}],
                    "waves": [{"name": "all", "targets": {"selector": {}}}],
                }))
                .unwrap(),
                status: serde_json::from_value(json!({"waves": [{"name": "all", "startedAt": "2026-06-01T00:00:00Z"}]})).unwrap(),
                freezes: Vec::new(),
                deferrals: Vec::new(),
                release: release("V1.4.00-P01"),
                establishment: read("Establishment", "tahiti",
                    &json!({"displayName": "T", "timeZone": "Pacific/Tahiti", "namespace": "tahiti-people"})),
                instance,
                sharers: Vec::new(),
                neighbours: BTreeMap::new(),
            }
        }

        fn look<T>(&self, see: impl FnOnce(Target, &Calendars) -> T) -> T {
            let members = Members::new(&self.spec).unwrap();
            let goal = standing::goal(&self.spec).unwrap();
            let releases = Graph::new(&[release("V1.4.00"), release("V1.4.00-P01")]);
            let field = Field {
                spec: &self.spec,
                status: Some(&self.status),
                uid: "u",
                name: "c",
                goal: &goal,
                claims: &Claims::default(),
                members: &members,
                application: None,
                release: Some(&self.release),
                releases: &releases,
                freezes: &self.freezes,
                groupings: &HashMap::new(),
                deferrals: &self.deferrals,
                now: "2026-06-10T12:00:00Z".parse().unwrap(),
            };
            let candidate = Candidate {
                name: "app-tahiti",
                labels: None,
                instance: Some(&self.instance),
                establishment: Some(&self.establishment),
                sharers: &self.sharers,
                neighbours: &self.neighbours,
                schemes: &|_| Some(gotocloud_api::version::VersionScheme::Dotted),
                owner: None,
                rehearsed_by: None,
                platform: Some("paris"),
            };
            let mut calendars = Calendars::default();
            let target = place(&field, &mut calendars, &candidate).unwrap();
            see(target, &calendars)
        }

        fn opening(&self, at: &str) -> Opening {
            self.look(|target, calendars| calendars.opening(&target.lane, Some("v1.4.00-p01"), at.parse().unwrap()))
        }
    }

    #[test]
    fn its_night_is_that_of_its_establishment() {
        let world = World::new();
        // Midnight in Paris is noon of the day before in Papeete.
        assert!(matches!(world.opening("2026-06-10T22:00:00Z"), Opening::Closed(Some(_))));
        assert_eq!(world.opening("2026-06-11T10:00:00Z"), Opening::Open);
    }

    #[test]
    fn a_freeze_closes_it_but_for_the_patch_that_somebody_let_pass() {
        let mut world = World::new();
        let mut freeze =
            json!({"reason": "the registrations", "period": {"yearly": {"from": "06-01", "until": "08-31"}}});
        world.freezes = vec![("summer".into(), serde_json::from_value(freeze.clone()).unwrap())];
        assert!(matches!(world.opening("2026-06-11T10:00:00Z"), Opening::Closed(_)));
        freeze["exceptions"] = json!([{"upTo": "Patch", "approvedBy": "the director", "reason": "a vulnerability"}]);
        world.freezes = vec![("summer".into(), serde_json::from_value(freeze).unwrap())];
        assert_eq!(world.opening("2026-06-11T10:00:00Z"), Opening::Open);
        let passing = world.look(|target, calendars| {
            calendars.passing(&target.lane, Some("v1.4.00-p01"), "2026-06-11T10:00:00Z".parse().unwrap())
        });
        assert!(passing[0].contains("the director"), "{passing:?}");
    }

    #[test]
    fn its_establishment_defers_it_within_what_is_allowed_and_from_its_own_namespace() {
        let mut world = World::new();
        let deferral = |namespace: &str, until: &str| {
            let spec = json!({"establishment": "tahiti", "campaign": "c", "until": until, "reason": "exams"});
            let mut deferral: Deferral = read("Deferral", "d", &spec);
            deferral.metadata.namespace = Some(namespace.into());
            vec![Arc::new(deferral)]
        };
        let until = |world: &World| world.look(|target, _| target.deferred_until.map(|until| until.to_string()));
        world.deferrals = deferral("tahiti-people", "2026-06-05T00:00:00Z");
        assert_eq!(until(&world).unwrap(), "2026-06-05T00:00:00Z");
        world.deferrals = deferral("tahiti-people", "2027-01-01T00:00:00Z");
        assert_eq!(until(&world).unwrap(), "2026-06-15T00:00:00Z", "fourteen days from the start of its wave");
        world.release.spec.security = true;
        assert_eq!(until(&world), None, "a vulnerability is not deferred");
        world.release.spec.security = false;
        world.deferrals = deferral("somebody-else", "2026-06-05T00:00:00Z");
        assert_eq!(until(&world), None);
    }

    #[test]
    fn one_that_is_shared_waits_for_the_windows_of_all_whom_it_serves_each_by_their_own_clock() {
        let mut world = World::new();
        // 22:00 to 05:00 in Papeete is 08:00 to 15:00 UTC; noon to two in Paris is 10:00 to 12:00 UTC.
        let windows = json!([{"from": "12:00", "to": "14:00"}]);
        let spec = json!({"displayName": "P", "timeZone": "Europe/Paris", "windows": windows});
        world.sharers = vec![Arc::new(read("Establishment", "paris", &spec))];
        assert!(matches!(world.opening("2026-06-11T09:59:00Z"), Opening::Closed(Some(_))), "only Papeete is open");
        assert_eq!(world.opening("2026-06-11T10:00:00Z"), Opening::Open);
        assert!(matches!(world.opening("2026-06-11T12:00:00Z"), Opening::Closed(Some(_))));
    }

    #[test]
    fn one_that_is_shared_waits_for_the_freezes_of_all_whom_it_serves() {
        let mut world = World::new();
        let spec = json!({"displayName": "P", "timeZone": "Europe/Paris"});
        world.sharers = vec![Arc::new(read("Establishment", "paris", &spec))];
        let freeze = json!({"reason": "the registrations", "establishments": ["paris"],
            "period": {"yearly": {"from": "06-01", "until": "08-31"}}});
        world.freezes = vec![("summer".into(), serde_json::from_value(freeze).unwrap())];
        assert!(matches!(world.opening("2026-06-11T10:00:00Z"), Opening::Closed(Some(_))));
    }

    #[test]
    fn one_that_is_shared_is_deferred_until_the_last_wish_of_those_whom_it_serves() {
        let mut world = World::new();
        let spec = json!({"displayName": "P", "timeZone": "Europe/Paris", "namespace": "paris-people"});
        world.sharers = vec![Arc::new(read("Establishment", "paris", &spec))];
        let deferral = |of: &str, namespace: &str, until: &str| {
            let spec = json!({"establishment": of, "campaign": "c", "until": until, "reason": "exams"});
            let mut deferral: Deferral = read("Deferral", "d", &spec);
            deferral.metadata.namespace = Some(namespace.into());
            Arc::new(deferral)
        };
        world.deferrals = vec![
            deferral("tahiti", "tahiti-people", "2026-06-05T00:00:00Z"),
            deferral("paris", "paris-people", "2026-06-07T00:00:00Z"),
            deferral("paris", "tahiti-people", "2026-06-09T00:00:00Z"),
        ];
        let until = world.look(|target, _| target.deferred_until.map(|until| until.to_string()));
        assert_eq!(until.as_deref(), Some("2026-06-07T00:00:00Z"));
    }

    #[test]
    fn it_waits_for_the_other_application_that_its_release_needs() {
        let mut world = World::new();
        world.release.spec.requires =
            serde_json::from_value(json!([{"application": "peer", "atLeast": "2.0"}])).unwrap();
        let standing = |world: &World| world.look(|target, _| target.standing);
        assert_eq!(standing(&world), Standing::Pending, "the establishment does not have it");
        world.neighbours.insert("peer".into(), "1.9".into());
        assert!(matches!(standing(&world), Standing::Blocked(why) if why.contains("peer") && why.contains("2.0")));
        world.neighbours.insert("peer".into(), "2.1".into());
        assert_eq!(standing(&world), Standing::Pending);
    }

    #[test]
    fn it_waits_for_a_restore_drill_as_fresh_as_its_release_asks_for() {
        let mut world = World::new();
        world.release.spec.restore_drill_within_days = Some(30);
        let standing = |world: &World| world.look(|target, _| target.standing);
        let drilled = |world: &mut World, at: &str| {
            let annotations = [(names::ANNOTATION_RESTORE_DRILLED_AT.to_owned(), at.to_owned())];
            world.instance.metadata.annotations = Some(annotations.into());
        };
        let is_held = |standing: Standing, why: &str| matches!(standing, Standing::Blocked(says) if says.contains(why));
        assert!(is_held(standing(&world), "there was none"));
        drilled(&mut world, "2026-05-11T11:00:00Z");
        assert!(is_held(standing(&world), "30 days ago"));
        drilled(&mut world, "2026-05-11T12:00:00Z");
        assert_eq!(standing(&world), Standing::Pending);
        drilled(&mut world, "2027-01-01T00:00:00Z");
        assert!(matches!(standing(&world), Standing::Blocked(_)), "of a time to come");
        drilled(&mut world, "yesterday");
        assert!(is_held(standing(&world), "is no time"));
    }

    #[test]
    fn what_runs_a_newer_release_is_not_taken_back() {
        let mut world = World::new();
        world.release = release("V1.4.00");
        world.spec.upgrade.as_mut().unwrap().release = "v1.4.00".into();
        world.instance.status.as_mut().unwrap().release.as_mut().unwrap().name = "v1.4.00-p01".into();
        assert_eq!(world.look(|target, _| target.standing), Standing::Unneeded);
    }

    #[test]
    fn who_comes_after_its_wave_began_takes_part_or_not_as_the_campaign_says() {
        let mut world = World::new();
        world.instance.metadata.creation_timestamp =
            Some(serde_json::from_value(json!("2026-06-02T00:00:00Z")).unwrap());
        let standing = |world: &World| world.look(|target, _| target.standing);
        assert_eq!(standing(&world), Standing::Pending);
        world.spec.late_joiners = LateJoiners::Exclude;
        assert_eq!(standing(&world), Standing::Skipped);
    }
}
