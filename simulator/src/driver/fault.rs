//! The faults that can be set: where, of which kind, and with which value.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tower_superoffice::simulator::Fault;

/// The longest time, in seconds: a day.
const MAX_SECONDS: u64 = 86_400;

/// The part of SuperOffice that has a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    StateApi,
    Keys,
    Tenants,
    Notifications,
    Clock,
}

/// A kind of fault.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The meaning of its value, and the default.
    pub(crate) value: Option<(&'static str, &'static str)>,
    /// Completes "with this fault, it ..".
    pub(crate) effect: &'static str,
}

/// The delivery of notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Delivery {
    #[default]
    Normal,
    Lost,
    Doubled,
    /// This many seconds late.
    Late(u64),
    Reordered,
}

/// The part of the simulator that a fault changes, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    Server(Fault),
    Lag(Duration),
    Delivery(Delivery),
    ClockOffset(i64),
}

/// A fault that was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) kind: &'static Kind,
    pub(crate) value: Option<String>,
    pub(super) setting: Setting,
}

const fn kind(name: &'static str, effect: &'static str) -> Kind {
    Kind { name, value: None, effect }
}

const fn with_value(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    effect: &'static str,
) -> Kind {
    Kind { name, value: Some((value, default)), effect }
}

/// The faults of every server, and behind them two of the state API alone.
const SERVER: [Kind; 11] = [
    with_value("status", "status", "503", "answers with this status and no body"),
    with_value("slow", "seconds", "5", "answers this many seconds later"),
    kind("hang", "never answers"),
    with_value("too-many-requests", "seconds", "30", "answers 429 with this Retry-After"),
    with_value("redirect", "Location", "/login", "answers 302 with this Location"),
    kind("html", "answers 200 with an HTML page"),
    kind("oversized", "answers 200 with JSON of 5 MB"),
    kind("empty", "answers 200 with nothing to use"),
    with_value("json", "JSON", "{}", "answers 200 with this JSON"),
    kind("unknown", "answers the state Unknown for every tenant"),
    with_value("lag", "seconds", "60", "answers as of this many seconds ago"),
];

const DELIVERY: [Kind; 4] = [
    kind("lost", "are not sent"),
    kind("doubled", "are sent twice"),
    with_value("late", "seconds", "10", "are sent this many seconds after the change"),
    kind("reordered", "are sent in pairs, the second first"),
];

const CLOCK: [Kind; 2] = [
    with_value("ahead", "seconds", "600", "is this many seconds ahead"),
    with_value("behind", "seconds", "600", "is this many seconds behind"),
];

impl Place {
    pub(crate) const ALL: [Self; 5] =
        [Self::StateApi, Self::Keys, Self::Tenants, Self::Notifications, Self::Clock];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::StateApi => "state-api",
            Self::Keys => "keys",
            Self::Tenants => "tenants",
            Self::Notifications => "notifications",
            Self::Clock => "clock",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::StateApi => "State API",
            Self::Keys => "Key URL",
            Self::Tenants => "Open tenants",
            Self::Notifications => "Notifications",
            Self::Clock => "Clock",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.name() == name)
    }

    pub(crate) fn kinds(self) -> &'static [Kind] {
        match self {
            Self::StateApi => &SERVER,
            Self::Keys | Self::Tenants => SERVER.split_at(9).0,
            Self::Notifications => &DELIVERY,
            Self::Clock => &CLOCK,
        }
    }

    /// Chooses a fault.
    ///
    /// # Errors
    ///
    /// With what is wrong in the kind or its value, as a sentence.
    pub(crate) fn choose(self, kind: &str, value: Option<&str>) -> Result<Chosen, String> {
        let kind = self.kinds().iter().find(|known| known.name == kind);
        let kind = kind.ok_or_else(|| {
            let names: Vec<_> = self.kinds().iter().map(|kind| kind.name).collect();
            format!("kind is one of: {}; or none, to end the fault.", names.join(", "))
        })?;
        let given = value.filter(|value| !value.is_empty());
        let value = match (kind.value, given) {
            (None, Some(_)) => return Err(format!("{} has no value: leave it out.", kind.name)),
            (None, None) => None,
            (Some((_, default)), given) => Some(given.unwrap_or(default)),
        };
        let setting = setting(kind.name, value.unwrap_or_default())?;
        Ok(Chosen { kind, value: value.map(str::to_owned), setting })
    }
}

