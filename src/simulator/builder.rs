//! Starting a simulator.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::SystemTime};

use super::{
    Simulator, StartError,
    key::SigningKey,
    server::{Host, Servers},
    world::World,
};
use crate::clock::Clock;

/// The application id that a simulator issues tokens for, unless told otherwise.
const APPLICATION_ID: &str = "0123456789abcdef0123456789abcdef";

/// Sets up a [`Simulator`].
#[must_use = "call start"]
pub struct SimulatorBuilder {
    application_id: String,
    clock: Clock,
    hosts: NonZeroUsize,
}

impl SimulatorBuilder {
    pub(super) fn new() -> Self {
        let hosts = NonZeroUsize::MIN.saturating_add(1);
        Self { application_id: APPLICATION_ID.to_owned(), clock: Clock::system(), hosts }
    }

    /// Issues tokens for this application id. Default: one of the simulator's own.
    pub fn application_id(mut self, id: impl Into<String>) -> Self {
        self.application_id = id.into();
        self
    }

    /// Tells the time: tokens are dated by it and `ValidUntil` is reckoned from it. Default: the
    /// system's clock.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// How many hosts serve tenants. Default: 2, which is what it takes to move a tenant.
    pub fn hosts(mut self, hosts: NonZeroUsize) -> Self {
        self.hosts = hosts;
        self
    }

    /// Makes a key and begins to listen. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no port can be listened on, or no key can be made.
    pub async fn start(self) -> Result<Simulator, StartError> {
        let key = generate().await?;
        let mut hosts = Vec::new();
        for _ in 0..self.hosts.get() {
            hosts.push(Host::bind().await?);
        }
        let origins = hosts.iter().map(|host| host.origin.clone()).collect();
        let world = Arc::new(World::new(self.clock, self.application_id, origins, key));
        let servers = Arc::new(Servers::serve(hosts, &world));
        Ok(Simulator::new(world, servers))
    }
}

/// Makes a key where its tenth of a second of computing holds up nobody.
pub(super) async fn generate() -> Result<SigningKey, StartError> {
    tokio::task::spawn_blocking(SigningKey::generate)
        .await
        .unwrap_or_else(|_| Err(StartError::key()))
}

impl fmt::Debug for SimulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorBuilder")
            .field("application_id", &self.application_id)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}
