//! RSA keys out of a JSON Web Key Set (RFC 7517).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::json::{self, Value};

use super::{KeyError, header::is_id, key::Key, key_id::KeyIds};

/// The most keys that are used of one set. SuperOffice has one or two.
const MAX_KEYS: usize = 64;

/// Parses the usable keys of a set, in their order.
///
/// A key that can't be used is skipped. When none is left, the error is that of the first one.
pub(crate) fn parse_key_set(text: &[u8]) -> Result<Vec<Key>, KeyError> {
    let set = json::object(text).ok_or(KeyError::KeySet)?;
    let members = set.get("keys").and_then(Value::items).ok_or(KeyError::KeySet)?;
    let mut fault = None;
    let keys: Vec<Key> = members
        .iter()
        .filter_map(|member| parse_key(member).map_err(|error| fault.get_or_insert(error)).ok())
        .take(MAX_KEYS)
        .collect();
    if keys.is_empty() { Err(fault.unwrap_or(KeyError::NoKey)) } else { Ok(keys) }
}

fn parse_key(member: &Value<'_>) -> Result<Key, KeyError> {
    let key = member.members().ok_or(KeyError::KeySet)?;
    // A member that is null counts as absent.
    let text = |name| match key.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(&**text)),
        Some(_) => Err(KeyError::KeySet),
    };
    if text("kty")? != Some("RSA") {
        return Err(KeyError::NotRsa);
    }
    if text("use")?.is_some_and(|purpose| purpose != "sig")
        || text("alg")?.is_some_and(|algorithm| algorithm != "RS256")
    {
        return Err(KeyError::Purpose);
    }
    let id = |name| match text(name)? {
        Some(id) if !is_id(id) => Err(KeyError::KeySet),
        id => Ok(id),
    };
    let number = |name| {
        let digits = text(name)?.ok_or(KeyError::NotAKey)?;
        URL_SAFE_NO_PAD.decode(digits).map_err(|_| KeyError::NotAKey)
    };
    Key::new(&number("n")?, &number("e")?, KeyIds::new(id("kid")?, id("x5t")?).into_owned())
}
