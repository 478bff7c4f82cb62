//! The numbers of a gate, as an exporter gets them.

mod numbers;
mod tenants;

use std::collections::BTreeMap;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tower_superoffice::TenantGate;

/// A recorder of Prometheus that belongs to one test.
struct Scrapes {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Scrapes {
    fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    /// The numbers of `gate` now: each series, as it is spelled, with its value.
    fn of(&self, gate: &TenantGate) -> BTreeMap<String, f64> {
        metrics::with_local_recorder(&self.recorder, || gate.record_metrics());
        self.read()
    }

    fn read(&self) -> BTreeMap<String, f64> {
        let text = self.handle.render();
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (without_environment(series), value.parse().unwrap())
        };
        samples.map(sample).collect()
    }
}

/// Leaves out the label that all series have.
fn without_environment(series: &str) -> String {
    let Some((name, labels)) = series.split_once('{') else { return series.to_owned() };
    let labels = labels.trim_end_matches('}').split(',');
    let labels: Vec<_> = labels
        .inspect(|label| assert!(label.contains('='), "{series}"))
        .filter(|label| !label.starts_with("environment="))
        .collect();
    match labels.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", labels.join(",")),
    }
}
