//! The link to the server: one connection for statements, shared by all calls, and replaced after a
//! failure or a failover.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_core::future::BoxFuture;
use futures_util::{FutureExt, future::Shared};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_postgres::{
    Row,
    error::SqlState,
    types::{ToSql, Type},
};

use super::{
    endpoint::{Connected, Endpoint},
    error::{Fate, fate, incomplete, late, newer_version, read_only, store_error},
    server,
    statements::Statements,
};
use crate::{
    backoff::{Attempts, BackOff},
    store::{StoreError, StoreWarning},
};

/// Time-out of a statement.
pub(super) const ANSWER: Duration = Duration::from_secs(3);

/// Interval of the checks, without which a lost network would go unnoticed.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);

/// The delays between attempts to connect. Calls are repeated at most 5 s apart, so that one comes
/// within 10 s of the server's return.
const RECONNECT: BackOff = BackOff::new(Duration::from_millis(50), Duration::from_secs(2));

/// The version of the tables that this version of the crate makes.
const VERSION: i32 = 1;

/// A parameter of a statement with its type, so that nothing has to be prepared.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

pub(super) struct Link {
    endpoint: Arc<Endpoint>,
    statements: Arc<Statements>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    live: Option<Arc<Live>>,
    /// The current attempt to connect, shared by all waiting calls. It is a task of its own, so
    /// that it completes even when all of them have given up.
    attempt: Option<Attempt>,
    /// The error of the last attempt, and the time of the next. Until then calls fail at once.
    failure: Option<(StoreError, Instant)>,
    attempts: Attempts,
    /// The warnings of the last check.
    warnings: Vec<StoreWarning>,
}

type Attempt = Shared<BoxFuture<'static, Result<Arc<Live>, StoreError>>>;

/// A connection in use.
struct Live {
    connected: Connected,
    /// Set when the connection has failed, or is to be replaced.
    dead: AtomicBool,
    heart: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("dead", &self.dead).finish_non_exhaustive()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(heart) = lock(&self.heart).take() {
            heart.abort();
        }
    }
}

impl Live {
    fn is_usable(&self) -> bool {
        !self.dead.load(Ordering::Relaxed) && !self.connected.is_closed()
    }

    fn bury(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }
}

impl Link {
    pub(super) fn new(endpoint: Arc<Endpoint>, statements: Arc<Statements>) -> Self {
        let state = State {
            live: None,
            attempt: None,
            failure: None,
            attempts: Attempts::new(RECONNECT),
            warnings: Vec::new(),
        };
        Self { endpoint, statements, state: Arc::new(Mutex::new(state)) }
    }

    /// Runs a statement, and repeats it on a new connection when the first failed: all statements
    /// are idempotent.
    pub(super) async fn query(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let name = &self.endpoint.name;
        let began = Instant::now();
        let mut again = true;
        loop {
            let live = self.live().await?;
            let query = live.connected.client.query_typed(statement, parameters);
            let left = ANSWER.saturating_sub(began.elapsed());
            let Ok(answered) = timeout(left, query).await else {
                // The statement may wait for a lock, and would go on waiting for it.
                live.bury();
                self.cancel(live);
                return Err(late(name));
            };
            let error = match answered {
                Ok(rows) => return Ok(rows),
                Err(error) => error,
            };
            match fate(&error) {
                Fate::Repeatable => continue,
                Fate::Kept => return Err(store_error(name, error)),
                Fate::Lost => {
                    live.bury();
                    if !std::mem::take(&mut again) {
                        return Err(store_error(name, error));
                    }
                }
            }
        }
    }

    fn cancel(&self, live: Arc<Live>) {
        let endpoint = self.endpoint.clone();
        tokio::spawn(async move { endpoint.cancel(&live.connected.client).await });
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

    /// Creates the rows that every store has, if an operator or a restore has removed some.
    pub(super) async fn repair(&self) -> Result<(), StoreError> {
        let live = self.live().await?;
        let repaired = timeout(ANSWER, run_script(&live.connected, &self.statements.rows));
        match repaired.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                live.bury();
                Err(store_error(&self.endpoint.name, error))
            }
            Err(_) => {
                live.bury();
                Err(late(&self.endpoint.name))
            }
        }
    }

    async fn live(&self) -> Result<Arc<Live>, StoreError> {
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
        let (endpoint, statements) = (self.endpoint.clone(), self.statements.clone());
        let state = self.state.clone();
        let attempt = tokio::spawn(async move {
            let open = open(&endpoint, &statements, &state);
            let opened = timeout(endpoint.connect_timeout, open).await;
            let opened = opened.unwrap_or_else(|_| Err(late(&endpoint.name)));
            lock(&state).conclude(&endpoint.name, &opened);
            opened
        });
        let name = self.endpoint.name.clone();
        attempt.map(move |ended| ended.unwrap_or_else(|_| Err(late(&name)))).boxed().shared()
    }
}

