//! The routes that calls took, for later calls to the same tenants.
//!
//! A call to a tenant whose host is known reads one cache line here, without a lock and without
//! writing anything, in place of the tenant's record. `tests/model` compiles this very file with
//! atomics whose every order it controls, taken from `super::sync`.

use std::{fmt, sync::OnceLock};

use super::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Remembers a route for each of some thousand tenants. One that needs the place of another takes it.
///
/// A slot is a sequence lock: its number is odd while it is written, and a reader that saw two numbers
/// has read nothing.
pub(super) struct Routes<const SLOTS: usize = 4096> {
    /// Made by the first call: not every gate has clients.
    slots: OnceLock<Box<[Slot]>>,
}

/// Half a cache line.
#[derive(Default)]
#[repr(align(32))]
struct Slot {
    sequence: AtomicU32,
    version: AtomicU32,
    /// The first and the last eight characters of the id, as it was spelled.
    ends: [AtomicU64; 2],
    /// The end of the route's validity, the number of its origin and the length of the id.
    rest: AtomicU64,
}

/// Where a tenant was served when its record was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    /// The number of its origin.
    pub(super) origin: u8,
    /// The version of the tenant before its record was read.
    pub(super) version: u32,
    /// Seconds since the gate was built from which on the record has to be read again.
    pub(super) until: u32,
}

impl<const SLOTS: usize> Routes<SLOTS> {
    pub(super) fn new() -> Self {
        Self { slots: OnceLock::new() }
    }

    /// Returns the route that was remembered last of the tenant with this id, spelled like that.
    #[inline]
    pub(super) fn get(&self, hash: u64, id: &str) -> Option<Route> {
        let slot = slot(self.slots.get()?, hash)?;
        let [first, last] = ends(id)?;
        let sequence = slot.sequence.load(Ordering::Acquire);
        let [own_first, own_last] = &slot.ends;
        let same = (own_first.load(Ordering::Relaxed) ^ first)
            | (own_last.load(Ordering::Relaxed) ^ last);
        let rest = slot.rest.load(Ordering::Relaxed);
        let version = slot.version.load(Ordering::Relaxed);
        // Orders all that was read before the second look at the number.
        fence(Ordering::Acquire);
        let whole = sequence & 1 == 0 && slot.sequence.load(Ordering::Relaxed) == sequence;
        let [until_0, until_1, until_2, until_3, origin, len, ..] = rest.to_le_bytes();
        (same == 0 && usize::from(len) == id.len() && whole).then_some(Route {
            origin,
            version,
            until: u32::from_le_bytes([until_0, until_1, until_2, until_3]),
        })
    }

    /// Remembers a route, unless its place is being written. Ids of a length that calls don't look up
    /// are left out.
    pub(super) fn put(&self, hash: u64, id: &str, route: Route) {
        let Some(([first, last], len)) = ends(id).zip(u8::try_from(id.len()).ok()) else { return };
        let slots = self.slots.get_or_init(|| (0..SLOTS).map(|_| Slot::default()).collect());
        let Some(slot) = slot(slots, hash) else { return };
        let sequence = slot.sequence.load(Ordering::Relaxed);
        let odd = sequence.wrapping_add(1);
        let is_taken = || {
            let taken = slot.sequence.compare_exchange(
                sequence,
                odd,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            taken.is_err()
        };
        if odd & 1 == 0 || is_taken() {
            return;
        }
        // Orders the odd number before all that follows.
        fence(Ordering::Release);
        let [a, b, c, d] = route.until.to_le_bytes();
        let rest = u64::from_le_bytes([a, b, c, d, route.origin, len, 0, 0]);
        let [own_first, own_last] = &slot.ends;
        own_first.store(first, Ordering::Relaxed);
        own_last.store(last, Ordering::Relaxed);
        slot.rest.store(rest, Ordering::Relaxed);
        slot.version.store(route.version, Ordering::Relaxed);
        slot.sequence.store(odd.wrapping_add(1), Ordering::Release);
    }
}

#[inline]
fn slot(slots: &[Slot], hash: u64) -> Option<&Slot> {
    // The number of slots is a power of two.
    slots.get(hash as usize & slots.len().wrapping_sub(1))
}

/// Returns the first and the last eight characters of an id, which may overlap; `None` for an id that
/// has others between them, is shorter, or too long.
#[inline]
fn ends(id: &str) -> Option<[u64; 2]> {
    let (first, last) = (id.as_bytes().first_chunk()?, id.as_bytes().last_chunk()?);
    let ends = [u64::from_le_bytes(*first), u64::from_le_bytes(*last)];
    (id.len() <= 16).then_some(ends)
}

impl<const SLOTS: usize> fmt::Debug for Routes<SLOTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn route(origin: u8) -> Route {
        Route { origin, version: 1_000 + origin as u32, until: 2_000 + origin as u32 }
    }

    #[test]
    fn route_is_found_by_hash_and_exact_spelling() {
        let routes = Routes::<16>::new();
        assert_eq!(routes.get(3, "Cust12345"), None);
        routes.put(3, "Cust12345", route(7));
        assert_eq!(routes.get(3, "Cust12345"), Some(route(7)));
        assert_eq!(routes.get(3 + 16, "Cust12345"), Some(route(7)));
        for other in ["cust12345", "Cust12346", "Cust1234", "Cust123455", "Cust12345\0", "x"] {
            assert_eq!(routes.get(3, other), None, "{other:?}");
        }
        assert_eq!(routes.get(4, "Cust12345"), None);
    }

    #[test]
    fn later_route_takes_the_place() {
        let routes = Routes::<1>::new();
        routes.put(1, "Cust12345", route(1));
        routes.put(2, "Cust12345", route(2));
        assert_eq!(routes.get(1, "Cust12345"), Some(route(2)));
        routes.put(3, "ATenantId16Chars", route(u8::MAX));
        assert_eq!(routes.get(1, "Cust12345"), None);
        assert_eq!(routes.get(3, "ATenantId16Chars"), Some(route(u8::MAX)));
    }

    #[test]
    fn short_and_long_ids_are_left_out() {
        let routes = Routes::<1>::new();
        for id in ["", "api", "login", "Cust123", "ATenantIdOf17Char", &"a".repeat(300)] {
            routes.put(0, id, route(1));
            assert_eq!(routes.get(0, id), None, "{id}");
        }
    }
}
