//! The task that fetches keys.

use std::{
    fmt,
    future::pending,
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use http::{StatusCode, Uri};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{
    http_client::{Fetch, FetchError},
    panics::catch_panic,
};

use super::{
    super::{KeyError, key::Key, key_set::parse_key_set},
    RemoteParts,
};

/// The task that fetches keys, for as long as a handle of them lives. A clone continues the work of
/// one that broke off.
#[derive(Clone)]
pub(crate) struct KeyFetcher {
    shared: Weak<RemoteParts>,
    fetch: Fetch,
    url: Uri,
    max_age: Duration,
    refresh: Arc<Refresh>,
}

/// Requests for a fetch. Many that were not taken up yet are one.
#[derive(Default)]
pub(super) struct Refresh(Notify);

impl Refresh {
    pub(super) fn request(&self) {
        self.0.notify_one();
    }

    async fn requested(&self) {
        self.0.notified().await;
    }
}

/// The reason to end: the last handle is gone.
struct Abandoned;

impl KeyFetcher {
    pub(super) fn new(
        shared: Weak<RemoteParts>,
        fetch: Fetch,
        url: Uri,
        max_age: Duration,
        refresh: Arc<Refresh>,
    ) -> Self {
        Self { shared, fetch, url, max_age, refresh }
    }

    /// Fetches keys whenever they are due, until the last handle is gone.
    pub(crate) async fn run(self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.state().fail_interrupted(Instant::now(), fastrand::f64());
        }
        while let Ok(()) = self.fetch_when_due().await {}
    }

    /// Waits for the time to fetch, fetches, and publishes the result.
    async fn fetch_when_due(&self) -> Result<(), Abandoned> {
        self.wait_until_due().await?;
        self.shared.upgrade().ok_or(Abandoned)?.state().begin(Instant::now());
        let fetched = self.fetch_once().await?;
        let shared = self.shared.upgrade().ok_or(Abandoned)?;
        match fetched {
            Ok(keys) => {
                crate::log::debug!(keys = keys.len(), "signing keys fetched");
                shared.replace_fetched(keys);
                shared.state().succeed(Instant::now(), fastrand::f64());
            }
            Err(error) => {
                let error = error.to_string();
                crate::log::warn!(error, "signing key fetch failed");
                shared.state().fail(Instant::now(), fastrand::f64(), error);
            }
        }
        // Notified last: those who waited find the new keys and the new state.
        shared.ended.send_replace(());
        Ok(())
    }

    /// Waits until a fetch is due, and drops keys that become too old before that.
    async fn wait_until_due(&self) -> Result<(), Abandoned> {
        let mut requested = false;
        loop {
            let shared = self.shared.upgrade().ok_or(Abandoned)?;
            let (due, known) = {
                let state = shared.state();
                let due = if requested { state.next_if_requested() } else { state.next() };
                (due, state.known())
            };
            let held = known.filter(|_| shared.ring.load().has_fetched());
            drop(shared);
            // A time that overflows is never reached.
            let expiry = held.and_then(|known| known.checked_add(self.max_age));
            tokio::select! {
                biased;
                () = sleep_until_some(expiry) => {
                    crate::log::warn!("signing keys expired");
                    self.shared.upgrade().ok_or(Abandoned)?.replace_fetched(Vec::new());
                }
                () = sleep_until(due) => return Ok(()),
                () = self.refresh.requested() => requested = true,
            }
        }
    }

    /// Fetches once, unless the last handle is dropped. This fetch serves the requests that arrive
    /// while it runs too.
    async fn fetch_once(&self) -> Result<Result<Vec<Key>, FetchFault>, Abandoned> {
        let fetching = catch_panic(fetch_keys(&self.fetch, &self.url));
        let mut fetching = pin!(fetching);
        loop {
            tokio::select! {
                biased;
                () = self.refresh.requested() => drop(self.shared.upgrade().ok_or(Abandoned)?),
                fetched = &mut fetching => {
                    return Ok(fetched.unwrap_or(Err(FetchFault::Panicked)));
                }
            }
        }
    }
}

async fn sleep_until_some(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

async fn fetch_keys(fetch: &Fetch, url: &Uri) -> Result<Vec<Key>, FetchFault> {
    let fetched = fetch.get(url, "application/json").await.map_err(FetchFault::Fetch)?;
    if fetched.status != StatusCode::OK {
        return Err(FetchFault::Status(fetched.status));
    }
    parse_key_set(&fetched.body).map_err(FetchFault::Keys)
}

/// The reason for which a fetch brought no keys. Of what was received it repeats the status code
/// and nothing else.
enum FetchFault {
    Fetch(FetchError),
    Status(StatusCode),
    Keys(KeyError),
    Panicked,
}

impl fmt::Display for FetchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the key URL answered {}", status.as_u16()),
            Self::Keys(error) => write!(f, "the key URL's answer can't be used: {error}"),
            Self::Panicked => f.write_str("the client panicked"),
        }
    }
}
