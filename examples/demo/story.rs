//! The story, step by step, and what must be true after each.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use http::StatusCode;
use tower_superoffice::{
    ChangeType, Evidence, TenantGate, TenantId, UnavailableReason,
    simulator::{Notification, Simulator},
};

use crate::{
    Rule, app,
    board::Board,
    promises::Promises,
    workers::{self, Tally},
};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long the story waits for what must happen by itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// Everyone who takes part.
struct Stage {
    simulator: Simulator,
    gate: TenantGate,
    board: Board,
    promises: Promises,
    rule: Option<Rule>,
    /// A notification that somebody has overheard.
    overheard: Option<Notification>,
}

/// A tenant and what its workers have seen.
type Played = (TenantId, Arc<Tally>);

/// Tells the whole story and returns what became of the promises.
pub async fn tell(rule: Option<Rule>) -> Result<Promises, BoxError> {
    let simulator = Simulator::start().await?;
    simulator.state_validity(Duration::from_millis(200));
    let gate = app::start(&simulator, rule).await?;
    let mut tenants = Vec::new();
    for id in ["Cust10001", "Cust10002", "Cust10003", "Cust10004"] {
        let tenant = TenantId::new(id)?;
        let tally = workers::start(&simulator, &gate, &tenant, rule);
        tenants.push((tenant, tally));
    }
    let [upgraded, suspended, deleted, other] = &tenants[..] else { return Err("no cast".into()) };
    let board = Board::new(&gate, &simulator, tenants.clone());
    let promises = Promises::default();
    let mut stage = Stage { simulator, gate, board, promises, rule, overheard: None };

    println!("Calls answered by each tenant, and -n calls that the guard kept away from it:\n");
    stage.board.head();
    stage.board.watch(2).await;
    stage.upgrade(upgraded).await?;
    stage.suspend(suspended).await?;
    stage.forge(suspended).await?;
    stage.resume(upgraded).await?;
    stage.replay(upgraded).await?;
    stage.lose_resume(suspended).await;
    stage.move_away(upgraded).await;
    stage.delete(deleted).await?;
    stage.close(other);
    Ok(stage.promises)
}

impl Stage {
    async fn upgrade(&mut self, (tenant, tally): &Played) -> Result<(), BoxError> {
        self.board.say(format!("SuperOffice is about to upgrade {tenant}, and says so."));
        let change = self.simulator.upgrade(tenant);
        self.overheard = Some(change.notification());
        let answer = change.await?;
        self.closed(answer, tenant, tally, UnavailableReason::Upgrading).await
    }

    async fn suspend(&mut self, (tenant, tally): &Played) -> Result<(), BoxError> {
        self.board.say(format!("SuperOffice suspends {tenant}."));
        let answer = self.simulator.suspend(tenant).await?;
        self.closed(answer, tenant, tally, UnavailableReason::Suspended).await
    }

    async fn delete(&mut self, (tenant, tally): &Played) -> Result<(), BoxError> {
        self.board.say(format!("The customer of {tenant} cancels: SuperOffice deletes it."));
        let answer = self.simulator.delete(tenant).await?;
        self.closed(answer, tenant, tally, UnavailableReason::Deleted).await
    }

    /// Checks that a notification closed its tenant, and that its calls stop.
    async fn closed(
        &mut self,
        answer: StatusCode,
        tenant: &TenantId,
        tally: &Tally,
        reason: UnavailableReason,
    ) -> Result<(), BoxError> {
        let (reached, refused) = (self.simulator.calls(tenant), tally.all_refused());
        self.board.watch(2).await;
        let kept = answer == 204
            && self.gate.status(tenant).reason() == Some(reason)
            && self.simulator.calls(tenant) == reached
            && tally.all_refused() > refused;
        self.promises.note(format!("{tenant} was {reason}: no call left for it"), kept);
        Ok(())
    }

