//! Moves: calls follow their tenant, and a bearer token goes nowhere else.

mod clients;
mod hosts;
mod locating;
mod moves;
mod repetition;
mod routes;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Service, ServiceExt};
use tower_superoffice::simulator::{Simulator, SimulatorBody};

pub(crate) type Body = Full<Bytes>;

/// A call to the tenant `Cust1` at the host that serves it until it moves.
pub(crate) fn call(simulator: &Simulator, body: &'static str) -> Request<Body> {
    Request::post(format!("{}Cust1/api//v1/Contact?$filter=a%20b", simulator.hosts()[0]))
        .header("authorization", "Bearer secret")
        .body(Full::from(body))
        .unwrap()
}

pub(crate) async fn send<S>(client: S, request: Request<Body>) -> StatusCode
where
    S: Service<Request<Body>, Response = Response<SimulatorBody>>,
    S::Error: std::fmt::Debug,
{
    client.oneshot(request).await.unwrap().status()
}
