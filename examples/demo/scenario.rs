//! The scenario, step by step, with a check after each step.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::body::Body;
use http::{Request, StatusCode};
use tower::ServiceExt;
use tower_superoffice::{
    ChangeType, TenantGate, TenantId, UnavailableReason,
    simulator::{Notification, Simulator},
    status::Evidence,
};

use crate::{
    Rule, app,
    checks::Checks,
    lost_suspend,
    output::Output,
    workers::{self, CallCounts},
};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a step waits for an effect that it does not trigger itself.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// The parts of a running demo.
struct Scenario {
    simulator: Simulator,
    gate: TenantGate,
    output: Output,
    checks: Checks,
    rule: Option<Rule>,
    /// A genuine notification that an attacker has captured.
    captured: Option<Notification>,
}

/// A tenant and the counts of its workers.
type Called = (TenantId, Arc<CallCounts>);

/// Runs the whole scenario and returns its checks.
pub async fn run(rule: Option<Rule>) -> Result<Checks, BoxError> {
    let hour = tokio::task::spawn_blocking(move || lost_suspend::run(rule));
    let simulator = Simulator::start().await?;
    simulator.state_validity(Duration::from_millis(200));
    let gate = app::start(&simulator, rule).await?;
    let mut tenants = Vec::new();
    for id in ["Cust10001", "Cust10002", "Cust10003", "Cust10004"] {
        let tenant = TenantId::new(id)?;
        let counts = workers::start(&simulator, &gate, &tenant, rule);
        tenants.push((tenant, counts));
    }
    let [upgraded, suspended, deleted, untouched] = &tenants[..] else {
        return Err("the scenario needs four tenants".into());
    };
    let output = Output::new(&gate, &simulator, tenants.clone());
    let checks = Checks::default();
    let mut scenario = Scenario { simulator, gate, output, checks, rule, captured: None };

    println!("Calls answered by each tenant, and -n calls that the guard refused:\n");
    scenario.output.heading();
    scenario.output.run_workers(2).await;
    scenario.upgrade(upgraded).await?;
    scenario.suspend(suspended).await?;
    scenario.forge(suspended).await?;
    scenario.resume(upgraded).await?;
    scenario.replay(upgraded).await?;
    scenario.lose_resume(suspended).await;
    scenario.move_host(upgraded).await;
    scenario.delete(deleted).await?;
    scenario.first_write().await?;
    scenario.lose_suspend(&hour.await??);
    scenario.finish(untouched);
    Ok(scenario.checks)
}

impl Scenario {
    async fn upgrade(&mut self, (tenant, counts): &Called) -> Result<(), BoxError> {
        self.output.step(format!("SuperOffice announces an upgrade of {tenant}."));
        let change = self.simulator.upgrade(tenant);
        self.captured = Some(change.notification());
        let answer = change.await?;
        self.check_closed(answer, tenant, counts, UnavailableReason::Upgrading).await
    }

    async fn suspend(&mut self, (tenant, counts): &Called) -> Result<(), BoxError> {
        self.output.step(format!("SuperOffice suspends {tenant}."));
        let answer = self.simulator.suspend(tenant).await?;
        self.check_closed(answer, tenant, counts, UnavailableReason::Suspended).await
    }

    async fn delete(&mut self, (tenant, counts): &Called) -> Result<(), BoxError> {
        self.output.step(format!("The customer of {tenant} cancels: SuperOffice deletes it."));
        let answer = self.simulator.delete(tenant).await?;
        self.check_closed(answer, tenant, counts, UnavailableReason::Deleted).await
    }

    /// Checks that a notification closed its tenant, and that no further call reaches it.
    async fn check_closed(
        &mut self,
        answer: StatusCode,
        tenant: &TenantId,
        counts: &CallCounts,
        reason: UnavailableReason,
    ) -> Result<(), BoxError> {
        let (reached, refused) = (self.simulator.calls(tenant), counts.total_refused());
        self.output.run_workers(2).await;
        let passed = answer == 204
            && self.gate.status(tenant).reason() == Some(reason)
            && self.simulator.calls(tenant) == reached
            && counts.total_refused() > refused;
        self.checks.record(format!("{tenant} was {reason}: no call was sent to it"), passed);
        Ok(())
    }

    async fn forge(&mut self, (tenant, _): &Called) -> Result<(), BoxError> {
        self.output.step(format!("An attacker forges a Resume of {tenant}."));
        let mut notification = self.simulator.notification(ChangeType::Resume, tenant);
        if self.rule != Some(Rule::Forgery) {
            // Forging makes an RSA key, which would block the other tasks of this thread.
            notification = tokio::task::spawn_blocking(|| notification.forged()).await?;
        }
        let answer = notification.send().await?;
        self.output.step(format!("... and is answered {answer}."));
        self.output.run_workers(1).await;
        let passed = answer == 401 && !self.gate.status(tenant).is_available();
        self.checks.record("a forged notification changed nothing", passed);
        Ok(())
    }

    async fn resume(&mut self, (tenant, counts): &Called) -> Result<(), BoxError> {
        self.output.step(format!("SuperOffice resumes {tenant}."));
        let answer = self.simulator.resume(tenant).await?;
        let before = counts.answered.load(Relaxed);
        self.output.run_workers(2).await;
        let passed = answer == 204
            && self.gate.status(tenant).is_available()
            && counts.answered.load(Relaxed) > before;
        self.checks.record(format!("{tenant} was resumed: its workers went on at once"), passed);
        Ok(())
    }

