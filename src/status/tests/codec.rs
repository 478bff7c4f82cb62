//! Records as bytes: what is written can be read, what a newer version wrote is kept, and nothing
//! that lies in a store can do harm.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::strategies::{
    STATES, join, json as any_json, notified, overridden, placed, record_of, records, settled,
    unsettled,
};
use crate::status::{
    ChangeType, DecodeError, Record, State, UnavailableReason, codec::decode_plain, derive::status,
    fact::Slot, intern::Interner, notified::OpenClose, overrides::OverrideAction,
};

fn value_of(record: &Record) -> Map<String, Value> {
    serde_json::from_slice(&record.encode()).unwrap()
}

fn decode(value: &Value) -> Result<Record, DecodeError> {
    Record::decode(value.to_string().as_bytes())
}

/// A record with a fact of every kind.
fn full() -> Record {
    let knew = Some((OpenClose::Delete, 1_700_000_000));
    let changes = (0..7).map(|number| placed(ChangeType::from(number), 1_700_000_000, 2));
    let pulls = STATES.map(|state| settled(state, 18, knew));
    let rest =
        [unsettled(State::Running, 19, knew), overridden(OverrideAction::Close, 19, Some(20))];
    let facts: Vec<_> = changes.chain(pulls).chain(rest).collect();
    assert_eq!(record_of(&facts).facts().len(), 14);
    record_of(&facts)
}

/// The kinds of facts that the fast reader decodes.
const KINDS: [&str; 12] = [
    "upgrade",
    "backup_restored",
    "suspend",
    "resume",
    "delete",
    "move",
    "settled_running",
    "settled_upgrading",
    "settled_suspended",
    "settled_deleted",
    "settled_not_ready",
    "unsettled",
];

const FIELDS: [&str; 14] = [
    "at", "seen", "version", "file", "place", "endpoint", "number", "state", "seq", "since",
    "known", "knew", "knew_at", "fresh",
];

/// A fact of this kind with all of its fields.
fn plain_fact(kind: &str) -> Value {
    let state = match kind {
        "settled_running" | "unsettled" => "Running",
        "settled_upgrading" => "OfflineMaintenance",
        "settled_suspended" => "Suspended",
        "settled_deleted" => "Deleted",
        "settled_not_ready" => "MigrationPending",
        _ => {
            return json!({
                "at": 1, "seen": 2, "version": "a", "file": "b", "place": 2, "endpoint": "c",
            });
        }
    };
    json!({
        "state": state, "seq": 1, "since": 2, "known": 3, "knew": "suspend", "knew_at": 4,
        "fresh": 5, "endpoint": "a", "version": "b",
    })
}

fn odd_values() -> impl Strategy<Value = Value> {
    let texts = ["", "Running", "Deleted", "resume", "backup_restored", "a\"\\\u{e9}", "1"];
    let numbers = prop_oneof![
        select(vec![-1_i64, 0, 1, 65_535, 65_536, 2_147_483_647, 2_147_483_648, i64::MIN]),
        select(vec![253_402_300_799_i64, 253_402_300_800, 253_402_300_799_999, i64::MAX]),
    ];
    prop_oneof![
        select(texts.to_vec()).prop_map(Value::from),
        numbers.prop_map(Value::from),
        select(vec![1.0_f64, -0.0, 1.5, 1e300]).prop_map(Value::from),
        Just(json!([1, 2, "a", "b", 2, "c"])),
        Just(json!(["Running", 1, 2, 3, "suspend", 4, 5, "a", "b"])),
    ]
}

/// Shows all of a status: no time that was read may stop that.
fn show(record: &Record) {
    let status = status(record);
    let _ = (format!("{status:?}"), status.since(), serde_json::to_string(&status).unwrap());
}

