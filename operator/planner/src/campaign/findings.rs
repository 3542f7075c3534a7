//! What is wrong with a campaign as it is written, and what should be known before it runs?

use super::{Board, Standing, waves};
use crate::{path::Graph, simulate::Schedule};
use gotocloud_api::{
    Application, Campaign, CampaignSpec, Release,
    application::DatabaseEngine,
    campaign::{Finding, HealthCheck, LateEnd, Rule, Severity, Targets},
};
use jiff::{Timestamp, civil::Date};
use std::collections::{BTreeMap, BTreeSet};

/// What a campaign is checked against.
pub struct World<'a> {
    /// Its application, if there is one.
    pub application: Option<&'a Application>,
    /// The release it names, if there is one.
    pub release: Option<&'a Release>,
    /// The releases of its application.
    pub releases: &'a Graph,
    /// The names of all that its waves could name: the application's instances in its namespace, or the establishments.
    pub names: &'a BTreeSet<String>,
    /// Which of its selectors cannot be read; `None` if all can.
    pub unreadable_selector: Option<&'a str>,
    /// Its targets.
    pub board: &'a Board,
    /// By name of a target, the name of the release it runs.
    pub running: &'a BTreeMap<String, String>,
    /// Targets that two or more waves name, and which.
    pub twice: &'a BTreeMap<String, Vec<usize>>,
    /// Possible targets that no wave names.
    pub unmatched: &'a BTreeSet<String>,
    /// What of its own windows cannot be read.
    pub calendars: BTreeSet<String>,
    /// By why their calendar cannot be read, the targets that wait for that.
    pub unreadable: BTreeMap<String, Vec<String>>,
    /// Targets for which no window opens in the years to come, and those that are open only later than it is to be done.
    pub never_open: &'a [String],
    /// What a simulation says of when it ends; none where none was made.
    pub schedule: Option<&'a Schedule>,
    /// Has a wave begun?
    pub has_begun: bool,
    /// Who accepts that it is done later than its `finishBy`.
    pub late_end: Option<&'a LateEnd>,
    /// Approvals of it that name none of its waves, each with the wave that it names.
    pub strayed: &'a [(String, String)],
}

/// Checks a campaign. It can run where none of the findings is an error.
pub fn findings(campaign: &Campaign, world: &World<'_>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let spec = &campaign.spec;
    names_stand_for_something(spec, world, &mut findings);
    lengths_can_be_read(spec, &mut findings);
    waves_have_targets(spec, world, &mut findings);
    ways_lead_there(world, &mut findings);
    gates_can_be_read(spec, world, &mut findings);
    windows_open(world, &mut findings);
    if let Some(schedule) = world.schedule {
        it_ends(spec, schedule, world.late_end, &mut findings);
    }
    points_of_no_return(world, &mut findings);
    pins(world, &mut findings);
    support_lasts(world, now, &mut findings);
    findings.sort();
    findings
}

/// Is none of the findings an error?
pub fn is_valid(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity != Severity::Error)
}

fn note(findings: &mut Vec<Finding>, severity: Severity, rule: Rule, message: String) {
    findings.push(Finding { severity, rule, message });
}