    /// Sends the captured Upgrade again, byte for byte, after the tenant was resumed.
    async fn replay(&mut self, (tenant, _): &Called) -> Result<(), BoxError> {
        self.output.step(format!("An attacker replays the captured Upgrade of {tenant}."));
        let answer = match &self.captured {
            Some(captured) if self.rule != Some(Rule::Replay) => captured.send().await?,
            _ => self.simulator.notify(ChangeType::Upgrade, tenant).await?,
        };
        let open = self.gate.status(tenant).is_available();
        self.output.step(format!("... and is answered {answer}, as the original was."));
        self.output.run_workers(1).await;
        let passed = answer == 204 && open && self.gate.status(tenant).is_available();
        self.checks.record("a replayed notification changed nothing", passed);
        Ok(())
    }

    /// Resumes a tenant without a notification: a pull finds it open.
    async fn lose_resume(&mut self, (tenant, counts): &Called) {
        self.output.step(format!("SuperOffice resumes {tenant}, but the notification is lost."));
        let before = counts.answered.load(Relaxed);
        self.simulator.resume(tenant).without_notification();
        let opening = tokio::time::timeout(MAX_WAIT, self.gate.available(tenant));
        let opened = matches!(opening.await, Ok(Ok(())));
        if opened {
            self.output.step("... The gate pulled the state API and opened it.");
        }
        self.output.run_workers(1).await;
        let passed = opened
            && self.gate.status(tenant).evidence() == Evidence::StateApi
            && counts.answered.load(Relaxed) > before;
        self.checks.record(format!("{tenant} opened although its Resume was lost"), passed);
    }

    /// Moves a tenant to another host without a notification: the old host's 421 reveals it.
    async fn move_host(&mut self, (tenant, counts): &Called) {
        self.output.step(format!("{tenant} moves to another host, without a notification."));
        let (reached, failed) = (self.simulator.calls(tenant), counts.failed.load(Relaxed));
        self.simulator.move_tenant(tenant).without_notification();
        self.output.run_workers(2).await;
        let misdirected = self.simulator.misdirected_calls(tenant);
        self.output
            .step(format!("... Calls that got 421 and were sent to the new host: {misdirected}."));
        let passed = misdirected > 0
            && self.simulator.calls(tenant) > reached
            && counts.failed.load(Relaxed) == failed;
        self.checks
            .record(format!("{tenant} was followed to its new host, no call was lost"), passed);
    }

    /// Writes to a tenant that was never called, by the URL that every client begins with.
    async fn first_write(&mut self) -> Result<(), BoxError> {
        let tenant = TenantId::new("Cust10005")?;
        let origin = self.gate.environment().origin();
        self.output
            .step(format!("{tenant} is called for the first time, with a POST to {origin}."));
        let request = Request::post(format!("{origin}/{tenant}/api/v1/Contact"))
            .body(Body::from(r#"{"Name": "Jane"}"#))?;
        let answer = workers::client(&self.gate, self.rule).oneshot(request).await?;
        let pulls = self.simulator.state_requests(&tenant);
        self.output.step(format!("... Pulls of its host: {pulls}. The answer: {answer}."));
        let misdirected = self.simulator.misdirected_calls(&tenant);
        let passed = answer == 200 && misdirected == 0 && self.simulator.calls(&tenant) == 1;
        self.checks.record("a first write to a tenant of unknown host arrived", passed);
        Ok(())
    }

    /// Prints an hour in which a Suspend was lost.
    fn lose_suspend(&mut self, calls: &lost_suspend::Calls) {
        let lost_suspend::Calls { tenant, open, failed, refused, reached_while_closed, evidence } =
            calls;
        let status = |status: &Option<StatusCode>| match status {
            Some(status) => status.to_string(),
            None => "refused".to_owned(),
        };
        let output = &self.output;
        output.step(format!("On a clock of its own, {tenant} is called: {}.", status(open)));
        output.step("... An hour later SuperOffice suspends it, and the notification is lost.");
        output.step(format!("... The next call fails, so the gate pulls: {}.", status(failed)));
        let refusal = refused.map_or("sent", |reason| reason.as_str());
        output.step(format!("... The one after that is not sent: {refusal}."));
        let passed = *open == Some(StatusCode::OK)
            && *failed == Some(StatusCode::SERVICE_UNAVAILABLE)
            && *refused == Some(UnavailableReason::Suspended)
            && *reached_while_closed == 1
            && *evidence == Evidence::StateApi;
        self.checks.record(format!("{tenant} closed although its Suspend was lost"), passed);
    }

    /// Prints the totals and the checks that cover the whole run.
    fn finish(&mut self, (untouched, counts): &Called) {
        self.output.totals();
        let reached = self.simulator.calls_while_closed();
        self.checks.record(format!("{reached} calls reached a closed tenant"), reached == 0);
        let (failed, refused) = (counts.failed.load(Relaxed), counts.total_refused());
        let passed = failed == 0 && refused == 0 && counts.answered.load(Relaxed) > 0;
        self.checks.record(format!("{untouched} was served throughout"), passed);
        self.checks.print();
    }
}
