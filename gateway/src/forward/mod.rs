//! Calls on their way to a tenant.

mod headers;
mod problem;

use std::{convert::Infallible, task::Poll, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{
        Request, Response, StatusCode, Uri, Version, header,
        uri::{Authority, PathAndQuery, Scheme},
    },
};
use futures::{FutureExt, future::BoxFuture};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, Service, ServiceExt, timeout::TimeoutLayer, util::BoxCloneSyncService};
use tower_superoffice::{TenantGate, TenantId, UrlKey};

use self::problem::problem;
use crate::{BoxError, cli::Args};

type Upstream = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// Forwards each call to its tenant, or responds with the problem that prevents it.
#[derive(Clone)]
pub(crate) struct Forward {
    upstream: Upstream,
    /// Scheme and host of calls to a tenant whose host is unknown; with --upstream, of all calls.
    scheme: Scheme,
    authority: Authority,
    /// The tenant that the notification path would name. Notifications carry tokens: one sent to a
    /// mistyped path must not be forwarded.
    notifications: Option<TenantId>,
}

/// Builds the service that forwards to the tenants of `gate`.
pub(crate) fn service(gate: &TenantGate, args: &Args) -> Result<Forward, BoxError> {
    let connector =
        HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(connector);
    let guarded = gate.guard_layer().layer(client);
    let (upstream, target) = match &args.upstream {
        Some(target) => (with_timeout(guarded, args.upstream_timeout), target.clone()),
        None => {
            let located = gate.endpoint_layer().layer(guarded);
            (with_timeout(located, args.upstream_timeout), gate.environment().origin().parse()?)
        }
    };
    let target = target.into_parts();
    if args.upstream.is_some() && target.path_and_query.is_some_and(|path| path != "/") {
        return Err("--upstream takes scheme, host and port: the path comes from the call".into());
    }
    Ok(Forward {
        upstream,
        scheme: (target.scheme)
            .filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme))
            .ok_or("--upstream needs http:// or https://")?,
        authority: target.authority.ok_or("--upstream needs a host")?,
        notifications: UrlKey::tenant_of_path(&args.notification_path),
    })
}

/// Bounds the time until `service` starts its response; the body is not bounded.
fn with_timeout<S, B>(service: S, timeout: Duration) -> Upstream
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let service = service.map_response(|response: Response<B>| response.map(Body::new));
    BoxCloneSyncService::new(TimeoutLayer::new(timeout).layer(service))
}

impl Service<Request<Body>> for Forward {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        async move { Ok(this.forward(request).await) }.boxed()
    }
}

impl Forward {
    async fn forward(&self, mut request: Request<Body>) -> Response<Body> {
        let path = request.uri().path_and_query().cloned();
        let path = path.unwrap_or(PathAndQuery::from_static("/"));
        let Some(tenant) = self.tenant_of_path(path.path()) else {
            return problem(
                StatusCode::BAD_REQUEST,
                "The path does not begin with a tenant: /{ContextIdentifier}/...",
            );
        };
        let mut target = axum::http::uri::Parts::default();
        target.scheme = Some(self.scheme.clone());
        target.authority = Some(self.authority.clone());
        target.path_and_query = Some(path);
        let Ok(target) = Uri::from_parts(target) else {
            return problem(StatusCode::BAD_REQUEST, "The path makes no URL.");
        };
        *request.uri_mut() = target;
        // The guard takes the tenant from the extensions: an --upstream need not be a host of
        // SuperOffice.
        request.extensions_mut().insert(tenant);
        headers::remove_hop_by_hop(request.headers_mut());
        // The client sets it for the host that the call is sent to.
        request.headers_mut().remove(header::HOST);
        *request.version_mut() = Version::HTTP_11;
        match self.upstream.clone().oneshot(request).await {
            Ok(mut response) => {
                headers::remove_hop_by_hop(response.headers_mut());
                *response.version_mut() = Version::HTTP_11;
                response
            }
            Err(error) => problem::for_error(&error),
        }
    }

    /// Returns the tenant that `path` leads to, however it is spelled.
    fn tenant_of_path(&self, path: &str) -> Option<TenantId> {
        let tenant = UrlKey::tenant_of_path(path)?;
        let reserved = ["login", "api"].iter().any(|own| tenant.as_str().eq_ignore_ascii_case(own));
        (!reserved && self.notifications.as_ref() != Some(&tenant)).then_some(tenant)
    }
}
