//! The handle of a running simulator.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use http::{Request, Response, StatusCode, Uri};
use tower_service::Service;

use super::{
    Change, ClosedCall, Fault, Network, Notification, NotifyError, SimulatorBody, SimulatorBuilder,
    StartError, TenantSummary, builder,
    control::Control,
    routes::key_set,
    sender::Receiver,
    server::Servers,
    state::SimulatorState,
    tenants::{ReportedState, Tenant},
};
use crate::{ChangeType, Environment, TenantGate, TenantGateBuilder, TenantId, status::State};

/// A SuperOffice on loopback: see the [module](super).
///
/// A handle is cheap to clone. Servers and connections end when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Simulator {
    state: Arc<SimulatorState>,
    _servers: Arc<Servers>,
}

/// Addresses and settings.
impl Simulator {
    /// Starts one with the defaults. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no port can be listened on, or no key can be made.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Starts to configure one.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder::new()
    }

    pub(super) fn new(state: Arc<SimulatorState>, servers: Arc<Servers>) -> Self {
        Self { state, _servers: servers }
    }

    pub(super) fn state(&self) -> &SimulatorState {
        &self.state
    }

    /// Returns the environment to build a gate for.
    #[must_use]
    pub fn environment(&self) -> Environment {
        Environment::custom(self.state.hosts.first().cloned().unwrap_or_default())
    }

    /// Returns a builder of a gate that is set up for this simulator: its environment and
    /// application id, its clock, and its [`network`](Self::network) for the gate's own requests,
    /// so that no socket is needed.
    ///
    /// With tokio's clock paused, start the simulator
    /// [on tokio's clock](SimulatorBuilder::on_tokio_clock).
    pub fn gate(&self) -> TenantGateBuilder {
        let clock = self.state.clock.clone();
        TenantGate::builder(self.environment())
            .audience(self.application_id())
            .client(self.network())
            .clock(move || UNIX_EPOCH + Duration::from_millis(clock.unix_ms()))
    }

    /// Returns the application id: the audience of every notification.
    #[must_use]
    pub fn application_id(&self) -> &str {
        &self.state.application_id
    }

    /// Returns the origins of the hosts that serve tenants. Each tenant is at the first until it
    /// moves. The environment's own host, with the keys and the state API, is not among them: see
    /// [`environment`](Self::environment).
    #[must_use]
    pub fn hosts(&self) -> &[Uri] {
        self.state.hosts.get(self.state.first_home..).unwrap_or_default()
    }

    /// Returns the certificate of the present key, as PEM: X.509 version 1, like SuperOffice's.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.state.lock().key.certificate_pem()
    }

    /// Returns the published key set, as JSON.
    #[must_use]
    pub fn key_set(&self) -> String {
        key_set(&self.state.lock()).to_string()
    }

    /// Returns the URL of `path` at the tenant's present host:
    /// `http://127.0.0.1:4711/Cust1/api/v1`.
    #[must_use]
    pub fn url(&self, tenant: &TenantId, path: &str) -> String {
        let home = self.tenant(tenant).now().home;
        format!("{}/{tenant}/{}", self.state.origin(home), path.trim_start_matches('/'))
    }

    /// Returns an HTTP client that reaches the simulator without sockets, for tests with tokio's
    /// paused clock.
    #[must_use]
    pub fn network(&self) -> Network {
        Network(self.clone())
    }

    /// Registers a service in this process that answers for `/` and for all below `/simulator` at
    /// the environment's own host, replacing the one before: for a program that lets people drive
    /// the simulator. The bodies of its requests are at most 64 KiB.
    ///
    /// Without it there is nothing at `/`, and `simulator` is a tenant as any other. A service that
    /// holds a handle of this simulator keeps it running.
    pub fn control_service<S>(&self, service: S)
    where
        S: Service<Request<SimulatorBody>, Response = Response<SimulatorBody>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        self.state.lock().control = Some(Control::from_service(service));
    }
}

/// Notifications.
impl Simulator {
    /// Registers the application's State Change URL, replacing the one before. http only.
    pub fn notify_to(&self, url: Uri) {
        self.state.lock().receiver = Some(Receiver::from_url(url));
    }

