//! The notification route: responses, bodies, senders, and what is logged.

mod accepted;
mod adversarial;
mod bodies;
mod departing_senders;
mod login_tokens;
pub(crate) mod logs;
mod mounting;
mod receive;
mod responses;
mod slow_senders;
