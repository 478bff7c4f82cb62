//! x
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod body;
mod clock;
mod directory;
mod environment;
mod status;
pub mod store;
mod tenant;

pub use self::{
    body::EmptyBody,
    environment::Environment,
    status::{ChangeType, DecodeError, Evidence, Record, State, TenantStatus, UnavailableReason},
    tenant::{InvalidTenantId, TenantId},
};
