//! A key made of a function.

use std::fmt;

use super::TenantKey;
use crate::tenant_id::TenantId;

/// A [`TenantKey`] that finds the tenant of a request with a function.
///
/// [`GuardLayer::key_fn`](crate::GuardLayer::key_fn) and
/// [`EndpointLayer::key_fn`](crate::EndpointLayer::key_fn) make one.
#[derive(Clone, Copy)]
pub struct KeyFn<F> {
    tenant: F,
}

impl<F> KeyFn<F> {
    /// Creates a key that calls `tenant` with each request.
    pub fn new(tenant: F) -> Self {
        Self { tenant }
    }
}

impl<F, R> TenantKey<R> for KeyFn<F>
where
    F: Fn(&R) -> Option<TenantId>,
{
    #[inline]
    fn tenant(&self, request: &R) -> Option<TenantId> {
        (self.tenant)(request)
    }
}

impl<F> fmt::Debug for KeyFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFn")
    }
}
