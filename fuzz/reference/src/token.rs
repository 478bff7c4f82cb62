//! The rules for a token.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use serde_json::{Map, Value};
use tower_superoffice::fuzzing;

use super::json::object;

/// The time at which tokens are verified, in seconds since the epoch.
pub const NOW: i64 = 1_700_000_000;

/// The claim that names the tenant.
pub const TENANT: &str = "http://schemes.superoffice.net/identity/ctx";

/// Verifies `token` at [`NOW`] for the issuer `I`, the audience `app` and a leeway of a minute,
/// with a stub in place of RSA: a signature of one byte, 1, is valid.
///
/// Returns the tenant and the token's time if it is accepted.
#[must_use]
pub fn token(token: &str) -> Option<(String, i64)> {
    let found = fuzzing::token(token, NOW);
    assert_eq!(found, expected(token), "the outcome, and what the rules say");
    found
}

/// Builds a token of `header` and `claims` with the signature that the stub accepts.
#[must_use]
pub fn compact(header: &[u8], claims: &[u8]) -> String {
    let part = |bytes: &[u8]| general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.AQ", part(header), part(claims))
}

/// Applies the rules for a token, one after the other.
pub(super) fn expected(token: &str) -> Option<(String, i64)> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, "AQ"] = parts.as_slice() else { return None };
    if token.len() > 8192 || !is_header(&object(&decoded(header)?)?) {
        return None;
    }
    let claims = object(&decoded(claims)?)?;
    if claims.get("iss")? != "I" || !is_for("app", claims.get("aud")?) {
        return None;
    }
    let (exp, nbf, iat) =
        (date(claims.get("exp"))?, date(claims.get("nbf"))?, date(claims.get("iat"))?);
    let exp = exp?;
    let at = nbf.or(iat.map(|iat| iat - 60)).unwrap_or(exp - 360);
    let tenant = claims.get(TENANT)?.as_str()?;
    let in_time = NOW < exp + 60 && at <= NOW + 60 && exp - at <= 3600;
    (in_time && is_tenant(tenant) && !is_personal(&claims)).then(|| (tenant.to_owned(), at))
}

/// Whether the claims speak of a person.
fn is_personal(claims: &Map<String, Value>) -> bool {
    let identity = TENANT.trim_end_matches("ctx");
    let users =
        ["associateid", "upn", "email", "is_administrator", "initials", "so_primary_email_address"];
    let about_a_user = users.iter().any(|name| {
        claims.contains_key(*name) || claims.contains_key(&format!("{identity}{name}"))
    });
    let about_a_login =
        ["at_hash", "c_hash", "auth_time"].iter().any(|name| claims.contains_key(*name));
    let address =
        claims.get("sub").is_some_and(|sub| sub.is_string() && sub.to_string().contains('@'));
    about_a_user || about_a_login || address
}

/// Returns whether `id` is a tenant id.
pub(super) fn is_tenant(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !id.is_empty() && id.len() <= 64 && id.chars().all(allowed)
}

fn is_header(header: &Map<String, Value>) -> bool {
    let is_id = |name| match header.get(name) {
        None => true,
        Some(Value::String(id)) => {
            !id.is_empty() && id.len() <= 128 && id.chars().all(|c| ('!'..='~').contains(&c))
        }
        Some(_) => false,
    };
    let is_jwt = match header.get("typ") {
        None => true,
        Some(Value::String(typ)) => {
            ["jwt", "application/jwt"].contains(&&*typ.to_ascii_lowercase())
        }
        Some(_) => false,
    };
    header.get("alg").is_some_and(|alg| alg == "RS256")
        && !header.contains_key("crit")
        && !header.contains_key("b64")
        && is_jwt
        && is_id("kid")
        && is_id("x5t")
}

/// Returns whether the claim names the application, as a text or in a list of texts.
fn is_for(application: &str, audience: &Value) -> bool {
    let names = |value: &Value| {
        let named = value.as_str().map(str::to_ascii_lowercase);
        named.is_some_and(|named| named == application || named == format!("spn:{application}"))
    };
    match audience {
        Value::Array(list) => list.iter().all(Value::is_string) && list.iter().any(names),
        _ => names(audience),
    }
}

/// Returns `Some(None)` for an absent date, `None` for an invalid one.
fn date(value: Option<&Value>) -> Option<Option<i64>> {
    let seconds = match value {
        None => return Some(None),
        Some(Value::Number(number)) => number.as_f64()?,
        // `parse` accepts a sign, the rules don't.
        Some(Value::String(digits)) if digits.len() <= 16 && !digits.starts_with('+') => {
            digits.parse::<u64>().ok()? as f64
        }
        Some(_) => return None,
    };
    let limit = 9_007_199_254_740_992_f64;
    (-limit..=limit).contains(&seconds).then(|| Some(seconds.floor() as i64))
}

