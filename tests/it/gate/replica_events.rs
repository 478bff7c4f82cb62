//! Events of what other replicas recorded.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use futures::{
    FutureExt, StreamExt,
    channel::mpsc::{UnboundedSender, unbounded},
    stream::{self, BoxStream},
};
use harness::{MAX_WAIT, TestEnv, Wrap, Wrapped, tenant};
use http::StatusCode;
use tokio::time::timeout;
use tower_superoffice::{
    ChangeType, TenantEvent, TenantGate, TenantGateBuilder, TenantId, UnavailableReason,
    events::Events,
    status::Record,
    store::{Change, MemoryStore, Store, StoreError},
};

/// A memory store whose changes can be cut off, or that can be unavailable.
#[derive(Clone, Default)]
pub(super) struct Cut {
    inner: MemoryStore,
    cut: Arc<AtomicBool>,
    away: Arc<AtomicBool>,
    /// Tells the subscriber of its connection.
    connection: Arc<Mutex<Option<UnboundedSender<Change>>>>,
}

impl Cut {
    pub(super) fn around(inner: &MemoryStore) -> Wrapped<Self> {
        Wrapped(Self { inner: inner.clone(), ..Self::default() })
    }

    pub(super) fn set(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
        self.send(if cut { Change::Disconnected } else { Change::Resync });
    }

    /// Sends a change beside those of the store.
    pub(super) fn send(&self, change: Change) {
        self.connection.lock().unwrap().as_ref().unwrap().unbounded_send(change).unwrap();
    }
}

impl Wrap for Cut {
    type Inner = MemoryStore;

    fn inner(&self) -> &MemoryStore {
        &self.inner
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        if self.away.load(Ordering::SeqCst) {
            return stream::iter([Err(StoreError::unavailable("away"))]).boxed();
        }
        self.inner.load()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let (tx, rx) = unbounded();
        *self.connection.lock().unwrap() = Some(tx);
        let cut = Arc::clone(&self.cut);
        let arrives = move |_: &Change| std::future::ready(!cut.load(Ordering::SeqCst));
        stream::select(self.inner.changes().filter(arrives), rx).boxed()
    }
}

async fn env(store: &MemoryStore) -> TestEnv {
    let store = store.clone();
    TestEnv::with(|builder| builder.state_api(false).store(store)).await
}

async fn replica(env: &TestEnv, store: impl Store) -> TenantGate {
    env.another_gate(|builder| builder.state_api(false).store(store)).await
}

/// Names the events of `tenant` up to its suspension, which `env` announces now.
async fn until_suspended(events: &mut Events) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let event = timeout(MAX_WAIT, events.next()).await.expect("no suspension").unwrap();
        seen.push(match event {
            TenantEvent::Changed { status, .. } => {
                assert_eq!(status.reason(), Some(UnavailableReason::Suspended));
                return seen;
            }
            TenantEvent::Notified { change: ChangeType::Suspend, .. } => continue,
            TenantEvent::Notified { change, version_name, .. } => {
                assert!(version_name.is_some_and(|name| name.starts_with("Release")));
                format!("notified {change}")
            }
            TenantEvent::Restored { epoch, .. } => {
                assert!(epoch > 1_000_000_000);
                "restored".to_owned()
            }
            TenantEvent::Moved { .. } => "moved".to_owned(),
            TenantEvent::Unknown { number, .. } => format!("unknown {number}"),
            other => panic!("{other:?}"),
        });
    }
}

/// Announces what neither opens nor closes, each twice over, and then a suspension.
async fn announce(env: &TestEnv) {
    for change in [ChangeType::BackupRestored, ChangeType::Move, ChangeType::Other(77)] {
        let notification = env.notification(change);
        for _ in 0..2 {
            assert_eq!(env.post(notification.body()).await.status(), StatusCode::NO_CONTENT);
        }
    }
    env.simulator.notify(ChangeType::Suspend, &env.tenant).await.unwrap();
}

