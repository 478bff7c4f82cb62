//! Decodes the records that this version writes, straight into facts. Where their details are
//! interned, nothing is allocated but the slice of facts.
//!
//! A million of them are decoded at a restart. All that is not plain is left to the general reader:
//! other versions, unknown keys, repeated ones, overrides, texts with escapes, and what is
//! malformed.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{Slot, encode::change_key};
use crate::status::{
    ChangeType, Record, State, UnavailableReason,
    fact::Fact,
    intern::Interner,
    notified::{Notified, OpenClose},
    overrides::LAST_NUMBER,
    pulled::{Knew, Pulled},
    state::PullOutcome,
    wall::{LATEST_MS, TOKEN_TIMES},
};

/// The version of a plain record: the one that this version writes.
const VERSION: &str = "1.1";

/// Decodes a plain record; `None` for all other bytes.
pub(in crate::status) fn decode_plain(bytes: &[u8], interner: &mut Interner) -> Option<Record> {
    // Checked once for all texts.
    let mut json = serde_json::Deserializer::from_str(std::str::from_utf8(bytes).ok()?);
    let record = json.deserialize_map(RecordVisitor(interner)).ok()?;
    json.end().ok().map(|()| record)
}

/// A key of a plain record. Those of [`Slot::Other`] and [`Slot::Override`] are rare.
enum Key {
    Version,
    Notified(ChangeType),
    Pulled(Slot),
}

impl Key {
    fn parse(key: &str) -> Option<Self> {
        use UnavailableReason::{Deleted, NotReady, Suspended, Upgrading};
        let closed = |reason| Self::Pulled(Slot::Settled(PullOutcome::Closed(reason)));
        Some(match key {
            "v" => Self::Version,
            "upgrade" => Self::Notified(ChangeType::Upgrade),
            "backup_restored" => Self::Notified(ChangeType::BackupRestored),
            "suspend" => Self::Notified(ChangeType::Suspend),
            "resume" => Self::Notified(ChangeType::Resume),
            "delete" => Self::Notified(ChangeType::Delete),
            "move" => Self::Notified(ChangeType::Move),
            "settled_running" => Self::Pulled(Slot::Settled(PullOutcome::Running)),
            "settled_upgrading" => closed(Upgrading),
            "settled_suspended" => closed(Suspended),
            "settled_deleted" => closed(Deleted),
            "settled_not_ready" => closed(NotReady),
            "unsettled" => Self::Pulled(Slot::Unsettled),
            _ => return None,
        })
    }
}

/// Turns each field into a fact as it is read: a struct of all fields would be moved for each
/// record.
struct RecordVisitor<'i>(&'i mut Interner);

impl<'de> Visitor<'de> for RecordVisitor<'_> {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let not_plain = || de::Error::custom("not plain");
        let Self(interner) = self;
        let mut version = false;
        let mut facts = Vec::with_capacity(1);
        while let Some(key) = map.next_key::<&str>()? {
            let fact = match Key::parse(key).ok_or_else(not_plain)? {
                Key::Version if version || map.next_value::<&str>()? != VERSION => None,
                Key::Version => {
                    version = true;
                    continue;
                }
                Key::Notified(change) => {
                    let Object(fields) = map.next_value::<Object<NotifiedFields<'_>>>()?;
                    fields.into_notified(change, interner).map(Fact::Notified)
                }
                Key::Pulled(slot) => {
                    let Object(fields) = map.next_value::<Object<PulledFields<'_>>>()?;
                    let pulled = fields.into_pulled(slot != Slot::Unsettled, interner);
                    // A state of another outcome stands under a wrong key.
                    pulled.map(Fact::Pulled).filter(|fact| fact.slot() == slot)
                }
            };
            facts.push(fact.ok_or_else(not_plain)?);
        }
        facts.sort_by_key(Fact::slot);
        let once = facts.is_sorted_by(|a, b| a.slot() < b.slot());
        if version && once { Ok(Record::from_sorted(facts)) } else { Err(not_plain()) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NotifiedFields<'a> {
    at: i64,
    seen: u64,
    version: &'a str,
    file: &'a str,
    #[serde(default, deserialize_with = "present")]
    place: Option<u16>,
    #[serde(borrow, default, deserialize_with = "present")]
    endpoint: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PulledFields<'a> {
    state: &'a str,
    seq: u32,
    since: u64,
    known: u32,
    #[serde(borrow, default, deserialize_with = "present")]
    knew: Option<&'a str>,
    #[serde(default, deserialize_with = "present")]
    knew_at: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    fresh: Option<u16>,
    #[serde(borrow, default, deserialize_with = "present")]
    endpoint: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    version: Option<&'a str>,
}

/// Deserializes a value that is there. serde takes `null` for one that is not, and the general
/// reader for a malformed one.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(de: D) -> Result<Option<T>, D::Error> {
    T::deserialize(de).map(Some)
}

/// A JSON object. serde takes an array of a struct's fields for the struct too, and the general
/// reader does not.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<fn() -> T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

impl NotifiedFields<'_> {
    fn into_notified(self, change: ChangeType, interner: &mut Interner) -> Option<Notified> {
        let in_range = TOKEN_TIMES.contains(&self.at) && self.seen <= LATEST_MS;
        let place = self.place.unwrap_or(1);
        if !in_range || place == 0 {
            return None;
        }
        let details = interner.notified(self.version, self.file, self.endpoint);
        Some(Notified::new(change, self.at, self.seen, details).at_place(place))
    }
}

impl PulledFields<'_> {
    fn into_pulled(self, settled: bool, interner: &mut Interner) -> Option<Pulled> {
        let state = State::from_name(self.state)?;
        let in_range = (1..=LAST_NUMBER).contains(&self.seq) && self.since <= LATEST_MS;
        if !in_range || self.fresh == Some(0) {
            return None;
        }
        let mut pulled = Pulled::new(state, self.seq, knew(self.knew, self.knew_at)?);
        pulled.settled = settled;
        pulled.since = self.since;
        pulled.known = self.known;
        pulled.fresh = self.fresh.unwrap_or(0);
        pulled.details = interner.pulled(self.endpoint, self.version);
        Some(pulled)
    }
}

fn knew(change: Option<&str>, token_time: Option<i64>) -> Option<Option<Knew>> {
    let (name, token_time) = match (change, token_time) {
        (None, None) => return Some(None),
        (name, token_time) => (name?, token_time?),
    };
    let change = OpenClose::ALL.into_iter().find(|own| change_key(*own) == name)?;
    TOKEN_TIMES.contains(&token_time).then_some(Some(Knew { token_time, change }))
}
