//! The gateway on the wire: raw peers on both sides of it.

mod browsers;
mod early;
mod framing;
mod hosts;
mod http2;
mod loops;
mod methods;
pub(crate) mod peer;
mod reuse;
mod timeouts;
pub(crate) mod upstream;
