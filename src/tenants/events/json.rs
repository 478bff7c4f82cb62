//! An event as JSON, with names that stay.

use serde::{Serialize, Serializer};

use super::TenantEvent;
use crate::{
    status::{ChangeType, TenantStatus},
    tenant_id::TenantId,
    tenants::correction::Correction,
};

/// Serde can tag no variant that is only a number, so the events are mirrored.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum EventJson<'a> {
    Changed {
        tenant: &'a TenantId,
        status: &'a TenantStatus,
    },
    Notified {
        tenant: &'a TenantId,
        change: ChangeType,
        version_name: Option<&'a str>,
        file_version: Option<&'a str>,
    },
    Restored {
        tenant: &'a TenantId,
        epoch: i64,
    },
    Moved {
        tenant: &'a TenantId,
    },
    Unknown {
        tenant: &'a TenantId,
        number: u32,
    },
    Corrected {
        tenant: &'a TenantId,
        status: &'a TenantStatus,
        correction: &'a Correction,
    },
    Confirmed {
        tenant: &'a TenantId,
        status: &'a TenantStatus,
    },
    Missed {
        events: u64,
    },
}

impl<'a> From<&'a TenantEvent> for EventJson<'a> {
    fn from(event: &'a TenantEvent) -> Self {
        match event {
            TenantEvent::Changed { tenant, status } => Self::Changed { tenant, status },
            TenantEvent::Notified { tenant, change, version_name, file_version } => {
                Self::Notified {
                    tenant,
                    change: *change,
                    version_name: version_name.as_deref(),
                    file_version: file_version.as_deref(),
                }
            }
            TenantEvent::Restored { tenant, epoch } => Self::Restored { tenant, epoch: *epoch },
            TenantEvent::Moved { tenant } => Self::Moved { tenant },
            TenantEvent::Unknown { tenant, number } => Self::Unknown { tenant, number: *number },
            TenantEvent::Corrected { tenant, status, correction } => {
                Self::Corrected { tenant, status, correction }
            }
            TenantEvent::Confirmed { tenant, status } => Self::Confirmed { tenant, status },
            TenantEvent::Missed(events) => Self::Missed { events: *events },
        }
    }
}

impl Serialize for TenantEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EventJson::from(self).serialize(serializer)
    }
}

#[derive(Serialize)]
struct CorrectionJson {
    missed: Option<ChangeType>,
    within_seconds: Option<u64>,
}

impl Serialize for Correction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let within_seconds = self.within().map(|within| within.as_secs());
        CorrectionJson { missed: self.missed(), within_seconds }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::status::{
        derive::status,
        tests::strategies::{notified, record_of},
    };

    #[test]
    fn event_is_an_object_of_its_name_and_fields() {
        let tenant = TenantId::new("Cust1").unwrap();
        let status = || status(&record_of(&[notified(ChangeType::Delete, 5)]));
        let own = serde_json::to_value(status()).unwrap();
        assert_eq!(own["reason"], json!("deleted"));
        let t = || tenant.clone();
        let within = Some(Duration::from_millis(90_700));
        let correction = Correction { missed: Some(ChangeType::Delete), within };
        let unexplained = Correction { missed: None, within: None };
        let (version_name, file_version) = (Some("Release 11".to_owned()), None);
        let cases: [(TenantEvent, Value); 9] = [
            (
                TenantEvent::Changed { tenant: t(), status: status() },
                json!({ "event": "changed", "tenant": "Cust1", "status": own }),
            ),
            (
                TenantEvent::Notified {
                    tenant: t(),
                    change: ChangeType::Suspend,
                    version_name,
                    file_version,
                },
                json!({ "event": "notified", "tenant": "Cust1", "change": "Suspend",
                    "version_name": "Release 11", "file_version": null }),
            ),
            (
                TenantEvent::Restored { tenant: t(), epoch: 1_700_000_000 },
                json!({ "event": "restored", "tenant": "Cust1", "epoch": 1_700_000_000 }),
            ),
            (TenantEvent::Moved { tenant: t() }, json!({ "event": "moved", "tenant": "Cust1" })),
            (
                TenantEvent::Unknown { tenant: t(), number: 77 },
                json!({ "event": "unknown", "tenant": "Cust1", "number": 77 }),
            ),
            (
                TenantEvent::Corrected { tenant: t(), status: status(), correction },
                json!({ "event": "corrected", "tenant": "Cust1", "status": own,
                    "correction": { "missed": "Delete", "within_seconds": 90 } }),
            ),
            (
                TenantEvent::Corrected { tenant: t(), status: status(), correction: unexplained },
                json!({ "event": "corrected", "tenant": "Cust1", "status": own,
                    "correction": { "missed": null, "within_seconds": null } }),
            ),
            (
                TenantEvent::Confirmed { tenant: t(), status: status() },
                json!({ "event": "confirmed", "tenant": "Cust1", "status": own }),
            ),
            (TenantEvent::Missed(3), json!({ "event": "missed", "events": 3 })),
        ];
        for (event, expected) in cases {
            assert_eq!(serde_json::to_value(&event).unwrap(), expected, "{event:?}");
        }
    }
}
