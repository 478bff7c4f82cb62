//! The gateway's numbers, and those of its gate, for Prometheus.

mod calls;
mod connections;
mod histogram;
mod recorder;

use std::{fmt, sync::Arc};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use metrics::{Counter, Gauge, Histogram, Key, Label, Recorder as _, with_local_recorder};

use self::recorder::{METADATA, Recorder};
pub(crate) use self::{calls::MeasuredCalls, connections::Connections};
use crate::forward::problem;

/// The gateway's own metrics: name, kind and help.
const OWN: &[(&str, Kind, &str)] = &[
    (BUILD_INFO, Kind::Gauge, "1, with the version of the gateway."),
    (READY, Kind::Gauge, "1 while the environment is ready, else 0."),
    (DEGRADED, Kind::Gauge, "1 while /ready names the reason as degraded, else 0."),
    (CALLS, Kind::Counter, "Calls to tenants, by the answer they got and its origin."),
    (CALL_DURATION, Kind::Histogram, "Time from a call's head to that of its answer."),
    (CALLS_IN_FLIGHT, Kind::Gauge, "Calls that wait for the head of their answer."),
    (CONNECTIONS, Kind::Gauge, "Open connections of a listener."),
    (ACCEPTED, Kind::Counter, "Connections that a listener accepted."),
];

const BUILD_INFO: &str = "superoffice_gateway_build_info";
const READY: &str = "superoffice_gateway_ready";
const DEGRADED: &str = "superoffice_gateway_degraded";
const CALLS: &str = "superoffice_gateway_calls_total";
const CALL_DURATION: &str = "superoffice_gateway_call_duration_seconds";
const CALLS_IN_FLIGHT: &str = "superoffice_gateway_calls_in_flight";
const CONNECTIONS: &str = "superoffice_gateway_connections";
const ACCEPTED: &str = "superoffice_gateway_connections_accepted_total";

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// All numbers of this process.
#[derive(Clone)]
pub(crate) struct Metrics {
    recorder: Arc<Recorder>,
    /// Brings those of the gates up to date in the recorder in force.
    record: Arc<dyn Fn() + Send + Sync>,
    /// Held while a scrape is answered.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Metrics {
    /// Creates them, with the gates' own that `record` brings up to date.
    pub(crate) fn new(record: impl Fn() + Send + Sync + 'static) -> Self {
        let (recorder, turn) = Default::default();
        let this = Self { recorder, record: Arc::new(record), turn };
        for &(name, ref kind, help) in OWN {
            let (name, help) = (name.into(), help.into());
            match kind {
                Kind::Counter => this.recorder.describe_counter(name, None, help),
                Kind::Gauge => this.recorder.describe_gauge(name, None, help),
                Kind::Histogram => this.recorder.describe_histogram(name, None, help),
            }
        }
        this.gauge(BUILD_INFO, [("version", env!("CARGO_PKG_VERSION"))]).set(1.0);
        // Durations are kept from the first time on.
        with_local_recorder(&this.recorder, &*this.record);
        this
    }

    /// Measures the connections of the listener with this name.
    pub(crate) fn connections(&self, listener: &str) -> Connections {
        let labels = [("listener", listener)];
        Connections::new(self.gauge(CONNECTIONS, labels), self.counter(ACCEPTED, labels))
    }

    /// Measures the calls that `inner` answers, to tenants of `environment`.
    pub(crate) fn calls<S>(&self, inner: S, environment: &str) -> MeasuredCalls<S> {
        MeasuredCalls::new(inner, self, environment)
    }

    /// Sets whether `environment` is ready.
    pub(crate) fn set_ready(&self, environment: &str, ready: bool) {
        let gauge = self.gauge(READY, [("environment", environment)]);
        gauge.set(f64::from(u8::from(ready)));
    }

    /// Sets whether `environment` is degraded for this reason.
    pub(crate) fn set_degraded(&self, environment: &str, reason: &str, degraded: bool) {
        let gauge = self.gauge(DEGRADED, [("environment", environment), ("reason", reason)]);
        gauge.set(f64::from(u8::from(degraded)));
    }

    /// Answers a scrape, in Prometheus's text format.
    pub(crate) async fn answer(self) -> Response {
        // With many closed tenants it takes a while, also when the request ends before: the next
        // waits for it.
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let write = move || {
            let text = self.text();
            drop(turn);
            text
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(text) => {
                ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
                    .into_response()
            }
            Err(error) => {
                tracing::error!(%error, "metrics not written");
                problem(StatusCode::INTERNAL_SERVER_ERROR, "The metrics could not be written.")
            }
        }
    }

    fn text(&self) -> String {
        with_local_recorder(&self.recorder, &*self.record);
        self.recorder.render()
    }

    fn counter<const N: usize>(
        &self,
        name: &'static str,
        labels: [(&'static str, &str); N],
    ) -> Counter {
        self.recorder.register_counter(&key(name, labels), &METADATA)
    }

    fn gauge<const N: usize>(
        &self,
        name: &'static str,
        labels: [(&'static str, &str); N],
    ) -> Gauge {
        self.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    fn histogram<const N: usize>(
        &self,
        name: &'static str,
        labels: [(&'static str, &str); N],
    ) -> Histogram {
        self.recorder.register_histogram(&key(name, labels), &METADATA)
    }
}

fn key<const N: usize>(name: &'static str, labels: [(&'static str, &str); N]) -> Key {
    let labels = labels.map(|(name, value)| Label::new(name, value.to_owned()));
    Key::from_parts(name, labels.to_vec())
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering::SeqCst},
            mpsc,
        },
        time::Duration,
    };

    use super::*;

    #[tokio::test]
    async fn scrapes_given_up_are_answered_one_at_a_time() {
        let (end, ends) = mpsc::channel::<()>();
        let (ends, begun) = (Mutex::new(ends), Arc::<AtomicUsize>::default());
        let count = Arc::clone(&begun);
        let metrics = Metrics::new(move || {
            // The first is that of the start.
            if count.fetch_add(1, SeqCst) > 0 {
                ends.lock().unwrap().recv().unwrap();
            }
        });
        for _ in 0..100 {
            let mut scrape = std::pin::pin!(metrics.clone().answer());
            assert!(futures::poll!(scrape.as_mut()).is_pending());
        }
        for _ in 0..100 {
            end.send(()).unwrap();
        }
        let last = tokio::time::timeout(Duration::from_secs(20), metrics.answer()).await;
        assert_eq!(last.unwrap().status(), StatusCode::OK);
        assert_eq!(begun.load(SeqCst), 3, "those that waited are written too");
    }
}
