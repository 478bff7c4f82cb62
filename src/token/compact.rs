//! The compact form: `base64url(header) . base64url(claims) . base64url(signature)`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::TokenError;

/// The longest token that is parsed, in bytes.
pub(crate) const MAX_TOKEN: usize = 8 * 1024;

/// The decoded parts of a token, none of them verified.
#[cfg_attr(test, derive(Debug))]
pub(super) struct Compact<'t> {
    signed: &'t str,
    /// The bytes of the three parts, one after the other.
    parts: Vec<u8>,
    header_end: usize,
    claims_end: usize,
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
        let mut parts = Vec::with_capacity(token.len());
        let header_end = decode_part(header, &mut parts)?;
        let claims_end = decode_part(claims, &mut parts)?;
        decode_part(signature, &mut parts)?;
        Ok(Self { signed, parts, header_end, claims_end })
    }

    /// Returns the text that the signature covers: the first two parts as received, and the dot
    /// between.
    pub(super) fn signed(&self) -> &'t str {
        self.signed
    }

    pub(super) fn header(&self) -> &[u8] {
        self.parts.get(..self.header_end).unwrap_or_default()
    }

    pub(super) fn claims(&self) -> &[u8] {
        self.parts.get(self.header_end..self.claims_end).unwrap_or_default()
    }

    pub(super) fn signature(&self) -> &[u8] {
        self.parts.get(self.claims_end..).unwrap_or_default()
    }
}

/// Decodes one part in its only spelling: nothing outside the base64url alphabet, so no further
/// dot, no padding and no white space, and no bits beyond the last byte. Appends its bytes to those
/// of the `parts` before, and returns where they end.
fn decode_part(text: &str, parts: &mut Vec<u8>) -> Result<usize, TokenError> {
    let start = parts.len();
    URL_SAFE_NO_PAD.decode_vec(text, parts).map_err(|_| TokenError::Malformed)?;
    if parts.len() > start { Ok(parts.len()) } else { Err(TokenError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_canonical_parts_are_split() {
        let token = Compact::split("e30.e30.AQI").unwrap();
        assert_eq!(
            (token.header(), token.claims(), token.signature()),
            (&b"{}"[..], &b"{}"[..], &[1, 2][..])
        );
        assert_eq!(token.signed(), "e30.e30");
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
