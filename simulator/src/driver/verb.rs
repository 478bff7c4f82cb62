//! The things that SuperOffice does to a tenant.

use tower_superoffice::{
    TenantId,
    simulator::{Change, Simulator},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Upgrade,
    Suspend,
    Resume,
    Move,
    Delete,
    Restore,
}

impl Verb {
    pub(crate) const ALL: [Self; 6] =
        [Self::Upgrade, Self::Suspend, Self::Resume, Self::Move, Self::Delete, Self::Restore];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Move => "move",
            Self::Delete => "delete",
            Self::Restore => "restore",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }

    pub(super) fn change(self, simulator: &Simulator, tenant: &TenantId) -> Change {
        match self {
            Self::Upgrade => simulator.upgrade(tenant),
            Self::Suspend => simulator.suspend(tenant),
            Self::Resume => simulator.resume(tenant),
            Self::Move => simulator.move_tenant(tenant),
            Self::Delete => simulator.delete(tenant),
            Self::Restore => simulator.restore(tenant),
        }
    }
}
