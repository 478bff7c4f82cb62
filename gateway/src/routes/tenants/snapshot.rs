//! One snapshot of all tenants for all that read it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tower_superoffice::{TenantGate, TenantId, TenantStatus};

use super::filter::Filter;

type Tenants = Vec<(TenantId, TenantStatus)>;

/// Readers at a time.
const READERS: usize = 8;

/// Time that one more reader waits for another to end.
const WAIT: Duration = Duration::from_secs(5);

/// Takes snapshots of a gate's tenants and lends them to a few readers.
///
/// A million tenants take hundreds of megabytes, so there is one snapshot however many read, and
/// however slowly: a newer one takes the place of the one before for all of them. Each goes on
/// behind the tenant that it read last, and sees every tenant once.
///
/// The request of a reader may end at any time, and a snapshot that was begun can't be ended. So a
/// task that outlives the request has the reader until it is ready: what a reader costs counts
/// against the limits for as long as it lasts.
#[derive(Clone)]
pub(crate) struct Snapshots {
    gate: TenantGate,
    take: Arc<dyn Fn() -> Tenants + Send + Sync>,
    readers: Arc<Semaphore>,
    /// Held while a snapshot is taken.
    taking: Arc<tokio::sync::Mutex<()>>,
    lent: Arc<Mutex<Lent>>,
}

#[derive(Default)]
struct Lent {
    readers: usize,
    current: Option<Current>,
}

#[derive(Clone)]
struct Current {
    /// When it was begun: it shows every change from before.
    begun: Instant,
    tenants: Arc<Tenants>,
}

/// Why there is no reader.
#[derive(Debug, PartialEq)]
pub(crate) enum Unavailable {
    /// The limit of readers is reached.
    TooManyReaders,
    /// The snapshot could not be taken.
    Failed,
}

impl Snapshots {
    pub(crate) fn new(gate: TenantGate) -> Self {
        let source = gate.clone();
        Self::taken_by(gate, move || source.snapshot())
    }

    fn taken_by(gate: TenantGate, take: impl Fn() -> Tenants + Send + Sync + 'static) -> Self {
        Self {
            gate,
            take: Arc::new(take),
            readers: Arc::new(Semaphore::new(READERS)),
            taking: Arc::default(),
            lent: Arc::default(),
        }
    }

    /// Returns the gate whose tenants they are.
    pub(super) fn gate(&self) -> &TenantGate {
        &self.gate
    }

    /// Returns a reader of a snapshot that shows every change from before this call.
    pub(super) async fn reader(&self, mut filter: Filter) -> Result<Reader, Unavailable> {
        let permit = Arc::clone(&self.readers).acquire_owned();
        let permit = match tokio::time::timeout(WAIT, permit).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) | Err(_) => return Err(Unavailable::TooManyReaders),
        };
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).readers += 1;
        let after = filter.after.take();
        let reader = Reader { lent: Arc::clone(&self.lent), filter, after, _permit: permit };
        let (this, asked) = (self.clone(), Instant::now());
        let (mut tx, rx) = oneshot::channel();
        tokio::spawn(async move {
            let refreshed = this.refresh(asked, &mut tx).await;
            // A request that has ended takes no reader, which ends here.
            let _ended = tx.send(refreshed.map(|()| reader));
        });
        rx.await.unwrap_or(Err(Unavailable::Failed))
    }

    /// Returns a reader of all tenants, as [`reader`](Self::reader) does.
    pub(crate) async fn all(&self) -> Result<Reader, Unavailable> {
        self.reader(Filter::default()).await
    }

    /// Takes a snapshot, unless one was begun since `asked`: those that wait while one is taken
    /// share the next. A request that ends before its turn takes none.
    async fn refresh(
        &self,
        asked: Instant,
        request: &mut oneshot::Sender<Result<Reader, Unavailable>>,
    ) -> Result<(), Unavailable> {
        let _taking = tokio::select! {
            biased;
            () = request.closed() => return Err(Unavailable::Failed),
            taking = self.taking.lock() => taking,
        };
        let current = self.lent.lock().unwrap_or_else(PoisonError::into_inner).current.clone();
        if current.is_some_and(|current| current.begun >= asked) {
            return Ok(());
        }
        let (take, begun) = (Arc::clone(&self.take), Instant::now());
        let tenants = tokio::task::spawn_blocking(move || take()).await;
        let tenants = Arc::new(tenants.map_err(|_| Unavailable::Failed)?);
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = lent.current.replace(Current { begun, tenants });
        drop(lent);
        drop(replaced);
        Ok(())
    }
}

/// Reads the snapshot, which is freed with its last reader.
pub(crate) struct Reader {
    lent: Arc<Mutex<Lent>>,
    filter: Filter,
    /// The tenant read last.
    after: Option<TenantId>,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    /// The most tenants that are to be read.
    pub(super) fn limit(&self) -> usize {
        self.filter.limit.map_or(usize::MAX, Into::into)
    }

