//! What do the catalogue, freezes and the words of persons have to tell of the fleet?

mod names;
mod words;

pub use names::Known;
pub use words::{approval, deferral};

use crate::{
    calendar::{self, Calendar, WindowOwner, freezes},
    grouping::groupings_of,
    inputs::{placed_on, release_name, size_of},
    objects::Kind,
    upgrade,
};
use gotocloud_api::{
    Application, ApplicationStatus, ChangeFreeze, ChangeFreezeStatus, Establishment, EstablishmentStatus, Instance,
    Platform, PlatformStatus, Release, ReleaseStatus, Stage,
    application::InstanceCounts,
    conditions::{Condition, ConditionType, Reason},
    platform::RetainedData,
};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// How many kept databases a Platform lists.
const RETAINED_LISTED: usize = 50;

/// Counts instances by stage.
pub fn count<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> InstanceCounts {
    let mut counts = InstanceCounts::default();
    for instance in instances {
        counts.total += 1;
        counts.ready += u32::from(is_ready(instance));
        match instance.spec.stage {
            Stage::Provisioned => counts.provisioned += 1,
            Stage::PartialProduction => counts.partial_production += 1,
            Stage::FullProduction => counts.full_production += 1,
        }
    }
    counts
}

/// Is the Instance ready, by a condition that speaks of its present generation?
pub fn is_ready(instance: &Instance) -> bool {
    instance.status.as_ref().is_some_and(|status| {
        status.observed_generation == instance.metadata.generation
            && status.conditions.iter().any(|one| one.type_ == ConditionType::Ready.to_string() && one.status == "True")
    })
}

/// What a freeze has to tell, given the time zones of those it holds and what its names may stand for.
pub fn freeze<'a>(
    freeze: &ChangeFreeze,
    zones: impl IntoIterator<Item = &'a str>,
    known: &Known<'_>,
    now: Timestamp,
) -> ChangeFreezeStatus {
    let before = freeze.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = freeze.metadata.generation;
    let standing = freezes::status(&freeze.spec, zones, now);
    let verdict = match (&standing, names::holds_nobody(freeze, known)) {
        (Err(error), _) => Err((Reason::PeriodInvalid, format!("its period: {error}"))),
        (Ok(_), Some(why)) => Err((why.reason, why.message)),
        (Ok(_), None) => Ok(()),
    };
    let mut conditions = ready(verdict, before, generation, now);
    conditions.push(names::of_freeze(freeze, known).condition(before, generation, now));
    let next = standing.ok().flatten();
    let is_active = next.as_ref().is_some_and(|next| next.active);
    let (status, message) =
        if is_active { ("True", "nothing begins where it holds") } else { ("False", "it holds nowhere now") };
    let active = condition(ConditionType::Active, status, Reason::AsDesired, message, before, generation, now);
    conditions.push(active);
    ChangeFreezeStatus {
        observed_generation: generation,
        from: next.as_ref().map(|next| next.from.to_string()),
        until: next.as_ref().map(|next| next.until.to_string()),
        conditions,
    }
}

/// What an Application has to tell, given its instances and what its names may stand for.
pub fn application<'a>(
    application: &Application,
    instances: impl IntoIterator<Item = &'a Instance>,
    known: &Known<'_>,
    now: Timestamp,
) -> ApplicationStatus {
    let before = application.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = application.metadata.generation;
    let mut conditions = ready(Ok(()), before, generation, now);
    conditions.push(names::of_application(application, known).condition(before, generation, now));
    ApplicationStatus { observed_generation: generation, instances: count(instances), conditions }
}

/// What a Release has to tell, given the instances of its Application and what its names may stand for.
pub fn release<'a>(
    release: &Release,
    instances: impl IntoIterator<Item = &'a Instance>,
    known: &Known<'_>,
    now: Timestamp,
) -> ReleaseStatus {
    let before = release.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let name = release.metadata.name.as_deref();
    let uses = |instance: &&Instance| name.is_some_and(|name| uses(instance, name));
    let generation = release.metadata.generation;
    let verdict = match known.applications.get(release.spec.application.as_str()) {
        None => Err((
            Reason::ApplicationNotFound,
            format!("there is no Application called {}: create it", release.spec.application),
        )),
        Some(application) if application.spec.version_scheme != release.spec.version_scheme => Err((
            Reason::VersionSchemeMismatch,
            format!(
                "its version is written by {}, those of {} by {}: publish it by the application's scheme",
                release.spec.version_scheme, release.spec.application, application.spec.version_scheme
            ),
        )),
        Some(_) => Ok(()),
    };
    let mut conditions = ready(verdict, before, generation, now);
    conditions.push(names::of_release(release, known).condition(before, generation, now));
    ReleaseStatus {
        observed_generation: generation,
        instances: u32::try_from(instances.into_iter().filter(uses).count()).unwrap_or(u32::MAX),
        conditions,
    }
}

/// Does the Instance run the Release, go to it, or may it have to go back to it?
fn uses(instance: &Instance, release: &str) -> bool {
    if release_name(instance) == Some(release) {
        return true;
    }
    let status = instance.status.as_ref();
    let rehearsed = status.and_then(|status| status.rehearsal.as_ref()).filter(|one| !one.phase.is_terminal());
    if rehearsed.is_some_and(|one| one.to == release || one.path.iter().any(|name| name == release)) {
        return true;
    }

    let way = status.and_then(|status| status.upgrade.as_ref());
    way.filter(|way| !way.phase.is_terminal() || upgrade::is_half_way(way)).is_some_and(|way| {
        let passed = way.steps.iter().map(|step| &step.release).chain(&way.path);
        way.from == release || passed.into_iter().any(|name| name == release)
    })
}

