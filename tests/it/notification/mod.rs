//! The notification route: responses, bodies, senders, and what is logged.

mod adversarial;
mod bodies;
mod logs;
mod mounting;
mod responses;
mod slow_senders;
