//! A Chromium without a window, driven by its DevTools protocol.

use std::process::Stdio;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use crate::{Directory, MAX_WAIT, tools::skip, until};

/// A browser with one page, killed on drop.
#[derive(Debug)]
pub struct Browser {
    socket: WebSocketStream<TcpStream>,
    /// Of the page.
    session: Value,
    requests: u64,
    problems: Vec<String>,
    _process: Child,
    _profile: Directory,
}

impl Browser {
    /// Starts a browser with an empty page.
    ///
    /// `None`, after a line on stderr, when there is no Chromium.
    pub async fn start() -> Option<Self> {
        let profile = Directory::new();
        let started = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args(["--remote-debugging-port=0", "--no-first-run", "--disable-extensions"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut process = match started {
            Ok(process) => process,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                skip("chromium");
                return None;
            }
            Err(error) => panic!("chromium can't be started: {error}"),
        };
        let (mut port, mut path) = (0, String::new());
        until("chromium names its port", async || {
            assert!(process.try_wait().expect("a child").is_none(), "chromium ended");
            let text = std::fs::read_to_string(profile.join("DevToolsActivePort"));
            let text = text.unwrap_or_default();
            let Some((first, second)) = text.split_once('\n') else { return false };
            (port, path) = (first.parse().unwrap_or(0), second.trim().to_owned());
            port != 0 && !path.is_empty()
        })
        .await;
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("chromium listens");
        let url = format!("ws://127.0.0.1:{port}{path}");
        let (socket, _) = client_async(url, stream).await.expect("a WebSocket");
        let mut browser = Self {
            socket,
            session: Value::Null,
            requests: 0,
            problems: Vec::new(),
            _process: process,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session = browser.call("Target.attachToTarget", target).await["sessionId"].take();
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        Some(browser)
    }

    /// Calls a method of the protocol and returns its result.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub async fn call(&mut self, method: &str, parameters: Value) -> Value {
        let result = self.try_call(method, parameters).await;
        result.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls a method of the protocol and returns its result, or its error.
    async fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.requests += 1;
        let mut request = json!({ "id": self.requests, "method": method, "params": parameters });
        if !self.session.is_null() {
            request["sessionId"] = self.session.clone();
        }
        self.socket.send(Message::text(request.to_string())).await.expect("a running browser");
        loop {
            let message = timeout(MAX_WAIT, self.socket.next()).await.expect("an answer in time");
            let message = message.expect("a running browser").expect("a message");
            let Message::Text(text) = message else { continue };
            let mut message: Value = serde_json::from_str(&text).expect("JSON");
            if message["id"] == self.requests {
                let error = message["error"].take();
                return if error.is_null() { Ok(message["result"].take()) } else { Err(error) };
            }
            self.note(&message);
        }
    }

    /// Keeps what an event says of a fault of the page. A response that is an error is none.
    fn note(&mut self, message: &Value) {
        let parameters = &message["params"];
        let problem = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => &parameters["exceptionDetails"],
            Some("Log.entryAdded") if parameters["entry"]["source"] != "network" => {
                &parameters["entry"]
            }
            Some("Runtime.consoleAPICalled")
                if ["error", "warning", "assert"]
                    .contains(&parameters["type"].as_str().unwrap_or_default()) =>
            {
                parameters
            }
            _ => return,
        };
        self.problems.push(problem.to_string());
    }

    /// Returns the uncaught exceptions, violations of the page's policy and messages on its
    /// console.
    pub async fn problems(&mut self) -> &[String] {
        // What it has sent so far is read with an answer.
        self.evaluate("0").await;
        &self.problems
    }

    /// Opens a page and waits until it is loaded.
    pub async fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(opened["errorText"].is_null(), "{url}: {}", opened["errorText"]);
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'").await;
    }

    /// Returns the value of an expression in the page, which may be a promise.
    ///
    /// # Panics
    ///
    /// When it throws, or leaves the page.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        let mut result = self.call("Runtime.evaluate", evaluation(expression)).await;
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].take()
    }

    /// Runs an expression that leaves the page, and so has no value.
    pub async fn leave_by(&mut self, expression: &str) {
        // It fails when the page is gone before the answer.
        let _ = self.try_call("Runtime.evaluate", evaluation(expression)).await;
    }

    /// Waits until an expression in the page is true.
    ///
    /// # Panics
    ///
    /// After [`MAX_WAIT`], with the text of the page.
    pub async fn until(&mut self, expression: &str) {
        let wanted = format!("Boolean({expression})");
        let met = timeout(MAX_WAIT, async {
            loop {
                // It fails while one page takes the place of another.
                let result = self.try_call("Runtime.evaluate", evaluation(&wanted)).await;
                if result.is_ok_and(|result| result["result"]["value"] == true) {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
        if met.await.is_err() {
            let text = self.evaluate("document.body.innerText").await;
            panic!("not within {MAX_WAIT:?}: {expression} in {text}");
        }
    }

    /// Gives the page this size, in pixels, and a scheme of colours: `light` or `dark`.
    pub async fn set_screen(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// Returns a picture of the page as WebP, in Base64.
    pub async fn picture(&mut self, quality: u8) -> String {
        let parameters = json!({ "format": "webp", "quality": quality });
        let picture = self.call("Page.captureScreenshot", parameters).await;
        picture["data"].as_str().expect("a picture").to_owned()
    }
}

fn evaluation(expression: &str) -> Value {
    json!({
        "expression": expression, "returnByValue": true, "awaitPromise": true,
        // Dialogs open for it as for a click.
        "userGesture": true,
    })
}
