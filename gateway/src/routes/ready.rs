//! `/ready`, and as it `/healthz`: whether the gateway is to be sent requests.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tower_superoffice::{
    TenantGate,
    health::{Health, Readiness, StoreHealth},
    store::StoreWarning,
    token::KeysReport,
};
use utoipa::ToSchema;

use crate::{served::Served, server::Draining};

/// Keys are fetched every ten minutes: at this age two fetches have failed.
const OLD_KEYS: Duration = Duration::from_secs(20 * 60);

/// The difference in seconds from which the gate logs that the clock is wrong.
const WRONG_CLOCK: i64 = 10;

/// Pulls that failed for as long as this, with no answer between them, are more than a bad moment.
const FAILING: Duration = Duration::from_secs(30);

/// The difference in seconds up to which the store's clock counts as right.
const STORE_CLOCK: i64 = 60;

/// The sources of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    served: Served,
    draining: Draining,
    /// Whether calls to tracked tenants are refused until something is known of them.
    hold_tracked: bool,
}

impl Probe {
    pub(crate) fn new(served: Served, draining: Draining, hold_tracked: bool) -> Self {
        Self { served, draining, hold_tracked }
    }
}

/// Whether the gateway is to be sent requests.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = Readiness)]
pub(crate) struct Report {
    pub(crate) ready: bool,
    /// Why it is not ready.
    pub(crate) reasons: Vec<&'static str>,
    /// What is wrong and leaves it ready.
    pub(crate) degraded: Vec<&'static str>,
    pub(crate) tasks_down: Vec<&'static str>,
    /// Tracked tenants of which nothing is known yet.
    pub(crate) tracked_awaited: usize,
    /// With several environments, the same of each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(no_recursion)]
    environments: BTreeMap<String, Report>,
}

/// Answers 200, or 503, with the reasons as JSON.
pub(super) async fn ready(State(probe): State<Probe>) -> Response {
    let report = match &probe.served {
        Served::One(gate) => probe.report(gate).await,
        Served::Several(gates) => {
            let mut whole = Report { ready: true, ..Report::default() };
            for gate in gates.gates() {
                whole.add(gate.environment().name(), probe.report(gate).await);
            }
            whole
        }
    };
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

impl Probe {
    /// Returns the report of one environment.
    pub(crate) async fn report(&self, gate: &TenantGate) -> Report {
        let readiness = gate.ready(Duration::ZERO).await;
        let reasons = reasons(&readiness, self.draining.has_begun(), self.hold_tracked);
        Report {
            ready: reasons.is_empty(),
            reasons,
            degraded: chosen(degradations(&gate.health(), &gate.keys())),
            tasks_down: readiness.tasks_down().to_vec(),
            tracked_awaited: readiness.tracked_awaited(),
            environments: BTreeMap::new(),
        }
    }
}

impl Report {
    /// Adds the report of one environment to that of all.
    fn add(&mut self, name: String, report: Report) {
        self.ready &= report.ready;
        for (all, own) in [
            (&mut self.reasons, &report.reasons),
            (&mut self.degraded, &report.degraded),
            (&mut self.tasks_down, &report.tasks_down),
        ] {
            for name in own {
                if !all.contains(name) {
                    all.push(name);
                }
            }
        }
        self.tracked_awaited += report.tracked_awaited;
        self.environments.insert(name, report);
    }
}

fn reasons(readiness: &Readiness, draining: bool, hold_tracked: bool) -> Vec<&'static str> {
    chosen([
        (readiness.is_store_awaited(), "store_not_loaded"),
        (readiness.is_key_awaited(), "no_key"),
        (hold_tracked && readiness.tracked_awaited() > 0, "tracked_awaited"),
        (!readiness.tasks_down().is_empty(), "task_down"),
        (draining || readiness.is_shut_down(), "draining"),
    ])
}

