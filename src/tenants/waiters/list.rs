//! The waiters of each tenant, and their wakers.
//!
//! All of it is under one lock, taken from `super::sync`: `tests/model` compiles this very file
//! with a lock whose every interleaving it controls.

use std::{
    collections::HashMap,
    hash::Hash,
    task::{Context, Poll, Waker},
};

use super::sync::{Mutex, MutexGuard, PoisonError};

/// Waiters by key. A key without any has no entry.
#[derive(Debug)]
pub(crate) struct WaitList<K> {
    places: Mutex<Places<K>>,
}

#[derive(Debug)]
struct Places<K> {
    by_key: HashMap<K, HashMap<u64, State>>,
    next_id: u64,
}

/// The state of one waiter.
#[derive(Debug)]
enum State {
    /// Registered, and not polled since.
    Registered,
    /// Polled; woken by this waker.
    Waiting(Waker),
    /// Woken since it was registered, whether it had been polled or not.
    Woken,
}

impl<K> Default for WaitList<K> {
    fn default() -> Self {
        Self { places: Mutex::new(Places { by_key: HashMap::new(), next_id: 0 }) }
    }
}

impl<K: Eq + Hash> WaitList<K> {
    /// Wakes all waiters of `key`. Call it after the change that they wait for.
    pub(crate) fn wake(&self, key: &K) {
        let mut woken = Vec::new();
        if let Some(waiters) = self.lock().by_key.get_mut(key) {
            let states = waiters.values_mut();
            woken.extend(states.map(|state| std::mem::replace(state, State::Woken)));
        }
        // Not under the lock: a waker may run or drop a task, and with it a waiter.
        for state in woken {
            if let State::Waiting(waker) = state {
                waker.wake();
            }
        }
    }

    /// Wakes all waiters of all keys. Call it after the end that each of them checks for.
    pub(crate) fn wake_all(&self) {
        let mut woken = Vec::new();
        for waiters in self.lock().by_key.values_mut() {
            let states = waiters.values_mut();
            woken.extend(states.map(|state| std::mem::replace(state, State::Woken)));
        }
        for state in woken {
            if let State::Waiting(waker) = state {
                waker.wake();
            }
        }
    }

    /// Waits until `wake` is called after a moment in which `is_closed` returned `true`; returns at
    /// once if it returns `false`.
    pub(crate) async fn wait(&self, key: &K, is_closed: impl Fn() -> bool)
    where
        K: Clone,
    {
        let waiter = self.register(key);
        // Checked while registered: an opening in between is either seen here or wakes.
        if is_closed() {
            std::future::poll_fn(|cx| waiter.poll_woken(cx)).await;
        }
    }

    /// Registers a waiter, until it is dropped.
    pub(crate) fn register<'a>(&'a self, key: &'a K) -> Waiter<'a, K>
    where
        K: Clone,
    {
        let mut places = self.lock();
        let id = places.next_id;
        places.next_id = id.wrapping_add(1);
        places.by_key.entry(key.clone()).or_default().insert(id, State::Registered);
        Waiter { list: self, key, id }
    }

    /// Returns whether `key` has a waiter.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.lock().by_key.contains_key(key)
    }

    /// Returns whether there is no waiter.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().by_key.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Places<K>> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registered waiter; unregistered however the waiting ends.
#[derive(Debug)]
pub(crate) struct Waiter<'a, K: Eq + Hash> {
    list: &'a WaitList<K>,
    key: &'a K,
    id: u64,
}

impl<K: Eq + Hash> Waiter<'_, K> {
    /// Returns whether the waiter was woken since it was registered; wakes the task of `cx` when it
    /// is.
    pub(crate) fn poll_woken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let waiting = State::Waiting(cx.waker().clone());
        let mut places = self.list.lock();
        let state = places.by_key.get_mut(self.key).and_then(|waiters| waiters.get_mut(&self.id));
        let previous = match state {
            None | Some(State::Woken) => return Poll::Ready(()),
            Some(state) => std::mem::replace(state, waiting),
        };
        // Not under the lock: the waker of another task may be the last that holds it.
        drop(places);
        drop(previous);
        Poll::Pending
    }
}

impl<K: Eq + Hash> Drop for Waiter<'_, K> {
    fn drop(&mut self) {
        let mut places = self.list.lock();
        let Some(waiters) = places.by_key.get_mut(self.key) else { return };
        let state = waiters.remove(&self.id);
        if waiters.is_empty() {
            places.by_key.remove(self.key);
        }
        drop(places);
        drop(state);
    }
}
