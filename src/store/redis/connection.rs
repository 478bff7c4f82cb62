//! The link to the server: one connection for commands, shared by all calls, and replaced after a
//! failure or a failover.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_core::future::BoxFuture;
use futures_util::{FutureExt, future::Shared};
use redis::{
    Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ScriptInvocation, Value,
    aio::MultiplexedConnection,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    endpoint::Endpoint,
    error::{code, late, store_error},
    live::{Live, connect},
    server,
};
use crate::{
    backoff::{Attempts, BackOff},
    store::{StoreError, StoreWarning},
};

/// Time-out of a command.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// Interval of the heartbeats, without which a lost network would go unnoticed.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);

/// The delays between attempts to connect. Calls are repeated at most 5 s apart, so that one comes
/// within 10 s of the server's return.
const RECONNECT: BackOff = BackOff::new(Duration::from_millis(50), Duration::from_secs(2));

pub(super) struct Link {
    endpoint: Arc<Endpoint>,
    state: Arc<Mutex<State>>,
}

pub(super) struct State {
    live: Option<Live>,
    /// The current attempt to connect, shared by all waiting calls. It is a task of its own, so
    /// that it completes even when all of them have given up.
    attempt: Option<Attempt>,
    /// The error of the last attempt, and the time of the next. Until then calls fail at once.
    failure: Option<(StoreError, Instant)>,
    attempts: Attempts,
    /// Whether the server was not the primary, and no write has succeeded since. Back-off then goes
    /// on although connecting succeeds.
    demoted: bool,
    /// The warnings of the last check.
    warnings: Vec<StoreWarning>,
    /// The number of times that another primary was found.
    primary: watch::Sender<u64>,
}

type Attempt = Shared<BoxFuture<'static, Result<Live, StoreError>>>;

/// A request to the server.
pub(super) enum Request<'a> {
    Command(&'a Cmd),
    /// Sent by its hash, and in full to a server that doesn't know it yet.
    Script(&'a ScriptInvocation<'a>),
    /// A script that returns a string when it has stored nothing.
    Write(&'a ScriptInvocation<'a>),
}

impl<'a> From<&'a Cmd> for Request<'a> {
    fn from(command: &'a Cmd) -> Self {
        Self::Command(command)
    }
}

impl<'a> From<&'a ScriptInvocation<'a>> for Request<'a> {
    fn from(call: &'a ScriptInvocation<'a>) -> Self {
        Self::Script(call)
    }
}

impl Request<'_> {
    fn is_write(&self) -> bool {
        matches!(self, Self::Write(_))
    }

    async fn send(&self, connection: &mut MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Self::Command(command) => command.query_async(connection).await,
            Self::Script(call) | Self::Write(call) => call.invoke_async(connection).await,
        }
    }
}

