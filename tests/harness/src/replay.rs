//! How does a plan of campaigns play through the years?
//!
//! On a clock of its own, which the operator reads instead of the machine's: it stops at every date of the plan, waits until
//! the operator has decided everything by that moment, and goes on in strides while something waits for time alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp, civil::date, tz::TimeZone};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cache::Lock;
use crate::cluster::ClusterSpec;
use crate::fleet;
use crate::installation::Installation;
use crate::operator::Build;
use crate::progress::Progress;

/// How often the operator is asked whether it has decided.
const LOOK: Duration = Duration::from_millis(50);
/// How long one stop of the clock may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// How far the clock goes on while something waits only for time: a window, a watch.
const STRIDE: SignedDuration = SignedDuration::from_hours(6);
/// How many strides at most between two dates of the plan.
const STRIDES: usize = 120;
/// How many replays may run at the same time.
const AT_ONCE: usize = 9;

/// Instances by stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stages {
    /// Handed over, and used by nobody yet.
    pub provisioned: usize,
    /// In partial production.
    pub partial: usize,
    /// In full production.
    pub full: usize,
}

/// How the fleet stands at the end of a year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Year {
    /// Which.
    pub year: i16,
    /// All instances.
    pub all: Stages,
    /// By the label `cohort`; those without one under an empty name.
    pub by_cohort: BTreeMap<String, Stages>,
}

/// Plays the plan in a folder up to the end of the year `until`, on a cluster of its own that is taken down again, and
/// gives each year to `each`. The cluster is called `name`, or `name-2` and so on where others play.
///
/// The folder holds applications, releases, establishments and campaigns as YAML. Where it has no Platform, each
/// `homePlatform` of its establishments stands for one with the cluster's own database server.
pub fn play(
    plan: &Path,
    until: i16,
    name: &str,
    progress: &dyn Progress,
    mut each: impl FnMut(&Year),
) -> anyhow::Result<()> {
    // Before anything is built: what is wrong with the folder.
    fleet::files(plan)?;
    let (name, _lock) = own(name)?;
    Installation::down(&name, progress)?;
    let played = years(plan, until, &name, progress, &mut each);
    Installation::down(&name, progress)?;
    played
}

/// A name that no other replay uses, for as long as the lock is held.
fn own(name: &str) -> anyhow::Result<(String, Lock)> {
    let names = std::iter::once(name.to_owned()).chain((2..=AT_ONCE).map(|number| format!("{name}-{number}")));
    for name in names {
        if let Some(lock) = Lock::try_acquire(&format!("played-{name}"))? {
            return Ok((name, lock));
        }
    }
    anyhow::bail!("{AT_ONCE} replays run already: wait for one of them to end")
}

fn years(
    plan: &Path,
    until: i16,
    name: &str,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&Year),
) -> anyhow::Result<()> {
    let mut installation = Installation::up(&ClusterSpec::new(name), Build::Debug, false, progress)?;
    let clock = std::env::temp_dir().join(format!("gotocloud-{name}-{}.clock", std::process::id()));
    let (campaigns, ground): (Vec<Value>, Vec<Value>) =
        fleet::read(plan, &installation)?.into_iter().partition(|object| object["kind"] == "Campaign");
    let dates = dates(&campaigns)?;
    let first = dates.first().map_or(until, |date| year_of(*date));
    std::fs::write(&clock, moment(first, 1, 1)?.to_string())?;
    installation.restart_operator_with(&["--clock-file", &clock.to_string_lossy()])?;
    let cluster = &installation.cluster;
    cluster.apply(&fleet::list(&prepared(ground, &campaigns, &installation)))?;
    cluster.apply(&fleet::list(&campaigns))?;
    for year in first..=until {
        let step = progress.begin(&format!("the year {year}"));
        let end = moment(year, 12, 31)?;
        let stops = dates.iter().copied().filter(|date| year_of(*date) == year).chain([end]);
        for stop in stops {
            let next = dates.iter().copied().find(|date| *date > stop).unwrap_or(end).min(end).max(stop);
            advance(&installation, &clock, stop, next)?;
        }
        step.finish();
        let late = not_begun(&list(&installation, "campaigns")?, end);
        anyhow::ensure!(late.is_empty(), "the year {year} is over, and not begun are: {}", late.join("; "));
        each(&count(&installation, year)?);
    }
    let _ = std::fs::remove_file(&clock);
    Ok(())
}