fn setting(kind: &str, value: &str) -> Result<Setting, String> {
    let server = |fault| Ok(Setting::Server(fault));
    let delivery = |delivery| Ok(Setting::Delivery(delivery));
    match kind {
        "status" => server(Fault::Status(status(value)?)),
        "slow" => server(Fault::Slow(Duration::from_secs(seconds(value)?))),
        "hang" => server(Fault::Hang),
        "too-many-requests" => server(Fault::TooManyRequests(seconds(value)?)),
        "redirect" => server(Fault::Redirect(location(value)?)),
        "html" => server(Fault::Html),
        "oversized" => server(Fault::Oversized),
        "empty" => server(Fault::Empty),
        "json" => server(Fault::Json(json(value)?)),
        "unknown" => server(Fault::Unknown),
        "lag" => Ok(Setting::Lag(Duration::from_secs(seconds(value)?))),
        "lost" => delivery(Delivery::Lost),
        "doubled" => delivery(Delivery::Doubled),
        "late" => delivery(Delivery::Late(seconds(value)?)),
        "reordered" => delivery(Delivery::Reordered),
        "ahead" => Ok(Setting::ClockOffset(seconds(value)?.cast_signed())),
        "behind" => Ok(Setting::ClockOffset(-seconds(value)?.cast_signed())),
        _ => Err("There is no such kind.".to_owned()),
    }
}

fn seconds(value: &str) -> Result<u64, String> {
    let seconds = value.parse().ok().filter(|seconds| *seconds <= MAX_SECONDS);
    seconds.ok_or_else(|| format!("value is a number of seconds, at most {MAX_SECONDS}."))
}

fn status(value: &str) -> Result<StatusCode, String> {
    // Below 200 it would be no final answer.
    let status = value.parse().ok().filter(|code| (200..600).contains(code));
    let status = status.and_then(|code: u16| StatusCode::from_u16(code).ok());
    status.ok_or_else(|| "value is a status from 200 to 599.".to_owned())
}

fn location(value: &str) -> Result<String, String> {
    let is_header = HeaderValue::from_str(value).is_ok();
    is_header.then(|| value.to_owned()).ok_or_else(|| "value is a URL, or a path.".to_owned())
}

fn json(value: &str) -> Result<String, String> {
    match serde_json::from_str::<serde_json::Value>(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(error) => Err(format!("value is JSON: {error}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_chosen_by_name_alone() {
        for place in Place::ALL {
            assert_eq!(Place::from_name(place.name()), Some(place));
            for kind in place.kinds() {
                let chosen = place.choose(kind.name, None).unwrap();
                assert_eq!(chosen.kind, kind);
                assert_eq!(chosen.value.as_deref(), kind.value.map(|(_, default)| default));
            }
        }
    }

    #[test]
    fn values_are_checked_with_advice() {
        for (place, kind, value, part) in [
            (Place::StateApi, "down", "", "one of: status, slow,"),
            (Place::Keys, "lag", "", "one of: status, slow,"),
            (Place::Tenants, "unknown", "", "or none"),
            (Place::StateApi, "hang", "5", "hang has no value"),
            (Place::StateApi, "slow", "soon", "a number of seconds"),
            (Place::StateApi, "slow", "86401", "at most 86400"),
            (Place::StateApi, "status", "199", "from 200 to 599"),
            (Place::StateApi, "status", "600", "from 200 to 599"),
            (Place::StateApi, "json", "{", "value is JSON"),
            (Place::StateApi, "redirect", "/a\r\nb: c", "a URL"),
            (Place::Clock, "ahead", "-1", "a number of seconds"),
            (Place::Notifications, "slow", "", "one of: lost"),
        ] {
            let error = place.choose(kind, Some(value)).unwrap_err();
            assert!(error.contains(part), "{kind} {value}: {error}");
        }
        let slow = Place::Keys.choose("slow", Some("7")).unwrap();
        assert_eq!(slow.setting, Setting::Server(Fault::Slow(Duration::from_secs(7))));
        let behind = Place::Clock.choose("behind", Some("9")).unwrap();
        assert_eq!(behind.setting, Setting::ClockOffset(-9));
    }
}
