//! Both layers of a client as a middleware of reqwest-middleware.

use std::{
    convert::Infallible,
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::future::BoxFuture;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};
use tokio::sync::Mutex;
use tower_layer::Layer;
use tower_service::Service;

use super::{ClientLayer, TenantGate};
use crate::guard::GuardError;

/// The [`client_layer`](TenantGate::client_layer) for clients of reqwest-middleware.
///
/// [`TenantGate::reqwest_middleware`] makes one. Add it *last*, so that it is the innermost: a
/// retry middleware then consults it at each attempt. reqwest-retry does not retry a refusal.
/// [`TenantUnavailable::find`](crate::TenantUnavailable::find) finds the reason in the error.
///
/// ```
/// use reqwest_middleware::ClientBuilder;
/// use tower_superoffice::{TenantGate, TenantUnavailable};
///
/// # async fn run(gate: TenantGate, client: reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let client = ClientBuilder::new(client).with(gate.reqwest_middleware()).build();
/// let call = client.get("https://online3.superoffice.com/Cust12345/api/v1/Contact/1").send();
/// match call.await {
///     Ok(contact) => println!("{}", contact.status()),
///     Err(error) => match TenantUnavailable::find(&error) {
///         Some(closed) => println!("later: {closed}"),
///         None => return Err(error.into()),
///     },
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TenantMiddleware {
    layer: ClientLayer,
}

#[async_trait::async_trait]
impl Middleware for TenantMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        // A repetition runs the rest of the chain once more, with the same extensions.
        let shared = Arc::new(Mutex::new(mem::take(extensions)));
        let rest = Rest { next, extensions: Arc::clone(&shared) };
        let mut client = self.layer.layer(rest);
        let response = client.call(request).await;
        *extensions = mem::take(&mut *shared.lock().await);
        response.map_err(|error| match error {
            GuardError::Inner(error) => error,
            // The error shows the text of this one and has its source, which is the reason.
            GuardError::Unavailable(closed) => {
                Error::middleware(GuardError::<Infallible>::Unavailable(closed))
            }
        })
    }
}

/// The rest of the chain of middlewares, and the client.
#[derive(Clone)]
struct Rest<'a> {
    next: Next<'a>,
    extensions: Arc<Mutex<Extensions>>,
}

impl<'a> Service<Request> for Rest<'a> {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'a, Result<Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { next, extensions } = self.clone();
        Box::pin(async move { next.run(request, &mut *extensions.lock().await).await })
    }
}

impl fmt::Debug for TenantMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantMiddleware").finish_non_exhaustive()
    }
}

impl TenantGate {
    /// Returns the [`client_layer`](Self::client_layer) as a middleware of reqwest-middleware.
    #[must_use]
    pub fn reqwest_middleware(&self) -> TenantMiddleware {
        TenantMiddleware { layer: self.client_layer() }
    }
}
