//! The parser beside a plain reading of the same bytes by serde_json.

use std::{cell::Cell, time::Instant};

use proptest::{prelude::*, sample::select};
use serde_json::Map;

use super::*;

/// Reads `text` as the rules say, with serde_json, which keeps the last of two equal keys: then the
/// value has fewer members than the text has colons.
fn plain(text: &[u8]) -> Option<Map<String, serde_json::Value>> {
    let value: serde_json::Value = serde_json::from_slice(text).ok()?;
    let is_repeated = count_members(&value) != count_colons(text);
    match with_doubles(value) {
        serde_json::Value::Object(map) if !is_repeated => Some(map),
        _ => None,
    }
}

fn plain_ignoring_case(text: &[u8]) -> Option<Map<String, serde_json::Value>> {
    let map = plain(text)?;
    let mut keys: Vec<String> = map.keys().map(|key| key.to_ascii_lowercase()).collect();
    keys.sort();
    keys.dedup();
    (keys.len() == map.len()).then_some(map)
}

/// Makes doubles of negative integers, which the parser keeps as such.
fn with_doubles(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Number(number) if number.as_u64().is_none() => {
            serde_json::Number::from_f64(number.as_f64().unwrap()).unwrap().into()
        }
        serde_json::Value::Array(items) => items.into_iter().map(with_doubles).collect(),
        serde_json::Value::Object(map) => {
            let map = map.into_iter().map(|(key, value)| (key, with_doubles(value)));
            serde_json::Value::Object(map.collect())
        }
        other => other,
    }
}

fn count_members(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => items.iter().map(count_members).sum(),
        serde_json::Value::Object(map) => {
            map.len() + map.values().map(count_members).sum::<usize>()
        }
        _ => 0,
    }
}

fn count_colons(text: &[u8]) -> usize {
    let (mut in_string, mut is_escaped, mut colons) = (false, false, 0);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b':' if !in_string => colons += 1,
            _ => {}
        }
    }
    colons
}

/// Builds everything that `object` holds.
fn built(object: Object<'_>) -> Map<String, serde_json::Value> {
    object.into_iter().map(|(key, value)| (key.into_owned(), build(&value))).collect()
}

fn build(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(Number::Natural(number)) => (*number).into(),
        Value::Number(Number::Real(number)) => {
            serde_json::Number::from_f64(*number).unwrap().into()
        }
        Value::String(text) => (&**text).into(),
        Value::Array(items) => items.iter().map(build).collect(),
        Value::Object(object) => built(object.clone()).into(),
    }
}

/// Compares both readings, and returns whether the text was accepted.
fn agree(text: &[u8]) -> bool {
    assert_eq!(object(text).map(built), plain(text), "{}", text.escape_ascii());
    let lenient = object_ignoring_case(text).map(built);
    assert_eq!(lenient, plain_ignoring_case(text), "{}", text.escape_ascii());
    lenient.is_some()
}

fn key() -> impl Strategy<Value = String> {
    let few =
        vec!["a", "A", "\\u0061", "\\u0041", "b", "", "\\\"", "\\\\", "\u{e9}", "\\u00e9", ":"];
    prop_oneof![8 => select(few).prop_map(str::to_owned), 1 => "[ab]{1,20}", 2 => "[a-z]{2,4}"]
}

