//! The rows: the guard and its peers, each with its budget.

use std::time::Duration;

use tower::{Layer, Service, limit::ConcurrencyLimit, load_shed::LoadShed};
use tower_resilience::circuitbreaker::CircuitBreakerLayer;
use tower_superoffice::{TenantGate, TenantId};

use crate::{
    by_hand::{Careful, Quick},
    calls::{Calls, InTurn},
    client::{Call, Client, Identity},
    gates::{RESUMED, closed, located, moved, resumed, unknown},
    report::Limits,
    setup::Setup,
};

/// One row: what it measures, and what that is compared with.
pub struct Row {
    pub name: &'static str,
    /// The row to subtract, so that the rest is the cost of the middleware.
    pub over: Option<&'static str>,
    /// The row whose cost its own is divided by.
    pub peer: Option<&'static str>,
    pub limits: Limits,
    make: fn(&Setup) -> Run,
}

/// Makes a batch of calls, and returns how long they took.
pub type Run = Box<dyn FnMut() -> Duration>;

const WARM: usize = 64;
const COLD: usize = 1024;

pub const IDENTITY: &str = "identity, warm";
const IDENTITY_COLD: &str = "identity, cold";
pub const BY_HAND: &str = "by hand, allowed, warm";
pub const BY_HAND_COLD: &str = "by hand, allowed, cold";
const BY_HAND_REFUSED: &str = "by hand, refused, warm";
const BY_HAND_REFUSED_COLD: &str = "by hand, refused, cold";

impl Row {
    const fn new(name: &'static str, make: fn(&Setup) -> Run) -> Self {
        let limits = Limits { instructions: None, ns: None, ratio: None, other: None };
        Self { name, over: None, peer: None, limits, make }
    }

    const fn over(mut self, row: &'static str) -> Self {
        self.over = Some(row);
        self
    }

    const fn beside(mut self, row: &'static str) -> Self {
        self.peer = Some(row);
        self
    }

    const fn instructions(mut self, most: f64) -> Self {
        self.limits.instructions = Some(most);
        self
    }

    const fn ns(mut self, most: f64) -> Self {
        self.limits.ns = Some(most);
        self
    }

    const fn ratio(mut self, most: f64) -> Self {
        self.limits.ratio = Some(most);
        self
    }

    pub fn start(&self, setup: &Setup) -> Run {
        (self.make)(setup)
    }
}

