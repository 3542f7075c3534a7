//! Who says how many pods a Deployment has, where an autoscaler is to?
//!
//! The manifest of such a Deployment leaves the number out. But of a field that its last owner gives up, or that nobody
//! ever said, the API server makes the default, one pod, until the autoscaler acts. So the number is handed over: another
//! field manager of the operator's says the autoscaler's least, and holds it until somebody says another.

use crate::{
    objects::{Kind, Object},
    plan::Step,
    snapshot::Observed,
};
use gotocloud_api::Instance;
use serde_json::json;

/// The steps that apply a Deployment of the Instance whose number of pods nobody but the operator says, though an
/// autoscaler among `objects` is to; none where there is nothing to hand over. `is_done` says whether it is as it was last
/// applied.
pub(crate) fn handing_over(
    object: &Object,
    objects: &[Object],
    observed: Option<&Observed>,
    instance: &Instance,
    is_done: bool,
) -> Option<Vec<Step>> {
    let number = least(object, objects).filter(|_| !observed.is_some_and(|observed| observed.is_scaled))?;
    let known = observed.is_some();
    let hand_over = Step::HandOver { object: alone(object, number), known };
    let apply = |object: Object| Step::Apply { object, known };
    Some(match (known, is_done) {
        (true, true) => vec![hand_over],
        // It is said before it is given up.
        (true, false) => vec![hand_over, apply(object.clone())],
        // It may be there though it is not seen, and then with an autoscaler's number, which stands.
        (false, _) if object.key.was_applied(instance) => vec![apply(object.clone()), hand_over],
        (false, _) => vec![apply(with_number(object, number)), hand_over, apply(object.clone())],
    })
}

/// The least number of pods that an autoscaler among `objects` keeps of a Deployment that leaves its number to one.
fn least(object: &Object, objects: &[Object]) -> Option<u64> {
    if object.key.kind != Kind::Deployment || object.manifest.pointer("/spec/replicas").is_some() {
        return None;
    }
    let of_it = |other: &&Object| other.key.kind == Kind::HorizontalPodAutoscaler && other.key.name == object.key.name;
    objects.iter().find(of_it)?.manifest.pointer("/spec/minReplicas")?.as_u64()
}

fn with_number(object: &Object, number: u64) -> Object {
    let mut object = object.clone();
    object.manifest["spec"]["replicas"] = number.into();
    object
}

fn alone(object: &Object, number: u64) -> Object {
    let key = object.key.clone();
    let manifest = json!({
        "apiVersion": key.kind.api_version(),
        "kind": key.kind.name(),
        "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": {"replicas": number},
    });
    Object { key, manifest }
}
