//! The digest of a stored value, by which a script tells whether it is still the one a writer has
//! seen.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::{hex, status::Record, store::cache::Cached};

/// The SHA-1 of a stored value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digest([u8; 20]);

impl Digest {
    pub(super) fn of(value: &[u8]) -> Self {
        // The server's scripts have no other digest. It distinguishes values of honest writers; an
        // attacker who can write to the store needs no collision.
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, value);
        Self(sha1.as_ref().try_into().unwrap_or_default())
    }

    /// Returns the digest in hex, as in the script.
    pub(super) fn hex(self) -> String {
        hex::lower(&self.0)
    }
}

/// A record with the digest of its value.
pub(super) type CachedValue = Cached<Digest>;

/// Creates the entry for the stored `value`, of which `record` is the decoded record.
pub(super) fn cached(record: Record, value: &[u8]) -> CachedValue {
    Cached { record, mark: Digest::of(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_the_one_of_the_script() {
        assert_eq!(Digest::of(b"abc").hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
