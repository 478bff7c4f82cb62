//! The encoding of a record in a key-value store.
//!
//! The key is the tenant's id in lower case, because ids ignore case. The value is the id in its
//! first spelling, a space, and the encoded record: `Cust12345 {"v":"1.0",...}`.

use super::StoreError;
use crate::{
    status::{DecodeError, Record},
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
        return Ok(Joined { record: given.clone(), value });
    };
    let (spelling, mut record) = decode(store, &key(tenant), value)?;
    let changed = record.merge(given);
    let value = changed.then(|| encode(&spelling, &record));
    Ok(Joined { record, value })
}

/// Decodes the `value` stored under `key`. `store` is the store's name, for errors.
pub(super) fn decode(
    store: &str,
    key: &str,
    value: &[u8],
) -> Result<(TenantId, Record), StoreError> {
    decode_parts(key, value).map_err(|error| match TenantId::new(key) {
        Ok(tenant) => StoreError::unreadable(store, &tenant, error),
        Err(_) => {
            let key: String = key.escape_debug().take(80).collect();
            let message = format!(
                "{store} holds an entry \"{key}\" that is not a tenant's record: remove it"
            );
            StoreError::corrupt(message).caused_by(error)
        }
    })
}

/// Decodes a `value` without its key.
#[cfg(feature = "redis")]
pub(super) fn decode_without_key(
    store: &str,
    value: &[u8],
) -> Result<(TenantId, Record), StoreError> {
    let id = value.split(|&byte| byte == b' ').next().unwrap_or_default();
    decode(store, &String::from_utf8_lossy(id).to_ascii_lowercase(), value)
}

fn decode_parts(key: &str, value: &[u8]) -> Result<(TenantId, Record), DecodeError> {
    let no_id = DecodeError::Malformed { part: "tenant id" };
    let space = value.iter().position(|&byte| byte == b' ').ok_or(no_id.clone())?;
    let (id, record) = value.split_at_checked(space).ok_or(no_id.clone())?;
    let id = std::str::from_utf8(id).ok().and_then(|id| TenantId::new(id).ok());
    let id = id.filter(|id| id.as_str().eq_ignore_ascii_case(key)).ok_or(no_id)?;
    Ok((id, Record::decode(record)?))
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
    fn malformed_value_is_refused_with_its_tenant() {
        for value in [
            &b""[..],
            b"Cust1",
            b" {}",
            b"Cust2 {\"v\":\"1.0\"}",
            b"Cust1 {}",
            b"Cust1 {\"v\":\"1.0\"",
        ] {
            let error = decode("test", "cust1", value).unwrap_err();
            assert!(error.is_corrupt() && error.to_string().contains("cust1"), "{error}");
        }
        let error = decode("test", "cust1", b"Cust1 {\"v\":\"2.0\"}").unwrap_err();
        assert!(error.is_newer_schema(), "{error}");
        let error = decode("test", "sch\u{1b}ema", b"1").unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains("sch\\u{1b}ema"), "{error}");
    }
}
