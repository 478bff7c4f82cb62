//! The tenant in a path: the quick look that settles plain paths.

use super::exact;
use crate::tenant::{TenantId, is_tenant_byte};

/// The tenant that `path` (without a query) leads to: its first segment, unless that is the
/// environment's own.
#[inline]
pub(super) fn tenant_in(path: &str) -> Option<TenantId> {
    if is_plain(path)
        && let Some((first, rest)) = first_segment(path)
    {
        return if is_environment_route(first, rest) { None } else { TenantId::new(first).ok() };
    }
    exact::tenant_in(path)
}

/// Whether nothing in `path` can make it lead elsewhere than it seems to: no escape, no backslash,
/// and no dot that could be part of a dot segment.
///
/// Sixteen bytes at a time without a branch between them, which the compiler turns into vector code.
#[inline]
fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    let (chunks, rest) = bytes.as_chunks::<16>();
    let plain = chunks.iter().all(|chunk| has_no_special(chunk));
    // The rest is read together with what comes before it, as a whole chunk again.
    plain
        && match bytes.last_chunk::<16>() {
            Some(last) => rest.is_empty() || has_no_special(last),
            None => has_no_special(rest),
        }
}

#[inline]
fn has_no_special(bytes: &[u8]) -> bool {
    let special = |byte: u8| byte == b'%' || byte == b'\\' || byte == b'.';
    !bytes.iter().fold(false, |found, &byte| found | special(byte))
}

/// The first segment of a path that starts with one slash and a tenant id, and the rest from the next
/// slash on.
#[inline]
fn first_segment(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    let end = path.bytes().position(|byte| !is_tenant_byte(byte)).unwrap_or(path.len());
    let (first, rest) = path.split_at_checked(end)?;
    let whole = !first.is_empty() && (rest.is_empty() || rest.starts_with('/'));
    whole.then_some((first, rest))
}

/// Whether a plain path belongs to the environment, not to a tenant.
#[inline]
fn is_environment_route(first: &str, rest: &str) -> bool {
    match first.len() {
        5 => first.eq_ignore_ascii_case("login"),
        3 => {
            let second = rest.trim_start_matches('/').split('/').next();
            first.eq_ignore_ascii_case("api")
                && second.is_some_and(|second| second.eq_ignore_ascii_case("state"))
        }
        _ => false,
    }
}
