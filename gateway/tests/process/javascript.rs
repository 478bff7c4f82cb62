//! SuperOffice's own JavaScript client, through the gateway, as `docs/clients.md` has it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
};

use harness::{MAX_WAIT, installed, skip_without, tenant, until};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use tower_superoffice::simulator::Fault;

use crate::process::{GatewayEnv, PROGRAM};

const DOCUMENT: &str = include_str!("../../../docs/clients.md");
const SOURCES: [(&str, &str); 3] = [
    ("package.json", include_str!("../javascript/package.json")),
    ("package-lock.json", include_str!("../javascript/package-lock.json")),
    ("client.js", include_str!("../javascript/client.js")),
];

/// Installs the client and the programs around it below the target folder.
///
/// `None`, after a line on stderr, when that is not possible here.
async fn install() -> Option<PathBuf> {
    if !(installed("node") && installed("npm")) {
        return None;
    }
    let target = Path::new(PROGRAM).ancestors().nth(2).expect("the target folder");
    let directory = target.join("javascript");
    fs::create_dir_all(&directory).unwrap();
    let (_, lock) = SOURCES[1];
    let has = |name: &str, text: &str| match fs::read_to_string(directory.join(name)) {
        Ok(found) => found == text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => panic!("{name}: {error}"),
    };
    let is_installed = has("installed.json", lock);
    for (name, text) in SOURCES {
        fs::write(directory.join(name), text).unwrap();
    }
    let (_, rest) = DOCUMENT.split_once("```js\n").expect("a block");
    let (documented, _) = rest.split_once("```").expect("its end");
    let documented = format!("{documented}\nmodule.exports = {{ webApi, whenOpen }};\n");
    fs::write(directory.join("documented.js"), documented).unwrap();
    if !is_installed {
        let npm = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&directory)
            .output();
        let npm = npm.await.unwrap();
        if !npm.status.success() {
            let reason = String::from_utf8_lossy(&npm.stderr);
            skip_without(&format!("the npm package @superoffice/webapi is missing: {reason}"));
            return None;
        }
        fs::write(directory.join("installed.json"), lock).unwrap();
    }
    Some(directory)
}

/// A program that calls tenants with the client, ended on drop.
struct Program {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    async fn start(env: &GatewayEnv) -> Option<Self> {
        let directory = install().await?;
        let gateway = env.gateway.url("").to_string();
        let mut child = Command::new("node")
            .args(["client.js", gateway.trim_end_matches('/')])
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Some(Self { _child: child, input, output })
    }

    async fn send(&mut self, verb: &str, tenant: &str) {
        self.input.write_all(format!("{verb} {tenant}\n").as_bytes()).await.unwrap();
    }

    async fn receive(&mut self) -> Value {
        let line = timeout(MAX_WAIT, self.output.next_line()).await.expect("an answer");
        serde_json::from_str(&line.unwrap().expect("an answer")).unwrap()
    }

    async fn ask(&mut self, verb: &str, tenant: &str) -> Value {
        self.send(verb, tenant).await;
        self.receive().await
    }

    /// Fails unless a call is refused with this reason.
    async fn is_closed(&mut self, reason: &str) {
        let closed = self.ask("contact", "Cust1").await;
        let error = &closed["error"];
        assert_eq!((&error["status"], &error["data"]["reason"]), (&json!(503), &json!(reason)));
        assert_eq!(error["data"]["tenant"], "Cust1");
        assert_eq!(error["message"], "Request failed with status code 503");
        let seconds = error["retryAfter"].as_str().expect("Retry-After").parse::<u64>().unwrap();
        assert!(seconds > 0, "{closed}");
    }
}

async fn refused_calls(env: &GatewayEnv) -> u64 {
    let status: Value = serde_json::from_slice(&env.gateway.get("/status").await.body).unwrap();
    status["health"]["refused_calls"].as_u64().unwrap()
}

