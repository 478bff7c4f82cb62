//! Pulls: requests to SuperOffice's state API, so that lost notifications heal.
//!
//! A [`Schedule`] says how often they are made, and [`PullHealth`] how they are doing.

mod answer;
mod desk;
mod meter;
mod pace;
mod pulls;
mod queue;
mod schedule;
#[cfg(test)]
mod search;
mod state_api;
mod worker;

pub use self::{meter::Corrected, pulls::PullHealth, schedule::Schedule};
pub(crate) use self::{pulls::Pulls, state_api::StateApi};
pub use crate::tenants::correction::Correction;
