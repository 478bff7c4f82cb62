//! The hash of a tenant id in the index of closed tenants.

use crate::tenant_id::FoldedId;

/// The key of the hash: random, so that ids which share a bucket can't be chosen from outside.
///
/// A hash of its own, because it runs for each call, and an id of up to 16 characters takes one
/// multiplication.
#[derive(Debug)]
pub(super) struct HashKey(u64, u64);

impl HashKey {
    pub(super) fn random() -> Self {
        Self(fastrand::u64(..), fastrand::u64(..))
    }

    /// Hashes an id. The case of its letters makes no difference.
    #[inline]
    pub(super) fn hash(&self, id: FoldedId<'_>) -> u64 {
        let (first, last) = id.ends();
        let seed = id.middle().fold(self.0, |seed, word| mix(seed ^ word, self.1));
        // Spread by an odd factor, so that no letter outweighs the length.
        let len = (id.0.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mix(first ^ seed, last ^ self.1 ^ len)
    }
}

/// Both halves of the product, so that each bit depends on all.
#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_that_differ_in_case_only_share_a_hash() {
        let key = HashKey::random();
        for (a, b) in [("Cust1", "cUST1"), ("Cust12345", "CUST12345"), ("a_-Z", "A_-z")] {
            assert_eq!(key.hash(FoldedId(a.as_bytes())), key.hash(FoldedId(b.as_bytes())));
        }
    }

    #[test]
    fn ids_of_each_length_have_hashes_of_their_own() {
        let key = HashKey::random();
        let ids = (1..=64).flat_map(|len| {
            (0..len).flat_map(move |at| {
                ["b", "_", "1"].map(|other| {
                    let mut id = "a".repeat(len);
                    id.replace_range(at..=at, other);
                    id
                })
            })
        });
        let hashes: Vec<u64> = ids.map(|id| key.hash(FoldedId(id.as_bytes()))).collect();
        let distinct: HashSet<u64> = hashes.iter().copied().collect();
        assert_eq!(distinct.len(), hashes.len());
    }

    #[test]
    fn low_bits_spread_ids_that_are_numbered() {
        let key = HashKey::random();
        let mut counts = [0_u32; 1024];
        for number in 0..16_384 {
            let id = format!("Cust{}", 10_000 + number);
            let hash = key.hash(FoldedId(id.as_bytes()));
            counts[((hash ^ (hash >> 32)) as usize) & 1023] += 1;
        }
        // Sixteen each on average; by chance, one key in a million has a bucket beyond these
        // bounds.
        assert!(counts.iter().all(|count| *count < 50), "{counts:?}");
    }
}
