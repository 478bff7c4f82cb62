//! The outbound side: calls to closed tenants are refused before they are sent.
//!
//! [`GuardLayer`], from [`TenantGate::guard_layer`](crate::TenantGate::guard_layer), wraps an HTTP
//! client in a [`Guard`]. A call to an open tenant goes through untouched; a call to a closed one
//! ends in [`GuardError::Unavailable`] and nothing of it is sent.

mod error;
mod future;
mod inbound;
mod layer;
mod problem;
mod require;
#[cfg(feature = "tower")]
mod retry;
mod service;
mod state;
#[cfg(feature = "metrics")]
mod tenant_counters;
mod unavailable;

#[cfg(feature = "tower")]
pub use self::retry::RetryOpen;
pub(crate) use self::state::GuardState;
pub use self::{
    error::GuardError,
    future::ResponseFuture,
    inbound::{Inbound, InboundFuture, InboundLayer},
    layer::GuardLayer,
    require::{RequireTenant, RequireTenantError, RequireTenantFuture, RequireTenantLayer},
    service::Guard,
    unavailable::TenantUnavailable,
};

pub use crate::key::{HeaderKey, InvalidPathPattern, KeyFn, PathKey};

#[cfg(test)]
mod tests;
