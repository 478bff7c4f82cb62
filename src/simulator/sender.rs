//! Delivers notifications to the receiver under test.

use std::{convert::Infallible, fmt, pin::Pin, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower_service::Service;

use super::{Notification, SimulatorBody, error::NotifyError};

/// Time-out of a receiver's answer.
const DEADLINE: Duration = Duration::from_secs(30);

type Answer = Pin<Box<dyn Future<Output = Result<StatusCode, NotifyError>> + Send>>;

/// The destination of notifications.
#[derive(Clone)]
pub(super) struct Receiver {
    url: Uri,
    post: Arc<dyn Fn(Request<SimulatorBody>) -> Answer + Send + Sync>,
}

impl Receiver {
    /// Makes a receiver behind a URL.
    pub(super) fn from_url(url: Uri) -> Self {
        let client: Client<HttpConnector, SimulatorBody> =
            Client::builder(TokioExecutor::new()).build_http();
        let post = move |request| -> Answer {
            let answer = client.request(request);
            Box::pin(async move {
                let answer = answer.await.map_err(|error| NotifyError::Failed(error.into()))?;
                Ok(answer.status())
            })
        };
        Self { url, post: Arc::new(post) }
    }

    /// Makes a receiver in this process.
    pub(super) fn from_service<S, B>(path: Uri, service: S) -> Self
    where
        S: Service<Request<SimulatorBody>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        let post = move |request| -> Answer {
            let mut service = service.clone();
            Box::pin(async move {
                let Ok(()) = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
                let Ok(answer) = service.call(request).await;
                Ok(answer.status())
            })
        };
        Self { url: path, post: Arc::new(post) }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.url).finish()
    }
}

pub(super) async fn send(
    receiver: &Receiver,
    notification: &Notification,
) -> Result<StatusCode, NotifyError> {
    let request = notification.request(receiver.url.clone());
    let answer = tokio::time::timeout(DEADLINE, (receiver.post)(request)).await;
    answer.unwrap_or(Err(NotifyError::TimedOut))
}
