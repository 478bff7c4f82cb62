//! The guard allocates nothing, for allowed and refused calls.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use http::{Request, Response};
use tower::{Layer, Service, util::BoxCloneService};

use harness::{call_to, gate_with_closed, operator_gate, tenant};
use tower_superoffice::{
    Environment, TenantGate,
    status::Record,
    store::{MemoryStore, Store},
};

/// A client that responds at once and allocates nothing itself.
#[derive(Clone)]
struct Client;

impl Service<Request<()>> for Client {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        drop(request);
        ready(Ok(Response::new(())))
    }
}

/// Returns the allocations of 100 calls of `request` through `service`, and how many succeed.
fn allocations<S>(service: &mut S, request: &Request<()>) -> (u64, usize)
where
    S: Service<Request<()>>,
{
    let mut cx = Context::from_waker(Waker::noop());
    // Requests own their parts: made before the count starts, and dropped by the client within it.
    let requests: Vec<_> = (0..100).map(|_| request.clone()).collect();
    let mut succeeded = 0;
    let info = measure(|| {
        for request in requests {
            assert!(service.poll_ready(&mut cx).is_ready());
            let answer = pin!(service.call(request)).poll(&mut cx);
            succeeded += usize::from(matches!(black_box(answer), Poll::Ready(Ok(_))));
        }
    });
    (info.count_total, succeeded)
}

#[tokio::test]
async fn allowed_call_allocates_nothing() {
    let gate = operator_gate().await;
    let mut guard = gate.guard_layer().layer(Client);
    assert_eq!(allocations(&mut guard, &call_to("Open", ())), (0, 100));

    gate.close(&tenant("Closed"), "test").await.unwrap();
    for open in ["Open", "/%4fpen/../Open//.", "Cust2000000", "ATenantIdOf23Characters"] {
        assert_eq!(allocations(&mut guard, &call_to(open, ())), (0, 100), "{open}");
    }

    // A URL without a host, and a tenant in the extensions.
    let mut request = call_to("Open", ());
    *request.uri_mut() = "/Open/api".parse().unwrap();
    request.headers_mut().insert("host", "127.0.0.1:80".parse().unwrap());
    assert_eq!(allocations(&mut guard, &request), (0, 100));
    for extension in ["Open", "Other"] {
        request.extensions_mut().insert(tenant(extension));
        assert_eq!(allocations(&mut guard, &request), (0, 100));
    }
}

#[tokio::test]
async fn refused_call_allocates_nothing() {
    let gate = gate_with_closed().await;
    let mut guard = gate.guard_layer().layer(Client);
    assert_eq!(allocations(&mut guard, &call_to("Closed", ())), (0, 0));
    assert_eq!(allocations(&mut guard, &call_to("x/..//%63losed", ())), (0, 0));
    let mut observing = gate.guard_layer().observe_only().layer(Client);
    assert_eq!(allocations(&mut observing, &call_to("Closed", ())), (0, 100));
}

#[tokio::test]
async fn client_layer_allocates_nothing_once_the_host_is_known() {
    let running = br#"{"v":"1.1","settled_running":{"state":"Running","seq":1,"known":60,
        "since":1790000000000,"endpoint":"http://127.0.0.1:9"}}"#;
    let store = MemoryStore::new();
    store.merge(&tenant("Open"), &Record::decode(running).unwrap()).await.unwrap();
    let nowhere = Environment::custom("http://127.0.0.1:9".parse().unwrap());
    let gate = TenantGate::builder(nowhere).any_audience().store(store).build().await.unwrap();
    gate.close(&tenant("Closed"), "test").await.unwrap();
    assert_eq!(gate.endpoint(&tenant("Open")).unwrap(), "http://127.0.0.1:9/");

    let mut client = gate.client_layer().no_retry().layer(Client);
    let mut there = call_to("Open", ());
    *there.uri_mut() = "http://127.0.0.1:9/Open/api/v1/Contact/1".parse().unwrap();
    let moved = call_to("Open", ());
    // The first call parses the host.
    allocations(&mut client, &moved);
    for request in [there, moved] {
        assert_eq!(allocations(&mut client, &request), (0, 100), "{}", request.uri());
    }
}

#[tokio::test]
async fn long_unseen_id_allocates_once_while_a_tenant_is_closed() {
    let gate = gate_with_closed().await;
    let mut guard = gate.guard_layer().layer(Client);
    assert_eq!(allocations(&mut guard, &call_to("ATenantIdOf_24Characters", ())), (100, 100));
}

#[tokio::test]
async fn boxed_service_is_counted() {
    let gate = operator_gate().await;
    let mut boxed = BoxCloneService::new(gate.guard_layer().layer(Client));
    assert_eq!(allocations(&mut boxed, &call_to("Open", ())), (100, 100));
}
