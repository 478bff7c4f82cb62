//! Methods that a proxy answers itself: RFC 9110, sections 7.6.2 and 9.3.

use axum::{
    body::Body,
    http::{
        HeaderValue, Method, Request, Response, StatusCode,
        header::{ALLOW, MAX_FORWARDS},
    },
};

use super::problem::problem;

/// Methods that are forwarded, besides those that this program does not know.
const ALLOWED: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Refuses methods that a proxy does not forward, and counts `Max-Forwards` of an OPTIONS down.
///
/// # Errors
///
/// With the response to a request that is not to be forwarded. A TRACE would return the caller's
/// secrets; CONNECT asks for a tunnel.
pub(super) fn check(request: &mut Request<Body>) -> Result<(), Box<Response<Body>>> {
    match *request.method() {
        Method::CONNECT => {
            Err(problem(StatusCode::NOT_IMPLEMENTED, "The gateway opens no tunnels.").into())
        }
        Method::TRACE => {
            let response = problem(StatusCode::METHOD_NOT_ALLOWED, "TRACE is not forwarded.");
            Err(allowing(response).into())
        }
        Method::OPTIONS => count_down(request),
        _ => Ok(()),
    }
}

fn count_down(request: &mut Request<Body>) -> Result<(), Box<Response<Body>>> {
    let mut values = request.headers().get_all(MAX_FORWARDS).iter();
    let Some(value) = values.next() else { return Ok(()) };
    let only = Some(value).filter(|_| values.next().is_none());
    let digits = (only.and_then(|value| value.to_str().ok()))
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse::<u64>().ok()) {
        None => Err(problem(StatusCode::BAD_REQUEST, "Max-Forwards is not a number.").into()),
        Some(0) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Err(allowing(response).into())
        }
        Some(left) => {
            request.headers_mut().insert(MAX_FORWARDS, HeaderValue::from(left - 1));
            Ok(())
        }
    }
}

fn allowing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(ALLOW, ALLOWED);
    response
}
