//! What a notification is refused for, apart from its token's own faults. Pure: no clock, no lock.

use super::{answer::Refusal, payload::Payload};
use crate::token::{TokenError, Verified};

/// Takes `body` apart into what it says and the token that has to prove it.
pub(super) fn open(body: &[u8]) -> Result<(Payload, String), Refusal> {
    let mut payload = Payload::parse(body).ok_or(Refusal::Malformed)?;
    let token = payload.token.take().filter(|token| !token.is_empty());
    let token = token.ok_or(Refusal::Token(TokenError::Missing))?;
    Ok((payload, token))
}

/// A token speaks for its own tenant and no other.
pub(super) fn agree(payload: &Payload, verified: &Verified) -> Result<(), Refusal> {
    if verified.tenant == payload.tenant { Ok(()) } else { Err(Refusal::OtherTenant) }
}

/// The whole judgement of a notification, with that of its token passed in. What a fuzzer drives.
#[cfg(feature = "test-util")]
pub(crate) fn judge(
    body: &[u8],
    verify: impl FnOnce(&str) -> Result<Verified, TokenError>,
) -> Result<(Payload, Verified), Refusal> {
    let (payload, token) = open(body)?;
    let verified = verify(&token).map_err(Refusal::Token)?;
    agree(&payload, &verified)?;
    Ok((payload, verified))
}
