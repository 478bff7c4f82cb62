//! Notifications that come in another way than over HTTP, such as from a queue.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt;
use harness::{MAX_WAIT, TestEnv, post, until};
use http::{Request, Response};
use http_body_util::Full;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};
use tower::service_fn;
use tower_superoffice::{
    ChangeType, TenantGate,
    notification::{Accepted, EmptyBody, Notification, Outcome, Refusal},
    simulator::Simulator,
    store::MemoryStore,
    token::TokenError,
};

/// A gate that only what is received changes.
async fn env() -> TestEnv {
    TestEnv::on_tokio_clock_with(|builder| builder.state_api(false)).await
}

#[tokio::test(start_paused = true)]
async fn notifications_from_a_queue_are_applied_in_turn() {
    let env = env().await;
    let (queue, mut messages) = mpsc::channel(4);
    let sent = [ChangeType::Suspend, ChangeType::Resume, ChangeType::Delete];
    for change in sent {
        queue.send(env.notification(change).body()).await.unwrap();
    }
    drop(queue);
    let mut closed = Vec::new();
    while let Some(message) = messages.recv().await {
        let accepted = env.gate.receive(message.clone()).await.unwrap();
        assert_eq!(accepted.notification(), &Notification::parse_unverified(&message).unwrap());
        assert_eq!(accepted.environment(), env.gate.environment());
        assert_eq!((accepted.tenant(), accepted.outcome()), (&env.tenant, Outcome::Applied));
        closed.push(env.gate.check(&env.tenant).is_err());
    }
    assert_eq!(closed, [true, false, true]);
    assert_eq!(env.gate.health().notifications().applied(), 3);
}

#[tokio::test(start_paused = true)]
async fn versions_are_returned_as_sent() {
    let env = env().await;
    let named = env.notification(ChangeType::Upgrade).field("VersionName", "Release 8.4 R08");
    let accepted = env.gate.receive(named.field("FileVersion", "8.4.12").body()).await;
    let accepted = accepted.unwrap();
    assert_eq!(accepted.version_name(), Some("Release 8.4 R08"));
    assert_eq!(accepted.file_version(), Some("8.4.12"));
    assert_eq!(accepted.notification().public_endpoint(), None);
    // The same in the extensions of an answer.
    let bare = env.notification(ChangeType::Resume).field("VersionName", 1);
    let answer = post(&env.gate, bare.field("FileVersion", "").body()).await;
    let accepted = answer.extensions().get::<Accepted>().unwrap();
    assert_eq!((accepted.version_name(), accepted.file_version()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn replayed_message_is_a_duplicate_and_later_expired() {
    let env = env().await;
    let body = env.notification(ChangeType::Suspend).body();
    let outcomes = [Outcome::Applied, Outcome::Duplicate];
    for outcome in outcomes {
        assert_eq!(env.gate.receive(body.clone()).await.unwrap().outcome(), outcome);
    }
    assert_eq!(post(&env.gate, body.clone()).await.status(), 204, "the route knows it too");
    // 5 minutes, and as many seconds as the leeway has.
    sleep(Duration::from_secs(359)).await;
    assert_eq!(env.gate.receive(body.clone()).await.unwrap().outcome(), Outcome::Duplicate);
    sleep(Duration::from_secs(1)).await;
    let expired = Refusal::Token(TokenError::Expired);
    assert_eq!(env.gate.receive(body).await, Err(expired));
}

#[tokio::test(start_paused = true)]
async fn limit_of_size_is_that_of_the_route() {
    let env = env().await;
    let body = env.notification(ChangeType::Suspend).body();
    let padded = |size: usize| {
        let mut padded = body.to_vec();
        padded.resize(size, b' ');
        padded
    };
    let refused = env.gate.receive(padded(16 * 1024 + 1)).await;
    assert_eq!(refused, Err(Refusal::BodyTooLarge));
    assert!(env.gate.check(&env.tenant).is_ok());
    env.gate.receive(padded(16 * 1024)).await.unwrap();
    assert!(env.gate.check(&env.tenant).is_err());
}

#[tokio::test(start_paused = true)]
async fn refused_messages_change_nothing_and_are_counted() {
    let env = env().await;
    let suspend = || env.notification(ChangeType::Suspend);
    let other = harness::tenant("Cust2");
    for (body, refusal) in [
        (suspend().forged().body(), Refusal::Token(TokenError::Signature)),
        (suspend().with_token("").body(), Refusal::Token(TokenError::Missing)),
        (suspend().token_tenant(&other).body(), Refusal::OtherTenant),
        (Bytes::from_static(b"{}"), Refusal::Malformed),
        (Bytes::new(), Refusal::Malformed),
    ] {
        assert_eq!(env.gate.receive(body).await, Err(refusal));
    }
    assert!(env.gate.snapshot().is_empty());
    assert_eq!(env.gate.health().notifications().rejected(), 5);
}

#[tokio::test(start_paused = true)]
async fn message_is_stored_before_it_is_accepted() {
    let store = MemoryStore::new();
    let with_store = store.clone();
    let env =
        TestEnv::on_tokio_clock_with(|builder| builder.state_api(false).store(with_store)).await;
    store.set_available(false);
    let body = env.notification(ChangeType::Suspend).body();
    let refusal = env.gate.receive(body.clone()).await.unwrap_err();
    assert!(matches!(refusal, Refusal::NotStored { .. }), "{refusal}");
    assert!(refusal.status().is_server_error(), "the message has to stay in the queue");
    assert!(env.gate.check(&env.tenant).is_err(), "it is in force here");
    store.set_available(true);
    assert_eq!(env.gate.receive(body).await.unwrap().outcome(), Outcome::Duplicate);
    assert_eq!(env.gate.health().dirty(), 0);
}

#[tokio::test]
async fn message_is_recorded_after_its_future_is_dropped() {
    let simulator = Simulator::start().await.unwrap();
    let key = Arc::new(Semaphore::new(0));
    let (key_set, permit) = (simulator.key_set(), Arc::clone(&key));
    let client = service_fn(move |_: Request<EmptyBody>| {
        let (answer, permit) = (Full::new(Bytes::from(key_set.clone())), Arc::clone(&permit));
        async move {
            permit.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(Response::new(answer))
        }
    });
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .client(client)
        .state_api(false)
        .build()
        .await
        .unwrap();
    let tenant = harness::tenant("Cust1");
    let body = simulator.notification(ChangeType::Suspend, &tenant).body();
    assert!(gate.receive(body).now_or_never().is_none(), "there is no key yet");
    key.add_permits(1);
    let applied = until("it is applied", async || gate.check(&tenant).is_err());
    timeout(MAX_WAIT, applied).await.unwrap();
    assert_eq!(gate.health().notifications().applied(), 1);
}
