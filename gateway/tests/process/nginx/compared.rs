//! The gateway and nginx's `proxy_pass`, with the same requests in front of the same server.

use std::{collections::BTreeMap, time::Duration};

use harness::free_port;
use tokio::time::timeout;

use super::Nginx;
use crate::wire::{
    peer::{Peer, Received, header},
    upstream::{Conversation, Upstream},
};

/// Headers of one connection, and those that name the program.
const LEFT_OUT: [&str; 9] = [
    "connection",
    "content-length",
    "date",
    "host",
    "keep-alive",
    "server",
    "transfer-encoding",
    "user-agent",
    "via",
];

/// End-to-end headers in the order of their names; equal ones in the order in which they came.
fn end_to_end(head: &str) -> BTreeMap<String, Vec<String>> {
    let mut fields = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(':')) {
        let name = name.to_ascii_lowercase();
        if !LEFT_OUT.contains(&&*name) {
            fields.entry(name).or_default().push(value.trim().to_owned());
        }
    }
    fields
}

/// Reads the content of a request; its chunks are put together.
async fn content(conversation: &mut Conversation, head: &str) -> Vec<u8> {
    if let Some(length) = header(head, "content-length") {
        return conversation.body(length.parse().unwrap()).await;
    }
    let mut content = Vec::new();
    if header(head, "transfer-encoding").is_some() {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.extend(conversation.body(1).await);
            }
            let size = usize::from_str_radix(str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            let mut chunk = conversation.body(size + 2).await;
            chunk.truncate(size);
            if size == 0 {
                break;
            }
            content.extend(chunk);
        }
    }
    content
}

