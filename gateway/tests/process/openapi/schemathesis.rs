//! PyPI's schemathesis, which makes requests of the description and tries the gateway with them.

use std::{path::Path, process::Stdio};

use harness::skip_without;
use tokio::process::Command;

use super::{TOKEN, with_orders};
use crate::process::PROGRAM;

const CONFIGURATION: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/openapi/schemathesis.toml");

/// Returns the program, which a script installs where it is missing.
async fn program() -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/schemathesis");
    let target = Path::new(PROGRAM).ancestors().nth(2).expect("the target folder");
    let installed = Command::new(script).env("CARGO_TARGET_DIR", target).output().await.unwrap();
    if installed.status.success() {
        return Some(String::from_utf8(installed.stdout).unwrap().trim().to_owned());
    }
    let reason = String::from_utf8_lossy(&installed.stderr);
    skip_without(&format!("schemathesis is missing (PyPI: schemathesis): {reason}"));
    None
}

#[tokio::test]
#[ignore = "slow: needs schemathesis"]
async fn schemathesis_finds_no_answer_that_is_not_described() {
    let Some(program) = program().await else { return };
    let (env, directory) = with_orders().await;
    let tried = Command::new(program)
        .args([
            "--config-file",
            CONFIGURATION,
            "run",
            &env.gateway.url("/openapi.json").to_string(),
        ])
        // They have no end.
        .args(["--exclude-operation-id", "events"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "40", "--generation-deterministic", "--continue-on-failure"])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--warnings", "off", "--no-color"])
        .current_dir(&*directory)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let report = String::from_utf8_lossy(&tried.stdout);
    println!("{report}");
    assert!(tried.status.success(), "{}", String::from_utf8_lossy(&tried.stderr));
}
