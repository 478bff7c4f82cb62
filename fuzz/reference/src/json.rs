//! A plain parser of JSON without repeated keys.

use serde_json::{Map, Value};

/// Parses one JSON object without repeated keys. serde_json keeps the last of two equal keys, so
/// that the object has fewer members than the text has colons.
pub(super) fn object(text: &[u8]) -> Option<Map<String, Value>> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let repeats = members(&value) != colons(text);
    match value {
        Value::Object(map) if !repeats => Some(map),
        _ => None,
    }
}

/// Counts the members of all objects in `value`.
fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Object(map) => map.len() + map.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

/// Counts the colons in a JSON text outside of strings.
fn colons(text: &[u8]) -> usize {
    let (mut in_string, mut escaped, mut colons) = (false, false, 0);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b':' if !in_string => colons += 1,
            _ => {}
        }
    }
    colons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_tell_repeated_keys() {
        for (text, ok) in [
            (r#"{"a":1,"b":{"a":[{"a":null}]}}"#, true),
            (r#"{":":"\":","\\":":"}"#, true),
            (r#"{"a":1,"a":1}"#, false),
            (r#"{"a":1,"\u0061":{"b":1}}"#, false),
            (r#"{"x":[{"b":1,"b":2}]}"#, false),
            (r#"[{"a":1}]"#, false),
        ] {
            assert_eq!(object(text.as_bytes()).is_some(), ok, "{text}");
        }
    }
}
