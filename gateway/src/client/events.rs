//! Server-sent events on their way to stdout.

use axum::{
    body::{Bytes, HttpBody},
    http::{Response, header},
};
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use super::{print::print, text};
use crate::{BoxError, cli::Output};

/// The start of the line of a server-sent event that has its data.
const DATA: &[u8] = b"data: ";

/// The longest line of an event, in bytes.
const MAX_LINE: usize = 1024 * 1024;

/// Prints the data of server-sent events, a line each, until they end or nothing reads them.
pub(super) async fn print_events<B>(response: Response<B>, output: Output) -> Result<(), BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("text/event-stream") {
        return Err("the answer is no stream of events: does --url lead to a gateway?".into());
    }
    tokio::select! {
        biased;
        () = unread() => Ok(()),
        printed = events_as_they_arrive(response.into_body(), output) => printed,
    }
}

async fn events_as_they_arrive<B>(mut body: B, output: Output) -> Result<(), BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut lines = Lines::default();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Into::into)?.into_data() else { continue };
        let data = lines.data_of(&data)?;
        let printed = match output {
            Output::Json => print(&data)?,
            Output::Text => print(events_text(&data)?.as_bytes())?,
        };
        if !printed {
            return Ok(());
        }
    }
    Ok(())
}

/// Waits until stdout is a pipe that nothing reads any more. Otherwise that shows when there is an
/// event to print.
#[cfg(target_os = "linux")]
async fn unread() {
    use tokio::{io::Interest, net::unix::pipe};

    // Opened once more, because a pipe that does not block would not for those that share it.
    if let Ok(pipe) = pipe::OpenOptions::new().open_sender("/proc/self/fd/1") {
        while let Ok(ready) = pipe.ready(Interest::ERROR).await {
            if ready.is_error() {
                return;
            }
        }
    }
    std::future::pending().await
}

#[cfg(not(target_os = "linux"))]
async fn unread() {
    std::future::pending().await
}

/// Formats the data of events, which is a line of JSON each.
fn events_text(data: &[u8]) -> Result<String, BoxError> {
    let events = serde_json::Deserializer::from_slice(data).into_iter::<Map<String, Value>>();
    let no_object = |error| format!("an event is no JSON object: {error}");
    events.map(|event| Ok(text::event(&event.map_err(no_object)?))).collect()
}

/// A text that arrives in parts.
#[derive(Debug, Default)]
struct Lines {
    /// The start of a line whose end has not arrived.
    rest: Vec<u8>,
}

impl Lines {
    /// Returns the data in the lines that are whole with `part`.
    ///
    /// # Errors
    ///
    /// When a line has more than [`MAX_LINE`] bytes.
    fn data_of(&mut self, part: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut found = Vec::new();
        for piece in part.split_inclusive(|&byte| byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if self.rest.len() > MAX_LINE {
                return Err("an event has more than 1024 KiB");
            }
            if self.rest.ends_with(b"\n") {
                found.extend_from_slice(self.rest.strip_prefix(DATA).unwrap_or_default());
                self.rest.clear();
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_a_line_each() {
        let data =
            b"{\"event\":\"moved\",\"tenant\":\"Cust1\"}\n{\"event\":\"missed\",\"events\":3}\n";
        assert_eq!(events_text(data).unwrap(), "moved Cust1\nmissed events=3\n");
        assert_eq!(events_text(b"").unwrap(), "");
        let error = events_text(b"<html>\n").unwrap_err().to_string();
        assert!(error.starts_with("an event is no JSON object: "), "{error}");
    }

    #[test]
    fn data_is_found_wherever_the_text_is_cut() {
        let text =
            b"event: snapshot\ndata: {\"a\":1}\n\n: keep-alive\n\nevent: x\ndata: {\"b\":2}\n\n";
        for cut in 0..=text.len() {
            let (start, end) = text.split_at(cut);
            let mut lines = Lines::default();
            let found = [lines.data_of(start).unwrap(), lines.data_of(end).unwrap()].concat();
            assert_eq!(found, b"{\"a\":1}\n{\"b\":2}\n", "{cut}");
        }
    }

    #[test]
    fn line_without_end_is_refused() {
        let mut lines = Lines::default();
        let part = vec![b'x'; MAX_LINE / 2];
        assert_eq!(lines.data_of(&part), Ok(Vec::new()));
        assert_eq!(lines.data_of(&part), Ok(Vec::new()));
        assert!(lines.data_of(b"x").is_err());
    }
}
