//! Keys from a URL.
//!
//! One background task does all fetching, so there is never more than one fetch. Verification reads
//! the ring of keys at hand without a lock. Only a token that those keys don't settle asks for a
//! fetch and, when one is near, waits for it: a flood of such tokens can't have more than one fetch
//! in 30 s, nor keep the task from that one, nor delay a token whose key is known.

mod status;
mod task;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use http::Uri;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, timeout_at},
};

use crate::http_client::Fetch;

use self::status::{Prospect, Status};
use super::{KeysReport, SigningKeys, key::Key, ring::KeyRing};

/// How long a token may wait for a fetch.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many tokens may wait at once. What waits holds memory, and strangers can make it wait.
const MAX_WAITING: usize = 64;

/// Where keys are fetched, and how.
#[derive(Debug, Clone)]
pub(crate) struct RemoteKeys {
    pub(crate) url: Uri,
    pub(crate) fetch: Fetch,
    /// For how long keys count after they were fetched for the last time.
    pub(crate) max_age: Duration,
}

/// The keys at hand, and the fetching of more. The task ends with the last handle.
#[derive(Clone)]
pub(super) struct Remote(Arc<Shared>);

struct Shared {
    given: SigningKeys,
    url: Uri,
    ring: ArcSwap<KeyRing>,
    /// Held for a few reads or writes, never across an await.
    status: Mutex<Status>,
    /// Asks the task for a fetch. It holds one message: more than one wish is still one fetch.
    wish: mpsc::Sender<()>,
    /// Says that a fetch has ended, well or not.
    ended: watch::Sender<()>,
    waiting: Arc<Semaphore>,
}

/// What a token may expect that the keys at hand don't settle.
pub(super) enum Outlook {
    /// The keys are as new as they get: what they don't know is wrong.
    Settled,
    /// A fetch ends soon.
    Wait(Wait),
    /// None does, or too many wait already.
    Hopeless,
}

/// A place among those who wait for a fetch.
pub(super) struct Wait {
    remote: Remote,
    ended: watch::Receiver<()>,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Remote {
    /// Starts fetching. Must be called in a tokio runtime.
    pub(super) fn start(config: RemoteKeys, given: SigningKeys) -> Self {
        let RemoteKeys { url, fetch, max_age } = config;
        let (wish, wishes) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            ring: ArcSwap::from_pointee(KeyRing::new(&given, Vec::new())),
            given,
            url: url.clone(),
            status: Mutex::new(Status::new(Instant::now())),
            wish,
            ended: watch::Sender::new(()),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
        });
        let task = task::Task::new(Arc::downgrade(&shared), fetch, url, max_age, wishes);
        tokio::spawn(task.run());
        Self(shared)
    }

    pub(super) fn ring(&self) -> Guard<Arc<KeyRing>> {
        self.0.ring.load()
    }

    /// Whether `ring` is still the one in use.
    pub(super) fn is_current(&self, ring: &Guard<Arc<KeyRing>>) -> bool {
        Arc::ptr_eq(ring, &self.0.ring.load())
    }

    /// Asks for a fetch, as soon as one is allowed, and says what to expect of it.
    pub(super) fn outlook(&self) -> Outlook {
        // Subscribed before the status is read, or the fetch that ends in between goes unnoticed.
        let ended = self.0.ended.subscribe();
        let until = Instant::now() + PATIENCE;
        // Full means that the wish is there already; closed, that the runtime is gone.
        let _ = self.0.wish.try_send(());
        match self.prospect(until) {
            Prospect::Settled => Outlook::Settled,
            Prospect::Late => Outlook::Hopeless,
            Prospect::Soon => match Arc::clone(&self.0.waiting).try_acquire_owned() {
                Ok(_place) => Outlook::Wait(Wait { remote: self.clone(), ended, until, _place }),
                Err(_) => Outlook::Hopeless,
            },
        }
    }

    fn prospect(&self, until: Instant) -> Prospect {
        self.0.status().prospect(Instant::now(), until)
    }

    pub(super) fn report(&self) -> KeysReport {
        let (age, last_error) = self.0.status().age_and_error();
        KeysReport { keys: self.ring().report(), url: Some(shown(&self.0.url)), age, last_error }
    }
}

impl Wait {
    /// Waits until a fetch has ended. What comes next is said as by [`Remote::outlook`]; whoever was
    /// promised a fetch and sees none end in time is told that there is no hope.
    pub(super) async fn next(mut self) -> Outlook {
        if !matches!(timeout_at(self.until, self.ended.changed()).await, Ok(Ok(()))) {
            return Outlook::Hopeless;
        }
        match self.remote.prospect(self.until) {
            Prospect::Settled => Outlook::Settled,
            Prospect::Late => Outlook::Hopeless,
            Prospect::Soon => Outlook::Wait(self),
        }
    }
}

impl Shared {
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `fetched` in the place of all keys fetched before.
    fn replace(&self, fetched: Vec<Key>) {
        self.ring.store(Arc::new(KeyRing::new(&self.given, fetched)));
    }
}

/// The URL without the places where people put secrets.
fn shown(url: &Uri) -> String {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}://{host}{}", url.scheme_str().unwrap_or_default(), url.path())
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("url", &shown(&self.0.url))
            .field("keys", &**self.ring())
            .field("status", &*self.0.status())
            .finish()
    }
}