/// Sets the clock to a moment and waits until nothing moves; then lets it go on, in strides and up to `until`, for as
/// long as something waits for time alone.
fn advance(installation: &Installation, clock: &Path, at: Timestamp, until: Timestamp) -> anyhow::Result<()> {
    let mut now = at;
    for _ in 0..STRIDES {
        let fresh = clock.with_extension("new");
        std::fs::write(&fresh, now.to_string())?;
        std::fs::rename(&fresh, clock)?;
        let is_waiting = settle(installation, now)?;
        let next = now.checked_add(STRIDE)?;
        if !is_waiting || next >= until {
            return Ok(());
        }
        now = next;
    }
    Ok(())
}

/// Waits until the operator has decided all there is by that moment. Gives whether a wave that has begun waits for time.
fn settle(installation: &Installation, now: Timestamp) -> anyhow::Result<bool> {
    let begun = Instant::now();
    loop {
        let (campaigns, instances) = (list(installation, "campaigns")?, list(installation, "instances")?);
        if let Some(invalid) = campaigns.iter().find(|one| one["status"]["phase"] == "Invalid") {
            anyhow::bail!(
                "the campaign {} cannot run: {}",
                invalid["metadata"]["name"],
                invalid["status"]["findings"][0]["message"]
            );
        }

        let is_unseen = |one: &Value| one["status"]["observedGeneration"] != one["metadata"]["generation"];
        let is_moving = campaigns.iter().any(is_unseen) || instances.iter().any(|one| is_unseen(one) || !is_ready(one));
        // Asked after the lists were read: what it has seen by then is all of them, and nothing newer.
        let decided = decided(installation)?;
        if !is_moving && is_settled(&decided, now, newest(&instances)) {
            // What was decided last may be newer than what was read before.
            let campaigns = list(installation, "campaigns")?;
            let mut waves = campaigns.iter().filter_map(|one| one["status"]["waves"].as_array()).flatten();
            return Ok(waves.any(|wave| !wave["startedAt"].is_null() && wave["finishedAt"].is_null()));
        }

        anyhow::ensure!(
            begun.elapsed() < PATIENCE,
            "at {now} it does not come to rest within {PATIENCE:?}; the operator says {decided}"
        );
        std::thread::sleep(LOOK);
    }
}

/// What the operator says of the time by which it decided.
fn decided(installation: &Installation) -> anyhow::Result<Value> {
    let (_, body) = installation.operator()?.get("/decided")?;
    serde_json::from_str(&body).context("the operator does not say by which time it decided")
}

