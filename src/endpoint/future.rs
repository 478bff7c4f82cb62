//! The future of a call: its response, after one retry when it was misdirected.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    sync::oneshot,
    time::{Sleep, sleep},
};
use tower_service::Service;

use super::{
    has_status::{HasStatus, is_misdirected},
    locate::{Locating, Locator, SentTo},
    retarget::Retarget,
    service::retarget,
    symptom::is_symptom,
};
use crate::{environment::Origin, tenant_id::TenantId};

/// The longest wait of a call for the host of its tenant, before it is sent, and before it is
/// repeated.
const MAX_WAIT: Duration = Duration::from_secs(5);

pin_project! {
    /// The response to a call through an [`Endpoint`](super::Endpoint).
    pub struct ResponseFuture<S, R>
    where
        S: Service<R>,
    {
        // The call under way. While there is none, `unsent` or `awaiting` is set.
        #[pin]
        call: Option<S::Future>,
        // A call that waits for the host of its tenant.
        unsent: Option<Box<Unsent<S, R>>>,
        // The means of a retry; none once it is made.
        retry: Option<Retry<S, R>>,
        awaiting: Option<Box<AwaitingPull<S::Response>>>,
    }
}

/// A call that is sent when the host of its tenant is known, or the wait for it is over.
struct Unsent<S, R> {
    /// Ready to be called.
    service: S,
    request: R,
    locating: Locating,
    deadline: Pin<Box<Sleep>>,
}

/// The means of a retry.
pub(super) struct Retry<S, R> {
    /// The service to call, not ready yet, and the request to send.
    pub(super) call: Option<Box<(S, R)>>,
    pub(super) tenant: TenantId,
    /// The tenant's origin when the call was sent, if it was known.
    pub(super) sent_to: Option<SentTo>,
    /// The latest pull when the call was sent.
    pub(super) pull_seq: u64,
    pub(super) locator: Arc<Locator>,
}

/// A misdirected call that waits for a pull to name another origin.
struct AwaitingPull<T> {
    /// Completes with the pull; `None` when there is none to wait for.
    pull: Option<oneshot::Receiver<()>>,
    deadline: Pin<Box<Sleep>>,
    /// The 421, which is returned if the call is not repeated.
    response: T,
}

impl<S: Service<R>, R> ResponseFuture<S, R> {
    #[inline]
    pub(super) fn new(call: S::Future, retry: Option<Retry<S, R>>) -> Self {
        Self { call: Some(call), unsent: None, retry, awaiting: None }
    }

    /// Creates the future of a call that waits for the host of its tenant first. `service` is
    /// ready.
    pub(super) fn located(service: S, request: R, locating: Locating, retry: Retry<S, R>) -> Self {
        let deadline = Box::pin(sleep(MAX_WAIT));
        let unsent = Some(Box::new(Unsent { service, request, locating, deadline }));
        Self { call: None, unsent, retry: Some(retry), awaiting: None }
    }
}

