//! The choice among several verifiers: a token belongs to the one that accepts it.
//!
//! The names of keys in a token's header select candidates and prove nothing. A candidate accepts a
//! token exactly when it would on its own: issuer, audience and times first, which cost little,
//! then the signature with its own keys.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{
    TokenError, Verification, Verified, Verifier, VerifyError, compact::Compact, header,
    key_id::KeyIds,
};
use crate::{json, tenant_id::TenantId};

/// The verifiers of several gates. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Verifiers(Arc<[Verifier]>);

/// The result for a token. Each index is the place of a verifier.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// One verifier accepts the token, and no other does with the keys that it has.
    Accepted { index: usize, verified: Verified },
    /// More than one accepts it.
    Ambiguous { indices: Vec<usize>, tenant: TenantId },
    /// None accepts it; by this one it is genuine, but speaks for a person.
    LoginToken { index: usize, tenant: TenantId },
    /// None accepts it, and these have no keys to decide with.
    KeysUnavailable { indices: Vec<usize>, retry_after: Duration },
    /// None accepts it. The error is that of the verifier whose checks it passed furthest.
    Refused(TokenError),
}

/// A choice, or the wait for the keys that decide it.
#[derive(Debug)]
pub(crate) enum ChoosingVerification {
    Done(Choice),
    NeedsKeys(PendingChoice),
}

type Indexed = (usize, Result<Verified, VerifyError>);

/// A token that waits for keys of one or more verifiers, at most 2 s.
pub(crate) struct PendingChoice {
    verifiers: Verifiers,
    refusals: Refusals,
    pending: FuturesUnordered<Pin<Box<dyn Future<Output = Indexed> + Send>>>,
}

/// The results so far, none of which accepts the token.
#[derive(Debug, Default)]
struct Refusals {
    login: Option<(usize, TenantId)>,
    without_keys: Vec<usize>,
    retry_after: Duration,
    furthest: Option<TokenError>,
}

impl Verifiers {
    pub(crate) fn new(verifiers: Vec<Verifier>) -> Self {
        Self(verifiers.into())
    }

    /// Verifies `token`, at once whenever the available keys are enough.
    pub(crate) fn verify(&self, token: &str) -> ChoosingVerification {
        let mut refusals = Refusals::default();
        let pending = FuturesUnordered::new();
        for (index, verifier) in self.candidates(token) {
            match verifier.verify(token) {
                Verification::Done(Ok(verified)) => {
                    return ChoosingVerification::Done(self.accept(index, verified, token));
                }
                Verification::Done(Err(error)) => refusals.add(index, error),
                Verification::NeedsKeys(keys) => {
                    pending
                        .push(Box::pin(async move { (index, keys.wait().await) }) as Pin<Box<_>>);
                }
            }
        }
        if pending.is_empty() {
            return ChoosingVerification::Done(refusals.into_choice());
        }
        ChoosingVerification::NeedsKeys(PendingChoice {
            verifiers: self.clone(),
            refusals,
            pending,
        })
    }

    /// Returns the verifiers that have a key which `token` names, and all when none has.
    ///
    /// So a token with a known key fetches no keys of another environment, and waits for none.
    fn candidates(&self, token: &str) -> Vec<(usize, &Verifier)> {
        let all = || self.0.iter().enumerate();
        // The same text is malformed for each of them.
        let Some(ids) = key_ids(token) else { return all().take(1).collect() };
        let named: Vec<_> = all().filter(|(_, verifier)| verifier.has_key(&ids)).collect();
        if named.is_empty() { all().collect() } else { named }
    }

    /// Checks that no other verifier accepts what the one at `index` does.
    fn accept(&self, index: usize, verified: Verified, token: &str) -> Choice {
        let ids = key_ids(token).unwrap_or_default();
        let accepts = |(other, verifier): (usize, &Verifier)| {
            other == index
                || (verifier.may_have_key(&ids) && verifier.accepts_with_known_keys(token))
        };
        let all = self.0.iter().enumerate();
        let indices: Vec<_> =
            all.filter(|indexed| accepts(*indexed)).map(|(index, _)| index).collect();
        if indices.len() > 1 {
            return Choice::Ambiguous { indices, tenant: verified.tenant };
        }
        Choice::Accepted { index, verified }
    }
}

impl PendingChoice {
    /// Waits for the keys and decides on `token`, which is the one that was passed to
    /// [`Verifiers::verify`].
    pub(crate) async fn wait(mut self, token: &str) -> Choice {
        while let Some((index, result)) = self.pending.next().await {
            match result {
                Ok(verified) => return self.verifiers.accept(index, verified, token),
                Err(error) => self.refusals.add(index, error),
            }
        }
        self.refusals.into_choice()
    }
}

