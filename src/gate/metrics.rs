//! The numbers of a gate, handed to the recorder of the crate `metrics`.

use std::{sync::Arc, time::Duration};

use ::metrics::{Key, Label, Level, Metadata, SharedString, with_recorder};

use super::{TenantGate, TenantGates};
use crate::{
    metrics::{self, Kind, Metric},
    notification::counts::Counters,
    persist::{StoreState, WriteBack},
    pull::Pulls,
    status::{ChangeType, UnavailableReason},
};

/// The environment of notifications that were refused before their gate was chosen.
const UNDECIDED: &str = "undecided";

impl TenantGate {
    /// Brings the [metrics](crate::metrics) of this gate up to date in the recorder in force, and
    /// records the durations to come there. Call it before each scrape, or at the interval at which
    /// your exporter sends.
    ///
    /// It reads counts, and walks over all tenants while any is closed.
    pub fn record_metrics(&self) {
        let recording = Recording::new(self.parts.environment.name());
        recording.describe();
        self.record_calls(&recording);
        self.record_tenants(&recording);
        recording.notifications(self.parts.handler.counters());
        let timer = self.parts.handler.timer();
        timer.register(recording.histogram(&metrics::NOTIFICATION_DURATION, &[]));
        self.record_keys_and_clock(&recording);
        self.record_tasks(&recording);
        self.record_store(&recording);
        if let Some(pulls) = &self.parts.pulls {
            recording.pulls(pulls);
        }
    }

    fn record_calls(&self, recording: &Recording) {
        let guard = &self.parts.guard_state;
        for reason in UnavailableReason::ALL {
            let label = ("reason", reason.as_str().into());
            let Some(tenants) = guard.by_tenant() else {
                let labels = [label];
                recording.counter(&metrics::CALLS_REFUSED, &labels, guard.refused(reason));
                recording.counter(&metrics::CALLS_OBSERVED, &labels, guard.observed(reason));
                continue;
            };
            tenants.for_each(|tenant, calls| {
                let tenant = tenant.map_or(SharedString::const_str("other"), |tenant| {
                    SharedString::from_owned(tenant.to_string())
                });
                let labels = [label.clone(), ("tenant", tenant)];
                recording.counter(&metrics::CALLS_REFUSED, &labels, calls.refused.get(reason));
                recording.counter(&metrics::CALLS_OBSERVED, &labels, calls.observed.get(reason));
            });
        }
    }

    fn record_tenants(&self, recording: &Recording) {
        let registry = self.parts.tenants.registry();
        recording.gauge(&metrics::TENANTS, &[], registry.len() as f64);
        recording.gauge(&metrics::TENANTS_AWAITED, &[], self.parts.awaited.len() as f64);
        let now = self.parts.clock.unix_ms();
        for (reason, since) in UnavailableReason::ALL.into_iter().zip(registry.closed_longest()) {
            let labels = [("reason", reason.as_str().into())];
            let closed = registry.closed_for(reason);
            recording.gauge(&metrics::TENANTS_CLOSED, &labels, closed as f64);
            let longest = since.map_or(0, |since| now.saturating_sub(since));
            recording.gauge(&metrics::TENANTS_CLOSED_LONGEST, &labels, seconds(longest));
        }
    }

    fn record_keys_and_clock(&self, recording: &Recording) {
        let clock = &self.parts.clock;
        let start = seconds(clock.unix_ms()) - clock.elapsed().as_secs_f64();
        recording.gauge(&metrics::START, &[], start);
        if let Some(offset) = clock.offset() {
            recording.gauge(&metrics::CLOCK_OFFSET, &[], offset as f64);
        }
        let keys = self.keys();
        recording.gauge(&metrics::KEYS, &[], keys.keys().len() as f64);
        if let Some(age) = keys.age() {
            recording.gauge(&metrics::KEYS_AGE, &[], age.as_secs_f64());
        }
    }

    fn record_tasks(&self, recording: &Recording) {
        for task in self.parts.tasks.health() {
            let labels = [("task", task.name.into())];
            recording.gauge(&metrics::TASK_DOWN, &labels, f64::from(u8::from(task.down)));
            recording.counter(&metrics::TASK_RESTARTS, &labels, task.restarts);
        }
    }

    fn record_store(&self, recording: &Recording) {
        let store = self.parts.write_back.as_deref();
        let state = store.map_or(StoreState::Fresh, WriteBack::health);
        for (name, is_present) in [
            ("fresh", state == StoreState::Fresh),
            ("stale", matches!(state, StoreState::Stale { .. })),
            ("failed", state == StoreState::Failed),
        ] {
            let value = f64::from(u8::from(is_present));
            recording.gauge(&metrics::STORE_STATE, &[("state", name.into())], value);
        }
        let stale = match state {
            StoreState::Stale { since } => self.parts.clock.unix_ms().saturating_sub(since),
            StoreState::Fresh | StoreState::Failed => 0,
        };
        recording.gauge(&metrics::STORE_STALE, &[], seconds(stale));
        recording.gauge(&metrics::STORE_DIRTY, &[], store.map_or(0, WriteBack::dirty) as f64);
        recording.counter(&metrics::STORE_RESYNCS, &[], store.map_or(0, WriteBack::resyncs));
        if let Some(store) = store {
            store.timer().register(recording.histogram(&metrics::STORE_MERGE_DURATION, &[]));
        }
    }
}

