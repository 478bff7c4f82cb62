//! The operator's token.

use std::{ffi::OsStr, fmt, fs, path::Path};

use axum::http::HeaderValue;
use subtle::ConstantTimeEq;

/// The variable that holds the token itself.
pub(super) const TOKEN: &str = "SUPEROFFICE_GATEWAY_OPERATOR_TOKEN";

/// The credential of an operator's orders. It is printed nowhere.
#[derive(Clone)]
pub(crate) struct OperatorToken {
    text: String,
    authorization: HeaderValue,
}

impl OperatorToken {
    /// Takes the token in `file` or in the variable's `value`, if either is given.
    pub(super) fn from_sources(
        file: Option<&Path>,
        value: Option<&OsStr>,
    ) -> Result<Option<Self>, String> {
        let (source, text) = match (file, value) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(format!("{TOKEN} cannot be used with '--operator-token-file <FILE>'"));
            }
            (Some(file), None) => {
                let source = format!("--operator-token-file {}", file.display());
                let text =
                    fs::read_to_string(file).map_err(|error| format!("{source}: {error}"))?;
                (source, text)
            }
            (None, Some(value)) => (TOKEN.to_owned(), value.to_string_lossy().into_owned()),
        };
        match Self::parse(text.trim()) {
            Some(token) => Ok(Some(token)),
            // Not taken for none: where a token has failed to arrive, orders must not need none.
            None if text.trim().is_empty() => {
                Err(format!("{source}: the token is empty; leave this out where none is meant"))
            }
            None => Err(format!("{source}: a token is a line of printable ASCII without blanks")),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let can_be_sent = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let authorization = HeaderValue::from_str(&format!("Bearer {text}"));
        let mut authorization = authorization.ok().filter(|_| can_be_sent)?;
        authorization.set_sensitive(true);
        Some(Self { text: text.to_owned(), authorization })
    }

    /// Returns the value of the header that shows it.
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// Whether `presented` is this token. The time that it takes tells at most the length.
    pub(crate) fn equals(&self, presented: &[u8]) -> bool {
        self.text.as_bytes().ct_eq(presented).into()
    }
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_one_line_and_is_not_printed() {
        let token = OperatorToken::from_sources(None, Some(OsStr::new(" hunter2\n"))).unwrap();
        let token = token.unwrap();
        assert!(token.equals(b"hunter2"));
        for other in ["", "hunter", "hunter22", "Hunter2"] {
            assert!(!token.equals(other.as_bytes()), "{other}");
        }
        assert!(!format!("{token:?}").contains("hunter2"));
        for value in ["", "  ", "two words", "two\nlines", "tøken"] {
            let refusal = OperatorToken::from_sources(None, Some(OsStr::new(value))).unwrap_err();
            assert!(refusal.contains(TOKEN) && !refusal.contains("words"), "{refusal}");
            assert_eq!(refusal.contains("empty"), value.trim().is_empty(), "{refusal}");
        }
    }
}
