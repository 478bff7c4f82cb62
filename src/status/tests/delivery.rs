//! However notifications are delivered, all replicas end where delivery in order leads.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::strategies::{facts, join, records};
use crate::status::{
    ChangeType, Record,
    derive::{derive, status},
    fact::Fact,
    notified::{Notified, OpenClose},
    overrides::OverrideAction,
    record::Novelty,
};

/// Notifications of a token second each, in order.
fn sequences() -> impl Strategy<Value = Vec<ChangeType>> {
    vec((0_u32..7).prop_map(ChangeType::from), 0..8)
}

fn notified(change: ChangeType, second: usize, received_at: u64) -> Notified {
    let token_time = i64::try_from(second).unwrap();
    Notified::new(change, token_time, received_at, Arc::default())
}

proptest! {
    #[test]
    fn any_delivery_of_distinct_seconds_ends_as_in_order(
        sequence in sequences(),
        deliveries in vec((any::<Index>(), 0_usize..3, 0_u64..9), 0..30),
    ) {
        let mut ordered = Record::default();
        for (second, change) in sequence.iter().enumerate() {
            ordered.record_notification(notified(*change, second, 5));
        }
        // Three replicas get some of them, in any order and as often as they come; at last each is
        // delivered once.
        let mut replicas: [Record; 3] = Default::default();
        if !sequence.is_empty() {
            for (index, replica, received_at) in deliveries {
                let second = index.index(sequence.len());
                let own = notified(sequence[second], second, received_at);
                replicas[replica].record_notification(own);
            }
        }
        for (second, change) in sequence.iter().enumerate().rev() {
            replicas[second % 3].record_notification(notified(*change, second, 5));
        }
        let [a, b, c] = &replicas;
        let joined = join(&join(a, b), c);
        prop_assert_eq!(status(&joined).reason(), status(&ordered).reason());
        prop_assert_eq!(status(&joined).epoch(), status(&ordered).epoch());
        prop_assert_eq!(joined.deciding(), ordered.deciding());
        prop_assert_eq!(&joined, &join(&join(c, a), b));
    }

    #[test]
    fn a_replay_changes_nothing(record in records(), replays in vec(any::<Index>(), 0..6)) {
        let recorded: Vec<_> = record.notifications().cloned().collect();
        let mut replayed = record.clone();
        for own in replays.iter().filter(|_| !recorded.is_empty()).map(|at| at.get(&recorded)) {
            for back in 0..3 {
                let (change, token_time) = (own.change(), own.token_time - back);
                let again = Notified::new(change, token_time, 9_999, Arc::default());
                let novelty = replayed.record_notification(again);
                prop_assert_eq!(novelty == Novelty::Duplicate, back == 0);
                prop_assert_eq!(novelty == Novelty::Stale, back > 0);
            }
        }
        prop_assert_eq!(replayed, record);
    }

    /// A verified notification that is newer than all others acts at once, whatever pulls there
    /// are: no pull knows it.
    #[test]
    fn the_newest_notification_acts_at_once(facts in vec(facts(), 0..9), closing in 0_usize..4) {
        let mut record = Record::from_facts(facts, None);
        record.insert(&record.next_override(OverrideAction::Release, String::new(), 0, None));
        let change = OpenClose::ALL[closing];
        let before = derive(&record);
        let newest = Notified::new(change.change(), 1_000, 0, Arc::default());
        prop_assert_eq!(record.record_notification(newest.clone()), Novelty::Recorded);
        let after = derive(&record);
        // A Delete that stands outlasts other closings.
        let reason = after.closed.map(|closed| closed.reason);
        let outlasted = change != OpenClose::Resume && reason == OpenClose::Delete.reason();
        prop_assert!(reason == change.reason() || outlasted, "{:?} then {:?}", before, after);
        prop_assert!(!after.rests_on_pull());
        prop_assert!(record.facts().contains(&Fact::Notified(newest)));
    }
}
