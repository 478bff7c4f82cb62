//! Keeps the calls of a service away from SuperOffice CRM Online tenants that are closed.
//!
//! SuperOffice notifies every application when a tenant is upgraded, suspended, resumed, moved,
//! restored or deleted. A [`TenantGate`] receives these notifications, keeps the state of each
//! tenant, and provides tower layers: one serves the notification route inside your app, and one
//! wraps your HTTP client. A call to a closed tenant then returns a typed error, before anything is
//! sent, until the tenant is open again.
//!
//! # The server side
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tower_superoffice::{Environment, TenantGate};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let gate = TenantGate::builder(Environment::Production)
//!         .audience("my-application-id")
//!         .build()
//!         .await?;
//!     let app: Router = Router::new()
//!         .route("/", get(|| async { "hello" }))
//!         .route_service("/NotifyCustomerStateChange", gate.notification_service());
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! # The client side
//!
//! ```
//! # use http_body_util::Empty;
//! # use bytes::Bytes;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::{Layer, ServiceExt};
//! use tower_superoffice::{GuardError, TenantGate};
//!
//! # async fn run(gate: TenantGate) -> Result<(), Box<dyn std::error::Error>> {
//! let client = gate.client_layer().layer(Client::builder(TokioExecutor::new()).build_http());
//! let request = http::Request::get("https://online3.superoffice.com/Cust12345/api/v1/Contact/1")
//!     .body(Empty::<Bytes>::new())?;
//! match client.oneshot(request).await {
//!     Ok(response) => println!("{}", response.status()),
//!     Err(GuardError::Unavailable(closed)) => {
//!         println!("{} is {}: retry in {:?}", closed.tenant(), closed.reason(), closed.retry_after());
//!     }
//!     Err(GuardError::Inner(error)) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | every knob | [`TenantGateBuilder`] |
//! | where to mount the route | [`NotificationLayer`] |
//! | one State Change URL for several environments | [`TenantGates`] |
//! | limits, retries and redirects around the guard | [`GuardLayer`] |
//! | ready-made pieces around a client | [`client`] |
//! | your own routes while a tenant is closed | [`guard::InboundLayer`] |
//! | types of each side, futures included | [`notification`], [`guard`], [`endpoint`] |
//! | a tenant's state, and what changes it | [`status`], [`events`] |
//! | state that survives restarts and spans replicas | [`store`] |
//! | keys and tokens | [`token`] |
//! | how often tenants are pulled | [`pull`] |
//! | the numbers of a running gate | [`health`]; as metrics, `metrics` (feature `metrics`) |
//! | tests of your own app | `simulator`, a simulated SuperOffice (feature `simulator`) |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod backoff;
mod clock;
pub mod endpoint;
mod environment;
#[cfg(feature = "test-util")]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
pub mod guard;
#[cfg(doc)]
pub mod guide;
pub mod health;
mod hex;
mod http_client;
mod json;
mod keep_alive;
mod key;
mod log;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod notification;
mod panics;
mod persist;
pub mod pull;
mod rfc3339;
#[cfg(feature = "simulator")]
pub mod simulator;
mod span;
pub mod status;
pub mod store;
mod tenant_id;
mod tenants;
mod timer;
#[cfg(any(feature = "client", feature = "client-ring"))]
mod tls;
pub mod token;

pub use self::{
    endpoint::EndpointLayer,
    environment::Environment,
    events::TenantEvent,
    gate::{BuildError, TenantGate, TenantGateBuilder, TenantGates},
    guard::{GuardError, GuardLayer, TenantUnavailable},
    key::{TenantKey, UrlKey},
    notification::{NotificationLayer, NotificationService},
    status::{ChangeType, TenantStatus, UnavailableReason},
    tenant_id::TenantId,
};

