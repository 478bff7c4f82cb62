//! The verifier: policy, clock and keys together.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::clock::Clock;

use super::{
    Audiences, KeysReport, Leeway, Policy, SigningKeys, TokenError, Verified, VerifyError,
    compact::Compact,
    key_id::KeyIds,
    remote::{FetchOutcome, KeyFetcher, Remote, RemoteKeys, Wait},
    ring::{Check, KeyRing},
    validate::{Candidate, validate},
};

/// The pause that is suggested to senders while no key is available.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The parts that a verifier is made of.
#[derive(Debug)]
pub(crate) struct VerifierConfig {
    pub(crate) issuers: Vec<String>,
    pub(crate) audience: Audiences,
    pub(crate) leeway: Leeway,
    /// Whether tokens that speak for a person are accepted.
    pub(crate) login_tokens: bool,
    pub(crate) keys: SigningKeys,
    pub(crate) remote: Option<RemoteKeys>,
    pub(crate) clock: Clock,
}

/// Verifies tokens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Verifier(Arc<VerifierParts>);

struct VerifierParts {
    policy: Policy,
    clock: Clock,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    Given(KeyRing),
    Remote(Remote),
}

/// The result of verifying a token.
#[derive(Debug)]
pub(crate) enum Verification {
    /// The available keys decided.
    Done(Result<Verified, VerifyError>),
    /// The token needs keys that are being fetched.
    NeedsKeys(Pending),
}

/// A token that waits for keys, at most 2 s.
pub(crate) struct Pending(Pin<Box<dyn Future<Output = Result<Verified, VerifyError>> + Send>>);

impl Verifier {
    /// Makes a verifier. With remote keys there is a task that it needs to be run.
    pub(crate) fn new(config: VerifierConfig) -> (Self, Option<KeyFetcher>) {
        let VerifierConfig { issuers, audience, leeway, login_tokens, keys, remote, clock } =
            config;
        let policy = Policy::new(issuers, audience, leeway).login_tokens(login_tokens);
        let (keys, fetcher) = match remote {
            None => (Keys::Given(KeyRing::new(&keys, Vec::new())), None),
            Some(remote) => {
                let (remote, fetcher) = Remote::new(remote, keys);
                (Keys::Remote(remote), Some(fetcher))
            }
        };
        (Self(Arc::new(VerifierParts { policy, clock, keys })), fetcher)
    }

    /// Verifies `token`, at once whenever the available keys are enough.
    pub(crate) fn verify(&self, token: &str) -> Verification {
        let VerifierParts { policy, clock, keys } = &*self.0;
        let refused = |reason| Verification::Done(Err(reason));
        let token = match Compact::split(token) {
            Ok(token) => token,
            Err(error) => return refused(error.into()),
        };
        let candidate = match validate(&token, policy, clock.unix_s()) {
            Ok(candidate) => candidate,
            Err(error) => return refused(error.into()),
        };
        let remote = match keys {
            Keys::Given(ring) => {
                return match ring.check(&candidate.ids, candidate.signed, candidate.signature) {
                    Check::Signed => Verification::Done(candidate.into_verified()),
                    check => refused(without_more_keys(check).into()),
                };
            }
            Keys::Remote(remote) => remote,
        };
        loop {
            let ring = remote.ring();
            let check = ring.check(&candidate.ids, candidate.signed, candidate.signature);
            if check == Check::Signed {
                return Verification::Done(candidate.into_verified());
            }
            let miss = KeyMiss::from_check(check, &candidate.ids, &ring);
            let outcome = remote.request_fetch();
            // The outcome belongs to the newest keys. Keys that arrived just now are still untried.
            if !remote.is_current(&ring) {
                continue;
            }
            return match outcome {
                FetchOutcome::Settled => refused(miss.with_newest_keys().into()),
                FetchOutcome::Unavailable => refused(miss.without_newer_keys(candidate.is_login)),
                FetchOutcome::Wait(wait) => {
                    let candidate = OwnedCandidate::new(candidate);
                    Verification::NeedsKeys(Pending(Box::pin(verify_when_fetched(
                        remote.clone(),
                        wait,
                        candidate,
                    ))))
                }
            };
        }
    }

    /// Returns whether a key is at hand, or was before it became too old.
    pub(crate) fn had_key(&self) -> bool {
        match &self.0.keys {
            Keys::Given(ring) => !ring.is_empty(),
            Keys::Remote(remote) => remote.had_key(),
        }
    }

