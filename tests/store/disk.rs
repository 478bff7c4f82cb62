//! A disk whose power can be cut.
//!
//! What was written since the last sync is then lost, or partly lost: a real disk keeps any of it.

use std::{
    io,
    sync::{Arc, Mutex},
};

use redb::StorageBackend;

/// What becomes of the writes that no sync has covered when the power goes.
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
    /// At the n-th sync, which happens, but nobody learns of it.
    AfterSync(u64),
    /// At the n-th write or change of length.
    AtWrite(u64),
}

#[derive(Debug, Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// What a read finds.
    now: Vec<u8>,
    /// What is on the platter.
    synced: Vec<u8>,
    since: Vec<Op>,
    on: bool,
    cut: Cut,
    unsynced: Unsynced,
    random: fastrand::Rng,
    syncs: u64,
    writes: u64,
    /// A disk that says it has synced and has not.
    lies: bool,
}

#[derive(Debug, Clone)]
enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl Disk {
    pub(crate) fn new(image: Vec<u8>, cut: Cut, unsynced: Unsynced, seed: u64) -> Self {
        let state = State {
            now: image.clone(),
            synced: image,
            since: Vec::new(),
            on: true,
            cut,
            unsynced,
            random: fastrand::Rng::with_seed(seed),
            syncs: 0,
            writes: 0,
            lies: false,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn lying(self) -> Self {
        self.0.lock().unwrap().lies = true;
        self
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.lock().unwrap().on
    }

    /// Cuts the power now, if it is still on.
    pub(crate) fn cut(&self) {
        self.0.lock().unwrap().power_off();
    }

    /// What is found on the disk after the power was cut.
    pub(crate) fn image(&self) -> Vec<u8> {
        let state = self.0.lock().unwrap();
        assert!(!state.on, "the power is still on");
        state.synced.clone()
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.0.lock().unwrap().syncs
    }

    /// A handle for a store, if there is power.
    pub(crate) fn open(&self) -> io::Result<Self> {
        self.0.lock().unwrap().powered()?;
        Ok(self.clone())
    }
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

    fn change(&mut self, op: Op) -> io::Result<()> {
        self.powered()?;
        self.writes += 1;
        op.apply(&mut self.now);
        self.since.push(op);
        if self.cut == Cut::AtWrite(self.writes) {
            self.power_off();
        }
        self.powered()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.powered()?;
        self.syncs += 1;
        if self.cut == Cut::BeforeSync(self.syncs) {
            self.power_off();
            return self.powered();
        }
        if !self.lies {
            self.synced.clone_from(&self.now);
            self.since.clear();
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
        let since = std::mem::take(&mut self.since);
        match self.unsynced {
            Unsynced::Lost => {}
            Unsynced::Torn => {
                let kept = self.random.usize(..=since.len());
                for (place, op) in since.iter().take(kept).enumerate() {
                    match op {
                        Op::Write(offset, data) if place + 1 == kept => {
                            let torn = self.random.usize(..=data.len());
                            Op::Write(*offset, data[..torn].to_vec()).apply(&mut self.synced);
                        }
                        op => op.apply(&mut self.synced),
                    }
                }
            }
            Unsynced::Scattered => {
                for op in since {
                    if self.random.bool() {
                        op.apply(&mut self.synced);
                    }
                }
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let state = self.0.lock().unwrap();
        state.powered()?;
        Ok(state.now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        state.powered()?;
        let start = offset as usize;
        let end = start + out.len();
        out.copy_from_slice(state.now.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().change(Op::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.lock().unwrap().sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().change(Op::Write(offset, data.to_vec()))
    }
}
