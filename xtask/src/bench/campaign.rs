//! What does a campaign cost: to decide, in writes, and in time beside a perfect scheduler?

use super::{CampaignArgs, client, fleet::Fleet, installation, planning, rounded, shapes};
use futures::TryStreamExt as _;
use gotocloud_api::{Campaign, Instance, upgrade::UpgradePhase};
use gotocloud_harness::{Installation, Progress as _, Terminal};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;
use std::{
    collections::HashMap,
    pin::pin,
    time::{Duration, Instant},
};

const NAME: &str = "bench-campaign";
/// Most targets that are upgraded on a cluster: more are only planned.
const ON_A_CLUSTER: u32 = 133;
/// How many of them at once.
const AT_ONCE: u32 = 14;

pub async fn run(arguments: &CampaignArgs) -> anyhow::Result<()> {
    let targets = arguments.targets;
    let step = Terminal.begin(&format!("decisions about {targets} targets"));
    let plan = planning::decisions(&Fleet::new(targets)?)?;
    step.finish();
    let step = Terminal.begin("simulations");
    let (two_years, ten_thousand) = (planning::two_years()?, planning::ten_thousand()?);
    step.finish();
    let step = Terminal.begin("unkind shapes: fifty releases, 1,800 windows");
    let over_releases = shapes::over_releases()?;
    let over_windows = shapes::over_windows()?;
    step.finish();
    let upgraded = targets.min(ON_A_CLUSTER);
    let on_a_cluster = upgrade(&Fleet::new(upgraded)?).await;
    Installation::down(NAME, &Terminal)?;
    let Upgraded { writes, wall, ideal } = on_a_cluster?;
    let line = json!({
        "targets": targets,
        "plan_ms_p50": plan.at(0.50),
        "plan_ms_p99": plan.at(0.99),
        "plan_ms_max": plan.at(1.0),
        "writes_per_target": rounded(writes / f64::from(upgraded.max(1))),
        "wall_over_ideal": rounded(wall / ideal),
        "targets_on_cluster": upgraded,
        "wall_s": rounded(wall),
        "ideal_s": rounded(ideal),
        "simulate_133_two_years_s": two_years,
        "simulate_10000_s": ten_thousand,
        "view_10000_of_50_releases_ms": rounded(over_releases.first),
        "release_edited_10000_of_50_ms_max": over_releases.edits.at(1.0),
        "decision_1800_windows_ms_p50": over_windows.at(0.50),
        "decision_1800_windows_ms_p99": over_windows.at(0.99),
        "decision_1800_windows_ms_max": over_windows.at(1.0),
    });
    if !arguments.json {
        println!("{upgraded} targets were upgraded in {wall:.1} s; a perfect scheduler takes {ideal:.1} s.");
    }
    println!("{line}");
    Ok(())
}

struct Upgraded {
    writes: f64,
    wall: f64,
    ideal: f64,
}

/// Brings a fleet up, then to its next release by a campaign of one wave.
async fn upgrade(fleet: &Fleet) -> anyhow::Result<Upgraded> {
    let installation = tokio::task::block_in_place(|| installation(NAME, false))?;
    let client = client(&installation).await?;
    fleet.lay_ground(&client).await?;
    let step = Terminal.begin(&format!("{} instances come up", fleet.instances.len()));
    let (applied, ready) = tokio::join!(fleet.apply(&client), fleet.wait_until_ready(&client, Duration::from_mins(30)));
    applied?;
    ready?;
    step.finish();
    fleet.let_campaigns_choose(&client).await?;
    // What is still to be told of that is not the campaign's.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let operator = installation.operator()?;
    let before = operator.metric("gotocloud_api_writes_total")?;
    let step = Terminal.begin(&format!("{} instances are upgraded, {AT_ONCE} at once", fleet.instances.len()));
    let campaign = campaign()?;
    let api: Api<Campaign> = Api::all(client.clone());
    let follow = tokio::spawn(follow(client.clone(), fleet.instances.len()));
    api.patch(&campaign.name_any(), &PatchParams::apply("bench").force(), &Patch::Apply(&campaign)).await?;
    let spans = follow.await??;
    step.finish();
    // What is still to be written belongs to the bill.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let writes = operator.metric("gotocloud_api_writes_total")? - before;
    let (_, metrics) = operator.get("/metrics")?;
    for line in metrics.lines().filter(|line| line.starts_with("gotocloud_api_writes_total")) {
        eprintln!("  {line}");
    }
    let begun = spans.iter().map(|(from, _)| *from).min();
    let ended = spans.iter().map(|(_, until)| *until).max();
    let (Some(begun), Some(ended)) = (begun, ended) else { anyhow::bail!("nothing was upgraded") };
    let lengths: Vec<f64> = spans.iter().map(|(from, until)| until.duration_since(*from).as_secs_f64()).collect();
    Ok(Upgraded { writes, wall: ended.duration_since(begun).as_secs_f64(), ideal: ideal(&lengths, AT_ONCE) })
}

/// The least that any scheduler takes for those lengths, so many at once: no less than the longest, and no less than all
/// of it shared out evenly.
fn ideal(lengths: &[f64], at_once: u32) -> f64 {
    let longest = lengths.iter().copied().fold(0.0, f64::max);
    longest.max(lengths.iter().sum::<f64>() / f64::from(at_once.max(1)))
}

fn campaign() -> anyhow::Result<Campaign> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": "bench"},
        "spec": {"application": "bench", "state": "Running", "upgrade": {"release": "bench-v1.1"},
            "waves": [{"name": "all", "targets": {"selector": {}}, "maxConcurrent": AT_ONCE}]},
    }))?)
}

/// When each Instance was seen to be asked for by the campaign, and when to be done.
async fn follow(client: Client, all: usize) -> anyhow::Result<Vec<(Instant, Instant)>> {
    let mut begun: HashMap<String, Instant> = HashMap::new();
    let mut spans: HashMap<String, (Instant, Instant)> = HashMap::new();
    let events = watcher(Api::<Instance>::all(client), watcher::Config::default()).default_backoff().applied_objects();
    let mut events = pin!(events);
    let look = async {
        while let Some(instance) = events.try_next().await? {
            if instance.spec.rollout.is_none() {
                continue;
            }
            let from = *begun.entry(instance.name_any()).or_insert_with(Instant::now);
            let record = instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
            if record.is_some_and(|record| record.phase == UpgradePhase::Done) {
                spans.entry(instance.name_any()).or_insert_with(|| (from, Instant::now()));
            }
            if spans.len() == all {
                break;
            }
        }
        Ok::<(), watcher::Error>(())
    };
    match tokio::time::timeout(Duration::from_mins(30), look).await {
        Ok(looked) => looked?,
        Err(_) => anyhow::bail!("{} of {all} instances are upgraded after half an hour", spans.len()),
    }
    Ok(spans.into_values().collect())
}
