//! The gateway's answers as a person reads them.

use comfy_table::{Table, presets};
use serde_json::{Map, Value};

use crate::printable::printable;

/// The members that come first, in this order; all others follow by name.
const FIRST: [&str; 12] = [
    "event",
    "tenant",
    "environment",
    "ready",
    "version",
    "available",
    "reason",
    "since",
    "until",
    "evidence",
    "confirmed",
    "note",
];

/// The longest text of a cell, in characters, before it is cut.
const MAX_CELL: usize = 200;

/// Formats tenants as a table, a line each.
pub(super) fn table(tenants: &[Value]) -> String {
    if tenants.is_empty() {
        return "no tenants\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["TENANT", "STATE", "SINCE", "UNTIL", "EVIDENCE", "NEXT PULL", "NOTE"]);
    for tenant in tenants {
        let text = |member: &str| match tenant.get(member) {
            None | Some(Value::Null) => "-".to_owned(),
            Some(value) => cut(scalar(value)),
        };
        let is_open = tenant.get("available") == Some(&Value::Bool(true));
        table.add_row([
            text("tenant"),
            if is_open { "open".to_owned() } else { text("reason") },
            to_the_second(&text("since")),
            to_the_second(&text("until")),
            text("evidence"),
            to_the_second(&text("next_pull")),
            text("note"),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

/// Formats an object with a line for each member that has a value, and those of nested objects below
/// their name. A tenant has a line for its evidence in any case.
pub(super) fn members(object: &Map<String, Value>) -> String {
    let mut text = String::new();
    let is_tenant = object.contains_key("tenant") && object.contains_key("evidence");
    match is_tenant {
        true => write_members(&mut text, &readable(object), 0),
        false => write_members(&mut text, object, 0),
    }
    text
}

/// Returns a tenant with its times to the second, and with words for evidence that is null.
fn readable(tenant: &Map<String, Value>) -> Map<String, Value> {
    let mut readable = tenant.clone();
    let is_unreadable = tenant.get("reason").is_some_and(|reason| reason == "unreadable");
    for (name, value) in &mut readable {
        match (name.as_str(), &*value) {
            ("since" | "until" | "next_pull", Value::String(time)) => {
                *value = to_the_second(time).into();
            }
            ("evidence", Value::Null) if is_unreadable => {
                *value = "none, its stored record can't be read".into();
            }
            ("evidence", Value::Null) => *value = "none, nothing is known of it".into(),
            _ => {}
        }
    }
    readable
}

/// Formats the data of an event as one line.
pub(super) fn event(data: &Map<String, Value>) -> String {
    let mut words = Vec::new();
    for (name, value) in in_order(data) {
        match name.as_str() {
            "event" | "tenant" => words.push(scalar(value)),
            _ => words.push(format!("{}={}", printable(name), scalar(value))),
        }
    }
    words.join(" ") + "\n"
}

fn write_members(text: &mut String, object: &Map<String, Value>, depth: usize) {
    let indent = "  ".repeat(depth);
    for (name, value) in in_order(object) {
        let name = printable(name);
        match value {
            Value::Object(nested) => {
                text.push_str(&format!("{indent}{name}:\n"));
                write_members(text, nested, depth + 1);
            }
            Value::Array(values) if values.iter().any(Value::is_object) => {
                text.push_str(&format!("{indent}{name}:\n"));
                for value in values {
                    text.push_str(&format!("{indent}  - {}", inline(value)));
                }
            }
            value => text.push_str(&format!("{indent}{name}: {}\n", scalar(value))),
        }
    }
}

/// Formats a value as one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(object) => event(object),
        value => scalar(value) + "\n",
    }
}

/// Returns the members of `object` that have a value.
fn in_order(object: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = object.iter().filter(|(_, value)| !value.is_null()).collect();
    members.sort_by_key(|(name, _)| {
        FIRST.iter().position(|first| name == first).unwrap_or(FIRST.len())
    });
    members
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text).to_string(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(scalar).collect::<Vec<_>>().join(", "),
        value => printable(&value.to_string()).to_string(),
    }
}

/// Shortens the text of a cell: every row is as wide as the widest.
fn cut(text: String) -> String {
    match text.char_indices().nth(MAX_CELL) {
        Some((end, _)) => text.get(..end).map_or_else(String::new, |start| format!("{start}…")),
        None => text,
    }
}

/// Leaves out the fraction of a second of a time in RFC 3339.
fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn table_has_a_line_for_each_tenant() {
        let closed = json!({
            "tenant": "Cust1", "available": false, "reason": "operator",
            "since": "2026-11-26T10:00:00.123Z", "until": "2026-12-01T06:00:00Z",
            "evidence": "operator", "note": "\u{1b}[2Jone\ntwo", "next_pull": null,
        });
        let open = json!({ "tenant": "Cust20000", "available": true, "evidence": "state_api" });
        let text = table(&[closed, open]);
        let lines: Vec<Vec<_>> =
            text.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
        assert_eq!(
            lines,
            [
                &["TENANT", "STATE", "SINCE", "UNTIL", "EVIDENCE", "NEXT", "PULL", "NOTE"][..],
                &[
                    "Cust1",
                    "operator",
                    "2026-11-26T10:00:00Z",
                    "2026-12-01T06:00:00Z",
                    "operator",
                    "-",
                    "\\u001b[2Jone\\u000atwo"
                ],
                &["Cust20000", "open", "-", "-", "state_api", "-", "-"],
            ],
            "{text}"
        );
        assert_eq!(table(&[]), "no tenants\n");
    }

    #[test]
    fn long_cell_is_cut() {
        let text = table(&[json!({ "tenant": "ä".repeat(201) }), json!({ "tenant": "Cust1" })]);
        let cells: Vec<_> =
            text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(cells, ["TENANT", &format!("{}…", "ä".repeat(200)), "Cust1"]);
        assert_eq!(cut("ä".repeat(200)), "ä".repeat(200));
    }

    #[test]
    fn members_with_a_value_have_a_line_each() {
        let text = members(&object(json!({
            "ready": true, "reasons": [], "tasks_down": ["pulls", "resync"], "a": null,
            "store": { "state": "fresh", "since": null },
            "tasks": [{ "name": "pulls", "down": false }],
        })));
        let expected = "ready: true\nreasons: none\nstore:\n  state: fresh\ntasks:\n  \
                        - down=false name=pulls\ntasks_down: pulls, resync\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn tenant_has_its_evidence_and_times_to_the_second() {
        let unknown = json!({ "tenant": "R5", "available": true, "evidence": null, "note": null });
        let expected = "tenant: R5\navailable: true\nevidence: none, nothing is known of it\n";
        assert_eq!(members(&object(unknown)), expected);
        let unreadable = json!({
            "tenant": "R5", "available": false, "reason": "unreadable", "evidence": null,
            "since": "2026-11-26T10:00:00.123456Z", "next_pull": "2026-11-26T10:30:00.5Z",
            "until": "2026-12-01T06:00:00Z",
        });
        let expected = "tenant: R5\navailable: false\nreason: unreadable\n\
                        since: 2026-11-26T10:00:00Z\nuntil: 2026-12-01T06:00:00Z\n\
                        evidence: none, its stored record can't be read\n\
                        next_pull: 2026-11-26T10:30:00Z\n";
        assert_eq!(members(&object(unreadable)), expected);
    }

    #[test]
    fn event_is_a_line_that_begins_with_its_name() {
        let text = event(&object(json!({
            "change": "Suspend", "event": "notified", "file_version": null, "tenant": "Cust1",
            "version_name": "11\n12",
        })));
        assert_eq!(text, "notified Cust1 change=Suspend version_name=11\\u000a12\n");
    }
}
