//! A builder's settings, parsed into what can't be wrong.

use std::{sync::Arc, time::Duration};

use http::Uri;

use super::{BuildError, TenantGateBuilder, own_client::own_client};
use crate::{
    clock::Clock,
    environment::Environment,
    http_client::{Fetch, is_fetchable},
    notification::{Limits, NotificationPath},
    pull::Schedule,
    status::settle::Settle,
    store::Store,
    token::{Audiences, Leeway, RemoteKeys, VerifierConfig},
};

/// The parsed settings of a gate. Each is valid, and no time in it is so long that it overflows.
pub(super) struct Config {
    pub(super) environment: Environment,
    pub(super) clock: Clock,
    pub(super) verifier: VerifierConfig,
    pub(super) notification_path: NotificationPath,
    pub(super) limits: Limits,
    pub(super) settle: Settle,
    /// `None` while the state API is off.
    pub(super) pulls: Option<PullConfig>,
    pub(super) close_tracked_until_known: bool,
    pub(super) store: Option<StoreConfig>,
    pub(super) event_capacity: usize,
    pub(super) resume_jitter: Duration,
    #[cfg(feature = "metrics")]
    pub(super) tenant_labels: Option<usize>,
}

pub(super) struct PullConfig {
    pub(super) fetch: Fetch,
    pub(super) schedule: Schedule,
}

pub(super) struct StoreConfig {
    pub(super) store: Arc<dyn Store>,
    pub(super) timeout: Duration,
    /// Whether the gate starts while the store is unavailable.
    pub(super) optional: bool,
}

/// The limit to which longer times are cut: it is as good as for ever, and can be added to any
/// time.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The least age up to which fetched keys are used: they are fetched at least as often.
const LEAST_KEY_AGE: Duration = Duration::from_secs(600);

/// The largest capacity for events. The memory for all of them is taken at once.
const MOST_EVENTS: usize = 65_536;

impl Config {
    /// Parses the settings of `builder`.
    ///
    /// # Errors
    ///
    /// The first setting that is invalid, or contradicts another.
    pub(super) fn parse(builder: TenantGateBuilder) -> Result<Self, BuildError> {
        let clock = builder.clock.clone().started();
        let audience = audiences(builder.audiences, builder.any_audience)?;
        let environment = environment(builder.environment)?;
        let key_url = builder.key_url.map(key_url).transpose()?;
        let leeway = Leeway::new(builder.leeway).ok_or(BuildError::Leeway)?;
        let notification_path =
            NotificationPath::parse(&builder.path).ok_or(BuildError::NotificationPath)?;
        let keys = builder.keys.map_err(BuildError::Keys)?;

        let client = own_client(builder.fetch, builder.client_settings)?;
        let fetch = || Ok(client()?.with_clock(clock.clone()));
        let key_url = key_url.or_else(|| keys.is_empty().then(|| environment.key_url()));
        let max_age = builder.key_max_age.clamp(LEAST_KEY_AGE, LONGEST);
        let remote = |url| Ok(RemoteKeys { url, fetch: fetch()?, max_age });
        let mut issuers = environment.issuers();
        issuers.extend(builder.issuers);
        let verifier = VerifierConfig {
            issuers,
            audience,
            leeway,
            login_tokens: builder.login_tokens,
            keys,
            remote: key_url.map(remote).transpose()?,
            clock: clock.clone(),
        };
        let schedule = builder.schedule;
        let pulls = builder.state_api.then(|| Ok(PullConfig { fetch: fetch()?, schedule }));
        let Settle { usual, upgrade } = builder.settle;
        let (timeout, optional) = (builder.store_timeout.min(LONGEST), builder.start_without_store);
        if let Some(store) = builder.store.as_ref().and_then(|store| store.environment())
            && store != environment.name()
        {
            let (store, gate) = (store.to_owned(), environment.name());
            return Err(BuildError::StoreEnvironment { store, gate });
        }
        Ok(Self {
            verifier,
            notification_path,
            limits: Limits {
                size: builder.body_limit,
                deadline: builder.body_deadline.min(LONGEST),
            },
            settle: Settle { usual: usual.min(LONGEST), upgrade: upgrade.min(LONGEST) },
            pulls: pulls.transpose()?,
            close_tracked_until_known: builder.close_tracked_until_known,
            store: builder.store.map(|store| StoreConfig { store, timeout, optional }),
            event_capacity: builder.event_capacity.clamp(1, MOST_EVENTS),
            resume_jitter: builder.resume_jitter.min(LONGEST),
            #[cfg(feature = "metrics")]
            tenant_labels: builder.tenant_labels,
            environment,
            clock,
        })
    }
}

fn audiences(ids: Vec<String>, any: bool) -> Result<Audiences, BuildError> {
    match (ids.is_empty(), any) {
        (true, false) => Err(BuildError::NoAudience),
        (false, true) => Err(BuildError::TwoAudiences),
        (true, true) => Ok(Audiences::any()),
        (false, false) => Audiences::one_of(ids).ok_or(BuildError::EmptyAudience),
    }
}

fn environment(environment: Environment) -> Result<Environment, BuildError> {
    match environment.fault() {
        Some(fault) => Err(BuildError::Environment(fault)),
        None => Ok(environment),
    }
}

fn key_url(url: Uri) -> Result<Uri, BuildError> {
    if is_fetchable(&url) { Ok(url) } else { Err(BuildError::KeyUrl) }
}
