//! A histogram with fixed buckets, as Prometheus has it.

use std::{
    fmt::{self, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use metrics::{GaugeFn, HistogramFn};

/// Counts values by bucket. Recording one takes no lock and no memory.
#[derive(Debug)]
pub(super) struct Buckets {
    /// Upper bounds, ascending.
    bounds: &'static [f64],
    /// One for each bound, and one for what is larger than all of them.
    counts: Vec<AtomicU64>,
    /// The bits of the sum of all values.
    sum: AtomicU64,
}

impl Buckets {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0.0_f64.to_bits()) }
    }

    /// Writes the samples of the series with these `labels`.
    pub(super) fn write(&self, out: &mut String, name: &str, labels: &str) -> fmt::Result {
        let separator = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        let mut bounds = self.bounds.iter();
        for count in &self.counts {
            total += count.load(Ordering::Relaxed);
            write!(out, "{name}_bucket{{{labels}{separator}le=\"")?;
            match bounds.next() {
                Some(bound) => writeln!(out, "{bound}\"}} {total}")?,
                None => writeln!(out, "+Inf\"}} {total}")?,
            }
        }
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed));
        super::recorder::write_sample(out, format_args!("{name}_sum"), labels, sum)?;
        super::recorder::write_sample(out, format_args!("{name}_count"), labels, total)
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
            GaugeFn::increment(&self.sum, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_in_the_buckets_up_to_their_bound() {
        let buckets = Buckets::new(&[0.5, 2.0]);
        for value in [0.25, 0.5, 1.0, 7.0] {
            buckets.record(value);
        }
        let mut text = String::new();
        buckets.write(&mut text, "wait_seconds", "a=\"b\"").unwrap();
        let expected = "wait_seconds_bucket{a=\"b\",le=\"0.5\"} 2\n\
                        wait_seconds_bucket{a=\"b\",le=\"2\"} 3\n\
                        wait_seconds_bucket{a=\"b\",le=\"+Inf\"} 4\n\
                        wait_seconds_sum{a=\"b\"} 8.75\n\
                        wait_seconds_count{a=\"b\"} 4\n";
        assert_eq!(text, expected);
    }
}
