//! What does a campaign write into an Instance?
//!
//! Each body is that of a server-side apply by the campaigns' own field manager, never by force. It says again what
//! campaigns said before, since what it leaves out it gives up; and it names the object and the version that were seen, so
//! that a write of what changed since, or is gone, is refused.

use super::{
    Admission, ownership,
    standing::{Goal, goal},
};
use gotocloud_api::{Campaign, CampaignSpec, Establishment, GROUP, Instance, VERSION, names, upgrade::Rollout};
use serde_json::{Value, json};

/// What the Instance is called that a campaign makes for an establishment.
pub fn instance_name(spec: &CampaignSpec, establishment: &str) -> String {
    format!("{}-{establishment}", spec.application)
}

/// What the Instance is called that a target stands for.
pub fn instance_of(spec: &CampaignSpec, target: &str) -> String {
    if spec.provision.is_some() { instance_name(spec, target) } else { target.to_owned() }
}

/// The target that an Instance stands for: what [`instance_of`] is called for.
pub fn target_of<'n>(spec: &CampaignSpec, instance: &'n str) -> &'n str {
    let establishment =
        spec.provision.as_ref().and_then(|_| instance.strip_prefix(&spec.application)?.strip_prefix('-'));
    establishment.unwrap_or(instance)
}

fn rollout(campaign: &Campaign, admission: &Admission, wants: &str) -> Rollout {
    Rollout {
        campaign: campaign.metadata.name.clone().unwrap_or_default(),
        uid: campaign.metadata.uid.clone().unwrap_or_default(),
        wave: campaign.spec.waves.get(admission.wave).map(|wave| wave.name.clone()).unwrap_or_default(),
        attempt: admission.attempt,
        wants: wants.to_owned(),
    }
}

fn said(instance: &Instance) -> Option<Value> {
    let object = serde_json::to_value(instance).ok()?;
    let mut body = ownership::said(&object, instance.metadata.managed_fields.as_deref());
    body["apiVersion"] = json!(format!("{GROUP}/{VERSION}"));
    body["kind"] = json!("Instance");
    body["metadata"]["name"] = json!(instance.metadata.name);
    body["metadata"]["namespace"] = json!(instance.metadata.namespace);
    // By its version alone, one that is gone would be made anew.
    body["metadata"]["uid"] = json!(instance.metadata.uid);
    body["metadata"]["resourceVersion"] = json!(instance.metadata.resource_version);
    Some(body)
}

/// The body of a target that begins, or goes back; none where the campaign asks for nothing.
pub fn begun(campaign: &Campaign, admission: &Admission, instance: &Instance) -> Option<Value> {
    let mut body = said(instance)?;
    let (field, wants) = match (goal(&campaign.spec)?, &admission.back_to) {
        (_, Some(release)) => ("release", release.to_string()),
        (Goal::Release(release), None) => ("release", release),
        (Goal::Stage(stage), None) => ("stage", stage.to_string()),
        (Goal::Existence, None) => ("release", campaign.spec.provision.as_ref()?.release.clone()),
    };
    body["spec"][field] = json!(wants);
    body["spec"]["rollout"] = json!(rollout(campaign, admission, &wants));
    Some(body)
}

/// The body of a target whose way is to be rehearsed; none where the campaign brings no release.
pub fn to_rehearse(campaign: &Campaign, instance: &Instance) -> Option<Value> {
    let mut body = said(instance)?;
    body["spec"]["rehearse"] = json!(campaign.spec.upgrade.as_ref()?.release);
    Some(body)
}

/// The body of a target whose change is taken back: the release it runs, asked by nobody; none where it runs none.
pub fn withdrawn(instance: &Instance) -> Option<Value> {
    let mut body = said(instance)?;
    body["spec"]["release"] = json!(instance.status.as_ref()?.release.as_ref()?.name);
    if let Some(spec) = body["spec"].as_object_mut() {
        spec.remove("rollout");
    }
    Some(body)
}

