//! The page in a browser.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use harness::Browser;

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

#[tokio::test]
#[ignore = "slow: needs chromium"]
async fn page_loads_and_a_button_suspends_in_a_browser() {
    let Some(mut browser) = Browser::start().await else { return };
    let (_simulator, url) = start();
    browser.open(&url).await;
    browser.until("document.body.textContent.includes('Suspended')").await;
    browser.until("document.body.textContent.includes('Cust2')").await;
    let suspended = "document.body.textContent.match(/Suspended/g).length";
    let before = browser.evaluate(suspended).await;
    // A form without a script: the answer leads back to the page.
    let suspend = "[...document.querySelectorAll('form')].flatMap((form) => [...form.elements])\
                   .find((button) => (button.formAction || '').includes('Cust2/suspend')).click()";
    browser.leave_by(suspend).await;
    browser.until(&format!("{suspended} > {before}")).await;
    assert_eq!(browser.problems().await, [""; 0]);
}
