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

/// Says the same as [`skip`], for another `reason`.
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
    run("openssl", "openssl", arguments, input)
}

/// Runs Prometheus's promtool with `input` on its stdin.
///
/// `None`, after a line on stderr, when there is none: the test has nothing to do.
pub fn promtool(arguments: &[&str], input: &[u8]) -> Option<Output> {
    run("promtool", "prometheus", arguments, input)
}

/// Runs `program`, of a Debian `package`, with `input` on its stdin.
fn run(program: &str, package: &str, arguments: &[&str], input: &[u8]) -> Option<Output> {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            skip(package);
            return None;
        }
        Err(error) => panic!("{program} can't be started: {error}"),
    };
    // It may close its input before it has read all of it.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input);
    Some(child.wait_with_output().expect("the program ends"))
}

/// Makes an authority, `root.pem`, and a certificate of it for a server, `host.pem` and `host.key`,
/// in `directory`. `subject` is as in a certificate, such as `IP:127.0.0.1`.
///
/// `None`, after a line on stderr, when there is no openssl.
pub fn certificates(directory: &Path, subject: &str) -> Option<()> {
    let path = |name: &str| directory.join(name).to_str().expect("a path in UTF-8").to_owned();
    let run = |arguments: &[&str]| {
        let output = openssl(arguments, b"")?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(())
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let request = ["req", "-x509", "-days", "2"];
    let (root, root_key) = (path("root.pem"), path("root.key"));
    let root_subject = ["-subj", "/CN=test root", "-keyout", &root_key, "-out", &root];
    run(&[&request[..], &key, &root_subject].concat())?;
    let name = format!("subjectAltName={subject}");
    let (own_key, own) = (path("host.key"), path("host.pem"));
    let subject = ["-subj", "/CN=host", "-addext", &name, "-keyout", &own_key, "-out", &own];
    let issuer = ["-addext", "basicConstraints=critical,CA:FALSE", "-CA", &root];
    run(&[&request[..], &key, &subject, &issuer, &["-CAkey", &root_key]].concat())
}
