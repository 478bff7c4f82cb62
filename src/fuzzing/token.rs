//! Entry points for the fuzz targets, compiled for those and for tests only.

use std::time::Duration;

use crate::token::{Audiences, Policy, SigningKeys, judge};

/// The time at which [`token`] judges, in seconds since the epoch.
pub const NOW: i64 = 1_700_000_000;

/// Judges `token` at [`NOW`], with a stub in the place of RSA: a signature of one byte, 1, is good.
///
/// What is accepted comes back as the tenant and the token's time.
#[must_use]
pub fn token(token: &str) -> Option<(String, i64)> {
    let audience = Audiences::OneOf(vec!["app".to_owned()]);
    let policy = Policy::new(vec!["I".to_owned()], audience, Duration::from_secs(60));
    let verified = judge(token, &policy, NOW, |_, signature| signature == [1]).ok()?;
    Some((verified.tenant.to_string(), verified.at))
}

/// Reads `bytes` as a key set, as PEM and as a certificate; says how many keys each gave.
#[must_use]
pub fn keys(bytes: &[u8]) -> [usize; 3] {
    [
        SigningKeys::from_key_set(bytes).map_or(0, |keys| keys.len()),
        SigningKeys::from_pem(bytes).map_or(0, |keys| keys.len()),
        SigningKeys::from_der(bytes).map_or(0, |keys| keys.len()),
    ]
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::{prelude::*, sample::select};

    use super::*;

    const TENANT: &str = "http://schemes.superoffice.net/identity/ctx";

    fn compact(header: &str, claims: &str) -> String {
        let part = |text| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.AQ", part(header), part(claims))
    }

    fn good() -> String {
        let claims = format!(r#"{{"iss":"I","aud":"app","exp":{},"{TENANT}":"Cust1"}}"#, NOW + 300);
        compact(r#"{"alg":"RS256"}"#, &claims)
    }

    /// Values of every type, plausible and not.
    fn value() -> impl Strategy<Value = String> {
        let plain = select(vec![
            "null",
            "true",
            "0",
            "-1",
            "1700000300",
            "1700000300.5",
            "\"1700000300\"",
            "1e400",
            "1e18",
            "\"app\"",
            "\"spn:APP\"",
            "[\"app\"]",
            "[]",
            "{}",
            "\"I\"",
            "\"RS256\"",
            "\"none\"",
            "\"JWT\"",
            "\"Cust1\"",
            "\"a/b\"",
            "\"\\u0000\"",
            "\"\"",
            "[[[[1]]]]",
            "{\"a\":1,\"a\":2}",
        ]);
        prop_oneof![plain.prop_map(str::to_owned), "\"[ -!#-\\[\\]-~]{0,12}\""]
    }

    fn object(names: Vec<&'static str>) -> impl Strategy<Value = String> {
        prop::collection::vec((select(names), value()), 0..9).prop_map(|members| {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        })
    }

    #[test]
    fn the_stub_takes_a_good_token() {
        assert_eq!(token(&good()), Some(("Cust1".to_owned(), NOW - 60)));
        assert_eq!(token(&good().replace(".AQ", ".Ag")), None);
    }

    /// `good` with a few members changed, added or left out.
    fn altered(
        good: Vec<(&'static str, String)>,
        others: Vec<&'static str>,
    ) -> impl Strategy<Value = String> {
        let names: Vec<_> = good.iter().map(|(name, _)| *name).chain(others).collect();
        let change = (select(names), prop_oneof![Just(None), value().prop_map(Some)]);
        prop::collection::vec(change, 0..3).prop_map(move |changes| {
            let mut members = good.clone();
            for (name, value) in changes {
                members.retain(|(other, _)| *other != name);
                members.extend(value.map(|value| (name, value)));
            }
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        })
    }

    #[test]
    fn whatever_is_accepted_keeps_every_rule() {
        let header = altered(
            vec![("alg", r#""RS256""#.to_owned())],
            vec!["typ", "kid", "crit", "b64", "jwk"],
        );
        let claims = vec![
            ("iss", r#""I""#.to_owned()),
            ("aud", r#""app""#.to_owned()),
            ("exp", (NOW + 300).to_string()),
            (TENANT, r#""Cust1""#.to_owned()),
        ];
        let claims = altered(claims, vec!["nbf", "iat", "sub", "jti"]);
        let accepted = std::cell::Cell::new(0);
        proptest!(ProptestConfig::with_cases(2000), |(header in header, claims in claims)| {
            let Some((tenant, at)) = token(&compact(&header, &claims)) else { return Ok(()) };
            accepted.set(accepted.get() + 1);
            let header: serde_json::Value = serde_json::from_str(&header).unwrap();
            let claims: serde_json::Value = serde_json::from_str(&claims).unwrap();
            prop_assert_eq!(&header["alg"], "RS256");
            prop_assert!(header.get("crit").is_none() && header.get("b64").is_none());
            prop_assert_eq!(&claims["iss"], "I");
            prop_assert!(claims["aud"].to_string().to_lowercase().contains("app"));
            prop_assert_eq!(&claims[TENANT], &tenant);
            prop_assert!(claims.get("exp").is_some());
            prop_assert!(at <= NOW + 60);
        });
        assert!(accepted.get() > 200, "only {} were accepted", accepted.get());
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "\\PC{0,200}") {
            prop_assert_eq!(token(&text), None);
        }

        #[test]
        fn any_change_of_one_character_is_judged(index in 0_usize..200, by in any::<char>()) {
            let mut text: Vec<char> = good().chars().collect();
            let index = index % text.len();
            text[index] = by;
            let changed: String = text.into_iter().collect();
            if let Some((tenant, at)) = token(&changed) {
                prop_assert!(!tenant.is_empty() && at <= NOW + 60);
            }
        }

        #[test]
        fn any_bytes_are_read_as_keys(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(keys(&bytes), [0; 3]);
        }

        #[test]
        fn any_key_set_is_read(
            members in prop::collection::vec(object(vec!["kty", "kid", "x5t", "use", "alg", "n", "e"]), 0..9),
        ) {
            prop_assert_eq!(keys(format!("{{\"keys\":[{}]}}", members.join(",")).as_bytes()), [0; 3]);
        }
    }
}