impl Link {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, state: Arc::default() }
    }

    /// Sends a request, and repeats it once on a new connection when the first failed: all requests
    /// are idempotent.
    pub(super) async fn send<T: FromRedisValue>(
        &self,
        request: impl Into<Request<'_>>,
    ) -> Result<T, StoreError> {
        let name = &self.endpoint.name;
        let request = request.into();
        let mut again = true;
        loop {
            let mut live = self.live().await?;
            let error = match timeout(ANSWER, request.send(&mut live.connection)).await {
                Ok(Ok(answer)) => {
                    let stored = request.is_write() && !matches!(answer, Value::BulkString(_));
                    if stored && live.condition.accept() {
                        lock(&self.state).accepted();
                    }
                    return redis::from_redis_value(answer)
                        .map_err(|error| store_error(name, error.into()));
                }
                Ok(Err(error)) if is_replica(&error) => {
                    let error = store_error(name, error);
                    lock(&self.state).demote(&live, &error, !again);
                    error
                }
                Ok(Err(error)) if is_final(&error) => {
                    if request.is_write() {
                        live.condition.refuse(Instant::now());
                    }
                    return Err(store_error(name, error));
                }
                Ok(Err(error)) => store_error(name, error),
                Err(_) => {
                    live.condition.bury();
                    return Err(late(name));
                }
            };
            live.condition.bury();
            if !std::mem::take(&mut again) {
                return Err(error);
            }
        }
    }

    /// Drops the connection and its back-off, after the subscription has reconnected: this
    /// connection has probably failed too, and the next attempt need not wait.
    pub(super) fn reconnect(&self) {
        let mut state = lock(&self.state);
        state.live = None;
        state.failure = None;
        state.attempts.reset();
    }

    /// Returns the warnings of the last check.
    pub(super) fn warnings(&self) -> Vec<StoreWarning> {
        lock(&self.state).warnings.clone()
    }

    /// Returns a number that changes when another primary was found: a subscription to the former
    /// one may never end by itself.
    pub(super) fn primary(&self) -> watch::Receiver<u64> {
        lock(&self.state).primary.subscribe()
    }

    async fn live(&self) -> Result<Live, StoreError> {
        let attempt = {
            let mut state = lock(&self.state);
            match &state.live {
                Some(live) if live.is_usable() => return Ok(live.clone()),
                _ => state.live = None,
            }
            if let (None, Some((error, again))) = (&state.attempt, &state.failure)
                && Instant::now() < *again
            {
                return Err(error.clone());
            }
            state.attempt.get_or_insert_with(|| self.attempt()).clone()
        };
        attempt.await
    }

    fn attempt(&self) -> Attempt {
        let (endpoint, state) = (self.endpoint.clone(), self.state.clone());
        let attempt = tokio::spawn(async move {
            let connect = connect(&endpoint, &state);
            let connected = timeout(endpoint.connect_timeout, connect).await;
            let connected = connected.unwrap_or_else(|_| Err(late(&endpoint.name)));
            lock(&state).conclude(&endpoint.name, &connected);
            connected
        });
        let name = self.endpoint.name.clone();
        attempt.map(move |ended| ended.unwrap_or_else(|_| Err(late(&name)))).boxed().shared()
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            live: None,
            attempt: None,
            failure: None,
            attempts: Attempts::new(RECONNECT),
            demoted: false,
            warnings: Vec::new(),
            primary: watch::Sender::new(0),
        }
    }
}

impl State {
    fn conclude(&mut self, name: &str, connected: &Result<Live, StoreError>) {
        self.attempt = None;
        match connected {
            Ok(live) => {
                if self.failure.take().is_some() {
                    crate::log::info!(store = name, "store connected");
                }
                if live.is_primary || !self.demoted {
                    self.accepted();
                }
                self.live = Some(live.clone());
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: &StoreError) {
        self.failure = Some((error.clone(), Instant::now() + self.attempts.fail()));
    }

    /// Notes that the server at the other end of `live` is a replica. With `back_off` a new
    /// connection has found the same.
    fn demote(&mut self, live: &Live, error: &StoreError, back_off: bool) {
        self.demoted = true;
        // Of many calls that find it out at the same time one counts.
        let first = self.live.take_if(|current| current.is_same(live));
        if first.is_some() && back_off {
            self.fail(error);
        }
    }

    /// Notes that the server is the primary: it reports that role, or has stored something.
    fn accepted(&mut self) {
        self.attempts.reset();
        if std::mem::take(&mut self.demoted) {
            self.primary.send_modify(|count| *count += 1);
        }
    }

    /// Notes the result of a check.
    pub(super) fn checked(&mut self, name: &str, report: &mut server::Report) {
        let warnings = std::mem::take(&mut report.warnings);
        server::log_new(name, &self.warnings, &warnings);
        self.warnings = warnings;
        self.demoted |= report.is_replica();
    }
}

pub(super) fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under the lock is complete, so a poisoned lock is safe to use.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether the server is a replica. It may have a successor at the same address.
fn is_replica(error: &RedisError) -> bool {
    matches!(code(error), Some("READONLY" | "MASTERDOWN"))
}

/// Returns whether a new connection would get the same error.
fn is_final(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType
    )
}
