//! The table of answers, row by row and in its order, through the public service.

use bytes::Bytes;
use harness::TestEnv;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Map, Value, json};
use tower::ServiceExt;
use tower_superoffice::{ChangeType, TenantId, notification::EmptyBody, simulator::Notification};

type Call = Request<Full<Bytes>>;

const IDENTITY: &str = "http://schemes.superoffice.net/identity/";

/// A Suspend whose answer is under test.
struct Table {
    env: TestEnv,
}

impl Table {
    async fn new() -> Self {
        // Without pulls nothing changes a tenant but what is posted.
        Self { env: TestEnv::with(|builder| builder.state_api(false)).await }
    }

    fn suspend(&self) -> Notification {
        self.env.notification(ChangeType::Suspend)
    }

    /// The body of a genuine Suspend, as text.
    fn text(&self) -> String {
        String::from_utf8(self.suspend().body().to_vec()).unwrap()
    }

    /// The body of a genuine Suspend with other members.
    fn with(&self, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let Value::Object(mut members) = serde_json::from_str(&self.text()).unwrap() else {
            panic!("a body is an object")
        };
        change(&mut members);
        Value::Object(members).to_string()
    }

    /// The body of a genuine Suspend with one member renamed.
    fn renamed(&self, from: &str, to: &str) -> String {
        self.with(|members| {
            let value = members.remove(from).unwrap();
            members.insert(to.to_owned(), value);
        })
    }

    async fn answer(&self, call: Call) -> Response<EmptyBody> {
        self.env.gate.notification_service().oneshot(call).await.unwrap()
    }

    /// Expects `status`, and that no tenant changes.
    async fn refuses(&self, case: &str, call: Call, status: u16) -> Response<EmptyBody> {
        let before = self.env.gate.snapshot();
        let answer = self.answer(call).await;
        assert_eq!(answer.status(), status, "{case}");
        assert_eq!(self.env.gate.snapshot(), before, "{case}");
        answer
    }

    /// Expects 204, without any header that a refusal has.
    async fn accepts(&self, case: &str, body: impl Into<Bytes>) {
        let answer = self.answer(post(body)).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{case}");
        assert!(answer.headers().is_empty(), "{case}");
    }
}

fn post(body: impl Into<Bytes>) -> Call {
    Request::post("/any/path?code=1").body(Full::new(body.into())).unwrap()
}

fn with_header(mut call: Call, name: &'static str, value: &str) -> Call {
    call.headers_mut().append(name, value.parse().unwrap());
    call
}

#[tokio::test]
async fn other_method_is_405_with_allow() {
    let table = Table::new().await;
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "post"] {
        let mut call = post(table.text());
        *call.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = table.refuses(method, call, 405).await;
        assert_eq!(answer.headers()[header::ALLOW], "POST", "{method}");
    }
    let mut call = with_header(post(""), "content-length", "99999");
    *call.method_mut() = Method::HEAD;
    table.refuses("the method comes before the length", call, 405).await;
}

#[tokio::test]
async fn body_above_16_kib_is_413() {
    let table = Table::new().await;
    let padded = |length: usize| {
        let text = table.text();
        let padding = " ".repeat(length - text.len());
        text + &padding
    };
    let gzip = |call| with_header(call, "content-encoding", "gzip");
    let announced = |length| with_header(post(""), "content-length", length);
    for (case, call) in [
        ("announced", announced("16385")),
        ("announced beyond all numbers", announced("99999999999999999999999999")),
        ("sent", post(padded(16 * 1024 + 1))),
        ("announced, encoded", gzip(announced("16385"))),
        ("sent, encoded", gzip(post(padded(16 * 1024 + 1)))),
    ] {
        let answer = table.refuses(case, call, 413).await;
        assert_eq!(answer.headers()[header::CONNECTION], "close", "{case}");
    }
    table.accepts("16 KiB", padded(16 * 1024)).await;
}

#[tokio::test(start_paused = true)]
async fn body_that_is_not_whole_in_5_s_is_408() {
    let env = TestEnv::on_tokio_clock().await;
    for encoding in [None, Some("gzip")] {
        let frames = futures::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
        let mut call = Request::post("/").body(http_body_util::StreamBody::new(frames)).unwrap();
        if let Some(encoding) = encoding {
            call.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        }
        let start = tokio::time::Instant::now();
        let answer = env.gate.notification_service().oneshot(call).await.unwrap();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(answer.headers()[header::CONNECTION], "close");
        assert_eq!(start.elapsed(), std::time::Duration::from_secs(5));
    }
}