impl<S, R> Future for ResponseFuture<S, R>
where
    S: Service<R>,
    S::Response: HasStatus,
    R: Retarget,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let (Some(unsent), Some(retry)) = (this.unsent.as_mut(), this.retry.as_mut()) {
            if Pin::new(&mut unsent.locating.pull).poll(cx).is_pending() {
                ready!(unsent.deadline.as_mut().poll(cx));
            }
            // Read before the host, as for a call that is sent at once.
            retry.pull_seq = retry.locator.pull_seq();
            let origin = retry.locator.origin(&retry.tenant);
            if let Some(unsent) = this.unsent.take() {
                let Unsent { mut service, mut request, .. } = *unsent;
                if let Some(origin) = &origin {
                    retarget(&mut request, origin);
                    if let Some(call) = &mut retry.call {
                        retarget(&mut call.1, origin);
                    }
                }
                retry.sent_to = origin.map(SentTo::Origin);
                this.call.set(Some(service.call(request)));
            }
        }
        loop {
            if let Some(call) = this.call.as_mut().as_pin_mut() {
                let result = ready!(call.poll(cx));
                let Some(retry) = this.retry.as_ref() else { return Poll::Ready(result) };
                // By reference first: nearly every result is passed on where it lies.
                if !result.as_ref().is_ok_and(is_misdirected) {
                    retry.note(&result);
                    return Poll::Ready(result);
                }
                let Ok(response) = result else { return Poll::Ready(result) };
                // It may hold a permit that the retry needs.
                this.call.set(None);
                let pull = retry.request_pull();
                if retry.call.is_none() {
                    return Poll::Ready(Ok(response));
                }
                let deadline = Box::pin(sleep(MAX_WAIT));
                *this.awaiting = Some(Box::new(AwaitingPull { pull, deadline, response }));
            }
            let (Some(awaiting), Some(retry)) = (this.awaiting.as_mut(), this.retry.as_mut())
            else {
                // Polled after completion: there is nothing left to return.
                return Poll::Pending;
            };
            let next = match retry.poll_call(awaiting, cx) {
                Poll::Ready(next) => next,
                Poll::Pending => {
                    ready!(awaiting.deadline.as_mut().poll(cx));
                    None
                }
            };
            *this.retry = None;
            let awaiting = this.awaiting.take();
            match next {
                Some(call) => this.call.set(Some(call)),
                None => match awaiting {
                    Some(awaiting) => return Poll::Ready(Ok(awaiting.response)),
                    None => return Poll::Pending,
                },
            }
        }
    }
}

impl<S, R> Retry<S, R>
where
    S: Service<R>,
    R: Retarget,
{
    /// Returns the tenant's origin if it is known by now and differs from where the call went.
    fn new_origin(&self) -> Option<Arc<Origin>> {
        let origin = self.locator.origin(&self.tenant)?;
        let went_there = match (&self.call, &self.sent_to) {
            (Some(call), _) => call.1.goes_to(origin.scheme(), origin.authority()),
            (None, Some(sent_to)) => self.locator.sent_to(sent_to) == Some(&origin),
            // It went where its URL said, which is gone with the request.
            (None, None) => true,
        };
        (!went_there).then_some(origin)
    }

    /// Notes a result that suggests that the tenant is closed.
    fn note<E>(&self, result: &Result<S::Response, E>)
    where
        S::Response: HasStatus,
    {
        let suspect = match result {
            Ok(response) => is_symptom(response, &self.tenant, self.locator.environment()),
            // A refusal is one too, and no symptom: the tenant is not open.
            Err(_) => true,
        };
        if suspect {
            self.locator.symptom(&self.tenant);
        }
    }

    /// Requests a pull of the tenant, unless another origin is known by now.
    fn request_pull(&self) -> Option<oneshot::Receiver<()>> {
        if self.new_origin().is_some() {
            return None;
        }
        self.locator.misdirected(&self.tenant, self.pull_seq)
    }

    /// Makes the call again, once the pull is complete and the service ready; `None` when there is
    /// no other origin to send it to.
    fn poll_call(
        &mut self,
        awaiting: &mut AwaitingPull<S::Response>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<S::Future>> {
        if let Some(pull) = &mut awaiting.pull {
            // Completed or cancelled, there is no more to wait for.
            let _ = ready!(Pin::new(pull).poll(cx));
            awaiting.pull = None;
        }
        let Some(origin) = self.new_origin() else { return Poll::Ready(None) };
        let Some(call) = &mut self.call else { return Poll::Ready(None) };
        if ready!(call.0.poll_ready(cx)).is_err() {
            // The 421 says more about this call than the state of the service does.
            return Poll::Ready(None);
        }
        let Some(call) = self.call.take() else { return Poll::Ready(None) };
        let (mut service, mut request) = *call;
        crate::log::info!(tenant = %self.tenant, %origin, "misdirected call repeated");
        request.send_to(origin.scheme(), origin.authority());
        Poll::Ready(Some(service.call(request)))
    }
}

impl<S: Service<R>, R> fmt::Debug for ResponseFuture<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("endpoint::ResponseFuture").finish_non_exhaustive()
    }
}
