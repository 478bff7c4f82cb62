//! Parameters of a request, whose faults are problems as all others are.

use axum::{
    extract::{FromRequestParts, Path, Query as AxumQuery},
    http::{StatusCode, request::Parts},
    response::Response,
};
use serde::de::DeserializeOwned;
use tower_superoffice::TenantId;

use crate::forward::problem;

/// The parameters in the query.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let parameters = AxumQuery::from_request_parts(parts, state).await;
        let AxumQuery(parameters) = parameters.map_err(|rejection| {
            problem(StatusCode::BAD_REQUEST, &format!("{}.", rejection.body_text()))
        })?;
        Ok(Self(parameters))
    }
}

/// The tenant in the path.
pub(super) struct Tenant(pub(super) TenantId);

impl<S: Send + Sync> FromRequestParts<S> for Tenant {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        // Fails where escapes make no text.
        let id = Path::<String>::from_request_parts(parts, state).await.ok();
        let tenant = id.and_then(|Path(id)| TenantId::new(id).ok());
        let no_tenant = || problem(StatusCode::BAD_REQUEST, "The path names no tenant.");
        tenant.map(Self).ok_or_else(no_tenant)
    }
}
