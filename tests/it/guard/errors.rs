//! The guard's error in the hands of its caller.

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::{Pending, pending, ready},
    io,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt, buffer::BufferLayer, retry::Policy,
    service_fn, timeout::TimeoutLayer, timeout::error::Elapsed, util::BoxCloneService,
};
use tower_superoffice::{GuardError, TenantUnavailable, UnavailableReason};

use harness::{call_to, gate_with_closed, tenant};

async fn unavailable() -> TenantUnavailable {
    gate_with_closed().await.check(&tenant("Closed")).unwrap_err()
}

fn links<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    let next = |error: &&'e (dyn Error + 'static)| (*error).source();
    std::iter::successors(Some(error), next).collect()
}

fn texts(error: &(dyn Error + 'static)) -> Vec<String> {
    links(error).iter().map(ToString::to_string).collect()
}

/// The chain of `error`, of which `root` is a part that can be had back by its type.
fn has_link<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    links(error).iter().any(|link| link.is::<T>())
}

/// Returns whether no text in the chain repeats the next, as a reporter would print it.
fn says_nothing_twice(error: &(dyn Error + 'static)) -> bool {
    let texts = texts(error);
    texts.iter().all(|text| !text.is_empty())
        && texts.windows(2).all(|pair| !pair[0].contains(&pair[1]))
}

fn into_box<E>(error: GuardError<E>) -> Result<Infallible, Box<dyn Error>>
where
    GuardError<E>: Error + 'static,
{
    Err(error)?
}

fn into_box_error<E>(error: GuardError<E>) -> Result<Infallible, BoxError>
where
    GuardError<E>: Error + Send + Sync + 'static,
{
    Err(error)?
}

fn into_anyhow<E>(error: GuardError<E>) -> anyhow::Result<Infallible>
where
    GuardError<E>: Error + Send + Sync + 'static,
{
    Err(error)?
}

/// Converts an error by every `?`, and checks that its chain reads as `expected`.
fn composes<E>(make: impl Fn() -> GuardError<E>, expected: &[&str])
where
    E: fmt::Debug + fmt::Display + Send + Sync + 'static,
{
    assert_eq!(texts(&*into_box(make()).unwrap_err()), expected);
    let error = into_box_error(make()).unwrap_err();
    assert!(error.is::<GuardError<E>>());
    assert_eq!(texts(&*error), expected);
    let error = into_anyhow(make()).unwrap_err();
    assert_eq!(error.chain().map(ToString::to_string).collect::<Vec<_>>(), expected);
    assert!(error.downcast_ref::<GuardError<E>>().is_some());
}

#[tokio::test]
async fn refusal_composes_with_any_client() {
    let refusal = unavailable().await;
    let texts = ["refused a call to tenant Closed (operator)".to_owned(), refusal.to_string()];
    let texts = [texts[0].as_str(), &texts[1]];
    composes::<io::Error>(|| refusal.clone().into(), &texts);
    composes::<Infallible>(|| refusal.clone().into(), &texts);
    composes::<BoxError>(|| refusal.clone().into(), &texts);
    composes::<reqwest::Error>(|| refusal.clone().into(), &texts);
    composes::<hyper_util::client::legacy::Error>(|| refusal.clone().into(), &texts);
    composes::<Unknown>(|| refusal.clone().into(), &texts);
    assert!(has_link::<TenantUnavailable>(&GuardError::<io::Error>::from(refusal)));
}

/// An error with a cause.
#[derive(Debug)]
struct Broken(io::Error);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection broke")
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn client_error_keeps_its_text_and_its_causes() {
    let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
    let broken = || Broken(reset());
    let chain = ["the connection broke", "connection reset"];
    composes::<BoxError>(|| GuardError::Inner(broken().into()), &chain);
    composes(|| GuardError::Inner(io::Error::other(broken())), &chain);
    composes(|| GuardError::Inner(Arc::new(broken()) as Arc<dyn Error + Send + Sync>), &chain);
    composes(|| GuardError::Inner(GuardError::<BoxError>::Inner(broken().into())), &chain);
    composes(|| GuardError::Inner(reset()), &["connection reset"]);
    composes(|| GuardError::Inner(Elapsed::new()), &[&Elapsed::new().to_string()]);
    // Not `Send`, so for `Box<dyn Error>` only.
    let unsent: GuardError<Box<dyn Error>> = GuardError::Inner(broken().into());
    assert_eq!(texts(&*into_box(unsent).unwrap_err()), chain);
}

#[tokio::test]
async fn nested_refusal_is_found_behind_known_errors() {
    let refusal = unavailable().await;
    let boxed: GuardError<BoxError> = GuardError::Inner(refusal.clone().into());
    assert!(TenantUnavailable::find(&boxed).is_some());
    let io = GuardError::Inner(io::Error::other(refusal.clone()));
    assert!(TenantUnavailable::find(&io).is_some());
    let inner: GuardError<io::Error> = refusal.clone().into();
    let twice = GuardError::Inner(inner);
    assert!(TenantUnavailable::find(&twice).is_some());
    let deep: BoxError = GuardError::<BoxError>::Inner(Box::new(twice)).into();
    assert!(TenantUnavailable::find(&*deep).is_some());
    assert!(TenantUnavailable::find(&GuardError::Inner(Unknown)).is_none());
}

/// The address of a server that is not there.
fn closed_port_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/Open/api", listener.local_addr().unwrap())
}

