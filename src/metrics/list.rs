//! The metrics: their names, kinds, units and descriptions.

use ::metrics::Unit;

/// A metric, as it is described to recorders.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: Unit,
    pub(crate) help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Declares each metric as a constant, and `ALL` of them.
macro_rules! metrics {
    ($($constant:ident: $kind:ident, $unit:ident, $name:literal, $help:literal;)+) => {
        $(pub(crate) const $constant: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            unit: Unit::$unit,
            help: $help,
        };)+

        pub(crate) const ALL: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    START: Gauge, Seconds, "superoffice_start_timestamp_seconds",
        "Unix time at which the gate was built.";
    CALLS_REFUSED: Counter, Count, "superoffice_calls_refused_total",
        "Calls that were refused because their tenant is closed.";
    CALLS_OBSERVED: Counter, Count, "superoffice_calls_observed_total",
        "Calls to closed tenants that guards which only observe let pass.";
    TENANTS: Gauge, Count, "superoffice_tenants",
        "Tenants with a record.";
    TENANTS_CLOSED: Gauge, Count, "superoffice_tenants_closed",
        "Tenants that are closed.";
    TENANTS_CLOSED_LONGEST: Gauge, Seconds, "superoffice_tenants_closed_longest_seconds",
        "Time for which the tenant that is closed longest has been closed; 0 while none is.";
    TENANTS_AWAITED: Gauge, Count, "superoffice_tenants_awaited",
        "Tracked tenants of which nothing is known yet.";
    NOTIFICATIONS: Counter, Count, "superoffice_notifications_total",
        "Verified notifications, by their effect on the tenant's record.";
    NOTIFICATIONS_REFUSED: Counter, Count, "superoffice_notifications_refused_total",
        "Requests to the notification route that were not answered with 204.";
    NOTIFICATION_LAST: Gauge, Seconds, "superoffice_notification_last_timestamp_seconds",
        "Unix time at which the last verified notification arrived.";
    NOTIFICATION_DURATION: Histogram, Seconds, "superoffice_notification_duration_seconds",
        "Time from the whole body of a verified notification to its answer.";
    PULLS: Counter, Count, "superoffice_pulls_total",
        "Pulls that are over.";
    PULL_DURATION: Histogram, Seconds, "superoffice_pull_duration_seconds",
        "Time of one request to the state API.";
    PULLS_WAITING: Gauge, Count, "superoffice_pulls_waiting",
        "Overdue pulls that wait for the rate limit.";
    PULLS_WAITING_LONGEST: Gauge, Seconds, "superoffice_pulls_waiting_longest_seconds",
        "Time for which the oldest overdue pull has waited.";
    PULLS_IN_FLIGHT: Gauge, Count, "superoffice_pulls_in_flight",
        "Pulls in flight.";
    CORRECTIONS: Counter, Count, "superoffice_corrections_total",
        "Statuses that a pull had to correct, by the notification that was missed.";
    CORRECTION_WRONG: Histogram, Seconds, "superoffice_correction_wrong_seconds",
        "Upper bound of the time for which a corrected status was wrong.";
    KEYS: Gauge, Count, "superoffice_keys",
        "Signing keys that verify tokens at present.";
    KEYS_AGE: Gauge, Seconds, "superoffice_keys_age_seconds",
        "Time since the signing keys were last fetched.";
    STORE_STATE: Gauge, Count, "superoffice_store_state",
        "1 for the present state of the store, 0 for the others.";
    STORE_STALE: Gauge, Seconds, "superoffice_store_stale_seconds",
        "Time for which the store has been stale; 0 while it is not.";
    STORE_DIRTY: Gauge, Count, "superoffice_store_dirty_tenants",
        "Tenants whose present record may not be in the store yet.";
    STORE_RESYNCS: Counter, Count, "superoffice_store_resyncs_total",
        "Loads of the whole store after the one at the start, failed ones included.";
    STORE_MERGE_DURATION: Histogram, Seconds, "superoffice_store_merge_duration_seconds",
        "Time in which the store merged one record, failures included.";
    CLOCK_OFFSET: Gauge, Seconds, "superoffice_clock_offset_seconds",
        "Time by which this machine's clock is ahead of SuperOffice's.";
    TASK_DOWN: Gauge, Count, "superoffice_task_down",
        "1 while a background task is down after a panic, else 0.";
    TASK_RESTARTS: Counter, Count, "superoffice_task_restarts_total",
        "Restarts of a background task after a panic.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The rows of the documented table that have this crate's names: name, kind and unit.
    fn documented() -> BTreeSet<(String, String, String)> {
        let text = include_str!("../../docs/metrics.md");
        let rows = text.lines().filter(|line| {
            line.starts_with("| `superoffice_") && !line.starts_with("| `superoffice_gateway_")
        });
        let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()));
        cells
            .map(|row| row.skip(1).take(3).collect::<Vec<_>>())
            .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone(), row[2].clone()))
            .collect()
    }

    #[test]
    fn documented_table_has_every_metric_and_no_other() {
        let unit = |unit: &Unit| match unit {
            Unit::Seconds => "seconds",
            _ => "1",
        };
        let listed = ALL.iter().map(|metric| {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            (metric.name.to_owned(), kind, unit(&metric.unit).to_owned())
        });
        assert_eq!(documented(), listed.collect());
        assert_eq!(documented().len(), ALL.len(), "a name occurs twice");
    }

    #[test]
    fn names_end_in_total_or_their_unit_as_prometheus_has_it() {
        for metric in ALL {
            let (name, seconds) = (metric.name, metric.unit == Unit::Seconds);
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), seconds, "{name}");
            assert!(metric.help.ends_with('.'), "{name}");
        }
    }
}
