//! Reads values out of `serde_json`'s parser.

use std::{borrow::Cow, fmt, sync::LazyLock};

use serde::{
    Deserialize,
    de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor},
};

use super::{
    Number, Object, Value,
    keys::{self, Case},
};

/// The only key of the map by which serde_json represents a number, if any crate of the build
/// enables its feature `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

/// Whether that feature is enabled in this build. If not, such a map is ordinary input.
static NUMBERS_ARE_MAPS: LazyLock<bool> = LazyLock::new(|| {
    let number = serde_json::from_str::<serde_json::Number>("1.00");
    number.is_ok_and(|number| number.to_string() == "1.00")
});

/// Parses one object; the outer one's keys are compared as `case` says.
pub(super) fn object(text: &str, case: Case) -> Option<Object<'_>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // As many as a notification or its claims have: nearly always one allocation.
    let members = Members { case, expected: 8 };
    let object = deserializer.deserialize_map(members).ok()?;
    deserializer.end().ok()?;
    match object {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Reads an object.
struct Members {
    /// The comparison of its keys.
    case: Case,
    /// The number of members to make room for. More are read.
    expected: usize,
}

/// Reads any value.
struct Any;

/// Reads a key, borrowed if it has no escape.
struct Key;

impl<'t> Deserialize<'t> for Value<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

impl<'t> Visitor<'t> for Any {
    type Value = Value<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated keys")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'t>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'t>, E> {
        // The parser gives those of 0 and more to `visit_u64`, and all of them are below 2^63.
        Ok(Value::Number(Number::Real(value as f64)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'t>, E> {
        Ok(Value::Number(Number::Natural(value)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value<'t>, E> {
        real(value)
    }

    fn visit_borrowed_str<E>(self, value: &'t str) -> Result<Value<'t>, E> {
        Ok(Value::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'t>, E> {
        Ok(Value::String(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Value<'t>, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut items: A) -> Result<Value<'t>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'t>>(self, members: A) -> Result<Value<'t>, A::Error> {
        Members { case: Case::Exact, expected: 1 }.visit_map(members)
    }
}

impl<'t> Visitor<'t> for Members {
    type Value = Value<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object without repeated keys")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut access: A) -> Result<Value<'t>, A::Error> {
        let mut members = Vec::with_capacity(self.expected);
        while let Some(key) = access.next_key_seed(Key)? {
            let value = access.next_value()?;
            if let (NUMBER, true, Value::String(digits)) = (&*key, members.is_empty(), &value)
                && *NUMBERS_ARE_MAPS
            {
                return number(digits);
            }
            members.push((key, value));
        }
        if keys::are_repeated(members.iter().map(|(key, _)| &**key), self.case) {
            return Err(de::Error::custom("a key is repeated"));
        }
        Ok(Value::Object(Object(members)))
    }
}

impl<'t> DeserializeSeed<'t> for Key {
    type Value = Cow<'t, str>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for Key {
    type Value = Cow<'t, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'t str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// Reads the digits of a number, as the parser without that feature does.
fn number<'t, E: de::Error>(digits: &str) -> Result<Value<'t>, E> {
    match digits.parse() {
        Ok(natural) => Ok(Value::Number(Number::Natural(natural))),
        Err(_) => real(digits.parse().map_err(de::Error::custom)?),
    }
}

fn real<'t, E: de::Error>(value: f64) -> Result<Value<'t>, E> {
    // Parsers disagree beyond the range of a double.
    if value.is_finite() {
        Ok(Value::Number(Number::Real(value)))
    } else {
        Err(E::custom("not a finite number"))
    }
}
