//! The subscription to the changes of other writers, on a connection of its own.

use std::sync::Arc;

use futures_util::StreamExt;
use redis::{
    Msg,
    aio::{PubSub, PubSubSink},
};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        watch,
    },
    time::timeout,
};

use super::{
    Shared,
    cache::CachedValue,
    connection::{ANSWER, HEARTBEAT},
    error::{late, store_error},
    subscription::FirstSubscription,
};
use crate::{
    backoff::{Attempts, STORE},
    store::{Change, StoreError, value},
};

/// Number of changes by which a reader may lag before it gets a resync.
pub(super) const CAPACITY: usize = 65_536;

/// Forwards the channel's messages to `tx` until its receiver is dropped.
pub(super) async fn run(
    shared: Arc<Shared>,
    starting: FirstSubscription,
    tx: mpsc::Sender<Change>,
) {
    let reader_gone = tx.clone();
    let subscriber = Subscriber { shared, tx, lagged: false, disconnected: false };
    tokio::select! {
        () = subscriber.run(starting) => {}
        () = reader_gone.closed() => {}
    }
}

struct Subscriber {
    shared: Arc<Shared>,
    tx: mpsc::Sender<Change>,
    /// Whether a resync follows when the reader has caught up.
    lagged: bool,
    /// Whether the reader has been sent the disconnect.
    disconnected: bool,
}

impl Subscriber {
    async fn run(mut self, starting: FirstSubscription) {
        let mut starting = Some(starting);
        let mut attempts = Attempts::new(STORE);
        loop {
            let primary = self.shared.link.primary();
            match subscribe(&self.shared).await {
                Ok(subscribed) => {
                    attempts.reset();
                    // A load that started earlier lacks what others have stored since.
                    self.lagged |= starting.as_ref().is_none_or(FirstSubscription::has_loaded);
                    if starting.is_none() {
                        self.shared.link.renew();
                        // The server may have restarted without its data.
                        self.shared.forget();
                    }
                    // Lets waiting loads start.
                    drop(starting.take());
                    self.disconnected = false;
                    let lost = self.follow(subscribed, primary).await;
                    crate::log::warn!(store = %self.shared.endpoint.name, lost, "change subscription lost; reconnecting");
                    self.send_disconnected();
                }
                Err(error) => {
                    let store = &self.shared.endpoint.name;
                    if self.disconnected {
                        crate::log::debug!(%store, %error, "change subscription failed again");
                    } else {
                        crate::log::warn!(%store, %error, "change subscription failed");
                    }
                    drop(starting.take());
                    self.send_disconnected();
                }
            }
            tokio::time::sleep(attempts.fail()).await;
        }
    }

    /// Forwards messages until the connection is lost, and returns the reason.
    async fn follow(
        &mut self,
        subscribed: PubSub,
        mut primary: watch::Receiver<u64>,
    ) -> &'static str {
        let (sink, mut messages) = subscribed.split();
        let mut silent = std::pin::pin!(heartbeat(sink));
        let shared = self.shared.clone();
        let mut emptied = std::pin::pin!(shared.emptied());
        loop {
            let tx = self.tx.clone();
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.forward(&message),
                    None => return "the server closed the connection",
                },
                () = &mut silent => return "the server does not answer",
                Ok(()) = primary.changed() => return "another server is the primary",
                // The reader's load finds what is missing, and stores it again.
                () = &mut emptied => {
                    if !std::mem::replace(&mut self.lagged, true) {
                        crate::log::warn!(store = %shared.endpoint.name, "store lost data; storing it again");
                    }
                    shared.forget();
                    emptied.set(shared.emptied());
                }
                // The channel is empty: the reader has caught up.
                Ok(mut permits) = tx.reserve_many(CAPACITY), if self.lagged => {
                    if let Some(permit) = permits.next() {
                        permit.send(Change::Resync);
                        self.lagged = false;
                    }
                }
            }
        }
    }

    fn forward(&mut self, message: &Msg) {
        let payload = message.get_payload_bytes();
        let Some(space) = payload.iter().position(|&byte| byte == b' ') else { return };
        let Some((writer, value)) = payload.split_at_checked(space) else { return };
        if writer == self.shared.writer.as_bytes() {
            return;
        }
        let value = value.get(1..).unwrap_or_default();
        match value::decode_without_key(&self.shared.endpoint.name, value) {
            Ok(Some((tenant, record))) => {
                self.shared.cache().put(tenant.clone(), CachedValue::new(record.clone(), value));
                self.send(Change::Merged(tenant, record));
            }
            Ok(None) => {}
            // The next merge of the tenant and the next load fail with the same record.
            Err(error) => {
                crate::log::warn!(store = %self.shared.endpoint.name, %error, "invalid record by another writer");
            }
        }
    }

    /// Sends the disconnect. A resync follows, because every later subscription begins with one.
    fn send_disconnected(&mut self) {
        if !std::mem::replace(&mut self.disconnected, true) {
            self.send(Change::Disconnected);
        }
    }

    fn send(&mut self, change: Change) {
        if self.lagged {
            return;
        }
        // A dropped receiver ends the task elsewhere.
        if let Err(TrySendError::Full(_)) = self.tx.try_send(change) {
            self.lagged = true;
        }
    }
}

/// Ends when the server no longer answers.
async fn heartbeat(mut sink: PubSubSink) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let answer = timeout(ANSWER, sink.ping::<redis::Value>()).await;
        if !matches!(answer, Ok(Ok(_))) {
            return;
        }
    }
}

async fn subscribe(shared: &Shared) -> Result<PubSub, StoreError> {
    let endpoint = &shared.endpoint;
    let name = &endpoint.name;
    let work = async {
        let socket = endpoint.connect().await?;
        let made = PubSub::new(&endpoint.login, socket).await;
        let mut made = made.map_err(|error| store_error(name, error))?;
        let subscribed = made.subscribe(&shared.names.changes).await;
        subscribed.map_err(|error| store_error(name, error))?;
        Ok(made)
    };
    timeout(endpoint.connect_timeout, work).await.unwrap_or_else(|_| Err(late(name)))
}
