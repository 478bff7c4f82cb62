//! The encoding of a record in a key-value store.
//!
//! The key is the tenant's id in lower case, because ids ignore case. The value is the id in its
//! first spelling, a space, and the encoded record: `Cust12345 {"v":"1.0",...}`.

use super::StoreError;
use crate::{
    status::{DecodeError, Record, intern::Interner},
    tenant_id::TenantId,
};

/// Returns the key of `tenant`.
pub(super) fn key(tenant: &TenantId) -> String {
    tenant.as_str().to_ascii_lowercase()
}

/// The result of merging a record into a stored value.
#[cfg(feature = "redb")]
#[derive(Debug)]
pub(super) struct Joined {
    /// The join of the stored and the given record.
    pub(super) record: Record,
    /// The value to store; `None` when the stored one contains everything. That is then left
    /// unchanged, byte for byte: a newer version may encode a record in another way.
    pub(super) value: Option<Vec<u8>>,
    /// The malformed value that `value` replaces, to be kept aside.
    pub(super) malformed: Option<Vec<u8>>,
}

/// Merges `given` into the stored `value` of `tenant`. `store` is the store's name, for errors.
#[cfg(feature = "redb")]
pub(super) fn join(
    store: &str,
    tenant: &TenantId,
    value: Option<&[u8]>,
    given: &Record,
) -> Result<Joined, StoreError> {
    let Some(value) = value else {
        let value = (!given.is_empty()).then(|| encode(tenant, given));
        return Ok(Joined { record: given.clone(), value, malformed: None });
    };
    let (spelling, mut record) = decode(store, tenant, value)?;
    let was_unreadable = record.is_unreadable();
    let changed = record.merge(given);
    let malformed = (changed && was_unreadable).then(|| value.to_vec());
    let value = changed.then(|| encode(&spelling, &record));
    Ok(Joined { record, value, malformed })
}

/// Returns what stays of the stored `value` of `tenant` when what `given` contains is removed: all
/// of it, or an empty record. `store` is the store's name, for errors.
#[cfg(feature = "redb")]
pub(super) fn remainder(
    store: &str,
    tenant: &TenantId,
    value: &[u8],
    given: &Record,
) -> Result<Record, StoreError> {
    let (_, record) = decode(store, tenant, value)?;
    Ok(if given.contains(&record) { Record::default() } else { record })
}

/// Decodes the `value` of `tenant`. A malformed one becomes a record that is
/// [unreadable](Record::unreadable). `store` is the store's name, for errors.
#[cfg(any(feature = "redb", feature = "redis", test))]
pub(super) fn decode(
    store: &str,
    tenant: &TenantId,
    value: &[u8],
) -> Result<(TenantId, Record), StoreError> {
    decode_interned(store, tenant, value, &mut Interner::default())
}

fn decode_interned(
    store: &str,
    tenant: &TenantId,
    value: &[u8],
    interner: &mut Interner,
) -> Result<(TenantId, Record), StoreError> {
    let (id, record) = split(value);
    let spelling = id.and_then(|id| TenantId::new(id).ok()).filter(|id| id == tenant);
    let decoded = match spelling {
        Some(_) => Record::decode_interned(record, interner),
        None => Err(DecodeError::Malformed { part: "tenant id" }),
    };
    let record = match decoded {
        Ok(record) => record,
        Err(DecodeError::Malformed { part }) => {
            crate::log::debug!(%store, %tenant, part, "stored record malformed");
            Record::unreadable()
        }
        Err(error) => return Err(StoreError::unreadable(store, tenant, error)),
    };
    Ok((spelling.unwrap_or_else(|| tenant.clone()), record))
}

/// Decodes the `value` stored under `key`; `None` when the key is no tenant's id, so that there is
/// no tenant to hold closed. The records of one `interner` share their details.
pub(super) fn decode_entry(
    store: &str,
    key: &str,
    value: &[u8],
    interner: &mut Interner,
) -> Result<Option<(TenantId, Record)>, StoreError> {
    match TenantId::new(key) {
        Ok(tenant) => decode_interned(store, &tenant, value, interner).map(Some),
        Err(_) => {
            let key: String = key.escape_debug().take(80).collect();
            crate::log::error!(%store, key, "stored entry is no tenant's; ignored");
            Ok(None)
        }
    }
}