    async fn forge(&mut self, (tenant, _): &Played) -> Result<(), BoxError> {
        self.board.say(format!("Somebody forges a Resume of {tenant}."));
        let mut notification = self.simulator.notification(ChangeType::Resume, tenant);
        if self.rule != Some(Rule::Forgery) {
            // The forger makes a key first, which would hold up everybody else on this thread.
            notification = tokio::task::spawn_blocking(|| notification.forged()).await?;
        }
        let answer = notification.send().await?;
        self.board.say(format!("... and gets {answer}."));
        self.board.watch(1).await;
        let kept = answer == 401 && !self.gate.status(tenant).is_available();
        self.promises.note("a forged notification changed nothing", kept);
        Ok(())
    }

    async fn resume(&mut self, (tenant, tally): &Played) -> Result<(), BoxError> {
        self.board.say(format!("SuperOffice resumes {tenant}."));
        let answer = self.simulator.resume(tenant).await?;
        let before = tally.answered.load(Relaxed);
        self.board.watch(2).await;
        let kept = answer == 204
            && self.gate.status(tenant).is_available()
            && tally.answered.load(Relaxed) > before;
        self.promises.note(format!("{tenant} was resumed: its workers went on at once"), kept);
        Ok(())
    }

    /// Sends the Upgrade that is long over once more, to the letter.
    async fn replay(&mut self, (tenant, _): &Played) -> Result<(), BoxError> {
        self.board.say(format!("Somebody overheard the Upgrade of {tenant} and sends it again."));
        let answer = match &self.overheard {
            Some(overheard) if self.rule != Some(Rule::Replay) => overheard.send().await?,
            _ => self.simulator.notify(ChangeType::Upgrade, tenant).await?,
        };
        let open = self.gate.status(tenant).is_available();
        self.board.say(format!("... and gets {answer}, like the first time."));
        self.board.watch(1).await;
        let kept = answer == 204 && open && self.gate.status(tenant).is_available();
        self.promises.note("a replayed notification changed nothing", kept);
        Ok(())
    }

    /// Resumes a tenant without a word: the state API tells.
    async fn lose_resume(&mut self, (tenant, tally): &Played) {
        self.board.say(format!("SuperOffice resumes {tenant}, but the notification is lost."));
        let before = tally.answered.load(Relaxed);
        self.simulator.resume(tenant).silently();
        let healed = tokio::time::timeout(PATIENCE, self.gate.available(tenant)).await.is_ok();
        if healed {
            self.board.say("... The gate asked the state API and opened it.");
        }
        self.board.watch(1).await;
        let kept = healed
            && self.gate.status(tenant).evidence() == Evidence::StateApi
            && tally.answered.load(Relaxed) > before;
        self.promises.note(format!("{tenant} opened although its Resume was lost"), kept);
    }

    /// Moves a tenant to another host without a word: the answer to the first call there tells.
    async fn move_away(&mut self, (tenant, tally): &Played) {
        self.board.say(format!("{tenant} moves to another host, and nobody is told."));
        let (reached, failed) = (self.simulator.calls(tenant), tally.failed.load(Relaxed));
        self.simulator.move_tenant(tenant).silently();
        self.board.watch(2).await;
        let misdirected = self.simulator.misdirected_calls(tenant);
        self.board.say(format!("... {misdirected} calls were sent on from the old host."));
        let kept = misdirected > 0
            && self.simulator.calls(tenant) > reached
            && tally.failed.load(Relaxed) == failed;
        self.promises
            .note(format!("{tenant} was followed to its new host, no call was lost"), kept);
    }

    /// Draws the line under it all.
    fn close(&mut self, (bystander, tally): &Played) {
        self.board.totals();
        let reached = self.simulator.calls_while_closed();
        self.promises.note(format!("{reached} calls reached a closed tenant"), reached == 0);
        let (failed, refused) = (tally.failed.load(Relaxed), tally.all_refused());
        let kept = failed == 0 && refused == 0 && tally.answered.load(Relaxed) > 0;
        self.promises.note(format!("{bystander} was served throughout"), kept);
        self.promises.print();
    }
}
