//! Messages to the supervisor that started the process, as systemd's `sd_notify` sends them.

#[cfg(unix)]
use std::{env, ffi::OsStr, io, os::unix::net::UnixDatagram};

/// Names the socket of a supervisor that wants messages; without it none is sent.
#[cfg(unix)]
const SOCKET: &str = "NOTIFY_SOCKET";

/// Reports that calls are taken.
pub(crate) fn report_ready() {
    report("READY=1");
}

/// Reports that the process is about to end.
pub(crate) fn report_stopping() {
    report("STOPPING=1");
}

/// Sends `state`. The gateway works without its supervisor, so a failure is only logged.
#[cfg(unix)]
fn report(state: &'static str) {
    let Some(socket) = env::var_os(SOCKET) else { return };
    if let Err(error) = send(&socket, state) {
        tracing::warn!(%error, state, "supervisor not notified");
    }
}

#[cfg(not(unix))]
fn report(_state: &'static str) {}

#[cfg(unix)]
fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    // A supervisor that takes nothing holds up no call.
    sender.set_nonblocking(true)?;
    match abstract_address(socket) {
        Some(address) => sender.send_to_addr(state.as_bytes(), &address?)?,
        None => sender.send_to(state.as_bytes(), socket)?,
    };
    Ok(())
}

/// Returns the address of a socket whose name is no path: `@` stands for its first byte, a zero.
#[cfg(target_os = "linux")]
fn abstract_address(socket: &OsStr) -> Option<io::Result<std::os::unix::net::SocketAddr>> {
    use std::os::{
        linux::net::SocketAddrExt,
        unix::{ffi::OsStrExt, net::SocketAddr},
    };
    socket.as_bytes().strip_prefix(b"@").map(SocketAddr::from_abstract_name)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn abstract_address(_socket: &OsStr) -> Option<io::Result<std::os::unix::net::SocketAddr>> {
    None
}
