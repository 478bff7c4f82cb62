//! The client for the requests that the gate itself sends: key sets and tenant states.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body::Body;
use tower_service::Service;

pub use self::body::EmptyBody;
#[cfg(any(feature = "client", feature = "client-ring"))]
pub(crate) use self::https::HttpsConfig;
#[cfg(all(feature = "proxy", any(feature = "client", feature = "client-ring")))]
pub(crate) use self::proxy::ProxyRules;
use crate::{clock::Clock, environment::is_loopback, json};

mod body;
#[cfg(any(feature = "client", feature = "client-ring"))]
mod https;
#[cfg(all(feature = "proxy", any(feature = "client", feature = "client-ring")))]
mod proxy;

type BoxError = Box<dyn StdError + Send + Sync>;
type Exchange = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send>>;

/// The time limit for one exchange: connecting, sending, and receiving the whole response.
const DEADLINE: Duration = Duration::from_secs(5);

/// The largest body that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

const USER_AGENT: &str = concat!("tower-superoffice/", env!("CARGO_PKG_VERSION"));

/// An HTTP client service with its types erased, so that nothing behind it is generic.
#[derive(Clone)]
pub(crate) struct Fetch {
    send: Arc<dyn Fn(Request<EmptyBody>) -> Exchange + Send + Sync>,
    /// Compared with the `Date` of each answer.
    clock: Option<Clock>,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Fetch {
    /// Wraps `service`. Each exchange runs on a clone of its own.
    pub(crate) fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<EmptyBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let send =
            Arc::new(move |request| Box::pin(exchange(service.clone(), request)) as Exchange);
        Self { send, clock: None }
    }

    /// Compares `clock` with the `Date` of each answer.
    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// Fetches `uri`, which must be https, or http on a loopback address.
    ///
    /// Redirects are not followed: the response is returned like any other.
    pub(crate) async fn get(&self, uri: &Uri, accept: &'static str) -> Result<Fetched, FetchError> {
        if !is_fetchable(uri) {
            return Err(FetchError::Address);
        }
        let request = Request::get(uri)
            .header(header::ACCEPT, accept)
            .header(header::USER_AGENT, USER_AGENT)
            .body(EmptyBody::default())
            .map_err(|error| FetchError::Exchange(error.into()))?;
        let exchange = tokio::time::timeout(DEADLINE, (self.send)(request));
        let fetched = exchange.await.unwrap_or(Err(FetchError::TimedOut))?;
        if let Some(clock) = &self.clock {
            clock.observe(&fetched.headers);
        }
        Ok(fetched)
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetch")
    }
}

/// Returns whether a request may be sent to `uri`: https, or http on a loopback address, without
/// user name.
pub(crate) fn is_fetchable(uri: &Uri) -> bool {
    let Some(authority) = uri.authority() else { return false };
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return false;
    }
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback(authority.host()),
        _ => false,
    }
}

async fn exchange<S, B>(mut service: S, request: Request<EmptyBody>) -> Result<Fetched, FetchError>
where
    S: Service<Request<EmptyBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body,
    B::Error: Into<BoxError>,
{
    let failed = |error: S::Error| FetchError::Exchange(error.into());
    poll_fn(|cx| service.poll_ready(cx)).await.map_err(failed)?;
    let (parts, body) = service.call(request).await.map_err(failed)?.into_parts();
    let body = collect(body).await?;
    // What is fetched is JSON, and some serialisers put a byte order mark before it.
    let mark = body.len() - json::strip_bom(&body).len();
    let body = body.slice(mark..);
    Ok(Fetched { status: parts.status, headers: parts.headers, body })
}

/// Collects `body`, up to the limit.
async fn collect<B>(body: B) -> Result<Bytes, FetchError>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body);
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(FetchError::TooLarge);
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| FetchError::Exchange(error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.remaining() > BODY_LIMIT - whole.len() {
            return Err(FetchError::TooLarge);
        }
        whole.put(data);
    }
    Ok(whole.freeze())
}

/// The reason why an exchange failed.
///
/// Its text names no address and repeats nothing that was received, so it is safe to show.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum FetchError {
    /// The address is neither https nor on a loopback host, or it carries a user name.
    Address,
    /// No complete response within 5 s.
    TimedOut,
    /// The response's body is larger than 64 KiB.
    TooLarge,
    /// The client could not be created.
    #[cfg(any(feature = "client", feature = "client-ring"))]
    Setup(BoxError),
    /// The certificate authorities can't be used.
    #[cfg(any(feature = "client", feature = "client-ring"))]
    Roots(crate::tls::RootsError),
    /// The client failed: name resolution, connecting, TLS, a broken connection.
    Exchange(BoxError),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => {
                f.write_str("the address is refused: use https, or http on a loopback host")
            }
            Self::TimedOut => f.write_str("timed out: no complete response within 5 s"),
            Self::TooLarge => f.write_str("the response is larger than 64 KiB"),
            #[cfg(any(feature = "client", feature = "client-ring"))]
            Self::Setup(_) => f.write_str("the https client could not be created"),
            #[cfg(any(feature = "client", feature = "client-ring"))]
            Self::Roots(_) => f.write_str("the certificate authorities can't be used"),
            Self::Exchange(source) => {
                f.write_str("the request failed")?;
                if has_proxy_error(source.as_ref()) {
                    f.write_str(" at the proxy")?;
                }
                match io_kind(source.as_ref()) {
                    Some(kind) => write!(f, ": {kind}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl StdError for FetchError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            #[cfg(any(feature = "client", feature = "client-ring"))]
            Self::Setup(source) => Some(source.as_ref()),
            #[cfg(any(feature = "client", feature = "client-ring"))]
            Self::Roots(_) => None,
            Self::Exchange(source) => Some(source.as_ref()),
            Self::Address | Self::TimedOut | Self::TooLarge => None,
        }
    }
}

