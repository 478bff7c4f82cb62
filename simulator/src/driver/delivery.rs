//! Changes of tenants, and the delivery of their notifications.

use std::{error::Error, time::Duration};

use http::StatusCode;
use tower_superoffice::{
    TenantId,
    simulator::{Notification, NotifyError},
};

use super::{Delivery, Driver, Outcome, Place, Sent, Setting, Verb};

impl Driver {
    /// Changes a tenant and notifies the receiver, unless it is done silently. Returns the
    /// notifications that it led to.
    ///
    /// The change is made even when the future is dropped.
    pub(crate) async fn change(&self, verb: Verb, tenant: &TenantId, silently: bool) -> Vec<Sent> {
        let (driver, tenant) = (self.clone(), tenant.clone());
        let change = tokio::spawn(async move { driver.make(verb, &tenant, silently).await });
        match change.await {
            Ok(numbers) => self.sent(&numbers),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is ending.
                Err(_) => Vec::new(),
            },
        }
    }

    async fn make(&self, verb: Verb, tenant: &TenantId, silently: bool) -> Vec<u64> {
        let change = verb.change(&self.simulator, tenant);
        let notification = change.notification();
        let add = |outcome| self.live().history.add(verb, tenant, &notification, outcome);
        if silently {
            change.without_notification();
            return vec![add(Outcome::Silent)];
        }
        match self.delivery() {
            Delivery::Normal => {
                let number = add(Outcome::Sending);
                self.finish(number, change.await);
                vec![number]
            }
            Delivery::Lost => {
                change.without_notification();
                vec![add(Outcome::Lost)]
            }
            Delivery::Doubled => {
                let first = add(Outcome::Sending);
                self.finish(first, change.await);
                let second = add(Outcome::Sending);
                self.finish(second, notification.send().await);
                vec![first, second]
            }
            Delivery::Late(seconds) => {
                change.without_notification();
                let number = add(Outcome::Late(seconds));
                let driver = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    driver.finish(number, notification.send().await);
                });
                vec![number]
            }
            Delivery::Reordered => {
                change.without_notification();
                let number = add(Outcome::Held);
                let Some((earlier, held)) = self.hold(number, &notification) else {
                    return vec![number];
                };
                self.finish(number, notification.send().await);
                self.finish(earlier, held.send().await);
                vec![number, earlier]
            }
        }
    }

    fn delivery(&self) -> Delivery {
        match self.live().faults.get(&Place::Notifications).map(|fault| &fault.setting) {
            Some(Setting::Delivery(delivery)) => *delivery,
            _ => Delivery::Normal,
        }
    }

    /// Holds the notification until the next one. When one is held already, returns that, and holds
    /// none.
    fn hold(&self, number: u64, notification: &Notification) -> Option<(u64, Notification)> {
        let mut live = self.live();
        let earlier = live.held.take();
        if earlier.is_none() {
            live.held = Some((number, notification.clone()));
        }
        earlier
    }

    /// Sends a notification that is held, because the fault for which it was has ended.
    pub(super) fn send_held(&self) {
        if self.delivery() == Delivery::Reordered {
            return;
        }
        let held = self.live().held.take();
        if let Some((number, notification)) = held {
            let driver = self.clone();
            tokio::spawn(async move { driver.finish(number, notification.send().await) });
        }
    }

    fn finish(&self, number: u64, answer: Result<StatusCode, NotifyError>) {
        let outcome = match answer {
            Ok(status) => Outcome::Answered(status),
            Err(NotifyError::NoReceiver) => {
                Outcome::Failed("not sent: start the simulator with --notify URL".to_owned())
            }
            Err(error) => Outcome::Failed(with_sources(&error)),
        };
        self.live().history.set(number, outcome);
    }

    fn sent(&self, numbers: &[u64]) -> Vec<Sent> {
        let history = self.history();
        let find = |number: &u64| history.iter().find(|sent| sent.number == *number).cloned();
        numbers.iter().filter_map(find).collect()
    }
}

/// Returns the error and what caused it.
fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
