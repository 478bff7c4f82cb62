//! The command line and the environment variables.

use harness::{Directory, simulator_at_own_host};
use tokio::process::Command;
use tower_superoffice::{ChangeType, TenantId};

use crate::{
    process::{Gateway, PROGRAM},
    wire::{
        peer::Peer,
        upstream::{OK, Upstream},
    },
};

fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env("RUST_LOG", "warn");
    for (name, value) in variables {
        command.env(format!("SUPEROFFICE_GATEWAY_{name}"), value);
    }
    command
}

#[tokio::test]
async fn variables_stand_for_flags() {
    let simulator = simulator_at_own_host().await;
    let base = simulator.hosts()[0].to_string();
    let audiences = format!("another, {}", simulator.application_id());
    let gateway = Gateway::start_command(command(&[
        ("LISTEN", "127.0.0.1:0"),
        ("BASE_URL", &base),
        ("AUDIENCE", &audiences),
        ("ANY_AUDIENCE", "false"),
        ("LOGIN_TOKENS", "no"),
        ("NOTIFICATION_PATH", "/hook"),
        ("STATE_API", "off"),
        ("SETTLE", "30"),
        ("MAX_CONNECTIONS", "100"),
    ]))
    .await;
    simulator.notify_to(gateway.url("/hook"));
    let tenant = TenantId::new("Cust1").unwrap();
    assert_eq!(simulator.notify(ChangeType::Suspend, &tenant).await.unwrap(), 204);
}

#[tokio::test]
async fn flag_wins_over_its_variable() {
    let mut command = command(&[
        ("LISTEN", "127.0.0.1:0"),
        ("BASE_URL", "http://127.0.0.1:1"),
        ("ANY_AUDIENCE", "true"),
        ("NOTIFICATION_PATH", "/variable"),
    ]);
    command.args(["--notification-path", "/flag"]);
    let gateway = Gateway::start_command(command).await;
    assert_eq!(gateway.get("/flag").await.status, 405);
    assert_ne!(gateway.get("/variable").await.status, 405);
}

#[tokio::test]
async fn variables_that_make_no_sense_are_refused_with_the_reason() {
    for (variables, said) in [
        (&[("ANY_AUDIENCE", "maybe")][..], "--any-audience"),
        (&[("ANY_AUDIENCE", "no")], "--audience"),
        (&[("ANY_AUDIENCE", "yes"), ("AUDIENCE", "a")], "cannot be used with"),
        (&[("AUDIENCE", "a"), ("MAX_CONNECTIONS", "0")], "at least one connection"),
        (&[("AUDIENCE", "a"), ("STORE_FILE", "/nowhere")], "/nowhere"),
        (&[("AUDIENCE", "a"), ("STORE_FILE", "/x"), ("STORE", "memory")], "cannot be used with"),
        (&[("AUDIENCE", "a"), ("TENANT_HOST", "http://x")], "host"),
    ] {
        let mut command = command(variables);
        command.args(["--listen", "127.0.0.1:0", "--base-url", "http://127.0.0.1:1"]);
        let output = command.kill_on_drop(true).output().await.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(said), "{variables:?}: {text}");
    }
}

#[tokio::test]
async fn notification_path_that_hides_an_own_route_is_refused() {
    let base = ["--base-url", "http://127.0.0.1:1", "--any-audience", "--listen", "127.0.0.1:0"];
    let own = ["/status", "/Tenants/x", "/events", "/api/hook", "/x/../%6cogin", "/openapi.json"];
    for path in own.into_iter().chain(["/"]) {
        let (code, stderr) =
            Gateway::fails(&[&base[..], &["--notification-path", path]].concat()).await;
        assert_eq!(code, Some(1), "{path}");
        assert!(stderr.contains("--notification-path"), "{path}: {stderr}");
    }
}

#[tokio::test]
async fn password_of_the_store_is_shown_nowhere() {
    let directory = Directory::new();
    let file = directory.join("store");
    // Redis is not there, which is said of the address.
    for (secret, shown) in [
        ("redis://:hunter2@127.0.0.1:1", "redis://127.0.0.1:1/0"),
        (
            "redis+sentinel://user:hunter2@127.0.0.1:1/service?sentinel_password=hunter2",
            "redis+sentinel://127.0.0.1:1/service/0",
        ),
        #[cfg(unix)]
        ("redis+unix:///nowhere/redis.sock?pass=hunter2", "redis+unix:///nowhere/redis.sock?db=0"),
        ("redis+other://user:hunter2@127.0.0.1", "--store takes"),
    ] {
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        for variables in [[("STORE", secret)], [("STORE_FILE", file.to_str().unwrap())]] {
            let base = ["--base-url", "http://127.0.0.1:1", "--any-audience"];
            for arguments in [&["--help"][..], &base] {
                let mut command = command(&variables);
                let output = command.args(arguments).kill_on_drop(true).output().await.unwrap();
                let text = [output.stdout, output.stderr].concat();
                let text = String::from_utf8(text).unwrap();
                assert!(!text.contains("hunter2"), "{arguments:?}: {text}");
                assert!(text.contains(shown) || arguments == ["--help"], "{text}");
            }
        }
    }
}

#[tokio::test]
async fn calls_go_to_the_first_tenant_host() {
    let (base, host) = (Upstream::responding(OK).await, Upstream::responding(OK).await);
    let host_and_port = host.url().replace("http://", "");
    let args = ["--listen", "127.0.0.1:0", "--any-audience", "--base-url", &base.url()];
    let args = [&args[..], &["--tenant-host", &host_and_port]].concat();
    let gateway = Gateway::start(&args).await;
    let mut peer = Peer::connect(&gateway).await;
    assert_eq!(peer.call("GET", "/Cust1/x", "").await.status(), 200);
    assert_eq!(host.heads().len(), 1);
    // The keys are to be had at the base.
    assert!(base.heads().iter().all(|head| head.starts_with("GET /login/")));
}

#[tokio::test]
async fn login_token_is_accepted_with_its_flag_only() {
    let simulator = simulator_at_own_host().await;
    let base = simulator.hosts()[0].to_string();
    let args = ["--listen", "127.0.0.1:0", "--any-audience", "--base-url", &base];
    let login = simulator.notification(ChangeType::Suspend, &TenantId::new("Cust1").unwrap());
    let login = login.login_token().body();
    for (more, status) in [(&[][..], 401), (&["--login-tokens"], 204)] {
        let gateway = Gateway::start(&[&args[..], more].concat()).await;
        assert_eq!(gateway.caller().notify(login.clone()).await.unwrap(), status);
    }
}
