//! The gate's own requests in a corporate network: through a proxy, to a server whose certificate
//! an authority of one's own issued.
//!
//! Environment variables are read from the process, which a test can't set for itself. So each test
//! runs itself once more, as a child process with a gate.

use std::{
    env,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};

use harness::{Directory, MAX_WAIT, certificates, until};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::Command,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::service_fn;
use tower_superoffice::{
    BuildError, Environment, TenantGate, TenantGateBuilder, simulator::Simulator,
};

/// A host that no resolver knows: the proxy does.
const HOST: &str = "superoffice.test";

/// Names the child process, and says whom it trusts: `extra`, `native` or `public` authorities.
const CHILD: &str = "GATE_OF_CHILD";
const CA_FILE: &str = "GATE_CA_FILE";
const LOOPBACK: &str = "GATE_LOOPBACK";

const PASSWORD: &str = "pa55w0rd-of-the-proxy";

/// Starts a TLS server that forwards to `port`, and returns its own.
async fn serve_tls(directory: &Directory, port: u16) -> u16 {
    let chain = CertificateDer::pem_file_iter(directory.join("host.pem")).unwrap();
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(directory.join("host.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(socket).await else { return };
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                // Ends with an error when a side breaks off, which is its right.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    own
}

type Heads = Arc<Mutex<Vec<String>>>;

/// Starts a proxy that tunnels every CONNECT to `port`; returns its port and the heads it received.
async fn serve_proxy(port: u16) -> (u16, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let heads = Heads::default();
    let received = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let received = Arc::clone(&received);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = client.read_u8().await else { return };
                    head.push(byte);
                }
                received.lock().unwrap().push(String::from_utf8(head).unwrap());
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (own, heads)
}

/// Runs the test `name` as a child whose gate reaches `simulator` through a proxy; the heads that
/// the proxy received, and what the child wrote. `None` without openssl.
async fn run_child(
    name: &str,
    trust: &str,
    userinfo: &str,
    simulator: &Simulator,
) -> Option<(Vec<String>, String)> {
    let directory = Directory::new();
    certificates(&directory.join(""), &format!("DNS:{HOST}"))?;
    let origin = simulator.environment().origin();
    let port = origin.rsplit_once(':').unwrap().1.parse().unwrap();
    let (proxy, heads) = serve_proxy(serve_tls(&directory, port).await).await;
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture"]).kill_on_drop(true);
    child.stdin(Stdio::null()).env(CHILD, trust).env(LOOPBACK, origin);
    child.env("HTTPS_PROXY", format!("http://{userinfo}127.0.0.1:{proxy}"));
    let root = directory.join("root.pem");
    match trust {
        "extra" => child.env(CA_FILE, root),
        _ => child.env("SSL_CERT_FILE", root),
    };
    for variable in ["https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"] {
        child.env_remove(variable);
    }
    let output = timeout(2 * MAX_WAIT, child.output()).await.unwrap().unwrap();
    let Output { status, stdout, stderr } = output;
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(status.success(), "{text}");
    let heads = heads.lock().unwrap().clone();
    Some((heads, text))
}

/// The child: a gate of [`HOST`], and one of a loopback address.
async fn run_gates(trust: &str) {
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).init();
    let trusting = |builder: TenantGateBuilder| match trust {
        "extra" => builder.extra_roots(std::fs::read(env::var_os(CA_FILE).unwrap()).unwrap()),
        "native" => builder.native_roots(),
        _ => builder,
    };
    for base in [format!("https://{HOST}"), env::var(LOOPBACK).unwrap()] {
        let environment = Environment::custom(base.parse().unwrap());
        let builder = trusting(TenantGate::builder(environment).any_audience()).proxy_from_env();
        println!("{builder:?}");
        let gate = builder.build().await.unwrap();
        until("keys are fetched", async || !gate.keys().keys().is_empty()).await;
        gate.track([harness::tenant("Cust1")]);
        until("the tenant is pulled", async || {
            gate.status(&harness::tenant("Cust1")).is_confirmed()
        })
        .await;
        println!("{gate:?} {:?} {:?}", gate.keys(), gate.health());
    }
}

#[tokio::test]
async fn own_requests_pass_a_proxy_with_a_password_that_is_not_shown() {
    if let Ok(trust) = env::var(CHILD) {
        return run_gates(&trust).await;
    }
    let simulator = Simulator::start().await.unwrap();
    let name = "gate::network::own_requests_pass_a_proxy_with_a_password_that_is_not_shown";
    let userinfo = format!("user:{PASSWORD}@");
    let Some((heads, text)) = run_child(name, "extra", &userinfo, &simulator).await else { return };
    assert_eq!(simulator.key_requests(), 2, "one of each gate");
    assert!(!heads.is_empty(), "no request passed the proxy");
    for head in heads {
        assert!(head.starts_with(&format!("CONNECT {HOST}:443 HTTP/1.1\r\n")), "{head}");
        assert!(head.contains("\r\nProxy-Authorization: Basic dXNlcjpwYTU1dzByZC"), "{head}");
    }
    assert!(text.contains("signing keys fetched"), "nothing was logged: {text}");
    for secret in [PASSWORD, "dXNlcjpwYTU1dzByZC"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn native_roots_are_trusted_behind_a_proxy_without_password() {
    if let Ok(trust) = env::var(CHILD) {
        return run_gates(&trust).await;
    }
    let simulator = Simulator::start().await.unwrap();
    let name = "gate::network::native_roots_are_trusted_behind_a_proxy_without_password";
    let Some((heads, _)) = run_child(name, "native", "", &simulator).await else { return };
    assert!(!heads.is_empty(), "no request passed the proxy");
    assert!(heads.iter().all(|head| !head.contains("Authorization")), "{heads:?}");
}

#[tokio::test]
async fn authority_of_a_company_is_not_trusted_by_default() {
    if env::var_os(CHILD).is_some() {
        let environment = Environment::custom(format!("https://{HOST}").parse().unwrap());
        let builder = TenantGate::builder(environment).any_audience().proxy_from_env();
        let gate = builder.state_api(false).build().await.unwrap();
        until("a fetch fails", async || gate.keys().last_error().is_some()).await;
        assert!(gate.keys().keys().is_empty());
        return;
    }
    let simulator = Simulator::start().await.unwrap();
    let name = "gate::network::authority_of_a_company_is_not_trusted_by_default";
    let Some((heads, _)) = run_child(name, "public", "", &simulator).await else { return };
    assert!(!heads.is_empty(), "no request passed the proxy");
    assert_eq!(simulator.key_requests(), 0);
}

#[tokio::test]
async fn settings_that_the_client_can_not_follow_are_refused() {
    let builder = || TenantGate::builder(Environment::Sod).any_audience();
    let error = builder().extra_roots("no PEM").build().await.unwrap_err();
    assert!(matches!(error, BuildError::Roots(_)), "{error}");
    assert!(error.to_string().contains("in PEM"), "{error}");
    let client = service_fn(|_| async {
        Err::<http::Response<http_body_util::Empty<bytes::Bytes>>, _>(std::io::Error::other("no"))
    });
    for builder in [builder().extra_roots(""), builder().native_roots(), builder().proxy_from_env()]
    {
        let error = builder.client(client).build().await.unwrap_err();
        assert!(matches!(error, BuildError::ClientSettings), "{error}");
    }
}
