//! A SuperOffice on loopback, as a program: the library's `simulator` with ports, and commands on
//! standard input, over HTTP and on a page.
//!
//! ```sh
//! superoffice-simulator --port 4711 --notify http://127.0.0.1:8080/NotifyCustomerStateChange
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the program's output")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod args;
mod command;
mod control;
mod driver;

mod page;

use std::{
    error::Error,
    io::{self, Write},
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
            eprint!("superoffice-simulator: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let driver = args.start().await?;
    print(&args.addresses(driver.simulator()))?;
    tokio::select! {
        // The signal first: from the first answer on, Ctrl-C is caught.
        biased;
        signal = ctrl_c() => signal?,
        taken = take_commands(&driver) => taken?,
    }
    Ok(())
}

/// Runs the commands on standard input until one says to quit; when the input ends, it waits.
async fn take_commands(driver: &Driver) -> io::Result<()> {
    let mut lines = lines_of_stdin();
    while let Some(line) = lines.recv().await {
        match line?.parse() {
            Ok(Command::Nothing) => {}
            Ok(Command::Quit) => return Ok(()),
            Ok(Command::Do(action)) => print(&action.run(driver).await)?,
            Err(error) => print(&format!("error: {error}"))?,
        }
    }
    std::future::pending().await
}

/// Reads standard input on a thread of its own, which does not keep the program from ending as one
/// of tokio's would.
fn lines_of_stdin() -> mpsc::Receiver<io::Result<String>> {
    let (tx, rx) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in io::stdin().lines() {
            if tx.blocking_send(line).is_err() {
                return;
            }
        }
    });
    rx
}

/// Prints a text as whole lines, at once: the reader may be a program.
fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}
