//! `/metrics`: the numbers of this process, with whether it is ready.

use axum::{extract::State, response::Response};

use super::{Probe, ready::degradations};
use crate::{metrics::Metrics, served::Served};

/// The sources of the answer.
#[derive(Debug, Clone)]
pub(super) struct Scraped {
    pub(super) served: Served,
    pub(super) probe: Probe,
    pub(super) metrics: Metrics,
}

/// Answers `/metrics`.
pub(super) async fn scrape(State(scraped): State<Scraped>) -> Response {
    let Scraped { served, probe, metrics } = scraped;
    for gate in served.gates() {
        let environment = gate.environment().name();
        metrics.set_ready(&environment, probe.report(gate).await.ready);
        for (is_so, reason) in degradations(&gate.health(), &gate.keys()) {
            metrics.set_degraded(&environment, reason, is_so);
        }
    }
    metrics.answer().await
}
