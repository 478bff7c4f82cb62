//! Access to the parsers of untrusted input, for the fuzz targets and property tests that compare
//! them with the plain implementation in `fuzz/reference`.
//!
//! Not part of the public API: it changes without notice.

use std::time::Duration;

use crate::{
    TenantId, key, notification,
    token::{self, Audiences, Leeway, Policy, SigningKeys, TokenError, Verified},
};

/// The id, modulus and exponent of a key.
pub type KeyParts = (Option<String>, Vec<u8>, Vec<u8>);

/// An accepted notification: the tenant as spelled in the body, the number of the change type, the
/// token's time, and the texts that are kept (version, file version, endpoint).
pub type Notice = (String, u32, i64, [String; 3]);

/// Verifies `token` at `now`, in seconds since the epoch, to its tenant and time.
///
/// The issuer is `I`, the audience `app`, the leeway a minute. A stub takes the place of RSA: the
/// one byte 1 is a valid signature.
#[must_use]
pub fn token(token: &str, now: i64) -> Option<(String, i64)> {
    let verified = verify(token, now).ok()?;
    Some((verified.tenant.to_string(), verified.token_time))
}

/// Handles the body of a notification, with its token verified as by [`token()`].
///
/// # Errors
///
/// The status of the answer, when that is not 204.
pub fn body(body: &[u8], now: i64) -> Result<Notice, u16> {
    let decided = notification::check_with(body, |token| verify(token, now));
    let (notice, verified) = decided.map_err(|refusal| refusal.status().as_u16())?;
    let texts = [notice.version_name(), notice.file_version(), notice.public_endpoint()]
        .map(|text| text.unwrap_or_default().to_owned());
    Ok((notice.tenant().to_string(), notice.change().into(), verified.token_time, texts))
}

/// Parses `bytes` as a key set, as PEM and as a certificate in DER.
#[must_use]
pub fn keys(bytes: &[u8]) -> [Vec<KeyParts>; 3] {
    let parts = |keys: SigningKeys| {
        let owned = |(name, n, e): (Option<&str>, &[u8], &[u8])| {
            (name.map(str::to_owned), n.to_owned(), e.to_owned())
        };
        keys.parts().map(owned).collect()
    };
    [
        SigningKeys::from_key_set(bytes),
        SigningKeys::from_pem(bytes),
        SigningKeys::from_certificate_der(bytes),
    ]
    .map(|keys| keys.map_or_else(|_| Vec::new(), parts))
}

/// Finds the tenant of a path (without a query) by full normalisation, without the fast path.
#[must_use]
pub fn exact_tenant(path: &str) -> Option<TenantId> {
    key::exact_tenant_in(path)
}

fn verify(token: &str, now: i64) -> Result<Verified, TokenError> {
    // Without a policy nothing is accepted, which the other implementation would notice.
    let audience = Audiences::one_of(["app"]).ok_or(TokenError::Audience)?;
    let leeway = Leeway::new(Duration::from_secs(60)).ok_or(TokenError::Expired)?;
    let policy = Policy::new(vec!["I".to_owned()], audience, leeway);
    token::verify_with(token, &policy, now, |_, signature| signature == [1])
}
