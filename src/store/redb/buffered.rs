//! Buffers the writes of a database that is being opened, until it is identified as ours.
//!
//! redb writes to a file as soon as it opens it: it marks the file as in use, and repairs it after
//! a crash. A file that turns out to be another program's, or damaged, must stay as it was: it may
//! be the only copy of something. So the file is opened behind this buffer, which records what redb
//! does and replays it in the same order on `commit`, syncs included: a power cut in between finds
//! what it would find without the buffer. A file whose last sync failed is read through the buffer
//! too, and never written again, not even by redb's own close, which would mark the file as whole.

use std::{
    collections::HashMap,
    io,
    ops::Bound,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{BackendError, StorageBackend};

/// Size of a block of pending writes, in bytes.
const BLOCK: usize = 4096;

/// Whether a sync of the storage has failed.
///
/// After that nothing in a file counts as durable: the kernel may drop the pages that it could not
/// write and report the next sync as a success.
#[derive(Debug, Clone, Default)]
pub(super) struct SyncFailed(Arc<AtomicBool>);

impl SyncFailed {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A handle on the storage; redb owns another.
#[derive(Debug, Clone)]
pub(super) struct BufferedBackend(Arc<SharedStorage>);

#[derive(Debug)]
struct SharedStorage {
    storage: Box<dyn StorageBackend>,
    /// `None` once writes go through.
    pending: RwLock<Option<Pending>>,
    sync_failed: SyncFailed,
    /// Whether part of what redb takes for written is not there: nothing may be written after it.
    broken: AtomicBool,
}

#[derive(Debug)]
struct Pending {
    ops: Vec<Op>,
    /// Content that differs from the storage.
    blocks: HashMap<u64, Box<[u8]>>,
    len: u64,
    /// The length of the storage's content that is still valid. Beyond it was truncated and reads
    /// as zeros.
    own: u64,
}

#[derive(Debug)]
enum Op {
    Write(u64, Box<[u8]>),
    SetLen(u64),
    Sync,
}

impl BufferedBackend {
    pub(super) fn new(
        storage: Box<dyn StorageBackend>,
        sync_failed: SyncFailed,
    ) -> io::Result<Self> {
        let len = storage.len()?;
        let pending = Pending { ops: Vec::new(), blocks: HashMap::new(), len, own: len };
        let pending = RwLock::new(Some(pending));
        Ok(Self(Arc::new(SharedStorage {
            storage,
            pending,
            sync_failed,
            broken: AtomicBool::new(false),
        })))
    }

    /// Replays the pending writes, and passes everything through from now on. After an error
    /// nothing can be written any more.
    pub(super) fn commit(&self) -> io::Result<()> {
        let mut pending = self.0.pending.write().unwrap_or_else(PoisonError::into_inner);
        let mut ops = pending.take().into_iter().flat_map(|pending| pending.ops);
        let replayed = ops.try_for_each(|op| self.0.replay(op));
        self.0.broken.fetch_or(replayed.is_err(), Ordering::AcqRel);
        replayed
    }

    /// Applies `work` to the pending writes and the storage while writes are buffered.
    fn buffer<T>(
        &self,
        work: impl FnOnce(&mut Pending, &dyn StorageBackend) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        // The common case takes no exclusive lock, so that reads of an open database are
        // concurrent.
        if self.0.pending.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            return None;
        }
        let mut pending = self.0.pending.write().unwrap_or_else(PoisonError::into_inner);
        pending.as_mut().map(|pending| work(pending, &*self.0.storage))
    }
}

impl SharedStorage {
    fn replay(&self, op: Op) -> io::Result<()> {
        match op {
            Op::Write(offset, data) => self.storage.write(offset, &data),
            Op::SetLen(len) => self.storage.set_len(len),
            Op::Sync => self.sync(),
        }
    }

    /// Returns the storage for a change of it.
    fn writable(&self) -> io::Result<&dyn StorageBackend> {
        if self.broken.load(Ordering::Acquire) {
            return Err(io::Error::other("an earlier write failed"));
        }
        Ok(&*self.storage)
    }

    fn sync(&self) -> io::Result<()> {
        let synced = self.writable()?.sync_data();
        if synced.is_err() {
            self.broken.store(true, Ordering::Release);
            self.sync_failed.0.store(true, Ordering::Release);
        }
        synced
    }
}

impl Pending {
    fn read(
        &self,
        storage: &dyn StorageBackend,
        offset: u64,
        mut out: &mut [u8],
    ) -> io::Result<()> {
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = offset;
        while !out.is_empty() {
            let (number, skip) = place(at);
            let (part, rest) = out.split_at_mut(out.len().min(BLOCK - skip));
            match self.blocks.get(&number).and_then(|block| block.get(skip..skip + part.len())) {
                Some(block) => part.copy_from_slice(block),
                None => self.read_own(storage, at, part)?,
            }
            at += part.len() as u64;
            out = rest;
        }
        Ok(())
    }

    fn read_own(&self, storage: &dyn StorageBackend, at: u64, out: &mut [u8]) -> io::Result<()> {
        let own = usize::try_from(self.own.saturating_sub(at)).unwrap_or(usize::MAX);
        let (own, beyond) = out.split_at_mut(own.min(out.len()));
        beyond.fill(0);
        if own.is_empty() { Ok(()) } else { storage.read(at, own) }
    }

    fn write(&mut self, storage: &dyn StorageBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut at, mut data_left) = (offset, data);
        while !data_left.is_empty() {
            let (number, skip) = place(at);
            let (part, rest) = data_left.split_at(data_left.len().min(BLOCK - skip));
            if !self.blocks.contains_key(&number) {
                let mut block = vec![0; BLOCK].into_boxed_slice();
                self.read_own(storage, at - skip as u64, &mut block)?;
                self.blocks.insert(number, block);
            }
            let block = self.blocks.get_mut(&number);
            if let Some(slot) = block.and_then(|block| block.get_mut(skip..skip + part.len())) {
                slot.copy_from_slice(part);
            }
            at += part.len() as u64;
            data_left = rest;
        }
        self.len = self.len.max(at);
        self.ops.push(Op::Write(offset, data.into()));
        Ok(())
    }

    fn set_len(&mut self, len: u64) {
        self.own = self.own.min(len);
        let (last, within) = place(len);
        self.blocks.retain(|&number, _| number < last || (number == last && within > 0));
        if let Some(cut) = self.blocks.get_mut(&last).and_then(|block| block.get_mut(within..)) {
            cut.fill(0);
        }
        self.len = len;
        self.ops.push(Op::SetLen(len));
    }
}

