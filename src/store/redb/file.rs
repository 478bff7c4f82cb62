//! The database file: opened, or created completely or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use redb::{StorageBackend, backends::FileBackend};

use super::{buffered::SyncFailed, medium::Medium, open};
use crate::store::StoreError;

/// A file, and the draft beside it that may take its name.
#[derive(Debug)]
pub(super) struct FileMedium {
    name: String,
    path: PathBuf,
    draft: PathBuf,
}

impl FileMedium {
    pub(super) fn new(name: String, path: PathBuf) -> Self {
        let draft = draft(&path);
        Self { name, path, draft }
    }
}

impl Medium for FileMedium {
    fn open(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        let opened = OpenOptions::new().read(true).write(true).open(&self.path);
        backend(&self.name, opened.map_err(|error| unusable(&self.name, error))?)
    }

    fn draft(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        let mut options = OpenOptions::new();
        let made = options.read(true).write(true).create(true).truncate(true).open(&self.draft);
        backend(&self.name, made.map_err(|error| unusable(&self.name, error))?)
    }

    fn publish(&self) -> Result<(), StoreError> {
        fs::rename(&self.draft, &self.path)
            .and_then(|()| sync_directory(&self.path))
            .map_err(|error| open::unwritable(&self.name, error))
    }
}

impl Drop for FileMedium {
    fn drop(&mut self) {
        // Left over only when a rewrite failed; it has no use to a later process.
        let _ = fs::remove_file(&self.draft);
    }
}

fn backend(name: &str, file: File) -> Result<Box<dyn StorageBackend>, StoreError> {
    let backend = FileBackend::new(file).map_err(|error| open::failed(name, error))?;
    Ok(Box::new(backend))
}

/// Creates an empty database at `path`, unless there is a file.
///
/// It is created under another name and then renamed, so that a crash never leaves half a database
/// at `path`, and two programs that start at the same time do not overwrite each other's file.
pub(super) fn create(name: &str, path: &Path) -> Result<(), StoreError> {
    match path.try_exists() {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        Err(error) => return Err(unusable(name, error)),
    }
    let draft = draft(path);
    let made = make(name, &draft).and_then(|()| {
        publish(&draft, path).map_err(|error| unusable(name, error))?;
        // The name itself must survive a power cut too.
        sync_directory(path).map_err(|error| unusable(name, error))
    });
    // After `publish` the draft is a second name of the file, or gone. After a failure it is
    // useless.
    let _ = fs::remove_file(&draft);
    made
}

fn draft(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}-{:x}.new", std::process::id(), fastrand::u32(..)));
    draft.into()
}

fn make(name: &str, draft: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).open(draft);
    let file = file.map_err(|error| unusable(name, error))?;
    let synced = file.try_clone().map_err(|error| unusable(name, error))?;
    let database = open::open(name, backend(name, file)?, &SyncFailed::default())?;
    database.close().map_err(|error| open::failed(name, error))?;
    synced.sync_all().map_err(|error| unusable(name, error))
}

/// Renames the draft to `path`, unless another program has created the file by now.
fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Some file systems have no hard links. There, two programs that start at the same moment
        // may conflict: one of them then fails with an error.
        Err(_) if !path.try_exists()? => fs::rename(draft, path),
        other => other,
    }
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Does nothing: directories can't be synced here, the file system does it by itself.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

fn unusable(name: &str, error: io::Error) -> StoreError {
    let message = match error.kind() {
        io::ErrorKind::NotFound => format!("{name} can't be made: make its directory first"),
        io::ErrorKind::PermissionDenied => {
            format!("{name} can't be opened: let this user read and write it and its directory")
        }
        io::ErrorKind::IsADirectory => format!("{name} is a directory: give the name of a file"),
        _ => return open::unreadable(name, error),
    };
    StoreError::misconfigured(message).caused_by(error)
}
