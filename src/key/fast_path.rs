//! The tenant in a path: the fast reading, for plain paths.

use super::normalize;
use crate::tenant_id::{TenantId, is_tenant_byte};

/// Returns the tenant of `path` (without a query): its first segment, unless that belongs to the
/// environment.
#[inline]
pub(super) fn tenant_in(path: &str) -> Option<TenantId> {
    match plain_tenant(path) {
        Some(tenant) => Some(TenantId::from_checked(tenant)),
        None => normalize::tenant_in(path),
    }
}

/// Returns the first segment of `path` (without a query), if that is the only tenant that the exact
/// reading can find: it may find none, such as in `/login/x`.
///
/// Gives up on what is rare: an id of more than 15 characters, and a path of fewer than 17.
#[inline]
pub(super) fn glance(path: &str) -> Option<&str> {
    let (start, _) = path.as_bytes().split_first_chunk::<17>()?;
    let (slash, start) = start.split_first()?;
    let (first, second) = start.split_first_chunk()?;
    let end = match (first_slash(first), first_slash(second.first_chunk()?)) {
        (8, 8) => return None,
        (8, end) => 8 + end,
        (end, _) => end,
    };
    let plain = *slash == b'/' && end > 0 && is_plain(path.as_bytes());
    if plain { path.get(1..=end) } else { None }
}

/// Returns the place of the first slash in `word`; 8 if there is none.
#[inline]
fn first_slash(word: &[u8; 8]) -> usize {
    const SLASHES: u64 = u64::from_le_bytes([b'/'; 8]);
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let word = u64::from_le_bytes(*word) ^ SLASHES;
    // The lowest top bit that is set belongs to the first zero; those above it may be wrong.
    (word.wrapping_sub(ONES) & !word & TOPS).trailing_zeros() as usize / 8
}

/// Returns whether `path`, of at least 16 bytes, has nothing that the exact reading decodes,
/// follows or drops.
#[inline]
fn is_plain(path: &[u8]) -> bool {
    let (chunks, _) = path.as_chunks();
    let Some(last) = path.last_chunk() else { return false };
    // Sixteen bytes at a time without a branch, which the compiler turns into vector code. The last
    // sixteen overlap the chunks before.
    let mut suspects = [0; 16];
    for chunk in chunks {
        note_suspects(chunk, &mut suspects);
    }
    note_suspects(last, &mut suspects);
    u128::from_ne_bytes(suspects) == 0
}

#[inline]
fn note_suspects(chunk: &[u8; 16], suspects: &mut [u8; 16]) {
    for (suspect, &byte) in suspects.iter_mut().zip(chunk) {
        *suspect |= u8::from(byte == b'%')
            | u8::from(byte == b'.')
            | u8::from(byte == b'\\')
            | u8::from(byte == b' ');
    }
}

/// Returns the first segment of `path`, if nothing in the path can change its meaning.
#[inline]
fn plain_tenant(path: &str) -> Option<&str> {
    let after_slash = path.strip_prefix('/')?;
    let end = after_slash.bytes().position(|byte| !is_tenant_byte(byte));
    let (first, rest) = after_slash.split_at_checked(end.unwrap_or(after_slash.len()))?;
    // `login` and `api` may be the environment's; an id has 64 characters at most. A backslash in
    // `rest` is harmless: without a dot segment no later part changes the first one.
    let plain = (rest.is_empty() || rest.starts_with('/'))
        && !matches!(first.len(), 0 | 3 | 5 | 65..)
        && has_no_dot_segment(rest.as_bytes());
    plain.then_some(first)
}

/// Returns whether `rest` of a path has neither a dot nor an escape, which could encode one.
#[inline]
fn has_no_dot_segment(rest: &[u8]) -> bool {
    let (chunks, end) = rest.as_chunks();
    chunks.iter().all(is_harmless)
        && match rest.last_chunk() {
            // The last sixteen bytes overlap the chunks before, and cover the rest.
            Some(last) => is_harmless(last),
            None => end.iter().all(|byte| !matches!(byte, b'%' | b'.')),
        }
}

/// Checks all sixteen bytes without a branch, which the compiler turns into vector code.
#[inline]
fn is_harmless(chunk: &[u8; 16]) -> bool {
    let mut suspects = 0;
    for &byte in chunk {
        suspects |= u8::from(byte == b'%') | u8::from(byte == b'.');
    }
    suspects == 0
}
