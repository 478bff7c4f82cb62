//! Tests of the index of closed tenants by one thread; `tests/model` has those by several.

use proptest::prelude::*;

use super::closed_index::ClosedIndex;

/// Few buckets, and hashes that share them.
type Small = ClosedIndex<1>;

fn hash(number: u8) -> u64 {
    // The low bits of few numbers, so that buckets are full soon; zero and the marks among them.
    u64::from(number % 5) | u64::from(number / 5) << 6
}

proptest! {
    #[test]
    fn index_contains_what_was_inserted_and_not_removed(
        ops in proptest::collection::vec((any::<bool>(), any::<u8>()), 1..400),
    ) {
        let index = Small::new();
        // An index that never held anything is never asked, and knows nothing.
        index.insert(hash(0));
        index.remove(hash(0));
        let mut model = std::collections::HashMap::<u8, usize>::new();
        for (inserts, number) in ops {
            let count = model.entry(number).or_default();
            if inserts {
                *count += 1;
                index.insert(hash(number));
            } else if *count > 0 {
                *count -= 1;
                index.remove(hash(number));
            }
            for (number, _) in model.iter().filter(|(_, count)| **count > 0) {
                prop_assert!(index.may_contain(hash(*number)), "{} is lost", number);
            }
        }
        for (number, count) in model {
            (0..count).for_each(|_| index.remove(hash(number)));
        }
        // Neither a hash nor a mark is left.
        for tag in 0..=u8::MAX {
            prop_assert!(!index.may_contain(hash(tag)), "{} is left", tag);
        }
    }
}

#[test]
fn index_of_many_is_seldom_wrong_and_stays_small() {
    // Just more than a number of buckets is good for, so that they have been doubled.
    const MANY: u64 = 131_100;
    let index = ClosedIndex::<64>::new();
    // Odd, so that the products are spread and differ.
    let hash = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (1..=MANY).for_each(|number| index.insert(hash(number)));
    assert!((1..=MANY).all(|number| index.may_contain(hash(number))));
    let wrong = (MANY + 1..=2 * MANY).filter(|number| index.may_contain(hash(*number))).count();
    assert!(wrong < 6_000, "{wrong} of {MANY}");
    let bytes = index.bytes();
    assert!(bytes <= 17 * MANY as usize, "{bytes} bytes for {MANY}");
}
