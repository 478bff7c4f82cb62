//! A proxy on a socket, and the variables that name it.

use std::ffi::OsString;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;
use crate::http_client::{Fetch, FetchError, HttpsConfig};

fn rules(variables: &[(&str, &str)]) -> Result<Option<ProxyRules>, ProxyFault> {
    let value = |name: &str| variables.iter().find(|(key, _)| *key == name);
    ProxyRules::from_variables(|name| value(name).map(|(_, value)| OsString::from(value)))
}

/// The proxy of `uri`, as `scheme://host:port/`.
fn proxy_of(variables: &[(&str, &str)], uri: &str) -> Option<String> {
    let proxy = rules(variables).unwrap()?.intercept(&uri.parse().unwrap());
    proxy.map(|proxy| proxy.uri().to_string())
}

const URL: &str = "https://online.superoffice.com/login";

#[test]
fn first_variable_that_is_not_empty_names_the_proxy() {
    assert_eq!(proxy_of(&[], URL), None);
    assert_eq!(proxy_of(&[("HTTPS_PROXY", "")], URL), None);
    assert_eq!(proxy_of(&[("HTTP_PROXY", "http://other:1")], URL), None);
    let proxy = Some("http://proxy:3128/".to_owned());
    for name in PROXY {
        assert_eq!(proxy_of(&[(name, "http://proxy:3128")], URL), proxy, "{name}");
    }
    let both = [("ALL_PROXY", "http://other:1"), ("https_proxy", "proxy:3128")];
    assert_eq!(proxy_of(&both, URL), proxy);
}

#[test]
fn excepted_hosts_and_loopback_are_reached_directly() {
    let variables = |no| [("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", no)];
    for (no, proxied) in [
        ("", true),
        ("example.org, office.com", true),
        ("superoffice.com", false),
        ("example.org, .superoffice.com", false),
        ("*", false),
    ] {
        assert_eq!(proxy_of(&variables(no), URL).is_some(), proxied, "{no}");
    }
    for loopback in ["localhost", "LOCALHOST:9", "127.0.0.1:9", "127.9.9.9", "[::1]:9"] {
        assert_eq!(proxy_of(&variables(""), &format!("https://{loopback}/")), None, "{loopback}");
    }
}

#[test]
fn unusable_proxy_is_a_fault_and_no_direct_connection() {
    for (proxy, fault) in [
        ("http://", ProxyFault::Malformed),
        ("ftp://proxy", ProxyFault::Malformed),
        ("http://pro xy", ProxyFault::Malformed),
        ("/path", ProxyFault::Malformed),
        ("socks5://proxy:1080", ProxyFault::Scheme),
        ("socks5h://user:secret@proxy:1080", ProxyFault::Scheme),
    ] {
        assert_eq!(rules(&[("HTTPS_PROXY", proxy)]).unwrap_err(), fault, "{proxy}");
    }
}

#[test]
fn password_is_not_shown() {
    let rules = rules(&[("HTTPS_PROXY", "http://user:secret@proxy:3128")]).unwrap();
    let config = HttpsConfig { proxy: rules, ..HttpsConfig::default() };
    let shown = format!("{config:?}");
    assert!(shown.contains("proxy:3128"), "{shown}");
    assert!(!shown.contains("secret") && !shown.contains("dXNlcjpzZWNyZXQ"), "{shown}");
}

/// A proxy for one connection: it returns the head of the request that it answered.
async fn proxy(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let head = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap()
    });
    (address, head)
}

#[tokio::test]
async fn refusing_proxy_is_named_in_the_error_without_its_password() {
    for (userinfo, header) in [("", None), ("user:secret@", Some("Basic dXNlcjpzZWNyZXQ="))] {
        let (address, head) = proxy("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        let rules = rules(&[("HTTPS_PROXY", &format!("http://{userinfo}{address}"))]).unwrap();
        let config = HttpsConfig { proxy: rules, ..HttpsConfig::default() };
        let url = URL.parse().unwrap();
        let error = Fetch::https(config).unwrap().get(&url, "*/*").await.unwrap_err();
        assert!(matches!(error, FetchError::Exchange(_)));
        assert_eq!(error.to_string(), "the request failed at the proxy");
        let mut chain = format!("{error:?}");
        let mut source = error.source();
        while let Some(error) = source {
            chain += &error.to_string();
            source = error.source();
        }
        assert!(chain.contains("proxy authorization required"), "{chain}");
        assert!(!chain.contains("secret") && !chain.contains("dXNlcjpzZWNyZXQ"), "{chain}");

        let head = head.await.unwrap();
        assert!(head.starts_with("CONNECT online.superoffice.com:443 HTTP/1.1\r\n"), "{head}");
        let sent = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "));
        assert_eq!(sent, header, "{head}");
    }
}

#[tokio::test]
async fn unreachable_proxy_is_no_direct_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let rules = rules(&[("HTTPS_PROXY", &format!("http://{address}"))]).unwrap();
    let config = HttpsConfig { proxy: rules, ..HttpsConfig::default() };
    let error = Fetch::https(config).unwrap().get(&URL.parse().unwrap(), "*/*").await.unwrap_err();
    assert_eq!(error.to_string(), "the request failed at the proxy: connection refused");
}
