//! How are logs and traces written?

use crate::config::LogFormat;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What must live as long as the process, so that the last traces are sent.
pub struct Telemetry(Option<SdkTracerProvider>);

/// Sets up logs on standard error, filtered by `RUST_LOG`, and traces by OTLP where `OTEL_EXPORTER_OTLP_ENDPOINT` says
/// where to.
pub fn init(format: LogFormat) -> Result<Telemetry, Box<dyn std::error::Error>> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(filter) if !filter.is_empty() => EnvFilter::builder().parse(filter)?,
        Ok(_) | Err(_) => EnvFilter::new("info,kube_runtime=warn,kube_client=warn"),
    };
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match format {
        LogFormat::Json => log.json().flatten_event(true).boxed(),
        LogFormat::Pretty => log.with_target(false).boxed(),
    };
    let provider = exporter()?;
    let traces = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("gotocloud-operator")));
    tracing_subscriber::registry().with(filter).with(log).with(traces).try_init()?;
    Ok(Telemetry(provider))
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
