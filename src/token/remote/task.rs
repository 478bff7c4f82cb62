//! The task that fetches.

use std::{fmt, future::pending, pin::pin, sync::Weak, time::Duration};

use http::{StatusCode, Uri};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::http_client::{Fetch, FetchError};

use super::{
    super::{KeyError, key::Key, key_set::from_key_set},
    Shared,
};

/// Fetches for a [`Shared`] for as long as anybody else holds it.
pub(super) struct Task {
    shared: Weak<Shared>,
    fetch: Fetch,
    url: Uri,
    max_age: Duration,
    /// Closed when the last handle is gone, as its other end lives in the shared part.
    wishes: mpsc::Receiver<()>,
}

/// Nobody holds the keys any more.
struct Abandoned;

impl Task {
    pub(super) fn new(
        shared: Weak<Shared>,
        fetch: Fetch,
        url: Uri,
        max_age: Duration,
        wishes: mpsc::Receiver<()>,
    ) -> Self {
        Self { shared, fetch, url, max_age, wishes }
    }

    pub(super) async fn run(mut self) {
        while let Ok(()) = self.turn().await {}
    }

    /// Waits for the time to fetch, fetches, and hands out what came of it.
    async fn turn(&mut self) -> Result<(), Abandoned> {
        self.until_due().await?;
        self.shared.upgrade().ok_or(Abandoned)?.status().begin(Instant::now());
        let fetched = self.fetched().await?;
        let shared = self.shared.upgrade().ok_or(Abandoned)?;
        match fetched {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "signing keys fetched");
                shared.replace(keys);
                shared.status().succeed(Instant::now(), fastrand::f64());
            }
            Err(error) => {
                let error = error.to_string();
                tracing::warn!(error, "signing keys can't be fetched; those at hand stay in use");
                shared.status().fail(Instant::now(), fastrand::f64(), error);
            }
        }
        // Told last: whoever hears of it finds the new keys and the new status.
        shared.ended.send_replace(());
        Ok(())
    }

    /// Waits until a fetch is due, and meanwhile gives up keys that have become too old.
    async fn until_due(&mut self) -> Result<(), Abandoned> {
        let mut wished = false;
        loop {
            let shared = self.shared.upgrade().ok_or(Abandoned)?;
            let (due, known) = {
                let status = shared.status();
                let due = if wished { status.next_if_wished() } else { status.next() };
                (due, status.known())
            };
            let held = known.filter(|_| shared.ring.load().has_fetched());
            drop(shared);
            // An age too far in the future to be told is never reached.
            let expiry = held.and_then(|known| known.checked_add(self.max_age));
            tokio::select! {
                biased;
                () = at(expiry) => {
                    tracing::warn!("signing keys could not be fetched anew for too long; given up");
                    self.shared.upgrade().ok_or(Abandoned)?.replace(Vec::new());
                }
                () = sleep_until(due) => return Ok(()),
                wish = self.wishes.recv() => {
                    wish.ok_or(Abandoned)?;
                    wished = true;
                }
            }
        }
    }

    /// Fetches once. Wishes that arrive meanwhile are granted by this very fetch.
    async fn fetched(&mut self) -> Result<Result<Vec<Key>, Fault>, Abandoned> {
        let mut fetching = pin!(fetch_keys(&self.fetch, &self.url));
        loop {
            tokio::select! {
                biased;
                wish = self.wishes.recv() => wish.ok_or(Abandoned)?,
                fetched = &mut fetching => return Ok(fetched),
            }
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

async fn fetch_keys(fetch: &Fetch, url: &Uri) -> Result<Vec<Key>, Fault> {
    let fetched = fetch.get(url, "application/json").await.map_err(Fault::Fetch)?;
    if fetched.status != StatusCode::OK {
        return Err(Fault::Status(fetched.status));
    }
    from_key_set(&fetched.body).map_err(Fault::Keys)
}

/// Why a fetch brought no keys. None of it repeats what was received, the status code apart.
enum Fault {
    Fetch(FetchError),
    Status(StatusCode),
    Keys(KeyError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the key URL answered {}", status.as_u16()),
            Self::Keys(error) => write!(f, "the key URL's answer can't be used: {error}"),
        }
    }
}
