//! A SuperOffice on loopback, to test your own application against.
//!
//! It is a real HTTP server with an RSA key and a certificate of its own. It publishes its keys,
//! answers for the state of tenants, posts signed notifications to your State Change URL, and
//! stands in for the tenants' APIs, where it counts every call and remembers those that reached a
//! tenant while it was closed. So a test can say the one thing that matters:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use http::Request;
//! use tower::{Layer, ServiceExt};
//! use tower_superoffice::{GuardError, notification::EmptyBody, simulator::Simulator, TenantGate, TenantId};
//!
//! let simulator = Simulator::start().await?;
//! let gate = TenantGate::builder(simulator.environment())
//!     .audience(simulator.application_id())
//!     .build()
//!     .await?;
//! // With a server of your own: simulator.notify_to(its State Change URL).
//! simulator.notify_service(gate.notification_service());
//! // With a client of your own: whatever can call 127.0.0.1.
//! let client = gate.client_layer().layer(simulator.network());
//!
//! let tenant = TenantId::new("Cust12345")?;
//! let url = simulator.url(&tenant, "api/v1/Contact/1");
//! let call = || client.clone().oneshot(Request::get(&url).body(EmptyBody::default()).unwrap());
//!
//! assert_eq!(call().await?.status(), 200);
//! simulator.suspend(&tenant).await?;
//! assert!(matches!(call().await, Err(GuardError::Unavailable(_))));
//! simulator.resume(&tenant).await?;
//! assert_eq!(call().await?.status(), 200);
//!
//! assert_eq!((simulator.calls(&tenant), simulator.calls_while_closed()), (2, 0));
//! # Ok(())
//! # }
//! ```
//!
//! | you want | call |
//! |---|---|
//! | a gate that trusts it | [`environment`](Simulator::environment), [`application_id`](Simulator::application_id), [`certificate_pem`](Simulator::certificate_pem) or [`key_set`](Simulator::key_set) |
//! | notifications | [`notify_to`](Simulator::notify_to) or [`notify_service`](Simulator::notify_service), then [`upgrade`](Simulator::upgrade), [`suspend`](Simulator::suspend), [`resume`](Simulator::resume), [`delete`](Simulator::delete), [`restore`](Simulator::restore), [`move_tenant`](Simulator::move_tenant) |
//! | a lost notification | [`Change::without_notification`] |
//! | a forged, late, odd one | [`notification`](Simulator::notification) |
//! | one with the token of a login, a service, a system user | [`Notification::login_token`], [`Notification::service_token`], [`Notification::system_user_token`] |
//! | a state API or key URL in trouble | [`state_api`](Simulator::state_api), [`state_api_lag`](Simulator::state_api_lag), [`key_server`](Simulator::key_server), [`rotate_key`](Simulator::rotate_key) |
//! | the counters of calls | [`calls`](Simulator::calls), [`calls_while_closed`](Simulator::calls_while_closed), [`closed_calls`](Simulator::closed_calls), [`state_requests`](Simulator::state_requests), [`key_requests`](Simulator::key_requests) |
//! | tokio's paused clock | [`network`](Simulator::network) and [`notify_service`](Simulator::notify_service): no sockets |
//!
//! # Where it differs from SuperOffice
//!
//! - It speaks http on 127.0.0.1; its hosts differ in the port.
//! - Its certificate is signed with SHA-256 where SuperOffice's is signed with SHA-1, because
//!   AWS-LC makes no SHA-1 signatures. Both are of version 1.
//! - What SuperOffice does not document is an assumption here, and can be set: the answer of a
//!   closed tenant, how far `ValidUntil` lies ahead, how long an Upgrade is announced, how late the
//!   state API is.
//! - Each notification of a tenant is dated at least a second after the one before, even when they
//!   are sent within one.

mod body;
mod builder;
mod certificate;
mod change;
mod error;
mod fault;
mod handle;
mod key;
mod network;
mod notification;
mod routes;
mod sender;
mod server;
mod state;
mod tenants;

pub use self::{
    body::SimulatorBody,
    builder::SimulatorBuilder,
    change::Change,
    error::{NotifyError, StartError},
    fault::Fault,
    handle::Simulator,
    network::{Network, NetworkFuture},
    notification::Notification,
    tenants::ClosedCall,
};
