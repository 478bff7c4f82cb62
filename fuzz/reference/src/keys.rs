//! The rules for key sets, PEM texts and certificates.

use aws_lc_rs::rsa::{PublicEncryptingKey, PublicKeyComponents};
use serde_json::Value;
use tower_superoffice::fuzzing;

use super::{json::object, token::decoded};

/// The id, modulus and exponent of a key.
type Part = (Option<String>, Vec<u8>, Vec<u8>);

/// Parses `bytes` as a key set, as PEM and as a certificate, and returns the number of keys of
/// each.
///
/// Panics unless a key set yields exactly the keys of the rules, and the cryptographic library
/// accepts every key.
#[must_use]
pub fn keys(bytes: &[u8]) -> [usize; 3] {
    let [set, pem, certificate] = fuzzing::keys(bytes);
    for (_, n, e) in set.iter().chain(&pem).chain(&certificate) {
        assert!(is_rsa(n, e), "an exponent of {e:?} and a modulus of {} bytes", n.len());
        let key = PublicKeyComponents { n, e };
        assert!(TryInto::<PublicEncryptingKey>::try_into(key).is_ok(), "the library refuses it");
    }
    for (_, n, _) in &certificate {
        assert!(bytes.windows(n.len()).any(|window| window == n), "a modulus from nowhere");
    }
    let counts = [set.len(), pem.len(), certificate.len()];
    assert_eq!(set, expected(bytes), "the keys of a set, and what the rules say");
    counts
}

/// Applies the rules for a key set, one after the other.
fn expected(text: &[u8]) -> Vec<Part> {
    let set = object(text).unwrap_or_default();
    let members = set.get("keys").and_then(Value::as_array);
    members.into_iter().flatten().filter_map(usable).take(64).collect()
}

fn usable(member: &Value) -> Option<Part> {
    let member = member.as_object()?;
    let text = |name| match member.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text.as_str())),
        Some(_) => None,
    };
    let id = |name| {
        let is_id = |id: &str| {
            !id.is_empty() && id.len() <= 128 && id.chars().all(|c| ('!'..='~').contains(&c))
        };
        text(name).filter(|id| id.is_none_or(is_id))
    };
    let number = |name| {
        let bytes = decoded(text(name)??)?;
        Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>())
    };
    let (n, e) = (number("n")?, number("e")?);
    let fits = text("kty")? == Some("RSA")
        && matches!(text("use")?, None | Some("sig"))
        && matches!(text("alg")?, None | Some("RS256"))
        && is_rsa(&n, &e);
    // The certificates are not used, and have to be texts all the same.
    let is_chain = match member.get("x5c") {
        None | Some(Value::Null) => true,
        Some(Value::Array(certificates)) => certificates.iter().all(Value::is_string),
        Some(_) => false,
    };
    let (kid, x5t) = (id("kid")?, id("x5t")?);
    (fits && is_chain).then(|| (kid.or(x5t).map(str::to_owned), n, e))
}

