//! The story, step by step, and what must be true after each.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tower_superoffice::{
    ChangeType, TenantId,
    simulator::{Notification, Simulator},
};

use crate::{BoxError, promises::Promises, redis_server::RedisServer, replica::Replica};

/// How long a replica may take to hear of something.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long it may take until Redis is found again: attempts are seconds apart by then.
const RETURN: Duration = Duration::from_secs(5);

/// Everyone who takes part.
struct Stage {
    simulator: Simulator,
    a: Replica,
    b: Replica,
    promises: Promises,
    began: Instant,
}

/// Tells the whole story and returns what became of the promises.
pub async fn tell(apart: bool) -> Result<Promises, BoxError> {
    let simulator = Simulator::start().await?;
    let mut redis = RedisServer::start().await?;
    let other = if apart { Some(RedisServer::start().await?) } else { None };
    let a = Replica::start(&simulator, &redis.url()).await?;
    let b = Replica::start(&simulator, &other.as_ref().unwrap_or(&redis).url()).await?;
    let (promises, began) = (Promises::default(), Instant::now());
    let mut stage = Stage { simulator, a, b, promises, began };
    let (first, second) = (TenantId::new("Cust10001")?, TenantId::new("Cust10002")?);

    println!("Replicas A and B of a service, and a Redis server at {}.\n", redis.address());
    stage.show(&first).await?;
    stage.suspend(&first).await?;
    stage.resume(&first).await?;

    stage.say("Redis is killed.");
    redis.kill().await?;
    stage.call_on(&first).await?;
    let unstored = stage.suspend_unstored(&second).await?;

    stage.say("Redis is back. All that it knew is lost.");
    redis.run().await?;
    stage.catch_up(&second, &unstored).await?;

    stage.say("Replica C starts: it knows what Redis holds, and no more.");
    let c = Replica::start(&stage.simulator, &redis.url()).await?;
    let kept = c.call(&second).await?.0 == StatusCode::SERVICE_UNAVAILABLE
        && c.call(&first).await?.0 == StatusCode::OK
        && c.gate.snapshot().len() == 2;
    stage.promises.note("the replicas had filled Redis again", kept);
    Ok(stage.promises)
}

impl Stage {
    /// Says what happens.
    fn say(&self, what: impl AsRef<str>) {
        println!("{:5.1} s {}", self.began.elapsed().as_secs_f32(), what.as_ref());
    }

    /// Calls the tenant through both replicas and shows what comes back; the answers of A and B.
    async fn show(&self, tenant: &TenantId) -> Result<[StatusCode; 2], BoxError> {
        let (a, b) = (self.a.call(tenant).await?.0, self.b.call(tenant).await?.0);
        println!("        a call to {tenant}:  A {a}   B {b}");
        Ok([a, b])
    }

    /// The load balancer gives the next notification to `replica`.
    fn route_to(&self, replica: &Replica) -> Result<(), BoxError> {
        self.simulator.notify_to(replica.notification_url()?);
        Ok(())
    }

    async fn suspend(&mut self, tenant: &TenantId) -> Result<(), BoxError> {
        self.say(format!("SuperOffice suspends {tenant}, and tells A."));
        self.route_to(&self.a)?;
        // Only told: the tenant itself goes down some time later.
        let told = Instant::now();
        let notified = self.simulator.notify(ChangeType::Suspend, tenant);
        let heard = until(told, PATIENCE, || !self.b.gate.status(tenant).is_available());
        let (answer, heard) = tokio::join!(notified, heard);
        let answer = answer?;
        self.say(format!("... A answers {answer}. {}", after("B knows", heard)));
        let calls = self.show(tenant).await?;
        let kept =
            answer == 204 && heard.is_some() && calls == [StatusCode::SERVICE_UNAVAILABLE; 2];
        self.promises.note("what A was told closed the tenant at B", kept);
        Ok(())
    }

    async fn resume(&mut self, tenant: &TenantId) -> Result<(), BoxError> {
        self.say(format!("SuperOffice resumes {tenant}, and tells B."));
        self.route_to(&self.b)?;
        let told = Instant::now();
        let notified = self.simulator.notify(ChangeType::Resume, tenant);
        let heard = until(told, PATIENCE, || self.a.gate.status(tenant).is_available());
        let (answer, heard) = tokio::join!(notified, heard);
        let answer = answer?;
        self.say(format!("... B answers {answer}. {}", after("A knows", heard)));
        let calls = self.show(tenant).await?;
        let kept = answer == 204 && heard.is_some() && calls == [StatusCode::OK; 2];
        self.promises.note("what B was told opened it at A", kept);
        Ok(())
    }

    /// Calls go on without Redis.
    async fn call_on(&mut self, tenant: &TenantId) -> Result<(), BoxError> {
        const CALLS: u32 = 100;
        let (mut answered, mut slowest) = (0, Duration::ZERO);
        for _ in 0..CALLS {
            for replica in [&self.a, &self.b] {
                let (status, took) = replica.call(tenant).await?;
                answered += u32::from(status == StatusCode::OK);
                slowest = slowest.max(took);
            }
        }
        self.say(format!(
            "... {answered} calls are answered meanwhile, the slowest in {slowest:.1?}."
        ));
        // The store's time-out is 2 s: a call that waited for Redis would take as long.
        let kept = answered == 2 * CALLS && slowest < Duration::from_secs(1);
        self.promises.note("the tenant stayed open, and no call waited for Redis", kept);
        Ok(())
    }

    /// A notification that can't be stored; gives it back, to be sent again.
    async fn suspend_unstored(&mut self, tenant: &TenantId) -> Result<Notification, BoxError> {
        self.say(format!("SuperOffice suspends {tenant}, and tells A."));
        self.route_to(&self.a)?;
        let notification = self.simulator.notification(ChangeType::Suspend, tenant);
        let answer = notification.send().await?;
        self.say(format!("... A waits for Redis, then answers {answer}: send it again later."));
        let calls = self.show(tenant).await?;
        let kept = answer == 503 && calls == [StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK];
        let promise = "what could not be stored was answered 503, and was in force at A";
        self.promises.note(promise, kept);
        Ok(notification)
    }

    /// B hears of what A could not store.
    async fn catch_up(
        &mut self,
        tenant: &TenantId,
        notification: &Notification,
    ) -> Result<(), BoxError> {
        let heard =
            until(Instant::now(), RETURN, || !self.b.gate.status(tenant).is_available()).await;
        self.say(format!("... {}", after("A stored what it owed, and B knows", heard)));
        let calls = self.show(tenant).await?;
        let kept = heard.is_some() && calls == [StatusCode::SERVICE_UNAVAILABLE; 2];
        self.promises.note("B was told when Redis was back", kept);

        self.say("SuperOffice sends the notification again.");
        let answer = notification.send().await?;
        self.say(format!("... A answers {answer}."));
        self.promises.note("then it was answered 204", answer == 204);
        Ok(())
    }
}

/// Waits until it is so; how long that took since `began`, if it came to be.
async fn until(
    began: Instant,
    patience: Duration,
    condition: impl Fn() -> bool,
) -> Option<Duration> {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        began.elapsed()
    };
    tokio::time::timeout(patience, met).await.ok()
}

fn after(what: &str, heard: Option<Duration>) -> String {
    match heard {
        Some(took) => format!("{what} after {took:.1?}."),
        None => format!("{what}: not so in time."),
    }
}
