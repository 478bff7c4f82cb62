//! Parts of a stored record that only a newer version of this crate knows, kept uninterpreted; and
//! the mark of a stored record that can't be decoded at all.

use serde_json::{Map, Value};

/// Parts of a stored record that this version does not know.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Foreign {
    /// The minor schema version of its writer, or this crate's if that is newer; 0 beside the mark
    /// of an unreadable record.
    pub(crate) minor: u32,
    pub(crate) entries: Map<String, Value>,
    /// Nothing of the stored record can be decoded. The record has no other part then. The mark is
    /// kept here, because hardly any record needs it and a million are in memory.
    unreadable: bool,
}

impl Foreign {
    pub(crate) fn new(minor: u32, entries: Map<String, Value>) -> Self {
        Self { minor, entries, unreadable: false }
    }

    /// Creates the mark of a record that can't be decoded.
    pub(super) fn unreadable() -> Self {
        Self { unreadable: true, ..Self::default() }
    }

    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// Takes the newer of each part; returns whether anything changed.
    pub(super) fn merge(&mut self, other: &Self) -> bool {
        let mut changed = other.minor > self.minor;
        self.minor = self.minor.max(other.minor);
        for (key, theirs) in &other.entries {
            let newer = self.entries.get(key).is_none_or(|ours| age(theirs) > age(ours));
            if newer {
                self.entries.insert(key.clone(), theirs.clone());
                changed = true;
            }
        }
        changed
    }
}

/// Orders two unknown facts: by their count or token time, then by their text. A later version of
/// the schema has to give its facts one of these.
fn age(value: &Value) -> (i64, String) {
    let number = ["at", "seq"].iter().find_map(|key| value.get(key)?.as_i64());
    (number.unwrap_or(0), sorted_text(value.clone()))
}

/// Returns a text that is the same for equal maps.
pub(super) fn map_text(map: &Map<String, Value>) -> String {
    if map.is_empty() { String::new() } else { sorted_text(Value::Object(map.clone())) }
}

/// Returns `value` as text, its keys sorted: `serde_json` keeps them so, unless any crate of the
/// program switches its `preserve_order` on.
fn sorted_text(mut value: Value) -> String {
    value.sort_all_objects();
    value.to_string()
}
