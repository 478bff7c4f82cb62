//! A retry policy that leaves closed tenants alone.

use std::error::Error;

use tower::retry::Policy;

use super::{GuardError, TenantUnavailable};

/// A [`Policy`] that never retries a call because its tenant is closed, and is `P` otherwise.
///
/// For errors that are a [`GuardError`] or a `BoxError` around one.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_superoffice::guard::RetryOpen;
///
/// # fn of<P: Clone>(gate: tower_superoffice::TenantGate, client: reqwest::Client, attempts: P) {
/// let client = ServiceBuilder::new()
///     .retry(RetryOpen::new(attempts))
///     .layer(gate.client_layer())
///     .service(client);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RetryOpen<P> {
    policy: P,
}

impl<P> RetryOpen<P> {
    /// Creates a policy that leaves every other result to `policy`.
    pub fn new(policy: P) -> Self {
        Self { policy }
    }
}

impl<P, Req, Res, E> Policy<Req, Res, GuardError<E>> for RetryOpen<P>
where
    P: Policy<Req, Res, GuardError<E>>,
{
    type Future = P::Future;

    fn retry(
        &mut self,
        request: &mut Req,
        result: &mut Result<Res, GuardError<E>>,
    ) -> Option<P::Future> {
        match result {
            Err(GuardError::Unavailable(_)) => None,
            _ => self.policy.retry(request, result),
        }
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        self.policy.clone_request(request)
    }
}

impl<P, Req, Res> Policy<Req, Res, Box<dyn Error + Send + Sync>> for RetryOpen<P>
where
    P: Policy<Req, Res, Box<dyn Error + Send + Sync>>,
{
    type Future = P::Future;

    fn retry(
        &mut self,
        request: &mut Req,
        result: &mut Result<Res, Box<dyn Error + Send + Sync>>,
    ) -> Option<P::Future> {
        match result {
            Err(error) if TenantUnavailable::find(&**error).is_some() => None,
            _ => self.policy.retry(request, result),
        }
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        self.policy.clone_request(request)
    }
}
