//! The routes of the simulator: key set, discovery, state API, tenants.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::pin,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Buf;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    SimulatorBody, control,
    fault::Fault,
    state::{LiveState, SimulatorState},
    tenants::{Arrival, ClosedCall},
};
use crate::{TenantId, rfc3339, status::State};

/// The target of a request.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    Keys,
    Discovery,
    State(TenantId),
    Tenant(TenantId),
    Nothing,
}

/// Answers a request to the host with index `host`.
pub(super) async fn answer<B: Body>(
    simulator: &SimulatorState,
    host: usize,
    request: Request<B>,
) -> Result<Response<SimulatorBody>, Infallible> {
    let mut answer = answer_at(simulator, host, request).await;
    // Receivers compare it with their clock. hyper would add the machine's time.
    if let Some(date) = http_date(simulator.clock.unix_ms()) {
        answer.headers_mut().entry(header::DATE).or_insert(date);
    }
    Ok(answer)
}

async fn answer_at<B: Body>(
    simulator: &SimulatorState,
    host: usize,
    request: Request<B>,
) -> Response<SimulatorBody> {
    if host == 0 && control::is_path(request.uri().path()) {
        let control = simulator.lock().control.clone();
        if let Some(control) = control {
            return control.answer(request).await;
        }
    }
    let (parts, body) = request.into_parts();
    match find_route(host, parts.uri.path()) {
        Route::Tenant(tenant) => answer_call(simulator, host, &tenant, parts, body).await,
        Route::Nothing => status(StatusCode::NOT_FOUND),
        _ if parts.method != Method::GET => not_allowed(),
        Route::Keys => answer_keys(simulator).await,
        Route::Discovery => json_answer(&discovery_document(&simulator.origin(0))),
        Route::State(tenant) => answer_state(simulator, &tenant).await,
    }
}

/// Formats a time as a `Date` header; `None` past the years that it can express.
fn http_date(unix_ms: u64) -> Option<HeaderValue> {
    /// The start of the year 10000, in ms.
    const END: u64 = 253_402_300_800_000;
    if unix_ms >= END {
        return None;
    }
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(unix_ms));
    HeaderValue::try_from(date).ok()
}

/// Finds the route as SuperOffice's web server would, whatever the case and the escapes.
fn find_route(host: usize, path: &str) -> Route {
    let path = percent_decode_str(path).decode_utf8_lossy();
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment),
        }
    }
    let tenant = |id: &str| TenantId::new(id).ok();
    let is = |segment: &str, name: &str| segment.eq_ignore_ascii_case(name);
    let route = match segments.as_slice() {
        [login, known, file] if host == 0 && is(login, "login") && is(known, ".well-known") => {
            match file.to_ascii_lowercase().as_str() {
                "jwks" => Some(Route::Keys),
                "openid-configuration" => Some(Route::Discovery),
                _ => None,
            }
        }
        [api, state, id] if host == 0 && is(api, "api") && is(state, "state") => {
            tenant(id).map(Route::State)
        }
        [first, ..] if is(first, "login") || is(first, "api") => None,
        [id, ..] => tenant(id).map(Route::Tenant),
        [] => None,
    };
    route.unwrap_or(Route::Nothing)
}

async fn answer_keys(simulator: &SimulatorState) -> Response<SimulatorBody> {
    let (fault, keys) = {
        let mut live = simulator.lock();
        live.key_requests += 1;
        (live.key_fault.clone(), key_set(&live))
    };
    answer_with_fault(fault, &json!({"keys": []}), &json!({"keys": []}), || keys).await
}

/// Returns the key set as published now.
pub(super) fn key_set(live: &LiveState) -> Value {
    let keys = std::iter::once(&live.key).chain(&live.old_keys);
    json!({"keys": keys.map(|key| key.jwk()).collect::<Vec<_>>()})
}

