//! The program as a user runs it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_superoffice-simulator");

struct Running {
    process: Child,
    stdout: BufReader<Box<dyn Read>>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let stdout: Box<dyn Read> = Box::new(process.stdout.take().unwrap());
        let stdout = BufReader::new(stdout);
        Self { process, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Reads on to the line that begins with `name`, and returns what follows.
    fn value(&mut self, name: &str) -> String {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "{name} was not printed");
            if let Some(value) = line.strip_prefix(name) {
                return value.trim().to_owned();
            }
        }
    }

    fn enter(&mut self, command: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{command}").unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The whole answer to a GET of a URL on 127.0.0.1.
fn get(url: &str) -> String {
    exchange("GET", url, "", "")
}

/// The whole answer to a request with these header lines and this content.
fn exchange(method: &str, url: &str, headers: &str, content: &str) -> String {
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut socket = TcpStream::connect(authority).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = content.len();
    write!(
        socket,
        "{method} /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n{headers}\
         content-length: {length}\r\n\r\n{content}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// Takes one request on a free port, answers it with 204 and returns its head and what came with
/// it.
fn receiver() -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/changed", listener.local_addr().unwrap());
    let request = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
        while !request.ends_with(b"}") {
            let read = socket.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "the request broke off");
            request.extend_from_slice(&buffer[..read]);
        }
        socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, request)
}

#[test]
fn keys_state_and_tenants_are_served_at_the_printed_urls() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut simulator = Running::start(&[
        "--port",
        &free,
        "--application-id",
        "my-app",
        "--tenant",
        "Cust1",
        "--tenant",
        "Cust2=Suspended",
    ]);
    let environment = simulator.value("environment");
    assert_eq!(environment, format!("http://127.0.0.1:{free}"));
    assert!(get(&simulator.value("key set")).contains(r#""kty":"RSA""#));
    let state = simulator.value("state API");
    assert_eq!(simulator.value("application id"), "my-app");
    let state_of = |tenant| get(&state.replace("{ContextIdentifier}", tenant));
    assert!(state_of("Cust1").contains(r#""State":"Running""#));
    assert!(state_of("Cust2").contains(r#""State":"Suspended""#));
    let (open, closed) = (simulator.value("tenant  "), simulator.value("tenant  "));
    assert!(!open.starts_with(&environment), "{open}: a host of its own");
    assert!(get(&format!("{environment}/Cust1/api")).starts_with("HTTP/1.1 421"));
    assert!(get(&format!("{open}/api/v1/Contact/1")).starts_with("HTTP/1.1 200"));
    assert!(get(&format!("{closed}/api/v1/Contact/1")).starts_with("HTTP/1.1 503"));
    simulator.enter("calls");
    assert_eq!(simulator.line(), "2 calls, 1 of them to closed tenants");
}

#[test]
fn a_command_changes_the_tenant_and_posts_the_notification() {
    let (url, request) = receiver();
    let mut simulator = Running::start(&["--notify", &url, "--tenant", "Cust1"]);
    let state = simulator.value("state API").replace("{ContextIdentifier}", "Cust1");
    simulator.value("tenant  ");

    simulator.enter("suspend Cust1");
    assert_eq!(simulator.line(), "Cust1: changed, answered 204 No Content");
    let request = request.join().unwrap();
    assert!(request.starts_with("POST /changed "), "{request}");
    assert!(request.contains(r#""ContextIdentifier":"Cust1""#), "{request}");
    assert!(get(&state).contains(r#""State":"Suspended""#));

    // The receiver is gone: it would be an error.
    simulator.enter("resume Cust1 silently");
    assert_eq!(simulator.line(), "Cust1: changed silently");
    assert!(get(&state).contains(r#""State":"Running""#));
    simulator.enter("hang Cust1");
    assert!(simulator.line().starts_with("error: no such command"));
    simulator.enter("quit");
    assert!(simulator.process.wait().unwrap().success());
}

#[test]
fn it_serves_on_after_bytes_that_are_no_text_and_without_a_reader() {
    let mut simulator = Running::start(&["--tenant", "Cust1"]);
    let state = simulator.value("state API").replace("{ContextIdentifier}", "Cust1");
    simulator.value("tenant  ");
    simulator.process.stdin.as_mut().unwrap().write_all(b"suspend Cust1 \xff\n").unwrap();
    assert!(simulator.line().starts_with("error: no such command"));
    assert!(get(&state).contains(r#""State":"Running""#));

    // Nothing reads what it prints.
    simulator.stdout = BufReader::new(Box::new(std::io::empty()));
    simulator.enter("calls");
    simulator.enter("suspend Cust1 silently");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !get(&state).contains(r#""State":"Suspended""#) {
        assert!(Instant::now() < deadline, "the command was not taken");
    }
}

#[test]
fn browser_and_program_drive_it_over_http() {
    let (notify, request) = receiver();
    let mut simulator = Running::start(&["--notify", &notify]);
    let page = simulator.value("page");
    let origin = page.trim_end_matches('/');
    let suspend = format!("{origin}/simulator/tenants/Cust1/suspend");
    let kind = "content-type: application/x-www-form-urlencoded\r\n";

    // As Chromium sends a form, of this page and of another.
    let own = format!("{kind}origin: {origin}\r\nsec-fetch-site: same-origin\r\n");
    let other = format!("{kind}origin: http://evil.example\r\nsec-fetch-site: cross-site\r\n");
    let refused = exchange("POST", &suspend, &other, "from=page");
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    assert!(refused.contains("content-type: application/problem+json\r\n"), "{refused}");
    let answer = exchange("POST", &suspend, &own, "from=page&prefix=");
    assert!(answer.starts_with("HTTP/1.1 303 ") && answer.contains("location: /\r\n"), "{answer}");
    assert!(request.join().unwrap().contains(r#""ChangeType":2"#));
    let shown = get(&page);
    assert!(shown.contains("Suspended") && shown.contains("answered 204 No Content"), "{shown}");

    // As curl does.
    let resume = format!("{origin}/simulator/tenants/Cust1/resume?silently");
    let answer = exchange("POST", &resume, "", "");
    assert!(answer.contains(r#""state": "Running""#), "{answer}");
    assert!(answer.contains("not sent: the change was silent"), "{answer}");
    let head = exchange("HEAD", &page, "", "");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    simulator.enter("calls");
    simulator.value("0 calls");
}

#[test]
#[cfg(unix)]
fn an_interrupt_ends_it_while_its_input_is_open() {
    let mut simulator = Running::start(&[]);
    simulator.enter("calls");
    simulator.value("0 calls");
    let id = simulator.process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(simulator.process.wait().unwrap().success());
}

#[test]
fn a_port_in_use_ends_it_with_the_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(PROGRAM).args(["--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let reason = String::from_utf8(output.stderr).unwrap();
    assert!(reason.contains("free a port"), "{reason}");
}

#[test]
fn help_names_every_flag_and_wrong_values_are_refused() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for flag in ["--port", "--application-id", "--notify", "--tenant"] {
        assert!(help.contains(flag), "{flag}: {help}");
    }
    for wrong in [
        ["--tenant", "Cust1=Asleep"],
        ["--tenant", "a/b"],
        ["--notify", "https://127.0.0.1/x"],
        ["--port", "65536"],
    ] {
        let output = Command::new(PROGRAM).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
