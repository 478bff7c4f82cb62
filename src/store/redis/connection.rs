//! The connection for commands: shared by all calls, and reconnected after a failure.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_core::future::BoxFuture;
use futures_util::{FutureExt, future::Shared};
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult,
    ScriptInvocation, ServerErrorKind, Value, aio::MultiplexedConnection,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    endpoint::Endpoint,
    error::{late, store_error, unreachable_server},
};
use crate::{
    backoff::{Attempts, STORE},
    store::StoreError,
};

/// Time-out of a command.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// Time-out of connecting and logging in.
pub(super) const CONNECT: Duration = Duration::from_secs(1);

/// Interval of the heartbeats, without which a lost network would go unnoticed.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);

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
}

type Attempt = Shared<BoxFuture<'static, Result<Live, StoreError>>>;

/// A connection in use.
#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    /// Set when the connection has failed.
    dead: Arc<AtomicBool>,
    tasks: Arc<Tasks>,
}

/// The tasks of a connection. They end with its last user.
struct Tasks {
    driver: JoinHandle<()>,
    heartbeat: JoinHandle<()>,
}

impl Live {
    fn is_usable(&self) -> bool {
        // The driver ends when the server closes the connection.
        !self.dead.load(Ordering::Relaxed) && !self.tasks.driver.is_finished()
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
    async fn ask(&self, connection: &mut MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Self::Command(command) => command.query_async(connection).await,
            Self::Script(call) => call.invoke_async(connection).await,
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
                    return redis::from_redis_value(answer)
                        .map_err(|error| store_error(name, error.into()));
                }
                Ok(Err(error)) if is_final(&error) => return Err(store_error(name, error)),
                Ok(Err(error)) => error,
                Err(_) => {
                    live.dead.store(true, Ordering::Relaxed);
                    return Err(late(name));
                }
            };
            live.dead.store(true, Ordering::Relaxed);
            if !std::mem::take(&mut again) {
                return Err(store_error(name, error));
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
            let connected = timeout(CONNECT, connect(&endpoint)).await;
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
        Self { live: None, attempt: None, failure: None, attempts: Attempts::new(STORE) }
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
                self.attempts.reset();
                self.live = Some(live.clone());
            }
            Err(error) => {
                self.failure = Some((error.clone(), Instant::now() + self.attempts.fail()));
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Every change under the lock is complete, so a poisoned lock is safe to use.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether a new connection would get the same error.
///
/// A server that has become a replica may have a successor at the same address.
fn is_final(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => {
            !matches!(kind, ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        }
        ErrorKind::Extension | ErrorKind::UnexpectedReturnType => true,
        _ => false,
    }
}

async fn connect(endpoint: &Endpoint) -> Result<Live, StoreError> {
    let name = &endpoint.name;
    let socket = endpoint.connect().await;
    let socket = socket.map_err(|error| unreachable_server(name).caused_by(error))?;
    // `ask` has its own time-out, after which it drops the connection.
    let config =
        AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(PIPELINE);
    let made = MultiplexedConnection::new_with_config(&endpoint.login, socket, config).await;
    let (mut connection, driver) = made.map_err(|error| store_error(name, error))?;
    let driver = tokio::spawn(driver);
    let dead = Arc::new(AtomicBool::new(false));
    let heartbeat = tokio::spawn(heartbeat(connection.clone(), dead.clone()));
    let tasks = Arc::new(Tasks { driver, heartbeat });
    // A paused server accepts connections, and so does one that needs a password.
    ping(&mut connection).await.map_err(|error| store_error(name, error))?;
    Ok(Live { connection, dead, tasks })
}

/// Detects a failed connection: its calls may be dropped before their time-out.
async fn heartbeat(mut connection: MultiplexedConnection, dead: Arc<AtomicBool>) {
    while !dead.load(Ordering::Relaxed) {
        tokio::time::sleep(HEARTBEAT).await;
        if !matches!(timeout(ANSWER, ping(&mut connection)).await, Ok(Ok(()))) {
            dead.store(true, Ordering::Relaxed);
        }
    }
}

async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").query_async(connection).await
}
