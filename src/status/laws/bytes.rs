//! Records as bytes: what is written can be read, what a newer version wrote is kept, and nothing
//! that lies in a store can do harm.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

use super::strategies::{
    derived, join, json as any_json, notified, pulled, record_of, records, word,
};
use crate::status::{ChangeType, DecodeError, Record, State, UnavailableReason, fact::Order};

fn value_of(record: &Record) -> Map<String, Value> {
    serde_json::from_slice(&record.encode()).unwrap()
}

fn decode(value: &Value) -> Result<Record, DecodeError> {
    Record::decode(value.to_string().as_bytes())
}

/// A record with a fact of every kind.
fn full() -> Record {
    let changes = (0..7).map(|number| notified(ChangeType::from(number), 1_700_000_000, 17));
    let states = [
        State::Running,
        State::Suspended,
        State::OfflineMaintenance,
        State::Deleted,
        State::MigrationPending,
    ];
    let pulls = states.map(|state| pulled(state, 18));
    let facts: Vec<_> = changes.chain(pulls).chain([word(Order::Close, 19, Some(20))]).collect();
    assert_eq!(record_of(&facts).facts().len(), 13);
    record_of(&facts)
}

proptest! {
    #[test]
    fn a_record_reads_back_as_it_was_written(record in records()) {
        let bytes = record.encode();
        let back = Record::decode(&bytes).unwrap();
        prop_assert_eq!(&back, &record);
        prop_assert_eq!(back.encode(), bytes);
    }

    #[test]
    fn what_a_newer_minor_version_added_survives_a_merge(
        ours in records(),
        kinds in proptest::collection::btree_map("kind_[a-z]{1,3}", any_json(), 1..4),
        field in any_json(),
        minor in 1_u32..1000,
    ) {
        let mut theirs = value_of(&full());
        theirs["v"] = json!(format!("1.{minor}"));
        theirs["suspend"]["at"] = json!(i64::MAX);
        theirs["suspend"]["new_field"] = field.clone();
        theirs.extend(kinds.clone());
        let theirs = decode(&Value::Object(theirs)).unwrap();

        for merged in [join(&ours, &theirs), join(&theirs, &ours)] {
            let written = value_of(&Record::decode(&merged.encode()).unwrap());
            for (kind, value) in &kinds {
                prop_assert_eq!(&written[kind], value);
            }
            prop_assert_eq!(&written["suspend"]["new_field"], &field);
            let least = format!("1.{minor}");
            let ours = value_of(&ours)["v"].as_str().unwrap().to_owned();
            prop_assert!(written["v"] == json!(least) || written["v"] == json!(ours));
        }
    }

    #[test]
    fn a_newer_major_version_is_refused_whatever_else_it_holds(
        major in 2_u32..,
        minor in "[a-z0-9.]{0,6}",
        rest in any_json(),
    ) {
        let record = json!({ "v": format!("{major}.{minor}"), "suspend": rest });
        prop_assert_eq!(decode(&record), Err(DecodeError::NewerSchema { major }));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Record::decode(&bytes).is_err());
    }

    #[test]
    fn any_json_in_any_place_is_read_or_refused(value in any_json(), place in 0_usize..200) {
        let mut record = value_of(&full());
        let mut places = Vec::new();
        for (kind, fact) in &record {
            places.push((kind.clone(), None));
            let fields = fact.as_object().into_iter().flatten();
            places.extend(fields.map(|(field, _)| (kind.clone(), Some(field.clone()))));
        }
        match &places[place % places.len()] {
            (kind, None) => record[kind] = value,
            (kind, Some(field)) => record[kind][field] = value,
        }
        if let Ok(read) = decode(&Value::Object(record)) {
            derived(&read);
            prop_assert_eq!(&Record::decode(&read.encode()).unwrap(), &read);
        }
    }

    #[test]
    fn a_damaged_record_is_read_or_refused(at in any::<proptest::sample::Index>(), byte: u8) {
        let mut bytes = full().encode();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if let Ok(read) = Record::decode(&bytes) {
            derived(&read);
            prop_assert_eq!(&Record::decode(&read.encode()).unwrap(), &read);
        }
    }

    #[test]
    fn a_cut_record_is_refused(at in any::<proptest::sample::Index>()) {
        let bytes = full().encode();
        prop_assert!(Record::decode(&bytes[..at.index(bytes.len())]).is_err());
    }

    /// A record is read and written again at every merge: a number that moved each time would never
    /// come to rest.
    #[test]
    fn fractions_of_a_newer_version_stay_as_they_are(number: f64) {
        prop_assume!(number.is_finite());
        let bytes = json!({ "v": "1.1", "new": { "at": 1, "x": number } }).to_string();
        let once = Record::decode(bytes.as_bytes()).unwrap();
        prop_assert_eq!(Record::decode(&once.encode()).unwrap().encode(), bytes.as_bytes());
    }
}