    /// Registers a receiver in this process, replacing the one before.
    ///
    /// Takes a gate's notification service, or any other such service. It is called with the path
    /// `/`: for a whole app see [`notify_service_at`](Self::notify_service_at).
    pub fn notify_service<S, B>(&self, service: S)
    where
        S: Service<Request<SimulatorBody>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        self.notify_service_at("/", service);
    }

    /// Registers a whole app in this process as the receiver, such as an axum router, replacing the
    /// one before. It is called with `path`: the one that the notification route is mounted at.
    ///
    /// # Panics
    ///
    /// When `path` is no path: write `/NotifyCustomerStateChange`.
    pub fn notify_service_at<S, B>(&self, path: &str, service: S)
    where
        S: Service<Request<SimulatorBody>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        let path = Uri::try_from(path).ok().filter(|uri| uri.path().starts_with('/'));
        #[expect(clippy::expect_used, reason = "documented, and for tests")]
        let path = path.expect("a path that begins with a slash");
        self.state.lock().receiver = Some(Receiver::from_service(path, service));
    }

    /// Makes a notification. Nothing is sent, and the tenant stays as it is.
    ///
    /// Each notification of a tenant is dated at least a second after the one before, because
    /// receivers distinguish them by the second. After 60 quick ones the dates would run too far
    /// ahead: then they repeat until the clock has caught up, unless a test sets the clock.
    pub fn notification(&self, change: ChangeType, tenant: &TenantId) -> Notification {
        Notification::new(&self.state, change, tenant)
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

/// Changes of tenants. Every tenant exists, and runs on the first of the [`hosts`](Self::hosts)
/// until it is changed.
impl Simulator {
    /// Upgrades the tenant: `OfflineMaintenance`, until it is resumed.
    pub fn upgrade(&self, tenant: &TenantId) -> Change {
        Change::closes(&self.state, tenant, ChangeType::Upgrade, State::OfflineMaintenance)
    }

    /// Suspends the tenant, until it is resumed.
    pub fn suspend(&self, tenant: &TenantId) -> Change {
        Change::closes(&self.state, tenant, ChangeType::Suspend, State::Suspended)
    }

    /// Resumes the tenant: `Running`.
    pub fn resume(&self, tenant: &TenantId) -> Change {
        Change::opens(&self.state, tenant)
    }

    /// Deletes the tenant.
    pub fn delete(&self, tenant: &TenantId) -> Change {
        Change::closes(&self.state, tenant, ChangeType::Delete, State::Deleted)
    }

    /// Restores the tenant from a backup. Its state stays as it is.
    pub fn restore(&self, tenant: &TenantId) -> Change {
        Change::restores(&self.state, tenant)
    }

    /// Moves the tenant to the next of the [`hosts`](Self::hosts). The one it leaves answers 421.
    pub fn move_tenant(&self, tenant: &TenantId) -> Change {
        Change::moves(&self.state, tenant)
    }

    /// Puts the tenant in this state at once, without a notification.
    pub fn set_state(&self, tenant: &TenantId, state: State) {
        self.set_reported_state(tenant, state.into());
    }

    /// Puts the tenant in a state that this crate does not know, such as `Unknown` or one that
    /// SuperOffice may add, at once, without a notification.
    pub fn set_unlisted_state(&self, tenant: &TenantId, name: &str, is_running: bool) {
        self.set_reported_state(
            tenant,
            ReportedState { name: name.to_owned(), running: is_running },
        );
    }

    fn set_reported_state(&self, tenant: &TenantId, state: ReportedState) {
        let now = self.state.clock.unix_ms();
        self.state.lock().tenants.with(tenant, |tenant| {
            let home = tenant.now().home;
            tenant.set(now, state, home);
        });
    }

    /// Sets how long a closing change is announced before it takes effect. Default: 100 ms.
    pub fn notice(&self, notice: Duration) {
        self.state.lock().notice = notice;
    }

    /// Sets the answer of closed tenants. Default: 503. SuperOffice's is not documented.
    pub fn closed_tenants_answer(&self, status: StatusCode) {
        self.state.lock().closed_status = status;
    }
}

/// Faults.
impl Simulator {
    /// Sets the fault of the key URL.
    pub fn key_server(&self, fault: Fault) {
        self.state.lock().key_fault = fault;
    }

    /// Sets the fault of the state API.
    pub fn state_api(&self, fault: Fault) {
        self.state.lock().state_fault = fault;
    }

    /// Sets the fault of all hosts that serve tenants: calls that reach their tenant get its
    /// answer. They are counted as usual.
    pub fn tenant_hosts(&self, fault: Fault) {
        self.state.lock().tenant_fault = fault;
    }

    /// Makes the state API report the states of this long ago. The last 64 changes of a tenant are
    /// kept for it.
    pub fn state_api_lag(&self, lag: Duration) {
        self.state.lock().state_lag = lag;
    }

    /// Sets how far ahead the state API's `ValidUntil` lies. Default: 10 s. SuperOffice's is not
    /// documented.
    pub fn state_validity(&self, validity: Duration) {
        self.state.lock().state_validity = validity;
    }

    /// Signs with a new key from now on. The old ones (the newest 8 of them) stay published until
    /// they are [retired](Self::retire_old_keys).
    ///
    /// # Errors
    ///
    /// When no key can be made.
    pub async fn rotate_key(&self) -> Result<(), StartError> {
        let key = Arc::new(builder::generate().await?);
        let mut live = self.state.lock();
        let old = std::mem::replace(&mut live.key, key);
        live.old_keys.insert(0, old);
        live.old_keys.truncate(8);
        Ok(())
    }

    /// Publishes the present key only.
    pub fn retire_old_keys(&self) {
        self.state.lock().old_keys.clear();
    }
}

/// Tenants and counters.
impl Simulator {
    /// Returns the tenants that were called, pulled or changed so far, in the order of their ids.
    /// All others exist too, and run.
    #[must_use]
    pub fn tenants(&self) -> Vec<TenantSummary> {
        let known: Vec<Tenant> = self.state.lock().tenants.known().cloned().collect();
        let mut known: Vec<_> = known.iter().map(|tenant| self.summarize(tenant)).collect();
        known.sort_by(|one, other| one.id().as_str().cmp(other.id().as_str()));
        known
    }

    /// Returns what is known of one tenant.
    #[must_use]
    pub fn tenant_summary(&self, tenant: &TenantId) -> TenantSummary {
        self.summarize(&self.tenant(tenant))
    }

    fn summarize(&self, tenant: &Tenant) -> TenantSummary {
        TenantSummary::new(tenant, self.state.authority(tenant.now().home))
    }

    /// Returns the number of calls that reached the tenant on its own host, closed or not.
    #[must_use]
    pub fn calls(&self, tenant: &TenantId) -> u64 {
        self.tenant(tenant).calls
    }

    /// Returns the number of calls that reached any tenant on its own host.
    #[must_use]
    pub fn all_calls(&self) -> u64 {
        self.state.lock().tenants.calls
    }

    /// Returns the number of calls that reached a tenant while it was closed. A gate has to keep it
    /// at 0.
    #[must_use]
    pub fn calls_while_closed(&self) -> u64 {
        self.state.lock().tenants.calls_while_closed
    }

    /// Returns the latest 1,000 of the calls that reached a tenant while it was closed, oldest
    /// first.
    #[must_use]
    pub fn closed_calls(&self) -> Vec<ClosedCall> {
        self.state.lock().tenants.closed_calls()
    }

    /// Returns the number of calls for the tenant that reached a host that does not serve it, and
    /// got 421.
    #[must_use]
    pub fn misdirected_calls(&self, tenant: &TenantId) -> u64 {
        self.tenant(tenant).misdirected
    }

    /// Returns the number of requests to the state API about the tenant.
    #[must_use]
    pub fn state_requests(&self, tenant: &TenantId) -> u64 {
        self.tenant(tenant).state_requests
    }

    /// Returns the number of requests to the state API about any tenant.
    #[must_use]
    pub fn all_state_requests(&self) -> u64 {
        self.state.lock().state_requests
    }

    /// Returns the number of requests to the key URL.
    #[must_use]
    pub fn key_requests(&self) -> u64 {
        self.state.lock().key_requests
    }

    fn tenant(&self, tenant: &TenantId) -> Tenant {
        self.state.lock().tenants.get(tenant)
    }
}
