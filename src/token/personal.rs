//! The claims by which a token speaks for a person.
//!
//! The id token of an OpenID Connect login has the same key, issuer, audience, tenant claim and
//! life as a notification's token, and any user of a tenant holds one: it travels through the
//! user's browser. The only difference is what it says of its user.

use serde_json::{Map, Value};

/// The prefix of SuperOffice's own claims. It starts with http because it is a name, not an
/// address.
pub(super) const IDENTITY: &str = "http://schemes.superoffice.net/identity/";

/// Claims about a user, with SuperOffice's prefix or without.
const OF_A_USER: [&str; 6] =
    ["associateid", "upn", "email", "is_administrator", "initials", "so_primary_email_address"];

/// Claims about a login, of OpenID Connect Core 1.0, sections 2 and 3.3.2.11.
const OF_A_LOGIN: [&str; 3] = ["at_hash", "c_hash", "auth_time"];

/// Returns whether `claims` speak for a person: they name a user or a login, or their subject is an
/// e-mail address.
pub(super) fn speak_for_a_person(claims: &Map<String, Value>) -> bool {
    let is_personal = |name: &str| {
        OF_A_USER.contains(&name.strip_prefix(IDENTITY).unwrap_or(name))
            || OF_A_LOGIN.contains(&name)
    };
    let subject = claims.get("sub").and_then(Value::as_str);
    claims.keys().any(|name| is_personal(name)) || subject.is_some_and(|sub| sub.contains('@'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn personal(name: &str, value: Value) -> bool {
        speak_for_a_person(&Map::from_iter([
            ("iss".to_owned(), json!("I")),
            (name.to_owned(), value),
        ]))
    }

    #[test]
    fn each_claim_of_a_user_or_a_login_is_personal() {
        for name in OF_A_USER {
            assert!(personal(name, json!("x")), "{name}");
            assert!(personal(&format!("{IDENTITY}{name}"), json!("x")), "{name}");
            assert!(personal(name, Value::Null), "its presence counts, not its value");
        }
        for name in OF_A_LOGIN {
            assert!(personal(name, json!(1)), "{name}");
            assert!(!personal(&format!("{IDENTITY}{name}"), json!(1)), "{name} has no prefix");
        }
        assert!(personal("sub", json!("someone@example.com")));
    }

    #[test]
    fn claims_of_a_service_token_are_not_personal() {
        for (name, value) in [
            ("sub", json!("Cust12345")),
            ("sub", json!(["someone@example.com"])),
            ("sub", Value::Null),
            ("nonce", json!("n-0S6")),
            ("jti", json!("1")),
            ("http://schemes.superoffice.net/identity/ctx", json!("Cust12345")),
            ("http://schemes.superoffice.net/identity/serial", json!("1234567890")),
            ("http://schemes.superoffice.net/identity/company_name", json!("Company")),
            ("http://schemes.superoffice.net/identity/netserver_url", json!("https://x")),
            ("http://schemes.superoffice.net/identity/", json!("x")),
            ("http://schemes.example.net/identity/email", json!("x")),
            ("emails", json!("x")),
            ("", json!("@")),
        ] {
            assert!(!personal(name, value.clone()), "{name} {value}");
        }
    }
}
