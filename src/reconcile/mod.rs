//! The pull side: asking the state API, so that lost notifications heal.
//!
//! - [`schedule`]: when to look at a tenant, a pure function.
//! - [`queue`]: what to look at next.
//! - [`pace`]: how fast.
//! - [`answer`]: what the state API says.
//! - [`meter`]: how often it had to correct what the notifications said.

pub(crate) mod answer;
pub(crate) mod meter;
mod pace;
mod queue;
mod schedule;

pub use self::schedule::Schedule;
