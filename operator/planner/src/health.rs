//! How does one object stand?

use crate::objects::Kind;
use serde_json::Value;

/// How an object stands, judged for its own generation only: a status that speaks of an older one is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its kind has no status to judge by.
    Unjudged,
    /// It is as asked.
    Ready,
    /// Not yet; why, in a few words.
    Progressing(Box<str>),
    /// It never will be; why, in a few words.
    Failed(Box<str>),
}

impl Health {
    fn progressing(why: impl Into<Box<str>>) -> Self {
        Self::Progressing(why.into())
    }
}

/// How `object`, of kind `kind`, stands.
pub fn assess(kind: Kind, object: &Value) -> Health {
    match kind {
        Kind::Deployment => deployment(object),
        Kind::Cluster => cluster(object),
        Kind::Backup => backup(object),
        Kind::Job => job(object),
        Kind::Certificate => ready_condition(object, &object["status"]["conditions"], "Ready"),
        Kind::ListenerSet => listener_set(object),
        Kind::HttpRoute => http_route(object),
        Kind::Namespace
        | Kind::RoleBinding
        | Kind::ServiceAccount
        | Kind::ResourceQuota
        | Kind::LimitRange
        | Kind::NetworkPolicy
        | Kind::ConfigMap
        | Kind::Secret
        | Kind::ControllerRevision
        | Kind::Service
        | Kind::PodDisruptionBudget
        | Kind::HorizontalPodAutoscaler
        | Kind::Ingress
        | Kind::ServiceMonitor => Health::Unjudged,
    }
}

fn deployment(object: &Value) -> Health {
    let status = &object["status"];
    let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
    if status["observedGeneration"].as_i64() != object["metadata"]["generation"].as_i64() {
        return Health::progressing("not yet seen by the deployment controller");
    }
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    let updated = count("updatedReplicas");
    let available = count("availableReplicas");
    let all = count("replicas");

    if let Some(refused) = replicas_refused(status).filter(|_| updated < wanted || available < wanted) {
        return Health::progressing(format!("{available} of {wanted} pods available; no other is made: {refused}"));
    }
    if updated < wanted {
        Health::progressing(format!("{updated} of {wanted} pods updated"))
    } else if all > updated {
        Health::progressing(format!("{} old pods left", all - updated))
    } else if available < wanted {
        Health::progressing(format!("{available} of {wanted} pods available"))
    } else {
        Health::Ready
    }
}

/// Why the API server refuses pods of a Deployment: a quota, a policy. In its own words, as far as they fit a condition.
fn replicas_refused(status: &Value) -> Option<String> {
    let conditions = status["conditions"].as_array()?;
    let failure = conditions.iter().find(|one| one["type"] == "ReplicaFailure" && one["status"] == "True")?;

    Some(failure["message"].as_str().unwrap_or("no reason given").chars().take(400).collect())
}

fn cluster(object: &Value) -> Health {
    let wanted = object["spec"]["instances"].as_i64().unwrap_or(1);
    let ready = object["status"]["readyInstances"].as_i64().unwrap_or(0);
    if ready < wanted {
        return Health::progressing(format!("{ready} of {wanted} database servers ready"));
    }
    ready_condition(object, &object["status"]["conditions"], "Ready")
}

fn backup(object: &Value) -> Health {
    let status = &object["status"];
    match status["phase"].as_str() {
        Some("completed") => Health::Ready,
        Some("failed") => {
            Health::Failed(status["error"].as_str().unwrap_or("no reason given").chars().take(200).collect())
        }
        Some(phase) => Health::progressing(phase),
        None => Health::progressing("not begun"),
    }
}

