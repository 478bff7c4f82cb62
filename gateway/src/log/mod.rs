//! Log output. It is best effort: nothing that happens to it may stop a request or a task.

mod limit;
mod writer;

use std::io;

use tracing_subscriber::EnvFilter;

pub(crate) use self::limit::Limit;
use self::writer::Writer;

/// Sends log events to stderr, at the levels that `RUST_LOG` names.
///
/// # Errors
///
/// When the thread that writes can't be started.
pub(crate) fn init() -> io::Result<Flush> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let writer = Writer::start(io::stderr())?;
    let flush = Flush(writer.clone());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || writer.clone())
        // It would report a failed write on stderr, and panic when that fails too.
        .log_internal_errors(false)
        .init();
    Ok(flush)
}

/// Writes out what was logged when it is dropped.
pub(crate) struct Flush(Writer);

impl Drop for Flush {
    fn drop(&mut self) {
        self.0.flush_lines();
    }
}
