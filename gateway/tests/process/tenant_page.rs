//! A page that a tenant sends, in a browser.

use harness::Browser;
use serde_json::json;

use crate::wire::upstream::Upstream;

/// Tries what a page of the gateway's own origin could do, and names the outcomes in its title.
const PAGE: &str = "<title>...</title><script>(async () => {
    const outcome = async (act) => { try { return await act(); } catch (error) { return error.name; } };
    const order = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
    document.title = JSON.stringify([
        self.origin,
        await outcome(async () => {
            await navigator.serviceWorker.register('/Cust1/worker.js', { scope: '/' });
            return 'registered';
        }),
        await outcome(async () => (await fetch('/tenants/Cust2/close', order)).status),
        await outcome(async () => (await fetch('/tenants')).text()),
        await outcome(async () => document.cookie),
    ]);
})()</script>";

/// Would take the place of the gateway's page.
const WORKER: &str = "addEventListener('install', () => skipWaiting());
    addEventListener('activate', (event) => event.waitUntil(clients.claim()));
    addEventListener('fetch', (event) => event.respondWith(new Response('taken over')));";

#[tokio::test]
#[ignore = "slow: needs chromium"]
async fn page_of_a_tenant_can_do_nothing_to_the_gateway() {
    let Some(mut browser) = Browser::start().await else { return };
    let upstream = Upstream::start(async |mut conversation| {
        while let Some(head) = conversation.head().await {
            let (kind, body) = match head.contains("worker.js") {
                true => ("text/javascript", WORKER),
                false => ("text/html", PAGE),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nservice-worker-allowed: /\r\n\
                 content-length: {length}\r\n\r\n"
            );
            conversation.send(head + body).await;
        }
    })
    .await;
    let gateway = upstream.gateway(&[]).await;
    browser.open(&gateway.url("/Cust1/page").to_string()).await;
    browser.until("document.title !== '...'").await;
    let title = browser.evaluate("document.title").await;
    let outcomes: serde_json::Value = serde_json::from_str(title.as_str().unwrap()).unwrap();
    let refused = ["SecurityError", "TypeError", "TypeError", "SecurityError"];
    assert_eq!(outcomes[0], "null", "{outcomes}");
    assert_eq!(outcomes.as_array().unwrap()[1..], refused.map(|name| json!(name)));

    browser.open(&gateway.url("/").to_string()).await;
    browser.until("document.getElementById('connection')?.textContent === 'live'").await;
    assert_eq!(browser.evaluate("navigator.serviceWorker.controller").await, json!(null));
    let tenants = gateway.get("/tenants").await.body;
    assert_eq!(String::from_utf8_lossy(&tenants), "[]", "an order was taken");
}
