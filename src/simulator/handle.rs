//! The handle of a running simulator.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, Uri};
use tower_service::Service;

use super::{
    Change, ClosedCall, Fault, Network, Notification, NotifyError, SimulatorBody, SimulatorBuilder,
    StartError, builder,
    routes::key_set,
    sender::Receiver,
    server::Servers,
    tenants::{Shown, Tenant},
    world::World,
};
use crate::{ChangeType, Environment, TenantId, status::State};

/// A SuperOffice on loopback: see the [module](super).
///
/// A handle is cheap to clone. Servers and connections end when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Simulator {
    world: Arc<World>,
    _servers: Arc<Servers>,
}

/// Where it is and what an application must know of it.
impl Simulator {
    /// Starts one with the defaults. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no port can be listened on, or no key can be made.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Sets one up.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder::new()
    }

    pub(super) fn new(world: Arc<World>, servers: Arc<Servers>) -> Self {
        Self { world, _servers: servers }
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// The environment to build a gate for.
    #[must_use]
    pub fn environment(&self) -> Environment {
        Environment::custom(self.world.hosts.first().cloned().unwrap_or_default())
    }

    /// The application id: the audience of every notification.
    #[must_use]
    pub fn application_id(&self) -> &str {
        &self.world.application_id
    }

    /// The origins of the hosts that serve tenants. The first is the environment's own.
    #[must_use]
    pub fn hosts(&self) -> &[Uri] {
        &self.world.hosts
    }

    /// The certificate of the present key, as PEM. It is an X.509 certificate of version 1, like
    /// SuperOffice's.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.world.lock().key.certificate_pem()
    }

    /// The published key set, as JSON.
    #[must_use]
    pub fn key_set(&self) -> String {
        key_set(&self.world.lock()).to_string()
    }

    /// `path` of `tenant` on the host that serves it now: `http://127.0.0.1:4711/Cust1/api/v1`.
    #[must_use]
    pub fn url(&self, tenant: &TenantId, path: &str) -> String {
        let home = self.tenant(tenant).now().home;
        format!("{}/{tenant}/{}", self.world.origin(home), path.trim_start_matches('/'))
    }

    /// An HTTP client that reaches the simulator without sockets, for tests with tokio's paused clock.
    #[must_use]
    pub fn network(&self) -> Network {
        Network(self.clone())
    }
}

/// Notifications.
impl Simulator {
    /// Registers the application's State Change URL, in place of the one before. http only.
    pub fn notify_to(&self, url: Uri) {
        self.world.lock().receiver = Some(Receiver::url(url));
    }

    /// Registers a receiver in this process, in place of the one before.
    ///
    /// Takes a gate's notification service, an axum router, or any other such service. It is called
    /// with the path `/`.
    pub fn notify_service<S, B>(&self, service: S)
    where
        S: Service<Request<SimulatorBody>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        self.world.lock().receiver = Some(Receiver::service(service));
    }

    /// Makes up a notification. Nothing is sent, and the tenant stays as it is.
    ///
    /// Each notification of a tenant is dated at least a second after the one before, because
    /// receivers tell them apart by the second. After 60 quick ones the dates would run too far
    /// ahead: then they repeat until the clock has caught up, unless a test brings a clock of its own.
    pub fn notification(&self, change: ChangeType, tenant: &TenantId) -> Notification {
        Notification::new(&self.world, change, tenant)
    }

    /// Posts a notification of `change`; the tenant stays as it is. Returns the receiver's answer.
    ///
    /// # Errors
    ///
    /// When no State Change URL is registered, or the receiver does not answer.
    pub async fn notify(
        &self,
        change: ChangeType,
        tenant: &TenantId,
    ) -> Result<StatusCode, NotifyError> {
        self.notification(change, tenant).send().await
    }
}

/// What happens to tenants. Every tenant exists, and runs on the first host, until told otherwise.
impl Simulator {
    /// Upgrades the tenant: `OfflineMaintenance`, until it is resumed.
    pub fn upgrade(&self, tenant: &TenantId) -> Change {
        Change::closes(&self.world, tenant, ChangeType::Upgrade, State::OfflineMaintenance)
    }

    /// Suspends the tenant, until it is resumed.
    pub fn suspend(&self, tenant: &TenantId) -> Change {
        Change::closes(&self.world, tenant, ChangeType::Suspend, State::Suspended)
    }

    /// Resumes the tenant: `Running`.
    pub fn resume(&self, tenant: &TenantId) -> Change {
        Change::opens(&self.world, tenant)
    }

    /// Deletes the tenant.
    pub fn delete(&self, tenant: &TenantId) -> Change {
        Change::closes(&self.world, tenant, ChangeType::Delete, State::Deleted)
    }