/// Returns the number of the block with byte `at`, and its offset in the block.
fn place(at: u64) -> (u64, usize) {
    // A remainder of BLOCK fits any usize.
    (at / BLOCK as u64, usize::try_from(at % BLOCK as u64).unwrap_or_default())
}

impl StorageBackend for BufferedBackend {
    fn len(&self) -> io::Result<u64> {
        self.buffer(|pending, _| Ok(pending.len)).unwrap_or_else(|| self.0.storage.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.buffer(|pending, storage| pending.read(storage, offset, out)) {
            Some(read) => read,
            None => self.0.storage.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let pending = self.buffer(|pending, _| {
            pending.set_len(len);
            Ok(())
        });
        pending.unwrap_or_else(|| self.0.writable()?.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let pending = self.buffer(|pending, _| {
            pending.ops.push(Op::Sync);
            Ok(())
        });
        pending.unwrap_or_else(|| self.0.sync())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.buffer(|pending, storage| pending.write(storage, offset, data))
            .unwrap_or_else(|| self.0.writable()?.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.0.storage.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.storage.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.storage.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.storage.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.storage.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.storage.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.storage.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    /// Storage that outlives its `BufferedBackend`, and whose next sync may fail.
    #[derive(Debug, Clone)]
    struct Storage(Arc<InMemoryBackend>, Arc<AtomicBool>);

    impl StorageBackend for Storage {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            match self.1.swap(false, Ordering::AcqRel) {
                true => Err(io::Error::from_raw_os_error(5)),
                false => self.0.sync_data(),
            }
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }

    /// Asserts that nothing can be changed, though the storage would let it.
    fn assert_closed(buffered: &BufferedBackend, storage: &Storage) {
        let before = content(storage);
        assert!(buffered.write(0, b"new").is_err());
        assert!(buffered.set_len(1).is_err());
        assert!(buffered.sync_data().is_err());
        assert_eq!(content(storage), before);
    }

    #[test]
    fn nothing_is_written_after_an_incomplete_commit() {
        let storage = storage(b"old");
        let failed = SyncFailed::default();
        let buffered = BufferedBackend::new(Box::new(storage.clone()), failed.clone()).unwrap();
        buffered.write(0, b"one").unwrap();
        buffered.sync_data().unwrap();
        buffered.write(0, b"two").unwrap();
        storage.1.store(true, Ordering::Release);
        assert!(buffered.commit().is_err() && failed.get());
        assert_eq!(content(&storage), b"one");
        assert_closed(&buffered, &storage);
    }

    #[test]
    fn nothing_is_written_after_a_failed_sync() {
        let storage = storage(b"old");
        let failed = SyncFailed::default();
        let buffered = BufferedBackend::new(Box::new(storage.clone()), failed.clone()).unwrap();
        buffered.commit().unwrap();
        buffered.write(0, b"new").unwrap();
        storage.1.store(true, Ordering::Release);
        assert!(buffered.sync_data().is_err() && failed.get());
        assert_closed(&buffered, &storage);
    }

    fn storage(content: &[u8]) -> Storage {
        let storage = Storage(Arc::new(InMemoryBackend::new()), Arc::default());
        storage.set_len(content.len() as u64).unwrap();
        storage.write(0, content).unwrap();
        storage
    }

    fn content(storage: &dyn StorageBackend) -> Vec<u8> {
        let mut all = vec![0xAA; usize::try_from(storage.len().unwrap()).unwrap()];
        storage.read(0, &mut all).unwrap();
        all
    }

    proptest! {
        #[test]
        fn reads_as_if_written_and_writes_on_commit(
            start in 0_usize..20_000,
            ops in proptest::collection::vec((0_u64..20_000, 0_usize..9_000, any::<bool>(), 1_u8..), 1..20),
        ) {
            let before = vec![7; start];
            let (real, plain) = (storage(&before), storage(&before));
            let buffered =
                BufferedBackend::new(Box::new(real.clone()), SyncFailed::default()).unwrap();
            for (at, len, cut, byte) in ops {
                for storage in [&buffered as &dyn StorageBackend, &plain] {
                    if cut {
                        storage.set_len(at).unwrap();
                    } else {
                        storage.set_len(storage.len().unwrap().max(at + len as u64)).unwrap();
                        storage.write(at, &vec![byte; len]).unwrap();
                    }
                }
                prop_assert_eq!(content(&buffered), content(&plain));
            }
            prop_assert_eq!(content(&real), before);
            buffered.commit().unwrap();
            prop_assert_eq!(content(&real), content(&plain));
            buffered.set_len(1).unwrap();
            prop_assert_eq!(real.len().unwrap(), 1);
        }
    }
}
