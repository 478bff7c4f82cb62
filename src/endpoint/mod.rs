//! The outbound side: each call goes to the host that serves its tenant now.
//!
//! [`EndpointLayer`], from [`TenantGate::endpoint_layer`](crate::TenantGate::endpoint_layer), wraps a
//! guarded client in an [`Endpoint`]. It rewrites the host of calls to tenants that moved, and repeats
//! a call that was answered with *421 Misdirected Request* where the tenant lives now.

mod future;
mod has_status;
mod layer;
mod replay;
mod retarget;
mod service;
mod whereabouts;

pub(crate) use self::whereabouts::Whereabouts;
pub use self::{
    future::ResponseFuture,
    has_status::HasStatus,
    layer::EndpointLayer,
    replay::{NoReplay, Replay, ReplayCloned, ReplayEmpty, ReplayWith},
    retarget::Retarget,
    service::Endpoint,
};
