//! Times calls from several threads at once, beside as many of *identity*.

use std::{
    sync::Barrier,
    thread::{available_parallelism, scope},
};

use tower::Service;

use crate::{
    calls::{BATCH, Calls},
    client::Call,
    report::median,
    rows::{guard, identity, open},
    sample::Sample,
    setup::Setup,
};

const ROUNDS: usize = 8;
/// Batches of each thread per round.
const RUNS: usize = 200;
/// The rows: a name, and as many threads.
pub const ROWS: [(&str, usize); 3] =
    [("guard, 1 thread", 1), ("guard, 2 threads", 2), ("guard, 4 threads", 4)];

/// Measures each row. Calls in a second are those of the threads that the machine can run at once:
/// a batch during which a thread was interrupted is not the median.
pub fn measure(setup: &Setup) -> Vec<Sample> {
    let mut times = ROWS.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..ROUNDS {
        for ((_, threads), (own, peer)) in ROWS.iter().zip(&mut times) {
            peer.push(round(&identity(), *threads));
            own.push(round(&guard(setup.closed()), *threads));
        }
    }
    let cores = available_parallelism().map_or(1, usize::from);
    let sample = |((name, threads), (own, peer)): (_, (Vec<f64>, _))| {
        let (name, threads): (&str, usize) = (name, threads);
        let (own, peer) = (median(own), median(peer));
        let per_second = threads.min(cores) as f64 * 1e9 / own;
        Sample {
            name: name.to_owned(),
            ns: own,
            ratio: Some(own / peer),
            per_second: Some(per_second),
        }
    };
    ROWS.into_iter().zip(times).map(sample).collect()
}

/// Returns the ns per call of `threads` threads that call at once.
fn round<S: Service<Call> + Clone + Send>(service: &S, threads: usize) -> f64 {
    let start = Barrier::new(threads);
    let of_each = scope(|scope| {
        let spawn = |_| {
            let (service, start) = (service.clone(), &start);
            scope.spawn(move || {
                let mut calls = Calls::new(service, open(BATCH));
                start.wait();
                let run = |_| calls.run().as_nanos() as f64 / BATCH as f64;
                median((0..RUNS).map(run).collect())
            })
        };
        let handles: Vec<_> = (0..threads).map(spawn).collect();
        handles.into_iter().map(|handle| handle.join().expect("a thread")).collect()
    });
    median(of_each)
}
