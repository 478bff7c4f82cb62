//! The origin that serves a tenant, as far as the gate knows it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::routes::{Route, Routes};
use crate::{
    environment::{Environment, Numbered, Origin, Origins},
    keep_alive::KeepAlive,
    pull::Pulls,
    status::{ChangeType, Record},
    tenant_id::{FoldedId, TenantId},
    tenants::registry::{ForCall, Registry},
};

/// Knows the origins of tenants, and requests pulls of those that calls were misdirected to.
#[derive(Debug)]
pub(crate) struct Locator {
    origins: Origins,
    routes: Routes,
    registry: Arc<Registry>,
    /// `None` while the state API is off.
    pulls: Option<Arc<Pulls>>,
    /// The places of calls that wait for the host of their tenant. Calls beyond pass on at once.
    places: Arc<Semaphore>,
    _keep_alive: KeepAlive,
}

/// The origin that a call was sent to.
#[derive(Debug)]
pub(super) enum SentTo {
    /// One that is remembered: nothing shared is written for it.
    Number(u8),
    Origin(Arc<Origin>),
}

/// The most calls that wait at a time.
const PLACES: usize = 1024;

/// A call that waits for the host of its tenant.
#[derive(Debug)]
pub(super) struct Locating {
    /// Completes with the pull.
    pub(super) pull: oneshot::Receiver<()>,
    _place: OwnedSemaphorePermit,
}

impl Locator {
    pub(crate) fn new(
        environment: Environment,
        registry: Arc<Registry>,
        pulls: Option<Arc<Pulls>>,
        keep_alive: KeepAlive,
    ) -> Self {
        let places = Arc::new(Semaphore::new(PLACES));
        let origins = Origins::new(environment);
        let routes = Routes::new();
        Self { origins, routes, registry, pulls, places, _keep_alive: keep_alive }
    }

    pub(super) fn environment(&self) -> &Environment {
        self.origins.environment()
    }

    /// Returns whether the state API is on, so that origins are known and misdirected calls
    /// repeated.
    pub(super) fn has_state_api(&self) -> bool {
        self.pulls.is_some()
    }

    /// Returns the origin that serves `tenant`; `None` while it is not known.
    pub(crate) fn origin(&self, tenant: &TenantId) -> Option<Arc<Origin>> {
        let found = self.registry.read(tenant, |record| self.origin_in(record))??;
        Some(found.origin)
    }

    /// Returns the origin that a call was sent to.
    #[inline]
    pub(super) fn sent_to<'s>(&'s self, sent_to: &'s SentTo) -> Option<&'s Arc<Origin>> {
        match sent_to {
            SentTo::Number(number) => self.origins.get(*number),
            SentTo::Origin(origin) => Some(origin),
        }
    }

    /// Returns the number of the origin that serves the tenant with this id, and the origin, if an
    /// earlier call found it, and it would be found again without a pull.
    #[inline]
    pub(super) fn remembered(&self, id: &str) -> Option<(u8, &Origin)> {
        let now = self.pulls.as_ref()?.coarse_now().as_secs();
        let hash = self.registry.hash(FoldedId(id.as_bytes()));
        let route = self.routes.get(hash, id)?;
        let current = self.registry.version(hash) == route.version && now < u64::from(route.until);
        Some((route.origin, self.origins.get(route.origin).filter(|_| current)?))
    }

    /// Returns the origin that serves `tenant` for a call to it, and has the tenant pulled when
    /// what is known of it is no longer fresh.
    pub(super) fn origin_for_call(&self, tenant: &TenantId) -> Option<SentTo> {
        if let Some((number, _)) = self.remembered(tenant.as_str()) {
            return Some(SentTo::Number(number));
        }
        let Some(pulls) = &self.pulls else { return self.origin(tenant).map(SentTo::Origin) };
        let hash = self.registry.hash(tenant.folded());
        // Read before the record: a change in between then counts as later.
        let version = self.registry.version(hash);
        let ForCall { of_record, stale, fresh_until } =
            self.registry
                .read_for_call(tenant, pulls.coarse_now(), |record| self.origin_in(record))?;
        if stale {
            pulls.request_stale(tenant);
        }
        let Numbered { origin, number } = of_record?;
        let Some(number) = number else { return Some(SentTo::Origin(origin)) };
        if let Some(until) = fresh_until
            && !stale
        {
            let until = u32::try_from(until.as_secs()).unwrap_or(u32::MAX);
            self.routes.put(hash, tenant.as_str(), Route { origin: number, version, until });
        }
        Some(SentTo::Number(number))
    }

    /// Has `tenant` pulled because a call to it failed as one to a closed tenant might, at most
    /// once a minute, if it is open and something is known of it.
    pub(super) fn symptom(&self, tenant: &TenantId) {
        if let Some(pulls) = &self.pulls {
            pulls.request_for_symptom(tenant);
        }
    }

