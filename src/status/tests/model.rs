//! A second reading of the status rules. Notifications stand in one list, and every other fact is
//! put into it by counting the notifications it knew; what is newer is what stands further right.
//! It shares the types of facts with the code under test, and no rule.

use crate::status::{
    ChangeType, Evidence, UnavailableReason,
    fact::Fact,
    notified::{Notified, OpenClose},
    overrides::{Override, OverrideAction},
    pulled::Pulled,
    state::State,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) closed: Option<(UnavailableReason, u64)>,
    pub(super) evidence: Evidence,
    pub(super) confirmed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    /// Of Resume, Upgrade, Suspend and Delete, the newest of each, oldest first.
    line: Vec<Notified>,
    pulls: Vec<Pulled>,
    order: Option<Override>,
}

type Why = Option<UnavailableReason>;

impl Model {
    /// Creates the model of `facts`, at most one of each slot.
    pub(super) fn new(facts: &[Fact]) -> Self {
        let mut model = Self::default();
        for fact in facts {
            match fact {
                Fact::Notified(own) if rank(own.change()) > 0 => model.line.push(own.clone()),
                Fact::Notified(_) => {}
                Fact::Pulled(own) => model.pulls.push(own.clone()),
                Fact::Override(own) => model.order = Some((**own).clone()),
            }
        }
        model.line.sort_by_key(|own| (own.token_time, own.place(), rank(own.change())));
        model
    }

    pub(super) fn status(&self) -> Expected {
        if let Some(order) = &self.order
            && order.action != OverrideAction::Release
        {
            let why = (UnavailableReason::Operator, order.set_at);
            let closed = (order.action == OverrideAction::Close).then_some(why);
            return Expected { closed, evidence: Evidence::Operator, confirmed: false };
        }
        self.without_override()
    }

    pub(super) fn without_override(&self) -> Expected {
        let current: Vec<&Pulled> = self.pulls.iter().filter(|own| self.is_at_end(own)).collect();
        let mut settled: Vec<&Pulled> = current.iter().copied().filter(|own| own.settled).collect();
        settled.sort_by(|a, b| newer(a, b));
        let confirmed = |why: Why| current.iter().any(|own| says(own.state) == why);
        let standing = self.standing();
        let delete = standing.iter().find(|own| own.change() == ChangeType::Delete);

        let Some(decides) = settled.last() else {
            let closes = delete.or_else(|| standing.last());
            let closed = closes.map(|own| (closing(own.change()), own.received_at));
            let confirmed = confirmed(closed.map(|(why, _)| why));
            return Expected { closed, evidence: Evidence::Notification, confirmed };
        };
        let Some(why) = says(decides.state) else {
            return Expected { closed: None, evidence: Evidence::StateApi, confirmed: true };
        };
        if let Some(delete) = delete
            && why != UnavailableReason::Deleted
        {
            let closed = Some((UnavailableReason::Deleted, delete.received_at));
            let confirmed = confirmed(Some(UnavailableReason::Deleted));
            return Expected { closed, evidence: Evidence::Notification, confirmed };
        }
        // The settled pulls after the last that found it running: Deleted among them stays.
        let opened = settled.iter().rposition(|own| says(own.state).is_none());
        let since_opened = &settled[opened.map_or(0, |index| index + 1)..];
        let deleted =
            since_opened.iter().find(|own| says(own.state) == Some(UnavailableReason::Deleted));
        let counts = deleted.unwrap_or(decides);
        let why = says(counts.state).unwrap();
        let notice = standing.iter().find(|own| closing(own.change()) == why);
        let notice =
            notice.filter(|_| counts.seq == decides.seq && why == says(decides.state).unwrap());
        let since = notice.map_or(counts.since, |own| own.received_at);
        Expected { closed: Some((why, since)), evidence: Evidence::StateApi, confirmed: true }
    }

    /// The closings that stand right of every opening, oldest first.
    fn standing(&self) -> Vec<&Notified> {
        let resumed = self.line.iter().rposition(|own| own.change() == ChangeType::Resume);
        let found_running =
            self.pulls.iter().filter(|own| own.settled && says(own.state).is_none());
        let opened = found_running.map(|own| self.place(own)).max().unwrap_or(0);
        let opened = opened.max(resumed.map_or(0, |index| index + 1));
        self.line[opened..].iter().collect()
    }

    /// Counts the notifications that `pull` knew. They are always the oldest.
    pub(super) fn place(&self, pull: &Pulled) -> usize {
        let Some(knew) = pull.knew() else { return 0 };
        let is_it = |own: &Notified| {
            own.token_time == knew.token_time
                && OpenClose::from_change(own.change()) == Some(knew.change)
        };
        if let Some(index) = self.line.iter().position(is_it) {
            return index + 1;
        }
        self.line.iter().filter(|own| own.token_time < knew.token_time).count()
    }

    fn is_at_end(&self, pull: &Pulled) -> bool {
        self.place(pull) == self.line.len()
    }
}

/// Compares two pulls by age: by what they knew, then by number, then the closed one.
fn newer(a: &Pulled, b: &Pulled) -> std::cmp::Ordering {
    let key = |own: &Pulled| (own.knew().map(|knew| knew.token_time), own.seq, says(own.state));
    key(a).cmp(&key(b))
}

fn rank(change: ChangeType) -> u8 {
    match change {
        ChangeType::Resume => 1,
        ChangeType::Upgrade => 2,
        ChangeType::Suspend => 3,
        ChangeType::Delete => 4,
        _ => 0,
    }
}

fn closing(change: ChangeType) -> UnavailableReason {
    match change {
        ChangeType::Upgrade => UnavailableReason::Upgrading,
        ChangeType::Suspend => UnavailableReason::Suspended,
        ChangeType::Delete => UnavailableReason::Deleted,
        _ => panic!("{change} closes nothing"),
    }
}

/// Returns the reason for which a state closes; `None` when it is open. By SuperOffice's numbers,
/// as the rules give them.
pub(super) fn says(state: State) -> Why {
    match state {
        State::Running | State::OnlineMaintenance => None,
        State::Suspended => Some(UnavailableReason::Suspended),
        State::Deleted | State::Deleting | State::DeleteFailed => Some(UnavailableReason::Deleted),
        State::OfflineMaintenance => Some(UnavailableReason::Upgrading),
        State::Provisioning | State::ProvisioningFailed | State::MigrationPending => {
            Some(UnavailableReason::NotReady)
        }
    }
}
