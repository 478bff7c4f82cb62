//! The status of a tenant, as callers see it.

use std::time::SystemTime;

use serde::{Serialize, Serializer, ser::SerializeStruct};
use smol_str::SmolStr;

use super::{
    Evidence, UnavailableReason,
    wall::{Rfc3339, system_time},
};

/// The status of one tenant: whether it can be called, and the evidence for that.
///
/// A tenant without a record is available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantStatus {
    pub(crate) closed: Option<Closed>,
    pub(crate) evidence: Evidence,
    pub(crate) known: bool,
    pub(crate) confirmed: bool,
    pub(crate) epoch: i64,
    pub(crate) endpoint: Option<SmolStr>,
    pub(crate) version_name: SmolStr,
    pub(crate) file_version: SmolStr,
    pub(crate) note: SmolStr,
    /// ms since the epoch.
    pub(crate) until: Option<u64>,
}

/// The reason and the time of a closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Closed {
    pub(crate) reason: UnavailableReason,
    /// ms since the epoch.
    pub(crate) since: u64,
}

impl TenantStatus {
    /// Returns whether the tenant can be called.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.closed.is_none()
    }

    /// Returns the reason why it can't be called; `None` while it can.
    #[must_use]
    pub fn reason(&self) -> Option<UnavailableReason> {
        self.closed.map(|closed| closed.reason)
    }

    /// Returns when the fact that closes it was first received; `None` while it is available.
    ///
    /// It is the wall time of the replica that received it, for display.
    #[must_use]
    pub fn since(&self) -> Option<SystemTime> {
        self.closed.map(|closed| system_time(closed.since))
    }

    /// Returns the evidence of the status. It is a notification's for a tenant that is open for
    /// want of any: [`is_known`](Self::is_known) distinguishes it.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// Returns whether a notification, a pull or an operator's order in force says whether the
    /// tenant is open. One of which nothing is known is open.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Returns whether a pull has confirmed the status since.
    ///
    /// A notification's token proves who sent it, not its content. Put irreversible actions, such
    /// as erasing a customer's data, behind a *confirmed* deletion:
    /// [`deletion_confirmed`](crate::TenantGate::deletion_confirmed) waits for one.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Returns the token time (unix seconds) of the newest BackupRestored; 0 when there was none.
    ///
    /// Compare for equality: when it changes, the tenant's data went back in time, and copies that
    /// you made may have data that no longer exists.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Returns the host that serves the tenant, if known: `online3.superoffice.com`, with a port
    /// unless it is the default one.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Returns the `VersionName` of the newest notification that named versions: `Release 8.4 R08`.
    /// Free text.
    #[must_use]
    pub fn version_name(&self) -> Option<&str> {
        Some(self.version_name.as_str()).filter(|name| !name.is_empty())
    }

    /// Returns the `FileVersion` of the newest notification that named versions: `8.4.12.1234`.
    #[must_use]
    pub fn file_version(&self) -> Option<&str> {
        Some(self.file_version.as_str()).filter(|version| !version.is_empty())
    }

    /// Returns the note of the operator's order that is in force, if it has one.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        Some(self.note.as_str()).filter(|note| !note.is_empty())
    }

    /// Returns when the operator's order that is in force ends by itself; `None` when it lasts
    /// until it is [released](crate::TenantGate::release), or there is none.
    #[must_use]
    pub fn until(&self) -> Option<SystemTime> {
        self.until.map(system_time)
    }
}

impl Serialize for TenantStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let since = self.closed.map(|closed| Rfc3339(closed.since).to_string());
        let until = self.until.map(|until| Rfc3339(until).to_string());
        let mut fields = serializer.serialize_struct("TenantStatus", 11)?;
        fields.serialize_field("available", &self.is_available())?;
        fields.serialize_field("reason", &self.reason())?;
        fields.serialize_field("since", &since)?;
        fields.serialize_field("evidence", &self.evidence)?;
        fields.serialize_field("confirmed", &self.confirmed)?;
        fields.serialize_field("epoch", &self.epoch)?;
        fields.serialize_field("endpoint", &self.endpoint())?;
        fields.serialize_field("version_name", &self.version_name())?;
        fields.serialize_field("file_version", &self.file_version())?;
        fields.serialize_field("note", &self.note())?;
        fields.serialize_field("until", &until)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn suspended() -> TenantStatus {
        TenantStatus {
            closed: Some(Closed { reason: UnavailableReason::Suspended, since: 1_500 }),
            evidence: Evidence::StateApi,
            known: true,
            confirmed: true,
            epoch: 7,
            endpoint: Some("online3.superoffice.com".into()),
            version_name: "Release 8.4 R08".into(),
            file_version: SmolStr::default(),
            note: "moves house".into(),
            until: Some(2_500),
        }
    }

    #[test]
    fn a_status_returns_what_it_holds() {
        let mut status = suspended();
        assert!(!status.is_available());
        assert_eq!(status.reason(), Some(UnavailableReason::Suspended));
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(status.since(), Some(since));
        assert_eq!(status.evidence(), Evidence::StateApi);
        assert!(status.is_known() && status.is_confirmed());
        assert_eq!(status.epoch(), 7);
        assert_eq!(status.endpoint(), Some("online3.superoffice.com"));
        assert_eq!(status.version_name(), Some("Release 8.4 R08"));
        assert_eq!(status.file_version(), None);
        assert_eq!(status.note(), Some("moves house"));
        assert_eq!(status.until(), Some(since + Duration::from_secs(1)));

        status.closed = None;
        assert!(status.is_available());
        assert_eq!((status.reason(), status.since()), (None, None));
    }

    #[test]
    fn a_status_is_serialized_with_null_for_what_is_unknown() {
        let expected = json!({
            "available": false, "reason": "suspended", "since": "1970-01-01T00:00:01Z",
            "evidence": "state_api", "confirmed": true, "epoch": 7,
            "endpoint": "online3.superoffice.com", "version_name": "Release 8.4 R08",
            "file_version": null, "note": "moves house", "until": "1970-01-01T00:00:02Z",
        });
        assert_eq!(serde_json::to_value(suspended()).unwrap(), expected);
        let mut late = suspended();
        late.closed = Some(Closed { reason: UnavailableReason::Unreadable, since: u64::MAX });
        let late = serde_json::to_value(late).unwrap();
        assert_eq!(late["since"], json!("9999-12-31T23:59:59Z"));
        assert_eq!(late["reason"], json!("unreadable"));
    }
}
