//! `/events`: every tenant once, then what changes, as server-sent events.

mod message;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{error::Elapsed, timeout},
};
use tower_superoffice::{TenantEvent, TenantGate};
use utoipa::{IntoParams, ToSchema};

pub(super) use self::message::Event;
use super::{
    query::Query,
    tenants::{Reader, Snapshots, Unavailable},
};
use crate::{forward::problem, served::Served, server::Draining};

/// Readers at a time. Each costs a connection and what it has not read yet.
const READERS: usize = 64;

/// Tenants, or events that happened at once, in one chunk of the response.
const CHUNK: usize = 256;

/// Time without an event after which a comment shows both sides that the connection lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Time for a reader to take a chunk.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Keeps nginx from collecting events.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The sources of the events, and the limit of their readers.
#[derive(Clone)]
pub(super) struct Feed {
    sources: Arc<[Source]>,
    draining: Draining,
    readers: Arc<Semaphore>,
}

/// The source of an environment's events.
#[derive(Clone)]
struct Source {
    /// Names the environment where there are several.
    environment: Option<String>,
    gate: TenantGate,
    snapshots: Snapshots,
}

impl Feed {
    /// Reads from all gates of `served`, and from their `snapshots`.
    pub(super) fn new(served: &Served, snapshots: &[Snapshots], draining: Draining) -> Self {
        let sources = served.gates().iter().zip(snapshots).map(|(gate, snapshots)| Source {
            environment: served.label(gate),
            gate: gate.clone(),
            snapshots: snapshots.clone(),
        });
        let readers = Arc::new(Semaphore::new(READERS));
        Self { sources: sources.collect(), draining, readers }
    }
}

/// The parameters of `/events`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Whether every tenant is sent first.
    #[param(inline)]
    snapshot: Option<Switch>,
}

#[derive(Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Switch {
    #[default]
    On,
    Off,
}

