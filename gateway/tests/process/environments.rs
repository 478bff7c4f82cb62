//! Several environments behind one State Change URL.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use harness::{Directory, MAX_WAIT, RedisServer, promtool, tenant, until};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};
use tower_superoffice::{
    ChangeType,
    simulator::{Notification, Simulator},
};

use crate::{
    openapi::Document,
    process::{Gateway, HttpResponse, PROGRAM},
    wire::peer::Peer,
};

const NAMES: [&str; 2] = ["sod", "stage"];

/// Two simulators whose keys and application ids the gateway takes for those of `sod` and `stage`.
/// Their tenants can't be called, and their states not be pulled: both would be SuperOffice's own.
struct Env {
    simulators: [Simulator; 2],
    directory: Directory,
}

impl Env {
    async fn new() -> Self {
        let start = async |name| {
            let simulator = Simulator::builder().application_id(format!("app-{name}"));
            simulator.start().await.unwrap()
        };
        let simulators = [start("sod").await, start("stage").await];
        let directory = Directory::new();
        for (name, simulator) in NAMES.iter().zip(&simulators) {
            fs::write(directory.join(name), simulator.key_set()).unwrap();
        }
        Self { simulators, directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["--listen", "127.0.0.1:0"]).env("RUST_LOG", "warn");
        command.env("SUPEROFFICE_GATEWAY_STATE_API", "off");
        for name in NAMES {
            let jwks = format!("{name}={}", self.file(name).display());
            command.args(["--environment", name, "--jwks", &jwks]);
            command.args(["--audience", &format!("{name}=app-{name}")]);
        }
        command.args(more);
        command
    }

    async fn gateway(&self, more: &[&str]) -> Gateway {
        Gateway::start_command(self.command(more)).await
    }

    /// Makes a notification as the environment with this number would.
    fn notification(&self, number: usize, change: ChangeType, id: &str) -> Notification {
        let origin = ["https://sod.superoffice.com", "https://qaonline.superoffice.com"][number];
        self.simulators[number].notification(change, &tenant(id)).issuer(origin)
    }

    async fn suspend(&self, gateway: &Gateway, number: usize, id: &str) -> StatusCode {
        let suspend = self.notification(number, ChangeType::Suspend, id);
        gateway.caller().notify(suspend.body()).await.unwrap()
    }
}

fn json_of(response: &HttpResponse) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

async fn get(gateway: &Gateway, path: &str) -> Value {
    json_of(&gateway.get(path).await)
}

async fn check(gateway: &Gateway, id: &str) -> [u16; 2] {
    let sod = gateway.get(&format!("/sod/check/{id}")).await.status;
    [sod.as_u16(), gateway.get(&format!("/stage/check/{id}")).await.status.as_u16()]
}

async fn order(gateway: &Gateway, path: &str) -> HttpResponse {
    let request = Request::post(gateway.url(path)).header(header::CONTENT_TYPE, "application/json");
    gateway.send(request.body(Full::new(Bytes::from_static(b"{}"))).unwrap()).await
}

#[tokio::test]
async fn same_id_in_two_environments_is_two_tenants() {
    let env = Env::new().await;
    let gateway = env.gateway(&[]).await;
    assert_eq!(check(&gateway, "Cust1").await, [204, 204]);
    assert_eq!(env.suspend(&gateway, 0, "Cust1").await, 204);
    assert_eq!(check(&gateway, "Cust1").await, [503, 204]);
    assert_eq!(gateway.get("/sod/Cust1/api").await.status, 503);
    assert_eq!(get(&gateway, "/sod/tenants").await[0]["reason"], "suspended");
    assert_eq!(get(&gateway, "/stage/tenants").await, json!([]));
    let document = Document::of(&gateway).await;
    for (path, template) in [
        ("/ready", "/ready"),
        ("/status", "/status"),
        ("/sod/tenants", "/{environment}/tenants"),
        ("/sod/check/Cust1", "/{environment}/check/{ctx}"),
        ("/sod/Cust1/api", "/{environment}/{ctx}/{path}"),
    ] {
        document.check("get", template, &gateway.get(path).await);
    }

    assert_eq!(order(&gateway, "/stage/tenants/Cust1/close").await.status, 200);
    assert_eq!(get(&gateway, "/sod/tenants/Cust1").await["reason"], "suspended");
    assert_eq!(get(&gateway, "/stage/tenants/Cust1").await["reason"], "operator");
    assert_eq!(get(&gateway, "/sod/api/state/Cust1").await["State"], "Suspended");
    assert_eq!(get(&gateway, "/stage/api/state/Cust1").await["State"], "OfflineMaintenance");
    assert_eq!(gateway.get("/stage/tenants/Cust1/wait?timeout=0").await.status, 503);
    assert_eq!(order(&gateway, "/stage/tenants/Cust1/release").await.status, 200);
    assert_eq!(gateway.get("/stage/tenants/Cust1/wait?timeout=0").await.status, 204);
    assert_eq!(check(&gateway, "Cust1").await, [503, 204]);

    let status = get(&gateway, "/status").await;
    assert!(status["version"].is_string());
    let applied = |name: &str| &status["environments"][name]["health"]["notifications"]["applied"];
    assert_eq!((applied("sod"), applied("stage")), (&json!(1), &json!(0)));
    let ready = get(&gateway, "/ready").await;
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["environments"]["stage"]["reasons"], json!([]));
}

