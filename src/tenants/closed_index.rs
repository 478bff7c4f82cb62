//! An index of the closed tenants, which calls read before anything else.
//!
//! It answers "may this tenant be closed?" from one cache line, without a lock and without writing
//! anything. A no is certain; a yes may be wrong, and costs a read of the registry. `tests/model`
//! compiles this very file with atomics whose every order it controls, taken from `super::sync`.

use std::{fmt, sync::OnceLock};

use super::sync::{AtomicU32, AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError, fence};

/// A multiset of hashes. Its buckets are doubled as it grows, and stay for later: 16 bytes a hash
/// at most, of the most hashes that it ever held.
///
/// A hash is in the bucket that its low bits name. Writers are serialised by a lock that no reader
/// takes. When the buckets double, half of the hashes move: they stay in both places until the new
/// number of buckets is published, and a reader that sees the number change says "may be".
pub(super) struct ClosedIndex<const FIRST: usize = 64> {
    /// Number of buckets, less one.
    mask: AtomicUsize,
    /// The first has `FIRST` buckets, a power of two; each later one as many as all before it.
    segments: [OnceLock<Box<[Bucket]>>; SEGMENTS],
    writer: Mutex<Writer>,
}

const SEGMENTS: usize = 24;
const SLOTS: usize = 8;
/// The mean number of hashes in a bucket beyond which the buckets are doubled. By then one in fifty
/// has more than it holds, and hardly one afterwards.
const MEAN: usize = SLOTS / 2;

/// A free slot.
const FREE: u32 = 0;
/// The mark in the first slot of a bucket to which more hashes belong than it holds.
const FULL: u32 = u32::MAX;

/// Half a cache line.
#[derive(Default)]
#[repr(align(32))]
struct Bucket([AtomicU32; SLOTS]);

#[derive(Default)]
struct Writer {
    len: usize,
    /// The hashes that found no slot. Their buckets are marked [`FULL`].
    surplus: Vec<u32>,
}

impl<const FIRST: usize> ClosedIndex<FIRST> {
    pub(super) fn new() -> Self {
        Self {
            mask: AtomicUsize::new(FIRST - 1),
            segments: std::array::from_fn(|_| OnceLock::new()),
            writer: Mutex::new(Writer::default()),
        }
    }

