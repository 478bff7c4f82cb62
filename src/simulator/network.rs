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
/// It takes `http::Request`, and with the feature `reqwest` also `reqwest::Request`, so that it
/// stands in for a `reqwest::Client` that is used as a tower service.
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
        let network = self.clone();
        NetworkFuture(Box::pin(async move { network.answer(request).await }))
    }
}

#[cfg(feature = "reqwest")]
impl Service<reqwest::Request> for Network {
    type Response = reqwest::Response;
    type Error = io::Error;
    type Future = NetworkFuture<reqwest::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: reqwest::Request) -> Self::Future {
        let network = self.clone();
        NetworkFuture(Box::pin(async move {
            let request = Request::<reqwest::Body>::try_from(request).map_err(io::Error::other)?;
            let answer = network.answer(request).await?;
            Ok(answer.map(reqwest::Body::wrap).into())
        }))
    }
}

impl Network {
    async fn answer<B: Body>(&self, request: Request<B>) -> io::Result<Response<SimulatorBody>> {
        let state = self.0.state();
        let authority = request.uri().authority();
        let host = state.hosts.iter().position(|host| host.authority() == authority);
        let host = host.ok_or(io::ErrorKind::ConnectionRefused)?;
        let Ok(answer) = routes::answer(state, host, request).await;
        Ok(answer)
    }
}

/// The answer of a [`Network`].
pub struct NetworkFuture<T = Response<SimulatorBody>>(
    Pin<Box<dyn Future<Output = io::Result<T>> + Send>>,
);

impl<T> Future for NetworkFuture<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for NetworkFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkFuture").finish_non_exhaustive()
    }
}
