//! What is there only while an instance's way to another release is rehearsed: a backup, a copy of the data that is made
//! from it, a job that moves that copy, and the flows of both. Nothing of it reaches the instance's own data.

use super::{Rendered, Surroundings, database, migration, network};
use crate::{
    inputs::Inputs,
    objects::{Kind, ObjectKey},
    plan::Refusal,
    rehearsal::{self, Wants},
};
use gotocloud_api::{Quantity, Release, conditions::Reason, platform::CloudNativePg, rehearsal::RehearsalStatus};

/// What the names of a rehearsal's objects begin with. No component's does.
pub(super) const PREFIX: &str = "rehearsal-";
/// Name of the `NetworkPolicy` of the copy's servers.
pub(super) const POLICY: &str = "rehearsal-database";
/// What the job's pods are called among an instance's components, and its `NetworkPolicy`.
pub(crate) const MIGRATION: &str = "rehearsal-migration";

/// Adds to an instance what the present phase of its rehearsal asks for. `target` is the Release that its present step
/// ends at.
///
/// # Errors
/// A variable of the migration that stands for nothing.
pub fn add(
    inputs: &Inputs<'_>,
    surroundings: &Surroundings<'_>,
    cnpg: &CloudNativePg,
    record: &RehearsalStatus,
    target: Option<&Release>,
    rendered: &mut Rendered,
) -> Result<(), Refusal> {
    let Wants { backup, copy, migration } = rehearsal::wants(record);
    if backup {
        rendered.push(migration::backup(inputs, &rehearsal::backup_name(record)));
    }
    if let Some(taken) = record.backup.as_deref().filter(|_| copy) {
        make_room(inputs, rendered);
        let copy = rehearsal::copy_name(record);
        for policy in network::rehearsal(inputs, cnpg, &copy) {
            rendered.push(policy);
        }
        rendered.push(database::copy(inputs, cnpg, &copy, taken));
    }
    if !migration {
        return Ok(());
    }
    let Some((target, of)) = target.and_then(|one| Some((one, one.spec.migration.as_ref()?))) else {
        let name = rehearsal::target(record).unwrap_or_default();
        let message = format!("the Release {name} on its way is gone, or moves no data any more: ask for it again");
        return Err(Refusal::new(Reason::ReleaseNotFound, message));
    };
    let copy = rehearsal::copy_name(record);
    let (name, secret) = (rehearsal::job_name(record), |field| database::secret_of_cluster(&copy, field));
    rendered.push(migration::job_on(inputs, surroundings, target, of, &name, MIGRATION, &secret)?);
    Ok(())
}

/// Is it an object of a rehearsal? No component is called so.
pub fn holds(key: &ObjectKey) -> bool {
    matches!(key.kind, Kind::Cluster | Kind::Backup | Kind::Job | Kind::NetworkPolicy) && key.name.starts_with(PREFIX)
}

/// Lets the quota hold the copy too: a server, its storage, and the job.
fn make_room(inputs: &Inputs<'_>, rendered: &mut Rendered) {
    let size = inputs.application.spec.sizes.of(inputs.size);
    let (database, job) = (&size.database, &size.default_component);
    let storage = inputs.instance.spec.database_storage.as_ref().unwrap_or(&database.storage);
    let more: [(&str, &[&Quantity]); 3] = [
        ("requests.cpu", &[&database.cpu, &job.cpu]),
        ("requests.memory", &[&database.memory, &job.memory]),
        ("requests.storage", &[storage]),
    ];
    for quota in rendered.objects.iter_mut().filter(|object| object.key.kind == Kind::ResourceQuota) {
        let hard = &mut quota.manifest["spec"]["hard"];
        for (what, added) in more {
            let known: Option<Quantity> = serde_json::from_value(hard[what].clone()).ok();
            let all = known.as_ref().into_iter().chain(added.iter().copied());
            // What is no quantity is for the API server to refuse, as it is without a rehearsal.
            let sum: Option<u128> = all.map(Quantity::thousandths).sum();
            if let Some(sum) = sum {
                hard[what] = if sum % 1000 == 0 { (sum / 1000).to_string() } else { format!("{sum}m") }.into();
            }
        }
        // The server, the job that restores it, and the one that moves its data.
        let pods = hard["pods"].as_str().and_then(|text| text.parse::<u64>().ok());
        if let Some(pods) = pods {
            hard["pods"] = pods.saturating_add(3).to_string().into();
        }
    }
}
