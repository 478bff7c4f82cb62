//! Strict parsing of untrusted JSON: one object, without repeated keys.
//!
//! `serde_json` parses; what it hands out is kept in the order of the text, and texts without
//! escapes are borrowed. It would keep the last of two equal keys in a map.

mod keys;
mod reader;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::keys::Case;

/// The members of an object, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object<'t>(Vec<(Cow<'t, str>, Value<'t>)>);

/// A value of an object or an array.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'t> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'t, str>),
    Array(Vec<Value<'t>>),
    Object(Object<'t>),
}

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// One of at least 0 that is written as an integer and fits.
    Natural(u64),
    /// The double next to any other.
    Real(f64),
}

/// Parses `bytes` as exactly one JSON object in which no key is repeated, at any depth.
///
/// Parsers disagree on which of two equal keys counts, so that two checks could see different
/// values. The same holds for numbers that a double can't hold, which are refused. Nesting is
/// limited to 127 levels.
pub(crate) fn object(bytes: &[u8]) -> Option<Object<'_>> {
    reader::object(str::from_utf8(bytes).ok()?, Case::Exact)
}

/// Parses `bytes` as [`object`] does, and refuses keys of the object itself (not of nested ones)
/// that differ only in ASCII case.
pub(crate) fn object_ignoring_case(bytes: &[u8]) -> Option<Object<'_>> {
    reader::object(str::from_utf8(bytes).ok()?, Case::Ignored)
}

/// Strips a UTF-8 byte order mark, which some serialisers write and RFC 8259 lets a parser ignore.
pub(crate) fn strip_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

impl<'t> Object<'t> {
    /// Returns the value of `key`. It compares with each key: for few look-ups.
    pub(crate) fn get(&self, key: &str) -> Option<&Value<'t>> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }
}

impl<'t> IntoIterator for Object<'t> {
    type Item = (Cow<'t, str>, Value<'t>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'t> Value<'t> {
    pub(crate) fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// Returns a number that is written as an integer and fits.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        if let Self::Number(Number::Natural(value)) = self { Some(*value) } else { None }
    }

    /// Returns the double next to a number.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(Number::Natural(value)) => Some(*value as f64),
            Self::Number(Number::Real(value)) => Some(*value),
            _ => None,
        }
    }

    /// Returns the items of an array.
    pub(crate) fn items(&self) -> Option<&[Value<'t>]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }
}
