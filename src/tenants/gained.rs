//! The events of an update: a pure function of what a record gained by it.

use crate::{
    status::{ChangeType, Evidence, Record, TenantStatus, UnavailableReason, notified::Notified},
    tenant_id::TenantId,
    tenants::{correction::Correction, events::TenantEvent},
};

/// The notifications of a record before an update. Taken before each one, in place of a copy of the
/// record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnownNotifications([Option<(ChangeType, i64)>; SLOTS]);

/// Number of notifications that a record can have: one of each documented type, and one other.
const SLOTS: usize = 7;

impl KnownNotifications {
    pub(super) fn of(record: &Record) -> Self {
        let mut known = [None; SLOTS];
        for (slot, own) in known.iter_mut().zip(record.notifications()) {
            *slot = Some((own.change(), own.token_time));
        }
        Self(known)
    }

    /// Returns the notifications that `record` gained, the oldest first.
    ///
    /// The same type and token time is the same notification, even if the merge chose the fields of
    /// another replica.
    pub(super) fn gained_by<'a>(&self, record: &'a Record) -> Vec<&'a Notified> {
        let known = |own: &Notified| self.0.contains(&Some((own.change(), own.token_time)));
        let mut gained: Vec<_> = record.notifications().filter(|own| !known(own)).collect();
        gained.sort_by_key(|own| own.position());
        gained
    }
}

/// A change of a tenant's status, and the correction that it is, if any.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) before: &'a TenantStatus,
    pub(super) after: &'a TenantStatus,
    pub(super) correction: Option<Correction>,
}

impl Turn<'_> {
    /// Returns whether a pull alone may have made it: `pulls` tells whether the record gained one,
    /// and `gained` are its new notifications. Then it corrects what notifications had said.
    ///
    /// Where a record comes from another replica, it may bring notifications and orders as well,
    /// and these correct nothing.
    pub(super) fn is_by_pull(&self, pulls: bool, gained: &[&Notified]) -> bool {
        let notified = gained.iter().any(|own| own.opens_or_closes());
        let ordered = [self.before, self.after].map(|status| status.evidence());
        pulls && !notified && !ordered.contains(&Evidence::Operator)
    }

    /// Returns the event that the status changed, if it did.
    pub(super) fn changed(&self, tenant: &TenantId) -> Option<TenantEvent> {
        let changed = self.before.reason() != self.after.reason();
        changed.then(|| TenantEvent::Changed { tenant: tenant.clone(), status: self.after.clone() })
    }

    fn corrected(&self, tenant: &TenantId) -> Option<TenantEvent> {
        let (tenant, status) = (tenant.clone(), self.after.clone());
        let correction = self.correction?;
        Some(TenantEvent::Corrected { tenant, status, correction })
    }

    fn confirmed(&self, tenant: &TenantId) -> Option<TenantEvent> {
        let confirmed = !is_confirmed_deletion(self.before) && is_confirmed_deletion(self.after);
        let (tenant, status) = (tenant.clone(), self.after.clone());
        confirmed.then_some(TenantEvent::Confirmed { tenant, status })
    }
}

/// Returns the events of an update by which the record of `tenant` gained these notifications and
/// its status turned: causes come before what follows from them.
pub(super) fn events(tenant: &TenantId, gained: &[&Notified], turn: &Turn<'_>) -> Vec<TenantEvent> {
    let causes = gained.iter().flat_map(|own| [Some(notified(tenant, own)), silent(tenant, own)]);
    let turned = [turn.changed(tenant), turn.corrected(tenant), turn.confirmed(tenant)];
    causes.chain(turned).flatten().collect()
}

fn notified(tenant: &TenantId, own: &Notified) -> TenantEvent {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    TenantEvent::Notified {
        tenant: tenant.clone(),
        change: own.change(),
        version_name: text(&own.details.version_name),
        file_version: text(&own.details.file_version),
    }
}

/// Returns the event of a notification that neither opens nor closes.
fn silent(tenant: &TenantId, own: &Notified) -> Option<TenantEvent> {
    let tenant = tenant.clone();
    match own.change() {
        ChangeType::BackupRestored => Some(TenantEvent::Restored { tenant, epoch: own.token_time }),
        ChangeType::Move => Some(TenantEvent::Moved { tenant }),
        ChangeType::Other(number) => Some(TenantEvent::Unknown { tenant, number }),
        _ => None,
    }
}

