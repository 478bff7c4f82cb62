//! Measures the inbound side beside its peers: a notification against `jsonwebtoken`'s decode of
//! its token, a refusal that needs no RSA, and the route over HTTP against a hand-written handler.
//!
//! Linux only: it reads the processor time of threads from /proc, over HTTP that of the server's
//! thread. Times and ratios are medians of nine processes, instructions those that valgrind counts,
//! where it is installed.

#[path = "notification/calls.rs"]
mod calls;
#[path = "notification/driver.rs"]
mod driver;
#[path = "notification/http.rs"]
mod http;
mod report;
#[path = "notification/setup.rs"]
mod setup;
#[path = "notification/thread.rs"]
mod thread;

use self::{calls::Calls, report::median, setup::Setup, thread::Thread};

/// Rounds of one process.
const ROUNDS: usize = 15;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["sample"] => println!("{}", serde_json::json!(sample().await)),
        ["count", row] => Calls::of(row, &Setup::new().await).await.make(setup::BATCH),
        _ => driver::run(),
    }
}

/// Measures, in one process and in turn, the ns of each row, and the ratios of the two that have a
/// peer.
async fn sample() -> driver::Sample {
    let setup = Setup::new().await;
    let mut rounds = <[Vec<f64>; 8]>::default();
    Thread::own().pin(0);
    let by_hand = http::Server::by_hand(&setup);
    for _ in 0..ROUNDS {
        let mut of = [0.0; 4];
        let rows = [calls::DECODE, calls::RECEIVE, calls::REFUSE, calls::CROWDED];
        for (ns, row) in of.iter_mut().zip(rows) {
            *ns = Calls::of(row, &setup).await.time();
        }
        let [decode, receive, refuse, crowded] = of;
        let hand = by_hand.processor_time(&setup).await;
        let ours = http::Server::of_a_gate(&setup).processor_time(&setup).await;
        let ratios = (receive / decode, ours / hand);
        let figures = [decode, receive, refuse, hand, ours, ratios.0, ratios.1, crowded];
        for (round, figure) in rounds.iter_mut().zip(figures) {
            round.push(figure);
        }
    }
    rounds.map(median)
}
