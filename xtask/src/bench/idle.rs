//! What the operator writes and lists while nothing changes, by the API server's own audit log.

use super::{IdleArgs, client, fleet::Fleet, installation};
use gotocloud_harness::{AuditFilter, Installation, Moment, Terminal, audit, operator};
use serde_json::json;
use std::time::Duration;

const NAME: &str = "bench-idle";
/// How long after the last instance got ready something may still be on its way.
const SETTLE: Duration = Duration::from_secs(20);

pub async fn run(arguments: &IdleArgs) -> anyhow::Result<()> {
    let measured = measure(arguments).await;
    Installation::down(NAME, &Terminal)?;
    let (counts, rss) = measured?;
    let line = json!({
        "instances": arguments.instances,
        "seconds": arguments.seconds,
        "writes": counts.writes,
        "lists": counts.lists,
        "gets": counts.gets,
        "watches": counts.watches,
        "lease_writes": counts.lease_writes,
        "rss_mib": super::rounded(rss / 1_048_576.0),
    });
    if !arguments.json {
        println!(
            "In {} s at rest the operator wrote {} times and listed {} times; its Lease it renewed {} times.",
            arguments.seconds, counts.writes, counts.lists, counts.lease_writes
        );
    }
    println!("{line}");
    Ok(())
}

async fn measure(arguments: &IdleArgs) -> anyhow::Result<(gotocloud_harness::AuditCounts, f64)> {
    let fleet = Fleet::new(arguments.instances)?;
    let installation = tokio::task::block_in_place(|| installation(NAME, true))?;
    let client = client(&installation).await?;
    fleet.lay_ground(&client).await?;
    let (applied, ready) = tokio::join!(fleet.apply(&client), fleet.wait_until_ready(&client, Duration::from_mins(30)));
    applied?;
    ready?;
    tokio::time::sleep(SETTLE).await;
    let begin = Moment::now();
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let end = Moment::now();
    let user = format!("system:serviceaccount:{}:{}", operator::NAMESPACE, operator::SERVICE_ACCOUNT);
    let counts = audit::count(&installation.cluster.audit_log(), &AuditFilter::user(&user).since(begin).until(end))?;
    Ok((counts, installation.operator()?.metric("process_resident_memory_bytes")?))
}
