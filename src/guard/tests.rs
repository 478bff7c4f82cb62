//! Tests of the guard over a registry of its own; those with a whole gate are in `tests/it/guard/`.

use std::{
    convert::Infallible,
    error::Error,
    future::{Ready, ready},
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use http::{Request, StatusCode};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;
use crate::{
    clock::Clock,
    environment::Environment,
    keep_alive::KeepAlive,
    status::{
        Evidence, Record, UnavailableReason,
        fact::Fact,
        mono::Mono,
        overrides::{Override, OverrideAction},
        pulled::Pulled,
        settle::Settle,
        state::State,
    },
    tenant_id::TenantId,
    tenants::{Tenants, Update},
};

const CLOSED_AT: u64 = 1_790_000_000_000;

struct Fixture {
    tenants: Tenants,
    now: Arc<AtomicU64>,
    guard_state: Arc<GuardState>,
}

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

impl Fixture {
    fn new() -> Self {
        let now = Arc::new(AtomicU64::new(CLOSED_AT));
        let shown = Arc::clone(&now);
        let clock = Clock::new(move || {
            SystemTime::UNIX_EPOCH + Duration::from_millis(shown.load(Ordering::SeqCst))
        });
        let tenants = Tenants::new(Settle::default(), 1, clock.clone());
        let guard_state = Arc::new(GuardState::new(
            Arc::clone(tenants.registry()),
            &clock,
            Environment::Production,
            KeepAlive::nothing(),
        ));
        Self { tenants, now, guard_state }
    }

    fn layer(&self) -> GuardLayer {
        GuardLayer::new(Arc::clone(&self.guard_state))
    }

    fn set_override(&self, id: &str, action: OverrideAction) {
        let own = Override::after(None, action, String::new(), CLOSED_AT, None);
        self.store(id, Fact::Override(Box::new(own)));
    }

    fn pull(&self, id: &str, state: State) {
        let mut pulled = Pulled::new(state, 1, None);
        pulled.since = CLOSED_AT;
        self.store(id, Fact::Pulled(pulled));
    }

    fn store(&self, id: &str, fact: Fact) {
        self.tenants.apply(&tenant(id), Update::Stored(Record::from(fact)));
    }
}

fn get(url: &str) -> Request<()> {
    Request::get(url).body(()).unwrap()
}

const CUST1: &str = "https://online3.superoffice.com/Cust1/api/v1/Contact/1";

/// A client that answers with the path it was called for.
fn client<R: AsPath>() -> impl Service<R, Response = String, Error = Infallible> + Clone {
    service_fn(|request: R| async move { Ok(request.as_path()) })
}

trait AsPath {
    fn as_path(&self) -> String;
}

impl<B> AsPath for Request<B> {
    fn as_path(&self) -> String {
        self.uri().path().to_owned()
    }
}

#[tokio::test]
async fn closed_tenant_is_refused_and_no_other() {
    let fixture = Fixture::new();
    let guard = fixture.layer().layer(client());
    assert_eq!(guard.clone().oneshot(get(CUST1)).await.unwrap(), "/Cust1/api/v1/Contact/1");

    fixture.set_override("cust1", OverrideAction::Close);
    let error = guard.clone().oneshot(get(CUST1)).await.unwrap_err();
    let unavailable = error.unavailable().unwrap();
    assert_eq!(unavailable.tenant().as_str(), "Cust1");
    assert_eq!(unavailable.reason(), UnavailableReason::Operator);
    assert_eq!(unavailable.evidence(), Evidence::Operator);
    assert_eq!(unavailable.since(), SystemTime::UNIX_EPOCH + Duration::from_millis(CLOSED_AT));

    for open in [
        "https://online3.superoffice.com/Cust2/api/v1/Contact/1",
        "https://online.superoffice.com/login/Cust1",
        "https://online.superoffice.com/api/state/Cust1",
        "https://example.org/Cust1",
    ] {
        guard.clone().oneshot(get(open)).await.unwrap();
    }

    fixture.set_override("Cust1", OverrideAction::Release);
    guard.clone().oneshot(get(CUST1)).await.unwrap();
    assert_eq!(fixture.guard_state.refused(UnavailableReason::Operator), 1);
}

#[tokio::test]
async fn refused_request_never_reaches_the_client() {
    let fixture = Fixture::new();
    fixture.set_override("Cust1", OverrideAction::Close);
    let called = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&called);
    let mut guard = fixture.layer().layer(service_fn(move |_: Request<()>| {
        counted.fetch_add(1, Ordering::SeqCst);
        ready(Ok::<_, Infallible>(()))
    }));
    guard.ready().await.unwrap();
    // Not even when the future is never polled.
    drop(guard.call(get(CUST1)));
    assert_eq!(called.load(Ordering::SeqCst), 0);
    guard.ready().await.unwrap().call(get("https://online.superoffice.com/b")).await.unwrap();
    assert_eq!(called.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn observe_only_counts_and_allows() {
    let fixture = Fixture::new();
    fixture.pull("Cust1", State::Suspended);
    let guard = fixture.layer().observe_only().layer(client());
    guard.clone().oneshot(get(CUST1)).await.unwrap();
    assert_eq!(fixture.guard_state.observed(UnavailableReason::Suspended), 1);
    assert_eq!(fixture.guard_state.refused(UnavailableReason::Suspended), 0);
}

#[tokio::test]
async fn key_is_a_function_or_the_extensions() {
    let fixture = Fixture::new();
    fixture.set_override("Cust1", OverrideAction::Close);

    let by_length = |request: &String| TenantId::new(request).ok();
    let guard = fixture
        .layer()
        .key_fn(by_length)
        .layer(service_fn(|_: String| ready(Ok::<_, Infallible>(()))));
    assert!(guard.clone().oneshot("cust1".to_owned()).await.is_err());
    assert!(guard.clone().oneshot("Cust2".to_owned()).await.is_ok());

    let guard = fixture.layer().layer(client());
    let mut request = get("https://example.org/Cust2");
    request.extensions_mut().insert(tenant("cust1"));
    assert!(guard.clone().oneshot(request).await.is_err());
}

#[tokio::test]
async fn extension_hides_no_tenant_of_the_url() {
    let fixture = Fixture::new();
    fixture.set_override("Cust1", OverrideAction::Close);
    let guard = fixture.layer().layer(client());
    for (extension, url, refused) in [
        ("Cust2", CUST1, true),
        ("cust1", "https://online3.superoffice.com/Cust2/api", true),
        ("Cust1", "https://online3.superoffice.com/Cust1/api", true),
        ("Cust1", "https://online3.superoffice.com/login", true),
        ("Cust2", "https://online3.superoffice.com/Cust3/api", false),
        ("Cust2", "https://online3.superoffice.com/cust2/api", false),
        ("Cust2", "https://example.org/Cust1", false),
        ("Cust2", "/Cust1", false),
    ] {
        let mut request = get(url);
        request.extensions_mut().insert(tenant(extension));
        let called = guard.clone().oneshot(request).await;
        assert_eq!(called.is_err(), refused, "{extension} {url}");
        if let Err(error) = called {
            assert_eq!(error.unavailable().unwrap().tenant(), &tenant("Cust1"));
        }
    }
    let mut relative = get("/Cust1");
    relative.extensions_mut().insert(tenant("Cust2"));
    relative.headers_mut().insert("host", "online3.superoffice.com".parse().unwrap());
    assert!(guard.clone().oneshot(relative).await.is_err());
    assert_eq!(fixture.guard_state.refused(UnavailableReason::Operator), 5);
}

/// Counts how many live handles hold a reservation.
struct Reserving {
    reserved: Arc<AtomicU64>,
    mine: bool,
}

impl Clone for Reserving {
    fn clone(&self) -> Self {
        Self { reserved: Arc::clone(&self.reserved), mine: false }
    }
}

impl Drop for Reserving {
    fn drop(&mut self) {
        if self.mine {
            self.reserved.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Service<Request<()>> for Reserving {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if !self.mine {
            self.mine = true;
            self.reserved.fetch_add(1, Ordering::SeqCst);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.mine), "called without poll_ready");
        self.reserved.fetch_sub(1, Ordering::SeqCst);
        ready(Ok(()))
    }
}

#[tokio::test]
async fn refusal_keeps_reservation_unless_released() {
    let fixture = Fixture::new();
    fixture.set_override("Cust1", OverrideAction::Close);
    let reserved = Arc::new(AtomicU64::new(0));
    let inner = Reserving { reserved: Arc::clone(&reserved), mine: false };

    let mut keeping = fixture.layer().layer(inner.clone());
    keeping.ready().await.unwrap().call(get(CUST1)).await.unwrap_err();
    assert_eq!(reserved.load(Ordering::SeqCst), 1);
    drop(keeping);

    let mut releasing = fixture.layer().layer(inner).release_on_refusal();
    releasing.ready().await.unwrap().call(get(CUST1)).await.unwrap_err();
    assert_eq!(reserved.load(Ordering::SeqCst), 0);
    // And it is still a working client.
    releasing.ready().await.unwrap().call(get("https://superoffice.com/b")).await.unwrap();
}

#[tokio::test]
async fn refused_future_can_be_polled_again() {
    let fixture = Fixture::new();
    fixture.set_override("Cust1", OverrideAction::Close);
    let mut guard = fixture.layer().layer(Reserving { reserved: Arc::default(), mine: false });
    let mut refused = guard.ready().await.unwrap().call(get(CUST1));
    assert!((&mut refused).await.is_err());
    assert!((&mut refused).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_time_to_next_pull() {
    let fixture = Fixture::new();
    let closed = |due: Option<Mono>| {
        fixture.tenants.registry().set_due(&tenant("Cust1"), due);
        fixture.guard_state.check(&tenant("Cust1")).unwrap_err()
    };
    fixture.pull("Cust1", State::Suspended);

    assert_eq!(closed(None).retry_after(), None);
    assert_eq!(closed(None).to_http_parts().0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(closed(None).to_http_parts().1.is_empty());

    let later = closed(Some(Mono::at(Duration::from_secs(90))));
    assert_eq!(later.retry_after(), Some(Duration::from_secs(90)));
    // The wall clock may be set: the wait stays what it is.
    fixture.now.fetch_add(3_600_000, Ordering::SeqCst);
    assert_eq!(later.retry_after(), Some(Duration::from_secs(90)));
    // Computed by each call: the same error has a shorter wait later.
    tokio::time::advance(Duration::from_millis(60_500)).await;
    assert_eq!(later.retry_after(), Some(Duration::from_millis(29_500)));
    assert_eq!(later.to_http_parts().1["retry-after"], "30");
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(later.retry_after(), Some(Duration::from_secs(1)));
}

#[test]
fn deleted_tenant_is_permanent() {
    let fixture = Fixture::new();
    fixture.pull("Cust1", State::Deleted);
    fixture.tenants.registry().set_due(&tenant("Cust1"), Some(Mono::at(Duration::from_secs(90))));
    let gone = fixture.guard_state.check(&tenant("Cust1")).unwrap_err();
    assert!(gone.is_permanent());
    assert_eq!(gone.retry_after(), None);
    assert_eq!(gone.to_http_parts().0, StatusCode::GONE);
    assert!(gone.to_http_parts().1.is_empty());
    let text = gone.to_string();
    assert_eq!(text, "tenant Cust1 is deleted since 2026-09-21T14:13:20Z: stop calling it");
}

#[test]
fn find_looks_through_wrappers() {
    let fixture = Fixture::new();
    fixture.set_override("Cust1", OverrideAction::Close);
    let unavailable = || fixture.guard_state.check(&tenant("Cust1")).unwrap_err();
    let shared: Arc<dyn Error + Send + Sync> = Arc::new(unavailable());
    let chains: Vec<Box<dyn Error>> = vec![
        Box::new(unavailable()),
        Box::new(Box::new(unavailable())),
        Box::new(Arc::new(unavailable())),
        Box::new(shared),
        Box::new(io::Error::other(unavailable())),
        Box::new(GuardError::<u8>::Unavailable(unavailable())),
        Box::new(GuardError::Inner(GuardError::<io::Error>::Unavailable(unavailable()))),
        Box::new(GuardError::Inner(tower::BoxError::from(unavailable()))),
        Box::new(io::Error::other(Arc::new(GuardError::<u8>::from(unavailable())))),
    ];
    for (number, chain) in chains.iter().enumerate() {
        assert!(TenantUnavailable::find(&**chain).is_some(), "{number}: {chain:?}");
    }
    assert!(TenantUnavailable::find(&io::Error::other("else")).is_none());
    assert!(TenantUnavailable::find(&io::Error::from(io::ErrorKind::NotFound)).is_none());
}
