//! RSA keys out of a JSON Web Key Set (RFC 7517).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse};
use serde::Deserialize;

use crate::json;

use super::{KeyError, header::is_id, key::Key, key_id::KeyIds};

/// The most keys that are used of one set. SuperOffice has one or two.
const MAX_KEYS: usize = 64;

/// A set whose members are judged one by one: one that is malformed costs no other.
#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// Parses the usable keys of a set, in their order.
///
/// A key that can't be used is skipped. When none is left, the error is that of the first one.
pub(crate) fn parse_key_set(text: &[u8]) -> Result<Vec<Key>, KeyError> {
    // Two readers of a set with repeated keys could see different ones.
    json::object(text).ok_or(KeyError::KeySet)?;
    let set: Set = serde_json::from_slice(text).map_err(|_| KeyError::KeySet)?;
    let mut fault = None;
    let keys: Vec<Key> = set
        .keys
        .into_iter()
        .filter_map(|member| parse_key(member).map_err(|error| fault.get_or_insert(error)).ok())
        .take(MAX_KEYS)
        .collect();
    if keys.is_empty() { Err(fault.unwrap_or(KeyError::NoKey)) } else { Ok(keys) }
}

fn parse_key(member: serde_json::Value) -> Result<Key, KeyError> {
    let Jwk { common, algorithm } = Jwk::deserialize(member).map_err(|_| KeyError::KeySet)?;
    let numbers = match algorithm {
        AlgorithmParameters::RSA(numbers) => numbers,
        // It has the type, and lacks a number or has it in another form.
        AlgorithmParameters::Other(other)
            if other.fields.get("kty").is_some_and(|kty| kty == "RSA") =>
        {
            return Err(KeyError::NotAKey);
        }
        _ => return Err(KeyError::NotRsa),
    };
    if common.public_key_use.is_some_and(|purpose| purpose != PublicKeyUse::Signature)
        || common.key_algorithm.is_some_and(|algorithm| algorithm != KeyAlgorithm::RS256)
    {
        return Err(KeyError::Purpose);
    }
    let (name, thumbprint) = (common.key_id, common.x509_sha1_fingerprint);
    if [&name, &thumbprint].into_iter().flatten().any(|id| !is_id(id)) {
        return Err(KeyError::KeySet);
    }
    let number = |digits: String| URL_SAFE_NO_PAD.decode(digits).map_err(|_| KeyError::NotAKey);
    let ids = KeyIds::new(name, thumbprint).into_owned();
    Key::new(&number(numbers.n)?, &number(numbers.e)?, ids)
}
