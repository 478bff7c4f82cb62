//! Following a tenant to the host that serves it.
//!
//! - [`layer`]: what users configure, and [`service`] and [`future`], what runs per call.
//! - [`replay`]: which requests can be sent a second time.
//! - [`whereabouts`]: where a tenant is.
//! - [`target`]: the two kinds of requests that are followed, `http`'s and `reqwest`'s.

mod future;
mod layer;
mod replay;
mod service;
mod target;
mod whereabouts;

pub use self::{
    future::ResponseFuture,
    layer::EndpointLayer,
    replay::{NoReplay, Replay, ReplayCloned, ReplayEmpty, ReplayWith},
    service::Endpoint,
};
