//! The page for people, in a browser.

use std::fs;

use bytes::Bytes;
use harness::{Browser, Directory, tenant_number};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use serde_json::json;
use tower_superoffice::ChangeType;

use crate::process::GatewayEnv;

/// Fills in the form of an order, opened by the button of the tenant `Cust1`, and sends it.
fn order(order: &str, fields: &[(&str, &str)]) -> String {
    let fields = serde_json::to_string(fields).unwrap();
    format!(
        "(() => {{
            if (!document.querySelector('dialog').open) {{
                document.querySelector('button[data-order=\"Cust1\"]').click();
            }}
            const form = document.getElementById('order-form');
            form.querySelector('[value={order}]').click();
            for (const [name, value] of {fields}) form.elements[name].value = value;
            if ('{order}' === 'forget') form.elements.sure.checked = true;
            form.querySelector('[type=submit]').click();
        }})()"
    )
}

/// Whether the row of `Cust1` has this state.
fn has_state(label: &str) -> String {
    format!("document.querySelector('tr[id$=\"-Cust1\"] .state')?.textContent === '{label}'")
}

const LIVE: &str = "document.getElementById('connection').textContent === 'live'";
const DONE: &str = "document.getElementById('done').textContent";
const ERROR: &str = "document.getElementById('order-error').textContent";

#[tokio::test]
#[ignore = "slow: needs chromium"]
async fn events_arrive_and_orders_are_given_in_a_browser() {
    let Some(mut browser) = Browser::start().await else { return };
    let mut env = GatewayEnv::new(&["--state-api", "off"]).await;
    browser.open(&env.gateway.url("/").to_string()).await;
    browser.until(LIVE).await;
    assert_eq!(
        browser.evaluate("document.querySelector('h1').textContent").await,
        "All is well, and every tenant is open."
    );
    // Lost when the page is loaded again.
    browser.evaluate("window.same = true").await;

    env.notify(ChangeType::Suspend).await;
    browser.until(&has_state("suspended")).await;
    browser.until("document.querySelector('#events').textContent.includes('suspended')").await;
    browser.until("document.title.startsWith('1 closed')").await;
    browser
        .until("/Last notification: \\d s ago/.test(document.querySelector('.lead').textContent)")
        .await;

    let hostile = "<img src=x onerror=window.hostile=true>";
    browser.evaluate(&order("open", &[("note", hostile)])).await;
    browser.until(&has_state("open by order")).await;
    browser.until("!document.querySelector('dialog').open").await;
    browser.until(&format!("{DONE} === 'Cust1 is open by order.'")).await;
    assert_eq!(browser.evaluate("document.querySelector('.note').textContent").await, hostile);
    let tenant: serde_json::Value =
        serde_json::from_slice(&env.gateway.get("/tenants/Cust1").await.body).unwrap();
    assert_eq!((&tenant["available"], &tenant["note"]), (&json!(true), &json!(hostile)));

    let zone = "document.getElementById('zone').textContent === \
                ` (your time, ${Intl.DateTimeFormat().resolvedOptions().timeZone})`";
    assert_eq!(browser.evaluate(zone).await, true);
    browser.until("/^up \\d+ (s|min)$/.test(document.getElementById('uptime').textContent)").await;
    browser.evaluate(&order("close", &[("until", "2020-01-01T00:00")])).await;
    browser.until(&format!("{ERROR}.includes('until has passed')")).await;
    browser.evaluate(&order("forget", &[])).await;
    browser.until(&format!("{ERROR}.includes('release it first')")).await;
    browser.evaluate("document.querySelector('[data-cancel]').click()").await;

    // The search is part of the address, and what has the focus keeps it.
    browser
        .evaluate(
            "(() => { const prefix = document.getElementById('prefix'); prefix.focus(); \
             prefix.value = 'Cust9'; prefix.form.requestSubmit(); })()",
        )
        .await;
    browser
        .until("document.querySelector('.nothing')?.textContent.includes('No known tenant')")
        .await;
    assert_eq!(browser.evaluate("location.search").await, "?prefix=Cust9&sort=newest");
    assert_eq!(browser.evaluate("document.activeElement.id").await, "prefix");
    browser.evaluate("history.back()").await;
    browser.until(&has_state("open by order")).await;
    assert_eq!(browser.evaluate("window.same && !window.hostile").await, true);
    assert_eq!(browser.problems().await, [""; 0]);

    env.gateway.kill().await;
    browser
        .until("document.getElementById('connection').textContent.startsWith('not reachable')")
        .await;
    browser
        .until("/^Not reachable since \\d\\d:\\d\\d:\\d\\d UTC\\.$/.test(document.querySelector('h1').textContent)")
        .await;
    browser.until("document.title.startsWith('not reachable')").await;
    let opacity = "getComputedStyle(document.querySelector('.lead')).opacity";
    assert_eq!(browser.evaluate(opacity).await, "0.5", "as if it were true");
    let soft = "getComputedStyle(document.querySelector('h1')).color === \
                getComputedStyle(document.querySelector('.bar')).color";
    assert_eq!(browser.evaluate(soft).await, true, "the colour of a state");
    let icon = "document.querySelector('link[rel=icon]').href.includes('dasharray')";
    assert_eq!(browser.evaluate(icon).await, true);
    browser.evaluate(&order("release", &[])).await;
    browser.until(&format!("{ERROR}.includes('the order may or may not be in force')")).await;
}

