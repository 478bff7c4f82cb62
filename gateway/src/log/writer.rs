//! A thread that writes log lines, and the queue to it.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use crate::printable::printable;

/// Lines that may wait to be written; more are dropped, and counted.
const QUEUE: usize = 4096;

/// Time that the end of the process waits for the lines that are queued.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Queues log lines; never blocks and never fails.
///
/// A terminal that is gone and a full disk fail a write, a pipe that is not read blocks it. Both
/// happen to the thread alone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    tx: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Writer {
    /// Starts the thread, which writes to `output`.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (tx, rx) = sync_channel(QUEUE);
        let dropped = Arc::<AtomicU64>::default();
        let writer = Self { tx, dropped: Arc::clone(&dropped) };
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(output, &rx, &dropped))?;
        Ok(writer)
    }

    /// Waits until the lines queued so far are written, but not for long.
    pub(super) fn flush_lines(&self) {
        let (done, written) = sync_channel(1);
        // A full queue belongs to an output that does not take what it is given.
        if self.tx.try_send(Entry::Flush(done)).is_ok() {
            let _written_or_given_up = written.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

fn write_lines(mut output: impl Write, rx: &Receiver<Entry>, dropped: &AtomicU64) {
    for entry in rx {
        match entry {
            Entry::Line(line) => {
                // There is no place to report that the place for reports fails.
                let _best_effort = output.write_all(&line);
            }
            Entry::Flush(done) => {
                let _best_effort = output.flush();
                let _waits_no_longer = done.send(());
            }
        }
        let count = dropped.swap(0, Ordering::Relaxed);
        if count > 0 {
            let _best_effort = writeln!(output, "log lines dropped: {count}");
        }
    }
}

impl Write for Writer {
    /// Queues one event, which the subscriber writes in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.tx.try_send(Entry::Line(on_one_line(line))) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns an event with all but the line feed at its end [printable].
fn on_one_line(line: &[u8]) -> Vec<u8> {
    let (text, end) = match line.strip_suffix(b"\n") {
        Some(text) => (text, "\n"),
        None => (line, ""),
    };
    format!("{}{end}", printable(&String::from_utf8_lossy(text))).into_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Output(Arc<(Mutex<Vec<u8>>, Condvar)>);

    impl Output {
        fn text(&self) -> String {
            String::from_utf8(self.0.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn flush_waits_for_the_lines_before_it() {
        let output = Output::default();
        let mut writer = Writer::start(output.clone()).unwrap();
        for line in ["one\n", "two\n"] {
            writer.write_all(line.as_bytes()).unwrap();
        }
        writer.flush_lines();
        assert_eq!(output.text(), "one\ntwo\n");
    }

    #[test]
    fn line_is_written_without_control_characters() {
        let output = Output::default();
        let mut writer = Writer::start(output.clone()).unwrap();
        writer.write_all(b"one\n\x1b[2Jtwo\n").unwrap();
        writer.flush_lines();
        assert_eq!(output.text(), "one\\u000a\\u001b[2Jtwo\n");
    }

    #[test]
    fn output_that_fails_is_written_to_again() {
        struct FailsOnce(Output, bool);
        impl Write for FailsOnce {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if std::mem::take(&mut self.1) {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.0.write(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let output = Output::default();
        let mut writer = Writer::start(FailsOnce(output.clone(), true)).unwrap();
        for line in ["lost\n", "kept\n"] {
            writer.write_all(line.as_bytes()).unwrap();
        }
        writer.flush_lines();
        assert_eq!(output.text(), "kept\n");
    }

    #[test]
    fn output_that_blocks_costs_lines_and_no_time() {
        struct Blocks(Arc<(Mutex<bool>, Condvar)>, Output);
        impl Write for Blocks {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let (open, opened) = &*self.0;
                let _open = opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap();
                self.1.write(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (gate, output) = (Arc::default(), Output::default());
        let mut writer = Writer::start(Blocks(Arc::clone(&gate), output.clone())).unwrap();
        for _ in 0..QUEUE + 100 {
            writer.write_all(b"line\n").unwrap();
        }
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        // Until there is room, the flush itself is given up.
        while !output.text().contains("log lines dropped: ") {
            writer.flush_lines();
        }
    }

    #[test]
    fn event_is_one_line_of_text() {
        for (event, expected) in [
            (&b"plain\n"[..], "plain\n"),
            (b"no end", "no end"),
            (b"one\ntwo\r\n", "one\\u000atwo\\u000d\n"),
            (b"\xff\n", "\u{fffd}\n"),
        ] {
            assert_eq!(String::from_utf8(on_one_line(event)).unwrap(), expected);
        }
    }
}
