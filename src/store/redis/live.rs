//! An open connection, and what its users find out about it.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, RedisResult, aio::MultiplexedConnection};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    connection::{ANSWER, HEARTBEAT, State, lock},
    endpoint::Endpoint,
    error::{replica, store_error},
    server::{self, Role},
};
use crate::store::StoreError;

/// A connection whose writes have been refused for this long is replaced: another server may answer
/// by now at the address, or Sentinels name another.
const REFUSED: Duration = Duration::from_secs(5);

/// Number of commands that may wait to be written to the socket.
const PIPELINE: usize = 1024;

/// A connection in use.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) connection: MultiplexedConnection,
    pub(super) condition: Arc<Condition>,
    /// Whether the server said so. Its user may not be allowed to read it.
    pub(super) is_primary: bool,
    driver: Arc<Task>,
    /// Ends with the connection's last user.
    _heartbeat: Arc<Task>,
}

/// A task that ends with its last user.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The condition of a connection, as its users have found it.
#[derive(Default)]
pub(super) struct Condition {
    /// Set when the connection has failed, or is to be replaced.
    dead: AtomicBool,
    /// Set when a write has succeeded.
    written: AtomicBool,
    /// The moment since which all writes have been refused.
    refused: Mutex<Option<Instant>>,
}

impl Live {
    pub(super) fn is_usable(&self) -> bool {
        // The driver ends when the server closes the connection.
        !self.condition.is_dead() && !self.driver.0.is_finished()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.condition, &other.condition)
    }
}

impl Condition {
    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub(super) fn bury(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Notes that the server refused a write.
    pub(super) fn refuse(&self, now: Instant) {
        let since = *lock(&self.refused).get_or_insert(now);
        if now.saturating_duration_since(since) >= REFUSED {
            self.bury();
        }
    }

    /// Notes that a write succeeded, and returns whether it is the first.
    pub(super) fn accept(&self) -> bool {
        *lock(&self.refused) = None;
        !self.written.swap(true, Ordering::Relaxed)
    }
}

/// Opens a connection, and checks the server.
///
/// # Errors
///
/// When the server can't be reached, refuses the login, does not answer, or is a replica.
pub(super) async fn connect(
    endpoint: &Endpoint,
    state: &Arc<Mutex<State>>,
) -> Result<Live, StoreError> {
    let name = &endpoint.name;
    let socket = endpoint.connect().await?;
    // Each call has its own time-out, after which it drops the connection.
    let config =
        AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(PIPELINE);
    let made = MultiplexedConnection::new_with_config(&endpoint.login, socket, config).await;
    let (connection, driver) = made.map_err(|error| store_error(name, error))?;
    let driver = Arc::new(Task(tokio::spawn(driver)));
    // A paused server accepts connections, and so does one that needs a password.
    let checked = server::check(&connection).await;
    let mut report = checked.map_err(|error| store_error(name, error))?;
    lock(state).checked(name, &mut report);
    if report.is_replica() {
        return Err(replica(name));
    }
    let condition = Arc::new(Condition::default());
    let heart = Heart {
        connection: connection.clone(),
        condition: condition.clone(),
        name: name.clone(),
        state: Arc::downgrade(state),
    };
    // A server that refuses the check would log each one.
    let checks = report.role.is_some();
    let heartbeat = Arc::new(Task(tokio::spawn(heart.beat(checks))));
    let is_primary = report.role == Some(Role::Primary);
    Ok(Live { connection, condition, is_primary, driver, _heartbeat: heartbeat })
}

/// Detects a failed connection: its calls may be dropped before their time-out.
struct Heart {
    connection: MultiplexedConnection,
    condition: Arc<Condition>,
    name: String,
    state: Weak<Mutex<State>>,
}

impl Heart {
    /// Pings the server, and with `checks` repeats the check of it.
    async fn beat(mut self, checks: bool) {
        let mut check = Instant::now() + server::INTERVAL;
        while !self.condition.is_dead() {
            tokio::time::sleep(HEARTBEAT).await;
            let alive = if !checks || Instant::now() < check {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_bury_a_connection_after_a_while() {
        let start = Instant::now();
        let condition = Condition::default();
        condition.refuse(start);
        condition.refuse(start + REFUSED - Duration::from_millis(1));
        assert!(!condition.is_dead());
        // A success begins the time again.
        assert!(condition.accept());
        assert!(!condition.accept(), "counted twice");
        condition.refuse(start + REFUSED);
        assert!(!condition.is_dead());
        condition.refuse(start + 2 * REFUSED);
        assert!(condition.is_dead());
    }
}
