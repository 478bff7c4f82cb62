//! The outbound side: each call goes to the host that serves its tenant now.
//!
//! [`EndpointLayer`], from [`TenantGate::endpoint_layer`](crate::TenantGate::endpoint_layer), wraps
//! a guarded client in an [`Endpoint`]. It finds the host of each tenant, and repeats a call that
//! was answered with *421 Misdirected Request* at the host that serves the tenant now.

mod clone_request;
mod future;
mod has_status;
mod layer;
mod locate;
mod retarget;
mod routes;
#[cfg(test)]
mod routes_tests;
mod service;
mod symptom;

/// The atomics that the routes are built from. `tests/model` puts those of a model checker in their
/// place.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
}

pub(crate) use self::locate::{Locator, origin};
pub use self::{
    clone_request::{CloneBody, CloneEmpty, CloneRequest, CloneSmall, CloneWith, NoRetry},
    future::ResponseFuture,
    has_status::HasStatus,
    layer::EndpointLayer,
    retarget::Retarget,
    service::Endpoint,
};
pub use crate::environment::CustomEnvironment;
