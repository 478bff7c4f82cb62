//! x
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod body;
mod client;
mod clock;
mod directory;
mod environment;
mod guard;
mod json;
mod status;
mod tenant;

pub use self::{
    body::EmptyBody,
    directory::Outcome,
    environment::Environment,
    guard::{Guard, GuardError, GuardLayer, ResponseFuture, TenantKey, TenantUnavailable, UrlKey},
    status::{ChangeType, DecodeError, Evidence, Record, State, TenantStatus, UnavailableReason},
    tenant::{InvalidTenantId, TenantId},
};
