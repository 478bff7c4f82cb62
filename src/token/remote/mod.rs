//! Keys fetched from a URL.
//!
//! One background task does all fetching, so there is never more than one fetch. Verification reads
//! the ring of available keys without a lock. Only a token that those keys don't decide requests a
//! fetch and, when one is near, waits for it: a flood of such tokens causes at most one fetch in
//! 30 s, cannot prevent that one, and delays no token whose key is known.

mod fetch_state;
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
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, timeout_at},
};

use crate::http_client::Fetch;

pub(crate) use self::task::KeyFetcher;
use self::{
    fetch_state::{FetchState, Prospect},
    task::Refresh,
};
use super::{KeysReport, SigningKeys, key::Key, ring::KeyRing};

/// The longest wait of a token for a fetch.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The most tokens that wait at once: each holds memory, and an unauthenticated request is enough.
const MAX_WAITING: usize = 64;

/// The URL that keys are fetched from, and the client that does it.
#[derive(Debug, Clone)]
pub(crate) struct RemoteKeys {
    pub(crate) url: Uri,
    pub(crate) fetch: Fetch,
    /// The time for which keys are used after the last successful fetch.
    pub(crate) max_age: Duration,
}

/// The available keys, and a handle of the task that fetches more.
#[derive(Clone)]
pub(super) struct Remote(Arc<RemoteParts>);

struct RemoteParts {
    given: SigningKeys,
    url: Uri,
    ring: ArcSwap<KeyRing>,
    /// Locked for a few reads or writes, never across an await.
    state: Mutex<FetchState>,
    /// Requests a fetch from the task, and wakes it to end when the last handle is dropped.
    refresh: Arc<Refresh>,
    /// Notified when a fetch has ended, successful or not.
    ended: watch::Sender<()>,
    waiting: Arc<Semaphore>,
}

/// The result of requesting a fetch for a token that the available keys don't decide.
pub(super) enum FetchOutcome {
    /// The keys are as new as can be: a key that is missing does not exist.
    Settled,
    /// A fetch is running or begins soon.
    Wait(Wait),
    /// No fetch begins in time, or too many tokens wait already.
    Unavailable,
}

/// A place among the tokens that wait for a fetch.
pub(super) struct Wait {
    remote: Remote,
    ended: watch::Receiver<()>,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Remote {
    /// Makes a handle, and the task that it needs to be run.
    pub(super) fn new(config: RemoteKeys, given: SigningKeys) -> (Self, KeyFetcher) {
        let RemoteKeys { url, fetch, max_age } = config;
        let refresh = Arc::new(Refresh::default());
        let shared = Arc::new(RemoteParts {
            ring: ArcSwap::from_pointee(KeyRing::new(&given, Vec::new())),
            given,
            url: url.clone(),
            state: Mutex::new(FetchState::new(Instant::now())),
            refresh: Arc::clone(&refresh),
            ended: watch::Sender::new(()),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
        });
        let fetcher = KeyFetcher::new(Arc::downgrade(&shared), fetch, url, max_age, refresh);
        (Self(shared), fetcher)
    }

    pub(super) fn url(&self) -> &Uri {
        &self.0.url
    }

    /// Returns the ring in use.
    pub(super) fn ring(&self) -> Guard<Arc<KeyRing>> {
        self.0.ring.load()
    }

    /// Returns whether `ring` is still the one in use.
    pub(super) fn is_current(&self, ring: &Guard<Arc<KeyRing>>) -> bool {
        Arc::ptr_eq(ring, &self.0.ring.load())
    }

    /// Requests a fetch, as soon as one is allowed, and returns what to expect of it.
    pub(super) fn request_fetch(&self) -> FetchOutcome {
        // Subscribed before the status is read, or the fetch that ends in between goes unnoticed.
        let ended = self.0.ended.subscribe();
        let until = Instant::now() + MAX_WAIT;
        self.0.refresh.request();
        match self.prospect(until) {
            Prospect::Settled => FetchOutcome::Settled,
            Prospect::Late => FetchOutcome::Unavailable,
            Prospect::Soon => match Arc::clone(&self.0.waiting).try_acquire_owned() {
                Ok(_place) => {
                    FetchOutcome::Wait(Wait { remote: self.clone(), ended, until, _place })
                }
                Err(_) => FetchOutcome::Unavailable,
            },
        }
    }

    /// Returns whether a key is at hand, or was before it became too old.
    pub(super) fn had_key(&self) -> bool {
        !self.ring().is_empty() || self.0.state().known().is_some()
    }

    /// Returns a future that ends with the next fetch, successful or not.
    pub(super) fn next_fetch(&self) -> impl Future<Output = ()> + use<> {
        let mut ended = self.0.ended.subscribe();
        // An error says that the gate is gone, with whatever would wait for it.
        async move { _ = ended.changed().await }
    }

    fn prospect(&self, until: Instant) -> Prospect {
        self.0.state().prospect(Instant::now(), until)
    }

    pub(super) fn report(&self) -> KeysReport {
        let (age, last_error) = self.0.state().age_and_error();
        KeysReport { keys: self.ring().report(), url: Some(redacted(&self.0.url)), age, last_error }
    }
}

impl Wait {
    /// Waits until a fetch has ended and returns what to expect next, as [`Remote::request_fetch`]
    /// does. When none has ended in time, the keys are unavailable.
    pub(super) async fn next(mut self) -> FetchOutcome {
        if !matches!(timeout_at(self.until, self.ended.changed()).await, Ok(Ok(()))) {
            return FetchOutcome::Unavailable;
        }
        match self.remote.prospect(self.until) {
            Prospect::Settled => FetchOutcome::Settled,
            Prospect::Late => FetchOutcome::Unavailable,
            Prospect::Soon => FetchOutcome::Wait(self),
        }
    }
}

impl Drop for RemoteParts {
    fn drop(&mut self) {
        // So that the task notices that it is of no more use.
        self.refresh.request();
    }
}

impl RemoteParts {
    fn state(&self) -> MutexGuard<'_, FetchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces all keys fetched before by `fetched`.
    fn replace_fetched(&self, fetched: Vec<Key>) {
        self.ring.store(Arc::new(KeyRing::new(&self.given, fetched)));
    }
}

/// Returns the URL without user name and query, which may contain secrets.
fn redacted(url: &Uri) -> String {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}://{host}{}", url.scheme_str().unwrap_or_default(), url.path())
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("url", &redacted(&self.0.url))
            .field("keys", &**self.ring())
            .field("fetches", &*self.0.state())
            .finish()
    }
}