/// Returns whether `n` has 2048 to 8192 bits without leading zeros, `e` is from 3 to 2^33, and both
/// are odd. Both are big-endian.
fn is_rsa(n: &[u8], e: &[u8]) -> bool {
    let (Some(first), Some(last)) = (n.first(), n.last()) else { return false };
    let long_enough = n.len() > 256 || (n.len() == 256 && *first >= 0x80);
    let e = (e.len() <= 8).then(|| e.iter().fold(0_u64, |e, byte| e << 8 | u64::from(*byte)));
    long_enough
        && n.len() <= 1024
        && *first != 0
        && last % 2 == 1
        && e.is_some_and(|e| (3..1 << 33).contains(&e) && e % 2 == 1)
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, path::Path};

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::strategies::{altered, object};

    fn fixture(name: &str) -> Vec<u8> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
        std::fs::read(fixtures.join(name)).unwrap()
    }

    #[test]
    fn every_form_gives_its_key() {
        assert_eq!(keys(&fixture("jwks.json")), [1, 0, 0]);
        assert_eq!(keys(&fixture("public.pem")), [0, 1, 0]);
        assert_eq!(keys(&fixture("v1-sha1.crt")), [0, 1, 0]);
        assert_eq!(keys(&fixture("v1-sha1.der")), [0, 0, 1]);
        assert_eq!(keys(&fixture("weak.crt")), [0; 3]);
    }

    /// Generates a number with about as many bits as the limits, or far fewer.
    fn modulus() -> impl Strategy<Value = Vec<u8>> {
        let length = select(vec![128, 255, 256, 256, 256, 256, 257, 512, 1024, 1025]);
        let zeros = prop_oneof![5 => Just(0), 1 => 1..3_usize];
        (zeros, length.prop_flat_map(|length| prop::collection::vec(any::<u8>(), length))).prop_map(
            |(zeros, mut number)| {
                // Nearly always odd and long enough, so that later rules are reached.
                *number.last_mut().unwrap() |= u8::from(number[1] != 0);
                number[0] |= if number[1] < 200 { 0x80 } else { 0 };
                [vec![0; zeros], number].concat()
            },
        )
    }

    fn exponent() -> impl Strategy<Value = Vec<u8>> {
        let usual = select(vec![&[1, 0, 1][..], &[3], &[0, 3], &[1], &[2], &[], &[1, 0, 0, 0, 1]]);
        prop_oneof![
            3 => Just(vec![1, 0, 1]),
            1 => usual.prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 0..9),
        ]
    }

    /// Generates a member of a key set that may be a usable key.
    fn member() -> impl Strategy<Value = String> {
        (modulus(), exponent()).prop_flat_map(|(n, e)| {
            let text = |bytes: Vec<u8>| format!("\"{}\"", URL_SAFE_NO_PAD.encode(bytes));
            let good = vec![
                ("kty", r#""RSA""#.to_owned()),
                ("kid", r#""K""#.to_owned()),
                ("n", text(n)),
                ("e", text(e)),
            ];
            altered(good, vec!["use", "alg", "x5t", "x5c"])
        })
    }

    #[test]
    fn altered_key_sets_give_the_keys_that_the_rules_say() {
        let names = vec!["kty", "kid", "x5t", "use", "alg", "n", "e"];
        let members = prop_oneof![4 => member(), 1 => object(names)];
        let (accepted, refused) = (Cell::new(0), Cell::new(0));
        let members = prop::collection::vec(members, 0..6);
        proptest!(ProptestConfig::with_cases(1000), |(members in members)| {
            let [found, ..] = keys(format!("{{\"keys\":[{}]}}", members.join(",")).as_bytes());
            accepted.set(accepted.get() + found);
            refused.set(refused.get() + members.len() - found);
        });
        assert!(accepted.get() > 100 && refused.get() > 200, "{accepted:?}, {refused:?}");
    }

    #[test]
    fn damaged_certificates_give_sound_keys_or_none() {
        let der = fixture("v1-sha1.der");
        let damage = (any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>());
        let accepted = Cell::new(0);
        proptest!(ProptestConfig::with_cases(1000), |((at, by, end) in damage)| {
            let mut changed = der.clone();
            changed[at.index(der.len())] = by;
            accepted.set(accepted.get() + keys(&changed)[2]);
            prop_assert_eq!(keys(&changed[..end.index(der.len())]), [0; 3]);
        });
        assert!((100..1000).contains(&accepted.get()), "{} were accepted", accepted.get());
    }

    #[test]
    fn damaged_texts_give_sound_keys_or_none() {
        let text = fixture("public.pem");
        let damage = (any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>());
        let accepted = Cell::new(0);
        proptest!(ProptestConfig::with_cases(1000), |((at, by, end) in damage)| {
            let mut changed = [&text[..], &text].concat();
            changed[at.index(2 * text.len())] = by;
            accepted.set(accepted.get() + keys(&changed)[1]);
            prop_assert!(keys(&text[..end.index(text.len())])[1] <= 1);
        });
        assert!((200..2000).contains(&accepted.get()), "{} were accepted", accepted.get());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_keys(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(keys(&bytes), [0; 3]);
        }
    }
}
