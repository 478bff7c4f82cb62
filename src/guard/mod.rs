//! The outbound side: calls to closed tenants are refused before they leave.
//!
//! - [`layer`]: what users configure, and [`service`] and [`future`], what runs per call.
//! - [`state`]: the part of the gate that every guard shares.
//! - [`error`] and [`unavailable`]: what a refused caller gets.

mod error;
mod future;
mod layer;
mod service;
mod state;
mod unavailable;

pub(crate) use self::state::GuardState;
pub use self::{
    error::GuardError, future::ResponseFuture, layer::GuardLayer, service::Guard,
    unavailable::TenantUnavailable,
};

#[cfg(test)]
mod tests;