#[test]
fn the_spelling_is_fixed() {
    let record = record_of(&[
        notified(ChangeType::Suspend, 1_700_000_000, 17),
        notified(ChangeType::Other(9), -1, 16),
        pulled(State::OnlineMaintenance, 18),
        word(Order::Close, 19, Some(20)),
    ]);
    let expected = json!({
        "v": "1.0",
        "suspend": { "at": 1_700_000_000, "seen": 17, "version": "", "file": "" },
        "other": { "number": 9, "at": -1, "seen": 16, "version": "", "file": "" },
        "pull_running": { "asked": 18, "since": 18, "state": "OnlineMaintenance" },
        "operator": { "order": "close", "set_at": 19, "until": 20, "note": "" },
    });
    assert_eq!(Value::Object(value_of(&record)), expected);
    assert_eq!(decode(&expected), Ok(record));
    assert_eq!(Record::default().encode(), br#"{"v":"1.0"}"#);
    assert_eq!(Record::decode(br#"{"v":"1.0"}"#), Ok(Record::default()));
}

#[test]
fn every_kind_of_fact_has_a_key_of_its_own() {
    let keys: Vec<String> = value_of(&full()).keys().cloned().collect();
    let expected = [
        "backup_restored",
        "delete",
        "move",
        "operator",
        "other",
        "pull_deleted",
        "pull_not_ready",
        "pull_running",
        "pull_suspended",
        "pull_upgrading",
        "resume",
        "suspend",
        "upgrade",
        "v",
    ];
    assert_eq!(keys, expected);
    assert_eq!(Record::decode(&full().encode()).unwrap(), full());
}

#[test]
fn a_missing_or_misshapen_field_is_named_by_its_part() {
    let parts = [
        ("upgrade", &["at", "seen", "version", "file"][..]),
        ("other", &["at", "seen", "version", "file", "number"]),
        ("pull_running", &["asked", "since", "state"]),
        ("operator", &["set_at", "order", "note"]),
    ];
    for (part, fields) in parts {
        for field in fields {
            let mut record = value_of(&full());
            record[part].as_object_mut().unwrap().remove(*field);
            assert_eq!(
                decode(&Value::Object(record.clone())),
                Err(DecodeError::Malformed { part })
            );
            for wrong in [json!(null), json!([]), json!(1.5), json!(true), json!({})] {
                record[part][*field] = wrong;
                let read = decode(&Value::Object(record.clone()));
                assert_eq!(read, Err(DecodeError::Malformed { part }), "{part}.{field}");
            }
        }
        let mut record = value_of(&full());
        record[part] = json!("text");
        assert_eq!(decode(&Value::Object(record)), Err(DecodeError::Malformed { part }));
    }
}

#[test]
fn a_fact_under_the_key_of_another_is_refused() {
    for (part, field, value) in [
        ("pull_running", "state", json!("Suspended")),
        ("pull_deleted", "state", json!("Running")),
        ("pull_running", "state", json!("Unknown")),
        ("other", "number", json!(2)),
        ("other", "number", json!(4_294_967_296_u64)),
        ("operator", "order", json!("Close")),
        ("operator", "until", json!(-1)),
        ("move", "endpoint", json!(7)),
        ("pull_running", "endpoint", json!(null)),
    ] {
        let mut record = value_of(&full());
        record[part][field] = value;
        assert_eq!(decode(&Value::Object(record)), Err(DecodeError::Malformed { part }));
    }
}

#[test]
fn what_has_no_readable_version_is_no_record() {
    for version in [
        json!(null),
        json!(1),
        json!(1.0),
        json!(""),
        json!("1"),
        json!("1."),
        json!(".0"),
        json!("1.x"),
        json!("-1.0"),
        json!("1.-1"),
        json!("0.9"),
        json!("4294967296.0"),
        json!("1.4294967296"),
        json!("+1.0"),
        json!("1.+0"),
        json!(" 1.0"),
        json!("1.0.0"),
    ] {
        let read = decode(&json!({ "v": version }));
        assert_eq!(read, Err(DecodeError::Malformed { part: "version" }), "{version}");
    }
    for text in ["{}", r#"{"suspend":{}}"#] {
        let read = Record::decode(text.as_bytes());
        assert_eq!(read, Err(DecodeError::Malformed { part: "version" }));
    }
    for text in ["", "[]", "null", "7", r#""v""#, "{", r#"{"v":"1.0"}x"#, "\u{feff}{}"] {
        let read = Record::decode(text.as_bytes());
        assert_eq!(read, Err(DecodeError::Malformed { part: "JSON" }), "{text}");
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = format!(r#"{{"v":"1.1","x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(Record::decode(deep.as_bytes()).is_err());
}

#[test]
fn errors_say_what_to_do_and_nothing_of_the_record() {
    let newer = DecodeError::NewerSchema { major: 2 }.to_string();
    assert!(newer.contains("schema 2") && newer.contains("upgrade"), "{newer}");
    let record = br#"{"v":"1.0","suspend":{"at":"SECRET"}}"#;
    let malformed = Record::decode(record).unwrap_err().to_string();
    assert!(malformed.contains("suspend") && !malformed.contains("SECRET"), "{malformed}");
}

#[test]
fn of_two_unknown_facts_the_later_stays() {
    let with = |fact: Value| decode(&json!({ "v": "1.2", "new": fact })).unwrap();
    for key in ["at", "asked", "set_at"] {
        // The text of the earlier one is the greater: time must count first.
        let (earlier, later) = (with(json!({ key: 9, "z": 9 })), with(json!({ key: 10, "z": 1 })));
        assert_eq!(join(&earlier, &later), later);
        assert_eq!(join(&later, &earlier), later);
    }
    let (plain, timed) = (with(json!("z")), with(json!({ "at": 1 })));
    assert_eq!(join(&plain, &timed), timed);
}

#[test]
fn the_newest_minor_version_stays_on_the_record() {
    let with = |minor: u32| decode(&json!({ "v": format!("1.{minor}") })).unwrap();
    let mut record = with(3);
    assert!(!record.merge(&with(2)) && !record.merge(&with(0)));
    assert!(record.merge(&with(5)));
    assert_eq!(record.encode(), br#"{"v":"1.5"}"#);
}

#[test]
fn a_record_read_back_says_the_same_of_the_tenant() {
    let record = full();
    let read = Record::decode(&record.encode()).unwrap();
    assert_eq!(derived(&read), derived(&record));
    assert_eq!(derived(&read).reason(), Some(UnavailableReason::Operator));
}
