//! Gates, tenants and requests.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::ServiceExt;
use tower_superoffice::{
    Environment, TenantGate, TenantGateBuilder, TenantId,
    notification::{EmptyBody, Refusal},
    simulator::Simulator,
    token::SigningKeys,
};

/// The tenant with this id.
pub fn tenant(id: impl AsRef<str>) -> TenantId {
    TenantId::new(id.as_ref()).expect("a valid tenant id")
}

/// The tenant `Cust{number}`.
pub fn tenant_number(number: usize) -> TenantId {
    tenant(format!("Cust{number}"))
}

/// Builds a gate of `simulator`'s environment, with its key at hand so that none is fetched.
pub fn gate_builder(simulator: &Simulator) -> TenantGateBuilder {
    gate_builder_of(simulator.environment(), simulator)
}

/// Builds a gate of `environment` that trusts `simulator`'s key.
pub fn gate_builder_of(environment: Environment, simulator: &Simulator) -> TenantGateBuilder {
    TenantGate::builder(environment)
        .audience(simulator.application_id())
        .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).expect("a certificate"))
}

/// A gate without a SuperOffice: its tenants live on 127.0.0.1, and only an operator closes them.
pub async fn operator_gate() -> TenantGate {
    let nowhere = Environment::custom("http://127.0.0.1:9".parse().expect("a URL"));
    TenantGate::builder(nowhere).any_audience().build().await.expect("a gate")
}

/// An [`operator_gate`] that has closed the tenant `Closed`, and nothing else.
pub async fn gate_with_closed() -> TenantGate {
    let gate = operator_gate().await;
    gate.close(&tenant("Closed"), "test").await.expect("no store can fail");
    gate
}

/// A call to the tenant `id` of an [`operator_gate`].
pub fn call_to<B>(id: &str, body: B) -> Request<B> {
    Request::get(format!("http://127.0.0.1/{id}/api/v1/Contact/1")).body(body).expect("a request")
}

/// Posts `body` to the gate's notification service.
pub async fn post(gate: &TenantGate, body: impl Into<Bytes>) -> Response<EmptyBody> {
    let request = Request::post("/").body(Full::new(body.into())).expect("a request");
    match gate.notification_service().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The typed reason why a notification was refused.
pub fn refusal(response: &Response<EmptyBody>) -> Option<Refusal> {
    response.extensions().get().copied()
}
