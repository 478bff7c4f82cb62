//! A directory that belongs to one test, and is gone when the test ends.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
};

/// A fresh directory below the system's temporary one, removed when this is dropped.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Creates a directory with a name that no other has.
    #[allow(clippy::new_without_default)] // It does I/O.
    pub fn new() -> Self {
        let name = format!("tower-superoffice-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("the system's temporary directory can be written");
        Self(path)
    }
}

impl Deref for Directory {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for Directory {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A directory that stays behind is no reason to fail a test.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
