//! Responses on their way to stdout.

use std::io::{self, ErrorKind, Write};

use axum::body::{Bytes, HttpBody};
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use super::text;
use crate::{BoxError, cli::Output};

/// The start of the line of a server-sent event that has its data.
const DATA: &[u8] = b"data: ";

/// Prints a body.
pub(super) async fn whole<B>(body: B, output: Output) -> Result<(), BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    match output {
        Output::Json => as_it_arrives(body).await,
        Output::Text => {
            let body = body.collect().await.map_err(Into::into)?.to_bytes();
            let text = match serde_json::from_slice(&body)? {
                Value::Array(tenants) => text::table(&tenants),
                Value::Object(object) => text::members(&object),
                value => format!("{value}\n"),
            };
            print(text.as_bytes())?;
            Ok(())
        }
    }
}

/// Prints a body, and a line feed.
async fn as_it_arrives<B>(mut body: B) -> Result<(), BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut last = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Into::into)?.into_data() else { continue };
        last = data.last().copied().or(last);
        if !print(&data)? {
            return Ok(());
        }
    }
    if last.is_some_and(|last| last != b'\n') {
        print(b"\n")?;
    }
    Ok(())
}

/// Prints the data of server-sent events, a line each, until they end.
pub(super) async fn events<B>(mut body: B, output: Output) -> Result<(), BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut lines = Lines::default();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Into::into)?.into_data() else { continue };
        let data = lines.data_of(&data);
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

/// Formats the data of events, which is a line of JSON each.
fn events_text(data: &[u8]) -> Result<String, serde_json::Error> {
    let events = serde_json::Deserializer::from_slice(data).into_iter::<Map<String, Value>>();
    events.map(|event| Ok(text::event(&event?))).collect()
}

/// A text that arrives in parts.
#[derive(Debug, Default)]
struct Lines {
    /// The start of a line whose end has not arrived.
    rest: Vec<u8>,
}

impl Lines {
    /// Returns the data in the lines that are whole with `part`.
    fn data_of(&mut self, part: &[u8]) -> Vec<u8> {
        let mut found = Vec::new();
        for piece in part.split_inclusive(|&byte| byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if self.rest.ends_with(b"\n") {
                found.extend_from_slice(self.rest.strip_prefix(DATA).unwrap_or_default());
                self.rest.clear();
            }
        }
        found
    }
}

/// Prints `bytes`; `false` when nothing reads them any more.
fn print(bytes: &[u8]) -> io::Result<bool> {
    let mut stdout = io::stdout();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
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
        assert!(events_text(b"<html>\n").is_err());
    }

    #[test]
    fn data_is_found_wherever_the_text_is_cut() {
        let text =
            b"event: snapshot\ndata: {\"a\":1}\n\n: keep-alive\n\nevent: x\ndata: {\"b\":2}\n\n";
        for cut in 0..=text.len() {
            let (start, end) = text.split_at(cut);
            let mut lines = Lines::default();
            let found = [lines.data_of(start), lines.data_of(end)].concat();
            assert_eq!(found, b"{\"a\":1}\n{\"b\":2}\n", "{cut}");
        }
    }
}
