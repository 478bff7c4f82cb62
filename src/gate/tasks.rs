//! The background tasks of a gate, restarted when they panic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{task::AbortHandle, time::Instant};

use crate::{
    backoff::{Attempts, BackOff},
    health::TaskHealth,
    log,
    panics::catch_panic,
};

/// The delays before a task that panicked is restarted.
const RESTART: BackOff = BackOff::new(Duration::from_millis(100), LONGEST_WAIT);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The tasks of a gate. Dropping this ends them.
#[derive(Debug, Default)]
pub(super) struct Tasks(Vec<Task>);

#[derive(Debug)]
struct Task {
    state: Arc<State>,
    handle: AbortHandle,
}

#[derive(Debug)]
struct State {
    name: &'static str,
    /// Whether it panicked and has not been restarted yet.
    down: AtomicBool,
    restarts: AtomicU64,
}

impl Tasks {
    /// Runs the task that `start` creates until it or the gate ends. When it panics, it is created
    /// again, after a delay that grows with each panic.
    ///
    /// State that must survive a panic is kept outside of the task, so that the new task continues
    /// the work of the old one.
    pub(super) fn supervise<T>(
        &mut self,
        name: &'static str,
        start: impl FnMut() -> T + Send + 'static,
    ) where
        T: Future<Output = ()> + Send + 'static,
    {
        let state =
            Arc::new(State { name, down: AtomicBool::new(false), restarts: AtomicU64::new(0) });
        let handle = tokio::spawn(run(Arc::clone(&state), start)).abort_handle();
        self.0.push(Task { state, handle });
    }

    pub(super) fn health(&self) -> Vec<TaskHealth> {
        self.0.iter().map(|task| task.state.health()).collect()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(|task| task.handle.abort());
    }
}

impl State {
    fn health(&self) -> TaskHealth {
        // Relaxed: no other memory depends on the count and the flag.
        TaskHealth {
            name: self.name,
            down: self.down.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
        }
    }
}

async fn run<T>(state: Arc<State>, mut start: impl FnMut() -> T)
where
    T: Future<Output = ()>,
{
    let mut attempts = Attempts::new(RESTART);
    loop {
        let began = Instant::now();
        if catch_panic(async { start().await }).await.is_ok() {
            return;
        }
        state.down.store(true, Ordering::Relaxed);
        if began.elapsed() > LONGEST_WAIT {
            attempts.reset();
        }
        let wait = attempts.fail();
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        log::error!(task = state.name, wait_ms, "task panicked; restarting");
        tokio::time::sleep(wait).await;
        state.restarts.fetch_add(1, Ordering::Relaxed);
        state.down.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn only(tasks: &Tasks) -> TaskHealth {
        tasks.health().pop().unwrap()
    }

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn panicking_task_is_down_then_restarted_with_growing_waits() {
        let (mut tasks, starts) = (Tasks::default(), Arc::new(AtomicUsize::new(0)));
        let started = Arc::clone(&starts);
        tasks.supervise("fickle", move || {
            let start = started.fetch_add(1, Ordering::SeqCst);
            async move { assert!(start >= 3, "not yet") }
        });
        settle().await;
        assert_eq!(only(&tasks), TaskHealth { name: "fickle", down: true, restarts: 0 });
        // Each wait has a random part, so it is timed by itself.
        for (restarts, longest_ms) in [(1, 100), (2, 200), (3, 400)] {
            let down = Instant::now();
            while only(&tasks).restarts < restarts {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let waited = down.elapsed().as_millis();
            assert!((longest_ms / 2 - 2..=longest_ms + 2).contains(&waited), "{waited} ms");
            settle().await;
            let health = TaskHealth { name: "fickle", down: restarts < 3, restarts };
            assert_eq!(only(&tasks), health);
        }
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(starts.load(Ordering::SeqCst), 4, "it ended by itself, and stays so");
    }

    #[tokio::test(start_paused = true)]
    async fn start_that_panics_before_its_first_await_is_caught_too() {
        let mut tasks = Tasks::default();
        let mut starts = 0;
        tasks.supervise("eager", move || {
            starts += 1;
            assert!(starts > 1);
            std::future::pending()
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(only(&tasks), TaskHealth { name: "eager", down: false, restarts: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_end_when_they_are_dropped_even_while_down() {
        let alive = Arc::new(());
        let mut tasks = Tasks::default();
        let held = Arc::clone(&alive);
        tasks.supervise("panicking", move || {
            let held = Arc::clone(&held);
            async move {
                let _held = held;
                panic!("always");
            }
        });
        settle().await;
        assert!(only(&tasks).down);
        drop(tasks);
        settle().await;
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
