//! Records of version 1.0, whose facts were ordered by wall clocks.

use serde_json::{Map, Value};

use super::Fact;

/// The keys of the pulls of version 1.0, which a wall clock dated. They are dropped, and the tenant
/// is pulled soon after the load.
const PULLS: [&str; 5] =
    ["pull_running", "pull_suspended", "pull_upgrading", "pull_deleted", "pull_not_ready"];

pub(super) fn drop_pulls(map: &mut Map<String, Value>) {
    for key in PULLS {
        map.remove(key);
    }
}

/// Sets the places of the notifications of each token second by the time at which they were
/// received, which was their order in 1.0.
pub(super) fn assign_places(facts: &mut [Fact]) {
    let mut notified: Vec<_> = facts
        .iter_mut()
        .filter_map(|fact| match fact {
            Fact::Notified(notified) => Some(notified),
            Fact::Pulled(_) | Fact::Override(_) => None,
        })
        .collect();
    notified.sort_by_key(|own| (own.token_time, own.received_at, own.position()));
    let mut last = (0, 0);
    for own in notified {
        let (token_time, place) = last;
        let place = if own.token_time == token_time { place + 1 } else { 1 };
        *own = own.clone().at_place(place);
        last = (own.token_time, place);
    }
}