/// Splits a value into the id, if there may be one, and the encoded record.
fn split(value: &[u8]) -> (Option<&str>, &[u8]) {
    let space = value.iter().position(|&byte| byte == b' ');
    let parts = space.and_then(|space| value.split_at_checked(space));
    let (id, record) = parts.unwrap_or((&[], value));
    (std::str::from_utf8(id).ok(), record)
}

/// Encodes the value for a tenant of that `spelling`.
pub(super) fn encode(spelling: &TenantId, record: &Record) -> Vec<u8> {
    let mut value = spelling.as_str().as_bytes().to_vec();
    value.push(b' ');
    value.extend(record.encode());
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUSPEND: &[u8] =
        br#"Cust1 {"v":"1.3","new":{"at":1},"suspend":{"seen":7,"at":1,"file":"","version":""}}"#;

    #[test]
    fn value_with_all_facts_is_left_unchanged() {
        let tenant = TenantId::new("CUST1").unwrap();
        let joined = join("test", &tenant, Some(SUSPEND), &Record::default()).unwrap();
        assert_eq!(joined.value, None);
        let again = join("test", &tenant, Some(SUSPEND), &joined.record).unwrap();
        assert_eq!(again.value, None);
        assert_eq!(join("test", &tenant, None, &Record::default()).unwrap().value, None);
    }

    #[test]
    fn first_spelling_and_unknown_fields_survive_join() {
        let tenant = TenantId::new("CUST1").unwrap();
        let resume = br#"{"v":"1.0","resume":{"at":2,"seen":9,"version":"","file":""}}"#;
        let resume = Record::decode(resume).unwrap();
        let value = join("test", &tenant, Some(SUSPEND), &resume).unwrap().value.unwrap();
        let value = String::from_utf8(value).unwrap();
        assert!(value.starts_with(r#"Cust1 {"new":{"at":1},"resume":"#), "{value}");
        assert!(value.contains(r#""v":"1.3""#), "{value}");
    }

    #[test]
    fn malformed_value_becomes_an_unreadable_record() {
        let tenant = TenantId::new("cust1").unwrap();
        for value in [
            &b""[..],
            b"Cust1",
            b" {}",
            b"Cust2 {\"v\":\"1.0\"}",
            b"Cust1 {}",
            b"Cust1 {\"v\":\"1.0\"",
        ] {
            let expected = (tenant.clone(), Record::unreadable());
            assert_eq!(decode("test", &tenant, value).unwrap(), expected);
            let joined = join("test", &tenant, Some(value), &Record::default()).unwrap();
            assert_eq!((joined.value, joined.malformed), (None, None), "nothing replaces it");
            assert_eq!(joined.record, Record::unreadable());
        }
        let (spelling, _) = decode("test", &tenant, b"CUST1 {").unwrap();
        assert_eq!(spelling.as_str(), "CUST1");
        let error = decode("test", &tenant, b"Cust1 {\"v\":\"2.0\"}").unwrap_err();
        assert!(error.is_newer_schema() && error.to_string().contains("cust1"), "{error}");
        let mut interner = Interner::default();
        assert_eq!(decode_entry("test", "sch\u{1b}ema", b"1", &mut interner).unwrap(), None);
    }

    #[cfg(feature = "redb")]
    #[test]
    fn only_what_is_contained_is_removed() {
        let tenant = TenantId::new("cust1").unwrap();
        let remainder = |given: &Record| remainder("test", &tenant, SUSPEND, given).unwrap();
        let (_, suspended) = decode("test", &tenant, SUSPEND).unwrap();
        assert_eq!(remainder(&suspended), Record::default());
        assert_eq!(remainder(&Record::default()), suspended);
        let kept = super::remainder("test", &tenant, b"Cust1 {", &suspended).unwrap();
        assert_eq!(kept, Record::unreadable(), "its bytes may be the only copy of something");
    }

    #[test]
    fn malformed_value_is_replaced_by_a_fact_and_kept_aside() {
        let tenant = TenantId::new("cust1").unwrap();
        let (_, suspended) = decode("test", &tenant, SUSPEND).unwrap();
        let joined = join("test", &tenant, Some(b"CUST1 {"), &suspended).unwrap();
        assert_eq!(joined.record, suspended);
        assert_eq!(joined.malformed.as_deref(), Some(&b"CUST1 {"[..]));
        let value = String::from_utf8(joined.value.unwrap()).unwrap();
        assert!(value.starts_with("CUST1 {\"new\""), "{value}");
    }
}
