//! The scenario, step by step, with a check after each step.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tower_superoffice::{
    ChangeType, TenantId,
    simulator::{Notification, Simulator},
};

use crate::{
    BoxError,
    checks::Checks,
    replica::Replica,
    server::{Kind, Server},
};

/// How long a change may take to reach the other replica.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// How long a replica may take to reconnect to the server: by then its attempts are seconds apart.
const MAX_RECONNECT: Duration = Duration::from_secs(5);

/// The parts of a running scenario.
struct Scenario {
    simulator: Simulator,
    a: Replica,
    b: Replica,
    checks: Checks,
    started: Instant,
}

/// Runs the whole scenario and returns its checks. With `apart` the replicas share no server.
pub async fn run(kind: Kind, apart: bool) -> Result<Checks, BoxError> {
    let simulator = Simulator::start().await?;
    let mut server = Server::start(kind).await?;
    let other = if apart { Some(Server::start(kind).await?) } else { None };
    let a = Replica::start(&simulator, &server).await?;
    let b = Replica::start(&simulator, other.as_ref().unwrap_or(&server)).await?;
    let name = server.name();
    let (checks, started) = (Checks::default(), Instant::now());
    let mut scenario = Scenario { simulator, a, b, checks, started };
    let (first, second) = (TenantId::new("Cust10001")?, TenantId::new("Cust10002")?);

    println!("Replicas A and B of a service, and a {name} server at {}.\n", server.url());
    scenario.call_both(&first).await?;
    scenario.suspend(&first).await?;
    scenario.resume(&first).await?;

    scenario.step(format!("{name} is killed."));
    server.kill().await?;
    scenario.call_without_server(&first).await?;
    let unstored = scenario.suspend_without_server(&second).await?;

    scenario.step(format!("{name} is started again, without its data."));
    server.run().await?;
    scenario.recover(&second, &unstored).await?;

    scenario.step(format!("Replica C starts: it knows what {name} holds, and no more."));
    let c = Replica::start(&scenario.simulator, &server).await?;
    let passed = c.call(&second).await?.0 == StatusCode::SERVICE_UNAVAILABLE
        && c.call(&first).await?.0 == StatusCode::OK
        && c.gate.snapshot().len() == 2;
    scenario.checks.record("the replicas had stored their records in the server again", passed);
    Ok(scenario.checks)
}

impl Scenario {
    /// Prints a step with the time since the start.
    fn step(&self, text: impl AsRef<str>) {
        println!("{:5.1} s {}", self.started.elapsed().as_secs_f32(), text.as_ref());
    }

    /// Calls the tenant through both replicas, prints and returns the answers of A and B.
    async fn call_both(&self, tenant: &TenantId) -> Result<[StatusCode; 2], BoxError> {
        let (a, b) = (self.a.call(tenant).await?.0, self.b.call(tenant).await?.0);
        println!("        a call to {tenant}:  A {a}   B {b}");
        Ok([a, b])
    }

    /// Routes the next notification to `replica`, as a load balancer would.
    fn route_to(&self, replica: &Replica) -> Result<(), BoxError> {
        self.simulator.notify_to(replica.notification_url()?);
        Ok(())
    }

    async fn suspend(&mut self, tenant: &TenantId) -> Result<(), BoxError> {
        self.step(format!("SuperOffice suspends {tenant}, and notifies A."));
        self.route_to(&self.a)?;
        // The notification alone: the simulated tenant itself stays open.
        let sent = Instant::now();
        let notified = self.simulator.notify(ChangeType::Suspend, tenant);
        let closed = until(sent, MAX_WAIT, || !self.b.gate.status(tenant).is_available());
        let (answer, closed) = tokio::join!(notified, closed);
        let answer = answer?;
        self.step(format!("... A answers {answer}. {}", outcome("B closes it", closed)));
        let calls = self.call_both(tenant).await?;
        let passed =
            answer == 204 && closed.is_some() && calls == [StatusCode::SERVICE_UNAVAILABLE; 2];
        self.checks.record("a Suspend received by A closed the tenant at B", passed);
        Ok(())
    }

