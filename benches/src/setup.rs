//! The gates and maps that rows share, each made when a row first needs it.

use std::{cell::OnceCell, sync::Arc, time::SystemTime};

use tower_superoffice::TenantGate;

use crate::{
    by_hand::{Closed, ClosedTenants, Reason},
    gates,
};

pub struct Setup {
    /// Number of closed tenants where there are any.
    pub count: usize,
    runtime: tokio::runtime::Runtime,
    open: OnceCell<TenantGate>,
    closed: OnceCell<TenantGate>,
    by_hand: OnceCell<ClosedTenants>,
    quickly_hashed: OnceCell<ClosedTenants<foldhash::fast::RandomState>>,
}

impl Setup {
    pub fn new(count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            count,
            // It runs while a gate is built and never again: no pull is made.
            runtime: runtime.expect("a runtime"),
            open: OnceCell::new(),
            closed: OnceCell::new(),
            by_hand: OnceCell::new(),
            quickly_hashed: OnceCell::new(),
        }
    }

    /// Returns a gate without closed tenants.
    pub fn open(&self) -> &TenantGate {
        self.open.get_or_init(|| self.runtime.block_on(gates::gate(0)))
    }

    /// Returns a gate with closed tenants.
    pub fn closed(&self) -> &TenantGate {
        self.closed.get_or_init(|| self.runtime.block_on(gates::gate(self.count)))
    }

    /// Returns the same closed tenants, as a user keeps them by hand.
    pub fn by_hand(&self) -> ClosedTenants {
        Arc::clone(self.by_hand.get_or_init(|| Arc::new(self.entries().collect())))
    }

    /// Returns the same with the hasher of the gate's registry.
    pub fn quickly_hashed(&self) -> ClosedTenants<foldhash::fast::RandomState> {
        Arc::clone(self.quickly_hashed.get_or_init(|| Arc::new(self.entries().collect())))
    }

    fn entries(&self) -> impl Iterator<Item = (String, Closed)> {
        let closed = Closed { reason: Reason::Suspended, since: SystemTime::now() };
        let id = |number| gates::closed(number).as_str().to_ascii_lowercase();
        (0..self.count).map(move |number| (id(number), closed))
    }

    /// Runs what has to be driven, such as the set-up of a peer.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}
