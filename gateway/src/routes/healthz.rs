//! Whether the gateway is in order.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tower_superoffice::TenantGate;

/// Answers 200, or 503 with the names of the background tasks that are down.
pub(super) async fn healthz(State(gate): State<TenantGate>) -> Response {
    let health = gate.health();
    let tasks = health.tasks();
    let down: Vec<_> = tasks.iter().filter(|task| task.is_down()).map(|task| task.name()).collect();
    if down.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("tasks down: {}\n", down.join(", "))).into_response()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::{Duration, SystemTime},
    };

    use http_body_util::BodyExt;
    use tower_superoffice::{Environment, TenantId, token::SigningKeys};

    use super::*;

    async fn answer(gate: &TenantGate) -> (u16, String) {
        let response = healthz(State(gate.clone())).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn task_that_is_down_is_named_until_it_is_back() {
        let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/v1-sha1.crt");
        let keys = SigningKeys::from_pem(std::fs::read(certificate).unwrap()).unwrap();
        let panics = Arc::new(AtomicBool::new(false));
        let clock_panics = Arc::clone(&panics);
        let gate = TenantGate::builder(Environment::Production)
            .any_audience()
            .signing_keys(keys)
            .state_api(false)
            .clock(move || {
                assert!(!clock_panics.load(Ordering::Relaxed), "no time can be had");
                SystemTime::now()
            })
            .build()
            .await
            .unwrap();
        let hour = Duration::from_secs(3600);
        let tenant = TenantId::new("Cust1").unwrap();
        gate.close_until(&tenant, "", SystemTime::now() + hour).await.unwrap();
        assert_eq!(answer(&gate).await, (200, "ok\n".to_owned()));

        panics.store(true, Ordering::Relaxed);
        tokio::time::sleep(hour).await;
        assert_eq!(answer(&gate).await, (503, "tasks down: override_expiry\n".to_owned()));

        panics.store(false, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(answer(&gate).await, (200, "ok\n".to_owned()));
    }
}
