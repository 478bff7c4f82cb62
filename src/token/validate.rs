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
    pub(super) signature: &'t [u8],
    pub(super) ids: KeyIds<'t>,
    pub(super) verified: Verified,
    /// Whether it speaks for a person and the policy does not accept that. Known before the
    /// signature is checked, and refused after: only a genuine one shows that SuperOffice makes
    /// such tokens.
    pub(super) is_login: bool,
}

/// Checks algorithm, issuer, audience and times as of `now` (seconds since the epoch).
pub(super) fn validate<'t>(
    token: &'t Compact<'_>,
    policy: &Policy,
    now: i64,
) -> Result<Candidate<'t>, TokenError> {
    let header = json::object(token.header()).ok_or(TokenError::Malformed)?;
    let claims = json::object(token.claims()).ok_or(TokenError::Malformed)?;
    let ids = header::validate(header)?;
    let Validated { verified, is_personal } = claims::validate(claims, policy, now)?;
    let is_login = is_personal && !policy.accepts_login_tokens();
    Ok(Candidate { signed: token.signed(), signature: token.signature(), ids, verified, is_login })
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
    let token = Compact::split(token)?;
    let candidate = validate(&token, policy, now)?;
    match is_signed(candidate.signed, candidate.signature) {
        false => Err(TokenError::Signature),
        true if candidate.is_login => Err(TokenError::SpeaksForPerson),
        true => Ok(candidate.verified),
    }
}

#[cfg(test)]
#[cfg(feature = "test-util")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::token::{
        Audiences, Leeway,
        testing::{NOW, base64url, claims},
    };

    fn verified(claims: &str, login_tokens: bool, is_signed: bool) -> Result<String, TokenError> {
        let policy = Policy::new(
            vec!["SuperOffice AS".to_owned()],
            Audiences::one_of(["app"]).unwrap(),
            Leeway::new(Duration::from_secs(60)).unwrap(),
        );
        let header = base64url(r#"{"alg":"RS256"}"#);
        let token = format!("{header}.{}.{}", base64url(claims), base64url([1]));
        let policy = policy.login_tokens(login_tokens);
        let verified = verify_with(&token, &policy, NOW, |signed, signature| {
            assert_eq!((signed, signature), (token.rsplit_once('.').unwrap().0, &[1][..]));
            is_signed
        });
        verified.map(|verified| verified.tenant.to_string())
    }

    /// A forged token shows nothing about SuperOffice's, so its signature is the reason.
    #[test]
    fn token_of_a_person_is_refused_once_its_signature_is_right() {
        let service = claims("Cust1");
        let person = service.replace('}', r#","email":"a@example.com"}"#);
        assert_eq!(verified(&person, false, false), Err(TokenError::Signature));
        assert_eq!(verified(&person, false, true), Err(TokenError::SpeaksForPerson));
        assert_eq!(verified(&person, true, true), Ok("Cust1".to_owned()));
        for login_tokens in [false, true] {
            assert_eq!(verified(&service, login_tokens, true), Ok("Cust1".to_owned()));
            assert_eq!(verified(&service, login_tokens, false), Err(TokenError::Signature));
        }
    }
}
