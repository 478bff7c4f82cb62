//! The page in a browser.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
};

use harness::{Directory, installed};

struct Simulator(Child);

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one, and returns the URL of its page.
fn start() -> (Simulator, String) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_superoffice-simulator"))
        .args(["--tenant", "Cust1=Suspended", "--tenant", "Cust2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.strip_prefix("page").unwrap().trim().to_owned();
    (Simulator(process), url)
}

fn chromium(profile: &Directory, arguments: &[&str]) -> Output {
    let profile = format!("--user-data-dir={}", profile.join("profile").display());
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", &profile])
        .args(["--enable-logging=stderr", "--v=0"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
#[ignore = "slow: needs chromium"]
fn page_loads_in_chromium_without_an_error() {
    if !installed("chromium") {
        return;
    }
    let (_simulator, url) = start();
    let profile = Directory::new();
    let output = chromium(&profile, &["--dump-dom", &url]);
    let (page, log) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(page.contains("Suspended") && page.contains("Cust2"), "{page}");
    // What the page has done wrong, such as against its own policy, is a line of its console.
    let console: Vec<_> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "{console:?}");

    // A page that is wrong shows there: else this test would see nothing.
    let wrong = profile.join("wrong.html");
    let policy = r#"<meta http-equiv="Content-Security-Policy" content="default-src 'none'">"#;
    std::fs::write(&wrong, format!("{policy}<style>p {{ color: red }}</style>")).unwrap();
    let output = chromium(&profile, &["--dump-dom", &format!("file://{}", wrong.display())]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("CONSOLE"));
}
