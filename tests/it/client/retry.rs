//! A retry policy that leaves closed tenants alone.

use std::{
    future::{Ready, ready},
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use harness::{call_to, gate_with_closed};
use http::Request;
use tower::{BoxError, ServiceBuilder, ServiceExt, retry::Policy, service_fn};
use tower_superoffice::{GuardError, guard::RetryOpen};

/// Retries every failure twice.
#[derive(Clone)]
struct Twice(usize);

impl<R, E> Policy<Request<()>, R, E> for Twice {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<()>, result: &mut Result<R, E>) -> Option<Ready<()>> {
        if result.is_ok() || self.0 == 0 {
            return None;
        }
        self.0 -= 1;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn only_failures_of_open_tenants_are_retried() {
    let gate = gate_with_closed().await;
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let failing = service_fn(move |_: Request<()>| {
        count.fetch_add(1, Ordering::SeqCst);
        ready(Err::<(), _>(io::Error::other("down")))
    });
    let typed = ServiceBuilder::new()
        .retry(RetryOpen::new(Twice(2)))
        .layer(gate.guard_layer())
        .service(failing.clone());
    assert!(matches!(typed.clone().oneshot(call_to("Open", ())).await, Err(GuardError::Inner(_))));
    assert_eq!(attempts.swap(0, Ordering::SeqCst), 3);
    let refused = typed.oneshot(call_to("Closed", ())).await;
    assert!(matches!(refused, Err(GuardError::Unavailable(_))));

    // Behind a layer that boxes errors.
    let passes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passes);
    let boxed = ServiceBuilder::new()
        .retry(RetryOpen::new(Twice(2)))
        .map_request(move |request: Request<()>| {
            count.fetch_add(1, Ordering::SeqCst);
            request
        })
        .map_err(BoxError::from)
        .layer(gate.guard_layer())
        .service(failing);
    assert!(boxed.clone().oneshot(call_to("Open", ())).await.is_err());
    assert_eq!(passes.swap(0, Ordering::SeqCst), 3);
    assert!(boxed.oneshot(call_to("Closed", ())).await.is_err());
    assert_eq!(passes.load(Ordering::SeqCst), 1);
}
