//! What a record says: the status of a tenant, derived and never stored.

use std::time::Duration;

use super::{
    ChangeType, Evidence, TenantStatus, UnavailableReason,
    fact::{Notified, Order, Pulled},
    record::Record,
    state::Verdict,
    tenant_status::Closure,
};

/// How long after a notification the state API may still tell of the time before it.
///
/// A pull that contradicts a notification counts only when it was asked for at least this long
/// after the notification arrived, or when an earlier pull has already agreed with the notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settle {
    /// After a Suspend, Resume or Delete.
    pub(crate) usual: Duration,
    /// After an Upgrade, whose notification comes before the tenant goes down.
    pub(crate) upgrade: Duration,
}

impl Default for Settle {
    fn default() -> Self {
        Self { usual: Duration::from_secs(60), upgrade: Duration::from_secs(900) }
    }
}

impl Settle {
    /// The time at which pulls start to overrule `notified`, ms since the epoch.
    pub(crate) fn ends(&self, notified: &Notified) -> u64 {
        let settle = match notified.change {
            ChangeType::Upgrade => self.upgrade,
            _ => self.usual,
        };
        notified.seen.saturating_add(u64::try_from(settle.as_millis()).unwrap_or(u64::MAX))
    }
}

/// What `record` says about its tenant.
///
/// In three steps, each with a function of its own: what was pushed, what a conclusive pull makes
/// of it, and the operator's word over both.
pub(crate) fn status(record: &Record, settle: &Settle) -> TenantStatus {
    let found = pulled(record, settle).unwrap_or_else(|| pushed(record));
    let found = spoken(record).unwrap_or(found);
    TenantStatus {
        closure: found.closure,
        evidence: found.evidence,
        confirmed: found.confirmed,
        epoch: record.notified(ChangeType::BackupRestored).map_or(0, |restored| restored.at),
        endpoint: None,
    }
}

/// What closes the tenant once the operator's word is left out of account, if anything does.
///
/// Looks go on while a word stands, so that the truth is known the moment it is released.
pub(crate) fn underneath(record: &Record, settle: &Settle) -> Option<Closure> {
    pulled(record, settle).unwrap_or_else(|| pushed(record)).closure
}

struct Found {
    closure: Option<Closure>,
    evidence: Evidence,
    confirmed: bool,
}

/// Step 1: the notifications alone.
fn pushed(record: &Record) -> Found {
    let base = pushed_base(record);
    let closure = base.and_then(closure_by);
    let verdict = closure.map_or(Verdict::Running, |closure| Verdict::Closed(closure.reason));
    let confirmed = base.is_some_and(|notified| {
        record.pulled(verdict).is_some_and(|pulled| pulled.asked >= notified.seen)
    });
    Found { closure, evidence: Evidence::Notification, confirmed }
}

/// The notification that the pushed status rests on: the Delete, Upgrade or Suspend in force, else
/// the Resume.
fn pushed_base(record: &Record) -> Option<&Notified> {
    let resume = record.notified(ChangeType::Resume);
    let in_force = |change| {
        record
            .notified(change)
            .filter(|closing| resume.is_none_or(|resume| closing.time() > resume.time()))
    };
    let upgrade_or_suspend = || {
        let upgrade = in_force(ChangeType::Upgrade);
        let suspend = in_force(ChangeType::Suspend);
        // On a tie the Suspend stands: it is the longer of the two.
        upgrade.into_iter().chain(suspend).max_by_key(|notified| notified.time())
    };
    in_force(ChangeType::Delete).or_else(upgrade_or_suspend).or(resume)
}

fn closure_by(notified: &Notified) -> Option<Closure> {
    Some(Closure { reason: closes(notified.change)?, since: notified.seen })
}

