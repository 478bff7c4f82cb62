//! Corrections: pulls that contradicted the notifications.

use std::{fmt, time::Duration};

use crate::status::{
    ChangeType, Record, TenantStatus, UnavailableReason, derive::status_without_override,
    history::PullHistory, knowledge::Knowledge,
};

/// A pull that changed a tenant's status, because no notification had done so in time.
///
/// With serde it is an object of `missed` and `within_seconds`, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    pub(crate) missed: Option<ChangeType>,
    pub(crate) within: Option<Duration>,
}

impl Correction {
    /// Returns the missing notification; `None` where SuperOffice has none for the new state (a
    /// tenant that is being provisioned or waits for a migration).
    #[must_use]
    pub fn missed(&self) -> Option<ChangeType> {
        self.missed
    }

    /// Returns an upper bound of the time that the status was wrong: the time since the newest fact
    /// that agreed with it.
    ///
    /// A notification counts from when the first replica received it, by the wall clock, and never
    /// for less than this replica has known it. A pull counts from when it was gained here, and one
    /// that was loaded at the start from when the answers began that say the same: so a restart
    /// makes the bound larger, and not too small.
    ///
    /// `None` without such a fact, as for a tenant that was open for lack of a record.
    #[must_use]
    pub fn within(&self) -> Option<Duration> {
        self.within
    }

    /// Returns the correction, if any, of a pull that led from one status to the other. `within` is
    /// the result of [`agreed_within`] before it.
    pub(super) fn between(
        before: &TenantStatus,
        after: &TenantStatus,
        within: Option<Duration>,
    ) -> Option<Self> {
        if before.reason() == after.reason() {
            return None;
        }
        let missed = match after.reason() {
            None => Some(ChangeType::Resume),
            Some(UnavailableReason::Upgrading) => Some(ChangeType::Upgrade),
            Some(UnavailableReason::Suspended) => Some(ChangeType::Suspend),
            Some(UnavailableReason::Deleted) => Some(ChangeType::Delete),
            Some(_) => None,
        };
        Some(Self { missed, within })
    }
}

/// Returns an upper bound of the time for which the newest fact that agrees with the status has
/// been true, at `now` since the gate was built and `unix_ms` of the wall clock.
pub(super) fn agreed_within(
    record: &Record,
    knowledge: &Knowledge,
    history: &PullHistory,
    (now, unix_ms): (Duration, u64),
) -> Option<Duration> {
    // What is loaded is known here since the start alone, and its fact is older. A stored time of 0
    // is none.
    let since =
        |stored: u64| (stored > 0).then(|| Duration::from_millis(unix_ms.saturating_sub(stored)));
    let notified = record.latest_open_close().and_then(|last| since(last.received_at));
    let notified = notified.map(|elapsed| elapsed.max(knowledge.known(now)));
    let outcome = status_without_override(record).outcome();
    let last = record.last_pull().filter(|last| last.outcome() == outcome);
    let pulled = last.and_then(|last| {
        let gained = history.news()?.elapsed(now);
        match history.loaded() {
            Some(_) => since(last.since).map(|elapsed| elapsed.max(gained)),
            None => Some(gained),
        }
    });
    match (notified, pulled) {
        (Some(notified), Some(pulled)) => Some(notified.min(pulled)),
        (notified, pulled) => notified.or(pulled),
    }
}

impl fmt::Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.missed {
            Some(missed) => write!(f, "missed {missed}")?,
            None => f.write_str("closed without a notification")?,
        }
        match self.within {
            Some(within) => write!(f, ", wrong for at most {} s", within.as_secs()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::Clock,
        status::{State, notified::Notified, settle::Settle, stamp::PullAnswer},
        tenant_id::TenantId,
        tenants::{Tenants, Update},
    };

    struct Tenant(Tenants);

    impl Tenant {
        fn new() -> Self {
            Self(Tenants::new(Settle::default(), 16, Clock::system()))
        }

        fn id() -> TenantId {
            TenantId::new("Cust1").unwrap()
        }

        fn notify(&self, change: ChangeType, token_time: i64) -> &Self {
            let received_at = Clock::system().unix_ms();
            let notified = Notified::new(change, token_time, received_at, Arc::default());
            self.0.apply(&Self::id(), Update::Notification(notified));
            self
        }

        fn pull(&self, state: State) -> Option<Correction> {
            let sent = self.0.registry().send_pull(&Self::id());
            let answer = PullAnswer { state, details: Arc::default(), fresh: None, taken_at: 0 };
            self.0.apply(&Self::id(), Update::Pull { sent, answer }).correction
        }
    }

    async fn wait(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    fn missed(change: Option<ChangeType>, seconds: u64) -> Option<Correction> {
        // What is kept of a time is rounded to a tenth of a second.
        let within = Some(Duration::from_secs(seconds));
        Some(Correction { missed: change, within })
    }

    fn rounded(correction: Option<Correction>) -> Option<Correction> {
        let round = |within: Duration| Duration::from_secs(within.as_secs_f64().round() as u64);
        correction.map(|own| Correction { within: own.within.map(round), ..own })
    }

    #[tokio::test(start_paused = true)]
    async fn correction_names_the_missed_notification_and_how_long_at_most() {
        let tenant = Tenant::new();
        tenant.notify(ChangeType::Suspend, 10);
        wait(400).await;
        assert_eq!(tenant.pull(State::Suspended), None);
        wait(300).await;
        let lost_resume = rounded(tenant.pull(State::Running));
        assert_eq!(lost_resume, missed(Some(ChangeType::Resume), 300));

        let tenant = Tenant::new();
        tenant.notify(ChangeType::Resume, 10);
        wait(90).await;
        let lost_delete = rounded(tenant.pull(State::Deleted));
        assert_eq!(lost_delete, missed(Some(ChangeType::Delete), 90));

        let tenant = Tenant::new();
        tenant.pull(State::Running);
        wait(2).await;
        let never_announced = rounded(tenant.pull(State::MigrationPending));
        assert_eq!(never_announced, missed(None, 2));

        let tenant = Tenant::new();
        let only_moved = tenant.notify(ChangeType::Move, 5).pull(State::Suspended);
        assert_eq!(
            only_moved,
            Some(Correction { missed: Some(ChangeType::Suspend), within: None })
        );
    }

    #[tokio::test(start_paused = true)]
    async fn agreement_first_news_and_lag_are_no_corrections() {
        assert_eq!(Tenant::new().pull(State::Suspended), None);
        for (change, state) in [
            (ChangeType::Suspend, State::Suspended),
            (ChangeType::Resume, State::OnlineMaintenance),
        ] {
            let tenant = Tenant::new();
            tenant.notify(change, 5);
            wait(100).await;
            assert_eq!(tenant.pull(state), None, "{change}");
        }
        // Sent before the Suspend has settled: it lags, and changes nothing.
        let tenant = Tenant::new();
        tenant.notify(ChangeType::Suspend, 5);
        wait(50).await;
        assert_eq!(tenant.pull(State::Running), None);
    }
}
