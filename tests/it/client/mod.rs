//! The ready-made pieces around a client.

mod layer;
mod reasons;
mod reqwest;
mod retry;
mod wait;
