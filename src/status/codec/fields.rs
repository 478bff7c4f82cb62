//! The fields of a stored fact, removed one by one and checked against their ranges.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::{DecodeError, malformed};
use crate::status::wall::{LATEST_MS, TOKEN_TIMES};

/// The fields of a fact. Those that are left after the known ones are kept uninterpreted.
pub(super) struct Fields {
    map: Map<String, Value>,
    part: &'static str,
}

impl Fields {
    pub(super) fn new(value: Value, part: &'static str) -> Result<Self, DecodeError> {
        match value {
            Value::Object(map) => Ok(Self { map, part }),
            _ => Err(malformed(part)),
        }
    }

    pub(super) fn malformed(&self) -> DecodeError {
        malformed(self.part)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    fn take(&mut self, key: &str) -> Result<Value, DecodeError> {
        self.map.remove(key).ok_or(malformed(self.part))
    }

    /// Takes a number within `range`.
    pub(super) fn number<N: TryFrom<u64> + PartialOrd>(
        &mut self,
        key: &str,
        range: RangeInclusive<N>,
    ) -> Result<N, DecodeError> {
        let number = self.take(key)?.as_u64().and_then(|number| N::try_from(number).ok());
        number.filter(|number| range.contains(number)).ok_or(malformed(self.part))
    }

    /// Takes a number within `range`, if there is one.
    pub(super) fn optional_number<N: TryFrom<u64> + PartialOrd>(
        &mut self,
        key: &str,
        range: RangeInclusive<N>,
    ) -> Result<Option<N>, DecodeError> {
        self.has(key).then(|| self.number(key, range)).transpose()
    }

    /// Takes a wall time, ms since the epoch.
    pub(super) fn wall_time(&mut self, key: &str) -> Result<u64, DecodeError> {
        self.number(key, 0..=LATEST_MS)
    }

    /// Takes a token time, unix seconds.
    pub(super) fn token_time(&mut self, key: &str) -> Result<i64, DecodeError> {
        let time = self.take(key)?.as_i64().filter(|time| TOKEN_TIMES.contains(time));
        time.ok_or(malformed(self.part))
    }

    pub(super) fn text(&mut self, key: &str) -> Result<SmolStr, DecodeError> {
        self.take(key)?.as_str().map(SmolStr::new).ok_or(malformed(self.part))
    }

    pub(super) fn optional_text(&mut self, key: &str) -> Result<Option<SmolStr>, DecodeError> {
        self.has(key).then(|| self.text(key)).transpose()
    }

    /// Returns the fields that this version does not know.
    pub(super) fn into_extra(self) -> Map<String, Value> {
        self.map
    }
}
