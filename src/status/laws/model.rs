//! A second reading of the rules: everything that ever happened in one plain list, and the answer
//! found by scanning it. It shares the types of facts with the real thing, and no rule.

use crate::status::{
    ChangeType, Evidence, State, UnavailableReason,
    fact::{Fact, Notified, Order, Pulled},
};

pub(super) const SETTLE_MS: u64 = 60_000;
pub(super) const UPGRADE_SETTLE_MS: u64 = 900_000;

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    log: Vec<Fact>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) closed: Option<(UnavailableReason, u64)>,
    pub(super) evidence: Evidence,
    pub(super) confirmed: bool,
    pub(super) epoch: i64,
}

type When = (i64, u64);

impl Model {
    pub(super) fn take(&mut self, fact: Fact) {
        self.log.push(fact);
    }

    pub(super) fn status(&self) -> Answer {
        let mut answer = self.by_pull().unwrap_or_else(|| self.by_push());
        if let Some(word) = self.by_word() {
            answer = word;
        }
        answer.epoch = self.newest(ChangeType::BackupRestored).map_or(0, |(at, _)| at);
        answer
    }

    fn notifications(&self) -> impl Iterator<Item = &Notified> {
        self.log.iter().filter_map(|fact| match fact {
            Fact::Notified(notified) => Some(notified),
            _ => None,
        })
    }

    /// All pulls, by the time they were asked for.
    fn pulls(&self) -> Vec<&Pulled> {
        let mut pulls: Vec<&Pulled> = Vec::new();
        for fact in &self.log {
            if let Fact::Pulled(pulled) = fact {
                pulls.push(pulled);
            }
        }
        pulls.sort_by_key(|pulled| pulled.asked);
        pulls
    }

    /// The token time of the newest notification of a type, and when that was first seen.
    fn newest(&self, change: ChangeType) -> Option<When> {
        let at = self.notifications().filter(|n| n.change == change).map(|n| n.at).max()?;
        let same = self.notifications().filter(|n| n.change == change && n.at == at);
        Some((at, same.map(|n| n.seen).min()?))
    }

    fn closed_by(&self, change: ChangeType) -> Option<When> {
        let closed = self.newest(change)?;
        match self.newest(ChangeType::Resume) {
            Some(resumed) if closed <= resumed => None,
            _ => Some(closed),
        }
    }

    fn push_rests_on(&self) -> Option<(ChangeType, When)> {
        if let Some(deleted) = self.closed_by(ChangeType::Delete) {
            return Some((ChangeType::Delete, deleted));
        }
        let upgrade = self.closed_by(ChangeType::Upgrade);
        let suspend = self.closed_by(ChangeType::Suspend);
        if suspend.is_some() && suspend >= upgrade {
            return suspend.map(|when| (ChangeType::Suspend, when));
        }
        if upgrade.is_some() {
            return upgrade.map(|when| (ChangeType::Upgrade, when));
        }
        self.newest(ChangeType::Resume).map(|when| (ChangeType::Resume, when))
    }

    fn by_push(&self) -> Answer {
        let base = self.push_rests_on();
        let closed = base.and_then(|(change, (_, seen))| Some((reason(change)?, seen)));
        let confirmed = base.is_some_and(|(change, (_, seen))| {
            self.pulls().iter().any(|p| p.asked >= seen && says(p.state) == reason(change))
        });
        Answer { closed, evidence: Evidence::Notification, confirmed, epoch: 0 }
    }

    /// The newest notification that opens or closes. In a tie, the one that step 1 goes by.
    pub(super) fn deciding(&self) -> Option<(ChangeType, When)> {
        use ChangeType::{Delete, Resume, Suspend, Upgrade};
        let mut deciding = None;
        for change in [Resume, Delete, Suspend, Upgrade] {
            if let Some(when) = self.newest(change)
                && deciding.is_none_or(|(_, newest)| when > newest)
            {
                deciding = Some((change, when));
            }
        }
        deciding
    }

    fn settled(&self, pull: &Pulled, against: Option<(ChangeType, When)>) -> bool {
        let Some((change, (_, seen))) = against else { return true };
        let wait = if change == ChangeType::Upgrade { UPGRADE_SETTLE_MS } else { SETTLE_MS };
        let agreed = |earlier: &&Pulled| {
            earlier.asked >= seen
                && earlier.asked < pull.asked
                && says(earlier.state) == reason(change)
        };
        pull.asked >= seen + wait || self.pulls().iter().any(agreed)
    }

    fn by_pull(&self) -> Option<Answer> {
        let pulls = self.pulls();
        let (newest, older) = pulls.split_last()?;
        if !self.settled(newest, self.deciding()) {
            return None;
        }
        let by_pull =
            |closed| Answer { closed, evidence: Evidence::StateApi, confirmed: true, epoch: 0 };
        let Some(why) = says(newest.state) else { return Some(by_pull(None)) };
        // What was pushed stands beside the pull, unless a pull has already shown it to be over.
        let pushed = self.push_rests_on().filter(|pushed| {
            !pulls.iter().any(|p| says(p.state).is_none() && self.settled(p, Some(*pushed)))
        });
        if why != UnavailableReason::Deleted {
            if pushed.is_some_and(|(change, _)| change == ChangeType::Delete) {
                return Some(self.by_push());
            }
            for pull in older.iter().rev() {
                match says(pull.state) {
                    None => break,
                    Some(UnavailableReason::Deleted) if self.settled(pull, self.deciding()) => {
                        return Some(by_pull(Some((UnavailableReason::Deleted, pull.since))));
                    }
                    Some(_) => {}
                }
            }
        }
        let since = match pushed {
            Some((change, (_, seen))) if reason(change) == Some(why) => seen,
            _ => newest.since,
        };
        Some(by_pull(Some((why, since))))
    }

    fn by_word(&self) -> Option<Answer> {
        let words = self.log.iter().filter_map(|fact| match fact {
            Fact::Word(word) => Some((word.set_at, word.order)),
            _ => None,
        });
        let closed = match words.max()? {
            (_, Order::Release) => return None,
            (_, Order::Open) => None,
            (set_at, Order::Close) => Some((UnavailableReason::Operator, set_at)),
        };
        Some(Answer { closed, evidence: Evidence::Operator, confirmed: false, epoch: 0 })
    }

    /// Whether the state API has said the same twice since the deciding notification was seen.
    ///
    /// Of two equal answers a record keeps the later one, so whether an *earlier* pull agreed can
    /// then be lost until the settle time ends. It costs evidence, `since` and, when three different
    /// closed answers alternate within that time, the reason; never whether the tenant is open.
    pub(super) fn repeats_itself(&self) -> bool {
        let seen = self.deciding().map_or(0, |(_, (_, seen))| seen);
        let mut answers = Vec::new();
        for pull in self.pulls() {
            if pull.asked >= seen {
                if answers.contains(&says(pull.state)) {
                    return true;
                }
                answers.push(says(pull.state));
            }
        }
        false
    }
}

/// Why a notification closes; `None` when it opens.
fn reason(change: ChangeType) -> Option<UnavailableReason> {
    match change {
        ChangeType::Upgrade => Some(UnavailableReason::Upgrading),
        ChangeType::Suspend => Some(UnavailableReason::Suspended),
        ChangeType::Delete => Some(UnavailableReason::Deleted),
        _ => None,
    }
}

/// Why a state closes; `None` when it is open. By SuperOffice's numbers, as the rules give them.
fn says(state: State) -> Option<UnavailableReason> {
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
