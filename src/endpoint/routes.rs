//! The routes that calls took, for later calls to the same tenants.
//!
//! A call to a tenant whose host is known reads one cache line here, without a lock and without
//! writing anything, in place of the tenant's record. `tests/model` compiles this very file with
//! atomics whose every order it controls, taken from `super::sync`.

use std::{fmt, sync::OnceLock};

use super::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Remembers a route for each of some thousand tenants. Each has two places, side by side; one that
/// finds both taken takes the first.
///
/// A slot is a sequence lock: its number is odd while it is written, and a reader that sees the
/// number change discards what it read.
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

/// The origin of a tenant when its record was last read.
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
        let slots = self.slots.get()?;
        let ends = ends(id)?;
        let own = |hash| slot(slots, hash)?.get(ends, id.len());
        own(hash).or_else(|| own(hash ^ 1))
    }

    /// Remembers a route, unless its place is being written. Ids of a length that calls don't look
    /// up are left out.
    pub(super) fn put(&self, hash: u64, id: &str, route: Route) {
        let Some((ends, len)) = ends(id).zip(u8::try_from(id.len()).ok()) else { return };
        let slots = self.slots.get_or_init(|| (0..SLOTS).map(|_| Slot::default()).collect());
        let [first, second] = [hash, hash ^ 1].map(|hash| slot(slots, hash));
        let is_free = |slot: &&Slot| slot.is_free_for(ends);
        if let Some(slot) = first.filter(is_free).or(second.filter(is_free)).or(first) {
            slot.put(ends, len, route);
        }
    }
}

impl Slot {
    #[inline]
    fn get(&self, [first, last]: [u64; 2], id_len: usize) -> Option<Route> {
        let sequence = self.sequence.load(Ordering::Acquire);
        let [own_first, own_last] = &self.ends;
        let same =
            (own_first.load(Ordering::Relaxed) ^ first) | (own_last.load(Ordering::Relaxed) ^ last);
        let rest = self.rest.load(Ordering::Relaxed);
        let version = self.version.load(Ordering::Relaxed);
        // Orders all these reads before the second one of the number.
        fence(Ordering::Acquire);
        let whole = sequence & 1 == 0 && self.sequence.load(Ordering::Relaxed) == sequence;
        let [until_0, until_1, until_2, until_3, origin, len, ..] = rest.to_le_bytes();
        (same == 0 && usize::from(len) == id_len && whole).then_some(Route {
            origin,
            version,
            until: u32::from_le_bytes([until_0, until_1, until_2, until_3]),
        })
    }

    /// Returns whether it holds no route, or one of the tenant itself. A guess: it may be written
    /// just now.
    fn is_free_for(&self, ends: [u64; 2]) -> bool {
        let own = self.ends.each_ref().map(|own| own.load(Ordering::Relaxed));
        own == [0; 2] || own == ends
    }

    fn put(&self, [first, last]: [u64; 2], len: u8, route: Route) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        let odd = sequence.wrapping_add(1);
        let is_taken = || {
            let taken =
                self.sequence.compare_exchange(sequence, odd, Ordering::Acquire, Ordering::Relaxed);
            taken.is_err()
        };
        if odd & 1 == 0 || is_taken() {
            return;
        }
        // Orders the odd number before all that follows.
        fence(Ordering::Release);
        let [a, b, c, d] = route.until.to_le_bytes();
        let rest = u64::from_le_bytes([a, b, c, d, route.origin, len, 0, 0]);
        let [own_first, own_last] = &self.ends;
        own_first.store(first, Ordering::Relaxed);
        own_last.store(last, Ordering::Relaxed);
        self.rest.store(rest, Ordering::Relaxed);
        self.version.store(route.version, Ordering::Relaxed);
        self.sequence.store(odd.wrapping_add(1), Ordering::Release);
    }
}

#[inline]
fn slot(slots: &[Slot], hash: u64) -> Option<&Slot> {
    // The number of slots is a power of two.
    slots.get(hash as usize & slots.len().wrapping_sub(1))
}

/// Returns the first and the last eight characters of an id, which may overlap; `None` for an id
/// that has others between them, is shorter, or too long.
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
