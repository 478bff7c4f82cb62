//! Signing keys given as values or files.

use std::{fmt, fs::File, io::Read, path::Path};

use super::{KeyError, certificate, key::Key, key_set};
use crate::json;

/// The largest key file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The public keys that verify notifications.
///
/// An [`Environment`](crate::Environment) publishes its keys at a URL, which a gate fetches by
/// itself. Keys given here are used instead of those, or beside them where
/// [`key_url`](crate::TenantGateBuilder::key_url) is set. SuperOffice also publishes certificates
/// (`SuperOfficeFederatedLogin.crt`), one per environment: give the one of yours.
///
/// Of a certificate only the key is used. Neither its chain nor its dates are checked.
///
/// ```no_run
/// use tower_superoffice::token::SigningKeys;
///
/// let keys = SigningKeys::from_file("SuperOfficeFederatedLogin.crt")?;
/// println!("{keys:?}");
/// # Ok::<(), tower_superoffice::token::KeyError>(())
/// ```
#[derive(Clone, Default)]
pub struct SigningKeys(Vec<Key>);

impl SigningKeys {
    /// Parses every `CERTIFICATE` and `PUBLIC KEY` block of a PEM text.
    ///
    /// The `kid` and `x5t` of a certificate's key are derived as SuperOffice does. A key from a
    /// bare `PUBLIC KEY` has no name and is tried when a token names no other key.
    ///
    /// # Errors
    ///
    /// When a block is damaged, is neither of the two, or holds a key that is not RSA or has fewer
    /// than 2048 or more than 8192 bits; and when there is none.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        certificate::from_pem(pem.as_ref()).map(Self)
    }

    /// Parses one X.509 certificate in DER, of any version, with any signature.
    ///
    /// # Errors
    ///
    /// When it is not a certificate, or its key is not RSA or has fewer than 2048 or more than 8192
    /// bits.
    pub fn from_certificate_der(certificate: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        certificate::from_certificate(certificate.as_ref()).map(|key| Self(vec![key]))
    }

    /// Parses the usable keys of a JSON Web Key Set: RSA, for signatures, for RS256, of 2048 to
    /// 8192 bits. Others are skipped, and so are all after the first 64.
    ///
    /// # Errors
    ///
    /// When it is not a key set, or none of its keys can be used.
    pub fn from_key_set(json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        key_set::parse_key_set(json.as_ref()).map(Self)
    }

    /// Reads and parses a file in any of the three forms.
    ///
    /// It blocks while it reads: call it before the server starts.
    ///
    /// # Errors
    ///
    /// As the other constructors, with the file's name; and when the file can't be read or is
    /// larger than 1 MiB.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
            .map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
        let keys = if bytes.len() as u64 > MAX_FILE {
            Err(KeyError::TooLong)
        } else {
            Self::from_any_form(&bytes)
        };
        keys.map_err(|fault| KeyError::File { path: path.to_owned(), fault: Box::new(fault) })
    }

    fn from_any_form(bytes: &[u8]) -> Result<Self, KeyError> {
        // Editors on Windows put a byte order mark before text.
        let text = json::strip_bom(bytes);
        if text.trim_ascii_start().starts_with(b"{") {
            Self::from_key_set(text)
        } else if text.windows(11).any(|window| window == b"-----BEGIN ") {
            Self::from_pem(text)
        } else {
            Self::from_certificate_der(bytes)
        }
    }

    /// Adds the keys of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the name, modulus and exponent of each key: what a fuzz target compares.
    #[cfg(feature = "test-util")]
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Option<&str>, &[u8], &[u8])> {
        self.0.iter().map(|key| {
            let (n, e) = key.numbers();
            (key.ids().name(), n, e)
        })
    }

    pub(super) fn as_slice(&self) -> &[Key] {
        &self.0
    }
}

impl Extend<SigningKeys> for SigningKeys {
    fn extend<I: IntoIterator<Item = SigningKeys>>(&mut self, others: I) {
        self.0.extend(others.into_iter().flat_map(|keys| keys.0));
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKeys").field(&self.0).finish()
    }
}