fn names_stand_for_something(spec: &CampaignSpec, world: &World<'_>, findings: &mut Vec<Finding>) {
    if world.application.is_none() {
        let message =
            format!("there is no Application called {}: create it, or make a campaign for another", spec.application);
        note(findings, Severity::Error, Rule::ApplicationNotFound, message);
    }

    let named = spec.upgrade.as_ref().map(|one| &one.release).or(spec.provision.as_ref().map(|one| &one.release));
    match (named, world.release) {
        (Some(name), None) => {
            let message = format!("there is no Release called {name}: publish it, or name another");
            note(findings, Severity::Error, Rule::ReleaseNotFound, message);
        }
        (Some(name), Some(release)) if release.spec.application != spec.application => {
            let message = format!(
                "the Release {name} is of {}, not of {}: name another",
                release.spec.application, spec.application
            );
            note(findings, Severity::Error, Rule::ReleaseOfAnotherApplication, message);
        }
        (Some(_), Some(_)) | (None, _) => {}
    }

    let is_provision = spec.provision.is_some();
    for wave in &spec.waves {
        let targets: Vec<&Targets> = std::iter::once(&wave.targets).chain(&wave.exclude).collect();
        let unknown: Vec<&str> = targets
            .into_iter()
            .flat_map(|targets| &targets.names)
            .filter(|name| !world.names.contains(*name))
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            let what = if is_provision { "no establishment is" } else { "no instance of the application is" };
            let message = format!("wave {}: {what} called {}: correct its targets", wave.name, listed(&unknown));
            // Who was there when it began and is gone since is no slip of the pen: the others go on.
            let severity = if world.has_begun { Severity::Warning } else { Severity::Error };
            note(findings, severity, Rule::TargetNotFound, message);
        }
    }

    for (approval, wave) in world.strayed {
        let message =
            format!("the Approval {approval} is of a wave {wave}, which it does not have: delete it, and make another");
        note(findings, Severity::Warning, Rule::WaveNotFound, message);
    }

    let skipped: Vec<&str> = spec.skip.iter().filter(|name| !world.names.contains(*name)).map(String::as_str).collect();
    if !skipped.is_empty() {
        note(
            findings,
            Severity::Warning,
            Rule::TargetNotFound,
            format!("spec.skip names {}, which nothing is called", listed(&skipped)),
        );
    }

    let unknown: Vec<&str> = spec
        .roll_back
        .iter()
        .filter(|name| spec.waves.iter().all(|wave| wave.name != **name))
        .map(String::as_str)
        .collect();

    if !unknown.is_empty() {
        note(
            findings,
            Severity::Error,
            Rule::WaveNotFound,
            format!("spec.rollBack names {}, which is no wave", listed(&unknown)),
        );
    }
}

fn lengths_can_be_read(spec: &CampaignSpec, findings: &mut Vec<Finding>) {
    let of_waves = spec.waves.iter().flat_map(|wave| {
        let soak = wave.soak.iter().map(|soak| (format!("soak of wave {}", wave.name), soak));
        let gates =
            wave.gates.iter().filter_map(|gate| Some((format!("during of gate {}", gate.name), gate.during.as_ref()?)));
        soak.chain(gates).collect::<Vec<_>>()
    });
    let own = spec.progress_deadline.iter().map(|deadline| ("progressDeadline".to_owned(), deadline));
    for (what, length) in of_waves.chain(own) {
        if let Err(error) = length.seconds() {
            note(findings, Severity::Error, Rule::DurationInvalid, format!("{what}: {error}"));
        }
    }
}

fn waves_have_targets(spec: &CampaignSpec, world: &World<'_>, findings: &mut Vec<Finding>) {
    if let Some(error) = world.unreadable_selector {
        note(findings, Severity::Error, Rule::SelectorInvalid, error.to_owned());
    }
    for (wave, board) in spec.waves.iter().zip(world.board.waves()) {
        if board.counts.targets == 0 {
            let holds = if waves::is_missing_targets(wave, board) { " and holds up those after it" } else { "" };
            let message =
                format!("wave {} has no target{holds}: correct its selector or cohort, or take it out", wave.name);
            note(findings, Severity::Warning, Rule::WaveEmpty, message);
        }
    }
    for (name, waves) in world.twice.iter().take(10) {
        let names: Vec<&str> =
            waves.iter().filter_map(|at| spec.waves.get(*at)).map(|wave| wave.name.as_str()).collect();
        let message = format!("{name} is in the waves {}: exclude it from all but one", names.join(" and "));
        note(findings, Severity::Error, Rule::TargetInTwoWaves, message);
    }
    if !world.unmatched.is_empty() {
        let names: Vec<&str> = world.unmatched.iter().map(String::as_str).collect();
        let message = format!("{} are in no wave and stay as they are: {}", names.len(), listed(&names));
        note(findings, Severity::Info, Rule::NotInAnyWave, message);
    }
}

