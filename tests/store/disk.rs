//! A disk whose power can be cut.
//!
//! Writes since the last sync are then lost, or some of them: a real disk keeps any part.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use redb::StorageBackend;
use tower_superoffice::store::{Medium, StoreError};

/// The fate of writes without a later sync when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsynced {
    /// None is kept.
    Lost,
    /// The first ones are kept, and the last of these is torn.
    Torn,
    /// Any of them is kept, in any order of time.
    Scattered,
}

/// When the power goes: counted over the life of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Never,
    /// At the n-th sync, which does not happen.
    BeforeSync(u64),
    /// At the n-th sync, which happens and returns an error.
    AfterSync(u64),
    /// At the n-th write or change of length.
    AtWrite(u64),
}

/// A handle on one of the disk's two files.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
    file: usize,
}

#[derive(Debug)]
struct State {
    files: Vec<File>,
    /// The file that bears the name, as a program sees it and as it is on the platter.
    named: usize,
    named_durably: usize,
    on: bool,
    cut: Cut,
    unsynced: Unsynced,
    random: fastrand::Rng,
    syncs: u64,
    writes: u64,
    /// The sync that fails. What it should have written is dropped, and no later sync writes it.
    failing_sync: Option<u64>,
    /// A disk that says it has synced and has not.
    lies: bool,
}

#[derive(Debug, Default)]
struct File {
    /// The content that a read returns.
    now: Vec<u8>,
    /// The content on the platter.
    synced: Vec<u8>,
    since: Vec<Op>,
}

#[derive(Debug, Clone)]
enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl Disk {
    pub(crate) fn new(image: Vec<u8>, cut: Cut, unsynced: Unsynced, seed: u64) -> Self {
        let state = State {
            files: vec![File { now: image.clone(), synced: image, since: Vec::new() }],
            named: 0,
            named_durably: 0,
            on: true,
            cut,
            unsynced,
            random: fastrand::Rng::with_seed(seed),
            syncs: 0,
            writes: 0,
            failing_sync: None,
            lies: false,
        };
        Self { state: Arc::new(Mutex::new(state)), file: 0 }
    }

    pub(crate) fn lying(self) -> Self {
        self.lock().lies = true;
        self
    }

    /// Has the `sync`-th sync fail, once.
    pub(crate) fn with_failing_sync(self, sync: u64) -> Self {
        self.lock().failing_sync = Some(sync);
        self
    }

    pub(crate) fn is_on(&self) -> bool {
        self.lock().on
    }

    /// Cuts the power now, if it is still on.
    pub(crate) fn cut(&self) {
        self.lock().power_off();
    }

    /// The content of the disk after the power was cut.
    pub(crate) fn image(&self) -> Vec<u8> {
        let state = self.lock();
        assert!(!state.on, "the power is still on");
        state.files[state.named_durably].synced.clone()
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Returns whether a fresh file has the name.
    pub(crate) fn is_replaced(&self) -> bool {
        self.lock().named != 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn handle(&self, file: usize) -> Result<Box<dyn StorageBackend>, StoreError> {
        Ok(Box::new(Self { state: self.state.clone(), file }))
    }
}

impl Medium for Disk {
    fn open(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        let state = self.lock();
        state.powered().map_err(outage)?;
        self.handle(state.named)
    }

    fn draft(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        let mut state = self.lock();
        state.powered().map_err(outage)?;
        state.files.push(File::default());
        self.handle(state.files.len() - 1)
    }

    fn publish(&self) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.powered().map_err(outage)?;
        state.named = state.files.len() - 1;
        state.sync(|state| state.named_durably = state.named).map_err(outage)
    }
}

fn outage(error: io::Error) -> StoreError {
    StoreError::unavailable("the disk is off").caused_by(error)
}

impl Op {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let (start, end) = (*offset as usize, *offset as usize + data.len());
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[start..end].copy_from_slice(data);
            }
            Self::SetLen(len) => image.resize(*len as usize, 0),
        }
    }
}

impl State {
    fn powered(&self) -> io::Result<()> {
        if self.on { Ok(()) } else { Err(io::Error::other("the power is off")) }
    }

    fn change(&mut self, file: usize, op: Op) -> io::Result<()> {
        self.powered()?;
        self.writes += 1;
        let file = &mut self.files[file];
        op.apply(&mut file.now);
        file.since.push(op);
        if self.cut == Cut::AtWrite(self.writes) {
            self.power_off();
        }
        self.powered()
    }

    fn sync_file(&mut self, file: usize) -> io::Result<()> {
        if self.failing_sync == Some(self.syncs + 1) && self.on {
            self.syncs += 1;
            self.drop_unsynced(file);
            return Err(io::Error::from_raw_os_error(5));
        }
        self.sync(|state| {
            let File { synced, since, .. } = &mut state.files[file];
            since.drain(..).for_each(|op| op.apply(synced));
        })
    }

    fn sync(&mut self, write: impl FnOnce(&mut Self)) -> io::Result<()> {
        self.powered()?;
        self.syncs += 1;
        if self.cut == Cut::BeforeSync(self.syncs) {
            self.power_off();
            return self.powered();
        }
        if !self.lies {
            write(self);
        }
        if self.cut == Cut::AfterSync(self.syncs) {
            self.power_off();
        }
        self.powered()
    }

    fn power_off(&mut self) {
        if !std::mem::take(&mut self.on) {
            return;
        }
        (0..self.files.len()).for_each(|file| self.drop_unsynced(file));
        if self.unsynced != Unsynced::Lost && self.random.bool() {
            self.named_durably = self.named;
        }
    }

    /// Drops what no sync has covered, or any part of it.
    fn drop_unsynced(&mut self, file: usize) {
        let Self { files, random, unsynced, .. } = self;
        let File { synced, since, .. } = &mut files[file];
        let since = std::mem::take(since);
        match unsynced {
            Unsynced::Lost => {}
            Unsynced::Torn => {
                let kept = random.usize(..=since.len());
                for (place, op) in since.iter().take(kept).enumerate() {
                    match op {
                        Op::Write(offset, data) if place + 1 == kept => {
                            let torn = random.usize(..=data.len());
                            Op::Write(*offset, data[..torn].to_vec()).apply(synced);
                        }
                        op => op.apply(synced),
                    }
                }
            }
            Unsynced::Scattered => {
                for op in since {
                    if random.bool() {
                        op.apply(synced);
                    }
                }
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let state = self.lock();
        state.powered()?;
        Ok(state.files[self.file].now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        state.powered()?;
        let start = offset as usize;
        let end = start + out.len();
        let now = &state.files[self.file].now;
        out.copy_from_slice(now.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.lock().change(self.file, Op::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.lock().sync_file(self.file)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.lock().change(self.file, Op::Write(offset, data.to_vec()))
    }
}
