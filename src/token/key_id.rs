//! The names of keys in tokens: `kid`, `x5t`, and each in the other's spelling.
//!
//! SuperOffice's `kid` is the SHA-1 thumbprint of its certificate in upper-case hex, its `x5t` the
//! same 20 bytes in base64url; older key sets carry the base64url form as `kid`.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::hex;

type Thumbprint = [u8; 20];

/// The names of a key, or the names by which a token selects one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyIds<'t> {
    kid: Option<Cow<'t, str>>,
    x5t: Option<Cow<'t, str>>,
}

impl KeyIds<'static> {
    /// Derives the names from a certificate as SuperOffice does.
    pub(super) fn from_certificate(der: &[u8]) -> Self {
        let thumbprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, der);
        let kid = hex::upper(thumbprint.as_ref());
        Self::new(Some(kid), Some(URL_SAFE_NO_PAD.encode(thumbprint)))
    }
}

impl<'t> KeyIds<'t> {
    pub(super) fn new<T: Into<Cow<'t, str>>>(kid: Option<T>, x5t: Option<T>) -> Self {
        Self { kid: kid.map(Into::into), x5t: x5t.map(Into::into) }
    }

    pub(super) fn into_owned(self) -> KeyIds<'static> {
        let own = |id: Option<Cow<'t, str>>| id.map(Cow::into_owned);
        KeyIds::new(own(self.kid), own(self.x5t))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kid.is_none() && self.x5t.is_none()
    }

    /// Returns the name to show: `kid` if there is one, else `x5t`.
    pub(super) fn name(&self) -> Option<&str> {
        self.kid.as_deref().or(self.x5t.as_deref())
    }

    pub(super) fn same_kid(&self, other: &KeyIds<'_>) -> bool {
        match (&self.kid, &other.kid) {
            (Some(a), Some(b)) => a == b || (is_hex(a) && a.eq_ignore_ascii_case(b)),
            _ => false,
        }
    }

    pub(super) fn same_x5t(&self, other: &KeyIds<'_>) -> bool {
        self.x5t.is_some() && self.x5t == other.x5t
    }

    /// Returns whether any name of one spells the same thumbprint as any name of the other.
    pub(super) fn same_thumbprint(&self, other: &KeyIds<'_>) -> bool {
        let others = other.thumbprints();
        self.thumbprints().iter().flatten().any(|own| others.iter().flatten().any(|its| its == own))
    }

    fn thumbprints(&self) -> [Option<Thumbprint>; 2] {
        [&self.kid, &self.x5t].map(|id| id.as_deref().and_then(parse_thumbprint))
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Parses 40 hex digits, or 27 characters of base64url, as the 20 bytes that they spell.
fn parse_thumbprint(id: &str) -> Option<Thumbprint> {
    if id.len() == 27 {
        return URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok();
    }
    if id.len() != 40 {
        return None;
    }
    let mut bytes = Thumbprint::default();
    let (pairs, _) = id.as_bytes().as_chunks::<2>();
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = hex::byte(*high, *low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // SuperOffice's published thumbprint of its production certificate.
    const HEX: &str = "60B61583DBB2B7EEC46FD01EC0056E62451D61F3";
    const BASE64: &str = "YLYVg9uyt-7Eb9AewAVuYkUdYfM";

    fn kid(id: &str) -> KeyIds<'_> {
        KeyIds::new(Some(id), None)
    }

    fn x5t(id: &str) -> KeyIds<'_> {
        KeyIds::new(None, Some(id))
    }

    #[test]
    fn hex_kids_are_equal_ignoring_case_and_others_are_not() {
        assert!(kid(HEX).same_kid(&kid(&HEX.to_lowercase())));
        assert!(kid("abc").same_kid(&kid("ABC")));
        assert!(!kid("key").same_kid(&kid("KEY")));
        assert!(!kid(BASE64).same_kid(&kid(&BASE64.to_lowercase())));
        assert!(!KeyIds::default().same_kid(&KeyIds::default()));
        assert!(!KeyIds::default().same_x5t(&KeyIds::default()));
    }

    #[test]
    fn the_spellings_convert_into_one_another() {
        let lower = HEX.to_lowercase();
        let spellings = [kid(HEX), kid(&lower), kid(BASE64), x5t(HEX), x5t(BASE64)];
        for a in &spellings {
            for b in &spellings {
                assert!(a.same_thumbprint(b), "{a:?} {b:?}");
            }
            assert!(!a.same_thumbprint(&kid("60B61583DBB2B7EEC46FD01EC0056E62451D61F4")));
            assert!(!a.same_thumbprint(&KeyIds::default()));
        }
        // The last character has two bits too many: another spelling of the same bytes.
        assert!(!x5t(BASE64).same_thumbprint(&x5t("YLYVg9uyt-7Eb9AewAVuYkUdYfN")));
        assert!(!kid("name").same_thumbprint(&kid("name")));
    }

    #[test]
    fn a_certificate_has_both_names() {
        // SHA-1 of "abc", FIPS 180.
        let ids = KeyIds::from_certificate(b"abc");
        let x5t = "qZk-NkcGgWq6PiVxeFDCbJzQ2J0";
        assert_eq!(ids, KeyIds::new(Some("A9993E364706816ABA3E25717850C26C9CD0D89D"), Some(x5t)));
    }
}
