//! Open files: how many the process may have, and how listeners share them.

/// Files for everything but calls and their callers: the store, keys, pulls, logs.
const RESERVED: u64 = 64;

/// Connections of a listener for which the command line says nothing. Each may cost its buffers.
const DEFAULT_CONNECTIONS: usize = 16_384;

/// Raises the limit of open files as far as the system allows, and returns it.
pub(crate) fn raise() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
        tracing::warn!(%error, "limit of open files not raised");
        // The least that systems allow, for a limit that can't even be read.
        soft_limit().unwrap_or(1024)
    })
}

#[cfg(unix)]
fn soft_limit() -> Option<u64> {
    rlimit::Resource::NOFILE.get_soft().ok()
}

#[cfg(not(unix))]
fn soft_limit() -> Option<u64> {
    None
}

/// Returns how many connections each of `listeners` may hold, with this many `files` for all.
///
/// Every listener has a share of its own, so that connections to one can't use up the files that
/// another needs. A connection counts twice, because its call may take one to the tenant.
pub(crate) fn connections(files: u64, listeners: u64, wanted: Option<usize>) -> usize {
    let share = files.saturating_sub(RESERVED) / (2 * listeners.max(1));
    let share = usize::try_from(share).unwrap_or(usize::MAX).max(1);
    match wanted {
        Some(wanted) if wanted > share => {
            tracing::warn!(
                wanted,
                connections = share,
                files,
                "limit of open files allows fewer connections than --max-connections"
            );
            share
        }
        Some(wanted) => wanted,
        None => share.min(DEFAULT_CONNECTIONS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_share_the_files_and_leave_a_reserve() {
        assert_eq!(connections(1024, 2, None), 240);
        assert_eq!(connections(1024, 1, None), 480);
        assert_eq!(connections(1024, 2, Some(100)), 100);
        assert_eq!(connections(1024, 2, Some(1000)), 240);
        assert_eq!(connections(1 << 20, 2, None), DEFAULT_CONNECTIONS);
        assert_eq!(connections(u64::MAX, 2, Some(200_000)), 200_000);
        assert_eq!(connections(10, 2, None), 1);
    }
}
