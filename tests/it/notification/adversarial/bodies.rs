//! Bodies around a genuine token.

use serde_json::{Value, json};
use tower_superoffice::notification::Refusal;

use super::env::AdversarialEnv;

pub(crate) const CASES: usize = TEXTS + FIELDS;
const TEXTS: usize = 28;
const FIELDS: usize = 40;

#[tokio::test]
async fn body_other_than_one_object_is_refused() {
    let env = AdversarialEnv::new().await;
    let good = String::from_utf8(env.resume().body().to_vec()).unwrap();
    let put = |start: &str| good.replacen('{', start, 1).into_bytes();
    let utf16 = |big: bool| -> Vec<u8> {
        let unit = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        good.encode_utf16().flat_map(unit).collect()
    };
    let cases: [(&str, Vec<u8>); TEXTS] = [
        ("nothing", Vec::new()),
        ("white space", b" \r\n\t".to_vec()),
        ("null", b"null".to_vec()),
        ("a NUL before", format!("\0{good}").into_bytes()),
        ("a list", format!("[{good}]").into_bytes()),
        ("twice", good.repeat(2).into_bytes()),
        ("cut", good.as_bytes()[..good.len() - 1].to_vec()),
        ("two BOMs", format!("\u{feff}\u{feff}{good}").into_bytes()),
        ("a BOM in the middle", put("{\u{feff}")),
        ("half a BOM", [b"\xef\xbb", good.as_bytes()].concat()),
        ("UTF-16 LE", utf16(false)),
        ("UTF-16 BE", utf16(true)),
        ("invalid UTF-8", [b"{\"x\":\"\xff\",", &good.as_bytes()[1..]].concat()),
        ("an overlong slash", [b"{\"x\":\"\xc0\xaf\",", &good.as_bytes()[1..]].concat()),
        ("a surrogate in UTF-8", [b"{\"x\":\"\xed\xa0\x80\",", &good.as_bytes()[1..]].concat()),
        ("half a surrogate pair", put(r#"{"x":"\ud800","#)),
        ("ChangeType twice", put(r#"{"ChangeType":3,"#)),
        ("Token twice", put(r#"{"Token":"","#)),
        ("Token twice, in two cases", put(r#"{"tOkEn":"","#)),
        ("ChangeType twice, in two cases", put(r#"{"changetype":3,"#)),
        ("a novelty twice, in two cases", put(r#"{"novelty":3,"Novelty":3,"#)),
        ("tenant twice, in two cases, escaped", put(r#"{"\u0063ontextIdentifier":"Cust2","#)),
        ("tenant twice, escaped", put(r#"{"Conte\u0078tIdentifier":"Cust1","#)),
        ("twice, deep down", put(r#"{"x":[[{"y":{"z":1,"z":1}}]],"#)),
        ("deep", put(&format!("{{\"x\":{}{},", "[".repeat(5000), "]".repeat(5000)))),
        ("deep and never closed", "{\"x\":".repeat(2500).into_bytes()),
        ("a comment", put("{/* */")),
        ("a comma too many", good.replace('}', ",}").into_bytes()),
    ];
    for (case, body) in cases {
        env.refuses(case, body, Refusal::Malformed).await;
    }
    env.refuses("too large", vec![b'{'; 16 * 1024 + 1], Refusal::BodyTooLarge).await;
    env.still_works().await;
}

#[tokio::test]
async fn field_of_a_wrong_type_is_refused() {
    let env = AdversarialEnv::new().await;
    let tenant = "ContextIdentifier";
    let cases: [(&str, Value); FIELDS] = [
        ("ChangeType", json!(-1)),
        ("ChangeType", json!(3.0)),
        ("ChangeType", json!(3.5)),
        ("ChangeType", json!(4_294_967_296_u64)),
        ("ChangeType", json!(u64::MAX)),
        ("ChangeType", json!(i64::MIN)),
        ("ChangeType", json!(1e300)),
        ("ChangeType", json!("-3")),
        ("ChangeType", json!("+3")),
        ("ChangeType", json!("3 ")),
        ("ChangeType", json!("3.0")),
        ("ChangeType", json!("0x3")),
        ("ChangeType", json!("4294967296")),
        ("ChangeType", json!("18446744073709551619")),
        ("ChangeType", json!("\u{663}")),
        ("ChangeType", json!("Resume\u{0}")),
        ("ChangeType", json!("Re\u{17f}ume")),
        ("ChangeType", json!("Resumed")),
        ("ChangeType", json!("Other")),
        ("ChangeType", json!("")),
        ("ChangeType", json!(null)),
        ("ChangeType", json!(true)),
        ("ChangeType", json!([3])),
        ("ChangeType", json!({})),
        (tenant, json!(null)),
        (tenant, json!(1)),
        (tenant, json!(["Cust1"])),
        (tenant, json!({})),
        (tenant, json!("")),
        (tenant, json!(" Cust1")),
        (tenant, json!("Cust1\n")),
        (tenant, json!("Cust1\u{0}")),
        (tenant, json!("\u{421}ust1")),
        (tenant, json!("Cust\u{ff11}")),
        (tenant, json!("Cu\u{200b}st1")),
        (tenant, json!("Cu\u{17f}t1")),
        (tenant, json!("Cust1.")),
        (tenant, json!("../Cust1")),
        (tenant, json!("%43ust1")),
        (tenant, json!("a".repeat(65))),
    ];
    for (name, value) in cases {
        let body = env.resume().field(name, value.clone()).body();
        env.refuses(&format!("{name} {value}"), body, Refusal::Malformed).await;
    }
    for name in ["ChangeType", tenant] {
        env.refuses(name, env.resume().without_field(name).body(), Refusal::Malformed).await;
    }
    // NaN is no JSON, so no builder makes it.
    let good = String::from_utf8(env.resume().body().to_vec()).unwrap();
    for number in ["NaN", "Infinity", "-0", "+3", "03", "3e0", "0x3", "1e999"] {
        let body = good.replace("\"ChangeType\":3", &format!("\"ChangeType\":{number}"));
        assert_ne!(body, good);
        env.refuses(number, body, Refusal::Malformed).await;
    }
    env.still_works().await;
}
