//! The connection that carries commands: one, shared by all, made anew when it breaks.

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

/// How long a command may take.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// How long it may take to connect and log in.
pub(super) const CONNECT: Duration = Duration::from_secs(1);

/// How often the server has to prove that it is there: a lost network sounds like silence.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);

/// As many commands may wait to be written to the socket.
const PIPELINE: usize = 1024;

pub(super) struct Link {
    endpoint: Arc<Endpoint>,
    state: Arc<Mutex<State>>,
}

struct State {
    live: Option<Live>,
    /// The attempt under way, which all who need a connection wait for. It is a task of its own: it
    /// comes to an end even when they all have given up.
    attempt: Option<Attempt>,
    /// Why the last attempt failed, and when to try again. Until then calls fail at once.
    failure: Option<(StoreError, Instant)>,
    attempts: Attempts,
}

type Attempt = Shared<BoxFuture<'static, Result<Live, StoreError>>>;

/// A connection in use.
#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    /// Set by whoever finds that it is of no more use.
    dead: Arc<AtomicBool>,
    tasks: Arc<Tasks>,
}

/// What keeps a connection going. It ends with the connection's last user, whatever the server does.
struct Tasks {
    driver: JoinHandle<()>,
    heartbeat: JoinHandle<()>,
}

impl Live {
    fn is_usable(&self) -> bool {
        // The driver ends when the server hangs up.
        !self.dead.load(Ordering::Relaxed) && !self.tasks.driver.is_finished()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.driver.abort();
        self.heartbeat.abort();
    }
}

/// What the server can be asked.
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

    /// Asks the server, and once more on a new connection when the first broke meanwhile: all that
    /// is asked of it may be asked twice.
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

    /// Starts afresh, because the server was found again: what was lost with the other connection is
    /// as likely lost here, and there is no reason to wait with the next attempt.
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
                    crate::log::info!(store = name, "the store is connected again");
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
    // Nothing is left half done while the lock is held.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the server would answer the same on another connection.
///
/// One that has become a replica may have a successor by the same name.
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
    // Time is kept by `ask`, which knows what to do when it is up.
    let config =
        AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(PIPELINE);
    let made = MultiplexedConnection::new_with_config(&endpoint.login, socket, config).await;
    let (mut connection, driver) = made.map_err(|error| store_error(name, error))?;
    let driver = tokio::spawn(driver);
    let dead = Arc::new(AtomicBool::new(false));
    let heartbeat = tokio::spawn(heartbeat(connection.clone(), dead.clone()));
    let tasks = Arc::new(Tasks { driver, heartbeat });
    // A server that is paused takes connections, and so does one that wants a password.
    ping(&mut connection).await.map_err(|error| store_error(name, error))?;
    Ok(Live { connection, dead, tasks })
}

/// Watches over a connection: those who use it may not wait long enough to notice.
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
