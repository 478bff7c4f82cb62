//! The type of a notification.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The `ChangeType` of a notification, as SuperOffice numbers it.
///
/// The list grows without notice (`Move` appeared in 2024), so an unknown number is kept as
/// [`Other`](ChangeType::Other) and is never an error.
///
/// It is parsed from a documented name, in any case, or from digits. With serde it is written as
/// the name, an unknown one as its digits, and read from either or from a number.
///
/// ```
/// use tower_superoffice::ChangeType;
///
/// assert_eq!(ChangeType::from(2), ChangeType::Suspend);
/// assert_eq!("suspend".parse(), Ok(ChangeType::Suspend));
/// assert_eq!("9".parse(), Ok(ChangeType::Other(9)));
/// assert_eq!(u32::from(ChangeType::Other(9)), 9);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeType {
    /// 0: the tenant is about to be upgraded. Closed until a Resume, usually for minutes.
    Upgrade,
    /// 1: restored from a backup, or cloned into a sandbox. Its data went back in time; it closes
    /// nothing.
    BackupRestored,
    /// 2: placed in suspension. Closed until a Resume, often for days.
    Suspend,
    /// 3: resumed from another operation. Open.
    Resume,
    /// 4: deleted, because the customer cancelled. Closed; a later Resume still opens it.
    Delete,
    /// 5: moved to another public endpoint. Not down.
    Move,
    /// A number that SuperOffice added later. It closes nothing.
    Other(u32),
}

/// The documented types, in the order of their numbers.
const NAMED: [(ChangeType, &str); 6] = [
    (ChangeType::Upgrade, "Upgrade"),
    (ChangeType::BackupRestored, "BackupRestored"),
    (ChangeType::Suspend, "Suspend"),
    (ChangeType::Resume, "Resume"),
    (ChangeType::Delete, "Delete"),
    (ChangeType::Move, "Move"),
];

impl ChangeType {
    /// Returns the documented name; `None` for a number that has none.
    fn name(self) -> Option<&'static str> {
        NAMED.iter().find(|(change, _)| *change == self).map(|(_, name)| *name)
    }
}

impl From<u32> for ChangeType {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Upgrade,
            1 => Self::BackupRestored,
            2 => Self::Suspend,
            3 => Self::Resume,
            4 => Self::Delete,
            5 => Self::Move,
            other => Self::Other(other),
        }
    }
}

impl From<ChangeType> for u32 {
    fn from(change: ChangeType) -> Self {
        match change {
            ChangeType::Upgrade => 0,
            ChangeType::BackupRestored => 1,
            ChangeType::Suspend => 2,
            ChangeType::Resume => 3,
            ChangeType::Delete => 4,
            ChangeType::Move => 5,
            ChangeType::Other(number) => number,
        }
    }
}

/// The error for a text that is neither a documented change type nor a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseChangeTypeError(());

impl fmt::Display for ParseChangeTypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no change type: use a documented name, such as Suspend, or a number up to 4294967295",
        )
    }
}

impl std::error::Error for ParseChangeTypeError {}

impl FromStr for ChangeType {
    type Err = ParseChangeTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((change, _)) = NAMED.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Ok(*change);
        }
        // `parse` alone would accept a sign.
        let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number: Option<u32> = digits.and_then(|digits| digits.parse().ok());
        number.map(Self::from).ok_or(ParseChangeTypeError(()))
    }
}

impl fmt::Display for ChangeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "Other({})", u32::from(*self)),
        }
    }
}

impl Serialize for ChangeType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.name() {
            Some(name) => serializer.serialize_str(name),
            None => serializer.collect_str(&u32::from(*self)),
        }
    }
}

impl<'de> Deserialize<'de> for ChangeType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = ChangeType;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name or the number of a change type")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ChangeType, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<ChangeType, E> {
        let number = u32::try_from(number);
        number.map(ChangeType::from).map_err(|_| E::custom(ParseChangeTypeError(())))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<ChangeType, E> {
        let number = u32::try_from(number);
        number.map(ChangeType::from).map_err(|_| E::custom(ParseChangeTypeError(())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_lead_to_types_and_back() {
        let named = [
            (0, ChangeType::Upgrade, "Upgrade"),
            (1, ChangeType::BackupRestored, "BackupRestored"),
            (2, ChangeType::Suspend, "Suspend"),
            (3, ChangeType::Resume, "Resume"),
            (4, ChangeType::Delete, "Delete"),
            (5, ChangeType::Move, "Move"),
            (6, ChangeType::Other(6), "Other(6)"),
            (u32::MAX, ChangeType::Other(u32::MAX), "Other(4294967295)"),
        ];
        for (number, change, name) in named {
            assert_eq!(ChangeType::from(number), change);
            assert_eq!(u32::from(change), number);
            assert_eq!(change.to_string(), name);
        }
    }

    #[test]
    fn names_in_any_case_and_digits_are_parsed() {
        for (change, name) in NAMED {
            let number = u32::from(change).to_string();
            for text in [name, &name.to_lowercase(), &name.to_uppercase(), &number] {
                assert_eq!(text.parse(), Ok(change), "{text}");
            }
        }
        assert_eq!("4294967295".parse(), Ok(ChangeType::Other(u32::MAX)));
        for text in ["", " ", "Suspended", "+2", "-2", "2.0", "4294967296", "Other(6)", "٢"] {
            assert!(text.parse::<ChangeType>().is_err(), "{text}");
        }
    }

    #[test]
    fn serde_writes_names_and_reads_names_and_numbers() {
        let types = NAMED.map(|(change, _)| change);
        for change in types.into_iter().chain([ChangeType::Other(6), ChangeType::Other(u32::MAX)]) {
            let written = serde_json::to_value(change).unwrap();
            assert!(written.is_string());
            assert_eq!(serde_json::from_value::<ChangeType>(written).unwrap(), change);
            let number = json!(u32::from(change));
            assert_eq!(serde_json::from_value::<ChangeType>(number).unwrap(), change);
        }
        for refused in [json!(null), json!(-1), json!(1.5), json!(4_294_967_296_u64), json!("x")] {
            assert!(serde_json::from_value::<ChangeType>(refused).is_err());
        }
        let error = serde_json::from_value::<ChangeType>(json!(true)).unwrap_err().to_string();
        assert!(error.ends_with("expected the name or the number of a change type"), "{error}");
    }
}