fn job(object: &Value) -> Health {
    let conditions = object["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let holds = |kind: &str| conditions.iter().find(|one| one["type"] == kind && one["status"] == "True");
    if holds("Complete").is_some() {
        return Health::Ready;
    }
    match holds("Failed") {
        Some(failed) => Health::Failed(failed["message"].as_str().unwrap_or("it failed").chars().take(200).collect()),
        None => Health::progressing("it runs"),
    }
}

fn listener_set(object: &Value) -> Health {
    let conditions = &object["status"]["conditions"];
    match ready_condition(object, conditions, "Accepted") {
        Health::Ready => ready_condition(object, conditions, "Programmed"),
        not_yet => not_yet,
    }
}

fn http_route(object: &Value) -> Health {
    let parents = object["status"]["parents"].as_array().map_or(&[][..], Vec::as_slice);
    if parents.is_empty() {
        return Health::progressing("no Gateway has answered");
    }
    parents
        .iter()
        .flat_map(|parent| {
            ["Accepted", "ResolvedRefs"].map(|kind| ready_condition(object, &parent["conditions"], kind))
        })
        .find(|health| *health != Health::Ready)
        .unwrap_or(Health::Ready)
}

fn ready_condition(object: &Value, conditions: &Value, kind: &str) -> Health {
    let Some(condition) = conditions.as_array().and_then(|all| all.iter().find(|one| one["type"] == kind)) else {
        return Health::progressing(format!("{kind} not reported"));
    };
    let generation = object["metadata"]["generation"].as_i64();
    let observed = condition["observedGeneration"].as_i64();
    if observed.is_some() && observed != generation {
        return Health::progressing(format!("{kind} reported for an older generation"));
    }
    if condition["status"] == "True" {
        return Health::Ready;
    }
    let message = condition["message"].as_str().or(condition["reason"].as_str()).unwrap_or("no reason given");
    Health::progressing(message.chars().take(200).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn a_deployment(generation: i64, observed: i64, updated: i64, available: i64) -> Value {
        json!({"metadata": {"generation": generation}, "spec": {"replicas": 2},
               "status": {"observedGeneration": observed, "replicas": updated, "updatedReplicas": updated,
                          "availableReplicas": available}})
    }

    #[test]
    fn a_deployment_is_ready_when_all_its_pods_are_new_and_available() {
        assert_eq!(assess(Kind::Deployment, &a_deployment(3, 3, 2, 2)), Health::Ready);
        assert!(matches!(assess(Kind::Deployment, &a_deployment(3, 3, 2, 1)), Health::Progressing(_)));
        assert!(matches!(assess(Kind::Deployment, &a_deployment(3, 3, 1, 2)), Health::Progressing(_)));
    }

    #[test]
    fn why_no_pod_is_made_is_told_in_the_words_of_the_api_server() {
        let mut refused = a_deployment(3, 3, 1, 1);
        refused["status"]["conditions"] =
            json!([{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: size-class"}]);
        let Health::Progressing(why) = assess(Kind::Deployment, &refused) else { panic!("it is not ready") };
        assert_eq!(&*why, "1 of 2 pods available; no other is made: exceeded quota: size-class");
    }

    #[test]
    fn a_status_of_an_older_generation_is_not_believed() {
        assert!(matches!(assess(Kind::Deployment, &a_deployment(4, 3, 2, 2)), Health::Progressing(_)));
        let stale = json!({"metadata": {"generation": 2}, "status": {"conditions":
            [{"type": "Ready", "status": "True", "observedGeneration": 1}]}});
        assert!(matches!(assess(Kind::Certificate, &stale), Health::Progressing(_)));
    }

    #[test]
    fn a_listener_is_ready_once_the_gateway_took_it_and_serves_it() {
        let with = |accepted: &str, programmed: &str| {
            let conditions = json!([
                {"type": "Accepted", "status": accepted, "reason": "NotAllowed"},
                {"type": "Programmed", "status": programmed, "reason": "Pending"},
            ]);
            assess(Kind::ListenerSet, &json!({"metadata": {"generation": 1}, "status": {"conditions": conditions}}))
        };
        assert_eq!(with("True", "True"), Health::Ready);
        assert_eq!(with("False", "False"), Health::progressing("NotAllowed"));
        assert_eq!(with("True", "False"), Health::progressing("Pending"));
    }

    #[test]
    fn a_job_and_a_backup_end_well_or_not() {
        let job =
            |kind: &str| json!({"status": {"conditions": [{"type": kind, "status": "True", "message": "too slow"}]}});
        assert_eq!(assess(Kind::Job, &job("Complete")), Health::Ready);
        assert_eq!(assess(Kind::Job, &job("Failed")), Health::Failed("too slow".into()));
        let backup = |phase: &str| json!({"status": {"phase": phase, "error": "no space"}});
        assert_eq!(assess(Kind::Backup, &backup("completed")), Health::Ready);
        assert_eq!(assess(Kind::Backup, &backup("failed")), Health::Failed("no space".into()));
        assert_eq!(assess(Kind::Backup, &backup("running")), Health::progressing("running"));
    }

    #[test]
    fn an_object_without_status_is_not_ready() {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.has_health()) {
            assert!(matches!(assess(kind, &json!({"metadata": {"generation": 1}})), Health::Progressing(_)), "{kind}");
        }
    }
}