#[tokio::test]
async fn encoded_body_is_415() {
    let table = Table::new().await;
    for encoding in ["gzip", "deflate", "br", "GZIP", "identity, gzip", "gzip, identity", "x", "*"]
    {
        for (case, body) in [("genuine", table.text()), ("malformed", "{".to_owned())] {
            let call = with_header(post(body), "content-encoding", encoding);
            table.refuses(&format!("{encoding}, {case}"), call, 415).await;
        }
    }
    let twice = with_header(post(table.text()), "content-encoding", "identity");
    table.refuses("twice", with_header(twice, "content-encoding", "gzip"), 415).await;
    for encoding in ["identity", "Identity", "identity, identity", ""] {
        let call = with_header(post(table.text()), "content-encoding", encoding);
        let answer = table.answer(call).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{encoding:?}");
    }
}

#[tokio::test]
async fn malformed_notification_is_400() {
    let table = Table::new().await;
    let good = table.text();
    let start = |start: &str| good.replacen('{', start, 1);
    let member =
        |name: &str, value: Value| table.with(|members| _ = members.insert(name.to_owned(), value));
    let mut cases = vec![
        ("nothing".to_owned(), String::new()),
        ("a list".to_owned(), format!("[{good}]")),
        ("two objects".to_owned(), good.repeat(2)),
        ("two marks".to_owned(), format!("\u{feff}\u{feff}{good}")),
        ("a mark after a blank".to_owned(), format!(" \u{feff}{good}")),
        ("a mark alone".to_owned(), "\u{feff}".to_owned()),
        ("a key twice".to_owned(), start(r#"{"Token":"","#)),
        ("a key twice, deep down".to_owned(), start(r#"{"x":[{"y":1,"y":1}],"#)),
        ("a key twice in two cases".to_owned(), start(r#"{"token":"","#)),
        ("a key twice in two cases, escaped".to_owned(), start(r#"{"T\u004fKEN":"","#)),
        ("an unknown key twice in two cases".to_owned(), start(r#"{"novelty":1,"NOVELTY":2,"#)),
        ("no type".to_owned(), table.with(|members| _ = members.remove("ChangeType"))),
        ("no tenant".to_owned(), table.with(|members| _ = members.remove("ContextIdentifier"))),
        (
            "no token either".to_owned(),
            r#"{"ChangeType":-1,"ContextIdentifier":"Cust1"}"#.to_owned(),
        ),
        ("a webhook".to_owned(), r#"{"EventId":"1","ContextIdentifier":"Cust1"}"#.to_owned()),
    ];
    for change in [
        json!(-1),
        json!(4_294_967_296_u64),
        json!(2.0),
        json!(2.5),
        json!(null),
        json!(true),
        json!([2]),
        json!({}),
        json!(""),
        json!("-1"),
        json!("+2"),
        json!(" 2"),
        json!("2.0"),
        json!("0x2"),
        json!("4294967296"),
        json!("\u{662}"),
        json!("Other"),
        json!("Other(9)"),
        json!("Suspend "),
        json!("Suspended"),
        json!("\u{17f}uspend"),
    ] {
        cases.push((format!("ChangeType {change}"), member("ChangeType", change)));
    }
    for id in [json!(""), json!("Cust 1"), json!(1), json!(null), json!("Cust1.")] {
        cases.push((format!("ContextIdentifier {id}"), member("ContextIdentifier", id)));
    }
    for (case, body) in cases {
        table.refuses(&case, post(body), 400).await;
    }
}

#[tokio::test]
async fn spelling_that_changes_no_meaning_is_204() {
    let table = Table::new().await;
    let member =
        |name: &str, value: Value| table.with(|members| _ = members.insert(name.to_owned(), value));
    table.accepts("a byte order mark", format!("\u{feff}{}", table.text())).await;
    table.accepts("a mark, then blanks", format!("\u{feff} \r\n{}", table.text())).await;
    for name in ["ChangeType", "ContextIdentifier", "Token"] {
        for other in [name.to_lowercase(), name.to_uppercase(), camel_case(name)] {
            table.accepts(&other, table.renamed(name, &other)).await;
        }
    }
    let nested = json!({"Token": 1, "token": 2});
    table.accepts("two cases deep down", member("Novelty", nested)).await;
    for change in [
        json!(0),
        json!(4_294_967_295_u32),
        json!("2"),
        json!("4294967295"),
        json!("Suspend"),
        json!("sUSPEND"),
        json!("upgrade"),
        json!("BACKUPRESTORED"),
        json!("Resume"),
        json!("delete"),
        json!("move"),
    ] {
        table.accepts(&format!("ChangeType {change}"), member("ChangeType", change)).await;
    }
    for name in ["VersionName", "FileVersion", "PublicEndpoint"] {
        for value in [json!(null), json!(1), json!(false), json!([]), json!({}), json!("")] {
            table.accepts(&format!("{name} {value}"), member(name, value)).await;
        }
    }
}

fn camel_case(name: &str) -> String {
    name[..1].to_lowercase() + &name[1..]
}

#[tokio::test]
async fn change_type_by_name_acts_as_its_number_does() {
    let table = Table::new().await;
    for (change, open) in [("SUSPEND", false), ("resume", true), ("0", false), ("3", true)] {
        let body = table.with(|members| _ = members.insert("changetype".to_owned(), json!(change)));
        // The original key would be a second one.
        let mut members: Map<String, Value> = serde_json::from_str(&body).unwrap();
        members.remove("ChangeType");
        table.accepts(change, Value::Object(members).to_string()).await;
        assert_eq!(table.env.gate.check(&table.env.tenant).is_ok(), open, "{change}");
    }
}

#[tokio::test]
async fn invalid_token_is_401_with_fixed_challenge() {
    let table = Table::new().await;
    let good = || table.suspend();
    let other = TenantId::new("Cust2").unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    for (case, notification, description) in [
        ("absent", good().without_field("Token"), "there is no token"),
        ("null", good().with_token(Value::Null), "there is no token"),
        ("empty", good().with_token(""), "there is no token"),
        ("a number", good().with_token(1), "there is no token"),
        ("a list", good().with_token(json!([good().token()])), "there is no token"),
        ("8 KiB + 1", good().with_token("a".repeat(8193)), "the token is longer than 8 KiB"),
        ("8 KiB", good().with_token("a".repeat(8192)), "the token is malformed"),
        ("malformed", good().with_token("x.y"), "the token is malformed"),
        ("algorithm", good().header("alg", "HS256"), "the token is not signed with RS256"),
        (
            "key",
            good().header("kid", "00").without_header("x5t"),
            "the token names a key that is not known",
        ),
        ("signature", good().forged(), "the signature of the token is wrong"),
        (
            "issuer",
            good().issuer("https://evil.example"),
            "the issuer of the token is not accepted",
        ),
        ("audience", good().audience("another"), "the token is meant for another audience"),
        ("expired", good().issued_at(1_400_000_000), "the token has expired"),
        ("not yet valid", good().issued_at(now + 600), "the token is not valid yet"),
        (
            "living for more than an hour",
            good().claim("nbf", now - 60).claim("exp", now - 60 + 3601),
            "the token is valid for more than an hour",
        ),
        (
            "living for more than an hour since its issue",
            good().without_claim("nbf").claim("iat", now).claim("exp", now + 3541),
            "the token is valid for more than an hour",
        ),
        (
            "critical extensions",
            good().header("crit", json!(["exp"])),
            "the token requires extensions that are not supported",
        ),
        ("no tenant", good().without_claim(&format!("{IDENTITY}ctx")), "the token names no tenant"),
        ("a person's", good().claim("sub", "someone@example.com"), "the token speaks for a person"),
        (
            "a person's of another tenant",
            good().claim("upn", "someone").token_tenant(&other),
            "the token speaks for a person",
        ),
    ] {
        let answer = table.refuses(case, post(notification.body()), 401).await;
        let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        let expected =
            format!("Bearer error=\"invalid_token\", error_description=\"{description}\"");
        assert_eq!(challenge, expected, "{case}");
    }
    let hour = good().claim("nbf", now - 60).claim("exp", now - 60 + 3600);
    table.accepts("living for an hour", hour.body()).await;
}

#[tokio::test]
async fn token_without_a_key_to_verify_it_is_503() {
    let env = TestEnv::with(|builder| builder).await;
    env.simulator
        .key_server(tower_superoffice::simulator::Fault::Status(StatusCode::INTERNAL_SERVER_ERROR));
    let gate = tower_superoffice::TenantGate::builder(env.simulator.environment())
        .audience(env.simulator.application_id())
        // The refusal requests a pull, whose answer would be a record.
        .state_api(false)
        .build()
        .await
        .unwrap();
    let other = TenantId::new("Cust2").unwrap();
    let suspend = || env.notification(ChangeType::Suspend);
    for (case, notification, status) in [
        ("genuine", suspend(), 503),
        ("another tenant's", suspend().token_tenant(&other), 503),
        ("expired", suspend().issued_at(1_400_000_000), 401),
        ("a person's", suspend().claim("email", "someone@example.com"), 401),
        ("malformed", suspend().field("ChangeType", -1), 400),
    ] {
        let answer = harness::post(&gate, notification.body()).await;
        assert_eq!(answer.status(), status, "{case}");
        let retry_after = answer.headers().get(header::RETRY_AFTER);
        assert_eq!(retry_after.is_some(), status == 503, "{case}");
    }
    assert!(gate.snapshot().is_empty());
}

#[tokio::test]
async fn token_of_another_tenant_is_403_ignoring_case() {
    let table = Table::new().await;
    for id in ["Cust2", "Cust11", "Custl"] {
        let other = TenantId::new(id).unwrap();
        table.refuses(id, post(table.suspend().token_tenant(&other).body()), 403).await;
    }
    let upper = TenantId::new("CUST1").unwrap();
    table.accepts("in capitals", table.suspend().token_tenant(&upper).body()).await;
}
