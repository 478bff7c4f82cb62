//! The calls that rows make: in batches, each with a URL text of its own.

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use http::Request;
use http_body_util::Empty;
use tower::Service;
use tower_superoffice::TenantId;

use crate::client::Call;

/// Calls per batch: as many requests as fit into the first-level cache.
pub const BATCH: usize = 64;

/// The tenants that are called in turn.
#[derive(Clone, Copy)]
pub struct InTurn {
    /// The id of each, by number.
    pub tenant: fn(usize) -> TenantId,
    pub count: usize,
    /// From one number to the next.
    pub step: usize,
    /// All numbers are below it.
    pub end: usize,
}

/// A service and the calls that it gets.
pub struct Calls<S> {
    service: S,
    tenants: InTurn,
    next: usize,
    batch: Vec<Call>,
}

impl<S: Service<Call>> Calls<S> {
    pub fn new(service: S, tenants: InTurn) -> Self {
        Self { service, tenants, next: 0, batch: Vec::with_capacity(BATCH) }
    }

    /// Makes a batch of calls, and returns how long they took. Their requests are made beforehand,
    /// as an application makes them: just before the call, the text of each URL for itself. Clones
    /// would share a text that lies in no cache, and charge it to a middleware that reads it.
    pub fn run(&mut self) -> Duration {
        for _ in 0..BATCH {
            let InTurn { tenant, count, step, end } = self.tenants;
            self.batch.push(call(&tenant(self.next * step % end)));
            self.next = (self.next + 1) % count;
        }
        let started = Instant::now();
        make_calls(&mut self.service, &mut self.batch);
        started.elapsed()
    }
}

fn call(tenant: &TenantId) -> Call {
    let url = format!("https://online3.superoffice.com/{tenant}/api/v1/Contact/12345/Persons");
    Request::get(url).body(Empty::new()).expect("a request")
}

/// The instruction counter counts within this function alone, which it knows by name.
#[inline(never)]
fn make_calls<S: Service<Call>>(service: &mut S, batch: &mut Vec<Call>) {
    for call in batch.drain(..) {
        make_call(service, call);
    }
}

/// Not inlined, so that every row passes its request as to a client of another crate.
#[inline(never)]
fn make_call<S: Service<Call>>(service: &mut S, call: Call) {
    let mut cx = Context::from_waker(Waker::noop());
    let _ = black_box(service.poll_ready(&mut cx));
    let mut answer = pin!(service.call(call));
    let _ = black_box(answer.as_mut().poll(&mut cx));
}
