//! Pulls: requests to SuperOffice's state API, so that lost notifications heal.
//!
//! A [`Schedule`] says how often they are made, and [`PullHealth`] how they are doing.

// - `schedule`: when a tenant is pulled next, a pure function.
// - `scheduler`: the calendar of pulls, on `queue`; `rate_limiter`: how fast they start.
// - `in_flight`: one pull per tenant, and the calls that wait for it.
// - `state_api`: the request, and `response`: its answer.
// - `stats`: what pulls brought, and how often they corrected a status.
// - `pulls`: the handle on all that, an observer of the tenants; `worker`: the task that pulls.

#[cfg(test)]
mod healing_tests;
mod in_flight;
mod pulls;
mod queue;
mod rate_limiter;
mod response;
mod schedule;
mod scheduler;
mod state_api;
mod stats;
mod worker;

pub use self::{pulls::PullHealth, schedule::Schedule, stats::Corrected};
pub(crate) use self::{pulls::Pulls, state_api::StateApi};
pub use crate::tenants::correction::Correction;
