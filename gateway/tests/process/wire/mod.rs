//! The gateway on the wire: raw peers on both sides of it.

mod framing;
mod http2;
mod peer;
mod reuse;
mod timeouts;
mod upstream;
