//! Storage that keeps writes to itself until the database in it has proved to be ours.
//!
//! redb writes to a file as soon as it opens it: it marks the file as in use, and repairs it after a
//! crash. A file that turns out to be another program's, or damaged, must stay as it was. So the
//! file is opened behind this, which remembers what redb did and redoes it later, in the same order,
//! syncs included, so that a power cut meanwhile finds what it would find without this.

use std::{
    collections::HashMap,
    io,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock},
};

use redb::{BackendError, StorageBackend};

/// Remembered writes are kept in blocks of this many bytes.
const BLOCK: usize = 4096;

/// A handle on the storage; redb owns another.
#[derive(Debug, Clone)]
pub(super) struct Held(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Box<dyn StorageBackend>,
    /// `None` once writes go through.
    kept: RwLock<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    done: Vec<Done>,
    /// What a read would find, where that is not what the storage holds.
    blocks: HashMap<u64, Box<[u8]>>,
    len: u64,
    /// The storage's own bytes count up to here; what lies beyond was cut off and reads as zeros.
    own: u64,
}

#[derive(Debug)]
enum Done {
    Write(u64, Box<[u8]>),
    SetLen(u64),
    Sync,
}

impl Held {
    pub(super) fn new(inner: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = inner.len()?;
        let kept = Kept { done: Vec::new(), blocks: HashMap::new(), len, own: len };
        Ok(Self(Arc::new(Shared { inner, kept: RwLock::new(Some(kept)) })))
    }

    /// Does what was kept back, and lets everything through from now on.
    pub(super) fn let_through(&self) -> io::Result<()> {
        let mut kept = self.0.kept.write().unwrap_or_else(PoisonError::into_inner);
        for done in kept.take().into_iter().flat_map(|kept| kept.done) {
            match done {
                Done::Write(offset, data) => self.0.inner.write(offset, &data)?,
                Done::SetLen(len) => self.0.inner.set_len(len)?,
                Done::Sync => self.0.inner.sync_data()?,
            }
        }
        Ok(())
    }

    /// Gives `work` what is kept, if writes are kept, and the storage.
    fn keep<T>(
        &self,
        work: impl FnOnce(&mut Kept, &dyn StorageBackend) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        // The common case takes no exclusive lock: reads of a database that is open go on together.
        if self.0.kept.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            return None;
        }
        let mut kept = self.0.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.as_mut().map(|kept| work(kept, &*self.0.inner))
    }
}

impl Kept {
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
        self.done.push(Done::Write(offset, data.into()));
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
        self.done.push(Done::SetLen(len));
    }
}

/// The number of the block that holds byte `at`, and where in it that byte is.
fn place(at: u64) -> (u64, usize) {
    // A remainder of BLOCK fits any usize.
    (at / BLOCK as u64, usize::try_from(at % BLOCK as u64).unwrap_or_default())
}

impl StorageBackend for Held {
    fn len(&self) -> io::Result<u64> {
        self.keep(|kept, _| Ok(kept.len)).unwrap_or_else(|| self.0.inner.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.keep(|kept, storage| kept.read(storage, offset, out)) {
            Some(read) => read,
            None => self.0.inner.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let kept = self.keep(|kept, _| {
            kept.set_len(len);
            Ok(())
        });
        kept.unwrap_or_else(|| self.0.inner.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let kept = self.keep(|kept, _| {
            kept.done.push(Done::Sync);
            Ok(())
        });
        kept.unwrap_or_else(|| self.0.inner.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.keep(|kept, storage| kept.write(storage, offset, data))
            .unwrap_or_else(|| self.0.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.0.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.inner.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    /// Storage with something in it that outlives `Held`.
    #[derive(Debug, Clone)]
    struct Storage(Arc<InMemoryBackend>);

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
            self.0.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }

    fn storage(content: &[u8]) -> Storage {
        let storage = Storage(Arc::new(InMemoryBackend::new()));
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
        fn reads_as_if_written_and_writes_when_let_through(
            start in 0_usize..20_000,
            ops in proptest::collection::vec((0_u64..20_000, 0_usize..9_000, any::<bool>(), 1_u8..), 1..20),
        ) {
            let before = vec![7; start];
            let (real, plain) = (storage(&before), storage(&before));
            let held = Held::new(Box::new(real.clone())).unwrap();
            for (at, len, cut, byte) in ops {
                for storage in [&held as &dyn StorageBackend, &plain] {
                    if cut {
                        storage.set_len(at).unwrap();
                    } else {
                        storage.set_len(storage.len().unwrap().max(at + len as u64)).unwrap();
                        storage.write(at, &vec![byte; len]).unwrap();
                    }
                }
                prop_assert_eq!(content(&held), content(&plain));
            }
            prop_assert_eq!(content(&real), before);
            held.let_through().unwrap();
            prop_assert_eq!(content(&real), content(&plain));
            held.set_len(1).unwrap();
            prop_assert_eq!(real.len().unwrap(), 1);
        }
    }
}