#[tokio::test]
#[ignore = "slow: needs chromium"]
async fn token_is_asked_for_and_kept_out_of_the_page() {
    let Some(mut browser) = Browser::start().await else { return };
    let directory = Directory::new();
    let file = directory.join("token");
    fs::write(&file, "hunter2\n").unwrap();
    let file = file.display().to_string();
    let env = GatewayEnv::new(&["--operator-token-file", &file]).await;
    env.notify(ChangeType::Suspend).await;
    browser.open(&env.gateway.url("/").to_string()).await;
    browser.until(LIVE).await;
    browser.evaluate(&order("close", &[("token", "wrong")])).await;
    browser.until(&format!("{ERROR}.includes('is not the right one')")).await;
    browser.evaluate(&order("close", &[("token", "hunter2")])).await;
    browser.until(&has_state("closed by order")).await;
    // It is asked for once.
    browser.until("!document.querySelector('dialog').open").await;
    browser.until(&format!("{DONE} === 'Cust1 is closed by order.'")).await;
    for said in ["Cust1 is suspended.", "Cust1 is still suspended."] {
        browser.evaluate(&order("release", &[])).await;
        browser.until(&format!("{DONE} === '{said}'")).await;
        browser.until(&has_state("suspended")).await;
    }

    let kept = "document.documentElement.outerHTML + location.href + document.cookie + \
                JSON.stringify([localStorage, sessionStorage, history.state])";
    assert_eq!(browser.evaluate(&format!("({kept}).includes('hunter2')")).await, false);
    assert_eq!(browser.problems().await, [""; 0]);
}

#[tokio::test]
#[ignore = "slow: needs chromium"]
async fn page_fits_every_screen_and_works_without_script() {
    let Some(mut browser) = Browser::start().await else { return };
    let env = GatewayEnv::new(&[]).await;
    let url = env.gateway.url("/").to_string();
    let longest = "W".repeat(64);
    // The last is open again, which the events show.
    for order in [&*format!("{longest}/close"), "Cust1/close", "Cust2/close", "Cust2/release"] {
        let body = json!({ "note": "x".repeat(200) }).to_string();
        let request = Request::post(env.gateway.url(&format!("/tenants/{order}")))
            .header(header::CONTENT_TYPE, "application/json");
        let closed = env.gateway.send(request.body(Full::new(Bytes::from(body))).unwrap()).await;
        assert_eq!(closed.status, StatusCode::OK, "{order}");
    }
    for number in 100..250 {
        env.gateway.close(tenant_number(number).as_str()).await;
    }
    for (width, scheme) in
        [(320, "light"), (360, "dark"), (768, "light"), (1100, "dark"), (1600, "light")]
    {
        browser.set_screen(width, 800, scheme).await;
        browser.open(&url).await;
        browser.until(LIVE).await;
        let overflow =
            "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.evaluate(overflow).await, 0, "{width}");
        assert_eq!(browser.evaluate(CONTRAST).await, json!([]), "{scheme}");
        assert_eq!(browser.evaluate(LABELS).await, 0, "an input without a label");
    }

    let off = json!({ "value": true });
    browser.call("Emulation.setScriptExecutionDisabled", off).await;
    browser.open(&url).await;
    let shown = "[...document.querySelectorAll('button[data-order]')].filter((own) => own.checkVisibility()).length";
    assert_eq!(browser.evaluate(shown).await, 0, "a button that does nothing");
    assert_eq!(browser.evaluate("document.querySelectorAll('tbody tr').length").await, 100);
    browser.until("document.body.innerText.includes('by the command line')").await;
    browser.leave_by("document.querySelector('[rel=next]').click()").await;
    browser.until("document.querySelectorAll('tbody tr').length === 52").await;
    browser
        .leave_by(
            "(document.getElementById('prefix').value = 'Cust24', document.forms[0].submit())",
        )
        .await;
    browser.until("document.querySelectorAll('tbody tr').length === 10").await;
    assert_eq!(browser.problems().await, [""; 0]);
}

/// The texts whose contrast with what is behind them is below 4.5.
const CONTRAST: &str = "(() => {
    const parse = (color) => {
        const numbers = color.match(/[\\d.]+/g).map(Number);
        return { rgb: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1 };
    };
    const channel = (value) => {
        const part = value / 255;
        return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    };
    const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const behind = (element) => {
        for (let own = element; own; own = own.parentElement) {
            const color = parse(getComputedStyle(own).backgroundColor);
            if (color.alpha === 1) return color.rgb;
        }
        return [255, 255, 255];
    };
    const low = [];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !element.checkVisibility()) continue;
        const pair = [parse(getComputedStyle(element).color).rgb, behind(element)].map(luminance).sort();
        const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        if (contrast < 4.5) low.push(`${element.className || element.tagName} ${contrast.toFixed(2)}`);
    }
    return [...new Set(low)];
})()";

/// The number of inputs that have no label.
const LABELS: &str = "[...document.querySelectorAll('input:not([type=hidden]), select')]\
                      .filter((input) => input.labels.length === 0).length";
