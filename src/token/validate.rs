//! The validation of everything about a token but its signature, without I/O, clock or lock.

use crate::{json, tenant_id::TenantId};

use super::{Policy, TokenError, claims, compact::Compact, header, key_id::KeyIds};

/// The content of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) tenant: TenantId,
    /// The token time, in seconds since the epoch: its `nbf`, or what stands in for it.
    pub(crate) token_time: i64,
}

/// A token that passed every check but that of its signature.
#[derive(Debug)]
pub(super) struct Candidate<'t> {
    pub(super) signed: &'t str,
    pub(super) signature: Vec<u8>,
    pub(super) ids: KeyIds,
    pub(super) verified: Verified,
}

/// Checks shape, size, algorithm, issuer, audience and times as of `now` (seconds since the epoch).
pub(super) fn validate<'t>(
    token: &'t str,
    policy: &Policy,
    now: i64,
) -> Result<Candidate<'t>, TokenError> {
    let Compact { signed, header, claims, signature } = Compact::split(token)?;
    let header = json::object(&header).ok_or(TokenError::Malformed)?;
    let claims = json::object(&claims).ok_or(TokenError::Malformed)?;
    let ids = header::validate(&header)?;
    let verified = claims::validate(&claims, policy, now)?;
    Ok(Candidate { signed, signature, ids, verified })
}

/// Verifies a token as a gate does, with the check of its signature passed in, which is given the
/// signed part and the signature: what a fuzz target drives.
#[cfg(feature = "test-util")]
pub(crate) fn verify_with(
    token: &str,
    policy: &Policy,
    now: i64,
    is_signed: impl FnOnce(&str, &[u8]) -> bool,
) -> Result<Verified, TokenError> {
    let candidate = validate(token, policy, now)?;
    if is_signed(candidate.signed, &candidate.signature) {
        Ok(candidate.verified)
    } else {
        Err(TokenError::Signature)
    }
}
