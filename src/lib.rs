//! x
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod environment;
mod status;
mod tenant;

pub use self::{
    environment::Environment,
    status::{ChangeType, DecodeError, Evidence, Record, State, TenantStatus, UnavailableReason},
    tenant::{InvalidTenantId, TenantId},
};
