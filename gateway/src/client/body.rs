//! The content of answers, within limits: a server may send nothing more, or without end.

use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::BoxError;

/// Time for the next part of an answer.
pub(super) const PAUSE: Duration = Duration::from_secs(30);

/// Returns the next part of `body`, and `None` at its end.
///
/// # Errors
///
/// When the connection fails, and after [`PAUSE`].
pub(super) async fn next_part<B>(body: &mut B) -> Result<Option<Bytes>, BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    loop {
        let frame = timeout(PAUSE, body.frame()).await;
        let frame = frame.map_err(|_| "the gateway did not continue its answer in time")?;
        let Some(frame) = frame else { return Ok(None) };
        if let Ok(data) = frame.map_err(Into::into)?.into_data() {
            return Ok(Some(data));
        }
    }
}

/// Collects a whole body of at most `limit` bytes.
///
/// # Errors
///
/// When it is longer, and as [`next_part`].
pub(super) async fn collect<B>(mut body: B, limit: usize) -> Result<Vec<u8>, BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut collected = Vec::new();
    while let Some(part) = next_part(&mut body).await? {
        if part.len() > limit.saturating_sub(collected.len()) {
            return Err(format!("the answer has more than {} KiB", limit / 1024).into());
        }
        collected.extend_from_slice(&part);
    }
    Ok(collected)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::{StreamExt, stream};

    use super::*;

    #[tokio::test]
    async fn body_above_its_limit_is_refused_however_it_arrives() {
        let endless = Body::from_stream(stream::repeat_with(|| Ok::<_, BoxError>("12345")));
        let error = collect(endless, 2048).await.unwrap_err();
        assert_eq!(error.to_string(), "the answer has more than 2 KiB");
        assert_eq!(collect(Body::from("12345"), 5).await.unwrap(), b"12345");
        assert!(collect(Body::from("123456"), 5).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_pauses_for_too_long_is_given_up() {
        let parts = stream::iter([Ok::<_, BoxError>(Bytes::from("start"))]);
        let stalled = Body::from_stream(parts.chain(stream::pending()));
        let start = tokio::time::Instant::now();
        let error = collect(stalled, 1024).await.unwrap_err();
        assert_eq!(error.to_string(), "the gateway did not continue its answer in time");
        assert_eq!(start.elapsed(), PAUSE);
    }
}