#[tokio::test]
#[ignore = "slow: needs npm"]
async fn own_client_of_superoffice_works_in_each_state() {
    let env = GatewayEnv::new(&["--state-api", "on", "--settle", "1"]).await;
    let (simulator, id) = (&env.simulator, &env.tenant);
    let Some(mut program) = Program::start(&env).await else { return };

    // Open: an agent, the REST API, and two tenants with tokens of their own.
    simulator.tenant_hosts(Fault::Json(json!({"ContactId": 5, "Name": "Ærlig AS"}).to_string()));
    for tenant in ["Cust1", "Cust2", "Cust1"] {
        let got = &program.ask("contact", tenant).await["result"];
        assert_eq!((&got["contactId"], &got["name"]), (&json!(5), &json!("Ærlig AS")));
        assert_eq!(got["authorization"], format!("Bearer token-of-{tenant}"));
    }
    assert_eq!(program.ask("rest", "Cust1").await["result"]["name"], "Ærlig AS");
    simulator.tenant_hosts(Fault::None);
    let raw = program.ask("contact", "Cust1").await["result"]["raw"].take();
    assert_eq!(raw["Path"], "/Cust1/api/v1/Agents/Contact/GetContactEntity");
    assert_eq!(raw["Query"], "contactEntityId=5");

    // Moved: a call without content is at the new host at once. An agent's has content, so that the
    // gateway can't repeat it when the old host refuses it.
    simulator.move_tenant(id).await.unwrap();
    let got = program.ask("rest", "Cust1").await;
    let moved = &got["result"]["raw"];
    assert_eq!(moved["ContextIdentifier"], "Cust1", "{got}");
    assert_ne!(moved["Host"], raw["Host"]);
    simulator.move_tenant(id).await.unwrap();
    let got = program.ask("whenOpen", "Cust1").await;
    let moved_again = &got["result"]["raw"];
    assert_eq!(moved_again["ContextIdentifier"], "Cust1", "{got}");
    assert_ne!(moved_again["Host"], moved["Host"]);

    // Upgrading, and what waits for the end of it.
    simulator.upgrade(id).await.unwrap();
    program.is_closed("upgrading").await;
    let refused = refused_calls(&env).await;
    program.send("whenOpen", "Cust1").await;
    until!(refused_calls(&env).await > refused);
    simulator.resume(id).await.unwrap();
    let opened = program.receive().await;
    assert_eq!(opened["result"]["raw"]["ContextIdentifier"], "Cust1", "{opened}");

    // Suspended and resumed. The state comes from the gateway.
    simulator.suspend(id).await.unwrap();
    program.is_closed("suspended").await;
    let state = program.ask("state", "Cust1").await["result"].take();
    assert_eq!((&state["State"], &state["IsRunning"]), (&json!("Suspended"), &json!(false)));
    simulator.resume(id).await.unwrap();
    assert_eq!(program.ask("contact", "Cust1").await["result"]["raw"]["Host"], moved_again["Host"]);
    assert_eq!(program.ask("state", "Cust1").await["result"]["IsRunning"], true);

    // Closed by an operator, and released.
    env.gateway.close("Cust1").await;
    let closed = program.ask("contact", "Cust1").await["error"].take();
    assert_eq!((&closed["status"], &closed["data"]["reason"]), (&json!(503), &json!("operator")));
    env.gateway.release("Cust1").await;
    assert!(program.ask("contact", "Cust1").await["result"].is_object());

    // Deleted: nothing waits for that. Another tenant is as it was.
    simulator.delete(id).await.unwrap();
    for verb in ["contact", "whenOpen"] {
        let deleted = program.ask(verb, "Cust1").await["error"].take();
        assert_eq!(
            (&deleted["status"], &deleted["data"]["reason"]),
            (&json!(410), &json!("deleted"))
        );
    }
    assert!(program.ask("contact", "Cust2").await["result"].is_object());
    assert_eq!(simulator.calls_while_closed(), 0, "a call bypassed the guard");
    assert!(simulator.calls(&tenant("Cust1")) > 0);
}
