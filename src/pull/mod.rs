//! The pull side: asking the state API, so that lost notifications heal.
//!
//! - [`schedule`]: when to look at a tenant next, a pure function.
//! - [`queue`]: what to look at next, and [`pace`], how fast.
//! - [`answer`]: what the state API says, and [`state_api`], asking it.
//! - [`meter`]: how often it had to correct what the notifications said.
//! - [`desk`]: all of that under one lock; [`pulls`]: the gate's handle on it; [`worker`]: the
//!   task that makes the looks.

mod answer;
mod desk;
mod gate;
mod meter;
mod pace;
mod pulls;
mod queue;
mod schedule;
#[cfg(test)]
mod search;
mod state_api;
mod worker;

pub use self::{
    meter::{Corrected, Correction},
    pulls::PullHealth,
    schedule::Schedule,
};
pub(crate) use self::{
    pulls::{Pulls, Tenants},
    state_api::StateApi,
};
