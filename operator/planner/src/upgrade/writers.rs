//! Which pods can write to an instance's data?

use crate::render;
use gotocloud_api::names;
use k8s_openapi::api::core::v1::Pod;

/// The label by which `CloudNativePG` marks the pods of its servers.
const DATABASE_SERVER: &str = "cnpg.io/cluster";

/// Names of the pods that can write to the instance's data: all that have not ended but the servers of the database and the
/// jobs of migrations. One that somebody started by hand counts.
pub fn writers(pods: &[Pod]) -> Vec<String> {
    let mut names: Vec<_> =
        pods.iter().filter(|pod| may_write(pod)).filter_map(|pod| pod.metadata.name.clone()).collect();
    names.sort_unstable();
    names
}

fn may_write(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let has_ended = matches!(phase, Some("Succeeded" | "Failed"));

    let label = |key: &str| pod.metadata.labels.as_ref().and_then(|labels| labels.get(key));
    let component = label(names::LABEL_COMPONENT).map(String::as_str);
    let is_migration = component.is_some_and(|name| [render::MIGRATION, render::rehearsal::MIGRATION].contains(&name));

    !has_ended && !is_migration && label(DATABASE_SERVER).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn named(pods: &[(&str, Value, &str)]) -> Vec<String> {
        let pod = |(name, labels, phase): &(&str, Value, &str)| {
            let pod = json!({"metadata": {"name": name, "labels": labels}, "status": {"phase": phase}});
            serde_json::from_value(pod).unwrap()
        };
        writers(&pods.iter().map(pod).collect::<Vec<Pod>>())
    }

    #[test]
    fn a_pod_that_ends_can_write_until_it_has_ended() {
        let web = json!({"app.kubernetes.io/component": "web"});
        assert_eq!(named(&[("web-1", web.clone(), "Running")]), ["web-1"]);
        assert_eq!(named(&[("web-1", web.clone(), "Failed"), ("web-2", web, "Succeeded")]), [""; 0]);
    }

    #[test]
    fn a_pod_that_somebody_started_by_hand_can_write_too() {
        assert_eq!(named(&[("debug", Value::Null, "Running")]), ["debug"]);
    }

    #[test]
    fn the_database_and_the_job_that_moves_the_data_are_no_writers() {
        let of = |component: &str| json!({"app.kubernetes.io/component": component});
        let pods = [
            ("database-1", json!({"cnpg.io/cluster": "database"}), "Running"),
            ("upgrade-1", of("migration"), "Running"),
            ("rehearsal-1", of("rehearsal-migration"), "Running"),
        ];
        assert_eq!(named(&pods), [""; 0]);
    }
}
