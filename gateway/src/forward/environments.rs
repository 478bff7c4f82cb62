//! The environment of a call.
//!
//! With several, a path begins with the name of its environment, written exactly, and the rest is a
//! path as a gateway of that environment alone would get it. The whole path and its rest are read
//! by the same rules: where `..` leads out of the environment, one of both is refused.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{Request, Response, StatusCode, uri::PathAndQuery},
};
use futures::{FutureExt, future::BoxFuture};
use tower::{Service, ServiceExt};
use tower_superoffice::TenantId;

use super::{
    Forward, forward_to,
    path::{self, NoTenant},
    problem::{self, problem},
};
use crate::{BoxError, cli::Args, served::Served};

/// The services that forward, one for each environment, with its name.
pub(crate) struct Forwards {
    environments: Vec<(String, Forward)>,
    /// The tenant that the notification path would name.
    notifications: Option<TenantId>,
}

impl Forwards {
    /// Builds the services that forward to the tenants of `served`.
    pub(crate) fn new(served: &Served, args: &Args) -> Result<Self, BoxError> {
        let forwards = served
            .gates()
            .iter()
            .map(|gate| Ok::<_, BoxError>((gate.environment().name(), forward_to(gate, args)?)));
        let notifications = path::tenant_of(&args.notification_path).ok();
        Ok(Self { environments: forwards.collect::<Result<_, _>>()?, notifications })
    }

    /// Returns the one service for all calls. `wrap` is given each environment's, and its name.
    pub(crate) fn into_service<S>(self, wrap: impl Fn(Forward, &str) -> S) -> Calls<S> {
        let wrap = |(name, forward): (String, Forward)| {
            let wrapped = wrap(forward, &name);
            (name, wrapped)
        };
        let environments: Vec<_> = self.environments.into_iter().map(wrap).collect();
        match <[(String, S); 1]>::try_from(environments) {
            Ok([(_, only)]) => Calls::One(only),
            Err(environments) => {
                let notifications = self.notifications;
                Calls::Several(Arc::new(Several { environments, notifications }))
            }
        }
    }
}

/// Forwards calls: to the one environment, or to the one that the path begins with.
#[derive(Clone)]
pub(crate) enum Calls<S> {
    One(S),
    Several(Arc<Several<S>>),
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
    S::Future: Send + 'static,
    S: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let service = match self {
            Self::One(service) => service.clone(),
            Self::Several(several) => match several.route(&mut request) {
                Ok(service) => service.clone(),
                Err(response) => return async { Ok(*response) }.boxed(),
            },
        };
        service.oneshot(request).boxed()
    }
}

/// The services of several environments, with their names.
pub(crate) struct Several<S> {
    environments: Vec<(String, S)>,
    notifications: Option<TenantId>,
}

/// Why a path leads to no environment.
#[derive(Debug, PartialEq)]
enum NoEnvironment {
    /// Its first segment is none of the names.
    Unnamed,
    /// There is no tenant, for this reason.
    NoTenant(NoTenant),
}

impl From<NoTenant> for NoEnvironment {
    fn from(no_tenant: NoTenant) -> Self {
        Self::NoTenant(no_tenant)
    }
}

impl<S> Several<S> {
    /// Finds the service of a call, and takes the environment off the call's path.
    fn route(&self, request: &mut Request<Body>) -> Result<&S, Box<Response<Body>>> {
        let uri = request.uri();
        let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let (service, rest) = match self.find(uri.path()) {
            Ok((service, name)) => (service, target.get(name.len() + 1..).unwrap_or_default()),
            Err(NoEnvironment::NoTenant(NoTenant::Reserved)) => {
                return Err(Box::new(problem(
                    StatusCode::NOT_FOUND,
                    "The gateway has no such route. Those about tenants begin with an environment \
                     (--environment NAME in commands): /{environment}/tenants.",
                )));
            }
            Err(NoEnvironment::NoTenant(no_tenant)) => {
                return Err(Box::new(problem::for_path(no_tenant)));
            }
            Err(NoEnvironment::Unnamed) => {
                return Err(Box::new(problem(
                    StatusCode::BAD_REQUEST,
                    "The path does not begin with an environment and a tenant: \
                     /{environment}/{ContextIdentifier}/...",
                )));
            }
        };
        let Ok(rest) = rest.parse() else {
            return Err(Box::new(problem(StatusCode::BAD_REQUEST, "The path makes no URL.")));
        };
        *request.uri_mut() = rest;
        Ok(service)
    }

