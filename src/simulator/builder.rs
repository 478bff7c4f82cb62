//! The builder of a simulator.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::SystemTime};

use super::{
    Simulator, StartError,
    key::SigningKey,
    server::{Host, Servers},
    state::SimulatorState,
};
use crate::clock::Clock;

/// The application id that a simulator issues tokens for by default.
const APPLICATION_ID: &str = "0123456789abcdef0123456789abcdef";

/// Two hosts, so that a tenant can move.
const FREE_PORTS: [u16; 2] = [0; 2];

/// Configures a [`Simulator`].
#[must_use = "call start"]
pub struct SimulatorBuilder {
    application_id: String,
    clock: Clock,
    /// One for each host.
    ports: Vec<u16>,
}

impl SimulatorBuilder {
    pub(super) fn new() -> Self {
        let application_id = APPLICATION_ID.to_owned();
        Self { application_id, clock: Clock::system(), ports: FREE_PORTS.to_vec() }
    }

    /// Sets the application id of the tokens. Default: one of the simulator's own.
    pub fn application_id(mut self, id: impl Into<String>) -> Self {
        self.application_id = id.into();
        self
    }

    /// Sets the clock that dates tokens and `ValidUntil`. Default: the system's clock.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// Sets the number of hosts that serve tenants, on free ports. Default: 2, the least for moving
    /// a tenant.
    pub fn hosts(mut self, hosts: NonZeroUsize) -> Self {
        self.ports = vec![0; hosts.get()];
        self
    }

    /// Sets the ports of 127.0.0.1 that tenants are served on, a host each; 0 is a free one.
    /// Default, and when there is none: two free ones.
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.ports = ports.into_iter().collect();
        if self.ports.is_empty() {
            self.ports = FREE_PORTS.to_vec();
        }
        self
    }

    /// Makes a key and starts to listen. It must be called in a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no port can be listened on, or no key can be made.
    pub async fn start(self) -> Result<Simulator, StartError> {
        let key = generate().await?;
        let mut hosts = Vec::new();
        for port in self.ports {
            hosts.push(Host::bind(port).await?);
        }
        let origins = hosts.iter().map(|host| host.origin.clone()).collect();
        let state = Arc::new(SimulatorState::new(self.clock, self.application_id, origins, key));
        let servers = Arc::new(Servers::serve(hosts, &state));
        Ok(Simulator::new(state, servers))
    }
}

/// Makes a key on a thread where its tenth of a second of computing blocks no task.
pub(super) async fn generate() -> Result<SigningKey, StartError> {
    tokio::task::spawn_blocking(SigningKey::generate)
        .await
        .unwrap_or_else(|_| Err(StartError::key()))
}

impl fmt::Debug for SimulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorBuilder")
            .field("application_id", &self.application_id)
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}