    /// Returns a future that ends with the next fetch of keys; never, when none are fetched.
    pub(crate) fn next_fetch(&self) -> impl Future<Output = ()> + use<> {
        let fetch = match &self.0.keys {
            Keys::Given(_) => None,
            Keys::Remote(remote) => Some(remote.next_fetch()),
        };
        async move {
            match fetch {
                Some(fetch) => fetch.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Returns whether there is a key with one of the names `ids`; any, when they are none.
    pub(super) fn has_key(&self, ids: &KeyIds<'_>) -> bool {
        self.with_ring(|ring| ring.has_key(ids))
    }

    /// Returns whether there is such a key, or one without a name that may be meant.
    pub(super) fn may_have_key(&self, ids: &KeyIds<'_>) -> bool {
        self.with_ring(|ring| ring.has_key(ids) || ring.has_nameless())
    }

    /// Returns whether the available keys are enough to accept `token`. It fetches none.
    pub(super) fn accepts_with_known_keys(&self, token: &str) -> bool {
        let VerifierParts { policy, clock, .. } = &*self.0;
        let Ok(token) = Compact::split(token) else { return false };
        let Ok(candidate) = validate(&token, policy, clock.unix_s()) else { return false };
        let check = self
            .with_ring(|ring| ring.check(&candidate.ids, candidate.signed, candidate.signature));
        check == Check::Signed && candidate.into_verified().is_ok()
    }

    /// Returns whether both have a key in common, or fetch their keys from the same URL.
    pub(crate) fn shares_keys_with(&self, other: &Self) -> bool {
        let url = |verifier: &Self| match &verifier.0.keys {
            Keys::Given(_) => None,
            Keys::Remote(remote) => Some(remote.url().clone()),
        };
        url(self).is_some_and(|own| url(other) == Some(own))
            || self.with_ring(|own| other.with_ring(|its| own.shares_key_with(its)))
    }

    fn with_ring<T>(&self, f: impl FnOnce(&KeyRing) -> T) -> T {
        match &self.0.keys {
            Keys::Given(ring) => f(ring),
            Keys::Remote(remote) => f(&remote.ring()),
        }
    }

    /// Returns the report of the keys.
    pub(crate) fn report(&self) -> KeysReport {
        match &self.0.keys {
            Keys::Given(ring) => {
                KeysReport { keys: ring.report(), url: None, age: None, last_error: None }
            }
            Keys::Remote(remote) => remote.report(),
        }
    }
}

impl Pending {
    /// Waits for the keys and verifies the token.
    pub(crate) async fn wait(self) -> Result<Verified, VerifyError> {
        self.0.await
    }
}

impl Candidate<'_> {
    /// Returns the result for a candidate whose signature is right.
    fn into_verified(self) -> Result<Verified, VerifyError> {
        accept(self.verified, self.is_login)
    }
}

fn accept(verified: Verified, is_login: bool) -> Result<Verified, VerifyError> {
    if is_login { Err(VerifyError::LoginToken { tenant: verified.tenant }) } else { Ok(verified) }
}

/// Returns the error when no keys can be fetched.
fn without_more_keys(check: Check) -> TokenError {
    match check {
        Check::Unknown { tried: false } => TokenError::UnknownKey,
        Check::Signed | Check::Mismatch | Check::Unknown { tried: true } => TokenError::Signature,
    }
}

/// The way in which the available keys failed a token, when others may be fetched.
#[derive(Debug, Clone, Copy)]
enum KeyMiss {
    /// The key that it names is here and did not sign it; the key may have changed.
    Signature,
    /// The key that it names is not here.
    Key,
}

impl KeyMiss {
    fn from_check(check: Check, ids: &KeyIds<'_>, ring: &KeyRing) -> Self {
        match check {
            // A token without a name may belong to any key, also to one that is still to be
            // fetched.
            Check::Mismatch if !ids.is_empty() || ring.has_fetched() => Self::Signature,
            _ => Self::Key,
        }
    }

    /// Returns the error when the newest published keys failed the token.
    fn with_newest_keys(self) -> TokenError {
        match self {
            Self::Signature => TokenError::Signature,
            Self::Key => TokenError::UnknownKey,
        }
    }

    /// Returns the error when newer keys are not available. Whatever they would say, a login token
    /// is refused.
    fn without_newer_keys(self, is_login: bool) -> VerifyError {
        match self {
            Self::Key if is_login => TokenError::SpeaksForPerson.into(),
            // By the known keys the signature is wrong. If the key has just changed, the sender has
            // to send it again.
            Self::Signature => TokenError::Signature.into(),
            Self::Key => VerifyError::KeysUnavailable { retry_after: RETRY_AFTER },
        }
    }
}

/// The parts of a candidate that are kept while it waits.
struct OwnedCandidate {
    signed: Box<str>,
    signature: Box<[u8]>,
    ids: KeyIds<'static>,
    verified: Verified,
    is_login: bool,
}

impl OwnedCandidate {
    fn new(candidate: Candidate<'_>) -> Self {
        let Candidate { signed, signature, ids, verified, is_login } = candidate;
        let (signed, signature, ids) = (signed.into(), signature.into(), ids.into_owned());
        Self { signed, signature, ids, verified, is_login }
    }
}

async fn verify_when_fetched(
    remote: Remote,
    mut wait: Wait,
    token: OwnedCandidate,
) -> Result<Verified, VerifyError> {
    let OwnedCandidate { signed, signature, ids, verified, is_login } = token;
    loop {
        let outcome = wait.next().await;
        let ring = remote.ring();
        let check = ring.check(&ids, &signed, &signature);
        if check == Check::Signed {
            return accept(verified, is_login);
        }
        let miss = KeyMiss::from_check(check, &ids, &ring);
        drop(ring);
        let reason = match outcome {
            FetchOutcome::Wait(more) => {
                wait = more;
                continue;
            }
            FetchOutcome::Settled => miss.with_newest_keys().into(),
            FetchOutcome::Unavailable => miss.without_newer_keys(is_login),
        };
        return Err(reason);
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VerifierParts { policy, keys, .. } = &*self.0;
        f.debug_struct("Verifier").field("policy", policy).field("keys", keys).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::token::testing::{NOW, ONE, Signer, TWO, claims, key_set};

    fn verifier(keys: SigningKeys) -> Verifier {
        let now = Duration::from_secs(NOW.cast_unsigned());
        Verifier::new(VerifierConfig {
            issuers: vec!["SuperOffice AS".to_owned()],
            audience: Audiences::one_of(["APP"]).unwrap(),
            leeway: Leeway::new(Duration::from_secs(60)).unwrap(),
            login_tokens: false,
            keys,
            remote: None,
            clock: Clock::new(move || UNIX_EPOCH + now),
        })
        .0
    }

    fn jwks(keys: &[String]) -> SigningKeys {
        SigningKeys::from_key_set(key_set(keys)).unwrap()
    }

    fn answer(verifier: &Verifier, token: &str) -> Result<String, TokenError> {
        let Verification::Done(answer) = verifier.verify(token) else { panic!() };
        match answer {
            Ok(verified) => Ok(verified.tenant.to_string()),
            Err(VerifyError::Token(error)) => Err(error),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_good_token_names_its_tenant_and_time() {
        let verifier = verifier(jwks(&[ONE.jwk("A", "")]));
        let Verification::Done(answer) = verifier.verify(&ONE.good("A", "Cust12345")) else {
            panic!()
        };
        let verified = answer.unwrap();
        assert_eq!((verified.tenant.as_str(), verified.token_time), ("Cust12345", NOW - 60));
    }

    #[test]
    fn every_changed_byte_spoils_it() {
        let verifier = verifier(jwks(&[ONE.jwk("A", "")]));
        let good = ONE.good("A", "Cust1");
        assert!(answer(&verifier, &good).is_ok());
        for index in 0..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[index] = if bad[index] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).unwrap();
            assert!(answer(&verifier, &bad).is_err(), "byte {index}");
        }
    }

    #[test]
    fn the_right_key_is_chosen_and_no_other_counts() {
        let both = verifier(jwks(&[ONE.jwk("A", ""), TWO.jwk("B", "")]));
        assert_eq!(answer(&both, &ONE.good("A", "c")), Ok("c".to_owned()));
        assert_eq!(answer(&both, &TWO.good("b", "c")), Ok("c".to_owned()), "hex ignores case");
        assert_eq!(answer(&both, &ONE.good("B", "c")), Err(TokenError::Signature));
        assert_eq!(answer(&both, &ONE.good("C", "c")), Err(TokenError::UnknownKey));

        let nameless = r#"{"alg":"RS256"}"#;
        assert_eq!(answer(&both, &TWO.token(nameless, &claims("c"))), Ok("c".to_owned()));
        let forger = Signer::generate();
        let token = forger.token(nameless, &claims("c"));
        assert_eq!(answer(&both, &token), Err(TokenError::Signature));

        let same_kid = verifier(jwks(&[ONE.jwk("A", ""), TWO.jwk("A", "")]));
        assert_eq!(answer(&same_kid, &TWO.good("A", "c")), Ok("c".to_owned()));
    }

    #[test]
    fn a_bare_public_key_stands_in_for_any_name() {
        let verifier = verifier(SigningKeys::from_pem(ONE.pem()).unwrap());
        assert_eq!(answer(&verifier, &ONE.good("any", "c")), Ok("c".to_owned()));
        assert_eq!(answer(&verifier, &TWO.good("any", "c")), Err(TokenError::Signature));
    }

    #[test]
    fn without_keys_nothing_is_accepted() {
        let verifier = verifier(SigningKeys::default());
        assert_eq!(answer(&verifier, &ONE.good("A", "c")), Err(TokenError::UnknownKey));
        let nameless = ONE.token(r#"{"alg":"RS256"}"#, &claims("c"));
        assert_eq!(answer(&verifier, &nameless), Err(TokenError::UnknownKey));
    }

    #[test]
    fn keys_sent_along_are_not_used() {
        let verifier = verifier(jwks(&[ONE.jwk("A", "")]));
        let jwk = TWO.jwk("A", "");
        let header = format!(
            r#"{{"alg":"RS256","kid":"A","jwk":{jwk},"jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/","x5c":["AAAA"]}}"#
        );
        assert_eq!(
            answer(&verifier, &TWO.token(&header, &claims("c"))),
            Err(TokenError::Signature)
        );
        assert_eq!(answer(&verifier, &ONE.token(&header, &claims("c"))), Ok("c".to_owned()));
    }
}
