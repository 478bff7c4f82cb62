//! Pulls: requests to SuperOffice's state API, which correct the status after a lost notification.
//!
//! [`Schedule`] sets how often they are made, and [`PullHealth`] has their numbers.

// - `schedule`: when a tenant is pulled next, a pure function.
// - `scheduler`: the calendar of pulls, on `queue`, with `lane` for requests and `ready` for the
//   order of those that are due; `rate_limiter`: how fast they start; `repeats`: second pulls.
// - `health`: their numbers.
// - `in_flight`: one pull per tenant, and the calls that wait for it; `recent`: the last of each
//   tenant.
// - `lease`: one pull per fleet; `error`: the errors of a requested pull.
// - `state_api`: the request, and `response`: its answer.
// - `stats`: the results of pulls, and the corrections of a status.
// - `pulls`: the handle on all that, an observer of the tenants; `worker`: the task that pulls.

#[cfg(test)]
mod count_tests;
mod error;
#[cfg(test)]
mod healing_tests;
mod health;
mod in_flight;
mod lane;
mod lease;
#[cfg(test)]
mod load_tests;
mod pulls;
mod queue;
mod rate_limiter;
mod ready;
mod recent;
mod repeats;
mod response;
mod schedule;
mod scheduler;
mod state_api;
mod stats;
mod worker;

pub use self::{
    error::{PullError, RefreshError},
    health::PullHealth,
    schedule::Schedule,
    stats::CorrectionSummary,
};
pub(crate) use self::{pulls::Pulls, state_api::StateApi};
pub use crate::tenants::correction::Correction;