fn ways_lead_there(world: &World<'_>, findings: &mut Vec<Finding>) {
    if let Some(circle) = world.releases.circle() {
        let message = format!(
            "the releases {} are each reached from the one before, in a circle: correct reachableFrom",
            circle.join(", ")
        );
        note(findings, Severity::Warning, Rule::ReleasesInACircle, message);
    }
    let Some(release) = world.release.and_then(|release| release.metadata.name.as_deref()) else { return };
    let mut refused: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (running, names) in to_change_by_release(world) {
        if let Err(no_way) = world.releases.way(running, release) {
            refused.entry(no_way.to_string()).or_default().extend(names);
        }
    }
    for names in refused.values_mut() {
        names.sort_unstable();
    }
    for (why, names) in refused {
        note(findings, Severity::Error, Rule::NoWay, format!("{}: {why}", listed(&names)));
    }
}

/// The targets that are still to be changed, with the release each runs.
fn to_change<'w>(world: &'w World<'_>) -> impl Iterator<Item = (&'w str, &'w str)> {
    world.running.iter().filter_map(|(name, running)| {
        let target = world.board.target(name)?;
        let is_open = matches!(target.standing, Standing::Pending | Standing::Blocked(_));
        is_open.then_some((name.as_str(), running.as_str()))
    })
}

/// The same by the release that runs: many targets share a way.
fn to_change_by_release<'w>(world: &'w World<'_>) -> BTreeMap<&'w str, Vec<&'w str>> {
    let mut by_release: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, running) in to_change(world) {
        by_release.entry(running).or_default().push(name);
    }
    by_release
}

fn gates_can_be_read(spec: &CampaignSpec, world: &World<'_>, findings: &mut Vec<Finding>) {
    let has_no_database = world.application.is_some_and(|one| one.spec.database != DatabaseEngine::PostgreSQL);
    for wave in &spec.waves {
        for gate in &wave.gates {
            if gate.health_check == Some(HealthCheck::DatabaseReady) && has_no_database {
                let message = format!(
                    "gate {} of wave {} would never be true: {} has no database",
                    gate.name, wave.name, spec.application
                );
                note(findings, Severity::Error, Rule::GateInvalid, message);
            }

            let Some(promql) = &gate.promql else { continue };
            let plain = ["${namespace}", "${instance}", "${establishment}"]
                .iter()
                .fold(promql.clone(), |text, variable| text.replace(variable, "x"));

            if let Some(start) = plain.find("${") {
                let unknown: String = plain[start..].chars().take_while(|c| *c != '}').collect();
                let message = format!(
                    "gate {} of wave {}: {unknown}}} stands for nothing: use ${{namespace}}, ${{instance}} or ${{establishment}}",
                    gate.name, wave.name
                );
                note(findings, Severity::Error, Rule::GateInvalid, message);
            } else if let Err(error) = promql_parser::parser::parse(&plain) {
                let message = format!("gate {} of wave {} is no PromQL: {error}", gate.name, wave.name);
                note(findings, Severity::Error, Rule::GateInvalid, message);
            }
        }
    }
}

fn windows_open(world: &World<'_>, findings: &mut Vec<Finding>) {
    for error in &world.calendars {
        note(findings, Severity::Error, Rule::CalendarInvalid, error.clone());
    }
    for (why, names) in &world.unreadable {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = format!("{}: {why}; the others go on without", listed(&names));
        note(findings, Severity::Warning, Rule::CalendarInvalid, message);
    }
    if !world.never_open.is_empty() {
        let names: Vec<&str> = world.never_open.iter().map(String::as_str).collect();
        let message = format!(
            "{}: no moment of the next two years is within all windows (the campaign's, the application's and the \
             establishment's) and outside all freezes: widen a window, or end a freeze",
            listed(&names)
        );
        note(findings, Severity::Error, Rule::WindowNeverOpens, message);
    }
}

