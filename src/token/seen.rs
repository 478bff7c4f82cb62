//! What a refused token claimed, for the log.

use std::borrow::Cow;

use serde_json::Value;

use crate::json;

use super::compact::Compact;

/// The longest value that is shown, in characters of the escaped text.
const MAX_SHOWN: usize = 128;

/// The members of a refused token that tell an operator why: their true values are not documented,
/// and a first day in production must not be guesswork.
///
/// Anything but visible ASCII and spaces is escaped, and long values are cut. The token itself is
/// not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) iss: Option<String>,
    pub(crate) aud: Option<String>,
    pub(crate) kid: Option<String>,
}

impl Seen {
    /// Reads what can be read of `token`, believing nothing.
    pub(crate) fn of(token: &str) -> Self {
        let Ok(token) = Compact::split(token) else { return Self::default() };
        let header = json::object(&token.header).unwrap_or_default();
        let claims = json::object(&token.claims).unwrap_or_default();
        Self {
            iss: claims.get("iss").map(shown),
            aud: claims.get("aud").map(shown),
            kid: header.get("kid").or_else(|| header.get("x5t")).map(shown),
        }
    }
}

fn shown(value: &Value) -> String {
    let text: Cow<'_, str> = match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(list) => {
            let items: Vec<&str> = list
                .iter()
                .take(MAX_SHOWN)
                .map(|item| item.as_str().unwrap_or("(no string)"))
                .collect();
            Cow::Owned(items.join(", "))
        }
        _ => Cow::Borrowed("(no string)"),
    };
    let mut shown = String::new();
    for character in text.chars().take(MAX_SHOWN + 1) {
        let start = shown.len();
        match character {
            ' ' | '!'..='~' => shown.push(character),
            other => shown.extend(other.escape_default()),
        }
        if shown.len() > MAX_SHOWN {
            shown.truncate(start);
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    fn seen(header: &str, claims: &str) -> Seen {
        let part = |text| URL_SAFE_NO_PAD.encode(text);
        Seen::of(&format!("{}.{}.AQI", part(header), part(claims)))
    }

    #[test]
    fn claims_are_shown_escaped_and_cut() {
        let all = seen(r#"{"kid":"K"}"#, r#"{"iss":"SuperOffice AS","aud":["a","spn:b",1]}"#);
        assert_eq!(all.iss.as_deref(), Some("SuperOffice AS"));
        assert_eq!(all.aud.as_deref(), Some("a, spn:b, (no string)"));
        assert_eq!(all.kid.as_deref(), Some("K"));

        let hostile = seen(r#"{"x5t":"a\r\nb\u001b[31m\u0085\u202e"}"#, "[]");
        assert_eq!(hostile.kid.as_deref(), Some(r"a\r\nb\u{1b}[31m\u{85}\u{202e}"));
        assert_eq!((hostile.iss, hostile.aud), (None, None));

        for iss in ["a".repeat(2000), "\u{e9}".repeat(1000), "\u{1f600}".repeat(500)] {
            let iss = seen("{}", &format!(r#"{{"iss":"{iss}"}}"#)).iss.unwrap();
            assert!((116..=128).contains(&iss.len()), "{}", iss.len());
            assert!(iss.ends_with(['a', '}']), "no escape is cut in two: {iss}");
        }
        assert_eq!(seen("{}", r#"{"iss":{"deep":1}}"#).iss.as_deref(), Some("(no string)"));
        assert_eq!(Seen::of("not.a.token"), Seen::default());
    }
}
