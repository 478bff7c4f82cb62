//! The text of an event: its name, and an object with what happened.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tower_superoffice::{TenantEvent, TenantGate, TenantId, TenantStatus};
use utoipa::ToSchema;

use crate::{routes::tenants::Tenant, schemas};

/// The data of an event. `tenant`, and with several environments `environment`, are always there;
/// the rest depends on `event`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described, never made")]
pub(in crate::routes) struct Event {
    #[schema(inline)]
    event: Name,
    /// Null in what is about none: the end of the snapshot, and `missed`.
    #[schema(value_type = Option<schemas::TenantId>, required)]
    tenant: Option<String>,
    /// Only with several environments.
    environment: Option<String>,
    /// With `snapshot`, `changed`, `confirmed` and `corrected`, as all up to `until`: the tenant as
    /// it is in the list.
    available: Option<bool>,
    reason: Option<schemas::Reason>,
    #[schema(format = DateTime)]
    since: Option<String>,
    endpoint: Option<String>,
    /// With `restored` too.
    epoch: Option<i64>,
    evidence: Option<schemas::Evidence>,
    confirmed: Option<bool>,
    /// With `notified` too, as the next.
    version_name: Option<String>,
    file_version: Option<String>,
    note: Option<String>,
    #[schema(format = DateTime)]
    until: Option<String>,
    /// At the end of the snapshot.
    complete: Option<bool>,
    /// The number of tenants, at the end of the snapshot.
    tenants: Option<u64>,
    /// With `notified`: the change's name, or its number as text.
    change: Option<String>,
    /// With `unknown`: the number of the change.
    number: Option<u32>,
    /// With `corrected`: the notification that was lost, if one can be named.
    missed: Option<String>,
    /// With `corrected`: the time that the status was wrong at most.
    within_seconds: Option<u64>,
    /// With `missed`: how many events were dropped because they were read too slowly.
    events: Option<u64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "described, never made")]
enum Name {
    Snapshot,
    Notified,
    Changed,
    Restored,
    Moved,
    Unknown,
    Confirmed,
    Corrected,
    Missed,
}

/// An event with a tenant as it is in the list.
#[derive(Serialize)]
struct Snapshot<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(flatten)]
    tenant: Tenant<'a>,
}

/// Appends the `snapshot` event of a tenant. Where there are several environments, each event names
/// its own.
pub(super) fn write_tenant(
    text: &mut Vec<u8>,
    environment: Option<&str>,
    tenant: &TenantId,
    status: &TenantStatus,
) {
    let tenant = Tenant::new(tenant, status);
    write(text, SNAPSHOT, &Snapshot { event: SNAPSHOT, environment, tenant });
}

/// Appends the `snapshot` event that marks the end of so many, of all environments.
pub(super) fn write_end(text: &mut Vec<u8>, several: bool, tenants: usize) {
    let mut end =
        json!({ "event": SNAPSHOT, "tenant": null, "complete": true, "tenants": tenants });
    if let (true, Some(members)) = (several, end.as_object_mut()) {
        members.insert("environment".to_owned(), Value::Null);
    }
    write(text, SNAPSHOT, &end);
}

const SNAPSHOT: &str = "snapshot";

/// Appends `event`, with the library's names. Its status becomes the members of a tenant in the
/// list, with the endpoint of now, which an event's status lacks; `tenant` is null in what is about
/// none.
pub(super) fn write_event(
    text: &mut Vec<u8>,
    environment: Option<&str>,
    gate: &TenantGate,
    event: &TenantEvent,
) {
    let mut members = object(event);
    if let Some(environment) = environment {
        members.insert("environment".to_owned(), environment.into());
    }
    match event {
        TenantEvent::Changed { tenant, status }
        | TenantEvent::Confirmed { tenant, status }
        | TenantEvent::Corrected { tenant, status, .. } => {
            let now = gate.status(tenant);
            members.remove("status");
            members.extend(object(&Tenant::new(tenant, status).at(now.endpoint())));
            if let Some(Value::Object(correction)) = members.remove("correction") {
                members.extend(correction);
            }
        }
        _ => _ = members.entry("tenant").or_insert(Value::Null),
    }
    let name = members.get("event").and_then(Value::as_str).unwrap_or_default().to_owned();
    write(text, &name, &members);
}

/// Returns the members of what is an object in JSON.
fn object(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn write(text: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\ndata: ");
    // Strings, numbers and booleans, written to memory: there is nothing that can fail. JSON has no
    // line feeds.
    let _infallible = serde_json::to_writer(&mut *text, data);
    text.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use tower_superoffice::{ChangeType, Environment};

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
            let mut expected: Value = serde_json::from_str(&expected).unwrap();
            for environment in [None, Some("stage")] {
                text.clear();
                write_event(&mut text, environment, &gate, &event);
                let text = std::str::from_utf8(&text).unwrap();
                let (name, data) = text.trim_end().split_once('\n').unwrap();
                let data: Value =
                    serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                if let Some(environment) = environment {
                    expected["environment"] = environment.into();
                }
                assert_eq!(data, expected);
                assert_eq!(name, format!("event: {}", expected["event"].as_str().unwrap()));
            }
        }
    }
}