/// Decodes `text` if it is the canonical encoding of its bytes.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&alphabet::URL_SAFE, lenient).decode(text).ok()?;
    (general_purpose::URL_SAFE_NO_PAD.encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;
    use crate::strategies::*;

    #[test]
    fn the_stub_takes_a_good_token() {
        let good = good_token("Cust1");
        assert_eq!(token(&good), Some(("Cust1".to_owned(), NOW - 60)));
        assert_eq!(token(&good.replace(".AQ", ".Ag")), None);
    }

    #[test]
    fn a_login_token_is_refused() {
        let with = |more: &str| {
            let claims = format!(
                r#"{{"iss":"I","aud":"app","{TENANT}":"Cust1","exp":{}{more}}}"#,
                NOW + 300
            );
            token(&token_of(r#"{"alg":"RS256"}"#, &claims)).is_some()
        };
        assert!(with(r#","sub":"Cust1","nonce":"n""#));
        for claim in ["\"sub\":\"a@b\"", "\"upn\":1", "\"at_hash\":\"\"", "\"auth_time\":1"] {
            assert!(!with(&format!(",{claim}")), "{claim}");
        }
        assert!(!with(r#","http://schemes.superoffice.net/identity/email":null"#));
        assert!(with(r#","http://schemes.superoffice.net/identity/at_hash":1"#));
    }

    #[test]
    fn tokens_around_an_hour_of_life_are_judged_by_the_rules() {
        let accepted = Cell::new(0);
        proptest!(ProptestConfig::with_cases(500), |(life in 3590..3610_i64, nbf in -50..50_i64)| {
            let nbf = NOW + nbf;
            let claims = format!(
                r#"{{"iss":"I","aud":"app","{TENANT}":"Cust1","nbf":{nbf},"exp":{}}}"#,
                nbf + life
            );
            if token(&token_of(r#"{"alg":"RS256"}"#, &claims)).is_some() {
                accepted.set(accepted.get() + 1);
            }
        });
        assert!((150..400).contains(&accepted.get()), "{} were accepted", accepted.get());
    }

    #[test]
    fn altered_tokens_are_judged_by_the_rules() {
        let header = altered(
            vec![("alg", r#""RS256""#.to_owned())],
            vec!["typ", "kid", "x5t", "crit", "b64", "jwk"],
        );
        let accepted = Cell::new(0);
        proptest!(ProptestConfig::with_cases(2000), |(header in header, claims in altered_claims())| {
            if token(&token_of(&header, &claims)).is_some() {
                accepted.set(accepted.get() + 1);
            }
        });
        assert!(accepted.get() > 200, "only {} were accepted", accepted.get());
    }

    #[test]
    fn tokens_at_every_edge_of_their_life_are_judged_by_the_rules() {
        let date = || {
            let near = (NOW - 500)..(NOW + 500);
            prop_oneof![
                2 => near.clone().prop_map(|at| at.to_string()),
                1 => near.clone().prop_map(|at| format!("\"{at}\"")),
                1 => (near, 0..1000).prop_map(|(at, millis)| format!("{at}.{millis:03}")),
            ]
        };
        let dates = (date(), prop::option::of(date()), prop::option::of(date()));
        let accepted = Cell::new(0);
        proptest!(ProptestConfig::with_cases(2000), |((exp, nbf, iat) in dates)| {
            let optional = |name: &str, date: Option<String>| {
                date.map(|date| format!(r#","{name}":{date}"#)).unwrap_or_default()
            };
            let (nbf, iat) = (optional("nbf", nbf), optional("iat", iat));
            let claims =
                format!(r#"{{"iss":"I","aud":"app","{TENANT}":"Cust1","exp":{exp}{nbf}{iat}}}"#);
            if token(&token_of(r#"{"alg":"RS256"}"#, &claims)).is_some() {
                accepted.set(accepted.get() + 1);
            }
        });
        assert!((400..1600).contains(&accepted.get()), "{} were accepted", accepted.get());
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "\\PC{0,200}") {
            prop_assert_eq!(token(&text), None);
        }

        #[test]
        fn any_change_of_one_character_is_judged(
            index in any::<prop::sample::Index>(),
            by in any::<char>(),
        ) {
            let mut text: Vec<char> = good_token("Cust1").chars().collect();
            let index = index.index(text.len());
            text[index] = by;
            // Accepted or not: `token` panics when the implementations differ.
            drop(token(&text.into_iter().collect::<String>()));
        }
    }
}
