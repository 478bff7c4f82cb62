//! The builder of a simulator.

use std::{fmt, iter, num::NonZeroUsize, sync::Arc, time::SystemTime};

use tokio::time::Instant;

use super::{
    Simulator, StartError,
    key::SigningKey,
    server::{Host, Servers},
    state::SimulatorState,
};
use crate::clock::Clock;

/// The application id that a simulator issues tokens for by default.
const APPLICATION_ID: &str = "0123456789abcdef0123456789abcdef";

/// Configures a [`Simulator`].
#[must_use = "call start"]
pub struct SimulatorBuilder {
    application_id: String,
    clock: Clock,
    /// The port of the environment's own host, and those of the hosts that serve tenants.
    port: u16,
    tenant_ports: Vec<u16>,
    tenants_at_own_host: bool,
}

impl SimulatorBuilder {
    pub(super) fn new() -> Self {
        let application_id = APPLICATION_ID.to_owned();
        Self {
            application_id,
            clock: Clock::system(),
            port: 0,
            // Two, so that a tenant can move.
            tenant_ports: vec![0; 2],
            tenants_at_own_host: false,
        }
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

    /// Sets a clock that goes with tokio's, for tests that pause it: hours pass in a moment then.
    /// It starts at the present.
    pub fn on_tokio_clock(self) -> Self {
        let (start, began) = (SystemTime::now(), Instant::now());
        self.clock(move || start + began.elapsed())
    }

    /// Sets the number of hosts that serve tenants, on free ports. Default: 2, the least for moving
    /// a tenant.
    pub fn hosts(mut self, hosts: NonZeroUsize) -> Self {
        self.tenant_ports = vec![0; hosts.get()];
        self
    }

    /// Sets the ports of 127.0.0.1; 0 is a free one. The first is the environment's own host's, for
    /// keys and the state API. The others serve tenants, a host each; without any, two free ones
    /// do.
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        let mut ports = ports.into_iter();
        self.port = ports.next().unwrap_or_default();
        self.tenant_ports = ports.collect();
        if self.tenant_ports.is_empty() {
            self.tenant_ports = vec![0; 2];
        }
        self
    }

    /// Serves tenants at the environment's own host too: each is there until it moves.
    ///
    /// No environment of SuperOffice does: a client has to know the host of each tenant. For
    /// clients that can't learn it.
    pub fn tenants_at_own_host(mut self) -> Self {
        self.tenants_at_own_host = true;
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
        for port in iter::once(self.port).chain(self.tenant_ports) {
            hosts.push(Host::bind(port).await?);
        }
        let origins = hosts.iter().map(|host| host.origin.clone()).collect();
        let hosts_of_tenants = usize::from(!self.tenants_at_own_host);
        let state =
            SimulatorState::new(self.clock, self.application_id, origins, hosts_of_tenants, key);
        let state = Arc::new(state);
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
            .field("port", &self.port)
            .field("tenant_ports", &self.tenant_ports)
            .field("tenants_at_own_host", &self.tenants_at_own_host)
            .finish_non_exhaustive()
    }
}
