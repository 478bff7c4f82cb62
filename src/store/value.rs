//! A record as it lies in a store of keys and values.
//!
//! The key is the tenant's id in lower case, because ids ignore case. The value is the id as it was
//! first spelled, a space, and the encoded record: `Cust12345 {"v":"1.0",...}`.

use super::StoreError;
use crate::{
    status::{DecodeError, Record},
    tenant_id::TenantId,
};

/// The key of `tenant`.
pub(super) fn key(tenant: &TenantId) -> String {
    tenant.as_str().to_ascii_lowercase()
}

/// What `given` makes of a stored value.
#[cfg(feature = "redb")]
#[derive(Debug)]
pub(super) struct Joined {
    /// The join of what was stored and what was given.
    pub(super) record: Record,
    /// The value to store now; `None` when what is stored says it all. It is then left as it is,
    /// byte for byte: a newer version may spell a record in another way.
    pub(super) value: Option<Vec<u8>>,
}

/// Joins `given` with the `value` that the store called `store` holds of `tenant`.
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
    let grew = record.merge(given);
    let value = grew.then(|| encode(&spelling, &record));
    Ok(Joined { record, value })
}

/// Reads the `value` that the store called `store` holds under `key`.
pub(super) fn decode(
    store: &str,
    key: &str,
    value: &[u8],
) -> Result<(TenantId, Record), StoreError> {
    decode_parts(key, value).map_err(|error| match TenantId::new(key) {
        Ok(tenant) => StoreError::unreadable(store, &tenant, error),
        Err(_) => {
            let key: String = key.escape_debug().take(80).collect();
            let message =
                format!("{store} holds an entry \"{key}\" that is no tenant's: remove it");
            StoreError::corrupt(message).caused_by(error)
        }
    })
}

/// Reads a `value` whose key is not at hand.
#[cfg(feature = "redis")]
pub(super) fn decode_alone(store: &str, value: &[u8]) -> Result<(TenantId, Record), StoreError> {
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

/// The value for a tenant of that `spelling`.
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
    fn what_says_it_all_is_left_as_it_is() {
        let tenant = TenantId::new("CUST1").unwrap();
        let joined = join("test", &tenant, Some(SUSPEND), &Record::default()).unwrap();
        assert_eq!(joined.value, None);
        let again = join("test", &tenant, Some(SUSPEND), &joined.record).unwrap();
        assert_eq!(again.value, None);
        assert_eq!(join("test", &tenant, None, &Record::default()).unwrap().value, None);
    }

    #[test]
    fn the_first_spelling_stays_and_foreign_parts_survive() {
        let tenant = TenantId::new("CUST1").unwrap();
        let resume = br#"{"v":"1.0","resume":{"at":2,"seen":9,"version":"","file":""}}"#;
        let resume = Record::decode(resume).unwrap();
        let value = join("test", &tenant, Some(SUSPEND), &resume).unwrap().value.unwrap();
        let value = String::from_utf8(value).unwrap();
        assert!(value.starts_with(r#"Cust1 {"new":{"at":1},"resume":"#), "{value}");
        assert!(value.contains(r#""v":"1.3""#), "{value}");
    }

    #[test]
    fn a_value_that_is_no_record_is_refused_by_name() {
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
