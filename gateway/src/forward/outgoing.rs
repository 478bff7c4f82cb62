//! A request in the form in which HTTP/1.1 sends it on.

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, HeaderValue, Method, Request, Version, header},
};

use super::headers::remove_hop_by_hop;

/// Prepares a request of any version of HTTP for a connection of HTTP/1.1.
pub(super) fn prepare(request: &mut Request<Body>) {
    remove_hop_by_hop(request.headers_mut());
    // The client sets it for the host that the call is sent to.
    request.headers_mut().remove(header::HOST);
    join_cookies(request.headers_mut());
    frame(request);
    *request.version_mut() = Version::HTTP_11;
}

/// Joins the cookie fields that HTTP/2 allows to be split: RFC 9113, section 8.2.3.
fn join_cookies(headers: &mut HeaderMap) {
    let fields: Vec<_> =
        headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if fields.len() < 2 {
        return;
    }
    // Bytes of valid values make a valid value again.
    if let Ok(joined) = HeaderValue::from_bytes(&fields.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Says how long the content is where the client would not, or would leave the content out.
fn frame(request: &mut Request<Body>) {
    if request.body().is_end_stream() {
        // IIS responds with 411 to one of these without a length: RFC 9110, section 8.6.
        if [Method::POST, Method::PUT, Method::PATCH].contains(request.method()) {
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        }
    } else if request.body().size_hint().exact().is_none() {
        // Without this header hyper sends no content of unknown length with a GET.
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(header::TRANSFER_ENCODING, chunked);
    }
}
