//! The domain: what is known of a tenant, and the status derived from it.
//!
//! A [`Record`] keeps the newest of each independent fact about a tenant, and two records join with
//! [`Record::merge`]. A [`TenantStatus`] is what a record says: open, or closed for an
//! [`UnavailableReason`].

// Pure: no I/O, no clock, no lock. Everything else in the crate moves records about.

pub(crate) mod alike;
mod change_type;
pub(crate) mod derive;
mod encoding;
pub(crate) mod fact;
#[cfg(test)]
mod laws;
pub(crate) mod record;
pub(crate) mod state;
pub(crate) mod tenant_status;

pub use self::{
    change_type::ChangeType,
    encoding::DecodeError,
    record::Record,
    state::State,
    tenant_status::{Evidence, TenantStatus, UnavailableReason},
};
pub use crate::tenant_id::InvalidTenantId;
