//! A plan of campaigns, played through the years on a clock of its own, against a real API server.

use anyhow::Context as _;
use clap::Args;
use gotocloud_api::{Campaign, Instance, Stage, campaign::CampaignPhase};
use gotocloud_harness::{Build, ClusterSpec, Installation, Progress as _, Terminal, fleet};
use gotocloud_planner::fleet::is_ready;
use jiff::{SignedDuration, Timestamp, civil::date, tz::TimeZone};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Name of the cluster.
const NAME: &str = "replay";
/// How long nothing must have moved before the clock goes on.
const STILL: Duration = Duration::from_secs(2);
/// How long one stop of the clock may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// How far the clock goes on while something waits only for time: a window, a watch.
const STRIDE: SignedDuration = SignedDuration::from_hours(6);
/// How many strides at most between two dates of the plan.
const STRIDES: usize = 120;

/// What to play.
#[derive(Args)]
pub struct ReplayArgs {
    /// A folder of YAML: applications, releases, establishments and campaigns. Where it has no Platform, each
    /// `homePlatform` of its establishments stands for one with the replay's own database server.
    #[arg(long)]
    plan: PathBuf,
    /// The last year to play.
    #[arg(long)]
    until: i16,
    /// Print nothing but a line of JSON for each year.
    #[arg(long)]
    json: bool,
}

/// Plays a plan.
pub fn run(arguments: &ReplayArgs) -> anyhow::Result<()> {
    Installation::down(NAME, &Terminal)?;
    let played = play(arguments);
    Installation::down(NAME, &Terminal)?;
    played
}

fn play(arguments: &ReplayArgs) -> anyhow::Result<()> {
    let mut installation = Installation::up(&ClusterSpec::new(NAME), Build::Debug, false, &Terminal)?;
    let folder = tempfile::tempdir()?;
    let clock = folder.path().join("clock");
    let (campaigns, ground): (Vec<Value>, Vec<Value>) =
        fleet::read(&arguments.plan, &installation)?.into_iter().partition(|object| object["kind"] == "Campaign");
    let dates = dates(&campaigns)?;
    let first = dates.first().map_or(arguments.until, |date| year(*date));
    std::fs::write(&clock, moment(first, 1, 1)?.to_string())?;
    installation.restart_operator_with(&["--clock-file", &clock.to_string_lossy()])?;
    let cluster = &installation.cluster;
    cluster.apply(&fleet::list(&prepared(ground, &campaigns, &installation)))?;
    cluster.apply(&fleet::list(&campaigns))?;
    for year in first..=arguments.until {
        let step = Terminal.begin(&format!("the year {year}"));
        let mut stops: Vec<Timestamp> = dates.iter().copied().filter(|date| self::year(*date) == year).collect();
        let end = moment(year, 12, 31)?;
        stops.push(end);
        for stop in stops {
            let until = dates.iter().copied().find(|date| *date > stop).unwrap_or(end).min(end).max(stop);
            advance(&installation, &clock, stop, until)?;
        }
        step.finish();
        let line = count(&installation, year)?;
        println!("{line}");
        if !arguments.json {
            println!("{}", cluster.kubectl(&["get", "campaigns"])?);
        }
    }
    Ok(())
}

