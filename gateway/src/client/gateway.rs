//! One request to the gateway.

use std::{error::Error, fmt, time::Duration};

use axum::{
    body::Body,
    http::{
        Method, Request, Response, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE},
    },
};
use hyper::body::Incoming;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::time::timeout;

use super::body;
use crate::{
    BoxError,
    cli::Target,
    forward::{Connector, connector},
    with_sources,
};

/// The longest problem that is read, in bytes.
const MAX_PROBLEM: usize = 64 * 1024;

/// A gateway that runs.
pub(super) struct Gateway {
    client: Client<Connector, Body>,
    target: Target,
}

/// A request to it.
pub(super) struct Message<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    /// JSON, of a POST.
    pub(super) body: Vec<u8>,
}

impl<'a> Message<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: Vec::new() }
    }
}

impl Gateway {
    pub(super) fn new(target: Target) -> Result<Self, BoxError> {
        let connector = connector(target.authorities.as_deref())?;
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), target })
    }

    /// Sends `message` and waits for the start of the response.
    pub(super) async fn send(
        &self,
        message: Message<'_>,
        limit: Duration,
    ) -> Result<Response<Incoming>, BoxError> {
        let url = &self.target.url;
        let is_order = message.method == Method::POST;
        let mut request = Request::builder().method(message.method).uri(format!(
            "{}{}",
            url.trim_end_matches('/'),
            message.path
        ));
        if is_order {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        // No other request needs it.
        if let Some(token) = self.target.token.as_ref().filter(|_| is_order) {
            request = request.header(AUTHORIZATION, token.authorization());
        }
        let sent = self.client.request(request.body(Body::from(message.body))?);
        match timeout(limit, sent).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(format!("no answer from {url}: {}", with_sources(&error)).into()),
            Err(_) => Err(TimedOut.into()),
        }
    }
}

/// Returns a response that is good, or as an error what the gateway says.
pub(super) async fn expect_ok(
    response: Response<Incoming>,
) -> Result<Response<Incoming>, BoxError> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    // The status is the answer, with or without a problem that explains it.
    let body = timeout(body::PAUSE, body::collect(response.into_body(), MAX_PROBLEM)).await;
    let body = body.unwrap_or_else(|_| Err(TimedOut.into())).unwrap_or_default();
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    Err(match problem.get("detail").and_then(Value::as_str) {
        Some(detail) => format!("{status}: {detail}").into(),
        None if status == StatusCode::NOT_FOUND => NotServed.into(),
        None => format!("the gateway answered {status}").into(),
    })
}

/// The listener has no such route: it is none for services.
#[derive(Debug)]
pub(super) struct NotServed;

impl fmt::Display for NotServed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "404 Not Found: a gateway with --internal-listen answers there alone; give that \
             address with --url, such as http://127.0.0.1:8081",
        )
    }
}

impl Error for NotServed {}

/// The answer did not come in time.
#[derive(Debug)]
pub(super) struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the gateway did not answer in time")
    }
}

impl Error for TimedOut {}