fn discovery_document(origin: &str) -> Value {
    json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/login/common/oauth/authorize"),
        "token_endpoint": format!("{origin}/login/common/oauth/tokens"),
        "jwks_uri": format!("{origin}/login/.well-known/jwks"),
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

async fn answer_state(simulator: &SimulatorState, id: &TenantId) -> Response<SimulatorBody> {
    let (fault, state) = {
        let mut live = simulator.lock();
        live.state_requests += 1;
        live.tenants.with(id, |tenant| tenant.state_requests += 1);
        (live.state_fault.clone(), state_json(simulator, &live, id))
    };
    let mut unknown = state.clone();
    if let Some(members) = unknown.as_object_mut() {
        members.insert("State".to_owned(), "Unknown".into());
        members.insert("IsRunning".to_owned(), false.into());
    }
    answer_with_fault(fault, &json!({}), &unknown, || state).await
}

/// Returns the state API's answer about a tenant, as of the start of the lag.
fn state_json(simulator: &SimulatorState, live: &LiveState, id: &TenantId) -> Value {
    let (now, lag) = (simulator.clock.unix_ms(), millis(live.state_lag));
    let tenant = live.tenants.get(id);
    let snapshot = tenant.at(now.saturating_sub(lag));
    let gone = ["Unknown", State::Deleted.name(), State::Provisioning.name()];
    let endpoint = (!gone.contains(&snapshot.state.name.as_str()))
        .then(|| format!("{}/{}", simulator.origin(snapshot.home), tenant.id));
    json!({
        "ContextIdentifier": tenant.id.as_str(),
        "Endpoint": endpoint,
        "State": snapshot.state.name,
        "IsRunning": snapshot.state.running,
        "ValidUntil": format_time(now.saturating_add(millis(live.state_validity))),
        "Api": endpoint.as_ref().map(|endpoint| format!("{endpoint}/api")),
        "Version": "Release_11.10_2026.02.24-02",
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Formats a time as SuperOffice does, with seven fractional digits:
/// `2026-02-23T09:52:01.9342965Z`.
fn format_time(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1000).ok().and_then(rfc3339::format);
    let seconds = seconds.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned());
    format!("{}.{:07}Z", seconds.trim_end_matches('Z'), unix_ms % 1000 * 10_000)
}

/// Answers with `well()`, or as the fault demands.
async fn answer_with_fault(
    fault: Fault,
    empty: &Value,
    unknown: &Value,
    well: impl FnOnce() -> Value,
) -> Response<SimulatorBody> {
    match fault {
        Fault::None => json_answer(&well()),
        Fault::Hang => std::future::pending().await,
        Fault::Slow(delay) => {
            tokio::time::sleep(delay).await;
            json_answer(&well())
        }
        Fault::Status(code) => status(code),
        Fault::TooManyRequests(seconds) => {
            let mut answer = status(StatusCode::TOO_MANY_REQUESTS);
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            answer
        }
        Fault::Redirect(location) => {
            let mut answer = status(StatusCode::FOUND);
            if let Ok(location) = HeaderValue::try_from(location) {
                answer.headers_mut().insert(header::LOCATION, location);
            }
            answer
        }
        Fault::Html => {
            text("text/html; charset=utf-8", "<!DOCTYPE html><title>Sign in</title>".to_owned())
        }
        Fault::Oversized => {
            let mut answer = well();
            if let Some(members) = answer.as_object_mut() {
                members.insert("Padding".to_owned(), " ".repeat(5 << 20).into());
            }
            json_answer(&answer)
        }
        Fault::Empty => json_answer(empty),
        Fault::Unknown => json_answer(unknown),
        Fault::Json(json) => text("application/json; charset=utf-8", json),
    }
}

/// Answers a call to a tenant. It is counted when its head arrives; its body is read to the end.
async fn answer_call<B: Body>(
    simulator: &SimulatorState,
    host: usize,
    id: &TenantId,
    parts: Parts,
    body: B,
) -> Response<SimulatorBody> {
    let now = UNIX_EPOCH + Duration::from_millis(simulator.clock.unix_ms());
    let path = parts.uri.path().to_owned();
    let (arrival, closed_status, fault) = {
        let mut live = simulator.lock();
        let call = |state| ClosedCall {
            tenant: id.clone(),
            method: parts.method.clone(),
            path: path.clone(),
            state,
            at: now,
        };
        let arrival = live.tenants.record_call(id, host, call);
        (arrival, live.closed_status, live.tenant_fault.clone())
    };
    let Some(length) = drain(body).await else { return status(StatusCode::BAD_REQUEST) };
    match arrival {
        Arrival::Misdirected => {
            let mut answer = text(
                "text/plain; charset=utf-8",
                "Wrong subdomain used to access tenant".to_owned(),
            );
            *answer.status_mut() = StatusCode::MISDIRECTED_REQUEST;
            answer
        }
        Arrival::Closed => status(closed_status),
        Arrival::Open => {
            let echo = json!({
                "ContextIdentifier": id.as_str(),
                "Method": parts.method.as_str(),
                "Path": path,
                "Query": parts.uri.query(),
                "Host": simulator.authority(host),
                "BodyLength": length,
            });
            answer_with_fault(fault, &json!({}), &json!({}), || echo).await
        }
    }
}

/// Reads a body to its end and returns its length; `None` when it broke off.
async fn drain<B: Body>(body: B) -> Option<u64> {
    let (mut body, mut length) = (pin!(body), 0_u64);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            length = length.saturating_add(data.remaining() as u64);
        }
    }
    Some(length)
}

fn json_answer(value: &Value) -> Response<SimulatorBody> {
    text("application/json; charset=utf-8", value.to_string())
}

fn text(content_type: &'static str, text: String) -> Response<SimulatorBody> {
    let mut answer = Response::new(SimulatorBody::from(text));
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer
}

fn status(code: StatusCode) -> Response<SimulatorBody> {
    let mut answer = Response::new(SimulatorBody::default());
    *answer.status_mut() = code;
    answer
}

fn not_allowed() -> Response<SimulatorBody> {
    let mut answer = status(StatusCode::METHOD_NOT_ALLOWED);
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_is_found_however_it_is_spelled() {
        let tenant = |id: &str| Route::Tenant(TenantId::new(id).unwrap());
        for path in [
            "/Cust1/api/v1/Contact/1",
            "//cust1//api",
            "/%43ust1/api",
            "/./CUST1",
            "/login/../Cust1/api",
            "/Cust1%2Fapi",
            "\\Cust1\\api",
            "/x/%2e%2e/Cust1",
        ] {
            assert_eq!(find_route(0, path), tenant("Cust1"), "{path}");
            assert_eq!(find_route(1, path), tenant("Cust1"), "{path}");
        }
    }

    #[test]
    fn environment_routes_exist_on_its_own_host_alone() {
        for (path, expected) in [
            ("/login/.well-known/jwks", Route::Keys),
            ("/Login/.well-known/JWKS", Route::Keys),
            ("/login/.well-known/openid-configuration", Route::Discovery),
            ("/api/state/Cust1", Route::State(TenantId::new("Cust1").unwrap())),
        ] {
            assert_eq!(find_route(0, path), expected, "{path}");
            assert_eq!(find_route(1, path), Route::Nothing, "{path}");
        }
        for path in ["/", "", "/login", "/api/state", "/api/state/a/b", "/not a tenant/x", "/.."] {
            assert_eq!(find_route(0, path), Route::Nothing, "{path}");
        }
    }

    #[test]
    fn times_have_seven_fractional_digits() {
        assert_eq!(format_time(1_771_840_321_934), "2026-02-23T09:52:01.9340000Z");
    }
}
