//! The ready-made pieces around a client.

mod layer;
mod reqwest;
mod retry;
mod wait;
