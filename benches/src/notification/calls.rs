//! The rows in process.

use futures::FutureExt;
use http::{Request, StatusCode};
use http_body_util::Full;
use jsonwebtoken::decode;
use serde_json::Value;
use tower::ServiceExt;

use crate::{
    setup::{BATCH, Setup},
    thread::Thread,
};

pub const DECODE: &str = "jsonwebtoken's RS256 decode on aws-lc";
pub const RECEIVE: &str = "notification in process, memory store";
pub const REFUSE: &str = "refused before any RSA (expired)";
pub const CROWDED: &str = "refused: a body of 16 KiB in small members";

/// The calls of a row, on a gate of their own.
pub struct Calls<'s>(Box<dyn FnMut(usize) + 's>);

impl<'s> Calls<'s> {
    pub async fn of(row: &str, setup: &'s Setup) -> Self {
        if row == DECODE {
            return Self(Box::new(|number| {
                let (token, peer) = (&setup.tokens[number], &setup.peer);
                decode::<Value>(token, &peer.key, &peer.validation).unwrap();
            }));
        }
        let service = setup.gate.build().await.notification_service();
        let (refused, status) = match row {
            RECEIVE => (None, StatusCode::NO_CONTENT),
            REFUSE => (Some(&setup.expired), StatusCode::UNAUTHORIZED),
            CROWDED => (Some(&setup.crowded), StatusCode::BAD_REQUEST),
            _ => panic!("no such row: {row}"),
        };
        Self(Box::new(move |number| {
            let body = refused.unwrap_or_else(|| &setup.bodies[number]);
            let request = Request::post("/").body(Full::new(body.clone())).unwrap();
            let response = service.clone().oneshot(request).now_or_never().unwrap();
            assert_eq!(response.unwrap().status(), status);
        }))
    }

    pub fn make(mut self, count: usize) {
        make_calls(&mut *self.0, count);
    }

    /// Returns the ns of processor time that one call of a batch takes.
    pub fn time(self) -> f64 {
        let before = Thread::own_spent();
        self.make(BATCH);
        (Thread::own_spent() - before) / BATCH as f64
    }
}

/// The instruction counter counts within this function alone.
#[inline(never)]
fn make_calls(call: &mut dyn FnMut(usize), count: usize) {
    for number in 0..count {
        call(number);
    }
}
