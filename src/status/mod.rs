//! The domain: the record of a tenant, and the status derived from it.
//!
//! A [`Record`] keeps the newest of each independent fact about a tenant, and [`Record::merge`]
//! joins two records. A [`TenantStatus`] is derived from a record: open, or closed for an
//! [`UnavailableReason`].

// Pure: no I/O, no clock, no lock. Everything else in the crate transports records.
//
// - `fact`: the independent facts (`notified`, `pulled`, `overrides`) and their order.
// - `record`: the newest of each fact, and `merge`.
// - `derive`: the status of a record.
// - `knowledge` and `history`: what one replica knows of a tenant's notifications and pulls by its
//   own monotonic clock; `stamp`: the part of it that a pull carries, which decides whether the
//   answer is settled; `repetition`: whether an answer is worth keeping.
// - `codec`: a record as bytes, for stores; `intern`: parts that many records share.
//
// Two rules hold everywhere. A record changes by `merge` alone. And no decision compares the wall
// clocks of two machines, or of one machine at two moments: wall time is displayed and ends
// overrides.

mod change_type;
mod codec;
pub(crate) mod derive;
pub(crate) mod fact;
pub(crate) mod foreign;
pub(crate) mod history;
pub(crate) mod intern;
pub(crate) mod knowledge;
pub(crate) mod mono;
pub(crate) mod notified;
pub(crate) mod overrides;
pub(crate) mod past;
pub(crate) mod pulled;
mod reason;
pub(crate) mod record;
pub(crate) mod repetition;
pub(crate) mod settle;
pub(crate) mod stamp;
pub(crate) mod state;
pub(crate) mod tenant_status;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod wall;

pub use self::{
    change_type::{ChangeType, ParseChangeTypeError},
    codec::DecodeError,
    reason::{Evidence, UnavailableReason},
    record::Record,
    state::State,
    tenant_status::TenantStatus,
};
pub use crate::tenant_id::InvalidTenantId;
