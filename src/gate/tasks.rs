//! The background tasks of a gate, restarted when they panic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, Notify},
    task::{AbortHandle, JoinHandle},
    time::Instant,
};

use crate::{
    backoff::{Attempts, BackOff},
    health::TaskHealth,
    log,
    panics::catch_panic,
    persist::WriteBack,
};

/// The delays before a task that panicked is restarted.
const RESTART: BackOff = BackOff::new(Duration::from_millis(100), LONGEST_WAIT);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The tasks of a gate. Dropping this ends them, and frees the store.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    tasks: Vec<Task>,
    /// `None` without a store.
    write_back: Option<Arc<WriteBack>>,
    /// Whether a shutdown has reported what is unwritten.
    reported: AtomicBool,
    /// Notified when a task is down, and when it is back.
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct Task {
    state: Arc<State>,
    handle: AbortHandle,
    /// `None` once the end of the task was waited for.
    join: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct State {
    name: &'static str,
    /// Whether it panicked and has not been restarted yet.
    down: AtomicBool,
    restarts: AtomicU64,
    /// Has a task that is down restarted without more delay.
    hurry: Notify,
    changed: Arc<Notify>,
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
        let (down, restarts, hurry) = (AtomicBool::new(false), AtomicU64::new(0), Notify::new());
        let changed = Arc::clone(&self.changed);
        let state = Arc::new(State { name, down, restarts, hurry, changed });
        let join = tokio::spawn(run(Arc::clone(&state), start));
        let handle = join.abort_handle();
        self.tasks.push(Task { state, handle, join: Mutex::new(Some(join)) });
    }

    /// Has the end of the tasks free the store of `write_back`.
    pub(super) fn free_at_end(&mut self, write_back: Arc<WriteBack>) {
        self.write_back = Some(write_back);
    }

    /// Has tasks that are down restarted without more delay.
    pub(super) fn hurry(&self) {
        self.tasks.iter().for_each(|task| task.state.hurry.notify_one());
    }

    /// Ends the task with this name, and waits for its end.
    pub(super) async fn end_task(&self, name: &str) {
        for task in self.tasks.iter().filter(|task| task.state.name == name) {
            task.handle.abort();
            task.ended().await;
        }
    }

    /// Ends all tasks, and waits for their end.
    pub(super) async fn end(&self) {
        self.tasks.iter().for_each(|task| task.handle.abort());
        for task in &self.tasks {
            task.ended().await;
        }
    }

    /// Notes that what is unwritten was reported.
    pub(super) fn reported(&self) {
        self.reported.store(true, Ordering::Relaxed);
    }

    /// Returns the handle that is notified when a task is down, and when it is back.
    pub(super) fn changed(&self) -> &Notify {
        &self.changed
    }

    pub(super) fn health(&self) -> Vec<TaskHealth> {
        self.tasks.iter().map(|task| task.state.health()).collect()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.tasks.iter().for_each(|task| task.handle.abort());
        let Some(write_back) = &self.write_back else { return };
        let dirty = write_back.dirty();
        if dirty > 0 && !self.reported.load(Ordering::Relaxed) {
            let tenants = write_back.dirty_names();
            log::warn!(dirty, %tenants, "gate dropped with unwritten tenants");
        }
        // Now, and not when the runtime gets round to dropping the tasks: the program may open the
        // file again at once.
        drop(write_back.take_store());
    }
}

impl Task {
    /// Waits for its end. Safe to cancel, and to call again.
    async fn ended(&self) {
        let mut join = self.join.lock().await;
        if let Some(handle) = join.as_mut() {
            // An error says that it was aborted.
            let _ = handle.await;
            *join = None;
        }
    }
}

impl State {
    fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

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
        state.set_down(true);
        if began.elapsed() > LONGEST_WAIT {
            attempts.reset();
        }
        let wait = attempts.fail();
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        log::error!(task = state.name, wait_ms, "task panicked; restarting");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = state.hurry.notified() => {}
        }
        state.restarts.fetch_add(1, Ordering::Relaxed);
        state.set_down(false);
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

    #[tokio::test(start_paused = true)]
    async fn end_is_waited_for_again_after_a_cancelled_wait() {
        let (mut tasks, alive) = (Tasks::default(), Arc::new(()));
        let held = Arc::clone(&alive);
        tasks.supervise("slow", move || {
            let held = Arc::clone(&held);
            async move {
                let _held = held;
                std::future::pending().await
            }
        });
        settle().await;
        // Its first poll aborts the task, and is its last.
        let mut first = Box::pin(tasks.end_task("slow"));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        drop(first);
        tasks.end().await;
        assert_eq!(Arc::strong_count(&alive), 1, "the end was waited for");
        tasks.end().await;
    }

    #[tokio::test(start_paused = true)]
    async fn hurry_restarts_a_task_that_is_down() {
        let (mut tasks, mut starts) = (Tasks::default(), 0);
        tasks.supervise("fickle", move || {
            starts += 1;
            assert!(starts > 20, "not yet");
            std::future::pending()
        });
        while only(&tasks).restarts < 9 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        settle().await;
        let began = Instant::now();
        assert!(only(&tasks).down);
        tasks.hurry();
        settle().await;
        assert_eq!((only(&tasks).restarts, began.elapsed()), (10, Duration::ZERO));
    }
}
