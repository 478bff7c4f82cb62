//! Durations for the feature `metrics`. Without it a timer is nothing, and reads no clock.

use std::{fmt, time::Duration};

#[cfg(feature = "metrics")]
use {crate::log::best_effort, arc_swap::ArcSwapOption, std::sync::Arc, tokio::time::Instant};

/// Records durations of one kind, once a histogram is registered.
///
/// Where durations begin and end is far from where a recorder of metrics is at hand, so the
/// histogram is brought here.
#[derive(Default)]
pub(crate) struct Timer {
    #[cfg(feature = "metrics")]
    histogram: ArcSwapOption<::metrics::Histogram>,
}

/// The start of a duration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started(#[cfg(feature = "metrics")] Instant);

impl Started {
    /// Begins a duration.
    pub(crate) fn now() -> Self {
        Self(
            #[cfg(feature = "metrics")]
            Instant::now(),
        )
    }
}

impl Timer {
    /// Records durations in `histogram` from now on, in seconds.
    #[cfg(feature = "metrics")]
    pub(crate) fn register(&self, histogram: ::metrics::Histogram) {
        self.histogram.store(Some(Arc::new(histogram)));
    }

    /// Records the duration since `started`.
    #[cfg_attr(not(feature = "metrics"), expect(unused_variables))]
    pub(crate) fn stop(&self, started: Started) {
        #[cfg(feature = "metrics")]
        self.record(started.0.elapsed());
    }

    /// Records `duration`.
    #[cfg_attr(not(feature = "metrics"), expect(unused_variables))]
    pub(crate) fn record(&self, duration: Duration) {
        #[cfg(feature = "metrics")]
        if let Some(histogram) = &*self.histogram.load() {
            // A recorder is foreign code: its panic must not fail a request or a task.
            best_effort(|| histogram.record(duration.as_secs_f64()));
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use std::sync::Mutex;

    use metrics::{Histogram, HistogramFn};

    use super::*;

    #[derive(Default)]
    struct Values(Mutex<Vec<f64>>);

    impl HistogramFn for Values {
        fn record(&self, value: f64) {
            assert!(value < 100.0, "for the test");
            self.0.lock().unwrap().push(value);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn duration_is_recorded_once_a_histogram_is_registered() {
        let (timer, values) = (Timer::default(), Arc::<Values>::default());
        let started = Started::now();
        timer.stop(started);
        timer.record(Duration::from_secs(1));
        timer.register(Histogram::from_arc(Arc::clone(&values)));
        tokio::time::advance(Duration::from_millis(1500)).await;
        timer.stop(started);
        timer.record(Duration::from_secs(7));
        assert_eq!(*values.0.lock().unwrap(), [1.5, 7.0], "nothing of before it was registered");
    }

    #[test]
    fn panic_of_the_recorder_loses_the_duration_alone() {
        let (timer, values) = (Timer::default(), Arc::<Values>::default());
        timer.register(Histogram::from_arc(Arc::clone(&values)));
        timer.record(Duration::from_secs(100));
        timer.record(Duration::from_secs(2));
        assert_eq!(*values.0.lock().unwrap(), [2.0]);
    }
}