fn closes(change: ChangeType) -> Option<UnavailableReason> {
    match change {
        ChangeType::Upgrade => Some(UnavailableReason::Upgrading),
        ChangeType::Suspend => Some(UnavailableReason::Suspended),
        ChangeType::Delete => Some(UnavailableReason::Deleted),
        _ => None,
    }
}

/// Step 2: the newest pull, where it is conclusive.
fn pulled(record: &Record, settle: &Settle) -> Option<Found> {
    let newest = record.pulls().max_by_key(|pulled| (pulled.asked, pulled.state.verdict()))?;
    let deciding = deciding(record);
    if !is_conclusive(newest, record, deciding, settle) {
        return None;
    }
    let Verdict::Closed(reason) = newest.state.verdict() else {
        return Some(Found { closure: None, evidence: Evidence::StateApi, confirmed: true });
    };
    let standing = pushed_base(record)
        .filter(|notified| !is_overruled(notified, record, settle))
        .and_then(closure_by);
    if reason != UnavailableReason::Deleted {
        if standing.is_some_and(|closure| closure.reason == UnavailableReason::Deleted) {
            return Some(pushed(record));
        }
        if let Some(deleted) = deleted_by_pull(record, deciding, settle) {
            return Some(deleted);
        }
    }
    // A pull that only repeats a notification doesn't move the time at which the tenant was closed.
    let since = match standing {
        Some(closure) if closure.reason == reason => closure.since,
        _ => newest.since,
    };
    let closure = Some(Closure { reason, since });
    Some(Found { closure, evidence: Evidence::StateApi, confirmed: true })
}

/// Whether a conclusive pull has found the tenant running since `notified` closed it.
///
/// Then the notification was a mistake, or is over, and a later pull that finds the tenant closed
/// tells of something new.
fn is_overruled(notified: &Notified, record: &Record, settle: &Settle) -> bool {
    record
        .pulled(Verdict::Running)
        .is_some_and(|running| is_conclusive(running, record, Some(notified), settle))
}

/// A conclusive pull that said Deleted and that no running pull followed: no other closed state
/// weakens it.
fn deleted_by_pull(record: &Record, deciding: Option<&Notified>, settle: &Settle) -> Option<Found> {
    let deleted = record.pulled(Verdict::Closed(UnavailableReason::Deleted))?;
    let reopened =
        record.pulled(Verdict::Running).is_some_and(|running| running.asked > deleted.asked);
    if reopened || !is_conclusive(deleted, record, deciding, settle) {
        return None;
    }
    let closure = Some(Closure { reason: UnavailableReason::Deleted, since: deleted.since });
    Some(Found { closure, evidence: Evidence::StateApi, confirmed: true })
}

/// The newest notification that opens or closes.
pub(crate) fn deciding(record: &Record) -> Option<&Notified> {
    // The last of equals is taken: the one that `pushed_base` rests on in a tie.
    [ChangeType::Upgrade, ChangeType::Suspend, ChangeType::Delete, ChangeType::Resume]
        .into_iter()
        .filter_map(|change| record.notified(change))
        .max_by_key(|notified| notified.time())
}

fn is_conclusive(
    pulled: &Pulled,
    record: &Record,
    deciding: Option<&Notified>,
    settle: &Settle,
) -> bool {
    let Some(deciding) = deciding else { return true };
    pulled.asked >= settle.ends(deciding) || {
        let agreeing = closes(deciding.change).map_or(Verdict::Running, Verdict::Closed);
        record
            .pulled(agreeing)
            .is_some_and(|earlier| (deciding.seen..pulled.asked).contains(&earlier.asked))
    }
}

/// Step 3: the operator's word, until it is released.
fn spoken(record: &Record) -> Option<Found> {
    let word = record.word()?;
    let closure = match word.order {
        Order::Release => return None,
        Order::Open => None,
        Order::Close => Some(Closure { reason: UnavailableReason::Operator, since: word.set_at }),
    };
    Some(Found { closure, evidence: Evidence::Operator, confirmed: false })
}
