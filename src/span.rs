//! Spans that can't fail a request or a task, as the events of [`log`](crate::log) can't.
//!
//! Their fields have OpenTelemetry's names. They hold no token and nothing of a body that was not
//! verified. They are of the level DEBUG: at INFO they would stand in front of each line that is
//! logged inside them.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
};

use tracing::span::Entered;

/// A span, or nothing while the subscriber takes none.
#[derive(Debug)]
pub(crate) struct Span(Option<tracing::Span>);

/// A span that was entered; it is left when this is dropped.
struct Scope<'a>(Option<Entered<'a>>);

/// Makes a [`Span`] from a name and fields, in the syntax of `tracing`.
macro_rules! span {
    ($($field:tt)+) => {
        if ::tracing::Level::DEBUG <= ::tracing::level_filters::STATIC_MAX_LEVEL
            && ::tracing::Level::DEBUG <= ::tracing::level_filters::LevelFilter::current()
        {
            $crate::span::Span::new(|| ::tracing::debug_span!($($field)+))
        } else {
            $crate::span::Span::none()
        }
    };
}

pub(crate) use span;

impl Span {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    #[inline(never)]
    pub(crate) fn new(span: impl FnOnce() -> tracing::Span) -> Self {
        Self(catch(span).filter(|span| !span.is_disabled()))
    }

    /// Returns whether the subscriber takes it.
    pub(crate) fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Sets a field that was declared as empty.
    pub(crate) fn record(&self, field: &'static str, value: impl tracing::Value) {
        if let Some(span) = &self.0 {
            catch(|| _ = span.record(field, value));
        }
    }

    fn enter(&self) -> Scope<'_> {
        Scope(self.0.as_ref().and_then(|span| catch(|| span.enter())))
    }

    /// Runs `work` in the span.
    pub(crate) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        let _scope = self.enter();
        work()
    }

    /// Runs `work` to its end, each of its polls in the span.
    pub(crate) async fn trace<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| self.in_scope(|| work.as_mut().poll(cx))).await
    }
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        let entered = self.0.take();
        catch(|| drop(entered));
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let span = self.0.take();
        catch(|| drop(span));
    }
}

/// Calls a subscriber, which is foreign code. Returns nothing when it panics.
fn catch<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

#[cfg(test)]
mod tests {
    use tracing::{Event, Metadata, Subscriber};

    /// Panics in every call from the given one on.
    struct Panicking(u32, std::sync::atomic::AtomicU32);

    impl Panicking {
        fn call(&self) {
            let calls = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert!(calls < self.0, "the disk is full");
        }
    }

    impl Subscriber for Panicking {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            self.call();
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {
            self.call();
        }
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &Event<'_>) {}
        fn enter(&self, _: &tracing::span::Id) {
            self.call();
        }
        fn exit(&self, _: &tracing::span::Id) {
            self.call();
        }
        fn try_close(&self, _: tracing::span::Id) -> bool {
            self.call();
            true
        }
    }

    #[test]
    fn panicking_subscriber_fails_no_work_whenever_it_begins() {
        // Five calls: new, enter, record, exit, close.
        for calls in 0..6 {
            let subscriber = Panicking(calls, Default::default());
            tracing::subscriber::with_default(subscriber, || {
                let span = span!("work", answer = tracing::field::Empty);
                assert_eq!(span.is_enabled(), calls > 0);
                let work = async {
                    span.record("answer", 7);
                    7
                };
                assert_eq!(futures::executor::block_on(span.trace(work)), 7);
            });
        }
    }

    #[test]
    fn span_without_a_subscriber_is_none() {
        let span = span!("work");
        assert!(!span.is_enabled());
        assert_eq!(span.in_scope(|| 7), 7);
    }
}
