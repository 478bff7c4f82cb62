//! `/metrics`: the numbers of this process, with whether it is ready.

use axum::{extract::State, response::Response};

use super::Probe;
use crate::{metrics::Metrics, served::Served};

/// What the answer is read from.
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
        let ready = probe.report(gate).await.ready;
        metrics.set_ready(&gate.environment().name(), ready);
    }
    metrics.answer().await
}
