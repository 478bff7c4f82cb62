//! The tenants in memory: the registry of their records, and those who follow it.
//!
//! - [`registry`]: the records, and beside each what the hot path needs of it.
//! - [`events`]: what happens to tenants, as a stream.
//! - [`waiters`]: waiting until a tenant opens.
//! - [`overrides`]: operators' orders that end by themselves.

pub(crate) mod events;
pub(crate) mod overrides;
pub(crate) mod registry;
pub(crate) mod waiters;