fn scalar() -> impl Strategy<Value = String> {
    let fixed = vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1.5e3",
        "1E-7",
        "0.0",
        "1e308",
        "0e999",
        "1e-999",
        "18446744073709551615",
        "18446744073709551616",
        "9007199254740993",
        "-9223372036854775809",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "1e+",
        "0x1",
        "1_0",
        "NaN",
        "Infinity",
        "nul",
        "truE",
        "'a'",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83d\\ud83d\"",
        "\"\\u12\"",
        "\"\\x\"",
        "\"\t\"",
        "\"\\t\\/\"",
        "\"\u{7f}\u{1f600}\"",
        "\"",
        "",
        "[",
        "}",
        "//",
    ];
    let text = "[ -~]{0,40}".prop_map(|text| serde_json::Value::from(text).to_string());
    let number = any::<f64>().prop_filter("JSON has no other", |number| number.is_finite());
    let good =
        select(vec!["null", "true", "0", "-1.5e3", "\"x\"", "\"\\u00e9\"", "18446744073709551616"]);
    prop_oneof![
        12 => good.prop_map(str::to_owned),
        2 => select(fixed).prop_map(str::to_owned),
        3 => text,
        2 => any::<i64>().prop_map(|number| number.to_string()),
        2 => number.prop_map(|number| format!("{number:e}")),
    ]
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![12 => Just(String::new()), 3 => "[ \n\r\t]{1,3}", 1 => select(vec!["\u{b}", "\u{a0}", "\0"])
        .prop_map(str::to_owned)]
}

fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            (space(), prop::collection::vec(inner.clone(), 0..4))
                .prop_map(|(space, items)| format!("[{}]", items.join(&format!("{space},")))),
            members(inner, 0..4),
        ]
    })
}

