//! Repeated keys of one object.

use std::cmp::Ordering;

/// The most keys that are compared with one another; more are sorted. A sender chooses how many
/// there are, so the time must not grow with their square.
const FEW: usize = 12;

/// Whether keys that differ in ASCII case are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Exact,
    Ignored,
}

impl Case {
    fn is_equal(self, a: &str, b: &str) -> bool {
        match self {
            Self::Exact => a == b,
            Self::Ignored => a.eq_ignore_ascii_case(b),
        }
    }

    fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Exact => a.cmp(b),
            Self::Ignored => lower_case(a).cmp(lower_case(b)),
        }
    }
}

fn lower_case(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().map(|byte| byte.to_ascii_lowercase())
}

/// Returns whether any two of `keys` are equal.
pub(super) fn are_repeated<'k>(
    mut keys: impl ExactSizeIterator<Item = &'k str> + Clone,
    case: Case,
) -> bool {
    if keys.len() <= FEW {
        while let Some(key) = keys.next() {
            if keys.clone().any(|other| case.is_equal(key, other)) {
                return true;
            }
        }
        return false;
    }
    let mut sorted: Vec<&str> = keys.collect();
    sorted.sort_unstable_by(|a, b| case.compare(a, b));
    sorted.windows(2).any(|pair| matches!(pair, [a, b] if case.is_equal(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_key_is_found_at_any_place_and_count() {
        for count in [2, FEW, FEW + 1, 100] {
            let distinct: Vec<String> = (0..count).map(|n| format!("Key{n}")).collect();
            let repeated =
                |keys: &[String], case| are_repeated(keys.iter().map(String::as_str), case);
            assert!(!repeated(&distinct, Case::Exact) && !repeated(&distinct, Case::Ignored));
            for (a, b) in [(0, 1), (0, count - 1), (count - 2, count - 1)] {
                let mut keys = distinct.clone();
                keys[b] = keys[a].to_uppercase();
                assert!(!repeated(&keys, Case::Exact), "{count} {a} {b}");
                assert!(repeated(&keys, Case::Ignored), "{count} {a} {b}");
                keys[b] = keys[a].clone();
                assert!(repeated(&keys, Case::Exact), "{count} {a} {b}");
            }
        }
    }
}
