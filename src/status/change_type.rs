//! What a notification announces.

use std::fmt;

/// The `ChangeType` of a notification, as SuperOffice numbers it.
///
/// The list grows without notice (`Move` appeared in 2024), so an unknown number is kept as
/// [`Other`](ChangeType::Other) and is news, never an error.
///
/// ```
/// use tower_superoffice::ChangeType;
///
/// assert_eq!(ChangeType::from(2), ChangeType::Suspend);
/// assert_eq!(u32::from(ChangeType::Other(9)), 9);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeType {
    /// 0: the tenant is about to be upgraded. Closed until a Resume, usually for minutes.
    Upgrade,
    /// 1: restored from a backup, or cloned into a sandbox. Its data went back in time; it closes nothing.
    BackupRestored,
    /// 2: placed in suspension. Closed until a Resume, often for days.
    Suspend,
    /// 3: resumed from another operation. Open.
    Resume,
    /// 4: deleted, because the customer cancelled. Closed; a later Resume still opens it.
    Delete,
    /// 5: moved to another public endpoint. Not down.
    Move,
    /// A number that SuperOffice added later. It closes nothing.
    Other(u32),
}

impl From<u32> for ChangeType {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Upgrade,
            1 => Self::BackupRestored,
            2 => Self::Suspend,
            3 => Self::Resume,
            4 => Self::Delete,
            5 => Self::Move,
            other => Self::Other(other),
        }
    }
}

impl From<ChangeType> for u32 {
    fn from(change: ChangeType) -> Self {
        match change {
            ChangeType::Upgrade => 0,
            ChangeType::BackupRestored => 1,
            ChangeType::Suspend => 2,
            ChangeType::Resume => 3,
            ChangeType::Delete => 4,
            ChangeType::Move => 5,
            ChangeType::Other(number) => number,
        }
    }
}

impl fmt::Display for ChangeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upgrade => f.pad("Upgrade"),
            Self::BackupRestored => f.pad("BackupRestored"),
            Self::Suspend => f.pad("Suspend"),
            Self::Resume => f.pad("Resume"),
            Self::Delete => f.pad("Delete"),
            Self::Move => f.pad("Move"),
            Self::Other(number) => write!(f, "Other({number})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_to_types_and_back() {
        let named = [
            (0, ChangeType::Upgrade, "Upgrade"),
            (1, ChangeType::BackupRestored, "BackupRestored"),
            (2, ChangeType::Suspend, "Suspend"),
            (3, ChangeType::Resume, "Resume"),
            (4, ChangeType::Delete, "Delete"),
            (5, ChangeType::Move, "Move"),
            (6, ChangeType::Other(6), "Other(6)"),
            (u32::MAX, ChangeType::Other(u32::MAX), "Other(4294967295)"),
        ];
        for (number, change, name) in named {
            assert_eq!(ChangeType::from(number), change);
            assert_eq!(u32::from(change), number);
            assert_eq!(change.to_string(), name);
        }
    }
}
