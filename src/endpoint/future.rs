//! The answer to a call, from the first or the second try.

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
    retarget::Retarget,
    whereabouts::Whereabouts,
};
use crate::{environment::Origin, tenant_id::TenantId};

/// How long a misdirected call waits until it can be sent again.
const PATIENCE: Duration = Duration::from_secs(5);

pin_project! {
    /// The answer to a call through an [`Endpoint`](crate::endpoint::Endpoint).
    pub struct ResponseFuture<S, R>
    where
        S: Service<R>,
    {
        // The try under way. While none is, `asking` is.
        #[pin]
        call: Option<S::Future>,
        // What a second try takes; gone once it is made.
        second: Option<Second<S, R>>,
        asking: Option<Asking<S::Response>>,
    }
}

/// What a second try takes.
pub(super) struct Second<S, R> {
    /// A service to make it, not ready yet, and the request to send.
    pub(super) again: Option<(S, R)>,
    pub(super) tenant: TenantId,
    /// Where the tenant was when the first try was sent, if that was known.
    pub(super) sent_to: Option<Origin>,
    pub(super) mark: u64,
    pub(super) whereabouts: Arc<Whereabouts>,
}

/// A misdirected call that waits to be sent again.
struct Asking<T> {
    /// Ends when the look is over; `None` when there is none to wait for.
    look: Option<oneshot::Receiver<()>>,
    deadline: Pin<Box<Sleep>>,
    /// The 421, in case nothing comes of it.
    response: T,
}

impl<S: Service<R>, R> ResponseFuture<S, R> {
    pub(super) fn new(call: S::Future, second: Option<Second<S, R>>) -> Self {
        Self { call: Some(call), second, asking: None }
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
        loop {
            if let Some(call) = this.call.as_mut().as_pin_mut() {
                let response = ready!(call.poll(cx))?;
                let second = this.second.as_ref().filter(|_| is_misdirected(&response));
                let Some(second) = second else { return Poll::Ready(Ok(response)) };
                // It may hold a permit that the second try needs.
                this.call.set(None);
                let look = second.look();
                if second.again.is_none() {
                    return Poll::Ready(Ok(response));
                }
                let deadline = Box::pin(sleep(PATIENCE));
                *this.asking = Some(Asking { look, deadline, response });
            }
            let (Some(asking), Some(second)) = (this.asking.as_mut(), this.second.as_mut()) else {
                // Polled after it ended: there is nothing more to come.
                return Poll::Pending;
            };
            let next = match second.poll_call(asking, cx) {
                Poll::Ready(next) => next,
                Poll::Pending => {
                    ready!(asking.deadline.as_mut().poll(cx));
                    None
                }
            };
            *this.second = None;
            let asking = this.asking.take();
            match next {
                Some(call) => this.call.set(Some(call)),
                None => match asking {
                    Some(asking) => return Poll::Ready(Ok(asking.response)),
                    None => return Poll::Pending,
                },
            }
        }
    }
}

impl<S, R> Second<S, R>
where
    S: Service<R>,
    R: Retarget,
{
    /// Where the tenant is by now, if that is not where the first try went.
    fn elsewhere(&self) -> Option<Origin> {
        let origin = self.whereabouts.origin(&self.tenant)?;
        let went_there = match (&self.again, &self.sent_to) {
            (Some((_, request)), _) => request.goes_to(origin.scheme(), origin.authority()),
            (None, Some(sent_to)) => *sent_to == origin,
            // It went where its URL said, which nobody knows any more.
            (None, None) => true,
        };
        (!went_there).then_some(origin)
    }

    /// Has the tenant looked for, unless it is known by now to be elsewhere.
    fn look(&self) -> Option<oneshot::Receiver<()>> {
        if self.elsewhere().is_some() {
            return None;
        }
        self.whereabouts.misdirected(&self.tenant, self.mark)
    }

    /// The second try, once the look is over and the service ready; `None` when there is no point.
    fn poll_call(
        &mut self,
        asking: &mut Asking<S::Response>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<S::Future>> {
        if let Some(look) = &mut asking.look {
            // Dropped or sent, it is over either way.
            let _ = ready!(Pin::new(look).poll(cx));
            asking.look = None;
        }
        let Some(origin) = self.elsewhere() else { return Poll::Ready(None) };
        let Some((service, _)) = &mut self.again else { return Poll::Ready(None) };
        if ready!(service.poll_ready(cx)).is_err() {
            // The 421 says more about this call than the state of the service does.
            return Poll::Ready(None);
        }
        let Some((mut service, mut request)) = self.again.take() else {
            return Poll::Ready(None);
        };
        tracing::info!(tenant = %self.tenant, %origin, "a misdirected call is sent again");
        request.send_to(origin.scheme(), origin.authority());
        Poll::Ready(Some(service.call(request)))
    }
}

impl<S: Service<R>, R> fmt::Debug for ResponseFuture<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("endpoint::ResponseFuture").finish_non_exhaustive()
    }
}
