//! The id of a tenant: what SuperOffice calls its *context identifier*.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;

/// The id of a SuperOffice tenant, such as `Cust12345`.
///
/// 1 to 64 characters of `[A-Za-z0-9_-]`. SuperOffice serves tenants from paths that ignore case, so
/// two ids that differ in case only are equal and hash alike; the spelling first given is kept for
/// display. Ids of up to 23 characters (every id seen in practice) are stored inline: making and
/// cloning one allocates nothing.
///
/// ```
/// use tower_superoffice::TenantId;
///
/// let tenant: TenantId = "Cust12345".parse()?;
/// assert_eq!(tenant, TenantId::new("cust12345")?);
/// assert_eq!(tenant.to_string(), "Cust12345");
/// assert!(TenantId::new("../login").is_err());
/// # Ok::<(), tower_superoffice::InvalidTenantId>(())
/// ```
#[derive(Clone)]
pub struct TenantId(SmolStr);

/// The longest tenant id, in characters.
const MAX_LEN: usize = 64;

impl TenantId {
    /// Takes `id` as a tenant id.
    ///
    /// # Errors
    ///
    /// When `id` is empty, longer than 64 characters, or holds a character outside `[A-Za-z0-9_-]`.
    pub fn new(id: impl AsRef<str>) -> Result<Self, InvalidTenantId> {
        let id = id.as_ref();
        if is_tenant_id(id.as_bytes()) {
            Ok(Self(SmolStr::new(id)))
        } else {
            Err(InvalidTenantId { _private: () })
        }
    }

    /// The id as it was first spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `bytes` spell a tenant id.
pub(crate) fn is_tenant_id(bytes: &[u8]) -> bool {
    (1..=MAX_LEN).contains(&bytes.len()) && bytes.iter().all(|&byte| is_tenant_byte(byte))
}

/// Whether `byte` may stand in a tenant id.
pub(crate) const fn is_tenant_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

impl PartialEq for TenantId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for TenantId {}

impl Ord for TenantId {
    fn cmp(&self, other: &Self) -> Ordering {
        let folded = |id: &Self| id.0.as_bytes().to_ascii_lowercase();
        folded(self).cmp(&folded(other))
    }
}

impl PartialOrd for TenantId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for TenantId {
    /// Hashes eight characters at a time with bit 5 set, which folds case.
    ///
    /// On the alphabet of an id this loses nothing but the case: setting bit 5 maps `A-Z` onto
    /// `a-z`, leaves digits, `-` and `a-z` as they are, and moves `_` to a byte of its own (0x7f).
    fn hash<H: Hasher>(&self, state: &mut H) {
        const FOLD: u64 = 0x2020_2020_2020_2020;
        let (words, rest) = self.0.as_bytes().as_chunks::<8>();
        for word in words {
            state.write_u64(u64::from_le_bytes(*word) | FOLD);
        }
        let mut last = [0_u8; 8];
        for (slot, byte) in last.iter_mut().zip(rest) {
            *slot = *byte;
        }
        // The length goes in too: a padding of zeros must not read as a shorter id.
        state.write_u64((u64::from_le_bytes(last) | FOLD) ^ ((self.0.len() as u64) << 57));
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TenantId").field(&self.as_str()).finish()
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        Self::new(id)
    }
}

impl TryFrom<&str> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(id: &str) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl AsRef<str> for TenantId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Serialize for TenantId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TenantId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(Borrow::<str>::borrow(&id)).map_err(de::Error::custom)
    }
}

/// A text that is no tenant id.
///
/// The text itself is left out: it may come from a hostile sender, and errors end up in logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTenantId {
    _private: (),
}

impl fmt::Display for InvalidTenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a tenant id: give 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'")
    }
}

impl std::error::Error for InvalidTenantId {}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_the_alphabet_and_nothing_else() {
        for byte in 0..=u8::MAX {
            let text = [byte];
            let allowed = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            assert_eq!(is_tenant_id(&text), allowed, "{byte:#x}");
        }
        assert!(TenantId::new("").is_err());
        assert!(TenantId::new("a".repeat(64)).is_ok());
        assert!(TenantId::new("a".repeat(65)).is_err());
        assert!(TenantId::new("Cust\u{0661}").is_err());
    }

    #[test]
    fn serde_refuses_what_new_refuses() {
        assert!(serde_json::from_str::<TenantId>(r#""Cust1""#).is_ok());
        assert!(serde_json::from_str::<TenantId>(r#""Cust\u00311""#).is_ok());
        assert!(serde_json::from_str::<TenantId>(r#""Cust/1""#).is_err());
        assert!(serde_json::from_str::<TenantId>("1").is_err());
    }

    proptest! {
        #[test]
        fn equal_ids_hash_alike_and_unlike_ids_differ(a in "[A-Za-z0-9_-]{1,64}", b in "[A-Za-z0-9_-]{1,64}") {
            let hasher = foldhash::quality::RandomState::default();
            let hash = |id: &str| hasher.hash_one(TenantId::new(id).unwrap());
            prop_assert_eq!(hash(&a), hash(&a.to_ascii_lowercase()));
            prop_assert_eq!(hash(&a), hash(&a.to_ascii_uppercase()));
            if !a.eq_ignore_ascii_case(&b) {
                prop_assert_ne!(hash(&a), hash(&b));
            }
        }
    }
}
