//! Logging that can't fail a request or a task.
//!
//! A subscriber is foreign code and may panic: `tracing-subscriber` does when neither its output
//! nor stderr can be written, as with a full disk or a closed terminal. These macros have the
//! syntax of those of `tracing`, and drop the event instead.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `log` and ignores a panic in it.
#[inline(never)]
pub(crate) fn best_effort(log: impl FnOnce()) {
    // An event only reads its fields, so a panic leaves nothing inconsistent.
    let _ = catch_unwind(AssertUnwindSafe(log));
}

/// Returns the result of `enabled`; `false` when the subscriber panics.
pub(crate) fn is_enabled(enabled: impl FnOnce() -> bool) -> bool {
    catch_unwind(AssertUnwindSafe(enabled)).unwrap_or(false)
}

macro_rules! event {
    ($level:ident, $($field:tt)+) => {
        if ::tracing::Level::$level <= ::tracing::level_filters::STATIC_MAX_LEVEL
            && ::tracing::Level::$level <= ::tracing::level_filters::LevelFilter::current()
        {
            $crate::log::best_effort(|| ::tracing::event!(::tracing::Level::$level, $($field)+));
        }
    };
}

macro_rules! error_event { ($($field:tt)+) => { $crate::log::event!(ERROR, $($field)+) }; }
macro_rules! warn_event { ($($field:tt)+) => { $crate::log::event!(WARN, $($field)+) }; }
macro_rules! info_event { ($($field:tt)+) => { $crate::log::event!(INFO, $($field)+) }; }
macro_rules! debug_event { ($($field:tt)+) => { $crate::log::event!(DEBUG, $($field)+) }; }
macro_rules! trace_event { ($($field:tt)+) => { $crate::log::event!(TRACE, $($field)+) }; }

pub(crate) use {
    debug_event as debug, error_event as error, event, info_event as info, trace_event as trace,
    warn_event as warn,
};

#[cfg(test)]
mod tests {
    use tracing::{Event, Metadata, Subscriber, span};

    struct Panicking;

    impl Subscriber for Panicking {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, _: &Event<'_>) {
            panic!("the disk is full");
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn panicking_subscriber_loses_the_event_and_nothing_else() {
        let shown = std::cell::Cell::new(0);
        tracing::subscriber::with_default(Panicking, || {
            crate::log::warn!(
                shown = {
                    shown.set(shown.get() + 1);
                    shown.get()
                },
                "logged"
            );
            crate::log::error!("logged");
        });
        assert_eq!(shown.get(), 1, "the event was on its way");
    }
}
