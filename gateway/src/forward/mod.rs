//! Calls on their way to a tenant.

mod body;
mod browser;
mod client;
mod connector;
mod decode;
mod environments;
mod framing;
mod headers;
mod method;
mod outgoing;
mod path;
mod problem;
mod progress;
mod via;

use std::{convert::Infallible, sync::Arc, task::Poll, time::Duration};

use axum::{
    body::Body,
    http::{
        Request, Response, StatusCode, Uri, Version,
        uri::{Authority, PathAndQuery, Scheme},
    },
};
use futures::{FutureExt, future::BoxFuture};
use hyper::body::Incoming;
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};
use tower_superoffice::{GuardError, TenantGate, TenantId};

use self::{
    body::{RequestBody, ResponseBody},
    browser::Destination,
    client::{CallError, TenantClient},
    path::NoTenant,
    progress::Progress,
    via::Via,
};
pub(crate) use self::{
    connector::{Connector, connector},
    environments::Forwards,
    problem::{Problem, problem, unavailable},
};
use crate::{BoxError, cli::Args};

type Upstream = BoxCloneSyncService<Request<Body>, Response<Incoming>, GuardError<CallError>>;

/// Forwards each call to its tenant, or responds with the problem that prevents it.
#[derive(Clone)]
pub(crate) struct Forward(Arc<Inner>);

struct Inner {
    upstream: Upstream,
    timeout: Duration,
    via: Via,
    /// Scheme and host of calls to a tenant whose host is unknown; with --upstream, of all calls.
    scheme: Scheme,
    authority: Authority,
    /// The tenant that the notification path would name. Notifications carry tokens: one sent to a
    /// mistyped path must not be forwarded.
    notifications: Option<TenantId>,
}

/// Marks a response that a tenant made, in its extensions; all others are the gateway's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromTenant;

/// Whether `path` lies below a name of the gateway's own, or of one of `environments`, on which no
/// notification path may be.
pub(crate) fn is_reserved(path: &str, environments: &[String]) -> bool {
    let is_environment = |tenant: &TenantId| {
        environments.iter().any(|name| name.eq_ignore_ascii_case(tenant.as_str()))
    };
    match path::tenant_of(path) {
        Ok(tenant) => is_environment(&tenant),
        Err(no_tenant) => no_tenant == NoTenant::Reserved,
    }
}

/// Builds the service that forwards to the tenants of `gate`.
fn forward_to(gate: &TenantGate, args: &Args) -> Result<Forward, BoxError> {
    let mut guard = gate.guard_layer();
    if args.observe_only {
        guard = guard.observe_only();
    }
    let guarded = guard.layer(TenantClient::new(args.authorities()?.as_deref())?);
    let (upstream, target) = match &args.upstream {
        Some(target) => (Upstream::new(guarded), target.clone()),
        None => {
            let located =
                gate.endpoint_layer().clone_empty().locate(!args.observe_only).layer(guarded);
            (Upstream::new(located), default_origin(gate, args)?)
        }
    };
    let target = target.into_parts();
    if args.upstream.is_some() && target.path_and_query.is_some_and(|path| path != "/") {
        return Err("--upstream takes scheme, host and port: the path comes from the call".into());
    }
    Ok(Forward(Arc::new(Inner {
        upstream,
        timeout: args.upstream_timeout,
        via: Via::new(),
        scheme: (target.scheme)
            .filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme))
            .ok_or("--upstream needs http:// or https://")?,
        authority: target.authority.ok_or("--upstream needs a host")?,
        notifications: path::tenant_of(&args.notification_path).ok(),
    })))
}

/// Returns where a call goes while the host of its tenant is unknown. It has to be a tenant host:
/// calls to others are left alone by the endpoint layer.
fn default_origin(gate: &TenantGate, args: &Args) -> Result<Uri, BoxError> {
    let origin: Uri = gate.environment().origin().parse()?;
    match (args.tenant_host.first(), origin.scheme_str()) {
        (Some(host), Some(scheme)) => Ok(format!("{scheme}://{host}").parse()?),
        _ => Ok(origin),
    }
}

impl Service<Request<Body>> for Forward {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = Arc::clone(&self.0);
        async move { Ok(this.forward(request).await) }.boxed()
    }
}

impl Inner {
    async fn forward(&self, mut request: Request<Body>) -> Response<Body> {
        if let Err(response) = method::check(&mut request) {
            return *response;
        }
        let path = request.uri().path_and_query().cloned();
        let path = path.unwrap_or(PathAndQuery::from_static("/"));
        let tenant = match self.tenant_of(path.path()) {
            Ok(tenant) => tenant,
            Err(no_tenant) => return problem::for_path(no_tenant),
        };
        let destination = Destination::of(request.headers());
        if destination == Destination::ServiceWorker {
            return browser::for_service_worker();
        }
        if !framing::is_request_coding_known(request.headers()) {
            return problem(
                StatusCode::NOT_IMPLEMENTED,
                "The only transfer coding that can be forwarded is chunked.",
            );
        }
        if self.via.has_passed(request.headers()) {
            return problem::for_loop();
        }
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
        self.send(request, destination).await
    }

    async fn send(&self, mut request: Request<Body>, destination: Destination) -> Response<Body> {
        let version = request.version();
        outgoing::prepare(&mut request);
        self.via.add(request.headers_mut(), version);
        let progress = Progress::new(self.timeout);
        let request = request.map(|body| RequestBody::wrap(body, version, progress.clone()));
        let sent = tokio::select! {
            biased;
            sent = self.upstream.clone().oneshot(request) => sent,
            expired = progress.expired() => return problem::for_expired(expired),
        };
        match sent {
            Ok(response) => {
                let mut response = response.map(|body| ResponseBody::wrap(body, progress));
                headers::remove_hop_by_hop(response.headers_mut());
                destination.restrict(response.headers_mut());
                let version = response.version();
                self.via.add(response.headers_mut(), version);
                *response.version_mut() = Version::HTTP_11;
                response.extensions_mut().insert(FromTenant);
                response
            }
            Err(error) => problem::for_error(&error),
        }
    }

    fn tenant_of(&self, path: &str) -> Result<TenantId, NoTenant> {
        let tenant = path::tenant_of(path)?;
        if self.notifications.as_ref() == Some(&tenant) {
            return Err(NoTenant::Reserved);
        }
        Ok(tenant)
    }
}
