//! JSON for property tests: members of every type, plausible and implausible.

use proptest::{prelude::*, sample::select};

use super::{NOW, TENANT, compact};

/// Generates a token of the two texts with the signature that the stub accepts.
pub(super) fn token_of(header: &str, claims: &str) -> String {
    compact(header.as_bytes(), claims.as_bytes())
}

/// Builds a token that is accepted.
pub(super) fn good_token(tenant: &str) -> String {
    let exp = NOW + 300;
    let claims = format!(r#"{{"iss":"I","aud":"app","exp":{exp},"{TENANT}":"{tenant}"}}"#);
    token_of(r#"{"alg":"RS256"}"#, &claims)
}

/// Generates values of every type, plausible and implausible.
pub(super) fn value() -> impl Strategy<Value = String> {
    let plain = select(vec![
        "null",
        "true",
        "0",
        "-1",
        "4294967295",
        "4294967296",
        "1700000300",
        "1700000300.5",
        "\"1700000300\"",
        "\"+1700000300\"",
        "1e400",
        "1e18",
        "{\"$serde_json::private::Number\":\"1700000300\"}",
        "\"app\"",
        "\"spn:APP\"",
        "[\"app\"]",
        "[\"app\",1]",
        "[]",
        "{}",
        "\"I\"",
        "\"RS256\"",
        "\"none\"",
        "\"JWT\"",
        "\"application/jwt\"",
        "\"Cust1\"",
        "\"cUST1\"",
        "\"Cust2\"",
        "\"someone@example.com\"",
        "\"2\"",
        "\"sUSPEND\"",
        "\"4294967296\"",
        "\"a/b\"",
        "\"\\u0000\"",
        "\"\"",
        "[[[[1]]]]",
        "{\"a\":1,\"a\":2}",
    ]);
    prop_oneof![3 => plain.prop_map(str::to_owned), 1 => "\"[ -!#-\\[\\]-~]{0,12}\""]
}

/// Generates an object of a few of these members, some of them repeated.
pub(super) fn object(names: Vec<&'static str>) -> impl Strategy<Value = String> {
    prop::collection::vec((select(names), value()), 0..9).prop_map(|members| written(&members))
}

/// Generates `good` with a few members changed, added, repeated or removed.
pub(super) fn altered(
    good: Vec<(&'static str, String)>,
    others: Vec<&'static str>,
) -> impl Strategy<Value = String> {
    let names: Vec<_> = good.iter().map(|(name, _)| *name).chain(others).collect();
    let change = (select(names), prop::option::of(value()), prop::bool::weighted(0.05));
    prop::collection::vec(change, 0..3).prop_map(move |changes| {
        let mut members = good.clone();
        for (name, value, repeats) in changes {
            if !repeats {
                members.retain(|(other, _)| *other != name);
            }
            members.extend(value.map(|value| (name, value)));
        }
        written(&members)
    })
}

/// Generates altered claims of a valid token.
pub(super) fn altered_claims() -> impl Strategy<Value = String> {
    let claims = vec![
        ("iss", r#""I""#.to_owned()),
        ("aud", r#""app""#.to_owned()),
        ("exp", (NOW + 300).to_string()),
        (TENANT, r#""Cust1""#.to_owned()),
    ];
    let personal = "http://schemes.superoffice.net/identity/email";
    altered(claims, vec!["nbf", "iat", "sub", "jti", "nonce", "auth_time", "upn", personal])
}

fn written(members: &[(&str, String)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}
