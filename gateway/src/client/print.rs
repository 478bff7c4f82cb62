//! Answers on their way to stdout.

use std::io::{self, ErrorKind, Write};

use axum::body::{Bytes, HttpBody};
use serde_json::{Map, Value};

use super::{body, text};
use crate::{BoxError, cli::Output};

/// The longest answer that is printed as text, in bytes: that of a million tenants.
const MAX_TEXT: usize = 256 * 1024 * 1024;

/// Blanks in front of the JSON, at most.
const MAX_BLANKS: usize = 1024;

/// The kind of answer to a command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// A JSON array of tenants.
    List,
    /// A JSON object.
    Object,
}

impl Kind {
    /// Returns the error about an answer of another kind.
    fn expected(self) -> BoxError {
        let kind = match self {
            Self::List => "list",
            Self::Object => "object",
        };
        format!("the answer is no JSON {kind}: does --url lead to a gateway?").into()
    }

    /// Returns whether the first byte of an answer is that of this kind.
    fn begins_with(self, first: u8) -> bool {
        first == if self == Self::List { b'[' } else { b'{' }
    }
}

/// Prints a body of this kind.
pub(super) async fn whole<B>(body: B, kind: Kind, output: Output) -> Result<(), BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    match output {
        Output::Json => as_it_arrives(body, kind).await,
        Output::Text => {
            let body = body::collect(body, MAX_TEXT).await?;
            print(whole_text(&body, kind)?.as_bytes())?;
            Ok(())
        }
    }
}

fn whole_text(body: &[u8], kind: Kind) -> Result<String, BoxError> {
    match (kind, serde_json::from_slice(body)) {
        (Kind::List, Ok(Value::Array(tenants))) => Ok(text::table(&tenants)),
        (Kind::Object, Ok(Value::Object(object))) => Ok(text::members(&object)),
        _ => Err(kind.expected()),
    }
}

/// Prints an object, which is the JSON in `body`.
pub(super) fn object(body: &[u8], object: &Map<String, Value>, output: Output) -> io::Result<()> {
    let text = match output {
        Output::Json => [body.trim_ascii_end(), b"\n"].concat(),
        Output::Text => text::members(object).into_bytes(),
    };
    print(&text).map(|_whether_read| ())
}

/// Prints a body, and a line feed.
async fn as_it_arrives<B>(mut body: B, kind: Kind) -> Result<(), BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let (mut blanks, mut last) = (0, None);
    while let Some(part) = body::next_part(&mut body).await? {
        let text = if last.is_none() { part.trim_ascii_start() } else { &part };
        match text.first() {
            Some(&first) if last.is_none() && !kind.begins_with(first) => {
                return Err(kind.expected());
            }
            None if blanks > MAX_BLANKS => return Err(kind.expected()),
            Some(_) => {}
            None => blanks += part.len(),
        }
        last = text.last().copied().or(last);
        if !print(text)? {
            return Ok(());
        }
    }
    match last {
        None => return Err(kind.expected()),
        Some(b'\n') => {}
        Some(_) => {
            print(b"\n")?;
        }
    }
    Ok(())
}

/// Prints `bytes`; `false` when nothing reads them any more.
pub(super) fn print(bytes: &[u8]) -> io::Result<bool> {
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
    fn answer_of_another_kind_has_no_text() {
        assert_eq!(whole_text(b"[]", Kind::List).unwrap(), "no tenants\n");
        assert_eq!(whole_text(b"{\"a\":1}", Kind::Object).unwrap(), "a: 1\n");
        for (body, kind) in [
            (&b"{}"[..], Kind::List),
            (b"[]", Kind::Object),
            (b"\"\\u001b[2J\"", Kind::Object),
            (b"null", Kind::List),
            (b"<html>", Kind::List),
            (b"", Kind::Object),
        ] {
            assert!(whole_text(body, kind).is_err(), "{body:?}");
        }
    }
}
