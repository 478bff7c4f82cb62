//! The builder, with every setting of a gate.

use std::{
    error::Error,
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{Request, Response, Uri};
use http_body::Body;
use tower_service::Service;

use super::{BuildError, TenantGate, config::Config, own_client::ClientSettings, start::start};
use crate::{
    clock::Clock,
    environment::Environment,
    http_client::{EmptyBody, Fetch},
    pull::Schedule,
    status::settle::Settle,
    store::Store,
    token::{KeyError, SigningKeys},
};

/// The default of [`notification_path`](TenantGateBuilder::notification_path).
pub(super) const PATH: &str = "/NotifyCustomerStateChange";

/// The default of [`body_limit`](TenantGateBuilder::body_limit).
pub(super) const BODY_LIMIT: usize = 16 * 1024;

/// The default of [`body_deadline`](TenantGateBuilder::body_deadline).
pub(super) const BODY_DEADLINE: Duration = Duration::from_secs(5);

/// Configures a [`TenantGate`].
///
/// ```
/// use tower_superoffice::{Environment, TenantGate, token::SigningKeys};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let gate = TenantGate::builder(Environment::Production)
///     .audience("my-application-id")
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct TenantGateBuilder {
    pub(super) environment: Environment,
    pub(super) audiences: Vec<String>,
    pub(super) any_audience: bool,
    pub(super) issuers: Vec<String>,
    pub(super) leeway: Duration,
    pub(super) login_tokens: bool,
    /// The given keys, or the error of the first key file that can't be used.
    pub(super) keys: Result<SigningKeys, KeyError>,
    pub(super) key_url: Option<Uri>,
    pub(super) key_max_age: Duration,
    pub(super) fetch: Option<Fetch>,
    pub(super) client_settings: ClientSettings,
    pub(super) path: String,
    pub(super) body_limit: usize,
    pub(super) body_deadline: Duration,
    pub(super) settle: Settle,
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) store_timeout: Duration,
    pub(super) start_without_store: bool,
    pub(super) resume_jitter: Duration,
    pub(super) event_capacity: usize,
    pub(super) state_api: bool,
    pub(super) schedule: Schedule,
    pub(super) close_tracked_until_known: bool,
    #[cfg(feature = "metrics")]
    pub(super) tenant_labels: Option<usize>,
    pub(super) clock: Clock,
}

impl TenantGateBuilder {
    pub(crate) fn new(environment: Environment) -> Self {
        Self {
            environment,
            audiences: Vec::new(),
            any_audience: false,
            issuers: Vec::new(),
            leeway: Duration::from_secs(60),
            login_tokens: false,
            keys: Ok(SigningKeys::default()),
            key_url: None,
            key_max_age: Duration::from_secs(24 * 60 * 60),
            fetch: None,
            client_settings: ClientSettings::default(),
            path: PATH.to_owned(),
            body_limit: BODY_LIMIT,
            body_deadline: BODY_DEADLINE,
            settle: Settle::default(),
            store: None,
            store_timeout: Duration::from_secs(2),
            start_without_store: false,
            resume_jitter: Duration::ZERO,
            event_capacity: 1024,
            state_api: true,
            schedule: Schedule::default(),
            close_tracked_until_known: false,
            #[cfg(feature = "metrics")]
            tenant_labels: None,
            clock: Clock::system(),
        }
    }

    /// Accepts notifications for this application id. May be called several times.
    ///
    /// The comparison ignores case, and accepts `spn:` + id too. An application has another id in
    /// each environment.
    pub fn audience(mut self, application_id: impl Into<String>) -> Self {
        self.audiences.push(application_id.into());
        self
    }

    /// Accepts notifications for any application.
    ///
    /// A token that SuperOffice issued for *another* application is then accepted like one for
    /// yours. Use it only to get started on a development tenant, or where tokens have no usable
    /// audience.
    pub fn any_audience(mut self) -> Self {
        self.any_audience = true;
        self
    }

    /// Accepts notifications of this issuer too, besides [those of the
    /// environment](Environment::issuers).
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Sets the tolerated difference between SuperOffice's clock and this machine's. The default is
    /// 60 s, the maximum 300 s.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Accepts tokens that speak for a person as if they were a notification's: `false` by default.
    ///
    /// Each login to SuperOffice yields a token with the same key, issuer, audience and tenant, and
    /// it passes through the user's browser. With `true`, every user of a tenant can open and close
    /// that tenant here. Which claims a notification's token carries is not documented: switch this
    /// on only if SuperOffice's own notifications are refused because
    /// `the token speaks for a person`. Without it little is lost while the state API is on: each
    /// such refusal requests a pull of the tenant.
    pub fn login_tokens(mut self, accept: bool) -> Self {
        self.login_tokens = accept;
        self
    }

    /// Verifies notifications with these keys. May be called several times.
    ///
    /// No keys are fetched then, unless [`key_url`](Self::key_url) is set too.
    pub fn signing_keys(mut self, keys: SigningKeys) -> Self {
        self.keys = self.keys.map(|own| own.and(keys));
        self
    }