/// The body of an Instance that is made for an establishment; none where the campaign makes none.
pub fn made(campaign: &Campaign, admission: &Admission, establishment: &Establishment) -> Option<Value> {
    let spec = &campaign.spec;
    let provision = spec.provision.as_ref()?;
    let mut labels = provision.labels.clone();
    let cohort = establishment.metadata.labels.as_ref().and_then(|labels| labels.get(names::LABEL_COHORT));
    labels.extend(cohort.map(|cohort| (names::LABEL_COHORT.to_owned(), cohort.clone())));
    Some(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "Instance",
        "metadata": {"name": instance_name(spec, &admission.name), "namespace": spec.namespace, "labels": labels},
        "spec": {
            "application": spec.application,
            "establishment": &*admission.name,
            "release": provision.release,
            "stage": provision.stage,
            "rollout": rollout(campaign, admission, &provision.release),
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::needless_pass_by_value)] // reads best with a literal
    fn campaign(action: Value) -> Campaign {
        let mut spec = json!({"application": "app", "waves": [{"name": "w", "targets": {"cohort": "P1"}}]});
        spec.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
        serde_json::from_value(json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign",
            "metadata": {"name": "c", "uid": "u"}, "spec": spec}))
        .unwrap()
    }

    fn admission(name: &str) -> Admission {
        Admission { name: name.into(), wave: 0, attempt: 2, back_to: None }
    }

    /// An Instance that a campaign made, in the stage that it chose.
    fn instance() -> Instance {
        let fields = json!({"f:metadata": {"f:labels": {"f:cohort": {}}}, "f:spec": {"f:application": {}, "f:establishment": {},
            "f:release": {}, "f:stage": {}, "f:rollout": {}}});
        serde_json::from_value(json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance",
            "metadata": {"name": "app-e", "namespace": "hub", "uid": "i", "resourceVersion": "7", "labels": {"cohort": "P1"}, "managedFields":
                [{"manager": super::super::FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}]},
            "spec": {"application": "app", "establishment": "e", "release": "r1", "stage": "PartialProduction",
                "rollout": {"campaign": "before", "uid": "b", "wave": "w", "attempt": 1, "wants": "r1"}},
            "status": {"release": {"name": "r1", "version": "1"}}}))
        .unwrap()
    }

    #[test]
    fn what_begins_keeps_all_else_that_campaigns_said_and_names_the_version_seen() {
        let body = begun(&campaign(json!({"upgrade": {"release": "r2"}})), &admission("app-e"), &instance()).unwrap();
        assert_eq!((&body["spec"]["release"], &body["spec"]["stage"]), (&json!("r2"), &json!("PartialProduction")));
        assert_eq!(
            (&body["spec"]["application"], &body["metadata"]["labels"]["cohort"]),
            (&json!("app"), &json!("P1"))
        );
        assert_eq!(
            body["spec"]["rollout"],
            json!({"campaign": "c", "uid": "u", "wave": "w", "attempt": 2, "wants": "r2"})
        );
        assert_eq!((&body["metadata"]["resourceVersion"], &body["metadata"]["uid"]), (&json!("7"), &json!("i")));
        let body = begun(&campaign(json!({"promote": {"stage": "FullProduction"}})), &admission("app-e"), &instance())
            .unwrap();
        assert_eq!((&body["spec"]["release"], &body["spec"]["stage"]), (&json!("r1"), &json!("FullProduction")));
    }

    #[test]
    fn what_is_withdrawn_asks_for_what_runs_and_for_no_campaign() {
        let body = withdrawn(&instance()).unwrap();
        assert_eq!(body["spec"]["release"], "r1");
        assert_eq!(body["spec"].get("rollout"), None);
    }

    #[test]
    fn an_instance_that_is_made_takes_the_cohort_of_its_establishment() {
        let establishment: Establishment = serde_json::from_value(json!({"apiVersion": "gotocloud.amue.fr/v1alpha1",
            "kind": "Establishment", "metadata": {"name": "e", "labels": {"cohort": "P1"}}, "spec": {"displayName": "E"}}))
        .unwrap();
        let provision = campaign(json!({"provision": {"release": "r1"}}));
        let body = made(&provision, &admission("e"), &establishment).unwrap();
        assert_eq!((&body["metadata"]["name"], &body["metadata"]["labels"]["cohort"]), (&json!("app-e"), &json!("P1")));
        assert_eq!(body["spec"]["rollout"]["wants"], "r1");
        assert_eq!(made(&campaign(json!({"upgrade": {"release": "r"}})), &admission("e"), &establishment), None);
    }
}
