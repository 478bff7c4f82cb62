//! Work that is finished whether or not its result is still awaited.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::future::BoxFuture;
use tokio::{runtime::Handle, task::JoinHandle};

/// Work in a task of its own: dropping this ends the waiting and not the work.
///
/// A server drops the future of an answer as soon as the sender closes its connection. What is left
/// to do of a whole notification must not depend on that.
pub(super) enum Detached<T> {
    Task(JoinHandle<T>),
    /// Outside of a runtime there is no task to be had.
    Inline(BoxFuture<'static, T>),
}

/// The reason for which work has no result: it panicked, or the runtime shuts down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interrupted;

impl<T: Send + 'static> Detached<T> {
    /// Starts `work`.
    pub(super) fn new(work: BoxFuture<'static, T>) -> Self {
        match Handle::try_current() {
            Ok(runtime) => Self::Task(runtime.spawn(work)),
            Err(_) => Self::Inline(work),
        }
    }
}

impl<T> Future for Detached<T> {
    type Output = Result<T, Interrupted>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Task(task) => Pin::new(task).poll(cx).map_err(|_| Interrupted),
            Self::Inline(work) => work.as_mut().poll(cx).map(Ok),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_when_nothing_waits_for_it() {
        let (start, started) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let detached = Detached::new(Box::pin(async move {
            started.await.unwrap();
            done.send(7).unwrap();
        }));
        drop(detached);
        start.send(()).unwrap();
        assert_eq!(is_done.await, Ok(7));
    }

    #[tokio::test]
    async fn result_of_the_work_is_returned() {
        assert_eq!(Detached::new(Box::pin(async { 7 })).await, Ok(7));
        let panics: Detached<()> = Detached::new(Box::pin(async { panic!("for the test") }));
        assert_eq!(panics.await, Err(Interrupted));
    }

    #[test]
    fn work_without_a_runtime_is_done_inline() {
        let detached = Detached::new(Box::pin(async { 7 }));
        assert!(matches!(detached, Detached::Inline(_)));
        assert_eq!(futures::executor::block_on(detached), Ok(7));
    }
}
