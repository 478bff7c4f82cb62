//! The rows of the table: the guard and its peers, each with its budget.

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use http::Request;
use http_body_util::Empty;
use tower::{Layer, Service, load_shed::LoadShed};
use tower_resilience::circuitbreaker::CircuitBreakerLayer;
use tower_superoffice::{TenantGate, TenantId};

use crate::{
    client::{Call, Client, Identity},
    gates::{closed, gate, resumed},
};

/// One line of the table.
pub struct Row {
    pub name: &'static str,
    /// The row to subtract, so that the rest is the cost of the middleware.
    pub base: &'static str,
    /// Budget: instructions over the base.
    pub instructions: Option<u64>,
    /// Budget: nanoseconds over the base, or in all where there is none.
    pub nanoseconds: Option<f64>,
    /// Makes [`CALLS`](Row::CALLS) calls.
    pub run: Box<dyn FnMut() -> Duration>,
}

impl Row {
    /// Calls per run: as many requests as fit into the first-level cache.
    pub const CALLS: usize = 64;

    fn new<S>(name: &'static str, calls: Vec<Call>, mut service: S) -> Self
    where
        S: Service<Call> + 'static,
    {
        let mut next = 0;
        let mut batch = Vec::with_capacity(Self::CALLS);
        let run = move || {
            // Cloned beforehand: a request costs more than the call through the guard.
            for _ in 0..Self::CALLS {
                batch.push(calls[next].clone());
                next = if next + 1 == calls.len() { 0 } else { next + 1 };
            }
            let started = std::time::Instant::now();
            make_calls(&mut service, &mut batch);
            started.elapsed()
        };
        Self { name, base: "", instructions: None, nanoseconds: None, run: Box::new(run) }
    }

    fn over(mut self, base: &'static str) -> Self {
        self.base = base;
        self
    }

    fn budget(mut self, instructions: Option<u64>, nanoseconds: f64) -> Self {
        (self.instructions, self.nanoseconds) = (instructions, Some(nanoseconds));
        self
    }
}

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

fn call(tenant: &TenantId) -> Call {
    let url = format!("https://online3.superoffice.com/{tenant}/api/v1/Contact/12345/Persons");
    Request::get(url).body(Empty::new()).expect("a request")
}

fn one(tenant: &TenantId) -> Vec<Call> {
    vec![call(tenant)]
}

/// Builds calls to 1,024 tenants in turn.
fn in_turn(tenant: impl Fn(usize) -> TenantId) -> Vec<Call> {
    (0..1024).map(|number| call(&tenant(number))).collect()
}

fn unknown(number: usize) -> TenantId {
    TenantId::new(format!("Cust{}", 2_000_000 + number)).expect("a tenant id")
}

fn identity() -> Identity<Client> {
    Identity { inner: Client, refusal: std::hint::black_box(None) }
}

/// Builds the rows of the guard and its peers, with `count` closed tenants where a row has any.
pub fn all(count: usize) -> Vec<Row> {
    // Leaked: the gates' tasks run on it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = Box::leak(Box::new(runtime.expect("a runtime")));
    let none = runtime.block_on(gate(0));
    let million = runtime.block_on(gate(count));
    let refused = move |number: usize| closed(number * 977 % count);

    let (breaker, _) = CircuitBreakerLayer::builder().build_with_handle().expect("a breaker");
    let (tripped, handle) = CircuitBreakerLayer::builder()
        .wait_duration_in_open(Duration::from_secs(86_400))
        .build_with_handle()
        .expect("a breaker");
    runtime.block_on(handle.force_open());

    let guard = |gate: &TenantGate| gate.guard_layer().layer(Client);
    let tenant = unknown(0);
    vec![
        Row::new("identity", one(&tenant), identity()),
        Row::new("guard, none closed", one(&tenant), guard(&none))
            .over("identity")
            .budget(Some(40), 10.0),
        Row::new("load_shed", one(&tenant), LoadShed::new(Client)).over("identity"),
        Row::new("breaker, closed", one(&tenant), breaker.layer(Client)).over("identity"),
        Row::new("identity, 1024 in turn", in_turn(unknown), identity()),
        Row::new("guard, million closed, 1024 open", in_turn(unknown), guard(&million))
            .over("identity, 1024 in turn")
            .budget(Some(350), 45.0),
        Row::new("guard, million closed, 1024 resumed", in_turn(resumed), guard(&million))
            .over("identity, 1024 in turn")
            .budget(Some(350), 45.0),
        Row::new("guard, refused, warm", one(&refused(1)), guard(&million)).budget(None, 60.0),
        Row::new("guard, refused, 1024 of a million", in_turn(refused), guard(&million))
            .budget(None, 120.0),
        Row::new("breaker, open", one(&tenant), tripped.layer(Client)),
    ]
}
