//! What does the operator count?

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The operator's own metrics, named as Prometheus asks: base units, `_total` for counters, bounded labels.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// Reconciliations, by `result`: `ok` or the error class.
    pub reconciliations: IntCounterVec,
    /// Seconds a reconciliation took, by `phase`: `plan` or `execute`.
    pub duration: HistogramVec,
    /// Requests that write to an API server, by `verb` and `kind`.
    pub writes: IntCounterVec,
    /// Objects known to belong to instances.
    pub objects: IntGauge,
    /// Instances by `application`, `stage` and `ready`.
    pub instances: IntGaugeVec,
    /// 1 while this process is the one that acts.
    pub leader: IntGauge,
    /// Statements sent to database servers, by `operation`.
    pub database_operations: IntCounterVec,
    /// Instances whose removals wait for a person's word.
    pub removals_held: IntGauge,
    /// Targets of campaigns, by `campaign` and `standing`.
    pub campaign_targets: IntGaugeVec,
    /// 1 for the phase that a campaign is in, by `campaign` and `phase`.
    pub campaign_phase: IntGaugeVec,
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let metrics = Self {
            registry: Registry::new(),
            reconciliations: counter("gotocloud_reconciliations_total", "Reconciliations of Instances.", &["result"])?,
            duration: HistogramVec::new(
                HistogramOpts::new("gotocloud_reconciliation_duration_seconds", "Time to plan and to carry out.")
                    .buckets(vec![0.0001, 0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0]),
                &["phase"],
            )?,
            writes: counter("gotocloud_api_writes_total", "Requests that write to an API server.", &["verb", "kind"])?,
            objects: IntGauge::new("gotocloud_objects", "Objects that belong to instances.")?,
            instances: IntGaugeVec::new(
                Opts::new("gotocloud_instances", "Instances."),
                &["application", "stage", "ready"],
            )?,
            leader: IntGauge::new("gotocloud_leader", "1 while this process is the one that acts.")?,
            database_operations: counter(
                "gotocloud_database_operations_total",
                "Operations on database servers.",
                &["operation", "result"],
            )?,
            removals_held: IntGauge::new(
                "gotocloud_removals_held",
                "Instances whose removals wait for a person's word.",
            )?,
            campaign_targets: IntGaugeVec::new(
                Opts::new("gotocloud_campaign_targets", "Targets of campaigns."),
                &["campaign", "standing"],
            )?,
            campaign_phase: IntGaugeVec::new(
                Opts::new("gotocloud_campaign_phase", "1 for the phase that a campaign is in."),
                &["campaign", "phase"],
            )?,
        };

        let registry = &metrics.registry;
        registry.register(Box::new(metrics.reconciliations.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.writes.clone()))?;
        registry.register(Box::new(metrics.objects.clone()))?;
        registry.register(Box::new(metrics.instances.clone()))?;
        registry.register(Box::new(metrics.leader.clone()))?;
        registry.register(Box::new(metrics.database_operations.clone()))?;
        registry.register(Box::new(metrics.removals_held.clone()))?;
        registry.register(Box::new(metrics.campaign_targets.clone()))?;
        registry.register(Box::new(metrics.campaign_phase.clone()))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;

        Ok(metrics)
    }

    /// All metrics in Prometheus' text format.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
