//! The file: made whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use redb::{StorageBackend, backends::FileBackend};

use super::open;
use crate::store::StoreError;

/// Opens the file at `path`.
pub(super) fn open(name: &str, path: &Path) -> Result<Box<dyn StorageBackend>, StoreError> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    let file = opened.map_err(|error| unusable(name, error))?;
    let backend = FileBackend::new(file).map_err(|error| open::failed(name, error))?;
    Ok(Box::new(backend))
}

/// Makes an empty store at `path`, unless there is a file.
///
/// It is made under another name and then given its own, so that a crash never leaves half a
/// database where the next start looks for one, and two programs that start at the same time don't
/// overwrite each other's.
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
    // After `publish` the draft is a second name of the file, or gone; after a failure it is litter.
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
    let backend = FileBackend::new(file).map_err(|error| open::failed(name, error))?;
    let database = open::open(name, Box::new(backend))?;
    database.close().map_err(|error| open::failed(name, error))?;
    synced.sync_all().map_err(|error| unusable(name, error))
}

/// Gives the draft its name, unless somebody else's draft has it by now.
fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Some file systems have no second names. There two programs that start in the same
        // moment can get in each other's way: then one of them has no file and says so.
        Err(_) if !path.try_exists()? => fs::rename(draft, path),
        other => other,
    }
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Directories can't be synced here; the file system does it by itself.
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