/// The events of [`announce`], before the suspension.
const ANNOUNCED: [&str; 6] = [
    "notified BackupRestored",
    "restored",
    "notified Move",
    "moved",
    "notified Other(77)",
    "unknown 77",
];

#[tokio::test]
async fn fact_of_one_replica_is_published_once_at_each() {
    let store = MemoryStore::new();
    let env = env(&store).await;
    let others = [replica(&env, store.clone()).await, replica(&env, store.clone()).await];
    let mut streams = [env.gate.events(), others[0].events(), others[1].events()];
    announce(&env).await;
    for events in &mut streams {
        assert_eq!(until_suspended(events).await, ANNOUNCED);
        assert_eq!(events.next().now_or_never(), None);
    }
}

#[tokio::test]
async fn replica_that_was_cut_off_publishes_what_it_missed() {
    let store = MemoryStore::new();
    let env = env(&store).await;
    let cut = Cut::around(&store);
    let other = replica(&env, cut.clone()).await;
    let mut events = other.events();
    cut.set(true);
    announce(&env).await;
    assert_eq!(events.next().now_or_never(), None, "it is cut off");
    cut.set(false);
    assert_eq!(until_suspended(&mut events).await, ANNOUNCED);
    // Loaded once more, with nothing new but this.
    cut.set(true);
    env.simulator.notify(ChangeType::Suspend, &tenant("Cust2")).await.unwrap();
    cut.set(false);
    assert_eq!(until_suspended(&mut events).await, [""; 0]);
    assert_eq!(events.next().now_or_never(), None);
}

#[tokio::test]
async fn store_that_was_away_at_the_start_brings_no_old_facts() {
    let store = MemoryStore::new();
    let env = env(&store).await;
    announce(&env).await;
    let away = Cut { inner: store.clone(), away: Arc::new(true.into()), ..Cut::default() };
    let away = Wrapped(away);
    let builder = |builder: TenantGateBuilder| {
        builder.state_api(false).store(away.clone()).start_without_store(true)
    };
    let gate = env.another_gate(builder).await;
    let mut events = gate.events();
    away.away.store(false, Ordering::SeqCst);
    assert_eq!(until_suspended(&mut events).await, [""; 0], "only that calls are refused now");
    assert_eq!(events.next().now_or_never(), None);
}

/// Notification and pull at one replica: the others receive the deletion and then its proof.
#[tokio::test(start_paused = true)]
async fn confirmation_and_correction_are_published_at_each_replica() {
    let store = MemoryStore::new();
    let shared = store.clone();
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(shared)).await;
    let other = replica(&env, store).await;
    let [one, two] = [tenant("Cust1"), tenant("Cust2")];
    let mut streams = [env.gate.events(), other.events()];
    env.simulator.delete(&one).await.unwrap();
    env.simulator.suspend(&two).await.unwrap();
    env.gate.refresh(&one).await.unwrap();
    env.gate.refresh(&two).await.unwrap();
    env.simulator.resume(&two).without_notification();
    harness::within(MAX_WAIT * 20, env.gate.available(&two)).await;
    for events in &mut streams {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|(name, _)| *name != "corrected") {
            let event = timeout(MAX_WAIT, events.next()).await.expect("no correction").unwrap();
            let name = match &event {
                TenantEvent::Notified { .. } => continue,
                TenantEvent::Changed { .. } => "changed",
                TenantEvent::Confirmed { status, .. } => {
                    assert!(status.is_confirmed());
                    "confirmed"
                }
                TenantEvent::Corrected { correction, .. } => {
                    assert_eq!(correction.missed(), Some(ChangeType::Resume));
                    "corrected"
                }
                other => panic!("{other:?}"),
            };
            seen.push((name, event.tenant().unwrap().clone()));
        }
        let of = |tenant: &TenantId| -> Vec<_> {
            seen.iter().filter(|(_, own)| own == tenant).map(|(name, _)| *name).collect()
        };
        assert_eq!(of(&one), ["changed", "confirmed"]);
        assert_eq!(of(&two), ["changed", "changed", "corrected"]);
    }
}