#[tokio::test]
async fn notification_for_the_other_application_is_counted_once() {
    let env = Env::new().await;
    let gateway = env.gateway(&[]).await;
    for number in [0, 1] {
        let other = ["app-stage", "app-sod"][number];
        let wrong = env.notification(number, ChangeType::Suspend, "Cust1").audience(other);
        assert_eq!(gateway.caller().notify(wrong.body()).await.unwrap(), 401);
    }
    assert_eq!(check(&gateway, "Cust1").await, [204, 204]);
    let status = get(&gateway, "/status").await;
    assert_eq!(status["undecided_notifications"]["rejected"], 2);
    for name in NAMES {
        let counts = &status["environments"][name]["health"]["notifications"];
        assert_eq!(counts["rejected"], 0, "{name}");
    }
}

#[tokio::test]
async fn metrics_name_their_environment() {
    let env = Env::new().await;
    let gateway = env.gateway(&[]).await;
    assert_eq!(env.suspend(&gateway, 0, "Cust1").await, 204);
    assert_eq!(gateway.get("/sod/Cust1/api").await.status, 503);
    let wrong = env.notification(1, ChangeType::Suspend, "Cust1").audience("app-sod");
    assert_eq!(gateway.caller().notify(wrong.body()).await.unwrap(), 401);
    let text = gateway.get("/metrics").await.body;
    let text = str::from_utf8(&text).unwrap();
    for (series, sod, stage) in [
        ("superoffice_tenants_closed{environment=\"NAME\",reason=\"suspended\"}", 1, 0),
        ("superoffice_calls_refused_total{environment=\"NAME\",reason=\"suspended\"}", 1, 0),
        ("superoffice_notifications_total{environment=\"NAME\",outcome=\"applied\"}", 1, 0),
        (
            "superoffice_gateway_calls_total{environment=\"NAME\",class=\"5xx\",from=\"gateway\"}",
            1,
            0,
        ),
    ] {
        for (name, value) in NAMES.into_iter().zip([sod, stage]) {
            let line = format!("\n{} {value}\n", series.replace("NAME", name));
            assert!(text.contains(&line), "{line}{text}");
        }
    }
    let refused = text.lines().filter(|line| {
        line.starts_with("superoffice_notifications_refused_total") && !line.ends_with(" 0")
    });
    let undecided = "superoffice_notifications_refused_total{environment=\"undecided\",\
                     refusal=\"token_audience\"} 1";
    assert_eq!(refused.collect::<Vec<_>>(), [undecided]);
    if let Some(checked) = promtool(&["check", "metrics"], text.as_bytes()) {
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}

#[tokio::test]
async fn events_name_their_environment() {
    let env = Env::new().await;
    let gateway = env.gateway(&[]).await;
    assert_eq!(env.suspend(&gateway, 1, "Cust2").await, 204);
    let url = gateway.url("/").to_string();
    let mut command = Command::new(PROGRAM);
    command.args(["events", "--url", &url]).stdout(std::process::Stdio::piped());
    let mut events = command.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    let mut next = async || -> Value {
        let line = timeout(MAX_WAIT, lines.next_line()).await.expect("an event").unwrap();
        serde_json::from_str(&line.unwrap()).unwrap()
    };
    let snapshot = next().await;
    assert_eq!((&snapshot["environment"], &snapshot["tenant"]), (&json!("stage"), &json!("Cust2")));
    let end = next().await;
    assert_eq!((&end["complete"], &end["tenants"]), (&json!(true), &json!(1)));
    assert_eq!(end.get("environment"), Some(&Value::Null));

    for (number, name) in NAMES.iter().enumerate() {
        assert_eq!(env.suspend(&gateway, number, "Cust1").await, 204);
        for expected in ["notified", "changed"] {
            let event = next().await;
            assert_eq!(event["event"], expected);
            assert_eq!((&event["environment"], &event["tenant"]), (&json!(name), &json!("Cust1")));
        }
    }
}

#[tokio::test]
async fn name_of_an_environment_is_no_tenant() {
    let env = Env::new().await;
    let gateway = env.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for (path, status) in [
        ("/sod", 404),
        ("/Stage/", 404),
        ("/SOD/Cust1/x", 404),
        ("/s%6fd/Cust1/x", 404),
        ("//sod/Cust1/x", 404),
        ("/sod/stage/Cust1", 404),
        ("/sod/status", 404),
        ("/sod/tenants/Cust1/x", 404),
        ("/sod/login/x", 404),
        ("/stage/notifycustomerstatechange", 404),
        ("/tenants", 404),
        ("/check/Cust1", 404),
        ("/api/state/Cust1", 404),
        ("/notifyCustomerStateChange", 404),
        ("/Cust1/x", 400),
        ("/production/Cust1/x", 400),
        ("/sod/~/x", 400),
        ("/sod/%2e%2e/stage/Cust1", 400),
    ] {
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(peer.call(method, path, "").await.status(), status, "{method} {path}");
        }
    }
    for (path, allow) in [
        ("/sod/tenants", "GET,HEAD"),
        ("/stage/check/Cust1", "GET,HEAD"),
        ("/stage/tenants/Cust1/close", "POST"),
        ("/NotifyCustomerStateChange", "POST"),
    ] {
        let received = peer.call("PUT", path, "").await;
        assert_eq!((received.status(), received.header("allow")), (405, Some(allow)), "{path}");
    }
}

