//! Strict parsing of untrusted JSON: one object, without repeated keys.

use std::{fmt, sync::LazyLock};

use serde::{
    Deserialize,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Parses `bytes` as exactly one JSON object in which no key is repeated, at any depth.
///
/// Parsers disagree on which of two equal keys counts, so that two checks could see different
/// values. Nesting is limited to `serde_json`'s 128 levels.
pub(crate) fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(bytes) {
        Ok(Strict(Value::Object(map))) => Some(map),
        _ => None,
    }
}

/// Parses `bytes` as [`object`] does, and refuses keys of the object itself (not of nested ones) that
/// differ only in ASCII case.
pub(crate) fn object_ignoring_case(bytes: &[u8]) -> Option<Map<String, Value>> {
    let map = object(bytes)?;
    let mut keys: Vec<&str> = map.keys().map(String::as_str).collect();
    keys.sort_unstable_by(|a, b| lower_case(a).cmp(lower_case(b)));
    let repeated = keys.windows(2).any(|pair| matches!(pair, [a, b] if a.eq_ignore_ascii_case(b)));
    (!repeated).then_some(map)
}

fn lower_case(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().map(|byte| byte.to_ascii_lowercase())
}

/// Strips a UTF-8 byte order mark, which some serialisers write and RFC 8259 lets a parser ignore.
pub(crate) fn strip_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// The only key of the map by which serde_json represents a number, if any crate of the build
/// enables its feature `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

/// Whether that feature is enabled in this build. If not, such a map is ordinary input.
static NUMBERS_ARE_MAPS: LazyLock<bool> = LazyLock::new(|| {
    let number = serde_json::from_str::<Number>("1.00");
    number.is_ok_and(|number| number.to_string() == "1.00")
});

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictValue.deserialize(deserializer).map(Self)
    }
}

struct StrictValue;

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated keys")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(StrictValue)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(StrictValue)?;
            if let (NUMBER, true, Value::String(digits)) = (key.as_str(), map.is_empty(), &value)
                && *NUMBERS_ARE_MAPS
            {
                return digits.parse().map(Value::Number).map_err(de::Error::custom);
            }
            if map.insert(key, value).is_some() {
                return Err(de::Error::custom("a key is repeated"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_object_without_repeated_keys() {
        for (text, ok) in [
            (r#"{}"#, true),
            (" {\"a\":{\"a\":[{\"a\":1}]}} \n", true),
            (r#"{"a":1,"a":1}"#, false),
            (r#"{"a":1,"\u0061":1}"#, false),
            (r#"{"x":[0,{"y":{"b":1,"b":2}}]}"#, false),
            (r#"{} {}"#, false),
            (r#"[]"#, false),
            ("\u{feff}{}", false),
            ("", false),
            (r#"{"a":1e999}"#, false),
            (r#"{"a":NaN}"#, false),
        ] {
            assert_eq!(object(text.as_bytes()).is_some(), ok, "{text}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_none());
    }

    #[test]
    fn keys_of_the_object_itself_are_compared_ignoring_case() {
        for (text, ok) in [
            (r#"{}"#, true),
            (r#"{"a":1,"b":{"c":1,"C":2},"ab":3}"#, true),
            (r#"{"a":1,"A":2}"#, false),
            (r#"{"Token":1,"x":0,"y":0,"tOKEN":2}"#, false),
            (r#"{"a":1,"\u0041":2}"#, false),
            (r#"{"\u00e9":1,"\u00c9":2}"#, true),
            (r#"{"b":{"c":1,"c":2}}"#, false),
        ] {
            assert_eq!(object_ignoring_case(text.as_bytes()).is_some(), ok, "{text}");
        }
    }

    #[test]
    fn byte_order_mark_is_stripped_once_and_at_the_start() {
        let strip = |text: &'static str| str::from_utf8(strip_bom(text.as_bytes())).unwrap();
        assert_eq!(strip("\u{feff}{}"), "{}");
        assert_eq!(strip("\u{feff}\u{feff}{}"), "\u{feff}{}");
        assert_eq!((strip("{}\u{feff}"), strip("{}"), strip("")), ("{}\u{feff}", "{}", ""));
    }

    /// In `tests/both-backends` serde_json represents fractions as such maps.
    #[test]
    fn a_map_that_looks_like_a_number_is_none() {
        let text = br#"{"a":{"$serde_json::private::Number":"12"}}"#;
        assert_eq!(object(text).unwrap()["a"][NUMBER], "12");
        assert!(object(br#"{"$serde_json::private::Number":"12"}"#).is_some());
        assert!(object(br#"{"a":{"$serde_json::private::Number":"12a"}}"#).is_some());
        assert!(object(br#"{"a":{"$serde_json::private::Number":"1","b":2}}"#).is_some());
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(8000), "]".repeat(8000));
        assert!(object(deep.as_bytes()).is_none());
    }
}