    /// Returns the origin that serves the tenant of `record`.
    #[inline]
    fn origin_in(&self, record: &Record) -> Option<Numbered> {
        let (from_host, from_url) =
            (|host: &str| self.origins.parse_host(host), |url: &str| self.origins.parse_url(url));
        find_origin(record, self.pulls.is_some(), from_host, from_url)
    }

    /// Returns the sequence number of the latest pull of any tenant.
    pub(super) fn pull_seq(&self) -> u64 {
        self.pulls.as_ref().map_or(0, |pulls| pulls.pull_seq())
    }

    /// Requests a pull that may find the host of `tenant`, which is not known, or joins one.
    ///
    /// `None` when a call should not wait: the state API is off or finds nothing, the tenant is
    /// closed, or too many calls wait.
    pub(super) fn locate(&self, tenant: &TenantId) -> Option<Locating> {
        let pulls = self.pulls.as_ref()?;
        if self.registry.closed(tenant).is_some() {
            return None;
        }
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Locating { pull: pulls.locate(tenant)?, _place: place })
    }

    /// Pulls `tenant` because a call to it, sent after pull `pull_seq`, was answered with 421.
    ///
    /// The receiver completes when the pull does; `None` when there is none to wait for.
    pub(super) fn misdirected(
        &self,
        tenant: &TenantId,
        pull_seq: u64,
    ) -> Option<oneshot::Receiver<()>> {
        self.pulls.as_ref()?.misdirected(tenant, pull_seq)
    }
}

/// Returns the origin in `record`: the one that the state API named last.
///
/// The token of a Move does not sign the endpoint, so a Move counts only while the state API is off
/// (`pulls` is false). It then comes before a stored answer of the state API.
pub(crate) fn origin(record: &Record, environment: &Environment, pulls: bool) -> Option<Origin> {
    let from_host = |host: &str| Origin::from_host(host, environment);
    find_origin(record, pulls, from_host, |url| Origin::from_url(url, environment))
}

/// Returns the origin in `record` as [`origin`] does, parsed by `from_host` or `from_url`.
#[inline]
fn find_origin<O>(
    record: &Record,
    pulls: bool,
    from_host: impl Fn(&str) -> Option<O>,
    from_url: impl Fn(&str) -> Option<O>,
) -> Option<O> {
    let moved = || {
        let endpoint = record.notified(ChangeType::Move)?.details.endpoint.as_ref()?;
        from_host(endpoint)
    };
    let pulled = || record.pulled_endpoints().find_map(|url| from_url(url));
    if pulls { pulled() } else { moved().or_else(pulled) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::status::{
        State,
        fact::Fact,
        notified::{Details, Notified},
        pulled::{PullDetails, Pulled},
    };

    fn moved(endpoint: &str, token_time: i64) -> Fact {
        let details = Details { endpoint: Some(endpoint.into()), ..Details::default() };
        let details = Arc::new(details);
        Fact::Notified(Notified::new(ChangeType::Move, token_time, 0, details))
    }

    fn pulled(state: State, seq: u32, endpoint: Option<&str>) -> Fact {
        let endpoint = endpoint.map(Into::into);
        let mut pulled = Pulled::new(state, seq, None);
        pulled.details = Arc::new(PullDetails { endpoint, ..PullDetails::default() });
        Fact::Pulled(pulled)
    }

    fn found(facts: Vec<Fact>, pulls: bool) -> Option<String> {
        let record = Record::from_facts(facts, None);
        origin(&record, &Environment::Production, pulls).map(|origin| origin.to_string())
    }

    #[test]
    fn newest_pull_with_valid_endpoint_counts() {
        let facts = vec![
            pulled(State::Running, 10, Some("https://online1.superoffice.com")),
            pulled(State::Suspended, 20, Some("https://online2.superoffice.com")),
            pulled(State::Deleted, 25, Some("https://evil.example")),
            pulled(State::MigrationPending, 30, None),
            moved("online9.superoffice.com", 99),
        ];
        assert_eq!(found(facts, true).as_deref(), Some("https://online2.superoffice.com"));
    }

    #[test]
    fn move_counts_only_while_state_api_is_off() {
        let facts = vec![moved("online9.superoffice.com", 99)];
        assert_eq!(found(facts.clone(), true), None);
        assert_eq!(found(facts, false).as_deref(), Some("https://online9.superoffice.com"));
    }

    #[test]
    fn forbidden_host_is_no_origin() {
        assert_eq!(found(vec![moved("evil.example", 99)], false), None);
        let stored = pulled(State::Running, 10, Some("https://evil.example"));
        assert_eq!(found(vec![stored.clone()], true), None);
        let facts = vec![stored, moved("sod3.superoffice.com:8443", 99)];
        assert_eq!(found(facts, false), None);
    }
}
