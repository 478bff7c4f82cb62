//! The encoding of records: JSON that an operator can read in the store.
//!
//! ```json
//! {"v":"1.1","suspend":{"at":1700000000,"seen":1700000001000,"version":"Release 10.3","file":"10.3.1"},
//!  "settled_running":{"state":"Running","seq":4,"knew":"suspend","knew_at":1700000000,"known":75,
//!   "since":1700000900000,"fresh":600,"endpoint":"https://online2.superoffice.com"}}
//! ```
//!
//! A newer minor version may add fields and kinds of facts, which are kept uninterpreted. A newer
//! major version is refused, because its meaning is unknown. So a later version that adds a *value*
//! to a field that exists, such as a state, has to raise the major version or give it a key of its
//! own.
//!
//! - [`encode`]: encodes facts as JSON.
//! - [`decode`]: decodes facts, and refuses malformed ones.
//! - [`plain`]: decodes the records that this version writes, fast.
//! - [`legacy`]: converts records of version 1.0.

mod decode;
mod encode;
mod fields;
mod legacy;
mod plain;

use std::fmt;

use serde_json::{Map, Value, json};

pub(super) use self::plain::decode_plain;
use self::{decode::decode_fact, encode::encode_fact};
use super::{
    Record, UnavailableReason,
    fact::{Fact, Slot},
    foreign::Foreign,
    intern::Interner,
    state::PullOutcome,
};

const MAJOR: u32 = 1;
const MINOR: u32 = 1;

/// A stored record that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A newer version of this crate wrote it. Upgrade this program before it runs on that store.
    NewerSchema {
        /// The major version found.
        major: u32,
    },
    /// The bytes are not a record: another program wrote them, or they are damaged.
    Malformed {
        /// The malformed part.
        part: &'static str,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewerSchema { major } => write!(
                f,
                "the record has schema {major}, this program reads up to {MAJOR}: upgrade it before it uses this store"
            ),
            Self::Malformed { part } => write!(f, "invalid record: malformed {part}"),
        }
    }
}

impl std::error::Error for DecodeError {}

const fn malformed(part: &'static str) -> DecodeError {
    DecodeError::Malformed { part }
}

impl Slot {
    fn key(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::BackupRestored => "backup_restored",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Delete => "delete",
            Self::Move => "move",
            Self::Other => "other",
            Self::Settled(PullOutcome::Running) => "settled_running",
            Self::Settled(PullOutcome::Closed(UnavailableReason::Suspended)) => "settled_suspended",
            Self::Settled(PullOutcome::Closed(UnavailableReason::Upgrading)) => "settled_upgrading",
            Self::Settled(PullOutcome::Closed(UnavailableReason::Deleted)) => "settled_deleted",
            Self::Settled(PullOutcome::Closed(_)) => "settled_not_ready",
            Self::Unsettled => "unsettled",
            Self::Override => "operator",
        }
    }
}

impl Record {
    /// Returns the record as bytes for a store. They do not say that a record is
    /// [unreadable](Record::unreadable): a store keeps the malformed bytes instead.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut map = Map::new();
        let minor = self.foreign().map_or(MINOR, |foreign| foreign.minor.max(MINOR));
        map.insert("v".to_owned(), json!(format!("{MAJOR}.{minor}")));
        for fact in self.facts() {
            map.insert(fact.slot().key().to_owned(), Value::Object(encode_fact(fact)));
        }
        for (key, value) in self.foreign().into_iter().flat_map(|foreign| &foreign.entries) {
            map.entry(key).or_insert_with(|| value.clone());
        }
        let mut value = Value::Object(map);
        value.sort_all_objects();
        value.to_string().into_bytes()
    }

    /// Decodes the bytes of [`encode`](Record::encode), of this version of the schema, an older one
    /// or a newer minor one.
    ///
    /// # Errors
    ///
    /// When the bytes are no record, or one of a newer major version. Times and numbers out of
    /// range make a record malformed too.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_interned(bytes, &mut Interner::default())
    }

    /// Decodes like [`decode`](Record::decode), for many records that share their details.
    pub(crate) fn decode_interned(
        bytes: &[u8],
        interner: &mut Interner,
    ) -> Result<Self, DecodeError> {
        match decode_plain(bytes, interner) {
            Some(record) => Ok(record),
            None => Self::decode_any(bytes),
        }
    }

    /// Decodes with the general reader, which takes every record that can be decoded, and is the
    /// only one that says what is malformed.
    pub(super) fn decode_any(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Ok(Value::Object(mut map)) = serde_json::from_slice(bytes) else {
            return Err(malformed("JSON"));
        };
        let minor = decode_version(map.remove("v"))?;
        legacy::drop_pulls(&mut map);
        let mut facts = Vec::new();
        for slot in Slot::ALL {
            if let Some(value) = map.remove(slot.key()) {
                facts.push(decode_fact(slot, value)?);
            }
        }
        if minor < MINOR {
            legacy::assign_places(&mut facts);
        }
        let minor = minor.max(MINOR);
        let foreign = (minor > MINOR || !map.is_empty()).then(|| Foreign::new(minor, map));
        Ok(Self::from_facts(facts, foreign))
    }
}

fn decode_version(version: Option<Value>) -> Result<u32, DecodeError> {
    let version = version.as_ref().and_then(Value::as_str).ok_or(malformed("version"))?;
    let (major, minor) = version.split_once('.').ok_or(malformed("version"))?;
    match decode_number(major)? {
        major if major > MAJOR => Err(DecodeError::NewerSchema { major }),
        MAJOR => decode_number(minor),
        _ => Err(malformed("version")),
    }
}

/// Parses digits only: `parse` alone would accept a sign.
fn decode_number(digits: &str) -> Result<u32, DecodeError> {
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or(malformed("version"))
}
