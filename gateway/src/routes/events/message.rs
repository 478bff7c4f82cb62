//! The text of an event: its name, and an object with what happened.

use serde::Serialize;
use tower_superoffice::{ChangeType, TenantEvent, TenantGate, TenantId, TenantStatus};

use crate::routes::tenants::Tenant;

#[derive(Serialize)]
struct Message<'a> {
    event: &'static str,
    #[serde(flatten)]
    data: Data<'a>,
}

/// The members, with names that stay. `tenant` is null in what is about none.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Tenant(Tenant<'a>),
    SnapshotEnd {
        tenant: (),
        complete: bool,
        tenants: usize,
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
        #[serde(flatten)]
        tenant: Tenant<'a>,
        missed: Option<ChangeType>,
        within_seconds: Option<u64>,
    },
    Missed {
        tenant: (),
        events: u64,
    },
}

/// Appends the `snapshot` event of a tenant.
pub(super) fn write_tenant(text: &mut Vec<u8>, tenant: &TenantId, status: &TenantStatus) {
    write(text, Message { event: "snapshot", data: Data::Tenant(Tenant::new(tenant, status)) });
}

/// Appends the `snapshot` event that marks the end of so many.
pub(super) fn write_end(text: &mut Vec<u8>, tenants: usize) {
    let data = Data::SnapshotEnd { tenant: (), complete: true, tenants };
    write(text, Message { event: "snapshot", data });
}

/// Appends `event`. Its tenant's endpoint, which an event's status lacks, is that of now.
pub(super) fn write_event(text: &mut Vec<u8>, gate: &TenantGate, event: &TenantEvent) {
    let now = event.tenant().map(|tenant| gate.status(tenant));
    let endpoint = now.as_ref().and_then(TenantStatus::endpoint);
    let shown = |tenant, status| Tenant::new(tenant, status).at(endpoint);
    let (event, data) = match event {
        TenantEvent::Changed { tenant, status } => ("changed", Data::Tenant(shown(tenant, status))),
        TenantEvent::Confirmed { tenant, status } => {
            ("confirmed", Data::Tenant(shown(tenant, status)))
        }
        TenantEvent::Corrected { tenant, status, correction } => {
            let tenant = shown(tenant, status);
            let within_seconds = correction.within().map(|within| within.as_secs());
            let missed = correction.missed();
            ("corrected", Data::Corrected { tenant, missed, within_seconds })
        }
        TenantEvent::Notified { tenant, change, version_name, file_version } => {
            let version_name = version_name.as_deref();
            let file_version = file_version.as_deref();
            let change = *change;
            ("notified", Data::Notified { tenant, change, version_name, file_version })
        }
        TenantEvent::Restored { tenant, epoch } => {
            ("restored", Data::Restored { tenant, epoch: *epoch })
        }
        TenantEvent::Moved { tenant } => ("moved", Data::Moved { tenant }),
        TenantEvent::Unknown { tenant, number } => {
            ("unknown", Data::Unknown { tenant, number: *number })
        }
        TenantEvent::Missed(events) => ("missed", Data::Missed { tenant: (), events: *events }),
        _ => return tracing::debug!(?event, "event without a name"),
    };
    write(text, Message { event, data });
}

fn write(text: &mut Vec<u8>, message: Message<'_>) {
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(message.event.as_bytes());
    text.extend_from_slice(b"\ndata: ");
    // Strings, numbers and booleans, written to memory: there is nothing that can fail. JSON has no
    // line feeds.
    let _infallible = serde_json::to_writer(&mut *text, &message);
    text.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use tower_superoffice::Environment;

    use super::*;

    #[tokio::test]
    async fn message_has_its_name_and_an_object_with_the_tenant() {
        let environment = Environment::custom("http://127.0.0.1:1".parse().unwrap());
        let gate = TenantGate::builder(environment).any_audience().state_api(false);
        let gate = gate.build().await.unwrap();
        let tenant = || TenantId::new("Cust1").unwrap();
        gate.close(&tenant(), "one\ntwo").await.unwrap();
        let status = || gate.status(&tenant());
        let mut shown = serde_json::to_value(Tenant::new(&tenant(), &status())).unwrap();
        shown["event"] = "changed".into();
        let cases = [
            (TenantEvent::Changed { tenant: tenant(), status: status() }, shown.to_string()),
            (
                TenantEvent::Notified {
                    tenant: tenant(),
                    change: ChangeType::Upgrade,
                    version_name: Some("Release 11".to_owned()),
                    file_version: None,
                },
                r#"{"event":"notified","tenant":"Cust1","change":"Upgrade","version_name":"Release 11","file_version":null}"#.to_owned(),
            ),
            (
                TenantEvent::Restored { tenant: tenant(), epoch: 5 },
                r#"{"event":"restored","tenant":"Cust1","epoch":5}"#.to_owned(),
            ),
            (
                TenantEvent::Moved { tenant: tenant() },
                r#"{"event":"moved","tenant":"Cust1"}"#.to_owned(),
            ),
            (
                TenantEvent::Unknown { tenant: tenant(), number: 77 },
                r#"{"event":"unknown","tenant":"Cust1","number":77}"#.to_owned(),
            ),
            (
                TenantEvent::Missed(3),
                r#"{"event":"missed","tenant":null,"events":3}"#.to_owned(),
            ),
        ];
        for (event, expected) in cases {
            let mut text = Vec::new();
            write_event(&mut text, &gate, &event);
            let text = String::from_utf8(text).unwrap();
            let (name, data) = text.trim_end().split_once('\n').unwrap();
            let data: serde_json::Value =
                serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
            assert_eq!(data, expected);
            assert_eq!(name, format!("event: {}", expected["event"].as_str().unwrap()));
        }
    }
}
