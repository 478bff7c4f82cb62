//! The examples as programs.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// Starts an example with cargo's build of it.
fn begin(example: &str, arguments: &[&str]) -> Child {
    // The whole workspace with all features, as `scripts/test` builds it: any other choice of
    // packages would build the dependencies once more.
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    build.args(["build", "--quiet", "--workspace", "--all-features", "--example", example]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success());
    let target = Path::new(env!("CARGO_BIN_EXE_superoffice-gateway")).parent().unwrap();
    let mut command = Command::new(target.join("examples").join(example));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for the exit code and stdout. Logs are printed, for when the test fails.
fn end(child: Child) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    eprintln!("{}", String::from_utf8_lossy(&stderr));
    (status.code(), String::from_utf8_lossy(&stdout).into_owned())
}

fn run(example: &str) -> String {
    let (code, text) = end(begin(example, &[]));
    assert_eq!(code, Some(0), "{text}");
    text
}

#[test]
fn demo_passes_and_fails_for_each_broken_rule() {
    let help = end(begin("demo", &["--help"])).1;
    let rules: Vec<_> = (help.lines())
        .filter_map(|line| line.trim().strip_prefix("- ")?.split(':').next())
        .collect();
    assert!(rules.len() >= 4, "{help}");
    let (code, text) = end(begin("demo", &[]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("checks passed."), "{text}");
    // A few at a time: their workers must not starve each other.
    for rules in rules.chunks(3) {
        let broken = rules.iter().map(|rule| (rule, begin("demo", &["--break", rule])));
        for (rule, child) in broken.collect::<Vec<_>>() {
            let (code, text) = end(child);
            assert_eq!(code, Some(1), "--break {rule} went unnoticed:\n{text}");
            assert!(text.contains("FAILED  "), "--break {rule}:\n{text}");
        }
    }
}

#[test]
fn axum_app_responds_503_while_its_tenant_is_closed() {
    let text = run("axum_app");
    assert!(text.contains("suspended: 503 Service Unavailable"), "{text}");
    assert!(text.contains("while closed: 0"), "{text}");
    assert_eq!(text.matches("open:      200 OK").count(), 2, "{text}");
}

#[test]
fn worker_waits_drops_its_cache_and_erases_confirmed_deletions() {
    let text = run("worker");
    for line in [
        "Cust2: restored, cache dropped",
        "Cust1: waits, upgrading",
        "Cust3: given up, deleted",
        "Cust3: deleted, data erased",
        "erased: true",
        "while closed: 0",
        "not stored: 0",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert_eq!(text.matches("Cust1: 200 OK").count(), 2, "{text}");
}

#[test]
fn environments_behind_one_url_are_kept_apart() {
    let text = run("environments");
    let calls: Vec<_> = (text.lines())
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| ["development", "production"].contains(name))
        .map(|(name, result)| (name, result.trim()))
        .collect();
    let expected = [
        ("development", "suspended"),
        ("production", "200 OK"),
        ("production", "deleted"),
        ("development", "200 OK"),
        ("production", "deleted"),
    ];
    assert_eq!(calls, expected, "{text}");
    assert!(text.contains("forged for production:  the issuer"), "{text}");
    assert!(text.contains("reached a tenant while closed: 0"), "{text}");
}

#[test]
fn hyper_server_accepts_the_genuine_notification_only() {
    let text = run("hyper_server");
    assert!(text.contains("an Upgrade:        204 No Content"), "{text}");
    assert!(text.contains("a forged Resume:   401 Unauthorized"), "{text}");
    assert!(text.contains("the app itself:    hello"), "{text}");
}

#[test]
fn proxy_serves_notifications_and_sends_calls_to_open_tenants() {
    let text = run("proxy");
    let answers: Vec<_> = text.lines().filter_map(|line| line.split_once(": ")).collect();
    let statuses: Vec<_> = answers.iter().map(|(_, answer)| answer.trim()).collect();
    let (open, closed, taken) = ("200 OK", "503 Service Unavailable", "204 No Content");
    assert_eq!(statuses, [open, taken, closed, taken, open, "0"], "{text}");
}

#[test]
fn clients_call_an_open_tenant_only() {
    for example in ["hyper_client", "reqwest_client"] {
        let text = run(example);
        let lines: Vec<_> = text.lines().collect();
        let [first, second, third, reached] = lines[..] else { panic!("{text}") };
        assert_eq!((first, third), ("answered 200 OK", "answered 200 OK"), "{text}");
        assert!(second.starts_with("refused: tenant Cust12345 is "), "{text}");
        assert_eq!(reached, "calls that reached the tenant while closed: 0");
    }
}

#[test]
fn replicas_on_redis_agree_and_a_broken_rule_fails() {
    if !harness::installed("redis-server") {
        return;
    }
    replicas_agree_and_the_broken_rule_fails("redis");
}

#[test]
#[ignore = "slow: starts servers of which each makes its data first"]
fn replicas_on_postgres_agree_and_a_broken_rule_fails() {
    if !harness::postgres_installed() {
        return;
    }
    replicas_agree_and_the_broken_rule_fails("postgres");
}

/// Runs both at once: they wait for time-outs more than they compute.
fn replicas_agree_and_the_broken_rule_fails(store: &str) {
    let broken = begin("replicas", &["--store", store, "--break", "sharing"]);
    let (code, text) = end(begin("replicas", &["--store", store]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("checks passed."), "{text}");
    let (code, text) = end(broken);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("FAILED  a Suspend received by A closed the tenant at B"), "{text}");
}
