//! A SuperOffice on loopback, as a program: the library's `simulator` with ports, and commands on
//! standard input, over HTTP and on a page.
//!
//! ```sh
//! superoffice-simulator --port 4711 --notify http://127.0.0.1:8080/NotifyCustomerStateChange
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod args;
mod command;
mod control;
mod driver;

mod page;

use std::{
    error::Error,
    io::{self, BufRead, Write},
    process::ExitCode,
};

use clap::Parser;
use tokio::{signal::ctrl_c, sync::mpsc};

use crate::{args::Args, command::Command, driver::Driver};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            report(&text);
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let driver = args.start().await?;
    print(&args.addresses(driver.simulator()));
    tokio::select! {
        // The signal first: from the first answer on, Ctrl-C is caught.
        biased;
        signal = ctrl_c() => signal?,
        () = take_commands(&driver) => {}
    }
    Ok(())
}

/// Runs the commands on standard input until one says to quit; when the input ends, it waits.
async fn take_commands(driver: &Driver) {
    let mut lines = lines_of_stdin();
    while let Some(line) = lines.recv().await {
        match line.parse() {
            Ok(Command::Nothing) => {}
            Ok(Command::Quit) => return,
            Ok(Command::Do(action)) => print(&action.run(driver).await),
            Err(error) => print(&format!("error: {error}")),
        }
    }
    std::future::pending().await
}

/// Reads standard input on a thread of its own, which does not keep the program from ending as one
/// of tokio's would. Bytes that are no text are replaced, so that their line is no command.
fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (tx, rx) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in io::stdin().lock().split(b'\n') {
            let line = match line {
                Ok(line) => String::from_utf8_lossy(&line).into_owned(),
                // Its routes and its page go on.
                Err(error) => return report(&format!("standard input can't be read: {error}")),
            };
            if tx.blocking_send(line).is_err() {
                return;
            }
        }
    });
    rx
}

/// Prints a text as whole lines, at once: the reader may be a program. It may also have gone, which
/// ends no server.
fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _best_effort = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Reports a fault on stderr, which may be closed: `eprintln` would panic.
fn report(text: &str) {
    let _best_effort = writeln!(io::stderr(), "superoffice-simulator: {text}");
}
