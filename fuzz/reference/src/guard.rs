//! The guard's decision, held against the tenant that the plain implementation finds.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use http::Request;
use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;
use tower_service::Service;
use tower_superoffice::{Environment, GuardError, TenantGate, TenantId, token::SigningKeys};

/// The gate verifies nothing, and needs a key so that it fetches none.
const CERTIFICATE: &str = include_str!("../../../tests/fixtures/v1-sha1.crt");

/// A tenant that is always closed: while none is, the guard reads nothing.
const CLOSED: &str = "Cust1";
/// A gate remembers each tenant that it closed, so it is replaced after so many.
const MOST: usize = 10_000;

/// Calls `request` through the guard of a gate of production: once with the tenant closed that it
/// is for, and once with it open.
///
/// Panics unless the guard refuses the first and passes the second. A request for no tenant, which
/// is `None`, must pass.
pub(crate) fn decides_as_expected(request: &Request<()>, tenant: Option<&str>) {
    thread_local! {
        static GATES: RefCell<Gates> = RefCell::new(Gates::new());
    }
    GATES.with_borrow_mut(|gates| gates.decide(request, tenant));
}

struct Gates {
    runtime: Runtime,
    gate: TenantGate,
    calls: usize,
}

impl Gates {
    #[expect(clippy::expect_used, reason = "a check, which panics when it fails")]
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let gate = runtime.block_on(gate());
        Self { runtime, gate, calls: 0 }
    }

    #[expect(clippy::expect_used, reason = "a check, which panics when it fails")]
    fn decide(&mut self, request: &Request<()>, tenant: Option<&str>) {
        self.calls += 1;
        if self.calls.is_multiple_of(MOST) {
            self.gate = self.runtime.block_on(gate());
        }
        let Some(tenant) = tenant else {
            assert!(self.passes(request), "a call to no tenant is refused");
            return;
        };
        let id = TenantId::new(tenant).expect("a tenant id");
        self.runtime.block_on(self.gate.close(&id, "")).expect("no store can fail");
        assert!(!self.passes(request), "a call to {tenant}, which is closed, passes");
        if id.as_str().eq_ignore_ascii_case(CLOSED) {
            return;
        }
        self.runtime.block_on(self.gate.release(&id, "")).expect("no store can fail");
        assert!(self.passes(request), "a call to {tenant}, which is open, is refused");
    }

    #[expect(clippy::panic, reason = "a check, which panics when it fails")]
    fn passes(&self, request: &Request<()>) -> bool {
        let call = self.gate.guard_layer().layer(Client).call(request.clone());
        match self.runtime.block_on(call) {
            Ok(()) => true,
            Err(GuardError::Unavailable(_)) => false,
            Err(error) => panic!("another error than a refusal: {error}"),
        }
    }
}

#[expect(clippy::expect_used, reason = "a check, which panics when it fails")]
async fn gate() -> TenantGate {
    let keys = SigningKeys::from_pem(CERTIFICATE).expect("a certificate");
    let gate = TenantGate::builder(Environment::Production).any_audience().state_api(false);
    let gate = gate.signing_keys(keys).build().await.expect("a gate");
    let closed = TenantId::new(CLOSED).expect("a tenant id");
    gate.close(&closed, "").await.expect("no store can fail");
    gate
}

/// A client that answers at once.
struct Client;

impl Service<Request<()>> for Client {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(()))
    }
}