    /// Like [`signing_keys`](Self::signing_keys), with a certificate, public key or key set from a
    /// file.
    ///
    /// The file is read at once. [`build`](Self::build) fails with [`BuildError::Keys`] when it
    /// can't be read, or contains no usable key.
    pub fn key_file(mut self, path: impl AsRef<Path>) -> Self {
        let keys = self.keys.and_then(|own| Ok(own.and(SigningKeys::from_file(path)?)));
        self.keys = keys;
        self
    }

    /// Fetches keys from this URL instead of the environment's [key URL](Environment::key_url), in
    /// addition to any [`signing_keys`](Self::signing_keys).
    pub fn key_url(mut self, url: Uri) -> Self {
        self.key_url = Some(url);
        self
    }

    /// Sets how long fetched keys are used while their URL is unreachable. The default is 24 h, the
    /// minimum 10 minutes.
    ///
    /// Keys are fetched at least every 10 minutes: with a shorter age there would be times without
    /// keys.
    pub fn key_max_age(mut self, max_age: Duration) -> Self {
        self.key_max_age = max_age;
        self
    }

    /// Sends the gate's own requests (for keys and pulls) with this client instead of the built-in
    /// one.
    ///
    /// It must not follow redirects. The gate itself limits time and size.
    pub fn client<S, B>(mut self, client: S) -> Self
    where
        S: Service<Request<EmptyBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.fetch = Some(Fetch::new(client));
        self
    }

    /// Sets the path of the [`NotificationLayer`](crate::NotificationLayer). The default is
    /// `/NotifyCustomerStateChange`.
    pub fn notification_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the maximum size of a notification, in bytes. The default is 16 KiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sets the time within which the whole body of a notification must arrive. The default is 5 s.
    pub fn body_deadline(mut self, deadline: Duration) -> Self {
        self.body_deadline = deadline;
        self
    }

    /// Sets how long the state API may lag behind a Suspend, Resume or Delete. The default is 60 s.
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle.usual = settle;
        self
    }

    /// Sets how long a tenant may still be running after an Upgrade was announced. The default is
    /// 900 s.
    pub fn upgrade_settle(mut self, settle: Duration) -> Self {
        self.settle.upgrade = settle;
        self
    }

    /// Keeps the records of tenants in `store`, so that they survive restarts and reach other
    /// replicas. By default they are kept in memory only.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Sets how long a notification waits to be stored before it is answered with 503. The default
    /// is 2 s.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        self
    }

    /// Starts even when the store can't be reached: every tenant is open until it can. An error
    /// that a retry can't fix, such as a wrong password or a damaged file, fails the start all the
    /// same.
    pub fn start_without_store(mut self, start: bool) -> Self {
        self.start_without_store = start;
        self
    }

    /// Spreads the wake-up of callers that wait for a tenant over this time after it opens. The
    /// default is 0: all at once.
    pub fn resume_jitter(mut self, jitter: Duration) -> Self {
        self.resume_jitter = jitter;
        self
    }

    /// Sets the number of events that a receiver of [`TenantGate::events`] may lag. The default is
    /// 1024, the maximum 65,536.
    pub fn event_capacity(mut self, events: usize) -> Self {
        self.event_capacity = events;
        self
    }

    /// Sets whether tenants are pulled from the state API, to confirm and correct notifications.
    /// The default is `true`.
    pub fn state_api(mut self, enabled: bool) -> Self {
        self.state_api = enabled;
        self
    }

    /// Sets how often tenants are pulled.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Keeps [tracked](TenantGate::track) tenants closed, as not ready, until they have a record.
    /// By default they are open until then.
    pub fn close_tracked_until_known(mut self) -> Self {
        self.close_tracked_until_known = true;
        self
    }

    /// Adds the label `tenant` to the [metrics](crate::metrics) of refused and observed calls, for
    /// the first `max` closed tenants that are called. All others share the value `other`. By
    /// default there is no such label.
    ///
    /// Each tenant is a series for each reason, in the exporter and wherever it is stored: keep the
    /// number small.
    #[cfg(feature = "metrics")]
    pub fn tenant_labels(mut self, max: usize) -> Self {
        self.tenant_labels = Some(max);
        self
    }

    /// Reads the wall time from `now` instead of the system's clock, for tests.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// Checks the configuration, loads the store and starts the gate's tasks.
    ///
    /// It never waits for SuperOffice: keys are fetched in the background.
    ///
    /// # Errors
    ///
    /// When the configuration is invalid, or the store can't be loaded: see [`BuildError`].
    pub async fn build(self) -> Result<TenantGate, BuildError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(BuildError::NoRuntime);
        }
        start(Config::parse(self)?).await
    }
}

impl fmt::Debug for TenantGateBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantGateBuilder")
            .field("environment", &self.environment)
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}
