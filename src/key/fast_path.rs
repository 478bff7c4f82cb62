//! The tenant in a path: the quick look that settles plain paths.

use super::normalize;
use crate::tenant_id::{TenantId, is_tenant_byte};

/// The tenant that `path` (without a query) leads to: its first segment, unless that is the
/// environment's own.
#[inline]
pub(super) fn tenant_in(path: &str) -> Option<TenantId> {
    match plain_tenant(path) {
        Some(tenant) => Some(TenantId::from_checked(tenant)),
        None => normalize::tenant_in(path),
    }
}

/// The first segment of `path`, if nothing in it can make it lead anywhere else.
#[inline]
fn plain_tenant(path: &str) -> Option<&str> {
    let after_slash = path.strip_prefix('/')?;
    let end = after_slash.bytes().position(|byte| !is_tenant_byte(byte));
    let (first, rest) = after_slash.split_at_checked(end.unwrap_or(after_slash.len()))?;
    // `login` and `api` may be the environment's; an id has 64 characters at most. A backslash later
    // on is harmless by itself: without a dot segment nothing leads back up here.
    let plain = (rest.is_empty() || rest.starts_with('/'))
        && !matches!(first.len(), 0 | 3 | 5 | 65..)
        && has_no_way_up(rest.as_bytes());
    plain.then_some(first)
}

/// Whether `rest` of a path has neither a dot nor an escape, which could be one.
#[inline]
fn has_no_way_up(rest: &[u8]) -> bool {
    let (chunks, end) = rest.as_chunks();
    chunks.iter().all(is_harmless)
        && match rest.last_chunk() {
            // The end is read together with what comes before it, as a whole chunk again.
            Some(last) => is_harmless(last),
            None => end.iter().all(|byte| !matches!(byte, b'%' | b'.')),
        }
}

/// Looks at all sixteen without a branch between them, which the compiler turns into vector code.
#[inline]
fn is_harmless(chunk: &[u8; 16]) -> bool {
    let mut suspects = 0;
    for &byte in chunk {
        suspects |= u8::from(byte == b'%') | u8::from(byte == b'.');
    }
    suspects == 0
}

/// Whether eight characters are neither `A` nor `B`; a wrong no, if one of them is not ASCII.
///
/// All at once: a byte that is `A` becomes 0 and borrows from its top bit when 1 is taken off, and no
/// other does, until the first that is.
#[inline]
pub(super) fn lacks<const A: u8, const B: u8>(word: &[u8; 8]) -> bool {
    const fn everywhere(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let word = u64::from_le_bytes(*word);
    let a = (word ^ everywhere(A)).wrapping_sub(everywhere(1));
    let b = (word ^ everywhere(B)).wrapping_sub(everywhere(1));
    (a | b) & everywhere(0x80) == 0
}