/// Does it end, and in time? By a simulation that takes every approval for given, and nothing to fail.
fn it_ends(spec: &CampaignSpec, schedule: &Schedule, late_end: Option<&LateEnd>, findings: &mut Vec<Finding>) {
    let ends = schedule.ends();
    if let Some(stuck) = schedule.stuck.as_ref().filter(|_| ends.is_none()) {
        let which = schedule
            .first_not_done_by(Timestamp::MAX)
            .map_or_else(String::new, |(name, _)| format!(", and {name} is the first that is not done"));
        let message = format!("it does not end by {}{which}: {stuck}", schedule.until);
        note(findings, Severity::Warning, Rule::NotFinished, message);
        return;
    }

    let Some(finish_by) = &spec.finish_by else { return };
    if let Some((name, target)) = schedule.first_not_done_by(finish_by.0) {
        let when = target.ends.map_or("later than can be told".to_owned(), |ends| format!("at {ends}"));
        let late = format!(
            "it is not done by finishBy {}: {name} is the first that does not fit, expected to be done {when}",
            finish_by.0
        );
        let is_accepted = waves::too_late(spec, Some(schedule), late_end).is_none();
        if let Some(accepted) = late_end.filter(|_| is_accepted) {
            let message = format!("{late}; {} accepts that until {}", accepted.by, accepted.until.0);
            note(findings, Severity::Info, Rule::TooLate, message);
            return;
        }
        let remedy = ends.map_or_else(String::new, |ends| format!(", set finishBy to {ends}"));
        let message = format!(
            "{late}; allow more at once, widen windows, begin earlier{remedy}, or accept it by an Approval with finishBy"
        );
        note(findings, Severity::Warning, Rule::TooLate, message);
    }
}

/// How each target could go back: by its image, only by a restore, or that nothing is changed that would need it.
fn points_of_no_return(world: &World<'_>, findings: &mut Vec<Finding>) {
    let Some(release) = world.release.and_then(|release| release.metadata.name.as_deref()) else { return };
    let (mut by_image, mut by_restore) = (0_usize, Vec::new());

    for (running, names) in to_change_by_release(world) {
        let Ok(way) = world.releases.way(running, release) else { continue };
        let starts = std::iter::once(running).chain(way.iter().map(String::as_str));
        if starts.zip(&way).any(|(before, after)| world.releases.facts(before, after).irreversible) {
            by_restore.extend(names);
        } else {
            by_image += names.len();
        }
    }

    by_restore.sort_unstable();
    if by_image > 0 {
        let message = format!("{by_image} targets can go back by their image, without loss");
        note(findings, Severity::Info, Rule::RollbackByImage, message);
    }
    if !by_restore.is_empty() {
        let message = format!(
            "{} targets can go back only by restoring the backup taken before, which loses what was written since: {}",
            by_restore.len(),
            listed(&by_restore)
        );
        note(findings, Severity::Warning, Rule::RollbackByRestore, message);
    }
}

/// Who set what the campaign would write.
fn pins(world: &World<'_>, findings: &mut Vec<Finding>) {
    let mut by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, target) in world.board.targets() {
        if let Standing::Pinned(owner) = &target.standing {
            by.entry(owner).or_default().push(name);
        }
    }
    for (owner, mut names) in by {
        names.sort_unstable();
        let message =
            format!("{} are pinned by {owner} and stay as they are: take the field out there", listed(&names));
        note(findings, Severity::Warning, Rule::Pinned, message);
    }
}

fn support_lasts(world: &World<'_>, now: Timestamp, findings: &mut Vec<Finding>) {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let Some(support) = world.release.and_then(|release| Some((release, release.spec.support.as_ref()?))) else {
        return;
    };
    let (release, support) = support;
    match support.until.parse::<Date>() {
        Ok(until) if until < today => {
            let message =
                format!("the support of {} ended on {}: choose a newer release", release.spec.version, support.until);
            note(findings, Severity::Warning, Rule::SupportEnded, message);
        }
        Ok(_) => {}
        Err(_) => {
            let message = format!("support.until of {} is no day: {}", release.spec.version, support.until);
            note(findings, Severity::Warning, Rule::SupportInvalid, message);
        }
    }
}

/// The first few names, and how many more.
pub(crate) fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
