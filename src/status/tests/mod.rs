//! Tests of the algebra that are independent of the code they check.
//!
//! - [`rules`]: the status rules, held against a second reading of them, [`model`].
//! - [`exhaustive`]: all that can happen in small worlds of two replicas.
//! - [`delivery`]: notifications that are reordered, repeated and replayed.
//! - [`faults`]: faults that were seen, each by name.
//! - [`merge`]: the laws of the join.
//! - [`codec`]: records as bytes.
//! - [`knowledge`]: settling and repetitions, by the monotonic clock.

mod codec;
mod delivery;
mod exhaustive;
mod faults;
mod knowledge;
mod merge;
mod model;
mod replica;
mod rules;
pub(crate) mod strategies;
mod world;