    /// Returns the service for `path`, and the name with which it begins.
    fn find(&self, path: &str) -> Result<(&S, &str), NoEnvironment> {
        let first = path::first_of(path)?.unwrap_or_default();
        let Some((name, service)) = self.named(&first) else {
            return Err(match path::tenant_of(path)? {
                tenant if self.notifications.as_ref() == Some(&tenant) => NoTenant::Reserved.into(),
                _ => NoEnvironment::Unnamed,
            });
        };
        let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(&**name));
        let rest = rest.filter(|rest| rest.starts_with('/')).ok_or(NoTenant::Reserved)?;
        match path::first_of(rest)? {
            Some(first) if self.named(&first).is_none() => Ok((service, name)),
            _ => Err(NoTenant::Reserved.into()),
        }
    }

    fn named(&self, segment: &[u8]) -> Option<&(String, S)> {
        let mut environments = self.environments.iter();
        environments.find(|(name, _)| segment.eq_ignore_ascii_case(name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use clap::{CommandFactory, FromArgMatches};
    use harness::{simulator_at_own_host, tenant};
    use tower_superoffice::TenantGate;

    use super::*;

    #[tokio::test]
    async fn call_reaches_the_tenant_of_its_environment_alone() {
        let simulators = [simulator_at_own_host().await, simulator_at_own_host().await];
        let mut gates = Vec::new();
        for simulator in &simulators {
            let gate = TenantGate::builder(simulator.environment()).any_audience();
            gates.push(gate.state_api(false).build().await.unwrap());
        }
        let names = gates.iter().map(|gate| gate.environment().name()).collect::<Vec<_>>();
        let served = Served::new(gates).unwrap();
        let matches = Args::command().get_matches_from(["", "--base-url", "http://127.0.0.1:1"]);
        let args = Args::from_arg_matches(&matches).unwrap();
        let mark = |forward: Forward, name: &str| {
            let name = HeaderValue::from_str(name).unwrap();
            tower::ServiceBuilder::new()
                .map_response(move |mut response: Response<Body>| {
                    response.headers_mut().insert("environment", name.clone());
                    response
                })
                .service(forward)
        };
        let calls = Forwards::new(&served, &args).unwrap().into_service(mark);
        for (number, name) in names.iter().enumerate() {
            let request = Request::get(format!("/{name}/Cust1/api?x=%20")).body(Body::empty());
            let answer = calls.clone().oneshot(request.unwrap()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()["environment"], **name);
            let called = simulators.each_ref().map(|simulator| simulator.calls(&tenant("Cust1")));
            assert_eq!(called, [1, u64::from(number == 1)]);
        }
        for gate in served.gates() {
            gate.close(&tenant("Cust1"), "").await.unwrap();
            let path = format!("{}/Cust1/api", served.prefix(gate));
            let request = Request::get(path).body(Body::empty()).unwrap();
            let answer = calls.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            gate.open(&tenant("Cust1"), "").await.unwrap();
        }
    }

    fn several() -> Several<u8> {
        let environments = vec![("sod".to_owned(), 1), ("stage".to_owned(), 2)];
        let notifications = TenantId::new("NotifyCustomerStateChange").ok();
        Several { environments, notifications }
    }

    fn route(path: &str) -> Result<(u8, String), u16> {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        let service = *several().route(&mut request).map_err(|answer| answer.status().as_u16())?;
        Ok((service, request.uri().to_string()))
    }

    #[test]
    fn rest_of_the_path_is_kept_byte_for_byte() {
        for (path, service, rest) in [
            ("/sod/Cust1", 1, "/Cust1"),
            ("/stage/Cust1/api?a=/sod/&b=%20", 2, "/Cust1/api?a=/sod/&b=%20"),
            ("/sod//Cust1//x/", 1, "//Cust1//x/"),
            ("/sod/./Cust1/%2F..%C3%A9", 1, "/./Cust1/%2F..%C3%A9"),
            ("/sod/x/../Cust1/sod", 1, "/x/../Cust1/sod"),
            ("/sod/%43ust1?", 1, "/%43ust1?"),
        ] {
            assert_eq!(route(path), Ok((service, rest.to_owned())), "{path}");
        }
    }

    #[test]
    fn path_that_names_no_environment_exactly_is_refused() {
        for (path, status) in [
            ("/", 400),
            ("/Cust1/x", 400),
            ("/production/Cust1", 400),
            ("/sod2/Cust1", 400),
            ("/so%64/%2e%2e/Cust1", 400),
            ("/sod%2fCust1", 400),
            ("/sod%20/Cust1", 400),
            ("/sod/Cust1%2f../x", 400),
            // Names of the gateway's own, environments included.
            ("/sod", 404),
            ("/sod/", 404),
            ("/sod?x", 404),
            ("/SOD/Cust1/x", 404),
            ("/Stage/tenants", 404),
            ("//sod/Cust1/x", 404),
            ("/so%64/Cust1/x", 404),
            ("/./sod/Cust1", 404),
            ("/sod/sod/Cust1", 404),
            ("/sod/STAGE/Cust1", 404),
            ("/status/Cust1", 404),
            ("/tenants", 404),
            ("/notifycustomerstatechange", 404),
        ] {
            assert_eq!(route(path), Err(status), "{path}");
        }
    }

    #[test]
    fn dot_segments_lead_to_no_other_environment() {
        for path in [
            "/sod/../Cust1/x",
            "/sod/../stage/Cust1/x",
            "/sod/../sod/Cust1/x",
            "/sod/x/../../stage/Cust1",
            "/sod/Cust1/../../stage/Cust2",
            "/sod/Cust1/../../sod/Cust2",
            "/sod//../../stage/Cust1",
            "/sod/../x/../stage/Cust1",
            "/x/../stage/Cust1",
            "/sod/Cust1/../..",
            "/sod/..",
        ] {
            let status = route(path).unwrap_err();
            assert!([400, 404].contains(&status), "{path}: {status}");
        }
    }
}
