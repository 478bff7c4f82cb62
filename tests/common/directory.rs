//! A directory of a test's own, gone when the test ends.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
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
