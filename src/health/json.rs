//! The parts of a gate's health whose JSON differs from their fields. Its names stay: the tests
//! here hold all of them.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use super::{NotificationCounts, StoreHealth};
use crate::{
    pull::{CorrectionSummary, PullHealth},
    status::{ChangeType, wall::Rfc3339},
};

#[derive(Serialize)]
struct StoreJson {
    state: &'static str,
    since: Option<String>,
}

impl Serialize for StoreHealth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (state, since) = match self {
            Self::Fresh => ("fresh", None),
            Self::Stale { since } => ("stale", Some(rfc3339(*since))),
            Self::Failed => ("failed", None),
        };
        StoreJson { state, since }.serialize(serializer)
    }
}

#[derive(Serialize)]
struct NotificationsJson {
    applied: u64,
    recorded: u64,
    duplicate: u64,
    stale: u64,
    rejected: u64,
    unlogged: u64,
    last: Option<String>,
}

impl Serialize for NotificationCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = NotificationsJson {
            applied: self.applied(),
            recorded: self.recorded(),
            duplicate: self.duplicate(),
            stale: self.stale(),
            rejected: self.rejected(),
            unlogged: self.unlogged(),
            last: self.last().map(rfc3339),
        };
        json.serialize(serializer)
    }
}

#[derive(Serialize)]
struct PullsJson {
    waiting: usize,
    oldest_seconds: u64,
    in_flight: usize,
    answered: u64,
    unknown: u64,
    failed: u64,
    failing_seconds: u64,
    last_error: Option<String>,
    delegated: u64,
    corrections: Vec<CorrectionJson>,
}

impl Serialize for PullHealth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let corrections = self.corrections().iter();
        let json = PullsJson {
            waiting: self.waiting(),
            oldest_seconds: self.oldest().as_secs(),
            in_flight: self.in_flight(),
            answered: self.answered(),
            unknown: self.unknown(),
            failed: self.failed(),
            failing_seconds: self.failing().as_secs(),
            last_error: self.last_error().map(str::to_owned),
            delegated: self.delegated(),
            corrections: corrections
                .map(|(missed, own)| CorrectionJson::new(*missed, own))
                .collect(),
        };
        json.serialize(serializer)
    }
}

#[derive(Serialize)]
struct CorrectionJson {
    missed: Option<ChangeType>,
    count: u64,
    last_seconds: Option<u64>,
    median_seconds: Option<u64>,
}

impl CorrectionJson {
    fn new(missed: Option<ChangeType>, summary: &CorrectionSummary) -> Self {
        Self {
            missed,
            count: summary.count(),
            last_seconds: summary.last().as_ref().map(Duration::as_secs),
            median_seconds: summary.median().as_ref().map(Duration::as_secs),
        }
    }
}

/// Formats a wall time in whole seconds; one before 1970 becomes the first second of that year.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Rfc3339(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        health::{Health, NotificationCounts, TaskHealth},
        store::StoreWarning,
    };

    fn health() -> Health {
        Health {
            tenants: 3,
            closed: 2,
            unreadable: 1,
            store: StoreHealth::Stale {
                since: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250),
            },
            store_warnings: vec![StoreWarning::Other("too small".into())],
            dirty: 4,
            notifications: NotificationCounts::default(),
            pulls: None,
            clock_offset: Some(-7),
            refused_calls: 5,
            observed_calls: 6,
            tasks: vec![TaskHealth { name: "keys", down: true, restarts: 8 }],
        }
    }

    #[test]
    fn health_is_serialized_with_documented_names() {
        let expected = json!({
            "tenants": 3, "closed": 2, "unreadable": 1,
            "store": { "state": "stale", "since": "2023-11-14T22:13:20Z" },
            "store_warnings": ["too small"],
            "dirty": 4,
            "notifications": {
                "applied": 0, "recorded": 0, "duplicate": 0, "stale": 0, "rejected": 0,
                "unlogged": 0, "last": null,
            },
            "pulls": null, "clock_offset": -7, "refused_calls": 5, "observed_calls": 6,
            "tasks": [{ "name": "keys", "down": true, "restarts": 8 }],
        });
        assert_eq!(serde_json::to_value(health()).unwrap(), expected);
    }

    #[test]
    fn store_health_without_a_time_is_serialized_with_null() {
        for (store, state) in [(StoreHealth::Fresh, "fresh"), (StoreHealth::Failed, "failed")] {
            let expected = json!({ "state": state, "since": null });
            assert_eq!(serde_json::to_value(store).unwrap(), expected);
        }
    }

    #[test]
    fn correction_is_serialized_with_its_missing_notification() {
        let json = CorrectionJson::new(Some(ChangeType::Resume), &CorrectionSummary::default());
        let expected =
            json!({ "missed": "Resume", "count": 0, "last_seconds": null, "median_seconds": null });
        assert_eq!(serde_json::to_value(json).unwrap(), expected);
    }

    #[test]
    fn time_before_1970_is_serialized_as_its_first_second() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(rfc3339(before), "1970-01-01T00:00:00Z");
    }
}
