//! Checks with one writer at a time: the results of merges and loads.

use std::task::Poll;

use super::{
    Conformance, records,
    report::{Broken, Done, ensure},
};
use crate::{status::Record, tenant_id::TenantId};

impl Conformance {
    pub(super) async fn laws(&self) -> Result<Done, Broken> {
        let stores = [self.open().await?, self.open().await?];
        let mut random = fastrand::Rng::with_seed(1);
        let mut written = records::View::default();
        let mut tenants = Vec::new();
        for _ in 0..50 {
            let tenant = records::tenant("law")?;
            let mut expected = Record::default();
            for _ in 0..8 {
                let store = random.choice(&stores).ok_or_else(|| Broken::new("no store"))?;
                // Some writes repeat what is stored, or are empty.
                let record = match random.u8(..8) {
                    0 => expected.clone(),
                    1 => Record::default(),
                    _ => records::any(&mut random),
                };
                expected.merge(&record);
                let answer = self.merge(&**store, &tenant, &record).await?;
                ensure(answer == expected, || {
                    format!("merge answered {answer:?} where the join is {expected:?}")
                })?;
            }
            written.join(tenant.clone(), &expected);
            tenants.push(tenant);
        }
        for store in &stores {
            let loaded = self.load(&**store).await?;
            for tenant in &tenants {
                let (found, expected) = (loaded.get(tenant), written.get(tenant));
                ensure(
                    found.unwrap_or(&Record::default()) == expected.unwrap_or(&Record::default()),
                    || format!("load yielded {found:?} of {tenant} where {expected:?} was stored"),
                )?;
            }
        }
        Ok(Done::Passed)
    }

    pub(super) async fn spelling(&self) -> Result<Done, Broken> {
        let store = self.open().await?;
        let first = records::tenant("Spelling_Of-IDs")?;
        let lower = folded(&first, str::to_ascii_lowercase)?;
        let upper = folded(&first, str::to_ascii_uppercase)?;
        let (one, two) = (records::suspended(10), records::with_newer_fields(20));
        self.merge(&*store, &first, &one).await?;
        let answer = self.merge(&*store, &lower, &two).await?;
        ensure(records::covers(&answer, &two), || "a merge lost what it was given".to_owned())?;
        let mut both = one;
        both.merge(&two);
        let answer = self.merge(&*store, &upper, &Record::default()).await?;
        ensure(answer == both, || "ids that differ in case got records of their own".to_owned())?;
        let loaded = self.load(&*store).await?;
        ensure(loaded.get(&first) == Some(&both), || "load lost a spelling's record".to_owned())?;
        ensure(loaded.spelling(&lower) == Some(first.as_str()), || {
            format!("{first} is spelled {:?} after a load", loaded.spelling(&lower))
        })?;
        Ok(Done::Passed)
    }

    pub(super) async fn newer_minor(&self) -> Result<Done, Broken> {
        let store = self.open().await?;
        let tenant = records::tenant("minor")?;
        let newer = records::with_newer_fields(100);
        self.merge(&*store, &tenant, &newer).await?;
        // An older writer adds a fact, first an older and then a newer one than the stored.
        for at in [50, 200] {
            let mut expected = newer.clone();
            expected.merge(&records::suspended(at));
            let answer = self.merge(&*store, &tenant, &records::suspended(at)).await?;
            let loaded = self.load(&*store).await?;
            ensure(answer == expected && loaded.get(&tenant) == Some(&expected), || {
                format!(
                    "{answer:?} is answered and {:?} loaded where {expected:?} was stored",
                    loaded.get(&tenant)
                )
            })?;
        }
        Ok(Done::Passed)
    }

    pub(super) async fn dropped(&self) -> Result<Done, Broken> {
        let store = self.open().await?;
        let tenant = records::tenant("dropped")?;
        for (polls, at) in (1..=40).enumerate() {
            let record = records::suspended(at);
            // Each is polled once more than the one before, then dropped.
            let mut merge = store.merge(&tenant, &record);
            for _ in 0..polls {
                let done = std::future::poll_fn(|cx| Poll::Ready(merge.as_mut().poll(cx))).await;
                if let Poll::Ready(answer) = done {
                    answer?;
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let last = records::suspended(41);
        let answer = self.merge(&*store, &tenant, &last).await?;
        ensure(answer == last, || format!("after dropped merges {answer:?} is stored"))?;
        Ok(Done::Passed)
    }
}

fn folded(id: &TenantId, fold: impl Fn(&str) -> String) -> Result<TenantId, Broken> {
    TenantId::new(fold(id.as_str())).map_err(|error| Broken::new(error.to_string()))
}
