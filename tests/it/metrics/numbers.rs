//! Each number follows what happened.

use std::collections::{BTreeMap, BTreeSet};

use harness::{TestEnv, call_to, gate_builder_of, operator_gate, post, tenant, until};
use http::StatusCode;
use tokio::time::{Duration, sleep};
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{
    ChangeType, Environment, TenantGate, TenantGates,
    metrics::descriptions,
    simulator::{Fault, Simulator},
    store::MemoryStore,
};

use super::{Scrapes, without_environment};

const MINUTE: Duration = Duration::from_secs(60);

/// Names of `numbers`, without what Prometheus appends to those of summaries.
fn names(numbers: &BTreeMap<String, f64>) -> BTreeSet<String> {
    let name = |series: &String| {
        let name = series.split('{').next().unwrap();
        let base = name.strip_suffix("_sum").or_else(|| name.strip_suffix("_count"));
        base.unwrap_or(name).to_owned()
    };
    numbers.keys().map(name).collect()
}

#[tokio::test(start_paused = true)]
async fn every_documented_metric_is_recorded_and_no_other() {
    let store = MemoryStore::new();
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(store)).await;
    let scrapes = Scrapes::new();
    scrapes.of(&env.gate);
    env.simulator.suspend(&env.tenant).await.unwrap();
    sleep(10 * MINUTE).await;
    env.simulator.resume(&env.tenant).without_notification();
    env.gate.available(&env.tenant).await.unwrap();
    let documented = descriptions().map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>();
    let mut recorded = names(&scrapes.of(&env.gate));
    // Keys that were given have no age.
    assert!(recorded.insert("superoffice_keys_age_seconds".to_owned()));
    assert_eq!(recorded, documented);
}

#[tokio::test]
async fn age_of_keys_and_clock_offset_are_known_after_a_fetch() {
    let simulator = Simulator::start().await.unwrap();
    let builder = TenantGate::builder(simulator.environment()).any_audience();
    let (gate, scrapes) = (builder.build().await.unwrap(), Scrapes::new());
    until!(scrapes.of(&gate)["superoffice_keys"] > 0.0);
    let numbers = scrapes.of(&gate);
    assert!((0.0..60.0).contains(&numbers["superoffice_keys_age_seconds"]));
    assert!((-5.0..5.0).contains(&numbers["superoffice_clock_offset_seconds"]));
}

#[tokio::test(start_paused = true)]
async fn lost_resume_shows_in_the_numbers() {
    let env = TestEnv::on_tokio_clock().await;
    let scrapes = Scrapes::new();
    let before = scrapes.of(&env.gate);
    assert_eq!(before["superoffice_tenants_closed{reason=\"suspended\"}"], 0.0);
    assert!(!before.contains_key("superoffice_notification_last_timestamp_seconds"));

    env.simulator.suspend(&env.tenant).await.unwrap();
    sleep(10 * MINUTE).await;
    let closed = scrapes.of(&env.gate);
    assert_eq!(closed["superoffice_tenants"], 1.0);
    assert_eq!(closed["superoffice_tenants_closed{reason=\"suspended\"}"], 1.0);
    assert_eq!(closed["superoffice_tenants_closed{reason=\"upgrading\"}"], 0.0);
    let longest = closed["superoffice_tenants_closed_longest_seconds{reason=\"suspended\"}"];
    assert!((599.0..602.0).contains(&longest), "{longest}");
    assert_eq!(closed["superoffice_notifications_total{outcome=\"applied\"}"], 1.0);
    let last = closed["superoffice_notification_last_timestamp_seconds"];
    assert!((last - closed["superoffice_start_timestamp_seconds"]).abs() < 2.0, "{last}");
    let owed = "superoffice_pulls_total{trigger=\"owed\",outcome=\"answered\"}";
    assert_eq!(closed[owed], 1.0);

    env.simulator.resume(&env.tenant).without_notification();
    env.gate.available(&env.tenant).await.unwrap();
    let open = scrapes.of(&env.gate);
    assert_eq!(open["superoffice_tenants_closed{reason=\"suspended\"}"], 0.0);
    assert_eq!(open["superoffice_tenants_closed_longest_seconds{reason=\"suspended\"}"], 0.0);
    assert_eq!(open["superoffice_corrections_total{missed=\"Resume\"}"], 1.0);
    assert_eq!(open["superoffice_corrections_total{missed=\"none\"}"], 0.0);
    let wrong = open["superoffice_correction_wrong_seconds_sum{missed=\"Resume\"}"];
    assert!((1.0..900.0).contains(&wrong), "{wrong}");
    let pulls = env.pulls();
    let answered = pulls.answered() as f64;
    let counted = open.iter().filter(|(series, _)| {
        series.starts_with("superoffice_pulls_total{") && series.contains("\"answered\"")
    });
    assert_eq!(counted.map(|(_, count)| count).sum::<f64>(), answered);
    assert_eq!(open["superoffice_pull_duration_seconds_count"], answered);
    assert_eq!(open["superoffice_notification_duration_seconds_count"], 1.0);
    // A scrape more changes nothing.
    assert_eq!(scrapes.of(&env.gate)[owed], 1.0);
}

