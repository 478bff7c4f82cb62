//! The routes and the page, as a client of the environment's own host sees them.

mod changes;
mod faults;
mod page;
mod requests;

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::Value;
use tower::{ServiceExt, service_fn};
use tower_superoffice::simulator::{Simulator, SimulatorBody};

use super::Control;
use crate::driver::{Driver, SkewedClock};

const FORM: &str = "application/x-www-form-urlencoded";

/// A driver whose notifications are received here.
struct Env {
    driver: Driver,
    /// The number and the tenant of each notification's change.
    received: Arc<Mutex<Vec<(u64, String)>>>,
    /// Statuses to answer the next ones with; 204 when there is none.
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_str(&self.text).unwrap()
    }

    /// The sentence of a problem with this status.
    fn detail(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(problem["status"], status);
        problem["detail"].as_str().unwrap().to_owned()
    }
}

impl Env {
    async fn new() -> Self {
        let clock = SkewedClock::default();
        let own = clock.clone();
        let simulator = Simulator::builder().clock(move || own.now()).start().await.unwrap();
        let (received, answers) = (Arc::<Mutex<Vec<_>>>::default(), Arc::default());
        let (list, statuses) = (Arc::clone(&received), Arc::clone(&answers));
        simulator.notify_service(service_fn(move |request: Request<SimulatorBody>| {
            let body: Value = serde_json::from_slice(request.body().as_bytes()).unwrap();
            let tenant = body["ContextIdentifier"].as_str().unwrap().to_owned();
            list.lock().unwrap().push((body["ChangeType"].as_u64().unwrap(), tenant));
            let statuses: &Mutex<VecDeque<_>> = &statuses;
            let status = statuses.lock().unwrap().pop_front().unwrap_or(StatusCode::NO_CONTENT);
            let mut answer = Response::new(SimulatorBody::default());
            *answer.status_mut() = status;
            std::future::ready(Ok::<_, Infallible>(answer))
        }));
        let driver = Driver::new(simulator, clock, None);
        driver.simulator().control_service(Control(driver.clone()));
        Self { driver, received, answers }
    }

    async fn send(&self, request: http::request::Builder, body: &str) -> Answer {
        let request = request.body(SimulatorBody::from(body.to_owned())).unwrap();
        let answer = self.driver.simulator().network().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let text = String::from_utf8(body.as_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let origin = self.driver.simulator().environment().origin().to_string();
        Request::builder().method(method).uri(format!("{}{path}", origin.trim_end_matches('/')))
    }

    async fn call(&self, method: &str, path: &str) -> Answer {
        self.send(self.request(method, path), "").await
    }

    async fn get(&self, path: &str) -> Value {
        self.call("GET", path).await.json()
    }

    async fn post(&self, path: &str) -> Value {
        self.call("POST", path).await.json()
    }

    async fn form(&self, path: &str, form: &str) -> Answer {
        self.send(self.request("POST", path).header("content-type", FORM), form).await
    }

    fn received(&self) -> Vec<(u64, String)> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

fn outcomes(answer: &Value) -> Vec<&str> {
    let sent = answer["notifications"].as_array().unwrap();
    sent.iter().map(|sent| sent["outcome"].as_str().unwrap()).collect()
}
