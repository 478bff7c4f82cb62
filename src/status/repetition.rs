//! Answers that only repeat the last one: they need be neither stored nor sent to other replicas.

use std::time::Duration;

use super::{pulled::Pulled, record::Record, settle::Settle};

/// Returns whether `pulled` adds nothing to `record`: with it, no replica comes to another status,
/// endpoint or settle time, and none does after a restart.
///
/// It is compared with the last pull by number. A pull counts, too, among those that agree with a
/// status which rests on one: the caller knows whether such are awaited.
pub(crate) fn repeats(pulled: &Pulled, record: &Record, settle: &Settle) -> bool {
    record.last_pull().is_some_and(|last| {
        last.state == pulled.state
            && last.settled == pulled.settled
            && last.knew() == pulled.knew()
            && last.details.endpoint == pulled.details.endpoint
            && last.details.version == pulled.details.version
    }) && !hands_on(pulled, record, settle)
}

/// Returns whether `pulled` says that the notification it knew has been known for longer than
/// `record` says, and a pull may have yet to settle against it.
fn hands_on(pulled: &Pulled, record: &Record, settle: &Settle) -> bool {
    let Some(knew) = pulled.knew() else { return false };
    let same = record.pulls().filter(|own| own.knew() == Some(knew));
    let known = same.map(|own| own.known).max().unwrap_or(0);
    pulled.known > known && Duration::from_secs(known.into()) < settle.after(knew.change)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::status::{
        ChangeType, State,
        fact::Fact,
        notified::Notified,
        pulled::{Knew, PullDetails},
    };

    fn record(change: ChangeType, known: u32, state: State) -> (Record, Knew) {
        let notified = Fact::Notified(Notified::new(change, 10, 0, Arc::default()));
        let mut record = Record::from(notified);
        let knew = record.deciding().unwrap();
        record.insert(&Fact::Pulled(pull(knew, 1, known, state)));
        (record, knew)
    }

    fn pull(knew: Knew, seq: u32, known: u32, state: State) -> Pulled {
        let mut pulled = Pulled::new(state, seq, Some(knew));
        pulled.known = known;
        pulled
    }

    #[test]
    fn equal_answer_repeats_and_any_other_does_not() {
        let settle = Settle::default();
        let (record, knew) = record(ChangeType::Suspend, 60, State::Suspended);
        let next = || pull(knew, 2, 400, State::Suspended);
        assert!(repeats(&next(), &record, &settle));
        let mut unsettled = next();
        unsettled.settled = false;
        let mut moved = next();
        let endpoint = Some("https://online2.superoffice.com".into());
        moved.details = Arc::new(PullDetails { endpoint, ..PullDetails::default() });
        let mut upgraded = next();
        upgraded.details =
            Arc::new(PullDetails { version: Some("11".into()), ..PullDetails::default() });
        let later = Knew { token_time: 11, ..knew };
        for other in [
            pull(knew, 2, 400, State::Running),
            pull(knew, 2, 400, State::Deleted),
            pull(later, 2, 0, State::Suspended),
            Pulled::new(State::Suspended, 2, None),
            unsettled,
            moved,
            upgraded,
        ] {
            assert!(!repeats(&other, &record, &settle), "{other:?}");
        }
        assert!(!repeats(&next(), &Record::default(), &settle), "the first of all");
    }

    #[test]
    fn last_answer_counts_and_not_an_earlier_one() {
        let (mut record, knew) = record(ChangeType::Suspend, 60, State::Suspended);
        record.insert(&Fact::Pulled(pull(knew, 2, 70, State::Running)));
        assert!(!repeats(&pull(knew, 3, 80, State::Suspended), &record, &Settle::default()));
    }

    #[test]
    fn time_that_a_notification_is_known_is_handed_on_until_all_settles() {
        let settle = Settle::default();
        let maintained = State::OfflineMaintenance;
        let (record, knew) = record(ChangeType::Upgrade, 899, maintained);
        assert!(!repeats(&pull(knew, 2, 905, maintained), &record, &settle));
        assert!(repeats(&pull(knew, 2, 899, maintained), &record, &settle));
        let (record, knew) = self::record(ChangeType::Upgrade, 900, maintained);
        assert!(repeats(&pull(knew, 2, 2_000, maintained), &record, &settle));
    }
}