fn is_confirmed_deletion(status: &TenantStatus) -> bool {
    status.reason() == Some(UnavailableReason::Deleted) && status.is_confirmed()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Arc};

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::status::{
        State,
        derive::status,
        fact::Fact,
        notified::{Details, OpenClose},
        overrides::OverrideAction,
        tests::strategies::{join, notified as fact, overridden, record_of, records, settled},
    };

    /// Names the events of the merge of `added` into `record`.
    fn names(record: &[Fact], added: &[Fact]) -> Vec<String> {
        let (before, after) = (record_of(record), join(&record_of(record), &record_of(added)));
        let gained = KnownNotifications::of(&before).gained_by(&after);
        let (before, after) = (status(&before), status(&after));
        let mut turn = Turn { before: &before, after: &after, correction: None };
        let pulls = added.iter().any(|fact| matches!(fact, Fact::Pulled(_)));
        if turn.is_by_pull(pulls, &gained) {
            turn.correction = Correction::between(&before, &after, None);
        }
        let tenant = TenantId::new("Cust1").unwrap();
        let events = events(&tenant, &gained, &turn);
        assert!(events.iter().all(|event| event.tenant() == Some(&tenant)));
        events.iter().map(name).collect()
    }

    fn name(event: &TenantEvent) -> String {
        match event {
            TenantEvent::Changed { status, .. } => format!("changed {:?}", status.reason()),
            TenantEvent::Notified { change, .. } => format!("notified {change}"),
            TenantEvent::Restored { epoch, .. } => format!("restored {epoch}"),
            TenantEvent::Moved { .. } => "moved".to_owned(),
            TenantEvent::Unknown { number, .. } => format!("unknown {number}"),
            TenantEvent::Corrected { correction, .. } => format!("corrected {correction}"),
            TenantEvent::Confirmed { .. } => "confirmed".to_owned(),
            TenantEvent::Missed(missed) => format!("missed {missed}"),
        }
    }

    #[test]
    fn merge_publishes_what_the_record_gained() {
        use ChangeType::{BackupRestored, Delete, Move, Other, Resume, Suspend};
        let suspend = || fact(Suspend, 5);
        let (resume, delete) = (|| fact(Resume, 6), || fact(Delete, 7));
        let deleted = || settled(State::Deleted, 1, Some((OpenClose::Delete, 7)));
        let running = || settled(State::Running, 2, Some((OpenClose::Suspend, 5)));
        let closed = || overridden(OverrideAction::Close, 1, None);
        let silent =
            [(Move, 9), (BackupRestored, 8), (Other(77), 7)].map(|(change, at)| fact(change, at));
        let cases: [(&[Fact], &[Fact], &[&str]); 14] = [
            (&[], &[], &[]),
            (&[], &[suspend()], &["notified Suspend", "changed Some(Suspended)"]),
            (&[suspend()], &[suspend()], &[]),
            // Another replica's words for the same notification.
            (&[suspend()], &[named(Suspend, 5, "11.10")], &[]),
            (&[fact(Suspend, 5)], &[fact(Suspend, 6)], &["notified Suspend"]),
            (&[fact(Suspend, 6)], &[fact(Suspend, 5)], &[]),
            // The oldest first, and what came of it all.
            (&[], &[resume(), suspend()], &["notified Suspend", "notified Resume"]),
            (
                &[],
                &silent,
                &[
                    "notified Other(77)",
                    "unknown 77",
                    "notified BackupRestored",
                    "restored 8",
                    "notified Move",
                    "moved",
                ],
            ),
            (&silent[2..], &[fact(Other(78), 7)], &["notified Other(78)", "unknown 78"]),
            (&[delete()], &[deleted()], &["confirmed"]),
            (
                &[suspend()],
                &[delete(), deleted()],
                &["notified Delete", "changed Some(Deleted)", "confirmed"],
            ),
            (&[suspend()], &[running()], &["changed None", "corrected missed Resume"]),
            // An order explains it, or a notification: nothing was corrected.
            (&[suspend()], &[running(), closed()], &["changed Some(Operator)"]),
            (&[delete(), deleted()], &[deleted()], &[]),
        ];
        for (record, added, expected) in cases {
            assert_eq!(names(record, added), expected, "{record:?} + {added:?}");
        }
    }

    fn named(change: ChangeType, token_time: i64, version: &str) -> Fact {
        let details = Details { version_name: version.into(), ..Details::default() };
        Fact::Notified(Notified::new(change, token_time, 1_000, Arc::new(details)))
    }

    #[test]
    fn notified_has_the_versions_that_were_named() {
        let record = record_of(&[named(ChangeType::Upgrade, 5, "11.10")]);
        let tenant = TenantId::new("Cust1").unwrap();
        let status = status(&record);
        let turn = Turn { before: &status, after: &status, correction: None };
        let gained = KnownNotifications::of(&Record::default()).gained_by(&record);
        let expected = TenantEvent::Notified {
            tenant: tenant.clone(),
            change: ChangeType::Upgrade,
            version_name: Some("11.10".to_owned()),
            file_version: None,
        };
        assert_eq!(events(&tenant, &gained, &turn), [expected]);
    }

    proptest! {
        /// Each notification is gained at most once, and those that the record has in the end
        /// exactly once, whatever records arrive in whatever order.
        #[test]
        fn notification_is_gained_exactly_when_it_is_new(arriving in vec(records(), 0..6)) {
            let mark = |own: &Notified| (own.change(), own.token_time);
            let (mut record, mut published) = (Record::default(), HashSet::new());
            for next in arriving {
                let known = KnownNotifications::of(&record);
                let changed = record.merge(&next);
                let gained = known.gained_by(&record);
                prop_assert!(changed || gained.is_empty());
                prop_assert!(gained.is_sorted_by_key(|own| own.position()));
                for own in gained {
                    prop_assert!(published.insert(mark(own)), "published twice: {own:?}");
                    prop_assert!(next.notifications().any(|sent| mark(sent) == mark(own)));
                }
            }
            prop_assert!(record.notifications().all(|own| published.contains(&mark(own))));
        }
    }
}
