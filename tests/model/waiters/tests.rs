//! No waiter of a tenant is left behind when it is open, however it opens and closes.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use shuttle::{
    future::block_on,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::list::WaitList;

const KEY: u8 = 1;
const OTHER: u8 = 2;

/// Preemptions that PCT makes in one schedule.
const DEPTH: usize = 3;

/// A tenant and its waiters, as the registry and `Tenants::apply` treat them.
#[derive(Default)]
struct Tenant {
    closed: AtomicBool,
    /// The lock of the tenant's entry.
    entry: Mutex<()>,
    waiters: WaitList<u8>,
}

impl Tenant {
    fn closed() -> Arc<Self> {
        let tenant = Self::default();
        tenant.closed.store(true, Ordering::SeqCst);
        Arc::new(tenant)
    }

    /// Opens or closes the tenant under the lock of its entry, and then wakes its waiters if it
    /// opened.
    fn set_closed(&self, closed: bool) {
        let entry = self.entry.lock().unwrap();
        let before = self.closed.swap(closed, Ordering::SeqCst);
        drop(entry);
        if before && !closed {
            self.waiters.wake(&KEY);
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    async fn available(self: Arc<Self>) {
        while self.is_closed() {
            self.waiters.wait(&KEY, || self.is_closed()).await;
        }
    }
}

fn schedules() -> usize {
    harness::amount("MODEL_SCHEDULES", 2_000, 200_000)
}

/// Half of the schedules at random, half with few preemptions at the worst places.
fn check(model: fn()) {
    shuttle::check_random(model, schedules() / 2);
    shuttle::check_pct(model, schedules() / 2, DEPTH);
}

#[test]
fn one_opening_wakes_a_waiter_in_every_order() {
    shuttle::check_dfs(
        || {
            let tenant = Tenant::closed();
            let waiter = Arc::clone(&tenant);
            let waiter = thread::spawn(move || block_on(waiter.available()));
            tenant.set_closed(false);
            waiter.join().unwrap();
            assert!(!tenant.waiters.contains(&KEY) && tenant.waiters.is_empty());
        },
        None,
    );
}

#[test]
fn tenant_that_flips_leaves_no_waiter_behind() {
    check(|| {
        let tenant = Tenant::closed();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let tenant = Arc::clone(&tenant);
                thread::spawn(move || {
                    block_on(Arc::clone(&tenant).available());
                    block_on(tenant.available());
                })
            })
            .collect();
        let flips: Vec<_> = (0..2)
            .map(|_| {
                let tenant = Arc::clone(&tenant);
                thread::spawn(move || [false, true].map(|closed| tenant.set_closed(closed)))
            })
            .collect();
        flips.into_iter().for_each(|flip| _ = flip.join().unwrap());
        tenant.set_closed(false);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert!(tenant.waiters.is_empty());
    });
}

#[test]
fn end_of_all_tenants_leaves_no_waiter_behind() {
    check(|| {
        let tenant = Tenant::closed();
        let waiters: Vec<_> = [KEY, OTHER, KEY]
            .into_iter()
            .map(|key| {
                let tenant = Arc::clone(&tenant);
                thread::spawn(move || block_on(tenant.waiters.wait(&key, || tenant.is_closed())))
            })
            .collect();
        // Here `closed` stands for a gate that goes on.
        tenant.closed.store(false, Ordering::SeqCst);
        tenant.waiters.wake_all();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert!(tenant.waiters.is_empty());
    });
}

/// Polled by one task and then by another, as in a `select!` that is moved.
#[test]
fn waiter_that_moves_is_woken_where_it_waits() {
    check(|| {
        let tenant = Tenant::closed();
        let mut moving: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(Arc::clone(&tenant).available());
        let first = moving.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(first, Poll::Pending);
        let waiter = thread::spawn(move || block_on(moving));
        for closed in [false, true, false] {
            tenant.set_closed(closed);
        }
        waiter.join().unwrap();
        assert!(tenant.waiters.is_empty());
    });
}

#[test]
fn waiters_that_give_up_take_no_wake_up_along() {
    check(|| {
        let tenant = Tenant::closed();
        let gives_up = Arc::clone(&tenant);
        let gives_up = thread::spawn(move || {
            let mut waiting = Box::pin(gives_up.available());
            _ = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        });
        let other = Arc::clone(&tenant);
        let other = thread::spawn(move || {
            block_on(other.waiters.wait(&OTHER, || false));
        });
        let waiter = Arc::clone(&tenant);
        let waiter = thread::spawn(move || block_on(waiter.available()));
        tenant.set_closed(false);
        for ended in [gives_up, other, waiter] {
            ended.join().unwrap();
        }
        assert!(tenant.waiters.is_empty());
    });
}
