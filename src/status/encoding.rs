//! A record as bytes: JSON that an operator can read in the store.
//!
//! ```json
//! {"v":"1.0","suspend":{"at":1700000000,"seen":1700000001000,"version":"Release 10.3","file":"10.3.1"},
//!  "pull_running":{"asked":1700000900000,"since":1700000900000,"state":"Running","endpoint":"https://online2.superoffice.com"}}
//! ```
//!
//! A newer minor version may add fields and kinds of facts: they are carried along unread. A newer
//! major version is refused, because what it means can't be known. So whoever adds a *value* to a
//! field that exists, such as a state, has to raise the major version or give it a key of its own.

use std::{fmt, sync::Arc};

use serde_json::{Map, Value, json};
use smol_str::SmolStr;

use super::{
    ChangeType, Record, State, UnavailableReason,
    fact::{Details, Fact, Notified, Order, PullDetails, Pulled, Slot, Word},
    record::Foreign,
    state::Verdict,
};

const MAJOR: u32 = 1;
const MINOR: u32 = 0;

/// A stored record that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A newer version of this crate wrote it. Upgrade this program before it runs on that store.
    NewerSchema {
        /// The major version found.
        major: u32,
    },
    /// It is no record: something else wrote there, or it was damaged.
    Malformed {
        /// Which part of it makes no sense.
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
            Self::Malformed { part } => {
                write!(f, "not a tenant's record: its {part} makes no sense")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

const fn malformed(part: &'static str) -> DecodeError {
    DecodeError::Malformed { part }
}

impl Slot {
    const ALL: [Self; 13] = [
        Self::Upgrade,
        Self::BackupRestored,
        Self::Suspend,
        Self::Resume,
        Self::Delete,
        Self::Move,
        Self::Other,
        Self::Pulled(Verdict::Running),
        Self::Pulled(Verdict::Closed(UnavailableReason::Suspended)),
        Self::Pulled(Verdict::Closed(UnavailableReason::Upgrading)),
        Self::Pulled(Verdict::Closed(UnavailableReason::Deleted)),
        Self::Pulled(Verdict::Closed(UnavailableReason::NotReady)),
        Self::Word,
    ];

    fn key(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::BackupRestored => "backup_restored",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Delete => "delete",
            Self::Move => "move",
            Self::Other => "other",
            Self::Pulled(Verdict::Running) => "pull_running",
            Self::Pulled(Verdict::Closed(UnavailableReason::Suspended)) => "pull_suspended",
            Self::Pulled(Verdict::Closed(UnavailableReason::Upgrading)) => "pull_upgrading",
            Self::Pulled(Verdict::Closed(UnavailableReason::Deleted)) => "pull_deleted",
            Self::Pulled(Verdict::Closed(_)) => "pull_not_ready",
            Self::Word => "operator",
        }
    }
}

impl Record {
    /// The record as bytes for a store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut map = Map::new();
        let minor = self.foreign().map_or(MINOR, |foreign| foreign.minor);
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

    /// Reads what [`encode`](Record::encode) wrote, in this version of the schema or a newer minor
    /// one.
    ///
    /// # Errors
    ///
    /// When the bytes are no record, or one of a newer major version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Ok(Value::Object(mut map)) = serde_json::from_slice(bytes) else {
            return Err(malformed("JSON"));
        };
        let minor = decode_version(map.remove("v"))?;
        let mut facts = Vec::new();
        for slot in Slot::ALL {
            if let Some(value) = map.remove(slot.key()) {
                facts.push(decode_fact(slot, value)?);
            }
        }
        let foreign = (minor > MINOR || !map.is_empty()).then_some(Foreign { minor, entries: map });
        Ok(Self::from_parts(facts, foreign))
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

/// Digits and nothing else: `parse` alone would take a sign.
fn decode_number(digits: &str) -> Result<u32, DecodeError> {
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or(malformed("version"))
}

fn encode_fact(fact: &Fact) -> Map<String, Value> {
    let mut map;
    match fact {
        Fact::Notified(Notified { change, at, seen, details }) => {
            map = details.extra.clone();
            map.insert("at".to_owned(), json!(at));
            map.insert("seen".to_owned(), json!(seen));
            map.insert("version".to_owned(), json!(details.version_name.as_str()));
            map.insert("file".to_owned(), json!(details.file_version.as_str()));
            if let Some(endpoint) = &details.endpoint {
                map.insert("endpoint".to_owned(), json!(endpoint.as_str()));
            }
            if let ChangeType::Other(number) = change {
                map.insert("number".to_owned(), json!(number));
            }
        }
        Fact::Pulled(Pulled { state, asked, since, details }) => {
            map = details.extra.clone();
            map.insert("asked".to_owned(), json!(asked));
            map.insert("since".to_owned(), json!(since));
            map.insert("state".to_owned(), json!(state.name()));
            if let Some(endpoint) = &details.endpoint {
                map.insert("endpoint".to_owned(), json!(endpoint.as_str()));
            }
        }
        Fact::Word(word) => {
            map = word.extra.clone();
            map.insert("set_at".to_owned(), json!(word.set_at));
            let order = match word.order {
                Order::Open => "open",
                Order::Close => "close",
                Order::Release => "release",
            };
            map.insert("order".to_owned(), json!(order));
            map.insert("note".to_owned(), json!(word.note));
            if let Some(until) = word.until {
                map.insert("until".to_owned(), json!(until));
            }
        }
    }
    map
}

fn decode_fact(slot: Slot, value: Value) -> Result<Fact, DecodeError> {
    let part = slot.key();
    let Value::Object(map) = value else { return Err(malformed(part)) };
    let mut fields = Fields { map, part };
    let fact = match slot {
        Slot::Pulled(_) => Fact::Pulled(Pulled {
            asked: fields.number("asked")?,
            since: fields.number("since")?,
            state: State::from_name(&fields.text("state")?).ok_or(malformed(part))?,
            details: Arc::new(PullDetails {
                endpoint: fields.optional_text("endpoint")?,
                extra: fields.map,
            }),
        }),
        Slot::Word => Fact::Word(Box::new(Word {
            set_at: fields.number("set_at")?,
            order: match &*fields.text("order")? {
                "open" => Order::Open,
                "close" => Order::Close,
                "release" => Order::Release,
                _ => return Err(malformed(part)),
            },
            note: fields.text("note")?.into(),
            until: fields.map.contains_key("until").then(|| fields.number("until")).transpose()?,
            extra: fields.map,
        })),
        Slot::Upgrade
        | Slot::BackupRestored
        | Slot::Suspend
        | Slot::Resume
        | Slot::Delete
        | Slot::Move
        | Slot::Other => Fact::Notified(Notified {
            change: decode_change(slot, &mut fields)?,
            at: fields.take("at")?.as_i64().ok_or(malformed(part))?,
            seen: fields.number("seen")?,
            details: Arc::new(Details {
                version_name: fields.text("version")?,
                file_version: fields.text("file")?,
                endpoint: fields.optional_text("endpoint")?,
                extra: fields.map,
            }),
        }),
    };
    if fact.slot() == slot { Ok(fact) } else { Err(malformed(part)) }
}

fn decode_change(slot: Slot, fields: &mut Fields) -> Result<ChangeType, DecodeError> {
    Ok(match slot {
        Slot::Upgrade => ChangeType::Upgrade,
        Slot::BackupRestored => ChangeType::BackupRestored,
        Slot::Suspend => ChangeType::Suspend,
        Slot::Resume => ChangeType::Resume,
        Slot::Delete => ChangeType::Delete,
        Slot::Move => ChangeType::Move,
        Slot::Other | Slot::Pulled(_) | Slot::Word => {
            let number = u32::try_from(fields.number("number")?);
            ChangeType::from(number.map_err(|_| malformed(fields.part))?)
        }
    })
}

/// The fields of a fact; what is left when all known ones are taken is carried along.
struct Fields {
    map: Map<String, Value>,
    part: &'static str,
}

impl Fields {
    fn take(&mut self, key: &str) -> Result<Value, DecodeError> {
        self.map.remove(key).ok_or(malformed(self.part))
    }

    fn number(&mut self, key: &str) -> Result<u64, DecodeError> {
        self.take(key)?.as_u64().ok_or(malformed(self.part))
    }

    fn text(&mut self, key: &str) -> Result<SmolStr, DecodeError> {
        self.take(key)?.as_str().map(SmolStr::new).ok_or(malformed(self.part))
    }

    fn optional_text(&mut self, key: &str) -> Result<Option<SmolStr>, DecodeError> {
        self.map.contains_key(key).then(|| self.text(key)).transpose()
    }
}