/// Has everything been decided by that moment, on objects of which none is newer than that version?
fn is_settled(decided: &Value, now: Timestamp, newest: u64) -> bool {
    let at = decided["at"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    decided["atRest"] == true && at.is_some_and(|at| at >= now) && decided["seen"].as_u64() == Some(newest)
}

/// The newest resource version of some objects.
fn newest(objects: &[Value]) -> u64 {
    let versions = objects.iter().filter_map(|one| one["metadata"]["resourceVersion"].as_str()?.parse().ok());
    versions.max().unwrap_or(0)
}

/// The waves that were due by that moment and have not begun, each with what it says.
fn not_begun(campaigns: &[Value], by: Timestamp) -> Vec<String> {
    let mut late = Vec::new();
    for campaign in campaigns.iter().filter(|one| one["spec"]["state"] == "Running") {
        let statuses = campaign["status"]["waves"].as_array().map_or(&[][..], Vec::as_slice);
        for wave in campaign["spec"]["waves"].as_array().into_iter().flatten() {
            let due = wave["notBefore"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
            let status = statuses.iter().find(|status| status["name"] == wave["name"]);
            if due.is_some_and(|due| due <= by) && status.is_none_or(|status| status["startedAt"].is_null()) {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let (name, wave) = (text(&campaign["metadata"]["name"]), text(&wave["name"]));
                let says = status.map(|status| text(&status["waitsFor"])).filter(|says| !says.is_empty());
                late.push(format!("{name}/{wave} ({})", says.as_deref().unwrap_or("nothing is said of it")));
            }
        }
    }
    late
}

fn is_ready(instance: &Value) -> bool {
    let conditions = instance["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn count(installation: &Installation, year: i16) -> anyhow::Result<Year> {
    let mut counted = Year { year, all: Stages::default(), by_cohort: BTreeMap::new() };
    for instance in list(installation, "instances")? {
        let cohort = instance["metadata"]["labels"]["cohort"].as_str().unwrap_or_default().to_owned();
        for stages in [&mut counted.all, counted.by_cohort.entry(cohort).or_default()] {
            match instance["status"]["stage"].as_str() {
                Some("Provisioned") => stages.provisioned += 1,
                Some("PartialProduction") => stages.partial += 1,
                Some("FullProduction") => stages.full += 1,
                stage => anyhow::bail!("{} is in stage {stage:?}", instance["metadata"]["name"]),
            }
        }
    }
    Ok(counted)
}

fn list(installation: &Installation, plural: &str) -> anyhow::Result<Vec<Value>> {
    let text = installation.cluster.kubectl(&["get", plural, "--all-namespaces", "-o", "json"])?;
    let mut list: Value =
        serde_json::from_str(&text).with_context(|| format!("kubectl does not answer with {plural}"))?;
    Ok(serde_json::from_value(list["items"].take())?)
}

/// The dates at which waves may begin, in their order.
fn dates(campaigns: &[Value]) -> anyhow::Result<Vec<Timestamp>> {
    let mut dates = BTreeSet::new();
    for wave in campaigns.iter().filter_map(|one| one["spec"]["waves"].as_array()).flatten() {
        if let Some(text) = wave["notBefore"].as_str() {
            dates.insert(text.parse::<Timestamp>().with_context(|| format!("notBefore {text} is no moment"))?);
        }
    }
    Ok(dates.into_iter().collect())
}

fn year_of(at: Timestamp) -> i16 {
    at.to_zoned(TimeZone::UTC).year()
}

fn moment(year: i16, month: i8, day: i8) -> anyhow::Result<Timestamp> {
    Ok(date(year, month, day).at(12, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp())
}

/// What the campaigns stand on: what the plan has, the namespaces it makes instances in, and the platforms it names.
fn prepared(mut ground: Vec<Value>, campaigns: &[Value], installation: &Installation) -> Vec<Value> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let there = |kind: &str, all: &[Value]| -> BTreeSet<String> {
        all.iter().filter(|one| one["kind"] == kind).filter_map(|one| text(&one["metadata"]["name"])).collect()
    };
    let namespaces: BTreeSet<String> =
        campaigns.iter().map(|one| text(&one["spec"]["namespace"]).unwrap_or_else(|| "gotocloud".to_owned())).collect();
    for name in namespaces.difference(&there("Namespace", &ground)) {
        ground.insert(0, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    }
    let platforms: BTreeSet<String> = ground.iter().filter_map(|one| text(&one["spec"]["homePlatform"])).collect();
    for name in platforms.difference(&there("Platform", &ground)) {
        ground.push(installation.platform(name));
    }
    ground
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_decided_by_an_earlier_time_or_by_less_than_there_is_is_not_settled() {
        let now = at("2024-09-02T06:00:00Z");
        let said = |at: &str, seen: u64, at_rest: bool| json!({"at": at, "seen": seen, "atRest": at_rest});
        assert!(is_settled(&said("2024-09-02T06:00:00Z", 12, true), now, 12));
        assert!(!is_settled(&said("2023-12-31T12:00:00Z", 12, true), now, 12));
        assert!(!is_settled(&said("2024-09-02T06:00:00Z", 11, true), now, 12));
        assert!(!is_settled(&said("2024-09-02T06:00:00Z", 12, false), now, 12));
        assert!(!is_settled(&json!({"at": null, "seen": 0, "atRest": false}), now, 0));
    }

    #[test]
    fn a_wave_that_was_due_and_has_not_begun_is_named() {
        let campaign = json!({
            "metadata": {"name": "c"},
            "spec": {"state": "Running", "waves": [
                {"name": "begun", "notBefore": "2024-09-02T06:00:00Z"},
                {"name": "late", "notBefore": "2024-09-09T06:00:00Z"},
                {"name": "later", "notBefore": "2025-09-01T06:00:00Z"},
            ]},
            "status": {"waves": [{"name": "begun", "startedAt": "2024-09-02T06:00:00Z"}, {"name": "late"}]},
        });
        let late = not_begun(&[campaign], at("2024-12-31T12:00:00Z"));
        assert_eq!(late.len(), 1);
        assert!(late[0].starts_with("c/late"), "{late:?}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_said_before_anything_is_built() {
        let error = play(Path::new("/nowhere/plan"), 2022, "unit-replay", &crate::Terminal, |_| {}).unwrap_err();
        assert!(format!("{error:#}").contains("cannot read /nowhere/plan"), "{error:#}");
    }

    #[test]
    fn two_replays_at_once_have_a_cluster_each() {
        let (first, _held) = own("unit-replay").unwrap();
        let (second, _too) = own("unit-replay").unwrap();
        assert_ne!(first, second);
    }
}
