//! The log of refusals: bounded, as any client on the internet can cause them.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{answer::Refusal, refusal_kind::kind};
use crate::{
    tenant_id::TenantId,
    token::{LoggedClaims, TokenError},
};

/// The time over which lines are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// The number of lines in a window from which on only the first of each kind is logged. So a flood
/// of one kind hides no other: a wrong audience shows among a million malformed bodies.
const MAX_LINES: u32 = 30;

/// The advice that goes with a login token, which may be SuperOffice's own choice for
/// notifications.
const LOGIN_HELP: &str =
    "if SuperOffice's own notifications are refused for this, see login_tokens in Getting started";

/// Logs refusals, and counts those that it leaves out.
#[derive(Debug)]
pub(super) struct RefusalLog(Mutex<Window>);

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
    /// The kinds that were logged in this window, one bit each.
    kinds: u64,
    /// Refusals that were left out since the last line.
    left_out: u64,
    /// Refusals that were left out since the gate was built.
    left_out_in_all: u64,
}

/// The part of a notification whose token was refused that its log line shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused<'a> {
    pub(super) tenant: &'a TenantId,
    /// Never logged itself.
    pub(super) token: &'a str,
}

impl RefusalLog {
    pub(super) fn new() -> Self {
        let (began, lines, kinds) = (Instant::now(), 0, 0);
        Self(Mutex::new(Window { began, lines, kinds, left_out: 0, left_out_in_all: 0 }))
    }

    /// Logs `refusal`, unless too many were logged lately. Which issuer and audience notifications
    /// carry is not documented, and setting a gate up needs their true values: of a refused token
    /// the line shows what it claimed.
    pub(super) fn log(&self, refusal: Refusal, refused: Option<Refused<'_>>) {
        // The lock is released before the subscriber runs, which may do anything.
        let Some(left_out) = self.admit(Instant::now(), kind(refusal)) else { return };
        let left_out = (left_out > 0).then_some(left_out);
        // Parsing the token again costs as much as refusing it did.
        let is_logged = crate::log::is_enabled(|| tracing::enabled!(tracing::Level::WARN));
        let refused = refused.filter(|_| is_logged);
        let claims = refused.map(|refused| LoggedClaims::from_token(refused.token));
        let claims = claims.unwrap_or_default();
        let is_login = refusal == Refusal::Token(TokenError::SpeaksForPerson);
        crate::log::warn!(
            status = refusal.status().as_u16(),
            reason = %refusal,
            tenant = refused.map(|refused| tracing::field::display(refused.tenant)),
            iss = claims.iss.as_deref(),
            aud = claims.aud.as_deref(),
            kid = claims.kid.as_deref(),
            left_out,
            help = is_login.then_some(LOGIN_HELP),
            "notification refused"
        );
    }

    /// Returns the number of refusals that were not logged.
    pub(super) fn unlogged(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).left_out_in_all
    }

    /// Decides whether a refusal of this kind is logged at `now`: if so, returns how many were left
    /// out since the last one.
    fn admit(&self, now: Instant, kind: usize) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(window.began) >= WINDOW {
            (window.began, window.lines, window.kinds) = (now, 0, 0);
        }
        let bit = 1_u64 << kind;
        if window.lines >= MAX_LINES && window.kinds & bit != 0 {
            window.left_out = window.left_out.saturating_add(1);
            window.left_out_in_all = window.left_out_in_all.saturating_add(1);
            return None;
        }
        window.lines = window.lines.saturating_add(1);
        window.kinds |= bit;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn admitted(log: &RefusalLog, now: Instant, kind: usize, times: u32) -> u32 {
        (0..times).map(|_| u32::from(log.admit(now, kind).is_some())).sum()
    }

    #[test]
    fn flood_is_cut_to_30_lines_a_minute() {
        let (log, start) = (RefusalLog::new(), Instant::now());
        assert_eq!(admitted(&log, start, 5, 10_000), 30);
        assert_eq!(admitted(&log, start + 59 * SECOND, 5, 10_000), 0);
        assert_eq!(log.admit(start + 60 * SECOND, 5), Some(19_970), "the count of the rest");
        assert_eq!(log.admit(start + 60 * SECOND, 5), Some(0));
        assert_eq!(log.unlogged(), 19_970);
    }

    #[test]
    fn first_refusal_of_each_kind_is_logged_in_a_flood() {
        let (log, start) = (RefusalLog::new(), Instant::now());
        assert_eq!(admitted(&log, start, 5, 100), 30);
        for kind in (0..64).filter(|kind| *kind != 5) {
            assert_eq!(admitted(&log, start, kind, 100), 1, "{kind}");
        }
        assert_eq!(admitted(&log, start + 60 * SECOND, 7, 100), 30);
    }

    #[test]
    fn clock_that_stands_still_or_goes_back_keeps_the_window() {
        let (log, start) = (RefusalLog::new(), Instant::now() + 100 * SECOND);
        assert_eq!(admitted(&log, start, 5, 100), 30);
        assert_eq!(admitted(&log, start - 50 * SECOND, 5, 100), 0);
    }
}