/// Returns all that can be wrong and leaves it ready, with whether it is.
pub(super) fn degradations(health: &Health, keys: &KeysReport) -> [(bool, &'static str); 9] {
    let store = health.store();
    let is_clock = |warning: &StoreWarning| matches!(warning, StoreWarning::Clock { .. });
    let keys_old = keys.age().is_some_and(|age| age >= OLD_KEYS);
    [
        (health.clock_offset().is_some_and(|offset| offset.abs() > WRONG_CLOCK), "clock_wrong"),
        (matches!(store, StoreHealth::Stale { .. }), "store_stale"),
        (store == StoreHealth::Failed, "store_failed"),
        (health.unreadable() > 0, "records_unreadable"),
        (!health.store_warnings().iter().all(is_clock), "store_misconfigured"),
        (is_store_clock_wrong(health.store_warnings(), health.clock_offset()), "store_clock"),
        (health.pulls().is_some_and(|pulls| pulls.failing() >= FAILING), "pulls_failing"),
        (keys_old, "keys_old"),
        // Without a key at all it is not ready.
        (!keys_old && !keys.keys().is_empty() && keys.last_error().is_some(), "keys_failing"),
    ]
}

/// Whether the store's clock differs from this machine's, and not because this one is wrong.
fn is_store_clock_wrong(warnings: &[StoreWarning], own_offset: Option<i64>) -> bool {
    let own = own_offset.unwrap_or_default();
    warnings.iter().any(|warning| match warning {
        StoreWarning::Clock { ahead } => ahead.saturating_add(own).saturating_abs() > STORE_CLOCK,
        _ => false,
    })
}

fn chosen(names: impl IntoIterator<Item = (bool, &'static str)>) -> Vec<&'static str> {
    names.into_iter().filter_map(|(is_so, name)| is_so.then_some(name)).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::SystemTime,
    };

    use harness::RedisServer;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower_superoffice::{
        Environment, TenantGateBuilder, TenantId,
        store::{MemoryStore, RedisStore},
        token::SigningKeys,
    };

    use super::*;

    fn builder() -> TenantGateBuilder {
        let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/v1-sha1.crt");
        let keys = SigningKeys::from_pem(std::fs::read(certificate).unwrap()).unwrap();
        let gate = TenantGate::builder(Environment::Production).any_audience();
        gate.signing_keys(keys).state_api(false)
    }

    async fn answer(gate: &TenantGate) -> (u16, Value) {
        answer_of(Served::One(gate.clone())).await
    }

    async fn answer_of(served: Served) -> (u16, Value) {
        let response = ready(State(Probe::new(served, Draining::default(), true))).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn task_that_is_down_is_named_until_it_is_back() {
        let panics = Arc::new(AtomicBool::new(false));
        let clock_panics = Arc::clone(&panics);
        let clock = move || {
            assert!(!clock_panics.load(Ordering::Relaxed), "no time can be had");
            SystemTime::now()
        };
        let gate = builder().clock(clock).build().await.unwrap();
        let hour = Duration::from_secs(3600);
        let tenant = TenantId::new("Cust1").unwrap();
        gate.close_until(&tenant, "", SystemTime::now() + hour).await.unwrap();
        let ready = json!({
            "ready": true, "reasons": [], "degraded": [], "tasks_down": [], "tracked_awaited": 0,
        });
        assert_eq!(answer(&gate).await, (200, ready.clone()));

        panics.store(true, Ordering::Relaxed);
        tokio::time::sleep(hour).await;
        let (status, report) = answer(&gate).await;
        assert_eq!((status, &report["ready"]), (503, &json!(false)));
        assert_eq!(report["reasons"], json!(["task_down"]));
        assert_eq!(report["tasks_down"], json!(["override_expiry"]));

        panics.store(false, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(answer(&gate).await, (200, ready));
    }

    #[tokio::test(start_paused = true)]
    async fn store_is_awaited_once_and_degrades_later() {
        let store = MemoryStore::new();
        store.set_available(false);
        let gate = builder().store(store.clone()).start_without_store(true).build().await.unwrap();
        let (status, report) = answer(&gate).await;
        assert_eq!((status, &report["reasons"]), (503, &json!(["store_not_loaded"])));
        store.set_available(true);
        assert!(gate.ready(Duration::from_secs(60)).await.is_ready());
        assert_eq!(answer(&gate).await.0, 200);

        store.set_available(false);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (status, report) = answer(&gate).await;
        assert_eq!((status, &report["degraded"]), (200, &json!(["store_stale"])));
    }

    #[tokio::test]
    async fn unreadable_record_degrades() {
        let store = MemoryStore::new();
        store.damage(&TenantId::new("Cust1").unwrap());
        let gate = builder().store(store).build().await.unwrap();
        let (status, report) = answer(&gate).await;
        assert_eq!((status, &report["degraded"]), (200, &json!(["records_unreadable"])));
        gate.open(&TenantId::new("Cust1").unwrap(), "").await.unwrap();
        gate.release(&TenantId::new("Cust1").unwrap(), "").await.unwrap();
        assert_eq!(answer(&gate).await.1["degraded"], json!([]));
    }

    #[tokio::test]
    async fn store_that_may_lose_records_degrades() {
        let arguments = ["--maxmemory-policy", "allkeys-lru"];
        let Some(server) = RedisServer::start_with(&arguments) else { return };
        let store = RedisStore::connect(&server.url(), &Environment::Production).unwrap();
        let gate = builder().store(store).build().await.unwrap();
        let (status, report) = answer(&gate).await;
        assert_eq!((status, &report["degraded"]), (200, &json!(["store_misconfigured"])));
    }

    #[test]
    fn store_clock_is_blamed_unless_the_own_one_is_wrong() {
        let is_wrong = |ahead, own| is_store_clock_wrong(&[StoreWarning::Clock { ahead }], own);
        for own in [None, Some(0), Some(5), Some(-600)] {
            assert!(is_wrong(-600, own), "{own:?}");
        }
        assert!(!is_wrong(-600, Some(600)) && !is_wrong(300, Some(-290)));
        assert!(is_wrong(i64::MIN, Some(i64::MIN)));
        assert!(!is_store_clock_wrong(&[StoreWarning::Version { version: "5".into() }], None));
    }

    #[tokio::test(start_paused = true)]
    async fn pulls_that_all_fail_degrade() {
        let nowhere = Environment::custom("http://127.0.0.1:1".parse().unwrap());
        let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/v1-sha1.crt");
        let keys = SigningKeys::from_pem(std::fs::read(certificate).unwrap()).unwrap();
        let gate = TenantGate::builder(nowhere).any_audience().signing_keys(keys);
        let gate = gate.build().await.unwrap();
        gate.track([TenantId::new("Cust1").unwrap()]);
        let failed = || gate.health().pulls().unwrap().failed();
        harness::until("the first pull failed", async || failed() > 0).await;
        assert_eq!(answer(&gate).await.1["degraded"], json!([]), "{} failed", failed());
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(answer(&gate).await.1["degraded"], json!(["pulls_failing"]));
    }

    #[tokio::test]
    async fn last_fetch_of_keys_that_failed_degrades() {
        let gate = builder().key_url("http://127.0.0.1:1/keys".parse().unwrap());
        let gate = gate.build().await.unwrap();
        harness::until("a fetch failed", async || gate.keys().last_error().is_some()).await;
        let (status, report) = answer(&gate).await;
        assert_eq!((status, &report["degraded"]), (200, &json!(["keys_failing"])));
    }

    #[tokio::test]
    async fn gate_without_keys_or_shut_down_is_not_ready() {
        let environment = Environment::custom("http://127.0.0.1:1".parse().unwrap());
        let gate = TenantGate::builder(environment).any_audience().state_api(false);
        let gate = gate.build().await.unwrap();
        let (status, report) = answer(&gate).await;
        assert_eq!((status, &report["reasons"]), (503, &json!(["no_key"])));
        gate.clone().shutdown(Duration::ZERO).await;
        assert_eq!(answer(&gate).await.1["reasons"], json!(["no_key", "draining"]));
    }

    #[tokio::test]
    async fn one_environment_that_is_not_ready_is_named() {
        let ready = builder().build().await.unwrap();
        let environment = Environment::custom("http://127.0.0.1:1".parse().unwrap());
        let gate = TenantGate::builder(environment).any_audience().state_api(false);
        let gate = gate.build().await.unwrap();
        let served = Served::new(vec![ready, gate]).unwrap();
        let (status, report) = answer_of(served.clone()).await;
        assert_eq!((status, &report["reasons"]), (503, &json!(["no_key"])));
        assert_eq!(report["environments"]["production"]["ready"], true);
        assert_eq!(report["environments"]["127.0.0.1:1"]["reasons"], json!(["no_key"]));

        served.shutdown(Duration::ZERO).await;
    }
}
