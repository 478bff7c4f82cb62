//! The routes below `/simulator`, for programs and for the page's forms.

mod access;
mod parameters;
mod problem;
mod route;
mod shown;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use serde_json::{Value, json};
use tower_service::Service;
use tower_superoffice::simulator::SimulatorBody;

pub(crate) use self::problem::Problem;
use self::{
    parameters::Parameters,
    problem::line,
    route::Route,
    shown::{calls_json, fault_json, keys_json, tenant_json},
};
use crate::{
    args,
    driver::{Driver, Place, Sent},
    page,
};

/// Answers requests for [`Driver`], and for the page.
#[derive(Debug, Clone)]
pub(crate) struct Control(pub(crate) Driver);

impl Service<Request<SimulatorBody>> for Control {
    type Response = Response<SimulatorBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<SimulatorBody>) -> Self::Future {
        let driver = self.0.clone();
        Box::pin(async move { Ok(answer(&driver, request).await) })
    }
}

async fn answer(driver: &Driver, request: Request<SimulatorBody>) -> Response<SimulatorBody> {
    let (parts, body) = request.into_parts();
    let body = body.as_bytes();
    // A form of the page is answered with the page.
    let mut form = None;
    let answer = match execute(driver, &parts, body, &mut form).await {
        Ok(answer) => answer,
        Err(problem) => match &form {
            Some(form) => page(driver, form, Some(&problem)),
            None => problem.into_response(),
        },
    };
    without_cache(answer)
}

/// The form that a request came from, with the list's search.
#[derive(Debug, Default)]
struct Form {
    prefix: String,
}

async fn execute(
    driver: &Driver,
    request: &Parts,
    body: &[u8],
    form: &mut Option<Form>,
) -> Result<Response<SimulatorBody>, Problem> {
    access::check(request)?;
    let route = Route::find(request.uri.path())?;
    route.check(&request.method)?;
    let mut parameters = Parameters::read(request, body)?;
    let orders = request.method != Method::GET && request.method != Method::HEAD;
    if !orders {
        return show(driver, &route, parameters);
    }
    if parameters.take("from").is_some_and(|from| from == "page") {
        let prefix = parameters.take("prefix").unwrap_or_default();
        *form = Some(Form { prefix: page::clean_prefix(&prefix) });
    }
    let result = order(driver, &route, &request.method, parameters).await?;
    Ok(match form {
        Some(form) => see_page(form),
        None => json_response(&result),
    })
}

/// Answers a GET.
fn show(
    driver: &Driver,
    route: &Route,
    mut parameters: Parameters,
) -> Result<Response<SimulatorBody>, Problem> {
    let simulator = driver.simulator();
    let prefix = match route {
        Route::Page | Route::Tenants => parameters.take("prefix").unwrap_or_default(),
        _ => String::new(),
    };
    parameters.end(if matches!(route, Route::Page | Route::Tenants) { "prefix" } else { "" })?;
    let shown = match route {
        Route::Page => {
            let prefix = page::clean_prefix(&prefix);
            return Ok(page(driver, &Form { prefix }, None));
        }
        Route::Tenants => {
            let tenants = simulator.tenants();
            let tenants = tenants.iter().filter(|tenant| page::matches(tenant, &prefix));
            tenants.map(tenant_json).collect()
        }
        Route::Tenant(tenant) => tenant_json(&simulator.tenant_summary(tenant)),
        Route::Faults => Place::ALL.map(|place| fault_json(driver, place)).into_iter().collect(),
        Route::Fault(place) => fault_json(driver, *place),
        Route::Notifications => driver.history().iter().map(Sent::to_json).collect(),
        Route::Calls => calls_json(driver),
        // The others were refused: they have no GET.
        Route::Keys | Route::Change(..) | Route::RotateKey | Route::RetireKeys => keys_json(driver),
    };
    Ok(json_response(&shown))
}

/// Executes an order, and returns what it led to.
async fn order(
    driver: &Driver,
    route: &Route,
    method: &Method,
    mut parameters: Parameters,
) -> Result<Value, Problem> {
    match route {
        Route::Tenants | Route::Tenant(_) => {
            let named;
            let tenant = match route {
                Route::Tenant(tenant) => tenant,
                _ => {
                    let id = parameters.take("tenant");
                    let id = id.ok_or_else(|| Problem::bad_request("Give the id as tenant."))?;
                    named = route::tenant(&id)?;
                    &named
                }
            };
            let state = parameters.take("state").filter(|state| !state.is_empty());
            parameters.end("tenant and state")?;
            match state {
                None => driver.create(tenant),
                Some(name) => {
                    let state = args::state(&name);
                    let state = state.map_err(|error| Problem::bad_request(format!("{error}.")))?;
                    driver.set_state(tenant, state);
                }
            }
            Ok(tenant_json(&driver.simulator().tenant_summary(tenant)))
        }
        Route::Change(tenant, verb) => {
            let silently = parameters.take_flag("silently")?;
            parameters.end("silently")?;
            let sent = driver.change(*verb, tenant, silently).await;
            let tenant = driver.simulator().tenant_summary(tenant);
            Ok(json!({
                "tenant": tenant_json(&tenant),
                "notifications": sent.iter().map(Sent::to_json).collect::<Value>(),
            }))
        }
        Route::Fault(place) => {
            let (kind, value) = (parameters.take("kind"), parameters.take("value"));
            parameters.end("kind and value")?;
            match kind.as_deref() {
                _ if method == Method::DELETE => driver.end_fault(*place),
                Some("none") => driver.end_fault(*place),
                kind => {
                    let fault = place.choose(kind.unwrap_or_default(), value.as_deref());
                    driver.set_fault(*place, fault.map_err(Problem::bad_request)?);
                }
            }
            Ok(fault_json(driver, *place))
        }
        Route::RotateKey => {
            parameters.end("")?;
            let failed = |error: tower_superoffice::simulator::StartError| {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}."))
            };
            driver.rotate_key().await.map_err(failed)?;
            Ok(keys_json(driver))
        }
        Route::RetireKeys => {
            parameters.end("")?;
            driver.retire_keys();
            Ok(keys_json(driver))
        }
        // Refused: they have nothing but GET.
        Route::Page | Route::Faults | Route::Keys | Route::Notifications | Route::Calls => {
            Err(Problem::not_allowed("GET, HEAD"))
        }
    }
}

fn page(driver: &Driver, form: &Form, problem: Option<&Problem>) -> Response<SimulatorBody> {
    let status = problem.map_or(StatusCode::OK, |problem| problem.status);
    let detail = problem.map(|problem| problem.detail.as_str());
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = response(status, kind, page::render(driver, &form.prefix, detail));
    response.headers_mut().extend(page::headers());
    response
}

/// Sends a browser back to the page, by GET.
fn see_page(form: &Form) -> Response<SimulatorBody> {
    let location = match form.prefix.as_str() {
        "" => "/".to_owned(),
        prefix => format!("/?prefix={prefix}"),
    };
    let mut response = Response::new(SimulatorBody::default());
    *response.status_mut() = StatusCode::SEE_OTHER;
    // A prefix has letters, digits, - and _ alone.
    let location = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn json_response(value: &Value) -> Response<SimulatorBody> {
    response(StatusCode::OK, HeaderValue::from_static("application/json"), line(value))
}

fn response(status: StatusCode, kind: HeaderValue, text: String) -> Response<SimulatorBody> {
    let mut response = Response::new(SimulatorBody::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn without_cache(mut response: Response<SimulatorBody>) -> Response<SimulatorBody> {
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
