//! A gate that knows no SuperOffice: its tenants live on 127.0.0.1, and an operator closes them.

use http::Request;
use tower_superoffice::{Environment, TenantGate, TenantId};

pub(crate) async fn gate() -> TenantGate {
    let nowhere = Environment::custom("http://127.0.0.1:9".parse().unwrap());
    TenantGate::builder(nowhere).any_audience().build().await.unwrap()
}

/// A gate that has closed `Closed`, and nothing else.
pub(crate) async fn gate_with_closed() -> TenantGate {
    let gate = gate().await;
    gate.close(&tenant("Closed"), "test").await.unwrap();
    gate
}

pub(crate) fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

/// A call to the tenant `id`.
pub(crate) fn call<B>(id: &str, body: B) -> Request<B> {
    Request::get(format!("http://127.0.0.1/{id}/api/v1/Contact/1")).body(body).unwrap()
}
