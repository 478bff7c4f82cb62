//! One run with one store: all tenants closed, a crash, a restart, all tenants opened again.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    BoxError,
    arguments::{Arguments, Store},
    gateway::{Gateway, Tenants},
    notifications::Notifications,
    post::{Burst, Requests, post},
    postgres::Postgres,
    process::Process,
    redis::Redis,
    table::{Figure, Measured},
    test_env::TestEnv,
};

pub struct UpgradeBurst<'a> {
    pub store: Store,
    pub tenants: usize,
    pub arguments: &'a Arguments,
    pub env: &'a TestEnv,
}

/// Where the records are stored.
enum Location {
    Memory,
    Redb(PathBuf),
    Redis(Redis),
    Postgres(Postgres),
}

impl Location {
    /// Returns the server's process, if there is one.
    fn server(&self) -> Option<&Process> {
        match self {
            Self::Memory | Self::Redb(_) => None,
            Self::Redis(redis) => Some(&redis.process),
            Self::Postgres(postgres) => Some(&postgres.process),
        }
    }
}

impl UpgradeBurst<'_> {
    pub async fn run(&self, notifications: &Notifications) -> Result<Measured, BoxError> {
        let mut measured = Measured::default();
        let location = self.location()?;
        let gateway = self.start(&location)?;
        measured.megabytes(Figure::Fresh, gateway.fresh.resident);
        let followers = (1..self.replicas()).map(|_| self.start(&location));
        let followers: Vec<_> = followers.collect::<Result<_, _>>()?;

        let figures = [Figure::Closed, Figure::ProcessorClosed, Figure::ServerClosed];
        let closing = &notifications.closing;
        let server_before = location.server().map(Process::processor_of_all).transpose()?;
        let burst = self.burst(&gateway, &location, closing, figures, &mut measured).await?;
        for (figure, part) in [(Figure::Median, 0.5), (Figure::Most, 0.99), (Figure::Worst, 1.0)] {
            measured.add(figure, burst.answered(part).as_secs_f64() * 1e3);
        }
        self.follow(&followers, &mut measured).await?;
        if let Some(server) = location.server() {
            measured.megabytes(Figure::ServerMemory, server.memory_of_all()?);
            if !followers.is_empty() {
                let used = server.processor_of_all()? - server_before.unwrap_or_default();
                measured.add(Figure::ServerFollowed, self.microseconds(used));
            }
        }
        drop(followers);
        let memory = gateway.process.memory()?;
        measured.megabytes(Figure::PeakClosed, memory.peak);
        self.each(
            &mut measured,
            Figure::GrowthClosed,
            memory.resident.saturating_sub(gateway.fresh.resident),
        );

        let gateway = self.restarts(gateway, &location, &mut measured).await?;
        if !self.arguments.close_only {
            self.reopen(&gateway, &location, notifications, &mut measured).await?;
        }
        gateway.process.terminate()?;
        Ok(measured)
    }

    async fn reopen(
        &self,
        gateway: &Gateway,
        location: &Location,
        notifications: &Notifications,
        measured: &mut Measured,
    ) -> Result<(), BoxError> {
        let figures = [Figure::Opened, Figure::ProcessorOpened, Figure::ServerOpened];
        self.burst(gateway, location, &notifications.opening, figures, measured).await?;
        if self.store.is_durable() {
            // With the memory store this is the gateway that listed all tenants, which raised its
            // peak.
            measured.megabytes(Figure::PeakOpened, gateway.process.memory()?.peak);
        }
        self.size(location, &[Figure::StoredOpen, Figure::LogOpen, Figure::DumpOpen], measured)?;
        if let Location::Postgres(postgres) = location {
            self.each(measured, Figure::StoredVacuumed, postgres.size_after_autovacuum()?.tables);
        }
        self.expect(gateway, 0).await.map(drop)
    }

    fn location(&self) -> Result<Location, BoxError> {
        let directory = self.env.empty_directory(self.store.name())?;
        Ok(match self.store {
            Store::Memory => Location::Memory,
            Store::Redb => Location::Redb(directory.join("tenants.redb")),
            Store::Redis => Location::Redis(Redis::start(directory, "everysec")?),
            Store::RedisAlways => Location::Redis(Redis::start(directory, "always")?),
            Store::Postgres => Location::Postgres(Postgres::start(directory)?),
        })
    }

    fn start(&self, location: &Location) -> Result<Gateway, BoxError> {
        let store = match location {
            Location::Memory => "memory".to_owned(),
            Location::Redb(path) => format!("redb:{}", path.display()),
            Location::Redis(redis) => redis.url(),
            Location::Postgres(postgres) => postgres.url(),
        };
        Gateway::start(self.arguments, self.env, &store)
    }

    fn replicas(&self) -> usize {
        if self.store.is_shared() { self.arguments.replicas } else { 1 }
    }

    /// Posts a notification for each tenant.
    async fn burst(
        &self,
        gateway: &Gateway,
        location: &Location,
        requests: &Requests,
        [speed, own, servers]: [Figure; 3],
        measured: &mut Measured,
    ) -> Result<Burst, BoxError> {
        let server = || location.server().map(Process::processor_of_all).transpose();
        let (before, server_before) = (gateway.process.processor()?, server()?);
        let connections = self.arguments.connections;
        let burst = post(gateway.address, requests, self.tenants, connections).await?;
        measured.add(speed, burst.per_second());
        measured.add(own, self.microseconds(gateway.process.processor()? - before));
        if let (Some(before), Some(after)) = (server_before, server()?) {
            measured.add(servers, self.microseconds(after - before));
        }
        Ok(burst)
    }

    /// Waits until the other replicas have applied the changes that the first received.
    async fn follow(&self, followers: &[Gateway], measured: &mut Measured) -> Result<(), BoxError> {
        for follower in followers {
            let began = Instant::now();
            let mut used = follower.process.processor()?;
            // A request would cost processor time that is to be measured, so wait until it is idle.
            loop {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let now = follower.process.processor()?;
                if now - used < 0.011 || began.elapsed() > Duration::from_secs(60) {
                    break;
                }
                used = now;
            }
            self.expect(follower, self.tenants).await?;
            measured.add(Figure::ProcessorFollower, self.microseconds(used));
        }
        Ok(())
    }

    /// Kills the gateway and starts it again, then stops it with SIGTERM and starts it again. A
    /// gateway without a store is kept running.
    async fn restarts(
        &self,
        gateway: Gateway,
        location: &Location,
        measured: &mut Measured,
    ) -> Result<Gateway, BoxError> {
        let sizes = [Figure::StoredClosed, Figure::LogClosed, Figure::DumpClosed];
        if !self.store.is_durable() {
            self.list(&gateway, measured).await?;
            return Ok(gateway);
        }
        gateway.process.kill()?;
        self.size(location, &sizes, measured)?;

        let gateway = self.start(location)?;
        measured.add(Figure::RestartCrashed, gateway.started.as_secs_f64());
        self.list(&gateway, measured).await?;
        gateway.process.terminate()?;

        let gateway = self.start(location)?;
        measured.add(Figure::Restart, gateway.started.as_secs_f64());
        measured.add(Figure::RestartProcessor, gateway.start_processor);
        measured.megabytes(Figure::PeakRestarted, gateway.fresh.peak);
        let grown = gateway.fresh.resident.saturating_sub(measured.bytes(Figure::Fresh));
        self.each(measured, Figure::GrowthRestarted, grown);
        Ok(gateway)
    }

    /// Lists all tenants, which must be closed, and records the cost.
    async fn list(&self, gateway: &Gateway, measured: &mut Measured) -> Result<(), BoxError> {
        let listed = self.expect(gateway, self.tenants).await?;
        measured.megabytes(Figure::AnswerSize, listed.bytes as u64);
        measured.add(Figure::AnswerTime, listed.took.as_secs_f64());
        measured.megabytes(Figure::AnswerPeak, gateway.process.memory()?.peak);
        Ok(())
    }

    async fn expect(&self, gateway: &Gateway, closed: usize) -> Result<Tenants, BoxError> {
        let listed = gateway.tenants().await?;
        if (listed.all, listed.closed) == (self.tenants, closed) {
            return Ok(listed);
        }
        Err(format!(
            "{} tenants with {} closed; expected {} with {closed} closed",
            listed.all, listed.closed, self.tenants
        )
        .into())
    }

    fn size(
        &self,
        location: &Location,
        [stored, log, dump]: &[Figure; 3],
        measured: &mut Measured,
    ) -> Result<(), BoxError> {
        match location {
            Location::Memory => {}
            Location::Redb(path) => self.each(measured, *stored, fs::metadata(path)?.len()),
            Location::Redis(redis) => {
                let size = redis.size()?;
                self.each(measured, *stored, size.used);
                self.each(measured, *log, size.log);
                self.each(measured, *dump, size.dump);
            }
            Location::Postgres(postgres) => {
                let size = postgres.size()?;
                self.each(measured, *stored, size.tables);
                self.each(measured, *log, size.log);
            }
        }
        Ok(())
    }

    fn each(&self, measured: &mut Measured, figure: Figure, bytes: u64) {
        measured.add(figure, bytes as f64 / self.tenants as f64);
    }

    /// Converts `seconds` to microseconds per notification.
    fn microseconds(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.tenants as f64
    }
}
