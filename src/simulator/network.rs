//! The simulator without sockets.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{Simulator, SimulatorBody, routes};

/// An HTTP client whose whole network is the simulator: see [`Simulator::network`].
///
/// A request to any other host than the simulator's fails as a refused connection would.
#[derive(Debug, Clone)]
pub struct Network(pub(super) Simulator);

impl<B> Service<Request<B>> for Network
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = Response<SimulatorBody>;
    type Error = io::Error;
    type Future = NetworkFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let simulator = self.0.clone();
        NetworkFuture(Box::pin(async move {
            let state = simulator.state();
            let asked = request.uri().authority();
            let host = state.hosts.iter().position(|host| host.authority() == asked);
            let host = host.ok_or(io::ErrorKind::ConnectionRefused)?;
            let Ok(answer) = routes::answer(state, host, request).await;
            Ok(answer)
        }))
    }
}

/// The answer of a [`Network`].
pub struct NetworkFuture(Pin<Box<dyn Future<Output = io::Result<Response<SimulatorBody>>> + Send>>);

impl Future for NetworkFuture {
    type Output = io::Result<Response<SimulatorBody>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for NetworkFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkFuture").finish_non_exhaustive()
    }
}