#[tokio::test]
async fn real_clients_keep_their_chains() {
    let gate = gate_with_closed().await;
    let url = closed_port_url();

    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(&url).body(Empty::new()).unwrap();
    let error = gate.guard_layer().layer(client).oneshot(request).await.unwrap_err();
    assert!(error.inner().unwrap().is_connect());
    assert_eq!(error.to_string(), error.inner().unwrap().to_string());
    assert!(has_link::<io::Error>(&error), "{:?}", links(&error));
    assert!(says_nothing_twice(&error));
    let error = into_anyhow(error).unwrap_err();
    assert!(format!("{error:#}").contains("refused"), "{error:#}");

    let request = reqwest::Request::new(Method::GET, url.parse().unwrap());
    let client = gate.guard_layer().layer(reqwest::Client::new());
    let error = client.oneshot(request).await.unwrap_err();
    assert!(error.inner().unwrap().is_connect());
    assert_eq!(error.to_string(), error.inner().unwrap().to_string());
    assert!(has_link::<io::Error>(&error), "{:?}", links(&error));
    assert!(into_box_error(error).unwrap_err().is::<GuardError<reqwest::Error>>());
}

/// An error of a type that the crate does not know.
#[derive(Debug)]
struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the moon was full")
    }
}

#[test]
fn unknown_error_is_shown_without_source() {
    let error = GuardError::Inner(Unknown);
    assert_eq!(error.to_string(), "the moon was full");
    assert!(error.source().is_none());
}

#[tokio::test]
async fn find_succeeds_through_timeouts_buffers_and_boxes() {
    let gate = gate_with_closed().await;
    let client = service_fn(|_: Request<()>| ready(Ok::<_, io::Error>("hello")));
    let mut stack = ServiceBuilder::new()
        .layer(BoxCloneService::layer())
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .layer(BufferLayer::new(8))
        .load_shed()
        .concurrency_limit(2)
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .layer(gate.guard_layer())
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .service(client);
    assert_eq!(stack.ready().await.unwrap().call(call_to("Open", ())).await.unwrap(), "hello");

    let error: BoxError =
        stack.ready().await.unwrap().call(call_to("Closed", ())).await.unwrap_err();
    let found = TenantUnavailable::find(&*error).unwrap();
    assert_eq!(found.tenant(), &tenant("closed"));
    assert_eq!(found.reason(), UnavailableReason::Operator);
    let (status, headers) = found.to_http_parts();
    assert_eq!((status.as_u16(), headers.len()), (503, 0));
    assert!(anyhow::Error::from_boxed(error).chain().any(|link| link.is::<TenantUnavailable>()));
}

#[tokio::test]
async fn timeout_around_the_guard_stays_a_timeout() {
    let gate = gate_with_closed().await;
    let silent = service_fn(|_: Request<()>| -> Pending<Result<(), Infallible>> { pending() });
    let stack = ServiceBuilder::new()
        .timeout(Duration::from_millis(1))
        .layer(gate.guard_layer())
        .service(silent);
    let error = stack.oneshot(call_to("Open", ())).await.unwrap_err();
    assert!(error.is::<Elapsed>());
    assert!(TenantUnavailable::find(&*error).is_none());
}

/// Retries what may pass, and leaves closed tenants alone.
#[derive(Clone)]
struct Retries(u8);

impl<T, E> Policy<Request<()>, T, GuardError<E>> for Retries {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<()>,
        result: &mut Result<T, GuardError<E>>,
    ) -> Option<Self::Future> {
        let failed = matches!(result, Err(GuardError::Inner(_)));
        self.0 = self.0.checked_sub(1)?;
        failed.then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn retry_policy_can_skip_closed_tenants() {
    let gate = gate_with_closed().await;
    let failing = service_fn(|_: Request<()>| {
        ready(Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionReset)))
    });
    let stack = ServiceBuilder::new().retry(Retries(3)).layer(gate.guard_layer()).service(failing);
    let error = stack.clone().oneshot(call_to("Closed", ())).await.unwrap_err();
    assert!(error.unavailable().is_some());
    assert_eq!(gate.health().refused_calls(), 1);
    let error = stack.oneshot(call_to("Open", ())).await.unwrap_err();
    assert_eq!(error.into_unavailable().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn error_can_be_mapped_and_taken_apart() {
    let refusal = unavailable().await;
    let error: GuardError<io::Error> = refusal.into();
    let error: GuardError<BoxError> = error.map_inner(Into::into);
    assert!(error.inner().is_none());
    assert_eq!(error.to_string(), "refused a call to tenant Closed (operator)");
    assert_eq!(error.into_unavailable().unwrap().tenant().as_str(), "Closed");
    let error = GuardError::Inner("disk full").map_inner(io::Error::other);
    assert!(error.unavailable().is_none());
    assert_eq!(error.inner().unwrap().to_string(), "disk full");
}