/// The response that the last segment of a path names; else one that describes the request.
fn response(head: &str, content: &[u8]) -> String {
    let line = head.lines().next().unwrap();
    let target = line.split(' ').nth(1).unwrap();
    let name = target.split('?').next().unwrap().rsplit('/').next().unwrap();
    match name {
        "no-content" => "HTTP/1.1 204 No Content\r\nx: 1\r\n\r\n".to_owned(),
        "not-modified" => "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n".to_owned(),
        "redirect" => "HTTP/1.1 302 Found\r\nlocation: http://other.example/Cust1/x\r\n\
            content-length: 0\r\n\r\n"
            .to_owned(),
        "not-found" => "HTTP/1.1 404 Nowhere\r\ncontent-length: 4\r\n\r\ngone".to_owned(),
        "failure" => "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops".to_owned(),
        "unavailable" => {
            "HTTP/1.1 503 Later\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        "unauthorized" => "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer a, Basic b\r\n\
            www-authenticate: SOTicket\r\ncontent-length: 0\r\n\r\n"
            .to_owned(),
        "cookies" => "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2; path=/\r\n\
            content-length: 0\r\n\r\n"
            .to_owned(),
        "chunks" => {
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                .to_owned()
        }
        "hops" => {
            "HTTP/1.1 200 OK\r\nkeep-alive: timeout=9\r\nx-kept: 1\r\ncontent-length: 0\r\n\r\n"
                .to_owned()
        }
        _ => {
            let (method, _) = line.split_once(' ').unwrap();
            let content = String::from_utf8_lossy(content);
            let told = format!("{method} {target} {:?} {content}", end_to_end(head));
            let length = told.len();
            format!(
                "HTTP/1.1 200 OK\r\nx-method: {method}\r\ncontent-length: {length}\r\n\r\n{told}"
            )
        }
    }
}

/// Requests: method, target, and all that follows the line with the host.
const SAME: &[(&str, &str, &str)] = &[
    ("GET", "/Cust1/echo", ""),
    ("GET", "/Cust1/echo?a=b&c=%20d/e?f", "x-one: 1\r\naccept: a, b\r\naccept: c\r\n"),
    ("GET", "/Cust1/a%20b%2Fc/%C3%A9/echo", "authorization: Bearer x\r\nso-apptoken: y\r\n"),
    ("GET", "/Cust1//a/./echo", ""),
    ("GET", "/Cust1/echo", "te: trailers\r\nkeep-alive: 5\r\nconnection: keep-alive\r\n"),
    ("GET", "/Cust1/echo", "upgrade: websocket\r\nconnection: upgrade\r\n"),
    ("GET", "/Cust1/echo", "range: bytes=0-5\r\nif-none-match: \"a\", \"b\"\r\n"),
    ("GET", "/Cust1/echo", "max-forwards: 0\r\n"),
    ("HEAD", "/Cust1/echo", ""),
    ("POST", "/Cust1/echo", "content-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"),
    ("POST", "/Cust1/echo", "transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n"),
    ("POST", "/Cust1/echo", ""),
    ("PUT", "/Cust1/echo", "content-length: 0\r\n"),
    ("PATCH", "/Cust1/echo", "content-length: 2\r\n\r\n[]"),
    ("DELETE", "/Cust1/echo", ""),
    ("OPTIONS", "/Cust1/echo", "origin: http://a.example\r\n"),
    ("PROPFIND", "/Cust1/echo", "depth: 1\r\n"),
    ("GET", "/Cust1/no-content", ""),
    ("GET", "/Cust1/not-modified", "if-none-match: \"1\"\r\n"),
    ("GET", "/Cust1/redirect", ""),
    ("GET", "/Cust1/not-found", ""),
    ("GET", "/Cust1/failure", ""),
    ("GET", "/Cust1/unavailable", ""),
    ("GET", "/Cust1/unauthorized", ""),
    ("GET", "/Cust1/cookies", ""),
    ("GET", "/Cust1/chunks", ""),
    ("HEAD", "/Cust1/not-found", ""),
    ("GET", "/Cust1/hops", ""),
];

/// Requests that each of the two refuses by itself, with words of its own. Responses with two
/// lengths are not among them: nginx refuses them since 1.23 only.
const REFUSED: &[(&str, &str, &str, u16)] = &[
    ("GET", "/Cust1/echo", "host: g\r\n", 400),
    ("GET", "/Cust1/echo", "content-length: 1\r\ncontent-length: 2\r\n\r\nab", 400),
    ("GET", "/Cust1/echo", "content-length: x\r\n", 400),
    ("GET", "/Cust1/echo", "x : y\r\n", 400),
    ("POST", "/Cust1/echo", "transfer-encoding: gzip, chunked\r\n\r\n0\r\n", 501),
    ("TRACE", "/Cust1/echo", "", 405),
];

async fn ask(address: &str, (method, target, rest): (&str, &str, &str)) -> Received {
    let mut peer = Peer::connect_to(address).await;
    let received = timeout(Duration::from_secs(10), peer.call(method, target, rest)).await;
    received.unwrap_or_else(|_| panic!("{address}: {method} {target} {rest:?}"))
}

#[tokio::test]
async fn gateway_and_nginx_answer_the_same() {
    let upstream = Upstream::start(async |mut conversation| {
        while let Some(head) = conversation.head().await {
            let content = content(&mut conversation, &head).await;
            let response = response(&head, &content);
            let (head_alone, _) = response.split_once("\r\n\r\n").unwrap();
            if head.starts_with("HEAD ") {
                conversation.send(format!("{head_alone}\r\n\r\n")).await;
            } else {
                conversation.send(response).await;
            }
        }
    })
    .await;
    let listen = format!("127.0.0.1:{}", free_port());
    let server = format!(
        "server {{ listen {listen}; client_max_body_size 0; underscores_in_headers on;\n\
         location / {{ proxy_pass {}; proxy_http_version 1.1; proxy_redirect off;\n\
         proxy_request_buffering off; proxy_set_header Connection \"\"; }} }}",
        upstream.url(),
    );
    let Some(_nginx) = Nginx::start(&server, &listen).await else { return };
    let gateway = upstream.gateway(&[]).await;
    let gateway = gateway.url("/").authority().unwrap().to_string();
    let mut differing = Vec::new();
    for request in SAME {
        let (own, nginx) = (ask(&gateway, *request).await, ask(&listen, *request).await);
        let seen = |received: &Received| {
            let body = String::from_utf8_lossy(&received.body).into_owned();
            (received.status(), end_to_end(&received.head), body, received.complete)
        };
        if seen(&own) != seen(&nginx) {
            differing.push(format!("{request:?}\n  {:?}\n  {:?}", seen(&own), seen(&nginx)));
        }
    }
    for &(method, target, rest, status) in REFUSED {
        let request = (method, target, rest);
        let own = ask(&gateway, request).await.status();
        let nginx = ask(&listen, request).await.status();
        if (own, nginx) != (status, status) {
            differing.push(format!("{request:?} {status}: {own}, nginx {nginx}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