impl TenantGates {
    /// Brings the [metrics](crate::metrics) of all gates up to date, as
    /// [`TenantGate::record_metrics`] does, and of the notifications that were refused before one
    /// of them was chosen.
    pub fn record_metrics(&self) {
        self.gates().iter().for_each(TenantGate::record_metrics);
        Recording::new(UNDECIDED.to_owned()).refusals(self.counters());
    }
}

/// A duration in ms as seconds.
fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

/// The recorder, and the label that all series of one gate share.
struct Recording {
    environment: SharedString,
}

/// The labels of a series besides the environment.
type Labels<'a> = &'a [(&'static str, SharedString)];

impl Recording {
    fn new(environment: String) -> Self {
        Self { environment: SharedString::from_shared(Arc::from(environment)) }
    }

    /// Describes all metrics, so that one has its help before its first series.
    fn describe(&self) {
        with_recorder(|recorder| {
            for &Metric { name, kind, unit, help } in metrics::ALL {
                let (name, unit, help) = (name.into(), Some(unit), help.into());
                match kind {
                    Kind::Counter => recorder.describe_counter(name, unit, help),
                    Kind::Gauge => recorder.describe_gauge(name, unit, help),
                    Kind::Histogram => recorder.describe_histogram(name, unit, help),
                }
            }
        });
    }

    fn key(&self, metric: &Metric, labels: Labels<'_>) -> Key {
        let environment = Label::new("environment", self.environment.clone());
        let labels = labels.iter().map(|(name, value)| Label::new(*name, value.clone()));
        Key::from_parts(metric.name, std::iter::once(environment).chain(labels).collect::<Vec<_>>())
    }

    fn gauge(&self, metric: &Metric, labels: Labels<'_>, value: f64) {
        let key = self.key(metric, labels);
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA).set(value));
    }

    /// Sets a counter: the gate has counted, and a second call with the same count adds nothing.
    fn counter(&self, metric: &Metric, labels: Labels<'_>, value: u64) {
        let key = self.key(metric, labels);
        with_recorder(|recorder| recorder.register_counter(&key, &METADATA).absolute(value));
    }

    fn histogram(&self, metric: &Metric, labels: Labels<'_>) -> ::metrics::Histogram {
        let key = self.key(metric, labels);
        with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
    }

    fn notifications(&self, counters: &Counters) {
        let counts = counters.read(0);
        for (outcome, count) in [
            ("applied", counts.applied()),
            ("recorded", counts.recorded()),
            ("duplicate", counts.duplicate()),
            ("stale", counts.stale()),
        ] {
            self.counter(&metrics::NOTIFICATIONS, &[("outcome", outcome.into())], count);
        }
        self.refusals(counters);
        if let Some(last) = counters.last() {
            self.gauge(&metrics::NOTIFICATION_LAST, &[], seconds(last));
        }
    }

    fn refusals(&self, counters: &Counters) {
        for (refusal, count) in counters.refusals() {
            let labels = [("refusal", refusal.into())];
            self.counter(&metrics::NOTIFICATIONS_REFUSED, &labels, count);
        }
    }

    fn pulls(&self, pulls: &Pulls) {
        let health = pulls.health();
        self.gauge(&metrics::PULLS_WAITING, &[], health.waiting() as f64);
        self.gauge(&metrics::PULLS_WAITING_LONGEST, &[], health.oldest().as_secs_f64());
        self.gauge(&metrics::PULLS_IN_FLIGHT, &[], health.in_flight() as f64);
        let (counters, corrections) = pulls.counts();
        for (trigger, outcome, count) in counters.each() {
            let labels = [("trigger", trigger.into()), ("outcome", outcome.into())];
            self.counter(&metrics::PULLS, &labels, count);
        }
        for (missed, count) in corrections {
            self.counter(&metrics::CORRECTIONS, &[("missed", missed_label(missed))], count);
        }
        let (requests, corrections) = pulls.timers();
        requests.register(self.histogram(&metrics::PULL_DURATION, &[]));
        for (missed, timer) in corrections.each() {
            let labels = [("missed", missed_label(missed))];
            timer.register(self.histogram(&metrics::CORRECTION_WRONG, &labels));
        }
    }
}

fn missed_label(missed: Option<ChangeType>) -> SharedString {
    missed.map_or(SharedString::const_str("none"), |missed| missed.to_string().into())
}

static METADATA: Metadata<'static> =
    Metadata::new("tower_superoffice", Level::INFO, Some("tower_superoffice"));