proptest! {
    #[test]
    fn a_record_reads_back_as_it_was_written(record in records()) {
        let bytes = record.encode();
        let back = Record::decode(&bytes).unwrap();
        prop_assert_eq!(&back, &record);
        prop_assert_eq!(back.encode(), bytes);
        prop_assert_eq!(status(&back), status(&record));
    }

    #[test]
    fn additions_of_a_newer_minor_version_survive_a_merge(
        ours in records(),
        kinds in proptest::collection::btree_map("kind_[a-z]{1,3}", any_json(), 1..4),
        field in any_json(),
        minor in 1_u32..1000,
    ) {
        let mut theirs = value_of(&full());
        theirs["v"] = json!(format!("1.{minor}"));
        theirs["suspend"]["at"] = json!(2_000_000_000);
        theirs["suspend"]["new_field"] = field.clone();
        theirs["unsettled"]["seq"] = json!(1_000_000_000);
        theirs["unsettled"]["new_field"] = field.clone();
        theirs.extend(kinds.clone());
        let theirs = decode(&Value::Object(theirs)).unwrap();

        for merged in [join(&ours, &theirs), join(&theirs, &ours)] {
            let written = value_of(&Record::decode(&merged.encode()).unwrap());
            for (kind, value) in &kinds {
                prop_assert_eq!(&written[kind], value);
            }
            prop_assert_eq!(&written["suspend"]["new_field"], &field);
            prop_assert_eq!(&written["unsettled"]["new_field"], &field);
            let ours = value_of(&ours)["v"].as_str().unwrap().to_owned();
            let least = json!(format!("1.{}", minor.max(1)));
            prop_assert!(written["v"] == least || written["v"] == json!(ours));
        }
    }

    #[test]
    fn a_newer_major_version_is_refused_whatever_it_holds(
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
    fn any_json_in_any_place_is_read_or_refused(value in any_json(), place in 0_usize..300) {
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
            show(&read);
            prop_assert_eq!(&Record::decode(&read.encode()).unwrap(), &read);
        }
    }

    #[test]
    fn a_damaged_record_is_read_or_refused(at in any::<proptest::sample::Index>(), byte: u8) {
        let mut bytes = full().encode();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if let Ok(read) = Record::decode(&bytes) {
            show(&read);
            prop_assert_eq!(&Record::decode(&read.encode()).unwrap(), &read);
        }
    }

    #[test]
    fn fast_reader_agrees_with_the_general_one(
        record in records(),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut bytes = record.encode();
        prop_assert_eq!(Record::decode(&bytes), Record::decode_any(&bytes));
        for (at, byte) in damage {
            let place = at.index(bytes.len());
            bytes[place] = byte;
            prop_assert_eq!(Record::decode(&bytes), Record::decode_any(&bytes));
        }
    }

    /// A value of any shape in any place, and such that serde takes for one of another type.
    #[test]
    fn fast_reader_agrees_on_values_of_any_type(
        value in prop_oneof![any_json(), odd_values()],
        kind in select(KINDS.to_vec()),
        field in option::of(select(FIELDS.to_vec())),
    ) {
        let mut record = Map::from_iter([("v".to_owned(), json!("1.1"))]);
        record.insert(kind.to_owned(), plain_fact(kind));
        match field {
            Some(field) => record[kind][field] = value,
            None => _ = record.insert(kind.to_owned(), value),
        }
        let bytes = Value::Object(record).to_string().into_bytes();
        prop_assert_eq!(Record::decode(&bytes), Record::decode_any(&bytes));
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
        placed(ChangeType::Suspend, 1_700_000_000, 2),
        notified(ChangeType::Other(9), -1),
        settled(State::OnlineMaintenance, 4, Some((OpenClose::Suspend, 1_700_000_000))),
        unsettled(State::Suspended, 5, None),
        overridden(OverrideAction::Close, 3, Some(20)),
    ]);
    let expected = json!({
        "v": "1.1",
        "suspend": { "at": 1_700_000_000, "seen": 1000, "place": 2, "version": "", "file": "" },
        "other": { "number": 9, "at": -1, "seen": 1000, "version": "", "file": "" },
        "settled_running": { "state": "OnlineMaintenance", "seq": 4, "knew": "suspend",
            "knew_at": 1_700_000_000, "known": 0, "since": 2000 },
        "unsettled": { "state": "Suspended", "seq": 5, "known": 0, "since": 2000 },
        "operator": { "order": "close", "number": 3, "set_at": 3000, "until": 20, "note": "" },
    });
    assert_eq!(Value::Object(value_of(&record)), expected);
    assert_eq!(decode(&expected), Ok(record));
    assert_eq!(Record::default().encode(), br#"{"v":"1.1"}"#);
    assert_eq!(Record::decode(br#"{"v":"1.1"}"#), Ok(Record::default()));
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
        "resume",
        "settled_deleted",
        "settled_not_ready",
        "settled_running",
        "settled_suspended",
        "settled_upgrading",
        "suspend",
        "unsettled",
        "upgrade",
        "v",
    ];
    assert_eq!(keys, expected);
    assert_eq!(Record::decode(&full().encode()).unwrap(), full());
}

#[test]
fn a_record_of_1_0_keeps_notifications_and_overrides() {
    let old = json!({
        "v": "1.0",
        "suspend": { "at": 5, "seen": 30, "version": "", "file": "" },
        "resume": { "at": 5, "seen": 20, "version": "", "file": "" },
        "delete": { "at": 4, "seen": 90, "version": "", "file": "" },
        "pull_running": { "asked": 99, "since": 99, "state": "Running" },
        "pull_deleted": "anything",
        "operator": { "order": "close", "set_at": 9, "note": "n" },
    });
    let record = decode(&old).unwrap();
    let place = |change| record.notified(change).unwrap().place();
    assert_eq!([ChangeType::Resume, ChangeType::Suspend, ChangeType::Delete].map(place), [1, 2, 1]);
    assert_eq!(record.pulls().count(), 0);
    assert_eq!(record.latest_override().unwrap().order, 1);
    assert_eq!(status(&record).reason(), Some(UnavailableReason::Operator));
    let written = value_of(&record);
    assert_eq!(written["v"], json!("1.1"));
    assert!(written.keys().all(|key| !key.starts_with("pull_")), "{written:?}");
    assert_eq!(Record::decode(&record.encode()), Ok(record));
}

#[test]
fn a_missing_or_misshapen_field_is_named_by_its_part() {
    let parts = [
        ("upgrade", &["at", "seen", "version", "file"][..], &["place", "endpoint"][..]),
        ("other", &["at", "seen", "version", "file", "number"], &["place"]),
        ("settled_running", &["state", "seq", "known", "since", "knew", "knew_at"], &["fresh"]),
        ("unsettled", &["state", "seq", "known", "since"], &["endpoint", "version"]),
        ("operator", &["set_at", "order", "note"], &["number", "until"]),
    ];
    for (part, fields, optional) in parts {
        for field in fields.iter().chain(optional) {
            let mut record = value_of(&full());
            record[part].as_object_mut().unwrap().remove(*field);
            if fields.contains(field) {
                let read = decode(&Value::Object(record.clone()));
                assert_eq!(read, Err(DecodeError::Malformed { part }), "{part}.{field}");
            }
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
fn numbers_and_times_out_of_range_are_malformed() {
    const YEAR_10000: i64 = 253_402_300_800;
    for (part, field, last, beyond) in [
        ("suspend", "at", json!(YEAR_10000 - 1), json!(YEAR_10000)),
        ("suspend", "at", json!(-62_135_596_800_i64), json!(-62_135_596_801_i64)),
        ("suspend", "at", json!(0), json!(i64::MAX)),
        ("suspend", "at", json!(0), json!(u64::MAX)),
        ("suspend", "seen", json!(YEAR_10000 * 1000 - 1), json!(YEAR_10000 * 1000)),
        ("suspend", "seen", json!(0), json!(-1)),
        ("suspend", "place", json!(65_535), json!(65_536)),
        ("suspend", "place", json!(1), json!(0)),
        ("other", "number", json!(u32::MAX), json!(u64::from(u32::MAX) + 1)),
        ("other", "number", json!(6), json!(5)),
        ("unsettled", "seq", json!(u32::MAX / 2), json!(u32::MAX / 2 + 1)),
        ("unsettled", "seq", json!(1), json!(0)),
        ("unsettled", "known", json!(u32::MAX), json!(u64::MAX)),
        ("unsettled", "fresh", json!(65_535), json!(65_536)),
        ("unsettled", "since", json!(YEAR_10000 * 1000 - 1), json!(u64::MAX)),
        ("unsettled", "knew_at", json!(YEAR_10000 - 1), json!(YEAR_10000)),
        ("unsettled", "knew", json!("upgrade"), json!("move")),
        ("unsettled", "state", json!("Deleting"), json!("Unknown")),
        ("settled_running", "state", json!("OnlineMaintenance"), json!("Suspended")),
        ("operator", "number", json!(u32::MAX / 2), json!(u32::MAX)),
        ("operator", "set_at", json!(0), json!(YEAR_10000 * 1000)),
        ("operator", "until", json!(YEAR_10000 * 1000 - 1), json!(u64::MAX)),
        ("operator", "order", json!("open"), json!("reopen")),
    ] {
        let mut record = value_of(&full());
        record[part][field] = last;
        let read = decode(&Value::Object(record.clone()));
        show(&read.unwrap_or_else(|error| panic!("{part}.{field}: {error}")));
        record[part][field] = beyond;
        let read = decode(&Value::Object(record));
        assert_eq!(read, Err(DecodeError::Malformed { part }), "{part}.{field}");
    }
}

#[test]
fn a_record_at_the_end_of_every_count_can_go_on() {
    let knew = Some((OpenClose::Suspend, 5));
    let mut record = record_of(&[
        placed(ChangeType::Suspend, 5, u16::MAX),
        settled(State::Suspended, u32::MAX / 2, knew),
        overridden(OverrideAction::Open, u32::MAX / 2, None),
    ]);
    record.insert(&record.next_override(
        OverrideAction::Close,
        String::new(),
        u64::MAX,
        Some(u64::MAX),
    ));
    record.record_notification(crate::status::notified::Notified::new(
        ChangeType::Resume,
        i64::MAX,
        u64::MAX,
        std::sync::Arc::default(),
    ));
    assert!(record.next_seq() <= u32::MAX / 2);
    assert_eq!(Record::decode(&record.encode()), Ok(record));
}

#[test]
fn a_record_without_a_readable_version_is_refused() {
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
fn errors_advise_and_reveal_nothing_of_the_record() {
    let newer = DecodeError::NewerSchema { major: 2 }.to_string();
    assert!(newer.contains("schema 2") && newer.contains("upgrade"), "{newer}");
    let record = br#"{"v":"1.0","suspend":{"at":"SECRET"}}"#;
    let malformed = Record::decode(record).unwrap_err().to_string();
    assert_eq!(malformed, "invalid record: malformed suspend");
}

#[test]
fn of_two_unknown_facts_the_later_stays() {
    let with = |fact: Value| decode(&json!({ "v": "1.2", "new": fact })).unwrap();
    for key in ["at", "seq"] {
        // The text of the earlier one is the greater: the number must count first.
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
    let mut record = with(4);
    assert!(!record.merge(&with(3)) && !record.merge(&with(0)));
    assert!(record.merge(&with(6)));
    assert_eq!(record.encode(), br#"{"v":"1.6"}"#);
}

/// Most of all records: if they were left to the general reader, a restart would take twice as
/// long.
#[test]
fn what_this_version_writes_is_plain() {
    let mut facts = full().facts().to_vec();
    facts.retain(|fact| !matches!(fact.slot(), Slot::Other | Slot::Override));
    let record = record_of(&facts);
    assert_eq!(record.facts().len(), 12);
    let mut interner = Interner::default();
    assert_eq!(decode_plain(&record.encode(), &mut interner), Some(record));
    assert_eq!(decode_plain(&full().encode(), &mut interner), None);
}

#[test]
fn oddly_written_records_read_as_the_general_reader_has_them() {
    for text in [
        r#"{"v":"1.1","suspend":{"at":1,"at":2,"seen":1,"version":"","file":""}}"#,
        r#"{"v":"1.1","v":"1.0","suspend":{"at":1,"seen":1,"version":"","file":""}}"#,
        r#"{"v":"1.1","suspend":null,"suspend":{"at":1,"seen":1,"version":"","file":""}}"#,
        r#"{"v":"01.01","suspend":{"at":1,"seen":1,"version":"","file":""}}"#,
        r#"{"v":"1.1","suspend":{"\u0061t":1,"seen":1,"version":"\u0061","file":"\ud83d\ude00"}}"#,
        r#"{"v":"1.1","suspend":{"at":-0,"seen":1,"version":"","file":""}}"#,
        r#"{"v":"1.1","suspend":{"at":1e0,"seen":1,"version":"","file":""}}"#,
        r#" { "v" : "1.1" , "suspend" : { "at" : 1 , "seen" : 1 , "version" : "" , "file" : "" } } "#,
        r#"{"v":"1.1","suspend":{"at":1,"seen":1,"version":"","file":""}} x"#,
        r#"["1.1"]"#,
        r#"{"v":"1.1"}"#,
        r#"{}"#,
    ] {
        let bytes = text.as_bytes();
        assert_eq!(Record::decode(bytes), Record::decode_any(bytes), "{text}");
    }
}
