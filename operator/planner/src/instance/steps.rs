//! Which steps lead from what is seen of an instance's objects to what is wanted of them?

use crate::{
    autoscaling,
    health::Health,
    objects::{Kind, ObjectKey},
    plan::{Step, Waiting},
    render::{self, Rendered},
    secrets::SecretRequest,
    snapshot::{Observed, Snapshot},
};
use gotocloud_api::Instance;
use std::collections::BTreeSet;

/// The steps that make objects, Secrets and the database as they should be; none for what is so already.
pub(super) fn applying(snapshot: &Snapshot<'_>, rendered: &Rendered) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut secrets = rendered.secrets.iter().peekable();
    for object in &rendered.objects {
        while let Some(secret) = secrets.next_if(|secret| *secret.key() < object.key) {
            push_secret(snapshot, secret, &mut steps);
        }
        let observed = find(snapshot, &object.key);
        let desired = crate::fingerprint::of(&object.manifest);
        let is_done = observed.is_some_and(|observed| is_as_applied(observed, &desired));
        match autoscaling::handing_over(object, &rendered.objects, observed, snapshot.instance, is_done) {
            Some(handing_over) => steps.extend(handing_over),
            None if is_done => {}
            // What holds data is looked at each time: were it gone meanwhile, it would be made anew, empty.
            None => {
                let known = observed.is_some() && !holds_data(&object.key);
                steps.push(Step::Apply { object: object.clone(), known });
            }
        }
    }
    for secret in secrets {
        push_secret(snapshot, secret, &mut steps);
    }
    steps
}

fn push_secret(snapshot: &Snapshot<'_>, secret: &SecretRequest, steps: &mut Vec<Step>) {
    let observed = find(snapshot, secret.key());
    if !observed.is_some_and(|observed| is_as_applied(observed, &secret.fingerprint())) {
        steps.push(Step::EnsureSecret(secret.clone()));
    }
}

/// Pods of an instance that never ran wait for their database; those of one that did are kept as they should be all the
/// same, since a database that is down for a while is no reason to leave them unrepaired.
pub(super) fn withhold_pods_until_the_database_is_ready(
    snapshot: &Snapshot<'_>,
    rendered: &Rendered,
    steps: &mut Vec<Step>,
) -> Option<Waiting> {
    let new_pods = |step: &Step| {
        !ran(snapshot)
            && matches!(step, Step::Apply { object, known: false } | Step::HandOver { object, known: false }
                if matches!(object.key.kind, Kind::Deployment | Kind::HorizontalPodAutoscaler))
    };

    if let Some(database) = &rendered.database {
        if !snapshot.has_assured(database) {
            let (pods, others): (Vec<_>, Vec<_>) = steps.drain(..).partition(new_pods);
            steps.extend(others);
            steps.push(Step::EnsureDatabase(database.clone()));
            steps.extend(pods);
        }
        return None;
    }

    let cluster = rendered.objects.iter().find(|object| is_its_database(&object.key))?;
    if find(snapshot, &cluster.key).is_some_and(|cluster| cluster.health == Health::Ready) {
        return None;
    }

    let before = steps.len();
    steps.retain(|step| !new_pods(step));
    (steps.len() < before).then_some(Waiting::ForDatabase)
}

/// Did it ever run?
fn ran(snapshot: &Snapshot<'_>) -> bool {
    snapshot.instance.status.as_ref().is_some_and(|status| status.release.is_some())
}

/// A Cluster that is not seen though the instance ran may be gone with its data, and the plan then ends at it: what else
/// is amiss is put right before.
pub(super) fn seek_a_lost_database_last(snapshot: &Snapshot<'_>, steps: &mut Vec<Step>) {
    let is_sought = |step: &Step| {
        matches!(step, Step::Apply { object, .. }
            if is_its_database(&object.key) && ran(snapshot) && find(snapshot, &object.key).is_none())
    };
    let (sought, others): (Vec<_>, Vec<_>) = steps.drain(..).partition(is_sought);
    steps.extend(others);
    steps.extend(sought);
}

/// What the Instance has and is not to have: seen with its labels, or told by its inventory where nothing watches it.
/// What holds data is never among them, nor what is outside its namespace: labels can be copied.
pub(super) fn unwanted<'s>(
    snapshot: &'s Snapshot<'_>,
    namespace: &'s str,
    wanted: &'s BTreeSet<ObjectKey>,
) -> impl Iterator<Item = ObjectKey> + 's {
    let seen = snapshot.children.iter().filter(|child| !child.terminating).map(|child| child.key.clone());
    let inventory = snapshot.instance.status.as_ref().and_then(|status| status.inventory.as_ref());
    let told = inventory.into_iter().flat_map(|inventory| &inventory.entries).filter_map(ObjectKey::from_entry);
    let told = told.filter(|key| !key.kind.is_watched() && find(snapshot, key).is_none());
    let removable = |key: &ObjectKey| &*key.namespace == namespace && !wanted.contains(key) && !holds_data(key);
    let mut keys: Vec<_> = seen.chain(told).filter(removable).collect();
    keys.sort_by(|a, b| b.cmp(a));
    keys.dedup();
    keys.into_iter()
}

/// Is it the `CloudNativePG` Cluster with the instance's data?
pub(super) fn is_its_database(key: &ObjectKey) -> bool {
    key.kind == Kind::Cluster && &*key.name == render::DATABASE_CLUSTER
}

/// The Secret in which `CloudNativePG` keeps the credentials of an instance that ran: nothing watches it. `None` where the
/// database is elsewhere, and once the instance is being deleted.
pub fn kept_credentials(instance: &Instance) -> Option<ObjectKey> {
    let status = instance.status.as_ref().filter(|_| instance.metadata.deletion_timestamp.is_none())?;
    status.release.as_ref()?;
    let entries = status.inventory.as_ref()?.entries.iter();
    let cluster = entries.filter_map(ObjectKey::from_entry).find(is_its_database)?;

    Some(ObjectKey::new(Kind::Secret, &cluster.namespace, render::DATABASE_SECRET))
}

fn holds_data(key: &ObjectKey) -> bool {
    is_its_database(key)
        || key.kind == Kind::Backup
        || (key.kind == Kind::Secret && &*key.name == render::DATABASE_SECRET)
}

pub(super) fn is_of_rehearsal(step: &Step) -> bool {
    match step {
        Step::Apply { object, .. } => render::rehearsal::holds(&object.key),
        Step::Remove(key) | Step::RemoveReplaced(key) => render::rehearsal::holds(key),
        Step::HandOver { .. }
        | Step::EnsureSecret(_)
        | Step::EnsureDatabase(_)
        | Step::SealDatabase(_)
        | Step::DropDatabase(_)
        | Step::Release => false,
    }
}

pub(super) fn find<'s>(snapshot: &'s Snapshot<'_>, key: &ObjectKey) -> Option<&'s Observed> {
    snapshot.children.iter().find(|child| child.key == *key)
}

/// Is the object as it was last applied, and was that this?
pub(super) fn is_as_applied(observed: &Observed, desired: &str) -> bool {
    observed.applied.split_once('.') == Some((desired, &*observed.fields))
}
