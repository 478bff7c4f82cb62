//! One night with one store: all closed, a crash, a restart, all opened again.

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
    redis::Redis,
    table::{Figure, Measured},
    workshop::Workshop,
};

pub struct Night<'a> {
    pub store: Store,
    pub tenants: usize,
    pub arguments: &'a Arguments,
    pub workshop: &'a Workshop,
}

/// Where the records are.
enum Place {
    Memory,
    Redb(PathBuf),
    Redis(Redis),
}

impl Night<'_> {
    pub async fn run(&self, notifications: &Notifications) -> Result<Measured, BoxError> {
        let mut measured = Measured::default();
        let place = self.place()?;
        let gateway = self.start(&place)?;
        measured.megabytes(Figure::Fresh, gateway.fresh.resident);
        let followers = (1..self.replicas()).map(|_| self.start(&place));
        let followers: Vec<_> = followers.collect::<Result<_, _>>()?;

        let figures = [Figure::Closed, Figure::ProcessorClosed, Figure::ServerClosed];
        let closing = &notifications.closing;
        let burst = self.burst(&gateway, &place, closing, figures, &mut measured).await?;
        for (figure, part) in [(Figure::Median, 0.5), (Figure::Most, 0.99), (Figure::Worst, 1.0)] {
            measured.add(figure, burst.answered(part).as_secs_f64() * 1e3);
        }
        self.follow(&followers, &mut measured).await?;
        drop(followers);
        let memory = gateway.process.memory()?;
        measured.megabytes(Figure::PeakClosed, memory.peak);
        self.each(
            &mut measured,
            Figure::GrowthClosed,
            memory.resident.saturating_sub(gateway.fresh.resident),
        );

        let gateway = self.restarts(gateway, &place, &mut measured).await?;
        if !self.arguments.close_only {
            self.reopen(&gateway, &place, notifications, &mut measured).await?;
        }
        gateway.process.terminate()?;
        Ok(measured)
    }

    async fn reopen(
        &self,
        gateway: &Gateway,
        place: &Place,
        notifications: &Notifications,
        measured: &mut Measured,
    ) -> Result<(), BoxError> {
        let figures = [Figure::Opened, Figure::ProcessorOpened, Figure::ServerOpened];
        self.burst(gateway, place, &notifications.opening, figures, measured).await?;
        if self.store.is_durable() {
            // In memory, this is the gateway that has said which tenants there are: see there.
            measured.megabytes(Figure::PeakOpened, gateway.process.memory()?.peak);
        }
        self.size(place, &[Figure::StoredOpen, Figure::LogOpen, Figure::DumpOpen], measured)?;
        self.expect(gateway, 0).await.map(drop)
    }

    fn place(&self) -> Result<Place, BoxError> {
        let folder = self.workshop.fresh(self.store.name())?;
        Ok(match self.store {
            Store::Memory => Place::Memory,
            Store::Redb => Place::Redb(folder.join("tenants.redb")),
            Store::Redis => Place::Redis(Redis::start(folder, "everysec")?),
            Store::RedisAlways => Place::Redis(Redis::start(folder, "always")?),
        })
    }

    fn start(&self, place: &Place) -> Result<Gateway, BoxError> {
        let store = match place {
            Place::Memory => "memory".to_owned(),
            Place::Redb(path) => format!("redb:{}", path.display()),
            Place::Redis(redis) => redis.url(),
        };
        Gateway::start(self.arguments, self.workshop, &store)
    }

    fn replicas(&self) -> usize {
        let shared = matches!(self.store, Store::Redis | Store::RedisAlways);
        if shared { self.arguments.replicas } else { 1 }
    }

    /// Posts a notification for each tenant.
    async fn burst(
        &self,
        gateway: &Gateway,
        place: &Place,
        requests: &Requests,
        [speed, own, servers]: [Figure; 3],
        measured: &mut Measured,
    ) -> Result<Burst, BoxError> {
        let server = || match place {
            Place::Redis(redis) => redis.process.processor(),
            _ => Ok(0.0),
        };
        let (before, server_before) = (gateway.process.processor()?, server()?);
        let connections = self.arguments.connections;
        let burst = post(gateway.address, requests, self.tenants, connections).await?;
        measured.add(speed, burst.per_second());
        measured.add(own, self.microseconds(gateway.process.processor()? - before));
        if matches!(place, Place::Redis(_)) {
            measured.add(servers, self.microseconds(server()? - server_before));
        }
        Ok(burst)
    }

    /// Waits until the other replicas know what the first was told.
    async fn follow(&self, followers: &[Gateway], measured: &mut Measured) -> Result<(), BoxError> {
        for follower in followers {
            let began = Instant::now();
            let mut used = follower.process.processor()?;
            // Asking it would cost it time that is to be measured, so it is watched until it rests.
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

    /// Ends the gateway as a crash does and starts it again, then once more in good order. A gateway
    /// without a store lives on.
    async fn restarts(
        &self,
        gateway: Gateway,
        place: &Place,
        measured: &mut Measured,
    ) -> Result<Gateway, BoxError> {
        let sizes = [Figure::StoredClosed, Figure::LogClosed, Figure::DumpClosed];
        if !self.store.is_durable() {
            self.ask(&gateway, measured).await?;
            return Ok(gateway);
        }
        gateway.process.kill()?;
        self.size(place, &sizes, measured)?;

        let gateway = self.start(place)?;
        measured.add(Figure::RestartCrashed, gateway.started.as_secs_f64());
        self.ask(&gateway, measured).await?;
        gateway.process.terminate()?;

        let gateway = self.start(place)?;
        measured.add(Figure::Restart, gateway.started.as_secs_f64());
        measured.add(Figure::RestartProcessor, gateway.starting);
        measured.megabytes(Figure::PeakRestarted, gateway.fresh.peak);
        let grown = gateway.fresh.resident.saturating_sub(measured.bytes(Figure::Fresh));
        self.each(measured, Figure::GrowthRestarted, grown);
        Ok(gateway)
    }

    /// Has the gateway list all tenants, which have to be closed.
    async fn ask(&self, gateway: &Gateway, measured: &mut Measured) -> Result<(), BoxError> {
        let said = self.expect(gateway, self.tenants).await?;
        measured.megabytes(Figure::AnswerSize, said.bytes as u64);
        measured.add(Figure::AnswerTime, said.took.as_secs_f64());
        measured.megabytes(Figure::AnswerPeak, gateway.process.memory()?.peak);
        Ok(())
    }

    async fn expect(&self, gateway: &Gateway, closed: usize) -> Result<Tenants, BoxError> {
        let said = gateway.tenants().await?;
        if (said.all, said.closed) == (self.tenants, closed) {
            return Ok(said);
        }
        Err(format!(
            "{} tenants, of which {} closed, where {} and {closed} were expected",
            said.all, said.closed, self.tenants
        )
        .into())
    }

    fn size(
        &self,
        place: &Place,
        [stored, log, dump]: &[Figure; 3],
        measured: &mut Measured,
    ) -> Result<(), BoxError> {
        match place {
            Place::Memory => {}
            Place::Redb(path) => self.each(measured, *stored, fs::metadata(path)?.len()),
            Place::Redis(redis) => {
                let size = redis.size()?;
                self.each(measured, *stored, size.used);
                self.each(measured, *log, size.log);
                self.each(measured, *dump, size.dump);
            }
        }
        Ok(())
    }

    fn each(&self, measured: &mut Measured, figure: Figure, bytes: u64) {
        measured.add(figure, bytes as f64 / self.tenants as f64);
    }

    /// A notification's part of so many seconds.
    fn microseconds(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.tenants as f64
    }
}