/// Sets the clock to a moment and waits until nothing moves; then lets it go on, in strides and up to `until`, for as
/// long as something waits for time alone.
fn advance(
    installation: &Installation,
    clock: &std::path::Path,
    at: Timestamp,
    until: Timestamp,
) -> anyhow::Result<()> {
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

/// Waits until nothing moves. Gives whether a wave that has begun waits for time.
fn settle(installation: &Installation, now: Timestamp) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let (mut last, mut since) = (String::new(), Instant::now());
    loop {
        let campaigns: Vec<Campaign> = list(installation, "campaigns")?;
        let instances: Vec<Instance> = list(installation, "instances")?;
        let invalid = campaigns
            .iter()
            .find(|one| one.status.as_ref().is_some_and(|status| status.phase == CampaignPhase::Invalid));
        if let Some(invalid) = invalid {
            let findings = invalid.status.as_ref().map(|status| &status.findings);
            anyhow::bail!("the campaign {:?} cannot run: {findings:?}", invalid.metadata.name);
        }
        let is_moving = instances.iter().any(|one| !is_ready(one))
            || campaigns.iter().any(|one| {
                one.status.as_ref().is_none_or(|status| status.observed_generation != one.metadata.generation)
            });
        let seen = format!(
            "{:?}",
            (
                campaigns
                    .iter()
                    .map(|one| one.status.as_ref().map(|status| (status.phase, status.counts)))
                    .collect::<Vec<_>>(),
                instances.iter().map(|one| one.metadata.resource_version.clone()).collect::<Vec<_>>(),
            )
        );
        if is_moving || seen != last {
            (last, since) = (seen, Instant::now());
        } else if since.elapsed() >= STILL {
            let waits = campaigns.iter().filter_map(|one| one.status.as_ref()).flat_map(|status| &status.waves);
            return Ok(waits.into_iter().any(|wave| wave.started_at.is_some() && wave.finished_at.is_none()));
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "at {now} it does not come to rest within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// The instances by stage, as one line of JSON.
fn count(installation: &Installation, year: i16) -> anyhow::Result<Value> {
    let instances: Vec<Instance> = list(installation, "instances")?;
    let of = |stage: Stage| {
        instances.iter().filter(|one| one.status.as_ref().and_then(|status| status.stage) == Some(stage)).count()
    };
    Ok(json!({
        "year": year,
        "provisioned": of(Stage::Provisioned),
        "partial": of(Stage::PartialProduction),
        "full": of(Stage::FullProduction),
    }))
}

fn list<K: serde::de::DeserializeOwned + Clone>(installation: &Installation, plural: &str) -> anyhow::Result<Vec<K>> {
    let text = installation.cluster.kubectl(&["get", plural, "--all-namespaces", "-o", "json"])?;
    let list: kube::core::ObjectList<K> =
        serde_json::from_str(&text).with_context(|| format!("kubectl does not answer with {plural}"))?;
    Ok(list.items)
}

/// The dates at which waves may begin, in their order.
fn dates(campaigns: &[Value]) -> anyhow::Result<Vec<Timestamp>> {
    let mut dates = BTreeSet::new();
    for campaign in campaigns {
        for wave in campaign["spec"]["waves"].as_array().into_iter().flatten() {
            if let Some(text) = wave["notBefore"].as_str() {
                dates.insert(text.parse::<Timestamp>().with_context(|| format!("notBefore {text} is no moment"))?);
            }
        }
    }
    Ok(dates.into_iter().collect())
}

fn year(at: Timestamp) -> i16 {
    at.to_zoned(TimeZone::UTC).year()
}

fn moment(year: i16, month: i8, day: i8) -> anyhow::Result<Timestamp> {
    Ok(date(year, month, day).at(12, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp())
}

/// What the campaigns stand on: what the plan has, the namespaces it makes instances in, and the platforms it names.
fn prepared(mut ground: Vec<Value>, campaigns: &[Value], installation: &Installation) -> Vec<Value> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let namespaces: BTreeSet<String> =
        campaigns.iter().map(|one| text(&one["spec"]["namespace"]).unwrap_or_else(|| "gotocloud".to_owned())).collect();
    let is_there = |kind: &str, name: &str, all: &[Value]| {
        all.iter().any(|one| one["kind"] == kind && one["metadata"]["name"] == name)
    };
    for name in namespaces.into_iter().filter(|name| !is_there("Namespace", name, &ground)).collect::<Vec<_>>() {
        ground.insert(0, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    }
    let platforms: BTreeSet<String> = ground.iter().filter_map(|one| text(&one["spec"]["homePlatform"])).collect();
    for name in platforms.into_iter().filter(|name| !is_there("Platform", name, &ground)).collect::<Vec<_>>() {
        ground.push(installation.platform(&name));
    }
    ground
}
