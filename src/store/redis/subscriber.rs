//! The connection on which the server tells what others stored.

use std::sync::Arc;

use futures_util::StreamExt;
use redis::{
    Msg,
    aio::{PubSub, PubSubSink},
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::timeout,
};

use super::{
    Shared,
    error::{late, store_error, unreachable_server},
    known::Seen,
    link::{ANSWER, CONNECT, HEARTBEAT},
    starting::Starting,
};
use crate::{
    backoff::{Attempts, STORE},
    store::{Change, StoreError, value},
};

/// A reader that lags behind by more than this is told to reload.
pub(super) const KEPT: usize = 65_536;

/// Follows the channel until nobody reads `give`.
pub(super) async fn run(shared: Arc<Shared>, starting: Starting, give: mpsc::Sender<Change>) {
    let unread = give.clone();
    let reader = Reader { shared, give, missed: false, told_lost: false };
    tokio::select! {
        () = reader.run(starting) => {}
        () = unread.closed() => {}
    }
}

struct Reader {
    shared: Arc<Shared>,
    give: mpsc::Sender<Change>,
    /// Whether the reader has to be told to reload once it has read what is waiting.
    missed: bool,
    /// Whether the reader knows that nothing is heard.
    told_lost: bool,
}

impl Reader {
    async fn run(mut self, starting: Starting) {
        let mut starting = Some(starting);
        let mut attempts = Attempts::new(STORE);
        loop {
            match subscribe(&self.shared).await {
                Ok(subscribed) => {
                    attempts.reset();
                    // A load that began before now has missed what others stored meanwhile.
                    self.missed |= starting.as_ref().is_none_or(Starting::has_loaded);
                    if starting.is_none() {
                        self.shared.link.renew();
                        // It may have come back without its data.
                        self.shared.forget();
                    }
                    // Loads that waited for this begin now.
                    drop(starting.take());
                    self.told_lost = false;
                    let lost = self.follow(subscribed).await;
                    crate::log::warn!(store = %self.shared.endpoint.name, lost, "what others store is not heard for now");
                    self.tell_lost();
                }
                Err(error) => {
                    let store = &self.shared.endpoint.name;
                    if self.told_lost {
                        crate::log::debug!(%store, %error, "still no subscription");
                    } else {
                        crate::log::warn!(%store, %error, "what others store is not heard");
                    }
                    drop(starting.take());
                    self.tell_lost();
                }
            }
            tokio::time::sleep(attempts.fail()).await;
        }
    }

    /// Passes on messages until the connection is lost; says why it is.
    async fn follow(&mut self, subscribed: PubSub) -> &'static str {
        let (sink, mut messages) = subscribed.split();
        let mut silent = std::pin::pin!(heartbeat(sink));
        let shared = self.shared.clone();
        let mut emptied = std::pin::pin!(shared.emptied());
        loop {
            let give = self.give.clone();
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.take(&message),
                    None => return "the server ended the connection",
                },
                () = &mut silent => return "the server fell silent",
                // The reader's load finds out what is missing, and stores it again.
                () = &mut emptied => {
                    if !std::mem::replace(&mut self.missed, true) {
                        crate::log::warn!(store = %shared.endpoint.name, "the store lost data: it is filled again");
                    }
                    shared.forget();
                    emptied.set(shared.emptied());
                }
                // All room is free again: the reader has read what was waiting.
                Ok(mut room) = give.reserve_many(KEPT), if self.missed => {
                    if let Some(permit) = room.next() {
                        permit.send(Change::Resync);
                        self.missed = false;
                    }
                }
            }
        }
    }

    fn take(&mut self, message: &Msg) {
        let payload = message.get_payload_bytes();
        let Some(space) = payload.iter().position(|&byte| byte == b' ') else { return };
        let Some((writer, value)) = payload.split_at_checked(space) else { return };
        if writer == self.shared.writer.as_bytes() {
            return;
        }
        let value = value.get(1..).unwrap_or_default();
        match value::decode_alone(&self.shared.endpoint.name, value) {
            Ok((tenant, record)) => {
                self.shared.known().put(tenant.clone(), Seen::new(record.clone(), value));
                self.tell(Change::Merged(tenant, record));
            }
            // The tenant's next merge and the next load meet the same record, and fail by it.
            Err(error) => {
                crate::log::warn!(store = %self.shared.endpoint.name, %error, "another writer stored what can't be read");
            }
        }
    }

    /// A reload follows: from the second subscription on, each begins with one.
    fn tell_lost(&mut self) {
        if !std::mem::replace(&mut self.told_lost, true) {
            self.tell(Change::Disconnected);
        }
    }

    fn tell(&mut self, change: Change) {
        if self.missed {
            return;
        }
        // A reader that is gone ends all this anyhow.
        if let Err(TrySendError::Full(_)) = self.give.try_send(change) {
            self.missed = true;
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
        let socket = endpoint.connect().await;
        let socket = socket.map_err(|error| unreachable_server(name).caused_by(error))?;
        let made = PubSub::new(&endpoint.login, socket).await;
        let mut made = made.map_err(|error| store_error(name, error))?;
        let subscribed = made.subscribe(&shared.names.changes).await;
        subscribed.map_err(|error| store_error(name, error))?;
        Ok(made)
    };
    timeout(CONNECT, work).await.unwrap_or_else(|_| Err(late(name)))
}