/// Returns whether the connection to a proxy, or the tunnel through it, failed.
fn has_proxy_error(error: &(dyn StdError + 'static)) -> bool {
    #[cfg(all(feature = "proxy", any(feature = "client", feature = "client-ring")))]
    return std::iter::successors(Some(error), |&error| error.source())
        .any(|error| error.is::<proxy::ProxyError>());
    #[cfg(not(all(feature = "proxy", any(feature = "client", feature = "client-ring"))))]
    {
        let _ = error;
        false
    }
}

/// Returns the kind of the first I/O error in the chain, which tells an operator most of the cause.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<std::io::ErrorKind> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind)
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io};

    use http_body_util::{BodyExt, Full, StreamBody};
    use tower::service_fn;

    use super::*;

    const JSON: &str = "application/json";

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    fn responding(body: impl Into<Bytes>) -> Fetch {
        let body = body.into();
        Fetch::new(service_fn(move |_| {
            let body = body.clone();
            async { Ok::<_, Infallible>(Response::new(Full::new(body))) }
        }))
    }

    #[tokio::test]
    async fn only_https_and_loopback_http_are_fetched() {
        let fetch = responding("ok");
        for (address, taken) in [
            ("https://online.superoffice.com/login", true),
            ("http://127.0.0.1:9000/", true),
            ("http://localhost/", true),
            ("http://[::1]:9/", true),
            ("http://online.superoffice.com/", false),
            ("http://127.0.0.1.example.org/", false),
            ("https://me:secret@online.superoffice.com/", false),
            ("http://user@127.0.0.1/", false),
            ("ftp://localhost/", false),
            ("/relative", false),
        ] {
            let answer = fetch.get(&uri(address), JSON).await;
            assert_eq!(answer.is_ok(), taken, "{address}");
            if let Err(error) = answer {
                assert!(matches!(error, FetchError::Address), "{address}: {error}");
            }
        }
    }

    #[tokio::test]
    async fn byte_order_mark_before_an_answer_is_skipped() {
        let url = uri("https://example.com/");
        for (sent, body) in [("\u{feff}{}", "{}"), ("{}", "{}"), ("\u{feff}", ""), ("", "")] {
            assert_eq!(responding(sent).get(&url, JSON).await.unwrap().body, body);
        }
    }

    #[tokio::test]
    async fn body_limit_is_64_kib_announced_or_not() {
        let url = uri("https://example.com/");
        let largest = vec![b' '; BODY_LIMIT];
        assert_eq!(
            responding(largest.clone()).get(&url, JSON).await.unwrap().body.len(),
            BODY_LIMIT
        );
        let announced = responding(vec![b' '; BODY_LIMIT + 1]).get(&url, JSON).await;
        assert!(matches!(announced, Err(FetchError::TooLarge)));

        let chunked = Fetch::new(service_fn(move |_| {
            let frames = [vec![b' '; BODY_LIMIT], vec![b' ']]
                .map(|part| Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(part))));
            async {
                Ok::<_, Infallible>(Response::new(StreamBody::new(futures::stream::iter(frames))))
            }
        }));
        assert!(matches!(chunked.get(&url, JSON).await, Err(FetchError::TooLarge)));
    }

    #[tokio::test(start_paused = true)]
    async fn deadline_covers_the_whole_exchange() {
        let url = uri("https://example.com/");
        let hanging =
            Fetch::new(service_fn(|_| std::future::pending::<io::Result<Response<Full<Bytes>>>>()));
        let drip = Fetch::new(service_fn(|_| async {
            let frames = futures::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Some((Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(b"."))), ()))
            });
            Ok::<_, Infallible>(Response::new(StreamBody::new(frames).boxed()))
        }));
        for fetch in [hanging, drip] {
            let start = tokio::time::Instant::now();
            assert!(matches!(fetch.get(&url, JSON).await, Err(FetchError::TimedOut)));
            assert_eq!(start.elapsed(), DEADLINE);
        }
    }

    #[tokio::test]
    async fn error_names_the_kind_and_nothing_else() {
        let broken = Fetch::new(service_fn(|_| async {
            Err::<Response<Full<Bytes>>, _>(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "secret-host refused",
            ))
        }));
        let error = broken.get(&uri("https://example.com/"), JSON).await.unwrap_err();
        assert_eq!(error.to_string(), "the request failed: connection refused");
        assert!(error.source().unwrap().to_string().contains("secret-host"));
    }
}
