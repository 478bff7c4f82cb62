//! Where a tenant is, as far as the gate knows.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{
    environment::{Environment, Origin},
    keep_alive::KeepAlive,
    pull::Pulls,
    status::{ChangeType, Record},
    tenant_id::TenantId,
    tenants::registry::Registry,
};

/// Knows the hosts of tenants, and has those looked up that are not where a call went.
#[derive(Debug)]
pub(crate) struct Whereabouts {
    environment: Environment,
    registry: Arc<Registry>,
    /// `None` while the state API is off.
    pulls: Option<Arc<Pulls>>,
    _keep_alive: KeepAlive,
}

impl Whereabouts {
    pub(crate) fn new(
        environment: Environment,
        registry: Arc<Registry>,
        pulls: Option<Arc<Pulls>>,
        keep_alive: KeepAlive,
    ) -> Self {
        Self { environment, registry, pulls, _keep_alive: keep_alive }
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Whether there is a state API that says where tenants are.
    pub(super) fn asks(&self) -> bool {
        self.pulls.is_some()
    }

    /// Where calls to `tenant` go; `None` when that is not known.
    pub(crate) fn origin(&self, tenant: &TenantId) -> Option<Origin> {
        self.registry.read(tenant, |record| self.origin_in(record))?
    }

    /// Where `record` has its tenant.
    pub(crate) fn origin_in(&self, record: &Record) -> Option<Origin> {
        origin(record, &self.environment, self.pulls.is_some())
    }

    /// The number of the last look at any tenant, to be taken along by a call.
    pub(super) fn mark(&self) -> u64 {
        self.pulls.as_ref().map_or(0, |pulls| pulls.mark())
    }

    /// A call to `tenant`, sent at `mark`, was answered with 421: asks where the tenant is. The
    /// receiver ends when that is known; there is none when there is nothing to wait for.
    pub(super) fn misdirected(
        &self,
        tenant: &TenantId,
        mark: u64,
    ) -> Option<oneshot::Receiver<()>> {
        self.pulls.as_ref()?.misdirected(tenant, mark)
    }
}

/// What the state API says counts. A Move is not signed by what it names, so its endpoint is used
/// only while the state API is not asked; then it is all there is.
fn origin(record: &Record, environment: &Environment, asks: bool) -> Option<Origin> {
    let moved = || {
        let endpoint = record.notified(ChangeType::Move)?.details.endpoint.as_ref()?;
        Origin::of_host(endpoint, environment)
    };
    let pulled = || Origin::of_url(record.endpoint()?, environment);
    if asks { pulled() } else { moved().or_else(pulled) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::status::{
        State,
        fact::{Details, Fact, Notified, PullDetails, Pulled},
    };

    fn moved(endpoint: &str, at: i64) -> Fact {
        let details = Details { endpoint: Some(endpoint.into()), ..Details::default() };
        let (change, seen) = (ChangeType::Move, 0);
        Fact::Notified(Notified { change, at, seen, details: Arc::new(details) })
    }

    fn pulled(state: State, asked: u64, endpoint: Option<&str>) -> Fact {
        let endpoint = endpoint.map(Into::into);
        let details = PullDetails { endpoint, ..PullDetails::default() };
        Fact::Pulled(Pulled { state, asked, since: asked, details: Arc::new(details) })
    }

    fn found(facts: Vec<Fact>, asks: bool) -> Option<String> {
        let record = Record::from_parts(facts, None);
        origin(&record, &Environment::Production, asks).map(|origin| origin.to_string())
    }

    #[test]
    fn the_newest_pull_that_names_an_endpoint_counts() {
        let facts = vec![
            pulled(State::Running, 10, Some("https://online1.superoffice.com")),
            pulled(State::Suspended, 20, Some("https://online2.superoffice.com")),
            pulled(State::MigrationPending, 30, None),
            moved("online9.superoffice.com", 99),
        ];
        assert_eq!(found(facts, true).as_deref(), Some("https://online2.superoffice.com"));
    }

    #[test]
    fn a_move_counts_only_while_the_state_api_is_off() {
        let facts = vec![moved("online9.superoffice.com", 99)];
        assert_eq!(found(facts.clone(), true), None);
        assert_eq!(found(facts, false).as_deref(), Some("https://online9.superoffice.com"));
    }

    #[test]
    fn what_no_call_may_go_to_is_not_known() {
        assert_eq!(found(vec![moved("evil.example", 99)], false), None);
        let stored = pulled(State::Running, 10, Some("https://evil.example"));
        assert_eq!(found(vec![stored.clone()], true), None);
        let facts = vec![stored, moved("sod3.superoffice.com:8443", 99)];
        assert_eq!(found(facts, false), None);
    }
}