fn members(
    value: impl Strategy<Value = String>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = String> {
    let member = (key(), space(), value)
        .prop_map(|(key, space, value)| format!("\"{key}\"{space}:{space}{value}"));
    (space(), prop::collection::vec(member, count))
        .prop_map(|(space, members)| format!("{{{space}{}{space}}}", members.join(",")))
}

#[test]
fn generated_texts_are_read_as_serde_json_reads_them() {
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    let texts =
        prop_oneof![3 => members(value(), 0..5), 1 => members(value(), 0..40), 1 => value()];
    let outer = (space(), texts, space());
    proptest!(ProptestConfig::with_cases(2000), |((before, text, after) in outer)| {
        let counter = if agree(format!("{before}{text}{after}").as_bytes()) { &accepted } else { &refused };
        counter.set(counter.get() + 1);
    });
    assert!(accepted.get() > 200 && refused.get() > 200, "{accepted:?} {refused:?}");
}

#[test]
fn damaged_texts_are_read_as_serde_json_reads_them() {
    let text =
        r#" {"Token":"e30.\u00e9\ud83d\ude00","a":[{"b":-1.5e3,"c":[]},null],"B":true,"":{}} "#;
    assert!(agree(text.as_bytes()));
    let special =
        select(b"\"\\{}[],:0123456789eE+-. \n\tuabBdD\x00\x1f\x7f\x80\xff\xc3\xa9".to_vec());
    let change = (any::<prop::sample::Index>(), special, any::<prop::sample::Index>(), 0..4_u8);
    proptest!(ProptestConfig::with_cases(8_000), |((at, by, other, kind) in change)| {
        let mut bytes = text.as_bytes().to_vec();
        let (at, other) = (at.index(bytes.len()), other.index(bytes.len()));
        match kind {
            0 => bytes[at] = by,
            1 => bytes.insert(at, by),
            2 => bytes.truncate(at),
            _ => bytes.swap(at, other),
        }
        agree(&bytes);
    });
}

#[test]
fn one_object_without_repeated_keys_is_accepted() {
    for (text, ok) in [
        (r#"{}"#, true),
        (" {\"a\":{\"a\":[{\"a\":1}]}} \n", true),
        (r#"{"a":1,"a":1}"#, false),
        (r#"{"a":1,"\u0061":1}"#, false),
        (r#"{"x":[0,{"y":{"b":1,"b":2}}]}"#, false),
        (r#"{"x":{"a":{"a":1,"b":2},"b":{"a":1}},"a":1}"#, true),
        (r#"{} {}"#, false),
        (r#"[]"#, false),
        ("\u{feff}{}", false),
        ("", false),
        (r#"{"a":NaN}"#, false),
        (r#"{"a":1,}"#, false),
        (r#"{,}"#, false),
        (r#"{"a":[1,]}"#, false),
    ] {
        assert_eq!(object(text.as_bytes()).is_some(), ok, "{text}");
        assert_eq!(agree(text.as_bytes()), ok, "{text}");
    }
    assert!(!agree(b"{\"a\":\"\xff\"}") && !agree(b"{\"a\":\"\xed\xa0\x80\"}"));
}

#[test]
fn keys_of_the_object_itself_are_compared_ignoring_case() {
    for (text, ok) in [
        (r#"{}"#, true),
        (r#"{"a":1,"b":{"c":1,"C":2},"ab":3}"#, true),
        (r#"{"a":1,"A":2}"#, false),
        (r#"{"Token":1,"x":0,"y":0,"tOKEN":2}"#, false),
        (r#"{"a":1,"\u0041":2}"#, false),
        (r#"{"\u00e9":1,"\u00c9":2}"#, true),
        (r#"{"b":{"c":1,"c":2}}"#, false),
    ] {
        assert_eq!(agree(text.as_bytes()), ok, "{text}");
    }
}

#[test]
fn number_beyond_a_double_is_refused() {
    let long = "9".repeat(400);
    for (number, is_finite) in [
        ("1e999", false),
        ("-1e999", false),
        ("1.8e308", false),
        (&*long, false),
        ("1.7976931348623157e308", true),
        ("1e-999", true),
        ("0e999", true),
        (&long[..300], true),
    ] {
        for text in [format!(r#"{{"a":{number}}}"#), format!(r#"{{"a":[{{"b":{number}}}]}}"#)] {
            assert_eq!(agree(text.as_bytes()), is_finite, "{text}");
            assert_eq!(object(text.as_bytes()).is_some(), is_finite, "{text}");
        }
    }
}

#[test]
fn byte_order_mark_is_stripped_once_and_at_the_start() {
    let strip = |text: &'static str| str::from_utf8(strip_bom(text.as_bytes())).unwrap();
    assert_eq!(strip("\u{feff}{}"), "{}");
    assert_eq!(strip("\u{feff}\u{feff}{}"), "\u{feff}{}");
    assert_eq!((strip("{}\u{feff}"), strip("{}"), strip("")), ("{}\u{feff}", "{}", ""));
}

#[test]
fn deep_nesting_is_refused_at_the_level_of_serde_json() {
    for levels in [1, 125, 126, 127, 128, 8000] {
        for (open, inner, close) in [("[", "", "]"), ("{\"a\":", "0", "}"), ("[{\"a\":", "0", "}]")]
        {
            let text = format!("{{\"a\":{}{inner}{}}}", open.repeat(levels), close.repeat(levels));
            let nested = levels * (open.len().div_ceil(5));
            assert_eq!(agree(text.as_bytes()), nested <= 126, "{levels} of {open}");
        }
    }
}

/// With keys compared one by one, twenty times as many in one object would take twenty times as
/// long as in twenty.
#[test]
fn time_of_many_keys_grows_with_their_number() {
    let text = |count: usize| {
        let keys: Vec<String> = (0..count).map(|n| format!("\"key{n:08}\":0")).collect();
        format!("{{\"a\":[{{{}}}]}}", keys.join(","))
    };
    let time = |text: &str, times: usize| {
        let started = Instant::now();
        for _ in 0..times {
            assert!(object_ignoring_case(text.as_bytes()).is_some());
        }
        started.elapsed()
    };
    let (few, many) = (text(1000), text(20_000));
    let rounds: Vec<_> = (0..5).map(|_| (time(&few, 20), time(&many, 1))).collect();
    let few = rounds.iter().map(|(few, _)| few).min().unwrap();
    let many = rounds.iter().map(|(_, many)| many).min().unwrap();
    assert!(*many < *few * 6, "{few:?} {many:?}");
}
