#![doc = include_str!("../../docs/metrics.md")]

mod list;

pub(crate) use self::list::*;

/// Upper bounds of durations, in seconds.
const DURATIONS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds of the times for which a status was wrong, in seconds: a quarter of a minute to a
/// week.
const WRONG: &[f64] = &[15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 604_800.0];

/// Returns the upper bounds that suit the histogram with this name, in seconds, for exporters that
/// ask for buckets; `None` for what is no histogram of this crate.
///
/// ```
/// use tower_superoffice::metrics::buckets;
///
/// assert!(buckets("superoffice_pull_duration_seconds").is_some());
/// assert!(buckets("superoffice_tenants").is_none());
/// ```
#[must_use]
pub fn buckets(name: &str) -> Option<&'static [f64]> {
    let metric = ALL.iter().find(|metric| metric.name == name && metric.kind == Kind::Histogram)?;
    Some(if metric.name == CORRECTION_WRONG.name { WRONG } else { DURATIONS })
}

/// Returns the name and the help of each metric of this crate.
///
/// ```
/// let mut names = tower_superoffice::metrics::descriptions().map(|(name, _)| name);
/// assert!(names.any(|name| name == "superoffice_tenants_closed"));
/// ```
pub fn descriptions() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().map(|metric| (metric.name, metric.help))
}
