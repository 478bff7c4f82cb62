//! Tenants as labels: only where `tenant_labels` is set, and never more than its number.

use harness::{call_to, tenant_number};
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{Environment, TenantGate};

use super::Scrapes;

async fn refused(max: Option<usize>) -> Vec<(String, f64)> {
    let nowhere = Environment::custom("http://127.0.0.1:9".parse().unwrap());
    let builder = TenantGate::builder(nowhere).any_audience();
    let builder = max.into_iter().fold(builder, |builder, max| builder.tenant_labels(max));
    let gate = builder.build().await.unwrap();
    let client = service_fn(async |_: http::Request<()>| Ok::<_, std::convert::Infallible>(()));
    let guard = gate.guard_layer().layer(client);
    let scrapes = Scrapes::new();
    for number in [1, 2, 3, 4, 1] {
        gate.close(&tenant_number(number), "test").await.unwrap();
        let call = call_to(&format!("cust{number}"), ());
        guard.clone().oneshot(call).await.unwrap_err();
        scrapes.of(&gate);
    }
    let numbers = scrapes.of(&gate).into_iter();
    let refused = |series: &str| series.starts_with("superoffice_calls_refused_total");
    numbers.filter(|(series, count)| refused(series) && *count > 0.0).collect()
}

#[tokio::test]
async fn tenants_are_no_label_by_default() {
    let all = "superoffice_calls_refused_total{reason=\"operator\"}".to_owned();
    assert_eq!(refused(None).await, [(all, 5.0)]);
}

#[tokio::test]
async fn tenants_beyond_the_bound_share_a_label() {
    let series = |tenant| {
        format!("superoffice_calls_refused_total{{reason=\"operator\",tenant=\"{tenant}\"}}")
    };
    let counts = [("cust1", 2.0), ("cust2", 1.0), ("other", 2.0)];
    let expected = counts.map(|(tenant, count)| (series(tenant), count));
    assert_eq!(refused(Some(2)).await, expected);
    assert_eq!(refused(Some(0)).await, [(series("other"), 5.0)]);
}