#[tokio::test(start_paused = true)]
async fn refusals_and_failed_pulls_are_counted_by_kind() {
    let env = TestEnv::on_tokio_clock().await;
    let scrapes = Scrapes::new();
    scrapes.of(&env.gate);
    assert_eq!(env.post("{").await.status(), StatusCode::BAD_REQUEST);
    let forged = env.notification(ChangeType::Suspend).forged().body();
    assert_eq!(env.post(forged.clone()).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(env.post(forged).await.status(), StatusCode::UNAUTHORIZED);
    env.simulator.state_api(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR));
    env.gate.refresh(&env.tenant).await.unwrap_err();

    let numbers = scrapes.of(&env.gate);
    let refused = numbers.iter().filter(|(series, count)| {
        series.starts_with("superoffice_notifications_refused_total") && **count > 0.0
    });
    let refused: Vec<_> = refused.map(|(series, count)| (series.as_str(), *count)).collect();
    let kind = |kind| format!("superoffice_notifications_refused_total{{refusal=\"{kind}\"}}");
    let (malformed, signature) = (kind("malformed"), kind("token_signature"));
    assert_eq!(refused, [(malformed.as_str(), 1.0), (signature.as_str(), 2.0)]);
    let failed = "superoffice_pulls_total{trigger=\"requested\",outcome=\"failed\"}";
    assert_eq!(numbers[failed], 1.0);
    assert_eq!(numbers["superoffice_notification_duration_seconds_count"], 0.0);
}

#[tokio::test]
async fn calls_of_refusing_and_observing_guards_are_counted_apart() {
    let (gate, scrapes) = (operator_gate().await, Scrapes::new());
    gate.close(&tenant("Cust1"), "test").await.unwrap();
    let client = service_fn(async |_: http::Request<()>| Ok::<_, std::convert::Infallible>(()));
    let guard = gate.guard_layer().layer(client);
    let observing = gate.guard_layer().observe_only().layer(client);
    for _ in 0..3 {
        guard.clone().oneshot(call_to("Cust1", ())).await.unwrap_err();
    }
    observing.oneshot(call_to("Cust1", ())).await.unwrap();
    guard.oneshot(call_to("Cust2", ())).await.unwrap();
    let numbers = scrapes.of(&gate);
    assert_eq!(numbers["superoffice_calls_refused_total{reason=\"operator\"}"], 3.0);
    assert_eq!(numbers["superoffice_calls_observed_total{reason=\"operator\"}"], 1.0);
    assert_eq!(numbers["superoffice_calls_refused_total{reason=\"suspended\"}"], 0.0);
    let closed = "superoffice_tenants_closed{reason=\"operator\"}";
    assert_eq!(numbers[closed], 1.0);
}

#[tokio::test]
async fn gates_of_several_environments_share_names_and_no_series() {
    let env = TestEnv::new().await;
    let other = harness::simulator_at_own_host().await;
    let stage = gate_builder_of(Environment::Stage, &other).state_api(false).build().await;
    let gates = TenantGates::new([env.gate.clone(), stage.unwrap()]).unwrap();
    let scrapes = Scrapes::new();
    gates.receive("{").await.unwrap_err();
    post(&env.gate, "{").await;
    metrics::with_local_recorder(&scrapes.recorder, || gates.record_metrics());
    let text = scrapes.handle.render();
    let refused = text.lines().filter(|line| line.contains("refusal=\"malformed\""));
    let mut counts: Vec<_> = refused
        .map(|line| {
            let environment = line.split('"').nth(1).unwrap();
            (environment.to_owned(), line.ends_with(" 1"))
        })
        .collect();
    counts.sort_by_key(|(environment, _)| environment != "stage");
    let own = env.gate.environment().name();
    assert_eq!(counts.len(), 3, "{counts:?}");
    for (environment, refused_one) in counts {
        assert_eq!(refused_one, environment == "undecided" || environment == own, "{environment}");
    }
    assert_eq!(without_environment("a{environment=\"b\",c=\"d\"}"), "a{c=\"d\"}");
}

#[tokio::test]
async fn durations_before_the_first_recording_are_not_kept() {
    let env = TestEnv::new().await;
    env.simulator.suspend(&env.tenant).await.unwrap();
    let scrapes = Scrapes::new();
    let first = scrapes.of(&env.gate);
    assert_eq!(first["superoffice_notifications_total{outcome=\"applied\"}"], 1.0);
    assert_eq!(first["superoffice_notification_duration_seconds_count"], 0.0);
    env.simulator.resume(&env.tenant).await.unwrap();
    assert_eq!(scrapes.read()["superoffice_notification_duration_seconds_count"], 1.0);
}