    /// Restores the tenant from a backup. Its state stays as it is.
    pub fn restore(&self, tenant: &TenantId) -> Change {
        Change::restores(&self.world, tenant)
    }

    /// Moves the tenant to the next of the [`hosts`](Self::hosts). The one it leaves answers 421.
    pub fn move_tenant(&self, tenant: &TenantId) -> Change {
        Change::moves(&self.world, tenant)
    }

    /// Puts the tenant in this state at once, and tells nobody.
    pub fn set_state(&self, tenant: &TenantId, state: State) {
        self.put(tenant, state.into());
    }

    /// Puts the tenant in a state that this crate does not know, such as `Unknown` or one that
    /// SuperOffice may add, at once, and tells nobody.
    pub fn set_unlisted_state(&self, tenant: &TenantId, name: &str, is_running: bool) {
        self.put(tenant, Shown { name: name.to_owned(), running: is_running });
    }

    fn put(&self, tenant: &TenantId, state: Shown) {
        let now = self.world.clock.unix_ms();
        self.world.lock().tenants.with(tenant, |tenant| {
            let home = tenant.now().home;
            tenant.set(now, state, home);
        });
    }

    /// How long a closing change is announced before it takes effect. Default: 100 ms.
    pub fn notice(&self, notice: Duration) {
        self.world.lock().notice = notice;
    }

    /// What a closed tenant answers. Default: 503. What SuperOffice answers is not documented.
    pub fn closed_tenants_answer(&self, status: StatusCode) {
        self.world.lock().closed_status = status;
    }
}

/// Faults.
impl Simulator {
    /// Makes the key URL misbehave.
    pub fn key_server(&self, fault: Fault) {
        self.world.lock().key_fault = fault;
    }

    /// Makes the state API misbehave.
    pub fn state_api(&self, fault: Fault) {
        self.world.lock().state_fault = fault;
    }

    /// Makes the state API answer how things were this long ago. The last 64 changes of a tenant are
    /// remembered for it.
    pub fn state_api_lag(&self, lag: Duration) {
        self.world.lock().state_lag = lag;
    }

    /// How far ahead the state API's `ValidUntil` lies. Default: 10 s. SuperOffice's is not documented.
    pub fn state_validity(&self, validity: Duration) {
        self.world.lock().state_validity = validity;
    }

    /// Signs with a new key from now on. The old ones (the newest 8 of them) stay published until
    /// they are [retired](Self::retire_old_keys).
    ///
    /// # Errors
    ///
    /// When no key can be made.
    pub async fn rotate_key(&self) -> Result<(), StartError> {
        let key = Arc::new(builder::generate().await?);
        let mut inner = self.world.lock();
        let old = std::mem::replace(&mut inner.key, key);
        inner.old_keys.insert(0, old);
        inner.old_keys.truncate(8);
        Ok(())
    }

    /// Publishes the present key only.
    pub fn retire_old_keys(&self) {
        self.world.lock().old_keys.clear();
    }
}

/// What was counted.
impl Simulator {
    /// Calls that reached the tenant on its own host, closed or not.
    #[must_use]
    pub fn calls(&self, tenant: &TenantId) -> u64 {
        self.tenant(tenant).calls
    }

    /// Calls that reached any tenant on its own host.
    #[must_use]
    pub fn all_calls(&self) -> u64 {
        self.world.lock().tenants.calls
    }

    /// Calls that reached a tenant while it was closed. A gate is there to keep this at 0.
    #[must_use]
    pub fn calls_while_closed(&self) -> u64 {
        self.world.lock().tenants.calls_while_closed
    }

    /// The latest 1,000 of the calls that reached a tenant while it was closed, oldest first.
    #[must_use]
    pub fn closed_calls(&self) -> Vec<ClosedCall> {
        self.world.lock().tenants.closed_calls()
    }

    /// Calls for the tenant that went to a host that does not serve it, and got 421.
    #[must_use]
    pub fn misdirected_calls(&self, tenant: &TenantId) -> u64 {
        self.tenant(tenant).misdirected
    }

    /// Questions to the state API about the tenant.
    #[must_use]
    pub fn state_requests(&self, tenant: &TenantId) -> u64 {
        self.tenant(tenant).state_requests
    }

    /// Questions to the state API about any tenant.
    #[must_use]
    pub fn all_state_requests(&self) -> u64 {
        self.world.lock().state_requests
    }

    /// Requests to the key URL.
    #[must_use]
    pub fn key_requests(&self) -> u64 {
        self.world.lock().key_requests
    }

    fn tenant(&self, tenant: &TenantId) -> Tenant {
        self.world.lock().tenants.get(tenant)
    }
}
