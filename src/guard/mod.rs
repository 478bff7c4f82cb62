//! The outbound side: calls to closed tenants are refused before they leave.
//!
//! - [`layer`]: what users configure, and [`service`] and [`future`], what runs per call.
//! - [`gatekeeper`]: the part of the gate that every guard shares.
//! - [`key`]: which tenant a request is for, from its host and its [`path`] ([`exact`] when the path
//!   is not a plain one).
//! - [`error`] and [`unavailable`]: what a refused caller gets.

mod error;
mod exact;
mod future;
mod gatekeeper;
mod key;
mod layer;
mod path;
mod service;
mod unavailable;

#[cfg(any(test, fuzzing))]
pub(crate) use self::exact::tenant_in as exact_tenant_in;
pub(crate) use self::gatekeeper::Gatekeeper;
pub use self::{
    error::GuardError,
    future::ResponseFuture,
    key::{TenantKey, UrlKey},
    layer::GuardLayer,
    service::Guard,
    unavailable::TenantUnavailable,
};

#[cfg(test)]
mod tests;
