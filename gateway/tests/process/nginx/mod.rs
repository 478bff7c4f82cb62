//! Debian's nginx: beside the gateway as the documentation has it, and instead of it.

mod auth_request;
mod compared;

use std::{
    io,
    process::{Child, Command, Stdio},
};

use harness::{Directory, skip, until};

/// A running nginx, killed on drop.
struct Nginx {
    process: Child,
    _directory: Directory,
}

impl Nginx {
    /// Starts one with `servers` in its `http` block, and waits until it listens on `address`.
    ///
    /// `None`, after a line on stderr, when there is no nginx.
    async fn start(servers: &str, address: &str) -> Option<Self> {
        let directory = Directory::new();
        let at = |name: &str| directory.join(name).display().to_string();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
            .concat();
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {};\nerror_log stderr error;\n\
             events {{ worker_connections 128; }}\n\
             http {{\naccess_log off;\n{paths}{servers}\n}}\n",
            at("pid"),
        );
        std::fs::write(directory.join("nginx.conf"), configuration).unwrap();
        let (configuration, prefix) = (at("nginx.conf"), at(""));
        let started = Command::new("nginx")
            .args(["-e", "stderr", "-p", &prefix, "-c", &configuration])
            .stdin(Stdio::null())
            .spawn();
        let process = match started {
            Ok(process) => process,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                skip("nginx");
                return None;
            }
            Err(error) => panic!("nginx can't be started: {error}"),
        };
        let mut nginx = Self { process, _directory: directory };
        until!({
            assert!(nginx.process.try_wait().unwrap().is_none(), "nginx ended");
            tokio::net::TcpStream::connect(address).await.is_ok()
        });
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
