//! What are an instance's pods made from: today's rendering, or that which they are pinned to until a consent?

use super::{steps::find, upgrading};
use crate::{
    inputs::Inputs,
    objects::{Kind, ObjectKey},
    plan::Refusal,
    render::{self, Rendered},
    revision::{self, Choice},
    snapshot::{Pinned, Snapshot},
};
use gotocloud_api::{conditions::Reason, instance::RevisionStatus};

/// How many pending changes a status lists.
const PENDING_CHANGES: usize = 10;

/// What pods are made from.
pub(super) enum Pin {
    /// It is settled: by this revision. The one before is `kept` until there is another: it may be gone back to.
    Settled { revision: RevisionStatus, kept: Vec<ObjectKey> },
    /// It cannot be told before this `ControllerRevision` is read.
    Needs(ObjectKey),
}

/// Settles what pods are made from, and puts it into `rendered` with the object that pins it.
pub(super) fn pin(snapshot: &Snapshot<'_>, inputs: &Inputs<'_>, rendered: &mut Rendered) -> Result<Pin, Refusal> {
    let spec = &snapshot.instance.spec;
    let told = snapshot.instance.status.as_ref().and_then(|status| status.revision.as_ref());
    let release = inputs.release.metadata.name.clone().unwrap_or_default();
    let asked = revision::asked(spec, &release);
    let today = revision::hash(&rendered.objects);
    // A way that goes back ends with the pods it began with. Where what they were made from is lost, today's rendering must do.
    let before = upgrading::goes_back_to(upgrading::record(snapshot).as_deref(), &asked);
    let before = before.filter(|before| before.running == today || !is_lost(snapshot, &inputs.namespace, before));
    let running = before.as_ref().or(told);
    let choice = revision::choose(running, &asked, &today, spec.accepted_revision.as_deref());
    let (Choice::Pinned, Some(running)) = (choice, running) else {
        rendered.push(render::revision_object(inputs, &today, &rendered.objects)?);
        let before = running.filter(|running| running.running != today);
        let kept = match before {
            Some(before) => vec![revision::key(&inputs.namespace, &before.running)],
            None => other_revisions(snapshot, &revision::key(&inputs.namespace, &today)),
        };
        return Ok(Pin::Settled {
            revision: RevisionStatus { running: today, asked, release, ..RevisionStatus::default() },
            kept: kept.into_iter().filter(|kept| find(snapshot, kept).is_some()).collect(),
        });
    };

    let key = revision::key(&inputs.namespace, &running.running);
    let pinned = match &snapshot.pinned {
        None => return Ok(Pin::Needs(key)),
        // What it holds is what its name says, or it was tampered with.
        Some(Pinned::Found(pinned)) if revision::hash(pinned) == running.running => pinned,
        Some(Pinned::Found(_) | Pinned::Lost) => {
            return Err(Refusal::new(
                Reason::RevisionLost,
                format!(
                    "{key}, which pins its pods, is gone or changed: its pods run on, but nothing repairs them; consent \
                     to what would be made today with spec.acceptedRevision: {today}"
                ),
            ));
        }
    };

    let pending_changes = revision::changes(pinned, &rendered.objects, PENDING_CHANGES);
    rendered.objects.retain(|object| !object.key.kind.moves_pods());
    for object in pinned {
        rendered.push(object.clone());
    }
    rendered.push(render::revision_object(inputs, &running.running, pinned)?);
    let revision = RevisionStatus {
        running: running.running.clone(),
        asked: running.asked.clone(),
        release: running.release.clone(),
        pending: Some(today),
        pending_changes,
    };

    Ok(Pin::Settled { revision, kept: other_revisions(snapshot, &key) })
}

/// Is what a revision is made from gone or changed?
fn is_lost(snapshot: &Snapshot<'_>, namespace: &str, one: &RevisionStatus) -> bool {
    let is_it = |pinned: &Pinned| matches!(pinned, Pinned::Found(objects) if revision::hash(objects) == one.running);

    let is_there = find(snapshot, &revision::key(namespace, &one.running)).is_some();
    !is_there || snapshot.pinned.as_ref().is_some_and(|pinned| !is_it(pinned))
}

/// The revisions that are there beside `running`: the one before, which stays until there is another.
fn other_revisions(snapshot: &Snapshot<'_>, running: &ObjectKey) -> Vec<ObjectKey> {
    let all = snapshot.children.iter().filter(|child| child.key.kind == Kind::ControllerRevision && !child.terminating);
    all.filter(|child| child.key.namespace == running.namespace && child.key != *running)
        .map(|child| child.key.clone())
        .collect()
}
