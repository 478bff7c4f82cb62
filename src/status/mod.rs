//! The domain: facts about a tenant, the record that joins them, and the status derived from it.
//!
//! Pure: no I/O, no clock, no lock. Everything else in the crate moves records about.
//!
//! - [`fact`]: what can be known, and which of two facts is the newer.
//! - [`record`]: the newest of each fact, and `merge`.
//! - [`derive`]: what a record says.
//! - [`encoding`]: a record as bytes, for stores.
//! - [`alike`]: what many records have alike, kept once.

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
