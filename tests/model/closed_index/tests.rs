//! A call that starts after a tenant was closed finds it in the index, whatever else goes on there.

use std::sync::Arc;

use loom::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::index::ClosedIndex;

/// One bucket at first: the fifth hash doubles it.
type Index = ClosedIndex<1>;

/// A hash in the bucket of its low bits. The index folds both halves of 64 bits.
const fn hash(number: u64) -> u64 {
    number
}

/// How far loom looks: every schedule with at most so many preemptions.
fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(harness::amount("MODEL_PREEMPTIONS", 3, 4));
    builder.check(test);
}

fn filled(hashes: impl IntoIterator<Item = u64>) -> Arc<Index> {
    let index = Index::new();
    hashes.into_iter().for_each(|number| index.insert(hash(number)));
    Arc::new(index)
}

#[test]
fn closed_tenants_are_found_while_the_index_grows() {
    model(|| {
        let index = filled(1..=4);
        let writer = Arc::clone(&index);
        let writer = thread::spawn(move || writer.insert(hash(5)));
        // One that stays in its bucket, and one that moves.
        assert!(index.may_contain(hash(2)));
        assert!(index.may_contain(hash(3)));
        writer.join().unwrap();
        assert!(index.may_contain(hash(5)));
    });
}

#[test]
fn call_after_the_answer_is_refused_while_the_index_grows() {
    model(|| {
        let index = filled(1..=3);
        let answered = Arc::new(AtomicUsize::new(0));
        let (writer, published) = (Arc::clone(&index), Arc::clone(&answered));
        let writer = thread::spawn(move || {
            // The notification of 7 is answered; another one then doubles the buckets.
            writer.insert(hash(7));
            published.store(1, Ordering::Release);
            writer.insert(hash(9));
        });
        if answered.load(Ordering::Acquire) == 1 {
            assert!(index.may_contain(hash(7)));
        }
        writer.join().unwrap();
    });
}

#[test]
fn closed_tenant_is_found_while_another_opens() {
    model(|| {
        // Both in one bucket, which has more hashes than it holds.
        let index = filled((0..9).map(|number| 2 + 32 * number));
        let writer = Arc::clone(&index);
        let writer = thread::spawn(move || {
            writer.remove(hash(2));
            writer.remove(hash(34));
        });
        assert!(index.may_contain(hash(2 + 32 * 8)));
        writer.join().unwrap();
        assert!(index.may_contain(hash(2 + 32 * 8)));
        assert!(!index.may_contain(hash(2)));
    });
}

#[test]
fn two_closings_at_once_are_both_found() {
    model(|| {
        let index = filled(1..=3);
        let writers = [7, 9].map(|number| {
            let index = Arc::clone(&index);
            thread::spawn(move || {
                index.insert(hash(number));
                assert!(index.may_contain(hash(number)));
            })
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        for number in [1, 2, 3, 7, 9] {
            assert!(index.may_contain(hash(number)));
        }
    });
}
