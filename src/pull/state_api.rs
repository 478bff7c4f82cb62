//! Requests to the state API.

use std::{
    error::Error,
    fmt,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode, Uri, header};
use tracing::field::Empty;

use super::{
    response::{InvalidResponse, StateResponse},
    schedule::Trigger,
};
use crate::{
    clock::{self, Clock},
    environment::Environment,
    http_client::{Fetch, FetchError},
    span::{Span, span},
    status::wall::system_time,
    tenant_id::TenantId,
};

/// A client of the environment's state API: `GET /api/state/{ContextIdentifier}`.
#[derive(Debug, Clone)]
pub(crate) struct StateApi {
    environment: Environment,
    fetch: Fetch,
    clock: Clock,
}

/// A pull without a valid answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) why: FailureKind,
    /// Duration of the pause that the state API requested.
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Debug)]
pub(crate) enum FailureKind {
    Fetch(FetchError),
    Invalid(InvalidResponse),
    /// The client, or the store that lends the right to use it, panicked.
    Panicked,
}

impl StateApi {
    pub(crate) fn new(environment: Environment, fetch: Fetch, clock: Clock) -> Self {
        Self { environment, fetch, clock }
    }

    /// Pulls the state of `tenant`.
    pub(crate) async fn pull(
        &self,
        tenant: &TenantId,
        trigger: Trigger,
    ) -> Result<StateResponse, Failure> {
        let url = self.environment.state_url(tenant);
        let span = span!(
            "pull",
            otel.kind = "client",
            http.request.method = "GET",
            url.full = %url,
            server.address = url.host(),
            server.port = url.port_u16(),
            http.response.status_code = Empty,
            "error.type" = Empty,
            superoffice.tenant = %tenant,
            superoffice.trigger = trigger.as_str(),
        );
        let answer = span.trace(self.exchange(tenant, &url, &span)).await;
        if let Err(failure) = &answer {
            span.record("error.type", failure.kind());
        }
        answer
    }

    async fn exchange(
        &self,
        tenant: &TenantId,
        url: &Uri,
        span: &Span,
    ) -> Result<StateResponse, Failure> {
        let fetched = self.fetch.get(url, "application/json").await.map_err(Failure::from)?;
        span.record("http.response.status_code", fetched.status.as_u16());
        let (status, headers, now) = (fetched.status, &fetched.headers, self.clock.unix_ms());
        let answer = (status, headers, &fetched.body[..]);
        StateResponse::parse(tenant, &self.environment, answer, now).map_err(|invalid| Failure {
            why: FailureKind::Invalid(invalid),
            retry_after: retry_after(status, headers, system_time(now)),
        })
    }
}

/// Returns the pause that `Retry-After` requests, in either of its forms, on an answer that means
/// *not now*. A date is held against the `Date` of the answer, or against `now` when it has none.
fn retry_after(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let sent = clock::date(headers).and_then(|date| u64::try_from(date).ok());
    let sent = sent.map(|date| system_time(date.saturating_mul(1000)));
    Some(date.duration_since(sent.unwrap_or(now)).unwrap_or_default())
}

impl Failure {
    pub(crate) fn panicked() -> Self {
        Self { why: FailureKind::Panicked, retry_after: None }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self { why: FailureKind::Fetch(error), retry_after: None }
    }
}

impl Failure {
    /// Returns the kind of the failure, for traces.
    fn kind(&self) -> &'static str {
        match &self.why {
            FailureKind::Fetch(FetchError::TimedOut) => "timeout",
            FailureKind::Fetch(_) => "exchange",
            FailureKind::Invalid(_) => "invalid_answer",
            FailureKind::Panicked => "panic",
        }
    }

    /// Returns the error behind it, if there is one.
    pub(super) fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.why {
            FailureKind::Fetch(error) => error.source(),
            FailureKind::Invalid(_) | FailureKind::Panicked => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            FailureKind::Fetch(error) => error.fmt(f),
            FailureKind::Invalid(invalid) => write!(f, "invalid answer: {invalid}"),
            FailureKind::Panicked => f.write_str("the client or the store panicked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use bytes::Bytes;
    use http::{Response, header::HeaderValue};
    use http_body_util::Full;
    use tower::service_fn;

    use super::*;
    use crate::status::State;

    fn api(response: Response<&'static str>) -> (StateApi, Arc<std::sync::Mutex<Vec<String>>>) {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let fetch =
            Fetch::new(service_fn(move |request: http::Request<crate::http_client::EmptyBody>| {
                let accept = request.headers()[header::ACCEPT].to_str().unwrap();
                log.lock().unwrap().push(format!(
                    "{} {} {accept}",
                    request.method(),
                    request.uri()
                ));
                let response = response.clone().map(|body| Full::new(Bytes::from(body)));
                async { Ok::<_, Infallible>(response) }
            }));
        (StateApi::new(Environment::Production, fetch, Clock::system()), seen)
    }

    #[tokio::test]
    async fn request_is_the_documented_one() {
        let response = Response::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .body(r#"{"ContextIdentifier":"Cust1","State":"Suspended","IsRunning":false}"#)
            .unwrap();
        let (api, seen) = api(response);
        let answer = api.pull(&TenantId::new("Cust1").unwrap(), Trigger::Requested).await.unwrap();
        assert_eq!(answer.state, Some(State::Suspended));
        let expected = "GET https://online.superoffice.com/api/state/Cust1 application/json";
        assert_eq!(*seen.lock().unwrap(), [expected]);
    }

    #[tokio::test]
    async fn redirect_is_an_invalid_answer() {
        let response = Response::builder()
            .status(302)
            .header(header::LOCATION, "https://evil.example/")
            .body("")
            .unwrap();
        let (api, seen) = api(response);
        let failure =
            api.pull(&TenantId::new("Cust1").unwrap(), Trigger::Requested).await.unwrap_err();
        assert!(matches!(
            failure.why,
            FailureKind::Invalid(InvalidResponse::Status(StatusCode::FOUND))
        ));
        assert_eq!(seen.lock().unwrap().len(), 1);
    }

    #[test]
    fn retry_after_comes_in_seconds_or_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_420);
        let read = |status: u16, value: &'static str| {
            let headers =
                [(header::RETRY_AFTER, HeaderValue::from_static(value))].into_iter().collect();
            retry_after(StatusCode::from_u16(status).unwrap(), &headers, now).map(|d| d.as_secs())
        };
        assert_eq!(read(429, "120"), Some(120));
        assert_eq!(read(503, " 7 "), Some(7));
        assert_eq!(read(503, "Wed, 21 Oct 2015 07:28:00 GMT"), Some(60));
        assert_eq!(read(503, "Wed, 21 Oct 2015 07:20:00 GMT"), Some(0));
        // The two forms that HTTP had before (RFC 9110, 5.6.7).
        assert_eq!(read(503, "Wednesday, 21-Oct-15 07:28:00 GMT"), Some(60));
        assert_eq!(read(503, "Wed Oct 21 07:28:00 2015"), Some(60));
        assert_eq!(read(503, "later"), None);
        assert_eq!(read(503, "-1"), None);
        assert_eq!(read(500, "120"), None);
        assert_eq!(retry_after(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), now), None);
    }
}
