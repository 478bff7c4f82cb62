//! The notifications of the changes so far, each with its outcome.

use std::{collections::VecDeque, fmt, time::SystemTime};

use http::StatusCode;
use serde_json::{Value, json};
use tower_superoffice::{TenantId, simulator::Notification};

use super::Verb;

/// The number of notifications that are kept.
const KEPT: usize = 100;

/// The outcome of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is on its way.
    Sending,
    /// The receiver answered.
    Answered(StatusCode),
    /// There was no answer, for this reason.
    Failed(String),
    /// It was not sent, because the change was silent.
    Silent,
    /// It was not sent, because notifications are lost.
    Lost,
    /// It is sent after this many seconds.
    Late(u64),
    /// It is sent after the next one.
    Held,
}

impl Outcome {
    /// Returns its name for programs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Answered(_) => "answered",
            Self::Failed(_) => "failed",
            Self::Silent => "silent",
            Self::Lost => "lost",
            Self::Late(_) => "late",
            Self::Held => "held",
        }
    }

    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answered(status) => Some(*status),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sending => f.write_str("on its way"),
            Self::Answered(status) => write!(f, "answered {status}"),
            Self::Failed(reason) => f.write_str(reason),
            Self::Silent => f.write_str("not sent: the change was silent"),
            Self::Lost => f.write_str("not sent: notifications are lost"),
            Self::Late(seconds) => write!(f, "to be sent {seconds} s after the change"),
            Self::Held => f.write_str("to be sent after the next one"),
        }
    }
}

/// A notification, as far as it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    /// The machine's time.
    pub(crate) at: SystemTime,
    pub(crate) tenant: TenantId,
    pub(crate) verb: Verb,
    pub(crate) outcome: Outcome,
    /// The body without its token, which would let readers of a log change tenants.
    body: Value,
}

impl Sent {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "number": self.number,
            "at": humantime::format_rfc3339_seconds(self.at).to_string(),
            "tenant": self.tenant.as_str(),
            "change": self.verb.name(),
            "outcome": self.outcome.name(),
            "status": self.outcome.status().map(|status| status.as_u16()),
            "detail": self.outcome.to_string(),
            "body": self.body,
        })
    }
}

/// The latest notifications, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    sent: VecDeque<Sent>,
    count: u64,
}

impl History {
    /// Adds a notification, and returns its number.
    pub(super) fn add(
        &mut self,
        verb: Verb,
        tenant: &TenantId,
        notification: &Notification,
        outcome: Outcome,
    ) -> u64 {
        let mut body = serde_json::from_slice(&notification.body()).unwrap_or(Value::Null);
        if let Some(members) = body.as_object_mut() {
            members.remove("Token");
        }
        if self.sent.len() == KEPT {
            self.sent.pop_front();
        }
        self.count += 1;
        let (number, at) = (self.count, SystemTime::now());
        self.sent.push_back(Sent { number, at, tenant: tenant.clone(), verb, outcome, body });
        number
    }

    /// Notes the outcome of a notification, unless it is so old that it is not kept.
    pub(super) fn set(&mut self, number: u64, outcome: Outcome) {
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.number == number) {
            sent.outcome = outcome;
        }
    }

    pub(super) fn latest_first(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().rev()
    }
}