    /// Returns whether `hash` may be in the set. A hash is found from when its insertion returns
    /// until its removal is called.
    #[inline]
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        let tag = tag(hash);
        let mask = self.mask.load(Ordering::Acquire);
        let Some(bucket) = self.bucket(tag as usize & mask) else { return true };
        if bucket.may_contain(tag) {
            return true;
        }
        // A hash may have moved on while its bucket was read. A slot is cleared only after the new
        // number was published, so that is seen here.
        fence(Ordering::Acquire);
        self.mask.load(Ordering::Relaxed) != mask
    }

    /// Adds `hash`, once more if it is there.
    pub(super) fn insert(&self, hash: u64) {
        let tag = tag(hash);
        let mut writer = self.writer();
        let mask = self.mask.load(Ordering::Relaxed);
        if let Some(first) = self.segments.first() {
            first.get_or_init(|| buckets(FIRST));
        }
        if let Some(bucket) = self.bucket(tag as usize & mask) {
            writer.len += 1;
            bucket.insert(tag, &mut writer.surplus);
        }
        if writer.len > MEAN * (mask + 1) {
            self.grow(&mut writer, mask + 1);
        }
    }

    /// Removes `hash` once.
    pub(super) fn remove(&self, hash: u64) {
        let tag = tag(hash);
        let mut writer = self.writer();
        let mask = self.mask.load(Ordering::Relaxed);
        let Some(bucket) = self.bucket(tag as usize & mask) else { return };
        if bucket.take(tag) {
            writer.len -= 1;
        } else if let Some(at) = writer.surplus.iter().position(|other| *other == tag) {
            writer.len -= 1;
            writer.surplus.swap_remove(at);
            let in_bucket = |other: &u32| (other ^ tag) as usize & mask == 0;
            if !writer.surplus.iter().any(in_bucket) {
                bucket.take(FULL);
            }
        }
    }

    /// Doubles the number of buckets, which is `size`.
    fn grow(&self, writer: &mut Writer, size: usize) {
        let Some(segment) = self.segments.get(segment_of::<FIRST>(size)) else { return };
        let moves = |tag: u32| tag as usize & size != 0;
        let old = || (0..size).filter_map(|index| self.bucket(index));
        let mut surplus = std::mem::take(&mut writer.surplus);

        // Filled before it is published.
        let added = buckets(size);
        for tag in old().flat_map(Bucket::tags).chain(surplus.iter().copied()) {
            if moves(tag)
                && let Some(bucket) = added.get(tag as usize & (size - 1))
            {
                bucket.insert(tag, &mut writer.surplus);
            }
        }
        // Under the lock of writers, and once for each size: it was empty.
        segment.get_or_init(|| added);
        self.mask.store(2 * size - 1, Ordering::Release);
        // Orders all that is cleared below behind the new number.
        fence(Ordering::Release);

        old().for_each(|bucket| bucket.clear(moves));
        surplus.sort_unstable_by_key(|tag| tag & (size - 1) as u32);
        for tags in surplus.chunk_by(|a, b| (a ^ b) as usize & (size - 1) == 0) {
            let Some(bucket) = tags.first().and_then(|tag| self.bucket(*tag as usize & (size - 1)))
            else {
                continue;
            };
            let before = writer.surplus.len();
            for tag in tags.iter().filter(|tag| !moves(**tag)) {
                bucket.insert(*tag, &mut writer.surplus);
            }
            if writer.surplus.len() == before {
                bucket.take(FULL);
            }
        }
    }

    #[inline]
    fn bucket(&self, index: usize) -> Option<&Bucket> {
        let buckets = self.segments.get(segment_of::<FIRST>(index))?.get()?;
        // The length is a power of two, and the index of the first bucket a multiple of it.
        buckets.get(index & (buckets.len() - 1))
    }

    /// Returns the memory of its parts, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let buckets = self.mask.load(Ordering::Relaxed) + 1;
        buckets * size_of::<Bucket>() + self.writer().surplus.capacity() * size_of::<u32>()
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A poisoned lock is safe to use: at worst, a hash stays too long.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    #[inline]
    fn may_contain(&self, tag: u32) -> bool {
        let mut found = false;
        // No branch for a slot: most calls find nothing.
        for slot in &self.0 {
            let other = slot.load(Ordering::Relaxed);
            found |= (other == tag) | (other == FULL);
        }
        found
    }

    /// Puts `tag` into a free slot; where there is none it joins the surplus, and the bucket is
    /// marked as full.
    fn insert(&self, tag: u32, surplus: &mut Vec<u32>) {
        if self.replace(FREE, tag) {
            return;
        }
        surplus.push(tag);
        if let Some(first) = self.0.first() {
            let displaced = first.load(Ordering::Relaxed);
            if displaced != FULL {
                surplus.push(displaced);
                first.store(FULL, Ordering::Relaxed);
            }
        }
    }

    /// Frees one slot with `tag`, if there is one.
    fn take(&self, tag: u32) -> bool {
        self.replace(tag, FREE)
    }

    fn replace(&self, tag: u32, other: u32) -> bool {
        let slot = self.0.iter().find(|slot| slot.load(Ordering::Relaxed) == tag);
        slot.map(|slot| slot.store(other, Ordering::Relaxed)).is_some()
    }

    fn tags(&self) -> impl Iterator<Item = u32> {
        let tags = self.0.iter().map(|slot| slot.load(Ordering::Relaxed));
        tags.filter(|tag| !matches!(*tag, FREE | FULL))
    }

    fn clear(&self, which: impl Fn(u32) -> bool) {
        for slot in &self.0 {
            let tag = slot.load(Ordering::Relaxed);
            if !matches!(tag, FREE | FULL) && which(tag) {
                slot.store(FREE, Ordering::Relaxed);
            }
        }
    }
}

impl<const FIRST: usize> fmt::Debug for ClosedIndex<FIRST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Writer { len, surplus } = &*self.writer();
        f.debug_struct("ClosedIndex")
            .field("len", len)
            .field("buckets", &(self.mask.load(Ordering::Relaxed) + 1))
            .field("surplus", &surplus.len())
            .finish_non_exhaustive()
    }
}

/// The part of a hash that is kept.
#[inline]
fn tag(hash: u64) -> u32 {
    ((hash ^ (hash >> 32)) as u32).clamp(FREE + 1, FULL - 1)
}

/// Returns the segment of the bucket at `index`.
#[inline]
fn segment_of<const FIRST: usize>(index: usize) -> usize {
    (usize::BITS - (index / FIRST).leading_zeros()) as usize
}

fn buckets(size: usize) -> Box<[Bucket]> {
    (0..size).map(|_| Bucket::default()).collect()
}
