//! Strict parsing of untrusted JSON: one object, without repeated keys.
//!
//! A parser of our own, because its rules are part of what a gate promises. `serde_json` keeps the
//! last of two equal keys, and whether it accepts a number beyond the range of a double depends on
//! the features that other crates of a build enable. Texts without escapes are borrowed, and nested
//! values are checked but not built: most are ignored.

mod keys;
mod reader;
mod string;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::{
    keys::Case,
    reader::{Numbers, Reader},
};

/// The members of an object, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Object<'t>(Vec<(Cow<'t, str>, Value<'t>)>);

/// A value of an object or an array. Numbers, arrays and objects are kept as their valid text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'t> {
    Null,
    Bool(bool),
    Number(&'t str),
    String(Cow<'t, str>),
    Array(&'t str),
    Object(&'t str),
}

/// Parses `bytes` as exactly one JSON object in which no key is repeated, at any depth.
///
/// Parsers disagree on which of two equal keys counts, so that two checks could see different
/// values. The same holds for numbers that a double can't hold, which are refused. Nesting is limited
/// to 127 levels.
pub(crate) fn object(bytes: &[u8]) -> Option<Object<'_>> {
    members(str::from_utf8(bytes).ok()?, Case::Exact, Numbers::Finite)
}

/// Parses `bytes` as [`object`] does, and refuses keys of the object itself (not of nested ones)
/// that differ only in ASCII case. Numbers have any size: that of an unknown member is no reason to
/// refuse the others.
pub(crate) fn object_ignoring_case(bytes: &[u8]) -> Option<Object<'_>> {
    members(str::from_utf8(bytes).ok()?, Case::Ignored, Numbers::Any)
}

fn members(text: &str, case: Case, numbers: Numbers) -> Option<Object<'_>> {
    let members = Reader::new(text, numbers).whole_object()?;
    let keys = members.iter().map(|(key, _)| &**key);
    (!keys::are_repeated(keys, case)).then_some(Object(members))
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
        if let Self::Number(digits) = self { digits.parse().ok() } else { None }
    }

    /// Returns the double next to a number; infinite for one beyond the range.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        if let Self::Number(digits) = self { digits.parse().ok() } else { None }
    }

    /// Returns the items of an array. Its numbers were judged with the object that it is in.
    pub(crate) fn items(&self) -> Option<Vec<Value<'t>>> {
        if let Self::Array(text) = self {
            Reader::new(text, Numbers::Any).whole_array()
        } else {
            None
        }
    }

    /// Returns the members of an object.
    pub(crate) fn members(&self) -> Option<Object<'t>> {
        if let Self::Object(text) = self { members(text, Case::Exact, Numbers::Any) } else { None }
    }
}
