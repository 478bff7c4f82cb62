//! The validation of everything about a token but its signature, without I/O, clock or lock.

use crate::{json, tenant_id::TenantId};

use super::{
    Policy, TokenError,
    claims::{self, Validated},
    compact::Compact,
    header,
    key_id::KeyIds,
};

/// The content of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) tenant: TenantId,
    /// The token time, in seconds since the epoch: its `nbf`, or what stands in for it.
    pub(crate) token_time: i64,
}

/// A token that passed every check but that of its signature.
pub(super) struct Candidate<'t> {
    pub(super) signed: &'t str,
    pub(super) signature: Vec<u8>,
    pub(super) ids: KeyIds,
    pub(super) verified: Verified,
    /// Whether it speaks for a person and the policy does not accept that. Known before the
    /// signature is checked, and refused after: only a genuine one shows that SuperOffice makes
    /// such tokens.
    pub(super) is_login: bool,
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
    let Validated { verified, is_personal } = claims::validate(&claims, policy, now)?;
    let is_login = is_personal && !policy.accepts_login_tokens();
    Ok(Candidate { signed, signature, ids, verified, is_login })
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
    match is_signed(candidate.signed, &candidate.signature) {
        false => Err(TokenError::Signature),
        true if candidate.is_login => Err(TokenError::SpeaksForPerson),
        true => Ok(candidate.verified),
    }
}
