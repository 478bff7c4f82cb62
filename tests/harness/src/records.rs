//! Records as a store holds them.

use tower_superoffice::status::Record;

/// A record with one Suspend of token time `at`.
pub fn suspended(at: i64) -> Record {
    let seen = at * 1000;
    let record =
        format!(r#"{{"v":"1.0","suspend":{{"at":{at},"seen":{seen},"version":"","file":""}}}}"#);
    Record::decode(record.as_bytes()).expect("a valid record")
}
