//! The connection for commands: shared by all calls, and reconnected after a failure.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_core::future::BoxFuture;
use futures_util::{FutureExt, future::Shared};
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult,
    ScriptInvocation, Value, aio::MultiplexedConnection,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    endpoint::Endpoint,
    error::{code, late, replica, store_error},
    server::{self, Role},
};
use crate::{
    backoff::{Attempts, STORE},
    store::{StoreError, StoreWarning},
};

/// Time-out of a command.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// Interval of the heartbeats, without which a lost network would go unnoticed.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);

/// A connection whose writes have been refused for this long is replaced: another server may answer
/// by now at the address, or Sentinels name another.
const REFUSED: Duration = Duration::from_secs(5);

/// Number of commands that may wait to be written to the socket.
const PIPELINE: usize = 1024;

pub(super) struct Link {
    endpoint: Arc<Endpoint>,
    state: Arc<Mutex<State>>,
}

struct State {
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

/// A connection in use.
#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    condition: Arc<Condition>,
    /// Whether the server said so. Its user may not be allowed to read it.
    is_primary: bool,
    tasks: Arc<Tasks>,
}

/// What its users have found out about a connection.
#[derive(Default)]
struct Condition {
    /// Set when the connection has failed, or is to be replaced.
    dead: AtomicBool,
    /// Set when a write has succeeded.
    written: AtomicBool,
    /// Since when all writes have been refused.
    refused: Mutex<Option<Instant>>,
}

/// The tasks of a connection. They end with its last user.
struct Tasks {
    driver: JoinHandle<()>,
    heartbeat: JoinHandle<()>,
}

impl Live {
    fn is_usable(&self) -> bool {
        // The driver ends when the server closes the connection.
        !self.condition.is_dead() && !self.tasks.driver.is_finished()
    }
}

impl Condition {
    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    fn bury(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Notes that the server refused a write.
    fn refuse(&self, now: Instant) {
        let since = *lock(&self.refused).get_or_insert(now);
        if now.saturating_duration_since(since) >= REFUSED {
            self.bury();
        }
    }

    /// Notes that a write succeeded, and returns whether it is the first.
    fn accept(&self) -> bool {
        *lock(&self.refused) = None;
        !self.written.swap(true, Ordering::Relaxed)
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.driver.abort();
        self.heartbeat.abort();
    }
}

/// A request to the server.
pub(super) enum Question<'a> {
    Command(&'a Cmd),
    /// Sent by its hash, and in full to a server that doesn't know it yet.
    Script(&'a ScriptInvocation<'a>),
    /// A script that returns a number once it has stored something.
    Write(&'a ScriptInvocation<'a>),
}

impl<'a> From<&'a Cmd> for Question<'a> {
    fn from(command: &'a Cmd) -> Self {
        Self::Command(command)
    }
}

impl<'a> From<&'a ScriptInvocation<'a>> for Question<'a> {
    fn from(call: &'a ScriptInvocation<'a>) -> Self {
        Self::Script(call)
    }
}

impl Question<'_> {
    fn is_write(&self) -> bool {
        matches!(self, Self::Write(_))
    }

    async fn ask(&self, connection: &mut MultiplexedConnection) -> RedisResult<Value> {
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
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        question: impl Into<Question<'_>>,
    ) -> Result<T, StoreError> {
        let name = &self.endpoint.name;
        let question = question.into();
        let mut again = true;
        loop {
            let mut live = self.live().await?;
            let error = match timeout(ANSWER, question.ask(&mut live.connection)).await {
                Ok(Ok(answer)) => {
                    let stored = question.is_write() && matches!(answer, Value::Int(_));
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
                    if question.is_write() {
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
    pub(super) fn renew(&self) {
        let mut state = lock(&self.state);
        state.live = None;
        state.failure = None;
        state.attempts.reset();
    }

    /// Returns the warnings of the last check.
    pub(super) fn warnings(&self) -> Vec<StoreWarning> {
        lock(&self.state).warnings.clone()
    }

    /// Returns a number that changes when another primary was found: a subscription to the former one
    /// may never end by itself.
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
            attempts: Attempts::new(STORE),
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
        let first = self.live.take_if(|current| Arc::ptr_eq(&current.condition, &live.condition));
        if first.is_some() && back_off {
            self.fail(error);
        }
    }

    /// Notes that the server is the primary: it says so, or has stored something.
    fn accepted(&mut self) {
        self.attempts.reset();
        if std::mem::take(&mut self.demoted) {
            self.primary.send_modify(|count| *count += 1);
        }
    }

    /// Notes the result of a check.
    fn checked(&mut self, name: &str, report: &mut server::Report) {
        let warnings = std::mem::take(&mut report.warnings);
        server::log_new(name, &self.warnings, &warnings);
        self.warnings = warnings;
        self.demoted |= report.is_replica();
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
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

async fn connect(endpoint: &Endpoint, state: &Arc<Mutex<State>>) -> Result<Live, StoreError> {
    let name = &endpoint.name;
    let socket = endpoint.connect().await?;
    // `ask` has its own time-out, after which it drops the connection.
    let config =
        AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(PIPELINE);
    let made = MultiplexedConnection::new_with_config(&endpoint.login, socket, config).await;
    let (connection, driver) = made.map_err(|error| store_error(name, error))?;
    let driver = tokio::spawn(driver);
    let condition = Arc::new(Condition::default());
    let heart = Heart {
        connection: connection.clone(),
        condition: condition.clone(),
        name: name.clone(),
        state: Arc::downgrade(state),
    };
    let heartbeat = tokio::spawn(heart.beat());
    let tasks = Arc::new(Tasks { driver, heartbeat });
    // A paused server accepts connections, and so does one that needs a password.
    let checked = server::check(&connection).await;
    let mut report = checked.map_err(|error| store_error(name, error))?;
    lock(state).checked(name, &mut report);
    if report.is_replica() {
        return Err(replica(name));
    }
    let is_primary = report.role == Some(Role::Primary);
    Ok(Live { connection, condition, is_primary, tasks })
}

/// Detects a failed connection: its calls may be dropped before their time-out.
struct Heart {
    connection: MultiplexedConnection,
    condition: Arc<Condition>,
    name: String,
    state: Weak<Mutex<State>>,
}

impl Heart {
    async fn beat(mut self) {
        let mut check = Instant::now() + server::INTERVAL;
        while !self.condition.is_dead() {
            tokio::time::sleep(HEARTBEAT).await;
            let alive = if Instant::now() < check {
                matches!(timeout(ANSWER, ping(&mut self.connection)).await, Ok(Ok(())))
            } else {
                check = Instant::now() + server::INTERVAL;
                self.check().await
            };
            if !alive {
                self.condition.bury();
            }
        }
    }

    /// Returns whether the server answers and is still the primary.
    async fn check(&self) -> bool {
        let Ok(Ok(mut report)) = timeout(ANSWER, server::check(&self.connection)).await else {
            return false;
        };
        let Some(state) = self.state.upgrade() else { return false };
        lock(&state).checked(&self.name, &mut report);
        !report.is_replica()
    }
}

async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").query_async(connection).await
}