    /// Applies `f` to all tenants of the snapshot, ordered by id, where it holds up no other task.
    pub(crate) async fn read<T: Send + 'static>(
        self,
        f: impl FnOnce(&[(TenantId, TenantStatus)]) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let current = self.lent.lock().unwrap_or_else(PoisonError::into_inner).current.clone();
        let tenants = current.map(|current| current.tenants).unwrap_or_default();
        let read = move || {
            let result = f(&tenants);
            drop(tenants);
            // It counts until now, also when the request has ended.
            drop(self);
            result
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| Unavailable::Failed)
    }

    /// Copies the next tenants, at most `count` of them; fewer only at the end.
    pub(crate) fn next(&mut self, count: usize) -> Tenants {
        let current = self.lent.lock().unwrap_or_else(PoisonError::into_inner).current.clone();
        let Some(Current { tenants, .. }) = current else { return Vec::new() };
        let start = (self.after.as_ref())
            .map_or(0, |after| tenants.partition_point(|(tenant, _)| tenant <= after));
        let next: Tenants = (tenants.iter().skip(start))
            .filter(|(tenant, status)| self.filter.takes(tenant, status))
            .take(count)
            .cloned()
            .collect();
        if let Some((tenant, _)) = next.last() {
            self.after = Some(tenant.clone());
        }
        next
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        lent.readers -= 1;
        let freed = if lent.readers == 0 { lent.current.take() } else { None };
        // Freeing a million tenants takes a while, in which others may ask for the lock.
        drop(lent);
        drop(freed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tower_superoffice::Environment;

    use super::*;

    async fn close(gate: &TenantGate, ids: &[&str]) {
        for id in ids {
            gate.close(&TenantId::new(id).unwrap(), "").await.unwrap();
        }
    }

    async fn gate() -> TenantGate {
        let environment = Environment::custom("http://127.0.0.1:1".parse().unwrap());
        let gate = TenantGate::builder(environment).any_audience().state_api(false);
        let gate = gate.build().await.unwrap();
        close(&gate, &["b", "C", "e"]).await;
        gate
    }

    fn ids(tenants: &Tenants) -> Vec<&str> {
        tenants.iter().map(|(tenant, _)| tenant.as_str()).collect()
    }

    #[tokio::test]
    async fn newer_snapshot_replaces_the_one_before_for_all_readers() {
        let gate = gate().await;
        let snapshots = Snapshots::new(gate.clone());
        let mut slow = snapshots.reader(Filter::default()).await.unwrap();
        assert_eq!(ids(&slow.next(1)), ["b"]);
        let first = Arc::downgrade(&slow.lent.lock().unwrap().current.as_ref().unwrap().tenants);

        close(&gate, &["a", "d"]).await;
        let mut fresh = snapshots.reader(Filter::default()).await.unwrap();
        assert!(first.upgrade().is_none(), "two snapshots are held");
        assert_eq!(ids(&fresh.next(9)), ["a", "b", "C", "d", "e"]);
        assert_eq!(ids(&slow.next(9)), ["C", "d", "e"]);

        drop((slow, fresh));
        assert!(snapshots.lent.lock().unwrap().current.is_none(), "held without a reader");
    }

    #[tokio::test(start_paused = true)]
    async fn one_reader_too_many_waits_and_is_refused() {
        let snapshots = Snapshots::new(gate().await);
        let mut readers = Vec::new();
        for _ in 0..READERS {
            readers.push(snapshots.reader(Filter::default()).await.unwrap());
        }
        assert_eq!(
            snapshots.reader(Filter::default()).await.err(),
            Some(Unavailable::TooManyReaders)
        );
        readers.pop();
        assert!(snapshots.reader(Filter::default()).await.is_ok());
    }

    /// Snapshots that wait until they may end, and their counts.
    struct Slow {
        snapshots: Snapshots,
        /// Ends one that was begun, or is begun later.
        end: std::sync::mpsc::Sender<()>,
        begun: Arc<AtomicUsize>,
        /// The most that were taken at a time.
        most: Arc<AtomicUsize>,
    }

    async fn slow() -> Slow {
        let (end, ends) = std::sync::mpsc::channel();
        let (ends, running) = (Mutex::new(ends), AtomicUsize::new(0));
        let (begun, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (count, peak) = (Arc::clone(&begun), Arc::clone(&most));
        let take = move || {
            count.fetch_add(1, SeqCst);
            peak.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
            ends.lock().unwrap().recv().unwrap();
            running.fetch_sub(1, SeqCst);
            Vec::new()
        };
        Slow { snapshots: Snapshots::taken_by(gate().await, take), end, begun, most }
    }

    /// Begins what a request does, and drops it after a while, as one is that a client gave up.
    async fn give_up<T>(request: impl Future<Output = T>) {
        let mut request = std::pin::pin!(request);
        for _ in 0..5 {
            assert!(futures::poll!(request.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn requests_given_up_take_one_snapshot_at_a_time() {
        let Slow { snapshots, end, begun, most } = slow().await;
        for _ in 0..10 * READERS {
            give_up(snapshots.reader(Filter::default())).await;
        }
        for _ in 0..10 * READERS {
            end.send(()).unwrap();
        }
        assert!(snapshots.reader(Filter::default()).await.is_ok());
        assert_eq!((begun.load(SeqCst), most.load(SeqCst)), (2, 1), "begun, at a time");
        let all = u32::try_from(READERS).unwrap();
        let all = tokio::time::timeout(WAIT, snapshots.readers.acquire_many(all)).await;
        assert!(all.is_ok(), "readers that are gone are counted");
        assert!(snapshots.lent.lock().unwrap().current.is_none(), "held without a reader");
    }

    #[tokio::test]
    async fn request_given_up_counts_while_its_snapshot_is_read() {
        let snapshots = Snapshots::new(gate().await);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let reader = snapshots.reader(Filter::default()).await.unwrap();
        give_up(reader.read(move |_| ended.recv())).await;
        assert_eq!(snapshots.readers.available_permits(), READERS - 1);
        end.send(()).unwrap();
        let all = u32::try_from(READERS).unwrap();
        assert!(tokio::time::timeout(WAIT, snapshots.readers.acquire_many(all)).await.is_ok());
    }
}
