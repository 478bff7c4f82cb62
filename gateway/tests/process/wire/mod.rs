//! The gateway on the wire: raw peers on both sides of it.

mod framing;
mod http2;
pub(crate) mod peer;
mod reuse;
mod timeouts;
pub(crate) mod upstream;
