//! The id of a tenant: SuperOffice's *context identifier*.

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
/// 1 to 64 characters of `[A-Za-z0-9_-]`. SuperOffice serves tenants from paths that ignore case,
/// so two ids that differ in case only are equal and have the same hash; the given spelling is kept
/// for display. Ids of up to 23 characters (every known id) are stored inline: creating and cloning
/// one allocates nothing.
///
/// ```
/// use tower_superoffice::TenantId;
///
/// let tenant: TenantId = "Cust12345".parse()?;
/// assert_eq!(tenant, TenantId::new("cust12345")?);
/// assert_eq!(tenant.to_string(), "Cust12345");
/// assert!(TenantId::new("../login").is_err());
/// # Ok::<(), tower_superoffice::status::InvalidTenantId>(())
/// ```
#[derive(Clone)]
pub struct TenantId(SmolStr);

/// The longest tenant id, in characters.
const MAX_LEN: usize = 64;

impl TenantId {
    /// Creates a tenant id.
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

    /// Creates a tenant id from a checked one: 1 to 64 characters for which [`is_tenant_byte`]
    /// holds.
    #[inline]
    pub(crate) fn from_checked(id: &str) -> Self {
        debug_assert!(is_tenant_id(id.as_bytes()), "not a tenant id");
        Self(SmolStr::new(id))
    }

    #[inline]
    pub(crate) fn folded(&self) -> FoldedId<'_> {
        FoldedId(self.0.as_bytes())
    }

    /// Returns the id as it was spelled when it was created.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether `bytes` spell a tenant id.
pub(crate) fn is_tenant_id(bytes: &[u8]) -> bool {
    (1..=MAX_LEN).contains(&bytes.len()) && bytes.iter().all(|&byte| is_tenant_byte(byte))
}

/// Returns whether `byte` may stand in a tenant id.
#[inline]
pub(crate) fn is_tenant_byte(byte: u8) -> bool {
    // A table, because this runs for every character of the tenant of every outgoing call.
    ALPHABET.get(usize::from(byte)).is_some_and(|allowed| *allowed)
}

#[allow(clippy::indexing_slicing)] // Of arrays with 256 elements, by bytes, while compiling.
const ALPHABET: [bool; 256] = {
    let mut alphabet = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        alphabet[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        byte += 1;
    }
    alphabet
};

/// The characters of a tenant id, borrowed: hashes as the [`TenantId`] does.
#[derive(Clone, Copy)]
pub(crate) struct FoldedId<'i>(pub(crate) &'i [u8]);

impl FoldedId<'_> {
    /// Returns the first and the last eight characters with their case folded. They may overlap;
    /// shorter ids are padded with zeros.
    ///
    /// Setting bit 5 folds the case and, on the alphabet of an id, nothing else: it maps `A-Z` onto
    /// `a-z`, leaves digits, `-` and `a-z` as they are, and moves `_` to a byte of its own (0x7f).
    #[inline]
    pub(crate) fn ends(self) -> (u64, u64) {
        let Self(id) = self;
        if let (Some(first), Some(last)) = (id.first_chunk(), id.last_chunk()) {
            return (fold(*first), fold(*last));
        }
        let mut padded = [0; 8];
        for (slot, byte) in padded.iter_mut().zip(id) {
            *slot = *byte;
        }
        (fold(padded), fold(padded))
    }

    /// Returns what [`ends`](Self::ends) leaves out, in words that may overlap with them.
    #[inline]
    pub(crate) fn middle(self) -> impl Iterator<Item = u64> {
        let Self(id) = self;
        let middle = if id.len() > 16 { id.get(8..).unwrap_or_default() } else { &[] };
        middle.as_chunks().0.iter().map(|word| fold(*word))
    }
}

#[inline]
fn fold(word: [u8; 8]) -> u64 {
    u64::from_le_bytes(word) | 0x2020_2020_2020_2020
}

impl Hash for FoldedId<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (first, last) = self.ends();
        for word in self.middle() {
            state.write_u64(word);
        }
        // The length is part of the hash, so that zero padding differs from a shorter id. Spread
        // over all bits by an odd factor, it shares the last word and costs no round of its own.
        let last = last ^ (self.0.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state.write_u128(u128::from(first) | u128::from(last) << 64);
    }
}

impl PartialEq for TenantId {
    fn eq(&self, other: &Self) -> bool {
        let (own, other) = (self.folded(), other.folded());
        own.0.len() == other.0.len()
            && own.ends() == other.ends()
            && own.middle().eq(other.middle())
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
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
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

/// The error for a text that is no tenant id.
///
/// It does not contain the text, which may come from an attacker: errors end up in logs.
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
    fn alphabet_is_accepted_and_nothing_else() {
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
        fn ids_hash_by_folded_case(a in "[A-Za-z0-9_-]{1,64}", b in "[A-Za-z0-9_-]{1,64}") {
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
