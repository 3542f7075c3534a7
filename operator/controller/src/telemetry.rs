//! How are logs and traces written?

use crate::{catalogue::reference, config::LogFormat};
use gotocloud_api::Instance;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, fmt::MakeWriter, layer::SubscriberExt as _, registry::LookupSpan, util::SubscriberInitExt as _,
};

/// What must live as long as the process, so that the last traces are sent.
pub struct Telemetry(Option<SdkTracerProvider>);

/// Sets up logs on standard error, filtered by `RUST_LOG`, and traces by OTLP where `OTEL_EXPORTER_OTLP_ENDPOINT` says
/// where to.
pub fn init(format: LogFormat) -> Result<Telemetry, Box<dyn std::error::Error>> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(filter) if !filter.is_empty() => EnvFilter::builder().parse(filter)?,
        Ok(_) | Err(_) => EnvFilter::new("info,kube_runtime=warn,kube_client=warn"),
    };
    let log = log(format, std::io::stderr);
    let provider = exporter()?;
    let traces = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("gotocloud-operator")));
    tracing_subscriber::registry().with(filter).with(log).with(traces).try_init()?;
    Ok(Telemetry(provider))
}

fn log<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let log = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => log.json().flatten_event(true).boxed(),
        LogFormat::Pretty => log.with_target(false).boxed(),
    }
}

/// The span of a look at an Instance: what is logged and traced meanwhile names it, and the campaign that last changed it.
pub fn look_at(instance: &Instance) -> Span {
    let campaign = instance.spec.rollout.as_ref().map(|rollout| rollout.campaign.as_str());
    // At the highest level, so that no filter that lets a line pass takes this from it.
    tracing::error_span!("reconcile", instance = %reference(instance), campaign)
}

fn exporter() -> Result<Option<SdkTracerProvider>, Box<dyn std::error::Error>> {
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    if !is_set("OTEL_EXPORTER_OTLP_ENDPOINT") && !is_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        return Ok(None);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build()?;
    let resource = Resource::builder().with_service_name("gotocloud-operator").build();
    Ok(Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()))
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take()
            && let Err(error) = provider.shutdown()
        {
            eprintln!("the last traces were not sent: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    /// What was written.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, spec: &Value) -> String {
        let instance = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance",
            "metadata": {"name": "pegase-lille", "namespace": "hub"}, "spec": spec});
        let instance: Instance = serde_json::from_value(instance).unwrap();
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::registry().with(log(format, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            look_at(&instance).in_scope(|| tracing::warn!(reason = "QuotaTooSmall", "not done; tried again"));
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_is_logged_while_an_instance_is_looked_at_names_it_and_its_campaign() {
        let rollout = json!({"campaign": "winter", "uid": "u", "wave": "w", "attempt": 1, "wants": "r"});
        let claimed = json!({"application": "pegase", "establishment": "lille", "rollout": rollout});
        let by_hand = json!({"application": "pegase", "establishment": "lille"});

        let line: Value = serde_json::from_str(&logged(LogFormat::Json, &claimed)).unwrap();
        assert_eq!(line["span"], json!({"name": "reconcile", "instance": "hub/pegase-lille", "campaign": "winter"}));
        assert_eq!(line["reason"], "QuotaTooSmall");
        let line: Value = serde_json::from_str(&logged(LogFormat::Json, &by_hand)).unwrap();
        assert_eq!(line["span"], json!({"name": "reconcile", "instance": "hub/pegase-lille"}));
        assert!(logged(LogFormat::Pretty, &by_hand).contains("hub/pegase-lille"));
    }
}
