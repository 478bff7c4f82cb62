//! The problems of a gateway in words, each with advice.

/// A problem that `/ready` names, described for people. The section is one of the project's
/// `docs/operations.md`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Advice {
    /// The problem.
    pub(super) what: &'static str,
    /// Its consequence.
    pub(super) effect: &'static str,
    /// The action to take.
    pub(super) response: &'static str,
    pub(super) section: &'static str,
}

/// Returns the advice for one of the `reasons` or of what is `degraded`.
pub(super) fn of(name: &str) -> Advice {
    match name {
        "store_not_loaded" => Advice {
            what: "The store is not loaded yet",
            effect: "Until it is, every tenant without a newer notification counts as open.",
            response: "Bring the store back: it is tried again every few seconds. The log says why \
                       it can’t be reached.",
            section: "Starting",
        },
        "no_key" => Advice {
            what: "There is no key to verify notifications with",
            effect: "Notifications are answered with 503.",
            response: "See the last error below, under Keys. A proxy, a firewall or a certificate \
                       authority of your own is the usual cause.",
            section: "Old keys",
        },
        "tracked_awaited" => Advice {
            what: "Nothing is known yet of some tracked tenants",
            effect: "They stay closed until SuperOffice has answered for each.",
            response: "Wait. If it lasts, look at the pulls below.",
            section: "Starting",
        },
        "task_down" => Advice {
            what: "A background task panicked",
            effect: "It is restarted; until then its work waits.",
            response: "Look for the message of the panic in the log, and report it.",
            section: "A task that panics",
        },
        "draining" => Advice {
            what: "The gateway is about to stop",
            effect: "It answers what it has and takes no more.",
            response: "Nothing, if it was meant to stop.",
            section: "Stopping",
        },
        "store_stale" => Advice {
            what: "The store is behind",
            effect: "Calls are decided from memory and go on. Notifications may get 503, and changes \
                     of other replicas come late.",
            response: "Bring the store back, and do not restart the gateway before: what is not \
                       stored yet is in its memory alone.",
            section: "A stale or failed store",
        },
        "store_failed" => Advice {
            what: "The store can’t be read, or refuses a tenant",
            effect: "It does not pass by itself. If it refuses single tenants, all others are still \
                     stored. If it can’t be used as a whole, nothing is, and notifications are \
                     answered with 503.",
            response: "The log has the reason: a damaged store, one of another program, or one that \
                       a newer version wrote.",
            section: "A stale or failed store",
        },
        "records_unreadable" => Advice {
            what: "Stored records can’t be read",
            effect: "Their tenants are closed until a pull, a notification or an order starts a new \
                     record. All others go on.",
            response: "Nothing in most cases: a pull comes by itself. An order to refresh makes one \
                       now, and without the state API an order opens the tenant. Then look for what \
                       else writes to the store, or for a damaged disk.",
            section: "Unreadable records",
        },
        "store_misconfigured" => Advice {
            what: "The store’s server is misconfigured",
            effect: "Nothing is stopped, but records may be lost.",
            response: "See the warnings below, under Store: each says what to set.",
            section: "Health",
        },
        "store_clock" => Advice {
            what: "The clock of the store’s server and this machine’s differ",
            effect: "No record depends on it, and nothing is lost.",
            response: "Set both by NTP. Under Clock below is whether this machine’s is right.",
            section: "A wrong clock",
        },
        "pulls_failing" => Advice {
            what: "SuperOffice’s state API does not answer",
            effect: "Calls go on as what is known has it: a tenant whose notification was lost stays \
                     closed, or open, until a pull is answered.",
            response: "See the last error below, under Pulls. Is it SuperOffice that is down, or a \
                       proxy, a firewall or name resolution here? An order opens a tenant that is \
                       known to be back.",
            section: "Failing or late pulls",
        },
        "keys_failing" => Advice {
            what: "The last fetch of the keys failed",
            effect: "Notifications with a known key go on. Those with a new key are answered with \
                     503, and lost unless SuperOffice sends them again.",
            response: "See the last error below, under Keys. A proxy, a firewall or a certificate \
                       authority of your own is the usual cause.",
            section: "Old keys",
        },
        "keys_old" => Advice {
            what: "The keys could not be fetched lately",
            effect: "Notifications are verified with the last good keys, for a day by default.",
            response: "See the last error below, under Keys. A proxy, a firewall or a certificate \
                       authority of your own is the usual cause.",
            section: "Old keys",
        },
        "clock_wrong" => Advice {
            what: "This machine’s clock is wrong",
            effect: "Tokens are refused when it is off by more than a minute, and orders end early \
                     or late by as much. Nothing else depends on it.",
            response: "Set the clock by NTP: timedatectl shows whether it is synchronised.",
            section: "A wrong clock",
        },
        _ => Advice {
            what: "There is a problem that this page does not know",
            effect: "",
            response: "See the answer of /ready.",
            section: "Health",
        },
    }
}