#[tokio::test]
async fn restart_keeps_both_environments_apart() {
    let env = Env::new().await;
    let Some(server) = RedisServer::start() else { return };
    let file = env.file("tenants.redb");
    for store in [format!("redb:{}", file.display()), server.url()] {
        let arguments = ["--store", &store];
        let mut gateway = env.gateway(&arguments).await;
        assert_eq!(env.suspend(&gateway, 0, "Cust1").await, 204);
        assert_eq!(env.suspend(&gateway, 1, "Cust2").await, 204);
        gateway.kill().await;

        let restarted = env.gateway(&arguments).await;
        assert_eq!(check(&restarted, "Cust1").await, [503, 204], "{store}");
        assert_eq!(check(&restarted, "Cust2").await, [204, 503], "{store}");
    }
    let files = NAMES.map(|name| env.file(&format!("tenants.redb.{name}")));
    assert!(files.iter().all(|file| file.exists()) && !file.exists());
}

#[tokio::test]
async fn sigterm_has_both_environments_written() {
    let env = Env::new().await;
    let Some(mut server) = RedisServer::start() else { return };
    let url = server.url();
    let arguments = ["--store", &*url];
    let mut gateway = env.gateway(&arguments).await;
    server.kill();
    assert_eq!(env.suspend(&gateway, 0, "Cust1").await, 503);
    assert_eq!(env.suspend(&gateway, 1, "Cust2").await, 503);
    gateway.send_sigterm().await;
    let caller = gateway.caller().clone();
    until("it drains", async || {
        caller.get("/ready").await.is_some_and(|answer| {
            let report = json_of(&answer);
            NAMES.iter().all(|name| report["environments"][name]["reasons"] == json!(["draining"]))
        })
    })
    .await;
    server.run();
    assert_eq!(gateway.exit().await.code(), Some(0));

    let restarted = env.gateway(&arguments).await;
    assert_eq!(check(&restarted, "Cust1").await, [503, 204]);
    assert_eq!(check(&restarted, "Cust2").await, [204, 503]);
}

