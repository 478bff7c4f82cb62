//! Calls to tenants, in numbers.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
};
use futures::{FutureExt, future::BoxFuture};
use metrics::{Counter, Gauge, Histogram};
use tower::Service;

use super::{CALL_DURATION, CALLS, CALLS_IN_FLIGHT, Metrics};
use crate::forward::FromTenant;

/// Upper bounds of the durations of calls, in seconds.
pub(super) const DURATIONS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Counts and times the calls that a service answers, up to the head of the answer.
#[derive(Clone)]
pub(crate) struct MeasuredCalls<S> {
    inner: S,
    numbers: Arc<Numbers>,
}

struct Numbers {
    in_flight: Gauge,
    /// Answers of tenants.
    tenant: Answers,
    /// Answers of the gateway's own: refusals, and errors on the way.
    gateway: Answers,
    abandoned: Counter,
}

struct Answers {
    /// By the first digit of the status, from 1.
    classes: [Counter; CLASSES.len()],
    duration: Histogram,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl<S> MeasuredCalls<S> {
    pub(super) fn new(inner: S, metrics: &Metrics, environment: &str) -> Self {
        let environment = ("environment", environment);
        let answers = |from| Answers {
            classes: CLASSES.map(|class| {
                metrics.counter(CALLS, [environment, ("class", class), ("from", from)])
            }),
            duration: metrics.histogram(CALL_DURATION, [environment, ("from", from)]),
        };
        let abandoned = [environment, ("class", "abandoned"), ("from", "caller")];
        let numbers = Numbers {
            in_flight: metrics.gauge(CALLS_IN_FLIGHT, [environment]),
            tenant: answers("tenant"),
            gateway: answers("gateway"),
            abandoned: metrics.counter(CALLS, abandoned),
        };
        Self { inner, numbers: Arc::new(numbers) }
    }
}

impl<S> Service<Request<Body>> for MeasuredCalls<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = Call::begin(&self.numbers);
        let answered = self.inner.call(request);
        async move {
            let response = answered.await?;
            let from_tenant = response.extensions().get::<FromTenant>().is_some();
            call.answered(response.status(), from_tenant);
            Ok(response)
        }
        .boxed()
    }
}

/// A call in flight. Dropped without an answer, it was abandoned by its caller.
struct Call {
    numbers: Arc<Numbers>,
    start: Instant,
    is_answered: bool,
}

impl Call {
    fn begin(numbers: &Arc<Numbers>) -> Self {
        numbers.in_flight.increment(1.0);
        Self { numbers: Arc::clone(numbers), start: Instant::now(), is_answered: false }
    }

    fn answered(mut self, status: StatusCode, from_tenant: bool) {
        self.is_answered = true;
        let Numbers { tenant, gateway, .. } = &*self.numbers;
        let answers = if from_tenant { tenant } else { gateway };
        answers.duration.record(self.start.elapsed());
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = answers.classes.get(class) {
            counter.increment(1);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.numbers.in_flight.decrement(1.0);
        if !self.is_answered {
            self.numbers.abandoned.increment(1);
        }
    }
}
