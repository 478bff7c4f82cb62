//! Keeps counters, gauges and histograms, and writes them in Prometheus's text format.
//!
//! A recorder of this process's few hundred series, in place of a crate that keeps each value until
//! it is read: here a number that is never read takes no more memory.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Level, Metadata, SharedString, Unit};

use super::histogram::Buckets;

pub(super) static METADATA: Metadata<'static> =
    Metadata::new("superoffice_gateway", Level::INFO, Some("superoffice_gateway"));

/// The numbers by name, then by labels as they are written.
#[derive(Default)]
pub(super) struct Recorder(Mutex<BTreeMap<String, Family>>);

/// All series of one name.
#[derive(Default)]
struct Family {
    help: SharedString,
    series: BTreeMap<String, Value>,
}

enum Value {
    Counter(Arc<AtomicU64>),
    /// Of the bits of an `f64`.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }

    fn write(&self, out: &mut String, name: &str, labels: &str) -> fmt::Result {
        match self {
            Self::Counter(count) => write_sample(out, name, labels, count.load(Ordering::Relaxed)),
            Self::Gauge(bits) => {
                write_sample(out, name, labels, f64::from_bits(bits.load(Ordering::Relaxed)))
            }
            Self::Histogram(buckets) => buckets.write(out, name, labels),
        }
    }
}

impl Recorder {
    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, name: &KeyName, help: SharedString) {
        self.families().entry(name.as_str().to_owned()).or_default().help = help;
    }

    /// Applies `handle` to the value of the series `key`, which is made by `new` at first.
    fn register<T>(
        &self,
        key: &Key,
        new: impl FnOnce() -> Value,
        handle: impl FnOnce(&Value) -> T,
    ) -> T {
        let mut families = self.families();
        // Looked up before, because a scrape registers hundreds that are there.
        if !families.contains_key(key.name()) {
            families.insert(key.name().to_owned(), Family::default());
        }
        match families.get_mut(key.name()) {
            Some(family) => handle(family.series.entry(labels(key)).or_insert_with(new)),
            // Never: it was inserted.
            None => handle(&new()),
        }
    }

    /// Writes everything that has a series.
    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        for (name, family) in &*self.families() {
            // Writing to a String can't fail.
            let _ = family.write(&mut out, name);
        }
        out
    }
}

impl Family {
    fn write(&self, out: &mut String, name: &str) -> fmt::Result {
        let Some(first) = self.series.values().next() else { return Ok(()) };
        if !self.help.is_empty() {
            writeln!(out, "# HELP {name} {}", escape(&self.help, false))?;
        }
        writeln!(out, "# TYPE {name} {}", first.kind())?;
        // One name has one kind.
        let series = self.series.iter().filter(|(_, value)| value.kind() == first.kind());
        for (labels, value) in series {
            value.write(out, name, labels)?;
        }
        Ok(())
    }
}

/// Writes one line.
pub(super) fn write_sample(
    out: &mut String,
    name: impl Display,
    labels: &str,
    value: impl Display,
) -> fmt::Result {
    if labels.is_empty() {
        writeln!(out, "{name} {value}")
    } else {
        writeln!(out, "{name}{{{labels}}} {value}")
    }
}

fn labels(key: &Key) -> String {
    let label =
        |label: &metrics::Label| format!("{}=\"{}\"", label.key(), escape(label.value(), true));
    key.labels().map(label).collect::<Vec<_>>().join(",")
}

fn escape(text: &str, quotes: bool) -> String {
    let escaped = text.replace('\\', r"\\").replace('\n', r"\n");
    if quotes { escaped.replace('"', "\\\"") } else { escaped }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, description);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, description);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let new = || Value::Counter(Arc::default());
        self.register(key, new, |value| match value {
            Value::Counter(count) => Counter::from_arc(Arc::clone(count)),
            _ => Counter::noop(),
        })
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let new = || Value::Gauge(Arc::new(AtomicU64::new(0.0_f64.to_bits())));
        self.register(key, new, |value| match value {
            Value::Gauge(bits) => Gauge::from_arc(Arc::clone(bits)),
            _ => Gauge::noop(),
        })
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let bounds = tower_superoffice::metrics::buckets(key.name());
        let bounds = bounds.unwrap_or(super::calls::DURATIONS);
        let new = || Value::Histogram(Arc::new(Buckets::new(bounds)));
        self.register(key, new, |value| match value {
            Value::Histogram(buckets) => Histogram::from_arc(Arc::clone(buckets)),
            _ => Histogram::noop(),
        })
    }
}

#[cfg(test)]
mod tests {
    use metrics::{Label, Recorder as _};

    use super::*;

    #[test]
    fn series_are_grouped_by_name_with_help_and_kind() {
        let recorder = Recorder::default();
        recorder.describe_counter("calls_total".into(), None, "Calls,\nall \\ of them.".into());
        recorder.describe_gauge("unused".into(), None, "Has no series.".into());
        let hostile = vec![Label::new("note", "a\"b\\c\nd")];
        let key = Key::from_parts("calls_total", hostile);
        recorder.register_counter(&key, &METADATA).increment(2);
        recorder.register_counter(&key, &METADATA).absolute(7);
        recorder.register_counter(&key, &METADATA).absolute(3);
        let open = Key::from_name("open");
        recorder.register_gauge(&open, &METADATA).set(-1.5);
        recorder.register_counter(&open, &METADATA).increment(1);
        let expected = "# HELP calls_total Calls,\\nall \\\\ of them.\n\
                        # TYPE calls_total counter\n\
                        calls_total{note=\"a\\\"b\\\\c\\nd\"} 7\n\
                        # TYPE open gauge\n\
                        open -1.5\n";
        assert_eq!(recorder.render(), expected);
    }
}
