//! The first bytes of a connection, which tell HTTP/1 from HTTP/2.

use std::{io, time::Duration};

use tokio::net::TcpStream;

const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Waits until the version of HTTP on `stream` is known, or the connection has ended.
///
/// hyper-util reads the version without a time-out, and its header time-out starts only then: a
/// silent connection would stay open for ever. Here it costs a task and a socket while it waits.
pub(super) async fn version_is_known(stream: &TcpStream) -> io::Result<()> {
    let mut start = [0; HTTP_2.len()];
    let mut pause = Duration::from_millis(5);
    loop {
        let length = stream.peek(&mut start).await?;
        let start = start.get(..length).unwrap_or_default();
        // Nothing at all is the end of the connection.
        if start.is_empty() || start == HTTP_2 || !HTTP_2.starts_with(start) {
            return Ok(());
        }
        // Another peek returns the same bytes at once. The pauses grow, so that a peer that sends
        // byte by byte costs no more than one that sends them all.
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