/// Sends a `snapshot` event for every tenant, one that marks their end, and events as they happen.
/// With the snapshot off it sends the latter alone.
pub(super) async fn events(
    State(feed): State<Feed>,
    Query(Parameters { snapshot }): Query<Parameters>,
) -> Response {
    let Feed { sources, draining, readers } = feed;
    if draining.has_begun() {
        return busy("The gateway is about to stop.");
    }
    let Ok(permit) = readers.try_acquire_owned() else {
        return busy("As many read the events as may.");
    };
    // Before the snapshots: what happens while they are taken is in both.
    let events = merge(&sources);
    let mut snapshots = Vec::new();
    let with_snapshot = snapshot.unwrap_or_default() == Switch::On;
    for source in sources.iter().filter(|_| with_snapshot) {
        match source.snapshots.all().await {
            Ok(snapshot) => snapshots.push(snapshot),
            Err(Unavailable::TooManyReaders) => return busy("As many read the tenants as may."),
            Err(Unavailable::Failed) => {
                return problem(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The tenants could not be listed.",
                );
            }
        }
    }
    let (tx, rx) = mpsc::channel(1);
    // A task of its own: the body of a response that is not read is not polled either, and could
    // not give up.
    tokio::spawn(async move {
        let _permit = permit;
        let sent = async {
            let mut sent = 0;
            for (source, snapshot) in sources.iter().zip(snapshots) {
                sent += send_snapshot(source, snapshot, &tx).await?;
            }
            if with_snapshot {
                send_end(&sources, sent, &tx).await?;
            } else {
                // Shows that what happens from now on is sent.
                send(&tx, Bytes::from_static(b": connected\n\n")).await?;
            }
            send_events(&sources, events, &tx).await
        };
        tokio::select! {
            () = draining.begun() => {}
            () = tx.closed() => {}
            sent = sent => if sent.is_err() {
                tracing::debug!("reader of /events too slow, response ended");
            },
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (ACCEL_BUFFERING, "no"),
    ];
    (headers, Body::from_stream(chunks(rx))).into_response()
}

fn busy(detail: &str) -> Response {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, detail);
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
    response
}

/// The events of all `sources`, each with the number of its own.
fn merge(sources: &[Source]) -> impl Stream<Item = (usize, TenantEvent)> + use<> {
    let numbered =
        |(number, source): (usize, &Source)| source.gate.events().map(move |event| (number, event));
    stream::select_all(sources.iter().enumerate().map(numbered))
}

/// Sends every tenant of a snapshot; returns their number.
async fn send_snapshot(
    source: &Source,
    mut snapshot: Reader,
    tx: &mpsc::Sender<Bytes>,
) -> Result<usize, Elapsed> {
    let mut sent = 0;
    loop {
        let tenants = snapshot.next(CHUNK);
        sent += tenants.len();
        let last = tenants.len() < CHUNK;
        let mut text = Vec::new();
        for (tenant, status) in &tenants {
            message::write_tenant(&mut text, source.environment.as_deref(), tenant, status);
        }
        drop(tenants);
        if !text.is_empty() {
            send(tx, text.into()).await?;
        }
        if last {
            return Ok(sent);
        }
    }
}

/// Marks the end of all snapshots, with the number of their tenants.
async fn send_end(
    sources: &[Source],
    tenants: usize,
    tx: &mpsc::Sender<Bytes>,
) -> Result<(), Elapsed> {
    let mut text = Vec::new();
    message::write_end(&mut text, sources.len() > 1, tenants);
    send(tx, text.into()).await
}

async fn send_events(
    sources: &[Source],
    events: impl Stream<Item = (usize, TenantEvent)> + Unpin,
    tx: &mpsc::Sender<Bytes>,
) -> Result<(), Elapsed> {
    let mut events = events.ready_chunks(CHUNK);
    loop {
        let text = match timeout(KEEP_ALIVE, events.next()).await {
            Ok(Some(events)) => {
                let mut text = Vec::new();
                for (number, event) in &events {
                    let Some(Source { environment, gate, .. }) = sources.get(*number) else {
                        continue;
                    };
                    message::write_event(&mut text, environment.as_deref(), gate, event);
                }
                text.into()
            }
            // The gates have ended.
            Ok(None) => return Ok(()),
            Err(_) => Bytes::from_static(b": keep-alive\n\n"),
        };
        send(tx, text).await?;
    }
}

/// Hands on a chunk. A response that has ended ends the task otherwise.
async fn send(tx: &mpsc::Sender<Bytes>, chunk: Bytes) -> Result<(), Elapsed> {
    timeout(READ_TIMEOUT, tx.send(chunk)).await.map(|_sent_or_ended| ())
}

fn chunks(rx: mpsc::Receiver<Bytes>) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(rx, async |mut rx| Some((Ok(rx.recv().await?), rx)))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tower_superoffice::{Environment, TenantId};

    use super::*;

    async fn feed() -> Feed {
        let environment = Environment::custom("http://127.0.0.1:1".parse().unwrap());
        let gate = TenantGate::builder(environment).any_audience().state_api(false);
        let gate = gate.build().await.unwrap();
        Feed::new(&Served::One(gate.clone()), &[Snapshots::new(gate)], Draining::default())
    }

    async fn read_events(feed: &Feed) -> Response {
        events(State(feed.clone()), Query(Parameters::default())).await
    }

    /// Reads one chunk; `None` at the end.
    async fn read(response: &mut Response) -> Option<String> {
        let frame = response.body_mut().frame().await?;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    }

    async fn close(feed: &Feed, id: &str) {
        feed.sources[0].gate.close(&TenantId::new(id).unwrap(), "").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn comment_keeps_a_silent_connection_alive() {
        let feed = feed().await;
        let mut response = read_events(&feed).await;
        assert!(read(&mut response).await.unwrap().contains("\"complete\":true"));
        let start = tokio::time::Instant::now();
        assert_eq!(read(&mut response).await.unwrap(), ": keep-alive\n\n");
        assert_eq!(start.elapsed(), KEEP_ALIVE);
    }

    #[tokio::test]
    async fn snapshot_is_left_out_when_it_is_off() {
        let feed = feed().await;
        close(&feed, "Cust1").await;
        let parameters = Parameters { snapshot: Some(Switch::Off) };
        let mut response = events(State(feed.clone()), Query(parameters)).await;
        assert_eq!(read(&mut response).await.unwrap(), ": connected\n\n");
        close(&feed, "Cust2").await;
        let text = read(&mut response).await.unwrap();
        assert!(text.starts_with("event: changed\n") && text.contains("Cust2"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn reader_that_does_not_read_is_ended() {
        let feed = feed().await;
        let mut slow = read_events(&feed).await;
        let mut fast = read_events(&feed).await;
        read(&mut fast).await.unwrap();
        close(&feed, "Cust1").await;
        assert!(read(&mut fast).await.unwrap().contains("Cust1"));
        assert_eq!(feed.readers.available_permits(), READERS - 2);

        tokio::time::sleep(READ_TIMEOUT + Duration::from_secs(1)).await;
        assert_eq!(feed.readers.available_permits(), READERS - 1);
        let mut rest = 0;
        while read(&mut slow).await.is_some() {
            rest += 1;
        }
        assert_eq!(rest, 1, "what was ready");
        close(&feed, "Cust2").await;
        while !read(&mut fast).await.unwrap().contains("Cust2") {}
    }

    #[tokio::test(start_paused = true)]
    async fn readers_are_limited_and_make_room_when_they_leave() {
        let feed = feed().await;
        let mut readers = Vec::new();
        for _ in 0..READERS {
            let mut response = read_events(&feed).await;
            assert_eq!(response.status(), StatusCode::OK);
            read(&mut response).await.unwrap();
            readers.push(response);
        }
        let refused = read_events(&feed).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key(header::RETRY_AFTER));

        readers.pop();
        let room = async {
            while feed.readers.available_permits() == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(1), room).await.unwrap();
        assert_eq!(read_events(&feed).await.status(), StatusCode::OK);
    }
}
