//! Where Prometheus finds an instance's metrics.

use super::{component_labels, object, selector};
use crate::{
    inputs::Inputs,
    objects::{Kind, Object},
};
use gotocloud_api::names;
use serde_json::json;

pub(super) fn render(inputs: &Inputs<'_>) -> Vec<Object> {
    let Some(monitoring) = &inputs.platform.spec.monitoring else { return Vec::new() };
    let with_metrics = inputs.release.spec.components.iter().filter_map(|one| Some((one, one.metrics.as_ref()?)));
    with_metrics
        .map(|(component, metrics)| {
            let mut labels = component_labels(inputs, &component.name);
            if let Some(release) = &monitoring.release_label {
                labels.insert("release".into(), release.clone());
            }
            let fields = json!({"spec": {
                "selector": {"matchLabels": selector(&component.name)},
                "endpoints": [{"port": metrics.port, "path": metrics.path}],
                "targetLabels": [names::LABEL_INSTANCE, names::LABEL_NAME],
            }});
            object(inputs, Kind::ServiceMonitor, &component.name, &labels, fields)
        })
        .collect()
}