/// What a Platform has to tell, given all instances, the kept data and the APIs it lacks.
pub fn platform<'a>(
    platform: &Platform,
    instances: impl IntoIterator<Item = &'a Instance>,
    mut retained: Vec<RetainedData>,
    missing: &[String],
    now: Timestamp,
) -> PlatformStatus {
    let before = platform.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let name = platform.metadata.name.as_deref();
    retained.sort_unstable();
    retained.truncate(RETAINED_LISTED);
    let verdict = if missing.is_empty() {
        Ok(())
    } else {
        Err((
            Reason::ApiMissing,
            format!("its spec needs APIs that it does not serve, or does not let be listed: {}", missing.join(", ")),
        ))
    };
    PlatformStatus {
        observed_generation: platform.metadata.generation,
        instances: u32::try_from(instances.into_iter().filter(|one| placed_on(one) == name).count())
            .unwrap_or(u32::MAX),
        retained,
        conditions: ready(verdict, before, platform.metadata.generation, now),
    }
}

/// What an Establishment has to tell, given its instances and what its names may stand for: all establishments too.
pub fn establishment<'a>(
    establishment: &Establishment,
    instances: impl IntoIterator<Item = &'a Instance>,
    known: &Known<'_>,
    now: Timestamp,
) -> EstablishmentStatus {
    let before = establishment.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = establishment.metadata.generation;
    let name = establishment.metadata.name.as_deref().unwrap_or_default();
    let mut groupings: Vec<String> = groupings_of(name, known.establishments.values().copied())
        .into_iter()
        .flat_map(|grouping| {
            let applications = grouping.spec.grouping.iter().flat_map(|one| &one.applications);
            let grouping = grouping.metadata.name.clone().unwrap_or_default();
            applications.map(move |application| format!("{application}: {grouping}"))
        })
        .collect();

    groupings.sort_unstable();
    let application = |line: &str| line.split_once(": ").map(|(application, _)| application.to_owned());
    let twice = groupings.windows(2).find(|pair| application(&pair[0]) == application(&pair[1]));
    let verdict = if let Some([one, other]) = twice {
        Err((
            Reason::MembershipConflict,
            format!("it is in two groupings for one application ({one} and {other}): take it out of one"),
        ))
    } else {
        let own = [(WindowOwner::Establishment, establishment.spec.windows.as_slice())];
        let none = BTreeSet::new();
        let of = calendar::Target { time_zone: &establishment.spec.time_zone, application: "", establishments: &none };
        let calendar = Calendar::new(&of, &own, []);
        calendar.map(drop).map_err(|error| (Reason::CalendarInvalid, error.to_string()))
    };

    let mut conditions = ready(verdict, before, generation, now);
    conditions.push(names::of_establishment(establishment, known).condition(before, generation, now));
    let members = establishment.spec.grouping.as_ref().map_or(0, |grouping| grouping.members.len());
    EstablishmentStatus {
        observed_generation: generation,
        size_class: size_of(establishment),
        members: u32::try_from(members).unwrap_or(u32::MAX),
        instances: count(instances),
        conditions,
        groupings,
    }
}

fn ready(
    verdict: Result<(), (Reason, String)>,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let (status, reason, message) = match verdict {
        Ok(()) => ("True", Reason::AsDesired, "in order".to_owned()),
        Err((reason, message)) => ("False", reason, message),
    };
    let made = |kind: ConditionType, status: &str| condition(kind, status, reason, &message, before, generation, now);
    let mut conditions = vec![made(ConditionType::Ready, status)];
    if status == "False" {
        conditions.push(made(ConditionType::Stalled, "True"));
    }
    conditions
}

/// A condition, with the time at which it last changed its status.
fn condition(
    kind: ConditionType,
    status: &str,
    reason: Reason,
    message: &str,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let kind = kind.to_string();
    let same = before.iter().find(|old| old.type_ == kind && old.status == status);
    let now = crate::whole_seconds(now);
    Condition {
        last_transition_time: same.map_or(now, |old| old.last_transition_time.clone()),
        message: message.to_owned(),
        observed_generation: generation,
        reason: reason.to_string(),
        status: status.to_owned(),
        type_: kind,
    }
}

/// The APIs that a Platform's spec needs and its cluster does not serve, as `KIND (GROUP/VERSION)`.
pub fn missing_apis(platform: &Platform, served: &BTreeSet<Kind>) -> Vec<String> {
    let spec = &platform.spec;
    let has_own_certificates = spec.certificate_issuer.is_some();
    let needs = [
        (Kind::Cluster, spec.database.cloud_native_pg.is_some()),
        (Kind::HttpRoute, spec.exposure.gateway.is_some()),
        (Kind::ListenerSet, spec.exposure.gateway.is_some() && has_own_certificates),
        (Kind::Certificate, has_own_certificates),
        (Kind::ServiceMonitor, spec.monitoring.is_some()),
    ];
    let missing = needs.into_iter().filter(|(kind, is_needed)| *is_needed && !served.contains(kind));
    missing.map(|(kind, _)| format!("{kind} ({})", kind.api_version())).collect()
}
