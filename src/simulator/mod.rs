//! A SuperOffice on loopback, to test your own application against.
//!
//! It is a real HTTP server with an RSA key and a certificate of its own. It publishes its keys,
//! answers for the state of tenants, posts signed notifications to your State Change URL, and
//! stands in for the tenants' APIs, where it counts every call and remembers those that reached a
//! tenant while it was closed, so that a test can assert that there were none.
//!
//! A whole app without a socket, on a clock that a test moves:
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{Router, body::Body, extract::State, http::{Request, StatusCode}, routing::get};
//! use tower::{Layer, ServiceExt};
//! use tower_superoffice::{TenantGate, TenantId, client::Client, simulator::{Network, Simulator}};
//!
//! # const PATH: &str = "/NotifyCustomerStateChange";
//! /// The app under test. In production its client is a `reqwest::Client`.
//! fn app(gate: &TenantGate, network: Network, url: String) -> Router {
//!     Router::new()
//!         .route("/orders", get(orders))
//!         .with_state((gate.client_layer().layer(network), url))
//!         .route_service(PATH, gate.notification_service())
//! }
//!
//! async fn orders(State((client, url)): State<(Client<Network>, String)>) -> StatusCode {
//!     let request = Request::get(url).body(String::new()).unwrap();
//!     client.oneshot(request).await.map_or(StatusCode::SERVICE_UNAVAILABLE, |r| r.status())
//! }
//!
//! // In a test: #[tokio::test(start_paused = true)]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let simulator = Simulator::builder().on_tokio_clock().start().await?;
//!     let gate = simulator.gate().build().await?;
//!     let tenant = TenantId::new("Cust12345")?;
//!     let app = app(&gate, simulator.network(), simulator.url(&tenant, "api/v1/Sale"));
//!     simulator.notify_service_at(PATH, app.clone());
//!     let orders = || app.clone().oneshot(Request::get("/orders").body(Body::empty()).unwrap());
//!
//!     assert_eq!(orders().await?.status(), 200);
//!     simulator.suspend(&tenant).await?;
//!     assert_eq!(orders().await?.status(), 503);
//!     // SuperOffice resumes the tenant, and the notification is lost. A pull finds out.
//!     simulator.resume(&tenant).without_notification();
//!     tokio::time::sleep(Duration::from_secs(15 * 60)).await;
//!     assert_eq!(orders().await?.status(), 200);
//!     assert_eq!(simulator.calls_while_closed(), 0);
//!     Ok(())
//! }
//! ```
//!
//! With sockets, where the app is a server of its own:
//!
//! ```
//! use axum::Router;
//! use tokio::net::TcpListener;
//! use tower_superoffice::{TenantGate, TenantId, simulator::Simulator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let simulator = Simulator::start().await?;
//! let gate = TenantGate::builder(simulator.environment())
//!     .audience(simulator.application_id())
//!     .build()
//!     .await?;
//! let app: Router = Router::new()
//!     .route_service("/NotifyCustomerStateChange", gate.notification_service());
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("http://{}/NotifyCustomerStateChange", listener.local_addr()?);
//! tokio::spawn(async move { axum::serve(listener, app).await });
//! simulator.notify_to(url.parse()?);
//!
//! let tenant = TenantId::new("Cust12345")?;
//! assert_eq!(simulator.suspend(&tenant).await?, 204);
//! assert!(gate.check(&tenant).is_err());
//! # Ok(())
//! # }
//! ```
//!
//! As with SuperOffice, the environment's own host serves no tenant: a client learns the host of
//! each from the state API, as [`client_layer`](crate::TenantGate::client_layer) does.
//!
//! | you want | call |
//! |---|---|
//! | a gate that trusts it | [`gate`](Simulator::gate); or [`environment`](Simulator::environment), [`application_id`](Simulator::application_id), [`certificate_pem`](Simulator::certificate_pem) or [`key_set`](Simulator::key_set) |
//! | notifications | [`notify_to`](Simulator::notify_to), [`notify_service`](Simulator::notify_service) or [`notify_service_at`](Simulator::notify_service_at), then [`upgrade`](Simulator::upgrade), [`suspend`](Simulator::suspend), [`resume`](Simulator::resume), [`delete`](Simulator::delete), [`restore`](Simulator::restore), [`move_tenant`](Simulator::move_tenant) |
//! | a lost notification | [`Change::without_notification`] |
//! | a forged, late, odd one | [`notification`](Simulator::notification) |
//! | one with the token of a login, a service, a system user | [`Notification::login_token`], [`Notification::service_token`], [`Notification::system_user_token`] |
//! | a state API or key URL in trouble | [`state_api`](Simulator::state_api), [`state_api_lag`](Simulator::state_api_lag), [`key_server`](Simulator::key_server), [`rotate_key`](Simulator::rotate_key) |
//! | tenants in trouble that are not closed | [`tenant_hosts`](Simulator::tenant_hosts) |
//! | a list of the tenants, with the state of each | [`tenants`](Simulator::tenants), [`tenant_summary`](Simulator::tenant_summary) |
//! | to let people drive it | [`control_service`](Simulator::control_service) |
//! | the counters of calls | [`calls`](Simulator::calls), [`calls_while_closed`](Simulator::calls_while_closed), [`closed_calls`](Simulator::closed_calls), [`state_requests`](Simulator::state_requests), [`key_requests`](Simulator::key_requests) |
//! | tokio's paused clock | [`on_tokio_clock`](SimulatorBuilder::on_tokio_clock), [`gate`](Simulator::gate) and [`network`](Simulator::network): no sockets |
//!
//! # Where it differs from SuperOffice
//!
//! - It serves http on 127.0.0.1; its hosts differ in the port.
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
mod control;
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
    tenants::{ClosedCall, TenantSummary},
};