#[tokio::test]
async fn command_reaches_the_environment_that_it_names() {
    let env = Env::new().await;
    let gateway = env.gateway(&[]).await;
    let url = gateway.url("/").to_string();
    let run = async |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        // What the gateway itself was given.
        command.args(args).env("SUPEROFFICE_GATEWAY_ENVIRONMENT", "sod,stage").kill_on_drop(true);
        let output = timeout(MAX_WAIT, command.output()).await.expect("an exit").unwrap();
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let stage = ["--environment", "stage", "--url", &url];
    let (closed, text) = run(&[&["close", "Cust1"][..], &stage].concat()).await;
    assert!(closed && text.contains("\"operator\""), "{text}");
    assert_eq!(check(&gateway, "Cust1").await, [204, 503]);
    let below = format!("{url}stage");
    for args in [&[&["tenants"][..], &stage].concat()[..], &["tenants", "--url", &below]] {
        let (listed, text) = run(args).await;
        assert!(listed && text.contains("Cust1"), "{args:?}: {text}");
    }
    let (listed, text) = run(&["tenants", "--environment", "sod", "--url", &url]).await;
    assert_eq!((listed, &*text), (true, "[]\n"));
    let (listed, text) = run(&["tenants", "--url", &url]).await;
    assert!(!listed && text.contains("--environment"), "{text}");
    let (healthy, text) = run(&["health", "--url", &url]).await;
    assert!(healthy && text.contains("\"environments\""), "{text}");
}

#[tokio::test]
async fn start_lines_name_each_environment() {
    let env = Env::new().await;
    let log = env.file("log");
    let mut command = env.command(&["--log-format", "json"]);
    command.env("RUST_LOG", "info").stderr(fs::File::create(&log).unwrap());
    let _gateway = Gateway::start_command(command).await;
    let mut started = Vec::new();
    until("both are logged", async || {
        let text = fs::read_to_string(&log).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        started = lines.filter(|line| line["message"] == "gate started").collect();
        started.len() == 2
    })
    .await;
    for (line, name) in started.iter().zip(NAMES) {
        assert_eq!(line["environment"], name);
        assert_eq!(line["audiences"], format!("app-{name}"));
        assert_eq!((&line["store"], &line["state_api"]), (&json!("memory"), &json!(false)));
        let url = "https://YOUR-PUBLIC-HOST/NotifyCustomerStateChange";
        assert_eq!(line["state_change_url"], url);
    }
}

#[tokio::test]
async fn several_environments_from_variables_are_served() {
    let env = Env::new().await;
    let files = NAMES.map(|name| format!("{name}={}", env.file(name).display()));
    let mut command = Command::new(PROGRAM);
    for (name, value) in [
        ("LISTEN", "127.0.0.1:0"),
        ("ENVIRONMENT", "sod,stage"),
        ("JWKS", &*files.join(",")),
        ("AUDIENCE", "sod=app-sod"),
        ("ANY_AUDIENCE", "sod=no, stage=yes"),
        ("STATE_API", "off"),
    ] {
        command.env(format!("SUPEROFFICE_GATEWAY_{name}"), value);
    }
    let gateway = Gateway::start_command(command).await;
    assert_eq!(env.suspend(&gateway, 0, "Cust1").await, 204);
    assert_eq!(env.suspend(&gateway, 1, "Cust1").await, 204);
    assert_eq!(check(&gateway, "Cust1").await, [503, 503]);
}

#[tokio::test]
async fn what_fits_no_environment_is_refused_with_the_reason() {
    let env = Env::new().await;
    let track = env.file("track");
    fs::write(&track, "sod/Cust1\nCust2\n").unwrap();
    let track = track.to_str().unwrap();
    let same_key = format!("stage={}", env.file("sod").display());
    for (more, said) in [
        (&["--upstream", "http://127.0.0.1:1"][..], "--upstream"),
        (&["--audience", "app-sod"], "NAME=VALUE"),
        (&["--issuer", "production=x"], "--environment production"),
        (&["--jwks", "sod=/x"], "multiple times"),
        (&["--certificate", "stage=/nowhere.pem"], "stage: "),
        (&["--environment", "sod"], "the same"),
        (&["--notification-path", "/Stage/hook"], "--notification-path"),
        (&["--state-api", "on", "--track", track], "line 2"),
        (&["--any-audience"], "NAME=VALUE"),
    ] {
        let output = env.command(more).kill_on_drop(true).output();
        let output = timeout(MAX_WAIT, output).await.expect("an exit").unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(said), "{more:?}: {text}");
    }
    let jwks = format!("sod={}", env.file("sod").display());
    let args = ["--environment", "sod,stage", "--jwks", &jwks, "--jwks", &same_key];
    let args = [&args[..], &["--any-audience", "sod=true", "--any-audience", "stage=true"]];
    let (code, text) = Gateway::fails(&args.concat()).await;
    assert!(code == Some(1) && text.contains("signing key"), "{text}");
}