impl State {
    fn conclude(&mut self, name: &str, opened: &Result<Arc<Live>, StoreError>) {
        self.attempt = None;
        match opened {
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

    fn checked(&mut self, name: &str, warnings: Vec<StoreWarning>) {
        server::log_new(name, &self.warnings, &warnings);
        self.warnings = warnings;
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under the lock is complete, so a poisoned lock is safe to use.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a connection, checks the server, and creates what is missing of the tables.
async fn open(
    endpoint: &Endpoint,
    statements: &Statements,
    state: &Arc<Mutex<State>>,
) -> Result<Arc<Live>, StoreError> {
    let name = &endpoint.name;
    let failed = |error| store_error(name, error);
    let connected = endpoint.connect().await.map_err(failed)?;
    let report = server::check(&connected.client).await.map_err(failed)?;
    lock(state).checked(name, report.warnings);
    if report.read_only {
        return Err(read_only(name));
    }
    prepare(name, &connected, statements).await?;
    let live = Arc::new(Live { connected, dead: AtomicBool::new(false), heart: Mutex::default() });
    let heart = tokio::spawn(beat(name.clone(), Arc::downgrade(&live), Arc::downgrade(state)));
    *lock(&live.heart) = Some(heart);
    Ok(live)
}

/// Creates the tables unless they are there, and checks their version.
async fn prepare(
    name: &str,
    connected: &Connected,
    statements: &Statements,
) -> Result<(), StoreError> {
    let failed = |error| store_error(name, error);
    match version(connected, statements).await {
        Ok(Some(version)) if version > VERSION => return Err(newer_version(name, version)),
        Ok(Some(_)) => return Ok(()),
        Ok(None) => {}
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
            run_script(connected, &statements.tables).await.map_err(failed)?;
            crate::log::info!(store = name, "store tables created");
        }
        Err(error) => return Err(failed(error)),
    }
    run_script(connected, &statements.rows).await.map_err(failed)?;
    match version(connected, statements).await.map_err(failed)? {
        Some(version) if version > VERSION => Err(newer_version(name, version)),
        Some(_) => Ok(()),
        None => Err(incomplete(name)),
    }
}

/// Runs several statements as one transaction, which one message is, until no other is in its way.
async fn run_script(connected: &Connected, script: &str) -> Result<(), tokio_postgres::Error> {
    loop {
        match connected.client.batch_execute(script).await {
            Err(error) if fate(&error) == Fate::Repeatable => {}
            ended => return ended,
        }
    }
}

/// Returns the version of the tables; `None` when a row is missing.
async fn version(
    connected: &Connected,
    statements: &Statements,
) -> Result<Option<i32>, tokio_postgres::Error> {
    let none: Parameter<'_> = (&None::<i64>, Type::INT8);
    let parameters = [none.clone(), none.clone(), none.clone(), none];
    let row = connected.client.query_typed_opt(&statements.position, &parameters).await?;
    let Some(row) = row else { return Ok(None) };
    let (stamp, table): (Option<i64>, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
    Ok(stamp.and(table).is_some().then_some(row.try_get(0)?))
}

/// Detects a failed connection: its calls may be dropped before their time-out.
async fn beat(name: String, live: std::sync::Weak<Live>, state: std::sync::Weak<Mutex<State>>) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let (Some(live), Some(state)) = (live.upgrade(), state.upgrade()) else { return };
        if !live.is_usable() {
            return;
        }
        match timeout(ANSWER, server::check(&live.connected.client)).await {
            Ok(Ok(report)) => {
                lock(&state).checked(&name, report.warnings);
                if report.read_only {
                    live.bury();
                }
            }
            Ok(Err(_)) | Err(_) => live.bury(),
        }
    }
}