    async fn resume(&mut self, tenant: &TenantId) -> Result<(), BoxError> {
        self.step(format!("SuperOffice resumes {tenant}, and notifies B."));
        self.route_to(&self.b)?;
        let sent = Instant::now();
        let notified = self.simulator.notify(ChangeType::Resume, tenant);
        let opened = until(sent, MAX_WAIT, || self.a.gate.status(tenant).is_available());
        let (answer, opened) = tokio::join!(notified, opened);
        let answer = answer?;
        self.step(format!("... B answers {answer}. {}", outcome("A opens it", opened)));
        let calls = self.call_both(tenant).await?;
        let passed = answer == 204 && opened.is_some() && calls == [StatusCode::OK; 2];
        self.checks.record("a Resume received by B opened the tenant at A", passed);
        Ok(())
    }

    /// Checks that calls go on while the server is down.
    async fn call_without_server(&mut self, tenant: &TenantId) -> Result<(), BoxError> {
        const CALLS: u32 = 100;
        let (mut answered, mut slowest) = (0, Duration::ZERO);
        for _ in 0..CALLS {
            for replica in [&self.a, &self.b] {
                let (status, took) = replica.call(tenant).await?;
                answered += u32::from(status == StatusCode::OK);
                slowest = slowest.max(took);
            }
        }
        self.step(format!("... {answered} calls are answered, the slowest in {slowest:.1?}."));
        // The store's time-out is 2 s: a call that waited for the server would take as long.
        let passed = answered == 2 * CALLS && slowest < Duration::from_secs(1);
        self.checks.record("the tenant stayed open, and no call waited for the server", passed);
        Ok(())
    }

    /// Sends a notification that can't be stored, and returns it to be sent again.
    async fn suspend_without_server(
        &mut self,
        tenant: &TenantId,
    ) -> Result<Notification, BoxError> {
        self.step(format!("SuperOffice suspends {tenant}, and notifies A."));
        self.route_to(&self.a)?;
        let notification = self.simulator.notification(ChangeType::Suspend, tenant);
        let answer = notification.send().await?;
        self.step(format!("... A can't store it, and answers {answer}: retry later."));
        let calls = self.call_both(tenant).await?;
        let passed = answer == 503 && calls == [StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK];
        self.checks.record("a Suspend that A could not store got 503 and closed at A", passed);
        Ok(notification)
    }

    /// Checks that B receives what A could not store before.
    async fn recover(
        &mut self,
        tenant: &TenantId,
        notification: &Notification,
    ) -> Result<(), BoxError> {
        let closed =
            until(Instant::now(), MAX_RECONNECT, || !self.b.gate.status(tenant).is_available())
                .await;
        self.step(format!(
            "... {}",
            outcome("A stores its change and B closes the tenant", closed)
        ));
        let calls = self.call_both(tenant).await?;
        let passed = closed.is_some() && calls == [StatusCode::SERVICE_UNAVAILABLE; 2];
        self.checks.record("B received the change when the server was back", passed);

        self.step("SuperOffice sends the notification again.");
        let answer = notification.send().await?;
        self.step(format!("... A answers {answer}."));
        self.checks.record("the repeated notification got 204", answer == 204);
        Ok(())
    }
}

/// Waits for `condition`, and returns the time since `start`; `None` after `limit`.
async fn until(start: Instant, limit: Duration, condition: impl Fn() -> bool) -> Option<Duration> {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        start.elapsed()
    };
    tokio::time::timeout(limit, met).await.ok()
}

fn outcome(event: &str, after: Option<Duration>) -> String {
    match after {
        Some(time) => format!("{event} after {time:.1?}."),
        None => format!("{event}: not in time."),
    }
}
