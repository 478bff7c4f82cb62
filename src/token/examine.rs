//! Everything about a token but its signature, without I/O, clock or lock.

use crate::{json, tenant_id::TenantId};

use super::{Policy, TokenError, claims, compact::Compact, header, key_id::KeyIds};

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) tenant: TenantId,
    /// The token's time in seconds since the epoch: its `nbf`, or what stands in for it.
    pub(crate) at: i64,
}

/// A token that would be good if its signature were.
#[derive(Debug)]
pub(super) struct Claimed<'t> {
    pub(super) signed: &'t str,
    pub(super) signature: Vec<u8>,
    pub(super) ids: KeyIds,
    pub(super) verified: Verified,
}

/// Checks shape, size, algorithm, issuer, audience and times as of `now` (seconds since the epoch).
pub(super) fn examine<'t>(
    token: &'t str,
    policy: &Policy,
    now: i64,
) -> Result<Claimed<'t>, TokenError> {
    let Compact { signed, header, claims, signature } = Compact::split(token)?;
    let header = json::object(&header).ok_or(TokenError::Malformed)?;
    let claims = json::object(&claims).ok_or(TokenError::Malformed)?;
    let ids = header::check(&header)?;
    let verified = claims::check(&claims, policy, now)?;
    Ok(Claimed { signed, signature, ids, verified })
}

/// The whole judgement of a token, with the check of its signature passed in: given what is signed
/// and the signature. What a fuzzer drives.
#[cfg(feature = "test-util")]
pub(crate) fn judge(
    token: &str,
    policy: &Policy,
    now: i64,
    is_signed: impl FnOnce(&str, &[u8]) -> bool,
) -> Result<Verified, TokenError> {
    let claimed = examine(token, policy, now)?;
    if is_signed(claimed.signed, &claimed.signature) {
        Ok(claimed.verified)
    } else {
        Err(TokenError::Signature)
    }
}
