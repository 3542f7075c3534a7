//! How does the rehearsal of an instance's way to another release go on, given what is seen?

use super::{
    on_the_way::{moved, taken},
    report::Outcome,
};
use crate::{
    health::Health,
    inputs::Inputs,
    objects::{Kind, ObjectKey},
    plan::{Plan, Refusal, Verdict},
    rehearsal::{self, Seen},
    render::{self, Rendered, Surroundings},
    retry::ErrorClass,
    snapshot::{Observed, Snapshot},
    upgrade::Migration,
};
use gotocloud_api::{conditions::Reason, rehearsal::RehearsalStatus, upgrade::UpgradePhase};
use jiff::Timestamp;

/// Adds what the present phase of a rehearsal asks for; why it cannot be, where it cannot.
pub(super) fn add(
    snapshot: &Snapshot<'_>,
    inputs: &Inputs<'_>,
    surroundings: &Surroundings<'_>,
    rendered: &mut Rendered,
) -> Result<(), Refusal> {
    let Some(record) = record(snapshot).filter(|record| !record.phase.is_terminal()) else { return Ok(()) };
    let Some(cnpg) = inputs.platform.spec.database.cloud_native_pg.as_ref().filter(|_| inputs.has_database()) else {
        return Err(Refusal::new(Reason::ObjectRefused, without_a_cluster(inputs)));
    };
    render::rehearsal::add(inputs, surroundings, cnpg, record, snapshot.way.rehearsed, rendered)
}

fn without_a_cluster(inputs: &Inputs<'_>) -> String {
    if inputs.has_database() {
        "its database is on a server of which the operator takes no backup, so there is nothing to restore a copy from"
            .to_owned()
    } else {
        "its application has no database, so there is no data to rehearse on".to_owned()
    }
}

fn record<'s>(snapshot: &'s Snapshot<'_>) -> Option<&'s RehearsalStatus> {
    snapshot.instance.status.as_ref()?.rehearsal.as_ref()
}

/// The record of its rehearsal as it is to be; the present one where nothing changes.
pub(super) fn next(
    snapshot: &Snapshot<'_>,
    plan: &Plan<'_>,
    outcome: &Outcome,
    now: Timestamp,
) -> Option<RehearsalStatus> {
    let record = record(snapshot);
    let (Verdict::Proceed, Some(inputs), false) = (&plan.verdict, &plan.inputs, plan.inventory.is_empty()) else {
        return record.cloned();
    };
    let status = snapshot.instance.status.as_ref();
    // On its way, but for the look before: that may be held up by the very lack of a rehearsal.
    let is_changed = status
        .and_then(|status| status.upgrade.as_ref())
        .is_some_and(|upgrade| !upgrade.phase.is_terminal() && upgrade.phase != UpgradePhase::Preflight);
    let running = status.and_then(|status| status.release.as_ref()).filter(|_| !is_changed);
    let current = running.map(|running| running.name.as_str());
    let wanted = rehearsal::wanted(snapshot.instance, snapshot.way.rehearsed);
    let wanted = wanted.filter(|_| !snapshot.way.terms.is_rehearsal_over);
    let seen = seen(snapshot, plan, inputs, outcome, record);
    let after = rehearsal::next(record, wanted.as_ref(), current, snapshot.way.releases, &seen, now);
    after.or_else(|| record.cloned())
}

fn seen(
    snapshot: &Snapshot<'_>,
    plan: &Plan<'_>,
    inputs: &Inputs<'_>,
    outcome: &Outcome,
    record: Option<&RehearsalStatus>,
) -> Seen {
    let has_cluster = inputs.has_database() && inputs.platform.spec.database.cloud_native_pg.is_some();
    let refused = outcome.aside.as_ref().filter(|failure| failure.class == ErrorClass::Refused);
    let impossible = (!has_cluster)
        .then(|| without_a_cluster(inputs))
        .or_else(|| plan.unrehearsable.as_ref().map(|refusal| refusal.message.clone()))
        .or_else(|| refused.map(|failure| failure.message.clone()));
    let Some(record) = record else { return Seen { impossible, ..Seen::default() } };
    // As it was applied: one of the same name that is still going away is another rehearsal's.
    let health = |kind: Kind, name: &str| {
        let key = ObjectKey::new(kind, &inputs.namespace, name);
        let is_it = |child: &&Observed| {
            let applied = outcome.applied.get(&key).and_then(|applied| applied.split_once('.'));
            child.key == key && !child.terminating && applied.is_some_and(|(_, fields)| fields == &*child.fields)
        };
        snapshot.children.iter().find(is_it).map(|child| &child.health)
    };
    let name = rehearsal::backup_name(record);
    let backup = taken(health(Kind::Backup, &name), name.clone());
    let migration = health(Kind::Job, &rehearsal::job_name(record));
    let migration = migration.map_or(Migration::Running, |health| moved(health, &snapshot.way.rehearsal_log));
    let is_restored = health(Kind::Cluster, &rehearsal::copy_name(record)) == Some(&Health::Ready);
    Seen { impossible, backup, is_restored, migration }
}
