//! The stream of changes that a task reads from a server.

use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::{runtime::Handle, sync::mpsc};

use super::Change;

/// Number of changes that wait for the reader of a stream. Others wait at the server.
const CAPACITY: usize = 1024;

/// Returns the stream of what `subscribe` sends, in a task that ends with the stream.
///
/// Outside of a runtime the task starts when the stream is first polled.
pub(super) fn spawn<F>(
    subscribe: impl FnOnce(mpsc::Sender<Change>) -> F,
) -> BoxStream<'static, Change>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (tx, mut rx) = mpsc::channel(CAPACITY);
    let reader_gone = tx.clone();
    let subscription = subscribe(tx);
    let work = async move {
        tokio::select! {
            () = subscription => {}
            () = reader_gone.closed() => {}
        }
    };
    let changes = stream::poll_fn(move |cx| rx.poll_recv(cx));
    match Handle::try_current() {
        Ok(runtime) => {
            runtime.spawn(work);
            changes.boxed()
        }
        Err(_) => async move {
            tokio::spawn(work);
            changes
        }
        .flatten_stream()
        .boxed(),
    }
}
