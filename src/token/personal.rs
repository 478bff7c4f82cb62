//! The claims by which a token speaks for a person.
//!
//! The id token of an OpenID Connect login has the same key, issuer, audience, tenant claim and
//! life as a notification's token, and any user of a tenant holds one: it travels through the
//! user's browser. The only difference is what it says of its user.

use crate::json::Value;

/// The prefix of SuperOffice's own claims. It starts with http because it is a name, not an
/// address.
pub(super) const IDENTITY: &str = "http://schemes.superoffice.net/identity/";

/// Claims about a user, with SuperOffice's prefix or without.
const OF_A_USER: [&str; 6] =
    ["associateid", "upn", "email", "is_administrator", "initials", "so_primary_email_address"];

/// Claims about a login, of OpenID Connect Core 1.0, sections 2 and 3.3.2.11.
const OF_A_LOGIN: [&str; 3] = ["at_hash", "c_hash", "auth_time"];

/// Returns whether a claim speaks for a person: it names a user or a login, or it is a subject that
/// is an e-mail address.
pub(super) fn is_personal(name: &str, value: &Value<'_>) -> bool {
    OF_A_USER.contains(&name.strip_prefix(IDENTITY).unwrap_or(name))
        || OF_A_LOGIN.contains(&name)
        || (name == "sub" && value.as_str().is_some_and(|subject| subject.contains('@')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Number;

    const NULL: Value<'_> = Value::Null;
    const NUMBER: Value<'_> = Value::Number(Number::Natural(1));

    fn text(text: &str) -> Value<'_> {
        Value::String(text.into())
    }

    #[test]
    fn each_claim_of_a_user_or_a_login_is_personal() {
        for name in OF_A_USER {
            assert!(is_personal(name, &text("x")), "{name}");
            assert!(is_personal(&format!("{IDENTITY}{name}"), &text("x")), "{name}");
            assert!(is_personal(name, &NULL), "its presence counts, not its value");
        }
        for name in OF_A_LOGIN {
            assert!(is_personal(name, &NUMBER), "{name}");
            assert!(!is_personal(&format!("{IDENTITY}{name}"), &NUMBER), "{name} has no prefix");
        }
        assert!(is_personal("sub", &text("someone@example.com")));
    }

    #[test]
    fn claims_of_a_service_token_are_not_personal() {
        for (name, value) in [
            ("sub", text("Cust12345")),
            ("sub", Value::Array(vec![text("someone@example.com")])),
            ("sub", NULL),
            ("nonce", text("n-0S6")),
            ("jti", text("1")),
            ("http://schemes.superoffice.net/identity/ctx", text("Cust12345")),
            ("http://schemes.superoffice.net/identity/serial", text("1234567890")),
            ("http://schemes.superoffice.net/identity/company_name", text("Company")),
            ("http://schemes.superoffice.net/identity/netserver_url", text("https://x")),
            ("http://schemes.superoffice.net/identity/", text("x")),
            ("http://schemes.example.net/identity/email", text("x")),
            ("emails", text("x")),
            ("", text("@")),
        ] {
            assert!(!is_personal(name, &value), "{name} {value:?}");
        }
    }
}
