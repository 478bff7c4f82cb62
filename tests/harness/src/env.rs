//! A gate and its SuperOffice.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::Response;
use tokio::time::Instant;
use tower_superoffice::{
    ChangeType, TenantGate, TenantGateBuilder, TenantId, UnavailableReason,
    notification::EmptyBody,
    pull::PullHealth,
    simulator::{Notification, Simulator},
};

use crate::{gate_builder, post, tenant};

/// A wall clock that gate and simulator share.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// A wall clock that goes with tokio's clock, which a test may pause.
pub fn tokio_clock() -> Clock {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let began = Instant::now();
    Arc::new(move || start + began.elapsed())
}

/// Starts a simulator on `clock`, with three hosts; it announces nothing in advance.
pub async fn simulator_on(clock: &Clock) -> Simulator {
    let (clock, hosts) = (Arc::clone(clock), NonZeroUsize::new(3).expect("three"));
    let simulator = Simulator::builder().hosts(hosts).clock(move || clock()).start().await;
    let simulator = simulator.expect("loopback has free ports");
    simulator.notice(Duration::ZERO);
    simulator
}

/// Starts a simulator whose tenants are at the environment's own host, for gateways without the
/// state API.
pub async fn simulator_at_own_host() -> Simulator {
    let simulator = Simulator::builder().tenants_at_own_host().start().await;
    simulator.expect("loopback has free ports")
}

/// Builds a gate on `clock` that reaches `simulator` without sockets.
pub fn gate_builder_on(simulator: &Simulator, clock: &Clock) -> TenantGateBuilder {
    let clock = Arc::clone(clock);
    gate_builder(simulator).client(simulator.network()).clock(move || clock())
}

/// A simulated SuperOffice, and a gate that it notifies.
pub struct TestEnv {
    /// The simulated SuperOffice.
    pub simulator: Simulator,
    /// A gate that trusts it and receives its notifications.
    pub gate: TenantGate,
    /// The tenant `Cust1`, which most tests are about.
    pub tenant: TenantId,
    /// The wall clock of both.
    pub clock: Clock,
}

impl fmt::Debug for TestEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { simulator, gate, tenant, clock: _ } = self;
        let mut debug = f.debug_struct("TestEnv");
        debug.field("simulator", simulator).field("gate", gate).field("tenant", tenant);
        debug.finish_non_exhaustive()
    }
}

impl TestEnv {
    /// Starts both on loopback and the machine's clock.
    pub async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    /// Starts both as [`new`](Self::new) does, with a gate that `configure` completes.
    pub async fn with(configure: impl FnOnce(TenantGateBuilder) -> TenantGateBuilder) -> Self {
        let simulator = Simulator::start().await.expect("loopback has free ports");
        let builder = configure(gate_builder(&simulator));
        Self::join(simulator, builder, Arc::new(SystemTime::now)).await
    }

    /// Starts both on tokio's clock and without sockets between them: with that clock paused, days
    /// pass in a moment.
    pub async fn on_tokio_clock() -> Self {
        Self::on_tokio_clock_with(|builder| builder).await
    }

    /// Starts both as [`on_tokio_clock`](Self::on_tokio_clock) does, with a gate that `configure`
    /// completes.
    pub async fn on_tokio_clock_with(
        configure: impl FnOnce(TenantGateBuilder) -> TenantGateBuilder,
    ) -> Self {
        let clock = tokio_clock();
        let simulator = simulator_on(&clock).await;
        let builder = configure(gate_builder_on(&simulator, &clock));
        Self::join(simulator, builder, clock).await
    }

    async fn join(simulator: Simulator, builder: TenantGateBuilder, clock: Clock) -> Self {
        let gate = builder.build().await.expect("a valid configuration");
        simulator.notify_service(gate.notification_service());
        Self { simulator, gate, tenant: tenant("Cust1"), clock }
    }

    /// A notification of `change` for [`tenant`](Self#structfield.tenant), not yet sent.
    pub fn notification(&self, change: ChangeType) -> Notification {
        self.simulator.notification(change, &self.tenant)
    }

    /// Posts `body` to the gate.
    pub async fn post(&self, body: impl Into<Bytes>) -> Response<EmptyBody> {
        post(&self.gate, body).await
    }

    /// Another gate on the same clock, without sockets. Notifications still go to the first.
    pub async fn another_gate(
        &self,
        configure: impl FnOnce(TenantGateBuilder) -> TenantGateBuilder,
    ) -> TenantGate {
        let builder = configure(gate_builder_on(&self.simulator, &self.clock));
        builder.build().await.expect("a valid configuration")
    }

    /// The counters of the gate's pulls.
    pub fn pulls(&self) -> PullHealth {
        self.gate.health().pulls().expect("the state API is on").clone()
    }

    /// Why calls to `tenant` are refused; `None` for an open one.
    pub fn reason(&self, tenant: &TenantId) -> Option<UnavailableReason> {
        self.gate.status(tenant).reason()
    }
}