/// All rows but those with several threads. *Warm* calls 64 tenants in turn, *cold* 1,024.
pub const ALL: &[Row] = &[
    Row::new(IDENTITY, |_| calls(identity(), open(WARM))),
    Row::new(IDENTITY_COLD, |_| calls(identity(), open(COLD))),
    Row::new("tower load_shed", |_| calls(LoadShed::new(Client), open(WARM))).over(IDENTITY),
    Row::new("tower concurrency_limit", |_| calls(ConcurrencyLimit::new(Client, 1024), open(WARM)))
        .over(IDENTITY),
    Row::new("circuit breaker, closed", |_| calls(breaker(), open(WARM))).over(IDENTITY),
    Row::new("guard, none closed", |setup| calls(guard(setup.open()), open(WARM)))
        .over(IDENTITY)
        .instructions(20.0)
        .ns(2.0),
    Row::new("quick by hand, allowed, warm", |setup| calls(quick(setup), open(WARM)))
        .over(IDENTITY)
        .beside(BY_HAND),
    Row::new("quick by hand, allowed, cold", |setup| calls(quick(setup), open(COLD)))
        .over(IDENTITY_COLD)
        .beside(BY_HAND_COLD),
    Row::new("borrowed look-up, allowed, warm", |setup| calls(look_up(setup), open(WARM)))
        .over(IDENTITY)
        .beside(BY_HAND),
    Row::new("borrowed look-up, allowed, cold", |setup| calls(look_up(setup), open(COLD)))
        .over(IDENTITY_COLD)
        .beside(BY_HAND_COLD),
    Row::new(BY_HAND, |setup| calls(careful(setup), open(WARM))).over(IDENTITY),
    Row::new(BY_HAND_COLD, |setup| calls(careful(setup), open(COLD))).over(IDENTITY_COLD),
    Row::new("guard, allowed, warm", |setup| calls(guard(setup.closed()), open(WARM)))
        .over(IDENTITY)
        .beside(BY_HAND)
        .instructions(300.0)
        .ratio(0.65),
    Row::new("guard, allowed, cold", |setup| calls(guard(setup.closed()), open(COLD)))
        .over(IDENTITY_COLD)
        .beside(BY_HAND_COLD)
        .instructions(300.0)
        .ratio(0.9),
    Row::new("guard, resumed, warm", |setup| {
        calls(guard(setup.closed()), with_record(resumed, WARM))
    })
    .over(IDENTITY)
    .instructions(300.0)
    .ns(25.0),
    Row::new("guard, resumed, cold", |setup| {
        calls(guard(setup.closed()), with_record(resumed, COLD))
    })
    .over(IDENTITY_COLD)
    .instructions(300.0)
    .ns(60.0),
    Row::new("circuit breaker, open", |setup| calls(tripped(setup), open(WARM))),
    Row::new(BY_HAND_REFUSED, |setup| calls(careful(setup), refused(setup, WARM))),
    Row::new(BY_HAND_REFUSED_COLD, |setup| calls(careful(setup), refused(setup, COLD))),
    Row::new("guard, refused, warm", |setup| calls(guard(setup.closed()), refused(setup, WARM)))
        .beside(BY_HAND_REFUSED)
        .ns(80.0),
    Row::new("guard, refused, cold", |setup| calls(guard(setup.closed()), refused(setup, COLD)))
        .beside(BY_HAND_REFUSED_COLD)
        .ns(200.0),
    Row::new("client layer, host as in the URL", |setup| {
        calls(client(setup.closed()), with_record(located, WARM))
    })
    .over(IDENTITY)
    .beside(IDENTITY)
    .instructions(450.0),
    Row::new("client layer, host rewritten", |setup| {
        calls(client(setup.closed()), with_record(moved, WARM))
    })
    .over(IDENTITY)
    .beside(IDENTITY)
    .instructions(450.0),
];

fn calls<S: Service<Call> + 'static>(service: S, tenants: InTurn) -> Run {
    let mut calls = Calls::new(service, tenants);
    Box::new(move || calls.run())
}

/// Tenants that the gate knows nothing of.
pub fn open(count: usize) -> InTurn {
    InTurn { tenant: unknown, count, step: 1, end: count }
}

fn with_record(tenant: fn(usize) -> TenantId, count: usize) -> InTurn {
    InTurn { tenant, count, step: 1, end: RESUMED }
}

/// Closed tenants from all over the table.
fn refused(setup: &Setup, count: usize) -> InTurn {
    InTurn { tenant: closed, count, step: 977, end: setup.count }
}

pub fn identity() -> Identity<Client> {
    Identity { inner: Client, refusal: std::hint::black_box(None) }
}

pub fn guard(gate: &TenantGate) -> impl Service<Call, Future: Send> + Clone + Send + use<> {
    gate.guard_layer().layer(Client)
}

/// Keeps no copy of a request for a retry.
fn client(gate: &TenantGate) -> impl Service<Call> + use<> {
    gate.client_layer().no_retry().layer(Client)
}

fn careful(setup: &Setup) -> Careful<Client> {
    Careful { inner: Client, closed: setup.by_hand() }
}

fn quick(setup: &Setup) -> Quick<Client> {
    Quick { inner: Client, closed: setup.by_hand() }
}

/// A borrowed look-up with the registry's hasher, which the index of closed tenants has to beat.
fn look_up(setup: &Setup) -> impl Service<Call> + use<> {
    Quick { inner: Client, closed: setup.quickly_hashed() }
}

fn breaker() -> impl Service<Call> {
    let (breaker, _) = CircuitBreakerLayer::builder().build_with_handle().expect("a breaker");
    breaker.layer(Client)
}

fn tripped(setup: &Setup) -> impl Service<Call> + use<> {
    let (breaker, handle) = CircuitBreakerLayer::builder()
        .wait_duration_in_open(Duration::from_secs(86_400))
        .build_with_handle()
        .expect("a breaker");
    setup.block_on(handle.force_open());
    breaker.layer(Client)
}
