//! A disk that can be filled.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::PathBuf,
    process::Command,
};

use crate::{Directory, skip_without};

/// A file system in memory of a few megabytes, over a directory. It ends when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
    ballast: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk over `directory`, in this machine's memory.
    ///
    /// `None`, after a line on stderr, where that is not permitted: the test has nothing to do.
    pub fn over(directory: &Directory, megabytes: u32) -> Option<Self> {
        let path = directory.to_path_buf();
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            skip_without("mounting a small disk is not permitted");
            return None;
        }
        let ballast = path.join("ballast");
        Some(Self { path, ballast })
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        let file = File::options().create(true).append(true).open(&self.ballast);
        let mut file = file.expect("the disk can be written");
        let full = loop {
            if let Err(error) = file.write_all(&[7; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    }

    /// Makes room again.
    pub fn free(&self) {
        fs::remove_file(&self.ballast).expect("the disk was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a process that was just killed may still have a file open.
        let ended = Command::new("umount").arg("--lazy").arg(&self.path).status();
        assert!(ended.expect("there is an umount").success(), "the disk can be removed");
    }
}
