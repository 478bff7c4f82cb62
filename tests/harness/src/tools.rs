//! Programs that tests need and a machine may lack.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Says on stderr that the running test proves nothing here, since `program` is missing.
///
/// Written past the test runner's capture: a skipped test must not look like one that passed.
pub fn skip(program: &str) {
    skip_without(&format!("{program} is missing (Debian: apt install {program})"));
}

/// As [`skip`], for another `reason`.
pub fn skip_without(reason: &str) {
    let current = std::thread::current();
    let test = current.name().unwrap_or("a test");
    let line = format!("SKIPPED {test}: {reason}\n");
    // A closed stderr is no reason to fail.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Returns whether `program` can be started. When it can't, prints a line as [`skip`] does.
///
/// # Panics
///
/// When there is such a program and it fails: that is no reason to skip a test.
pub fn installed(program: &str) -> bool {
    let version =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match version {
        Ok(status) => {
            assert!(status.success(), "{program} --version: {status}");
            true
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            skip(program);
            false
        }
        Err(error) => panic!("{program} can't be started: {error}"),
    }
}

/// Returns the path of the library with which the dynamic linker shifts a process's clock.
///
/// `None`, after a line on stderr, when there is none: the test has nothing to do.
pub fn libfaketime() -> Option<PathBuf> {
    const NAME: &str = "faketime/libfaketimeMT.so.1";
    let architecture = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let directories = [architecture.as_str(), "/usr/lib", "/usr/lib64", "/usr/local/lib"];
    let library = directories.iter().map(|at| Path::new(at).join(NAME)).find(|path| path.exists());
    if library.is_none() {
        skip("faketime");
    }
    library
}

/// Runs openssl with `input` on its stdin.
///
/// `None`, after a line on stderr, when there is no openssl: the test has nothing to do.
pub fn openssl(arguments: &[&str], input: &[u8]) -> Option<Output> {
    let spawned = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            skip("openssl");
            return None;
        }
        Err(error) => panic!("openssl can't be started: {error}"),
    };
    // openssl may close its input before it has read all of it.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input);
    Some(child.wait_with_output().expect("openssl ends"))
}
