//! The claims of a refused token that may be logged.

use std::borrow::Cow;

use crate::json::{self, Value};

use super::compact::Compact;

/// The longest value that is logged, in bytes of the escaped text.
const MAX_LOGGED: usize = 128;

/// The members of a refused token that tell an operator why it was refused. Their true values are
/// not documented, so the first refusals have to show them.
///
/// Anything but visible ASCII and spaces is escaped, and long values are cut. Neither the token
/// itself nor a claim about a person is ever logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LoggedClaims {
    pub(crate) iss: Option<String>,
    pub(crate) aud: Option<String>,
    pub(crate) kid: Option<String>,
}

impl LoggedClaims {
    /// Parses as much of `token` as is well-formed, without verifying any of it.
    pub(crate) fn from_token(token: &str) -> Self {
        let Ok(token) = Compact::split(token) else { return Self::default() };
        let header = json::object(token.header()).unwrap_or_default();
        let claims = json::object(token.claims()).unwrap_or_default();
        Self {
            iss: claims.get("iss").map(escape_value),
            aud: claims.get("aud").map(escape_value),
            kid: header.get("kid").or_else(|| header.get("x5t")).map(escape_value),
        }
    }
}

/// Returns a value as it may be logged. One with an `@` may be a person's address, which no issuer,
/// audience or key of SuperOffice contains.
fn escape_value(value: &Value<'_>) -> String {
    let text: Cow<'_, str> = match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(items) => {
            let items: Vec<&str> = items
                .iter()
                .take(MAX_LOGGED)
                .map(|item| item.as_str().unwrap_or("(no string)"))
                .collect();
            Cow::Owned(items.join(", "))
        }
        _ => Cow::Borrowed("(no string)"),
    };
    if text.contains('@') {
        return "(with @)".to_owned();
    }
    let mut escaped = String::new();
    for character in text.chars().take(MAX_LOGGED + 1) {
        let start = escaped.len();
        match character {
            ' ' | '!'..='~' => escaped.push(character),
            other => escaped.extend(other.escape_default()),
        }
        if escaped.len() > MAX_LOGGED {
            escaped.truncate(start);
            break;
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    fn logged(header: &str, claims: &str) -> LoggedClaims {
        let part = |text| URL_SAFE_NO_PAD.encode(text);
        LoggedClaims::from_token(&format!("{}.{}.AQI", part(header), part(claims)))
    }

    #[test]
    fn logged_claims_are_escaped_and_cut() {
        let all = logged(r#"{"kid":"K"}"#, r#"{"iss":"SuperOffice AS","aud":["a","spn:b",1]}"#);
        assert_eq!(all.iss.as_deref(), Some("SuperOffice AS"));
        assert_eq!(all.aud.as_deref(), Some("a, spn:b, (no string)"));
        assert_eq!(all.kid.as_deref(), Some("K"));

        let hostile = logged(r#"{"x5t":"a\r\nb\u001b[31m\u0085\u202e"}"#, "[]");
        assert_eq!(hostile.kid.as_deref(), Some(r"a\r\nb\u{1b}[31m\u{85}\u{202e}"));
        assert_eq!((hostile.iss, hostile.aud), (None, None));

        for iss in ["a".repeat(2000), "\u{e9}".repeat(1000), "\u{1f600}".repeat(500)] {
            let iss = logged("{}", &format!(r#"{{"iss":"{iss}"}}"#)).iss.unwrap();
            assert!((116..=128).contains(&iss.len()), "{}", iss.len());
            assert!(iss.ends_with(['a', '}']), "no escape is cut in two: {iss}");
        }
        assert_eq!(logged("{}", r#"{"iss":{"deep":1}}"#).iss.as_deref(), Some("(no string)"));
        for personal in [r#""someone@example.com""#, r#"["app","someone@example.com"]"#] {
            let claims = logged("{}", &format!(r#"{{"iss":{personal},"aud":{personal}}}"#));
            assert_eq!(claims.iss.as_deref(), Some("(with @)"));
            assert_eq!(claims.aud.as_deref(), Some("(with @)"));
        }
        assert_eq!(LoggedClaims::from_token("not.a.token"), LoggedClaims::default());
    }
}
