//! Readiness: the guard's promises to the services around it, and the effect of a refused call on
//! those inside it.

use std::{future::Future, time::Duration};

use http::Request;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{
    BoxError, Layer, Service, ServiceExt,
    buffer::Buffer,
    limit::ConcurrencyLimit,
    load_shed::{LoadShed, error::Overloaded},
};
use tower_superoffice::{GuardError, TenantGate, TenantUnavailable, guard::Guard};
use tower_test::mock::{self, Mock};

use harness::{call_to, gate_with_closed};

type Client = Mock<Request<()>, &'static str>;
type Handle = mock::Handle<Request<()>, &'static str>;

/// Polls, once and in a task of its own, whether `service` is ready.
fn is_ready<S: Service<Request<()>>>(service: &mut S) -> bool {
    task::spawn(service.ready()).poll().is_ready()
}

fn open() -> Request<()> {
    call_to("Open", ())
}

fn closed() -> Request<()> {
    call_to("Closed", ())
}

async fn is_refused<T, E: Into<BoxError>>(call: impl Future<Output = Result<T, E>>) -> bool {
    let Err(error) = call.await else { return false };
    TenantUnavailable::find(&*error.into()).is_some()
}

/// Responds to every call, so that only readiness can delay one.
fn answering(mut handle: Handle) {
    tokio::spawn(async move {
        while let Some((_, answer)) = handle.next_request().await {
            answer.send_response("hello");
        }
    });
}

#[tokio::test]
async fn readiness_is_that_of_the_client() {
    let gate = gate_with_closed().await;
    let (mut guard, mut handle) =
        mock::spawn_layer::<Request<()>, &'static str, _>(gate.guard_layer());

    handle.allow(0);
    assert_pending!(guard.poll_ready());
    handle.allow(1);
    assert!(guard.is_woken());
    assert_ready_ok!(guard.poll_ready());

    let mut answer = task::spawn(guard.call(open()));
    assert_pending!(answer.poll());
    let (request, respond) = handle.next_request().await.unwrap();
    assert_eq!(request.uri().path(), "/Open/api/v1/Contact/1");
    respond.send_response("hello");
    assert_eq!(assert_ready_ok!(answer.poll()), "hello");

    handle.allow(0);
    assert_pending!(guard.poll_ready());
    handle.send_error("broken");
    assert!(matches!(assert_ready!(guard.poll_ready()), Err(GuardError::Inner(_))));
}

#[tokio::test]
async fn refused_call_leaves_its_reservation_for_the_next() {
    let gate = gate_with_closed().await;
    let (mut guard, mut handle) =
        mock::spawn_layer::<Request<()>, &'static str, _>(gate.guard_layer());
    handle.allow(1);
    for _ in 0..3 {
        assert_ready_ok!(guard.poll_ready());
        assert!(is_refused(guard.call(closed())).await);
    }
    // The reservation serves the next call.
    assert_ready_ok!(guard.poll_ready());
    drop(guard.call(open()));
    assert_pending!(guard.poll_ready());
    let (request, _) = handle.next_request().await.unwrap();
    assert_eq!(request.uri().path(), "/Open/api/v1/Contact/1");
}

/// A guard around `limit(client)`, where the limit is one call at a time.
fn guarded_limit(gate: &TenantGate) -> Guard<ConcurrencyLimit<Client>> {
    let (client, handle) = mock::pair();
    answering(handle);
    gate.guard_layer().layer(ConcurrencyLimit::new(client, 1))
}

#[tokio::test]
async fn outer_limit_regains_its_permit_after_a_refusal() {
    let gate = gate_with_closed().await;
    let (client, handle) = mock::pair::<Request<()>, &'static str>();
    answering(handle);
    let mut one = ConcurrencyLimit::new(gate.guard_layer().layer(client), 1);
    let mut other = one.clone();

    assert!(is_refused(one.ready().await.unwrap().call(closed())).await);
    assert!(is_ready(&mut other));
    assert_eq!(other.call(open()).await.unwrap(), "hello");
}

