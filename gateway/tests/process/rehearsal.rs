//! The commands in `docs/rehearsal.md`, as they stand there, and what they print.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use harness::{free_port, installed};

use crate::process::PROGRAM;

const DOCUMENT: &str = include_str!("../../../docs/rehearsal.md");

/// The ports in the document.
const PORTS: [&str; 4] = ["4711", "4712", "4713", "8080"];

/// Replaces what differs from run to run: times of day, dates, and the seconds of a wait.
const VARYING: &str =
    r"s/[0-9-]{10}T[0-9:.]+Z/TIME/g; s/^date: .*/date: TIME/; s/^(retry-after): .*/\1: N/";

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A block of the document, without its fences.
#[derive(Debug, PartialEq)]
enum Block<'d> {
    Commands(&'d str),
    Output(&'d str),
}

fn blocks() -> Vec<Block<'static>> {
    let mut blocks = Vec::new();
    let mut rest = DOCUMENT;
    while let Some((_, block)) = rest.split_once("\n```") {
        let (block, after) = block.split_once("\n```").expect("the end of a block");
        let (language, block) = block.split_once('\n').unwrap_or((block, ""));
        blocks.push(match language {
            "sh" => Block::Commands(block),
            "text" => Block::Output(block),
            other => panic!("a block of {other}"),
        });
        rest = after;
    }
    blocks
}

/// A run of the document on free ports.
struct Rehearsal {
    ports: [u16; 4],
    programs: String,
    running: Vec<Running>,
}

impl Rehearsal {
    fn new() -> Self {
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        build.args(["build", "--quiet", "--workspace", "--all-features"]);
        build.args(["--bin", "superoffice-simulator"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success());
        let own = Path::new(PROGRAM).parent().unwrap().display();
        let programs = format!("{own}:{}", std::env::var("PATH").unwrap());
        Self { ports: PORTS.map(|_| free_port()), programs, running: Vec::new() }
    }

    fn bash(&self, commands: &str) -> Command {
        // In two steps: a port of this run may contain one of the document.
        let marked = PORTS
            .into_iter()
            .enumerate()
            .fold(commands.to_owned(), |text, (at, port)| text.replace(port, &format!("@{at}@")));
        let commands =
            self.ports.into_iter().enumerate().fold(marked, |text, (at, port)| {
                text.replace(&format!("@{at}@"), &port.to_string())
            });
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &commands]);
        bash.env("PATH", &self.programs).env("RUST_LOG", "off");
        bash.stdin(Stdio::piped()).stdout(Stdio::piped());
        bash
    }

    /// Starts a program, and waits for its line about being ready.
    fn start(&mut self, command: &str, ready: &str) {
        let mut child = self.bash(&format!("exec {command}")).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        self.running.push(Running(child));
        assert!(lines.any(|line| line.unwrap().starts_with(ready)), "{command}");
        // Its output must go somewhere while it runs.
        std::thread::spawn(move || lines.for_each(drop));
    }

    /// Runs commands, and returns what they print, with the ports of the document.
    fn run(&self, commands: &str) -> String {
        let output = self.bash(commands).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}: {commands}\n{text}", output.status);
        let documented = |text: String, (documented, port): (&str, u16)| {
            text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{documented}"))
        };
        PORTS.into_iter().zip(self.ports).fold(text, documented)
    }
}

/// Returns the text without what varies, and without the ends of its lines.
fn constant(text: &str) -> String {
    let mut sed = Command::new("sed");
    sed.args(["-E", VARYING]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = sed.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "slow: waits for the gateway's pulls"]
fn documented_rehearsal_prints_what_it_says() {
    if !installed("curl") || !installed("bash") {
        return;
    }
    let mut rehearsal = Rehearsal::new();
    let mut blocks = blocks().into_iter().peekable();
    let mut compared = 0;
    while let Some(block) = blocks.next() {
        let Block::Commands(commands) = block else { panic!("output of nothing: {block:?}") };
        let output = blocks.next_if(|next| matches!(next, Block::Output(_)));
        match (commands.split([' ', '\n']).next().unwrap(), output) {
            ("cargo", None) => {}
            ("superoffice-simulator", None) => rehearsal.start(commands, "page"),
            ("superoffice-gateway", None) => rehearsal.start(commands, "listening on"),
            ("curl", Some(Block::Output(documented))) => {
                let printed = rehearsal.run(commands);
                println!("{commands}\n---\n{printed}\n");
                assert_eq!(constant(printed.trim_end()), constant(documented), "{commands}");
                compared += 1;
            }
            _ => panic!("neither a program nor commands with their output: {commands}"),
        }
    }
    assert!(compared >= 8, "{compared} blocks of commands");
}
