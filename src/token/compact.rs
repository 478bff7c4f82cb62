//! The compact form: `base64url(header) . base64url(claims) . base64url(signature)`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::TokenError;

/// The longest token that is parsed, in bytes.
pub(crate) const MAX_TOKEN: usize = 8 * 1024;

/// The decoded parts of a token, none of them verified.
#[cfg_attr(test, derive(Debug))]
pub(super) struct Compact<'t> {
    /// The text that the signature covers: the first two parts as received, and the dot between.
    pub(super) signed: &'t str,
    pub(super) header: Vec<u8>,
    pub(super) claims: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'t> Compact<'t> {
    /// Splits a token at its two dots and decodes the three parts.
    pub(super) fn split(token: &'t str) -> Result<Self, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        Ok(Self {
            signed,
            header: decode_part(header)?,
            claims: decode_part(claims)?,
            signature: decode_part(signature)?,
        })
    }
}

/// Decodes one part in its only spelling: nothing outside the base64url alphabet, so no further
/// dot, no padding and no white space, and no bits beyond the last byte.
fn decode_part(text: &str) -> Result<Vec<u8>, TokenError> {
    match URL_SAFE_NO_PAD.decode(text) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(TokenError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_canonical_parts_are_split() {
        let token = Compact::split("e30.e30.AQI").unwrap();
        assert_eq!(
            (token.header, token.claims, token.signature),
            (b"{}".to_vec(), b"{}".to_vec(), vec![1, 2])
        );
        assert_eq!(token.signed, "e30.e30");
    }

    #[test]
    fn anything_else_is_malformed() {
        for token in [
            "e30",
            "e30.e30",
            ".",
            "..",
            "e30..AQI",
            ".e30.AQI",
            "e30.e30.",
            "e30.e30.AQI.",
            ".e30.e30.AQI",
            "e30.e30.AQI.AQI",
            "e30.e30.AQI=",
            "e30=.e30.AQI",
            "e30.e30.AQJ",
            "e31.e30.AQI",
            "e30.e30.A",
            "e30.e30.A+I",
            "e30.e30.A/I",
            "e30.e30.AQI\n",
            " e30.e30.AQI",
            "e30.e30.AQ I",
            "e30.e30.AQ\u{0}",
            "e30.e30.\u{430}QI",
        ] {
            assert_eq!(Compact::split(token).unwrap_err(), TokenError::Malformed, "{token:?}");
        }
        assert_eq!(Compact::split("").unwrap_err(), TokenError::Missing);
        let dots = ".".repeat(5000);
        assert_eq!(Compact::split(&dots).unwrap_err(), TokenError::Malformed);
    }

    #[test]
    fn eight_kib_is_the_limit() {
        let long = |len: usize| format!("e30.{}.AQI", "A".repeat(len - 8));
        assert!(Compact::split(&long(MAX_TOKEN)).is_ok());
        assert_eq!(Compact::split(&long(MAX_TOKEN + 1)).unwrap_err(), TokenError::TooLong);
    }
}
