//! From applying N Instances to all ready, beside the least that their objects cost.

use super::{ProvisionArgs, client, fleet::Fleet, installation, raw, rounded};
use gotocloud_harness::{Installation, Progress as _, Terminal};
use serde_json::json;
use std::time::{Duration, Instant};

const NAME: &str = "bench-provision";

pub async fn run(arguments: &ProvisionArgs) -> anyhow::Result<()> {
    let count = arguments.instances;
    let fleet = Fleet::new(count)?;
    let by_operator = by_operator(&fleet).await;
    Installation::down(NAME, &Terminal)?;
    let (operator_s, writes, rss_before, rss_after) = by_operator?;
    let by_client = by_client(&fleet).await;
    Installation::down(NAME, &Terminal)?;
    let (raw_s, raw_writes) = by_client?;
    let growth = (rss_after - rss_before) / f64::from(count.max(1)) / 1024.0;
    let line = json!({
        "instances": count,
        "operator_s": rounded(operator_s),
        "raw_s": rounded(raw_s),
        "ratio": rounded(operator_s / raw_s),
        "writes": writes,
        "raw_writes": raw_writes,
        "rss_mib": rounded(rss_after / 1_048_576.0),
        "rss_growth_kib_per_instance": rounded(growth),
    });
    if !arguments.json {
        println!("The operator took {operator_s:.1} s, the bare client {raw_s:.1} s for the same objects.");
    }
    println!("{line}");
    Ok(())
}

async fn by_operator(fleet: &Fleet) -> anyhow::Result<(f64, u64, f64, f64)> {
    let installation = tokio::task::block_in_place(|| installation(NAME, false))?;
    let client = client(&installation).await?;
    fleet.lay_ground(&client).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let operator = installation.operator()?;
    let rss_before = operator.metric("process_resident_memory_bytes")?;
    let writes_before = operator.metric("gotocloud_api_writes_total")?;
    let step = Terminal.begin(&format!("{} instances by the operator", fleet.instances.len()));
    let begun = Instant::now();
    let (applied, ready) = tokio::join!(fleet.apply(&client), fleet.wait_until_ready(&client, Duration::from_mins(30)));
    applied?;
    ready?;
    let seconds = begun.elapsed().as_secs_f64();
    step.finish();
    // What is still to be written belongs to the bill.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let writes = operator.metric("gotocloud_api_writes_total")? - writes_before;
    let (_, metrics) = operator.get("/metrics")?;
    for line in
        metrics.lines().filter(|line| line.starts_with("gotocloud_api_writes_total") || line.starts_with("process_cpu"))
    {
        eprintln!("  {line}");
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count of requests
    let writes = writes as u64;
    Ok((seconds, writes, rss_before, operator.metric("process_resident_memory_bytes")?))
}

async fn by_client(fleet: &Fleet) -> anyhow::Result<(f64, usize)> {
    let mut installation = tokio::task::block_in_place(|| installation(NAME, false))?;
    let client = client(&installation).await?;
    // Only the cluster is wanted, just as it was.
    if let Some(operator) = installation.operator.take() {
        operator.terminate()?;
    }
    let objects = raw::objects(fleet)?;
    let step = Terminal.begin(&format!("{} instances by a bare client", fleet.instances.len()));
    let begun = Instant::now();
    raw::apply(&client, &objects).await?;
    let seconds = begun.elapsed().as_secs_f64();
    step.finish();
    Ok((seconds, objects.iter().map(Vec::len).sum()))
}
