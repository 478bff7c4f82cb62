//! A plain parser of JSON without repeated keys.

use serde::de::IgnoredAny;
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

/// Parses like [`object`] a text in which a number may be beyond the range of a double: the largest
/// power of ten stands for it.
pub(super) fn object_of_any_numbers(text: &[u8]) -> Option<Map<String, Value>> {
    let is_of_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let (mut replaced, mut rest) = (Vec::new(), text);
    let (mut in_string, mut escaped) = (false, false);
    while let Some((&byte, after)) = rest.split_first() {
        let length = rest.iter().take_while(|byte| is_of_number(byte)).count();
        if !in_string && length > 0 {
            let (number, after) = rest.split_at(length);
            replaced.extend(if is_infinite(number) { b"1e308" } else { number });
            rest = after;
            continue;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            _ => {}
        }
        replaced.push(byte);
        rest = after;
    }
    object(&replaced)
}

/// Returns whether `text` is one number of JSON that no double holds.
fn is_infinite(text: &[u8]) -> bool {
    let number = str::from_utf8(text).unwrap_or_default();
    // Of a value that it ignores serde_json checks the grammar, and not the range.
    let is_number = serde_json::from_str::<IgnoredAny>(number).is_ok();
    is_number && number.parse().is_ok_and(f64::is_infinite)
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
    #[test]
    fn infinite_numbers_are_replaced_outside_of_strings() {
        let digits = "9".repeat(400);
        for (text, expected) in [
            (r#"{"a":1e999,"b":[-1E+400,1.5]}"#, Some(r#"{"a":1e308,"b":[1e308,1.5]}"#)),
            (r#"{"a":"1e999","1e999":"\"1e999"}"#, Some(r#"{"a":"1e999","1e999":"\"1e999"}"#)),
            (&format!("{{\"a\":{digits}}}"), Some(r#"{"a":1e308}"#)),
            (r#"{"a":01e999}"#, None),
            (r#"{"a":1e999.0}"#, None),
            (r#"{"a":1e999,"a":1}"#, None),
        ] {
            let expected = expected.map(|text| object(text.as_bytes()).unwrap());
            assert_eq!(object_of_any_numbers(text.as_bytes()), expected, "{text}");
        }
    }
}
