use std::{
    io,
    sync::{Arc, Mutex, Weak},
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::{Instant, sleep};
use tower::service_fn;

use super::*;
use crate::{
    clock::Clock,
    http_client::EmptyBody,
    token::{
        Audiences, Leeway, TokenError, Verification, Verified, Verifier, VerifierConfig,
        VerifyError,
        testing::{NOW, ONE, Signer, TWO, claims, key_set},
    },
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A key server with settable answers, which records the time of each request.
#[derive(Clone)]
struct Server(Arc<Mutex<(Answer, Vec<Instant>)>>);

#[derive(Clone)]
enum Answer {
    Body(u16, Bytes),
    Refuse,
    Hang,
    Panic,
    Slow(Duration, Bytes),
}

fn keys(keys: &[(&Signer, &str)]) -> Answer {
    Answer::Body(200, set(keys))
}

fn set(keys: &[(&Signer, &str)]) -> Bytes {
    let keys: Vec<String> = keys.iter().map(|(key, kid)| key.jwk(kid, "")).collect();
    key_set(&keys).into()
}

impl Server {
    fn new(answer: Answer) -> Self {
        Self(Arc::new(Mutex::new((answer, Vec::new()))))
    }

    fn set(&self, answer: Answer) {
        self.0.lock().unwrap().0 = answer;
    }

    fn calls(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    /// The smallest time between two requests.
    fn shortest_gap(&self) -> Duration {
        let calls = &self.0.lock().unwrap().1;
        calls.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(Duration::MAX)
    }

    fn fetch(&self) -> Fetch {
        let server = self.clone();
        Fetch::new(service_fn(move |request: Request<EmptyBody>| {
            assert_eq!(request.uri().path(), "/login/.well-known/jwks");
            let mut state = server.0.lock().unwrap();
            state.1.push(Instant::now());
            let answer = state.0.clone();
            async move {
                let (status, body) = match answer {
                    Answer::Body(status, body) => (status, body),
                    Answer::Refuse => {
                        return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
                    }
                    Answer::Hang => std::future::pending().await,
                    Answer::Panic => panic!("the client panics"),
                    Answer::Slow(time, body) => {
                        sleep(time).await;
                        (200, body)
                    }
                };
                let response = Response::builder().status(status).body(Full::new(body)).unwrap();
                Ok::<_, io::Error>(response)
            }
        }))
    }

    fn remote(&self) -> RemoteKeys {
        RemoteKeys {
            url: "https://me.example/login/.well-known/jwks".parse().unwrap(),
            fetch: self.fetch(),
            max_age: 24 * HOUR,
        }
    }

    fn verifier(&self) -> Verifier {
        verifier(self.remote(), SigningKeys::default())
    }
}

fn verifier(remote: RemoteKeys, keys: SigningKeys) -> Verifier {
    let now = Duration::from_secs(NOW.cast_unsigned());
    let (verifier, fetcher) = Verifier::new(VerifierConfig {
        issuers: vec!["SuperOffice AS".to_owned()],
        audience: Audiences::one_of(["app"]).unwrap(),
        leeway: Leeway::new(MINUTE).unwrap(),
        login_tokens: false,
        keys,
        remote: Some(remote),
        clock: Clock::new(move || UNIX_EPOCH + now),
    });
    tokio::spawn(fetcher.unwrap().run());
    verifier
}

const UNAVAILABLE: VerifyError =
    VerifyError::KeysUnavailable { retry_after: Duration::from_secs(30) };
const UNKNOWN: VerifyError = VerifyError::Token(TokenError::UnknownKey);
const SIGNATURE: VerifyError = VerifyError::Token(TokenError::Signature);

fn reason(answer: Result<Verified, VerifyError>) -> Result<(), VerifyError> {
    answer.map(drop)
}

/// The answer that is given without waiting.
fn at_once(verifier: &Verifier, token: &str) -> Result<(), VerifyError> {
    match verifier.verify(token) {
        Verification::Done(answer) => reason(answer),
        Verification::NeedsKeys(_) => panic!("it would wait"),
    }
}

/// The answer, and how long it took.
async fn in_time(verifier: &Verifier, token: &str) -> (Result<(), VerifyError>, Duration) {
    let start = Instant::now();
    let Verification::NeedsKeys(pending) = verifier.verify(token) else {
        panic!("it does not wait")
    };
    (reason(pending.wait().await), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn first_token_waits_for_the_first_fetch() {
    let server = Server::new(Answer::Slow(Duration::from_secs(1), set(&[(&ONE, "A")])));
    let verifier = server.verifier();
    let (answer, after) = in_time(&verifier, &ONE.good("A", "c")).await;
    assert_eq!((answer, after), (Ok(()), Duration::from_secs(1)));
    assert_eq!(at_once(&verifier, &ONE.good("A", "c")), Ok(()));
    assert_eq!(server.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_without_the_url_heals() {
    let server = Server::new(Answer::Refuse);
    let verifier = server.verifier();
    // The first fetch fails and the next two are 1 s and more than 2 s away.
    let (answer, after) = in_time(&verifier, &ONE.good("A", "c")).await;
    assert_eq!(answer, Err(UNAVAILABLE));
    assert!(after <= MAX_WAIT, "{after:?}");
    sleep(Duration::from_secs(150)).await;
    let calls = server.calls();
    assert!((7..=9).contains(&calls), "{calls} fetches: 1 s, doubled up to 60 s");
    assert_eq!(verifier.report().last_error(), Some("the request failed: connection refused"));
    assert_eq!(verifier.report().age(), None);
    server.set(keys(&[(&ONE, "A")]));
    sleep(MINUTE).await;
    assert_eq!(at_once(&verifier, &ONE.good("A", "c")), Ok(()));
    assert_eq!(verifier.report().last_error(), None);
    assert!(verifier.report().age().unwrap() <= MINUTE);
}

#[tokio::test(start_paused = true)]
async fn keys_are_refreshed_ahead_of_their_age() {
    let server = Server::new(keys(&[(&ONE, "A")]));
    let verifier = server.verifier();
    for _ in 0..60 {
        sleep(10 * MINUTE).await;
        assert!(verifier.report().age().unwrap() < 10 * MINUTE);
    }
    let calls = server.calls();
    assert!((60..=90).contains(&calls), "{calls}");
    assert!(server.shortest_gap() >= 7 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn token_right_after_a_rotation_is_accepted() {
    let server = Server::new(keys(&[(&ONE, "A")]));
    let verifier = server.verifier();
    sleep(MINUTE).await;
    server.set(keys(&[(&ONE, "A"), (&TWO, "B")]));
    let (answer, after) = in_time(&verifier, &TWO.good("B", "c")).await;
    assert_eq!((answer, after), (Ok(()), Duration::ZERO));
    assert_eq!(server.calls(), 2);
    assert_eq!(verifier.report().keys().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn fresh_keys_decide_and_are_fetched_again_on_request() {
    let server = Server::new(keys(&[(&ONE, "A")]));
    let verifier = server.verifier();
    sleep(Duration::from_secs(5)).await;
    server.set(keys(&[(&TWO, "B")]));
    assert_eq!(at_once(&verifier, &TWO.good("B", "c")), Err(UNKNOWN));
    sleep(Duration::from_secs(24)).await;
    assert_eq!(server.calls(), 1);
    // No second request is needed: the first one is kept.
    sleep(Duration::from_secs(2)).await;
    assert_eq!(server.calls(), 2);
    assert_eq!(at_once(&verifier, &TWO.good("B", "c")), Ok(()));
    assert_eq!(at_once(&verifier, &ONE.good("A", "c")), Err(UNKNOWN), "a withdrawn key is gone");
}

#[tokio::test(start_paused = true)]
async fn one_unknown_kid_causes_one_fetch() {
    let server = Server::new(keys(&[(&ONE, "A")]));
    let verifier = server.verifier();
    sleep(MINUTE).await;
    let pending: Vec<_> = (0..10).map(|_| verifier.verify(&TWO.good("B", "c"))).collect();
    for verdict in pending {
        let Verification::NeedsKeys(pending) = verdict else { panic!() };
        assert_eq!(reason(pending.wait().await), Err(UNKNOWN));
    }
    sleep(5 * MINUTE).await;
    assert_eq!(server.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn unknown_kid_flood_causes_one_fetch_in_30_s() {
    let server = Server::new(keys(&[(&ONE, "A")]));
    let verifier = server.verifier();
    sleep(MINUTE).await;
    let good = ONE.good("A", "c");
    let flood: Vec<String> = (0..100).map(|n| TWO.good(&format!("flood-{n}"), "c")).collect();
    let started = Instant::now();
    let mut rotated = None;
    let mut seen = None;
    for round in 0..10_000_usize {
        match verifier.verify(&flood[round % flood.len()]) {
            Verification::Done(answer) => assert!(answer.is_err()),
            Verification::NeedsKeys(pending) => drop(tokio::spawn(pending.wait())),
        }
        if round % 10 == 0 {
            assert_eq!(at_once(&verifier, &good), Ok(()));
        }
        if round == 3_333 {
            server.set(keys(&[(&ONE, "A"), (&TWO, "B")]));
            rotated = Some(Instant::now());
        }
        if let Some(rotated) = rotated
            && seen.is_none()
            && verifier.report().keys().len() == 2
        {
            seen = Some(rotated.elapsed());
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert!(started.elapsed() >= Duration::from_secs(100));
    assert!(seen.unwrap() <= Duration::from_secs(31), "{seen:?}");
    assert!(server.shortest_gap() >= Duration::from_secs(30), "{:?}", server.shortest_gap());
    assert!(server.calls() <= 1 + 4 + 1, "{}", server.calls());
}

#[tokio::test(start_paused = true)]
async fn unknown_kid_flood_at_a_broken_url_causes_few_fetches() {
    let good = ONE.good("A", "c");
    let flood: Vec<String> = (0..100).map(|n| TWO.good(&format!("flood-{n}"), "c")).collect();
    for broken in [Answer::Refuse, Answer::Hang, Answer::Body(500, Bytes::new())] {
        let server = Server::new(keys(&[(&ONE, "A")]));
        let verifier = server.verifier();
        sleep(MINUTE).await;
        server.set(broken);
        for round in 0..2_000 {
            match verifier.verify(&flood[round % flood.len()]) {
                Verification::Done(answer) => assert_eq!(reason(answer), Err(UNAVAILABLE)),
                Verification::NeedsKeys(pending) => drop(tokio::spawn(pending.wait())),
            }
            assert_eq!(at_once(&verifier, &good), Ok(()));
            sleep(Duration::from_millis(50)).await;
        }
        assert!(server.shortest_gap() >= Duration::from_secs(30), "{:?}", server.shortest_gap());
        assert!((4..=6).contains(&server.calls()), "{}", server.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_64_wait_and_none_longer_than_2_s() {
    let server = Server::new(keys(&[(&ONE, "A")]));
    let verifier = server.verifier();
    sleep(MINUTE).await;
    server.set(Answer::Hang);
    let token = TWO.good("B", "c");
    let start = Instant::now();
    let waiting: Vec<_> = (0..64)
        .map(|_| match verifier.verify(&token) {
            Verification::NeedsKeys(pending) => tokio::spawn(pending.wait()),
            Verification::Done(_) => panic!("it does not wait"),
        })
        .collect();
    assert_eq!(at_once(&verifier, &token), Err(UNAVAILABLE), "the 65th is refused");
    for answer in waiting {
        assert_eq!(reason(answer.await.unwrap()), Err(UNAVAILABLE));
    }
    assert_eq!(start.elapsed(), MAX_WAIT);
    // The places are free again, and those who leave early free theirs.
    for _ in 0..200 {
        assert!(matches!(verifier.verify(&token), Verification::NeedsKeys(_)));
    }
    // Once the fetch has failed there is nothing to wait for.
    sleep(Duration::from_secs(5)).await;
    assert_eq!(at_once(&verifier, &token), Err(UNAVAILABLE));
}

#[tokio::test(start_paused = true)]
async fn unusable_key_answers_leave_the_last_keys_in_use() {
    let weak = r#"{"keys":[{"kty":"RSA","kid":"A","n":"AQAB","e":"AQAB"}]}"#;
    for (answer, error) in [
        (Answer::Hang, "timed out: no complete response within 5 s"),
        (Answer::Body(500, set(&[(&TWO, "B")])), "the key URL answered 500"),
        (Answer::Body(302, Bytes::new()), "the key URL answered 302"),
        (Answer::Body(200, "<html>secret".into()), "can't be used: it is not a JSON Web Key Set"),
        (Answer::Body(200, vec![b' '; 5_000_000].into()), "the response is larger than 64 KiB"),
        (Answer::Body(200, r#"{"keys":[]}"#.into()), "can't be used: it holds no key"),
        (Answer::Body(200, weak.into()), "can't be used: its key has 17 bits"),
    ] {
        let server = Server::new(keys(&[(&ONE, "A")]));
        let verifier = server.verifier();
        sleep(Duration::from_secs(1)).await;
        server.set(answer);
        for _ in 0..60 {
            sleep(MINUTE).await;
            assert_eq!(at_once(&verifier, &ONE.good("A", "c")), Ok(()));
        }
        let report = verifier.report();
        assert!(report.last_error().unwrap().contains(error), "{report:?}");
        assert!(!format!("{report:?} {verifier:?}").contains("secret"));
        assert!(server.calls() > 10);
    }
}

#[tokio::test(start_paused = true)]
async fn key_that_changed_under_its_kid_is_found() {
    let server = Server::new(keys(&[(&ONE, "A")]));
    let verifier = server.verifier();
    sleep(MINUTE).await;
    // Nothing changed: a forged signature is just that, with and without the URL.
    let forged = TWO.good("A", "c");
    assert_eq!(in_time(&verifier, &forged).await.0, Err(SIGNATURE));
    assert_eq!(at_once(&verifier, &forged), Err(SIGNATURE));
    sleep(MINUTE).await;
    server.set(Answer::Refuse);
    assert_eq!(in_time(&verifier, &forged).await.0, Err(SIGNATURE));
    sleep(5 * MINUTE).await;
    server.set(keys(&[(&TWO, "A")]));
    sleep(MINUTE).await;
    assert_eq!(at_once(&verifier, &forged), Ok(()));
    server.set(keys(&[(&ONE, "A")]));
    sleep(MINUTE).await;
    assert_eq!(in_time(&verifier, &ONE.good("A", "c")).await.0, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn fetched_keys_expire_after_a_day_of_failures() {
    let server = Server::new(keys(&[(&ONE, "A")]));
    let verifier = server.verifier();
    sleep(Duration::from_secs(1)).await;
    server.set(Answer::Refuse);
    sleep(24 * HOUR - MINUTE).await;
    assert_eq!(at_once(&verifier, &ONE.good("A", "c")), Ok(()));
    sleep(2 * MINUTE).await;
    assert!(verifier.report().keys().is_empty());
    let answer = match verifier.verify(&ONE.good("A", "c")) {
        Verification::Done(answer) => answer,
        Verification::NeedsKeys(pending) => pending.wait().await,
    };
    assert_eq!(reason(answer), Err(UNAVAILABLE));
    server.set(keys(&[(&ONE, "A")]));
    sleep(MINUTE + Duration::from_secs(1)).await;
    assert_eq!(at_once(&verifier, &ONE.good("A", "c")), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn given_keys_are_used_beside_the_url_and_never_expire() {
    let server = Server::new(Answer::Refuse);
    let given = SigningKeys::from_key_set(set(&[(&ONE, "A")])).unwrap();
    let verifier = verifier(server.remote(), given);
    assert_eq!(at_once(&verifier, &ONE.good("A", "c")), Ok(()));
    // Without a name it may be meant for a key that was never fetched.
    let nameless = TWO.token(r#"{"alg":"RS256"}"#, &claims("c"));
    assert_eq!(in_time(&verifier, &nameless).await.0, Err(UNAVAILABLE));
    server.set(keys(&[(&ONE, "A"), (&TWO, "B")]));
    sleep(MINUTE).await;
    assert_eq!(at_once(&verifier, &TWO.good("B", "c")), Ok(()));
    assert_eq!(at_once(&verifier, &nameless), Ok(()));
    assert_eq!(verifier.report().keys().len(), 2, "a key that is both is one");
    server.set(Answer::Refuse);
    sleep(25 * HOUR).await;
    assert_eq!(at_once(&verifier, &ONE.good("A", "c")), Ok(()));
    assert_eq!(verifier.report().keys().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fetch_task_ends_with_the_last_handle() {
    for answer in [keys(&[(&ONE, "A")]), Answer::Hang, Answer::Refuse] {
        let server = Server::new(answer);
        let alive: Weak<_> = Arc::downgrade(&server.0);
        let verifier = server.verifier();
        let clone = verifier.clone();
        drop(server);
        sleep(Duration::from_millis(10)).await;
        drop(verifier);
        sleep(Duration::from_millis(10)).await;
        assert!(alive.upgrade().is_some(), "a handle is left");
        drop(clone);
        sleep(Duration::from_millis(1)).await;
        assert!(alive.upgrade().is_none(), "the task holds the client, and should be gone");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_invalid_anyway_cause_no_fetch() {
    let server = Server::new(keys(&[(&ONE, "A")]));
    let verifier = server.verifier();
    sleep(MINUTE).await;
    let expired = claims("c").replace(&(NOW + 300).to_string(), "1");
    let foreign = claims("c").replace("spn:app", "other");
    for claims in [expired, foreign] {
        let token = TWO.token(r#"{"alg":"RS256","kid":"B"}"#, &claims);
        assert!(at_once(&verifier, &token).is_err());
    }
    let header = r#"{"alg":"HS256","kid":"B"}"#;
    assert!(at_once(&verifier, &TWO.token(header, &claims("c"))).is_err());
    sleep(5 * MINUTE).await;
    assert_eq!(server.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn http_key_url_is_never_requested() {
    let server = Server::new(keys(&[(&ONE, "A")]));
    let url = "http://me:secret@example.org/login/.well-known/jwks?code=secret".parse().unwrap();
    let verifier = verifier(RemoteKeys { url, ..server.remote() }, SigningKeys::default());
    sleep(MINUTE).await;
    assert_eq!(server.calls(), 0);
    let report = verifier.report();
    assert!(report.last_error().unwrap().contains("use https"), "{report:?}");
    assert_eq!(report.url(), Some("http://example.org/login/.well-known/jwks"));
    assert!(!format!("{report:?} {verifier:?}").contains("secret"));
}

#[tokio::test]
async fn known_key_is_found_without_a_lock() {
    let server = Server::new(keys(&[(&ONE, "A")]));
    let given = SigningKeys::from_key_set(set(&[(&ONE, "A")])).unwrap();
    let (remote, _) = Remote::new(server.remote(), given);
    // A second lock on this thread would hang the test.
    let _held = remote.0.state();
    assert_eq!(remote.ring().report().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn panicking_client_is_a_failed_fetch_and_not_the_last() {
    let server = Server::new(Answer::Panic);
    let verifier = server.verifier();
    sleep(10 * MINUTE).await;
    assert!((2..40).contains(&server.calls()), "{}", server.calls());
    let report = verifier.report();
    assert_eq!(report.last_error(), Some("the client panicked"));
    server.set(keys(&[(&ONE, "A")]));
    sleep(MINUTE + Duration::from_secs(15)).await;
    assert_eq!(at_once(&verifier, &ONE.good("A", "Cust1")), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn fetch_that_broke_off_with_its_task_counts_as_failed() {
    let server = Server::new(Answer::Hang);
    let (remote, fetcher) = Remote::new(server.remote(), SigningKeys::default());
    let task = tokio::spawn(fetcher.clone().run());
    sleep(Duration::from_millis(1)).await;
    assert_eq!(server.calls(), 1);
    task.abort();
    server.set(keys(&[(&ONE, "A")]));
    tokio::spawn(fetcher.run());
    sleep(Duration::from_millis(1)).await;
    assert_eq!(server.calls(), 1, "not at once");
    assert_eq!(remote.report().last_error(), Some("the fetch broke off"));
    sleep(Duration::from_secs(2)).await;
    assert_eq!((server.calls(), remote.report().last_error()), (2, None));
}
