//! Calls on their way to a tenant.

use std::{convert::Infallible, task::Poll, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes, HttpBody},
    http::{
        HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header,
        uri::{Authority, PathAndQuery, Scheme},
    },
    response::IntoResponse,
};
use futures::{FutureExt, future::BoxFuture};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::json;
use tower::{
    Layer, Service, ServiceExt,
    timeout::{TimeoutLayer, error::Elapsed},
    util::BoxCloneSyncService,
};
use tower_superoffice::{TenantGate, TenantId, TenantUnavailable, UrlKey};

use crate::{BoxError, admin::rfc3339, args::Args};

type Tenants = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// Forwards whatever it is given, or says why not.
#[derive(Clone)]
pub(crate) struct Forward {
    tenants: Tenants,
    /// Where calls go whose tenant's host is not known; with --upstream, all calls.
    scheme: Scheme,
    authority: Authority,
    /// What the notification path would be as a tenant. Notifications carry tokens: one that went
    /// astray must not be sent on.
    notifications: Option<TenantId>,
}

/// The service that forwards to the tenants of `gate`.
pub(crate) fn service(gate: &TenantGate, args: &Args) -> Result<Forward, BoxError> {
    let connector =
        HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(connector);
    let guarded = gate.guard_layer().layer(client);
    let (tenants, target) = match &args.upstream {
        Some(upstream) => (in_time(guarded, args.upstream_timeout), upstream.clone()),
        None => {
            let following = gate.endpoint_layer().layer(guarded);
            (in_time(following, args.upstream_timeout), gate.environment().origin().parse()?)
        }
    };
    let target = target.into_parts();
    if args.upstream.is_some() && target.path_and_query.is_some_and(|path| path != "/") {
        return Err("--upstream takes scheme, host and port: the path comes from the call".into());
    }
    Ok(Forward {
        tenants,
        scheme: (target.scheme)
            .filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme))
            .ok_or("--upstream needs http:// or https://")?,
        authority: target.authority.ok_or("--upstream needs a host")?,
        notifications: UrlKey::tenant_of_path(&args.notification_path),
    })
}

/// `service`, with this long for an answer to begin; its body may then take its time.
fn in_time<S, B>(service: S, timeout: Duration) -> Tenants
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
        let tenant =
            tenant_of(path.path()).filter(|tenant| self.notifications.as_ref() != Some(tenant));
        let Some(tenant) = tenant else {
            return problem(
                StatusCode::BAD_REQUEST,
                "The path does not begin with a tenant: /{ContextIdentifier}/...",
                json!({}),
            );
        };
        let mut target = axum::http::uri::Parts::default();
        target.scheme = Some(self.scheme.clone());
        target.authority = Some(self.authority.clone());
        target.path_and_query = Some(path);
        let Ok(target) = Uri::from_parts(target) else {
            return problem(StatusCode::BAD_REQUEST, "The path makes no URL.", json!({}));
        };
        *request.uri_mut() = target;
        // What the tenant is was read here; the guard takes it from the extensions, because an
        // --upstream need not be a host of SuperOffice.
        request.extensions_mut().insert(tenant);
        end_to_end(request.headers_mut());
        // The client sets it for where the call goes in the end.
        request.headers_mut().remove(header::HOST);
        *request.version_mut() = axum::http::Version::HTTP_11;
        match self.tenants.clone().oneshot(request).await {
            Ok(mut response) => {
                end_to_end(response.headers_mut());
                *response.version_mut() = axum::http::Version::HTTP_11;
                response
            }
            Err(error) => failed(&error),
        }
    }
}

/// The tenant that `path` leads to, however it is spelled.
fn tenant_of(path: &str) -> Option<TenantId> {
    let own = |tenant: &TenantId| {
        ["login", "api"].iter().any(|own| tenant.as_str().eq_ignore_ascii_case(own))
    };
    UrlKey::tenant_of_path(path).filter(|tenant| !own(tenant))
}

/// Removes the headers that speak of one connection only.
fn end_to_end(headers: &mut HeaderMap) {
    const HOP: [&str; 8] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let named: Vec<HeaderName> = (headers.get_all(header::CONNECTION).iter())
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP {
        headers.remove(name);
    }
}

/// The answer to a call that was not made, or got no answer.
fn failed(error: &BoxError) -> Response<Body> {
    let error: &(dyn std::error::Error + 'static) = &**error;
    if let Some(closed) = TenantUnavailable::find(error) {
        return unavailable(closed);
    }
    if error.is::<Elapsed>() {
        return problem(
            StatusCode::GATEWAY_TIMEOUT,
            "The tenant did not answer in time.",
            json!({}),
        );
    }
    tracing::warn!(error, "a call failed");
    problem(StatusCode::BAD_GATEWAY, "The tenant could not be reached.", json!({}))
}

fn unavailable(closed: &TenantUnavailable) -> Response<Body> {
    let (status, headers) = closed.to_http_parts();
    let more = json!({
        "tenant": closed.tenant(),
        "reason": closed.reason().as_str(),
        "since": rfc3339(closed.since()),
    });
    let mut response = problem(status, "The tenant is closed.", more);
    response.headers_mut().extend(headers);
    response
}

/// A problem as RFC 9457 writes it.
fn problem(status: StatusCode, detail: &str, mut more: serde_json::Value) -> Response<Body> {
    if let Some(more) = more.as_object_mut() {
        more.insert("title".to_owned(), json!(status.canonical_reason()));
        more.insert("status".to_owned(), json!(status.as_u16()));
        more.insert("detail".to_owned(), json!(detail));
    }
    let mut response = (status, Json(more)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