impl Refusals {
    fn add(&mut self, index: usize, error: VerifyError) {
        match error {
            VerifyError::LoginToken { tenant } => self.login = Some((index, tenant)),
            VerifyError::KeysUnavailable { retry_after } => {
                self.without_keys.push(index);
                self.retry_after = self.retry_after.max(retry_after);
            }
            VerifyError::Token(error) => {
                let furthest = self.furthest.get_or_insert(error);
                if error.depth() > furthest.depth() {
                    *furthest = error;
                }
            }
        }
    }

    fn into_choice(self) -> Choice {
        let Self { login, without_keys: indices, retry_after, furthest } = self;
        if let Some((index, tenant)) = login {
            Choice::LoginToken { index, tenant }
        } else if !indices.is_empty() {
            Choice::KeysUnavailable { indices, retry_after }
        } else {
            Choice::Refused(furthest.unwrap_or(TokenError::UnknownKey))
        }
    }
}

/// Returns the names of keys in the header of `token`; `None` when it has no valid header.
fn key_ids(token: &str) -> Option<KeyIds<'static>> {
    let token = Compact::split(token).ok()?;
    header::validate(json::object(token.header())?).ok().map(KeyIds::into_owned)
}

impl std::fmt::Debug for PendingChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PendingChoice")
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{
        clock::Clock,
        token::{
            Audiences, Leeway, SigningKeys, VerifierConfig,
            testing::{NOW, ONE, Signer, TWO, claims, key_set},
        },
    };

    fn verifier(issuer: &str, audience: &str, keys: &[String]) -> Verifier {
        let now = Duration::from_secs(NOW.cast_unsigned());
        let keys = match keys {
            [] => SigningKeys::default(),
            keys => SigningKeys::from_key_set(key_set(keys)).unwrap(),
        };
        Verifier::new(VerifierConfig {
            issuers: vec![issuer.to_owned()],
            audience: Audiences::one_of([audience]).unwrap(),
            leeway: Leeway::new(Duration::from_secs(60)).unwrap(),
            login_tokens: false,
            keys,
            remote: None,
            clock: Clock::new(move || UNIX_EPOCH + now),
        })
        .0
    }

    fn choice(verifiers: &[Verifier], token: &str) -> Choice {
        match Verifiers::new(verifiers.to_vec()).verify(token) {
            ChoosingVerification::Done(choice) => choice,
            ChoosingVerification::NeedsKeys(_) => panic!("no keys can be fetched"),
        }
    }

    fn index(choice: Choice) -> Result<usize, Choice> {
        match choice {
            Choice::Accepted { index, .. } => Ok(index),
            other => Err(other),
        }
    }

    const AS: &str = "SuperOffice AS";

    /// The claims of a good token with another issuer.
    fn issued_by(issuer: &str) -> String {
        claims("c").replace(AS, issuer)
    }

    #[test]
    fn key_that_signed_decides_on_the_verifier() {
        let two =
            [verifier(AS, "APP", &[ONE.jwk("A", "")]), verifier(AS, "APP", &[TWO.jwk("B", "")])];
        assert_eq!(index(choice(&two, &ONE.good("A", "c"))), Ok(0));
        assert_eq!(index(choice(&two, &TWO.good("B", "c"))), Ok(1));
        let nameless = r#"{"alg":"RS256"}"#;
        assert_eq!(index(choice(&two, &TWO.token(nameless, &claims("c")))), Ok(1));
    }

    #[test]
    fn name_of_a_key_selects_and_proves_nothing() {
        let two =
            [verifier(AS, "APP", &[ONE.jwk("A", "")]), verifier(AS, "APP", &[TWO.jwk("B", "")])];
        for token in [ONE.good("B", "c"), TWO.good("A", "c"), Signer::generate().good("A", "c")] {
            assert_eq!(choice(&two, &token), Choice::Refused(TokenError::Signature));
        }
        assert_eq!(
            choice(&two, &ONE.good("C", "c")),
            Choice::Refused(TokenError::UnknownKey),
            "a key without its name"
        );
    }

    #[test]
    fn right_key_needs_the_issuer_and_audience_of_its_verifier() {
        let two = [
            verifier("https://one", "ONE", &[ONE.jwk("A", "")]),
            verifier("https://two", "APP", &[TWO.jwk("B", "")]),
        ];
        let header = r#"{"alg":"RS256","kid":"A"}"#;
        let token = |issuer| ONE.token(header, &issued_by(issuer));
        assert_eq!(choice(&two, &token("https://two")), Choice::Refused(TokenError::Issuer));
        assert_eq!(choice(&two, &token("https://one")), Choice::Refused(TokenError::Audience));
        let token = TWO.token(r#"{"alg":"RS256","kid":"B"}"#, &issued_by("https://two"));
        assert_eq!(index(choice(&two, &token)), Ok(1));
    }

    #[test]
    fn furthest_check_is_the_reason_in_either_order() {
        let one = verifier("https://one", "APP", &[ONE.jwk("A", "")]);
        let two = verifier("https://two", "APP", &[TWO.jwk("B", "")]);
        let nameless = Signer::generate().token(r#"{"alg":"RS256"}"#, &issued_by("https://two"));
        for pair in [[one.clone(), two.clone()], [two, one]] {
            assert_eq!(choice(&pair, &nameless), Choice::Refused(TokenError::Signature));
            assert_eq!(choice(&pair, "not a token"), Choice::Refused(TokenError::Malformed));
        }
    }

    #[test]
    fn shared_key_decides_by_issuer_and_is_else_ambiguous() {
        let keys = [ONE.jwk("A", "")];
        let two = [verifier("https://one", "APP", &keys), verifier("https://two", "APP", &keys)];
        for (issuer, expected) in [("https://one", 0), ("https://two", 1)] {
            let token = ONE.token(r#"{"alg":"RS256","kid":"A"}"#, &issued_by(issuer));
            assert_eq!(index(choice(&two, &token)), Ok(expected));
        }
        let two = [verifier(AS, "APP", &keys), verifier(AS, "APP", &keys)];
        let tenant = TenantId::new("c").unwrap();
        for header in [r#"{"alg":"RS256","kid":"A"}"#, r#"{"alg":"RS256"}"#] {
            let token = ONE.token(header, &claims("c"));
            let ambiguous = Choice::Ambiguous { indices: vec![0, 1], tenant: tenant.clone() };
            assert_eq!(choice(&two, &token), ambiguous);
        }
    }

    /// Every token of a small world: what several verifiers say follows from what each says alone.
    #[test]
    fn token_is_accepted_if_one_verifier_alone_accepts_it() {
        let both = [ONE.jwk("A", ""), TWO.jwk("B", "")];
        let forger = Signer::generate();
        let verifiers = [
            verifier("https://one", "APP", &both[..1]),
            verifier(AS, "APP", &both[1..]),
            verifier(AS, "OTHER", &both[1..]),
            verifier("https://one", "OTHER", &both),
        ];
        let mut accepted = [0; 5];
        for signer in [&*ONE, &*TWO, &forger] {
            for kid in [r#","kid":"A""#, r#","kid":"B""#, r#","kid":"C""#, ""] {
                for (issuer, audience) in [
                    (AS, "APP"),
                    (AS, "OTHER"),
                    ("https://one", "APP"),
                    ("https://one", "OTHER"),
                    ("https://two", "APP"),
                ] {
                    let claims = issued_by(issuer).replace("spn:app", audience);
                    let token = signer.token(&format!(r#"{{"alg":"RS256"{kid}}}"#), &claims);
                    let alone: Vec<_> = verifiers.iter().map(|one| alone(one, &token)).collect();
                    let several = choice(&verifiers, &token);
                    let takers: Vec<_> =
                        (0..verifiers.len()).filter(|&i| alone[i].is_ok()).collect();
                    match (&*takers, several) {
                        ([], Choice::Refused(error)) => {
                            assert!(alone.contains(&Err(error)), "{token}: {error}");
                        }
                        ([only], Choice::Accepted { index, .. }) => assert_eq!(*only, index),
                        (takers, Choice::Ambiguous { indices, .. }) => assert_eq!(takers, indices),
                        (takers, other) => panic!("{takers:?} {other:?}"),
                    }
                    accepted[takers.len()] += 1;
                }
            }
        }
        assert!(accepted[0] > 20 && accepted[1] > 5, "{accepted:?}");
    }

    fn alone(verifier: &Verifier, token: &str) -> Result<(), TokenError> {
        match verifier.verify(token) {
            Verification::Done(Ok(_)) => Ok(()),
            Verification::Done(Err(VerifyError::Token(error))) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn verifier_without_keys_hides_no_other() {
        let two = [verifier(AS, "APP", &[]), verifier(AS, "APP", &[TWO.jwk("B", "")])];
        assert_eq!(index(choice(&two, &TWO.good("B", "c"))), Ok(1));
        let mut refusals = Refusals::default();
        refusals.add(0, TokenError::Signature.into());
        refusals.add(1, VerifyError::KeysUnavailable { retry_after: Duration::from_secs(30) });
        let (indices, retry_after) = (vec![1], Duration::from_secs(30));
        assert_eq!(refusals.into_choice(), Choice::KeysUnavailable { indices, retry_after });
    }
}
