//! The service that stands beside SuperOffice's own routes, for a program that lets people drive
//! the simulator.

use std::{
    convert::Infallible, fmt, future::poll_fn, pin::Pin, pin::pin, sync::Arc, time::Duration,
};

use bytes::{Buf, Bytes};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use serde_json::json;
use tower_service::Service;

use super::SimulatorBody;

/// The largest body that is handed on, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

type Answer = Pin<Box<dyn Future<Output = Response<SimulatorBody>> + Send>>;

/// A service for the paths that [`is_path`] names.
#[derive(Clone)]
pub(super) struct Control(Arc<dyn Fn(Request<SimulatorBody>) -> Answer + Send + Sync>);

/// Returns whether the environment's own host hands requests for `path` to the service. SuperOffice
/// has nothing there.
pub(super) fn is_path(path: &str) -> bool {
    path == "/" || path == "/simulator" || path.starts_with("/simulator/")
}

impl Control {
    pub(super) fn from_service<S>(service: S) -> Self
    where
        S: Service<Request<SimulatorBody>, Response = Response<SimulatorBody>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        Self(Arc::new(move |request| {
            let mut service = service.clone();
            Box::pin(async move {
                let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
                let Ok(answer) = service.call(request).await;
                answer
            })
        }))
    }

    /// Reads the request's body, and answers with the service; without it when there is no whole
    /// body.
    pub(super) async fn answer<B: Body>(&self, request: Request<B>) -> Response<SimulatorBody> {
        let (parts, body) = request.into_parts();
        let body = tokio::time::timeout(BODY_TIMEOUT, read_body(body)).await;
        match body.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT)) {
            Ok(body) => (self.0)(Request::from_parts(parts, body.into())).await,
            Err(status) => problem(status),
        }
    }
}

/// Answers a request whose body can't be handed on, as RFC 9457 describes it.
fn problem(status: StatusCode) -> Response<SimulatorBody> {
    let detail = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "The body has at most 64 KiB.",
        StatusCode::REQUEST_TIMEOUT => "The body did not arrive in time.",
        _ => "The body broke off.",
    };
    let members = json!({
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
    });
    let mut answer = Response::new(SimulatorBody::from(members.to_string()));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("application/problem+json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

async fn read_body<B: Body>(body: B) -> Result<Bytes, StatusCode> {
    let (mut body, mut read) = (pin!(body), Vec::new());
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(frame) = frame else { return Err(StatusCode::BAD_REQUEST) };
        let Ok(mut data) = frame.into_data() else { continue };
        if data.remaining() > MAX_BODY - read.len() {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        read.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    Ok(read.into())
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}