#[tokio::test]
async fn inner_limit_keeps_its_permit_taken_after_a_refusal() {
    let gate = gate_with_closed().await;
    let mut one = guarded_limit(&gate);
    let mut other = one.clone();

    assert!(is_refused(one.ready().await.unwrap().call(closed())).await);
    assert!(!is_ready(&mut other));
    // Until the handle that holds it calls or is dropped.
    assert_eq!(one.ready().await.unwrap().call(open()).await.unwrap(), "hello");
    assert!(is_ready(&mut other));
    drop(other);

    let mut other = one.clone();
    assert!(is_refused(one.ready().await.unwrap().call(closed())).await);
    assert!(!is_ready(&mut other));
    drop(one);
    assert!(is_ready(&mut other));
}

#[tokio::test]
async fn release_on_refusal_returns_the_permit_of_an_inner_limit() {
    let gate = gate_with_closed().await;
    let mut one = guarded_limit(&gate).release_on_refusal();
    let mut other = one.clone();

    assert!(is_refused(one.ready().await.unwrap().call(closed())).await);
    assert!(is_ready(&mut other));
    assert!(is_refused(other.call(closed())).await);
    assert_eq!(one.ready().await.unwrap().call(open()).await.unwrap(), "hello");
    assert_eq!(other.ready().await.unwrap().call(open()).await.unwrap(), "hello");
}

#[tokio::test]
async fn outer_load_shed_sheds_and_passes_refusals() {
    let gate = gate_with_closed().await;
    let (client, mut handle) = mock::pair::<Request<()>, &'static str>();
    let mut shed = LoadShed::new(gate.guard_layer().layer(client));

    handle.allow(0);
    let error = shed.ready().await.unwrap().call(open()).await.unwrap_err();
    assert!(error.is::<Overloaded>());
    handle.allow(1);
    assert!(is_refused(shed.ready().await.unwrap().call(closed())).await);
}

#[tokio::test]
async fn inner_load_shed_sheds_allowed_calls_only() {
    let gate = gate_with_closed().await;
    let (client, mut handle) = mock::pair::<Request<()>, &'static str>();
    let mut guard = gate.guard_layer().layer(LoadShed::new(client));

    handle.allow(0);
    assert!(is_refused(guard.ready().await.unwrap().call(closed())).await);
    let error = guard.ready().await.unwrap().call(open()).await.unwrap_err();
    assert!(error.inner().unwrap().is::<Overloaded>());
}

#[tokio::test]
async fn outer_buffer_continues_after_a_refusal() {
    let gate = gate_with_closed().await;
    let (client, handle) = mock::pair::<Request<()>, &'static str>();
    answering(handle);
    let mut one = Buffer::new(gate.guard_layer().layer(client), 1);
    let mut other = one.clone();

    for _ in 0..3 {
        assert!(is_refused(one.ready().await.unwrap().call(closed())).await);
        assert_eq!(other.ready().await.unwrap().call(open()).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn inner_buffer_keeps_its_slot_unless_released() {
    let gate = gate_with_closed().await;
    let buffer = || {
        let (client, handle) = mock::pair::<Request<()>, &'static str>();
        answering(handle);
        Buffer::new(client, 1)
    };

    let mut one = gate.guard_layer().layer(buffer());
    let mut other = one.clone();
    assert!(is_refused(one.ready().await.unwrap().call(closed())).await);
    assert!(!is_ready(&mut other));
    assert_eq!(one.call(open()).await.unwrap(), "hello");

    let mut one = gate.guard_layer().layer(buffer()).release_on_refusal();
    let mut other = one.clone();
    assert!(is_refused(one.ready().await.unwrap().call(closed())).await);
    assert!(is_ready(&mut other));
    assert_eq!(other.call(open()).await.unwrap(), "hello");
}

#[tokio::test]
async fn many_callers_of_a_narrow_limit_all_finish() {
    let gate = gate_with_closed().await;
    let guard = guarded_limit(&gate).release_on_refusal();
    let callers = (0..200).map(|number| {
        let guard = guard.clone();
        tokio::spawn(async move {
            let request = if number % 3 == 0 { open() } else { closed() };
            guard.oneshot(request).await.is_ok()
        })
    });
    let callers: Vec<_> = callers.collect();
    let all = async {
        let mut answered = 0;
        for caller in callers {
            answered += usize::from(caller.await.unwrap());
        }
        answered
    };
    let answered = tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
    assert_eq!(answered, 67);
}
