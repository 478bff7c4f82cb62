//! Targets of calls that are the gateway itself.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use axum::http::Uri;
use tokio::{net::lookup_host, time::timeout};

/// Time for a target's name to be resolved. A target that is not known by then is not refused: it
/// may be up later.
const RESOLVE: Duration = Duration::from_secs(2);

/// Whether connections to the host of `target` reach one of `listeners`, whichever way the host is
/// spelled.
pub(crate) async fn is_own(target: &Uri, listeners: &[SocketAddr]) -> bool {
    let Some(host) = target.host() else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = target.port_u16().unwrap_or(match target.scheme_str() {
        Some("https") => 443,
        _ => 80,
    });
    let Ok(Ok(addresses)) = timeout(RESOLVE, lookup_host((bare, port))).await else {
        return false;
    };
    let mut addresses = addresses;
    addresses.any(|address| listeners.iter().any(|listener| reaches(address, *listener)))
}

/// Whether connections to `address` arrive at `listener`.
fn reaches(address: SocketAddr, listener: SocketAddr) -> bool {
    if address.port() != listener.port() {
        return false;
    }
    let (target, own) = (address.ip().to_canonical(), listener.ip().to_canonical());
    // Systems connect to this machine for an address that is none.
    let target = match target {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        target => target,
    };
    if own.is_unspecified() { is_of_this_machine(target) } else { target == own }
}

/// Whether a socket can be bound to `address`.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn target_is_compared_by_address_and_port() {
        for (target, listener, is) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://127.1:8080", "127.0.0.1:8080", true),
            ("http://localhost:8080/x", "127.0.0.1:8080", true),
            ("http://0.0.0.0:8080", "127.0.0.1:8080", true),
            ("http://0.0.0.0:8080", "127.0.0.2:8080", false),
            ("http://127.9.9.9:8080", "0.0.0.0:8080", true),
            ("http://127.0.0.1:8080", "[::]:8080", true),
            ("http://[::ffff:127.0.0.1]:8080", "127.0.0.1:8080", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://127.0.0.1", "127.0.0.1:80", true),
            ("https://127.0.0.1", "127.0.0.1:443", true),
            ("https://127.0.0.1", "127.0.0.1:80", false),
            ("http://127.0.0.1:8081", "127.0.0.1:8080", false),
            ("http://127.0.0.2:8080", "127.0.0.1:8080", false),
            // For documentation: no machine has it.
            ("http://198.51.100.1:8080", "0.0.0.0:8080", false),
            ("http://name.invalid:8080", "0.0.0.0:8080", false),
        ] {
            let listeners = ["127.0.0.1:1".parse().unwrap(), listener.parse().unwrap()];
            assert_eq!(is_own(&target.parse().unwrap(), &listeners).await, is, "{target}");
        }
    }
}