/// Ready-made pieces around an HTTP client.
///
/// [`TenantGate::client_layer`] is the usual choice: it sends each call to the current host of its
/// tenant and refuses it while the tenant is closed. [`TenantGate::wait_layer`] holds calls back
/// instead, for a while.
///
/// In the field of a struct, [`Client`](client::Client) names a client that only this layer is
/// around.
#[cfg_attr(
    feature = "tower",
    doc = "[`BoxClient`](client::BoxClient) hides what else is around it."
)]
#[cfg_attr(
    feature = "reqwest",
    doc = "[`TenantGate::send`] sends a reqwest request without a tower service."
)]
#[cfg_attr(
    feature = "reqwest-middleware",
    doc = "[`TenantGate::reqwest_middleware`] is the same for clients of reqwest-middleware."
)]
pub mod client {
    #[cfg(feature = "tower")]
    pub use crate::gate::BoxClient;
    #[cfg(feature = "reqwest-middleware")]
    pub use crate::gate::TenantMiddleware;
    pub use crate::gate::{Client, ClientLayer, Wait, WaitFuture, WaitLayer};
}

/// Events of tenants, and waiting for one.
///
/// [`TenantGate::events`] returns the stream of all tenants' [`TenantEvent`]s, and
/// [`TenantGate::watch`] that of one tenant's statuses. [`TenantGate::available`] returns a future
/// that resolves when calls to a tenant are allowed, or when it is deleted, and
/// [`TenantGate::deletion_confirmed`] waits for the proof of a deletion, after which
/// [`TenantGate::forget`] forgets the tenant.
///
/// # To start, and to catch up
///
/// Events report changes, and a snapshot the present statuses. Begin to receive events first and
/// read the snapshot then: what happens in between is in both, and nothing is in neither. Read it
/// again whenever [`Missed`](TenantEvent::Missed) reports dropped events. A restore that happened
/// while the service was down is no event either: keep the [`epoch`](TenantStatus::epoch) of each
/// tenant with the data that you have of it, and compare. With
/// [`start_without_store`](TenantGateBuilder::start_without_store), wait for
/// [`ready`](TenantGate::ready) before the snapshot.
///
/// ```
/// use std::collections::{HashMap, HashSet};
///
/// use futures::{FutureExt, StreamExt};
/// use tower_superoffice::{
///     Environment, TenantEvent, TenantGate, TenantId, TenantStatus, events::Events,
/// };
///
/// /// What the service remembers, with its own data.
/// #[derive(Default)]
/// struct Known {
///     epochs: HashMap<TenantId, i64>,
///     closed: HashSet<TenantId>,
/// }
///
/// impl Known {
///     async fn follow(&mut self, gate: &TenantGate, events: &mut Events) {
///         while let Some(event) = events.next().await {
///             match event.tenant() {
///                 // The status at this moment, which may be newer than the event.
///                 Some(tenant) => self.note(tenant, &gate.status(tenant)),
///                 None => self.catch_up(gate),
///             }
///         }
///     }
///
///     fn catch_up(&mut self, gate: &TenantGate) {
///         for (tenant, status) in gate.snapshot() {
///             self.note(&tenant, &status);
///         }
///     }
///
///     fn note(&mut self, tenant: &TenantId, status: &TenantStatus) {
///         let before = self.epochs.insert(tenant.clone(), status.epoch());
///         if before.unwrap_or(0) != status.epoch() {
///             println!("the data of {tenant} went back in time: synchronise again");
///         }
///         if status.is_available() {
///             self.closed.remove(tenant);
///         } else {
///             self.closed.insert(tenant.clone());
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let builder = TenantGate::builder(Environment::Production)
/// #     .any_audience()
/// #     .signing_keys(tower_superoffice::token::SigningKeys::from_pem(include_bytes!(
/// #         "../tests/fixtures/v1-sha1.crt"
/// #     ))?)
/// #     .state_api(false);
/// let gate = builder.event_capacity(2).build().await?;
/// let tenants = ["Cust1", "Cust2", "Cust3", "Cust4"].map(TenantId::new);
/// let mut known = Known::default();
///
/// let mut events = gate.events();
/// known.catch_up(&gate);
///
/// // More at once than the receiver may lag.
/// for tenant in tenants {
///     gate.close(&tenant?, "maintenance").await?;
/// }
/// known.follow(&gate, &mut events).now_or_never();
/// assert_eq!(known.closed.len(), 4);
/// # Ok(())
/// # }
/// ```
pub mod events {
    pub use crate::{
        gate::{Available, Deletion, ForgetError, Watch},
        tenants::events::{Events, TenantEvent},
    };
}
