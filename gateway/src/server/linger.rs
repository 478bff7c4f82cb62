//! The end of a connection whose client may still be sending: RFC 9112, section 9.6.
//!
//! A socket that is closed with bytes unread resets the connection, and the reset takes a response
//! that the client has not read yet with it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::activity::Activity;

/// Time from the end of the last response to the end of its connection.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Time in which the client has to send something more.
const PAUSE: Duration = Duration::from_secs(2);

/// Bytes that are read and thrown away.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A connection that, at its end, reads for a while what the client still sends.
pub(super) struct Linger<T> {
    io: T,
    activity: Arc<Activity>,
    /// Set when nothing more is to be sent.
    ending: Option<Ending>,
}

struct Ending {
    deadline: Instant,
    sleep: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<T> Linger<T> {
    pub(super) fn new(io: T, activity: Arc<Activity>) -> Self {
        Self { io, activity, ending: None }
    }
}

impl Ending {
    fn new() -> Self {
        Self { deadline: Instant::now() + TIMEOUT, sleep: Box::pin(sleep(PAUSE)), bytes: 0 }
    }

    /// Reads until the client closes the connection, or enough was waited or read.
    fn poll<T: AsyncRead + Unpin>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 8 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *io).poll_read(cx, &mut buffer) {
                Poll::Pending => return self.sleep.as_mut().poll(cx),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {}
            }
            self.bytes += buffer.filled().len();
            let now = Instant::now();
            if buffer.filled().is_empty() || self.bytes > MAX_BYTES || now >= self.deadline {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.deadline.min(now + PAUSE));
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Linger<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.set_unread(true);
        }
        read
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ending.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            if !this.activity.is_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let ending = this.ending.get_or_insert_with(Ending::new);
        ending.poll(&mut this.io, cx).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn connection(unread: bool) -> (DuplexStream, Linger<DuplexStream>) {
        let (client, server) = duplex(1 << 20);
        let activity = Activity::new();
        activity.set_unread(unread);
        (client, Linger::new(server, activity))
    }

    #[tokio::test(start_paused = true)]
    async fn silent_client_is_waited_for_briefly() {
        let (_client, mut connection) = connection(true);
        let start = Instant::now();
        connection.shutdown().await.unwrap();
        assert_eq!(start.elapsed(), PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_trickles_is_cut_off() {
        let (mut client, mut connection) = connection(true);
        let trickle = async {
            loop {
                client.write_all(b"x").await.unwrap();
                sleep(PAUSE / 2).await;
            }
        };
        let start = Instant::now();
        tokio::select! {
            ended = connection.shutdown() => ended.unwrap(),
            () = trickle => {}
        }
        assert_eq!(start.elapsed(), TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_floods_is_cut_off() {
        let (mut client, mut connection) = connection(true);
        let flood = async {
            let mut sent = 0;
            loop {
                assert!(sent < 2 * MAX_BYTES);
                client.write_all(&[b'x'; 1024]).await.unwrap();
                sent += 1024;
            }
        };
        tokio::select! {
            ended = connection.shutdown() => ended.unwrap(),
            () = flood => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connection_with_nothing_unread_ends_at_once() {
        let (mut client, mut connection) = connection(false);
        let start = Instant::now();
        connection.shutdown().await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
