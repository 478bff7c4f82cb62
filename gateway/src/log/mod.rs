//! Log output. It is best effort: nothing that happens to it may stop a request or a task.

mod limit;
mod writer;

use std::io;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

pub(crate) use self::limit::Limit;
use self::writer::Writer;

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// A line of text.
    Text,
    /// A line with a JSON object.
    Json,
}

/// Sends log events to stderr, at the levels that `RUST_LOG` names.
///
/// # Errors
///
/// When the thread that writes can't be started.
pub(crate) fn init(format: Format) -> io::Result<Flush> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let writer = Writer::start(io::stderr())?;
    let flush = Flush(writer.clone());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || writer.clone())
        // Colours are escapes, which are the writer's to take out.
        .with_ansi(false)
        // It would report a failed write on stderr, and panic when that fails too.
        .log_internal_errors(false);
    match format {
        Format::Text => subscriber.init(),
        Format::Json => subscriber.json().flatten_event(true).init(),
    }
    Ok(flush)
}

/// Writes out what was logged when it is dropped.
pub(crate) struct Flush(Writer);

impl Drop for Flush {
    fn drop(&mut self) {
        self.0.flush_lines();
    }
}
