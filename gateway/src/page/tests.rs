//! The page, rendered in process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use harness::{tenant, tenant_number};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_superoffice::{
    Environment, TenantGate, TenantGateBuilder,
    status::Record,
    store::{MemoryStore, Store},
    token::SigningKeys,
};

use super::{Page, html, query::Query, view::Orders};
use crate::{
    metrics::Metrics,
    page::{advice, history},
    routes::{Access, Probe, Snapshots},
    served::Served,
    server::Draining,
};

fn builder(environment: Environment) -> TenantGateBuilder {
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/v1-sha1.crt");
    let keys = SigningKeys::from_pem(std::fs::read(certificate).unwrap()).unwrap();
    let gate = TenantGate::builder(environment).any_audience();
    gate.signing_keys(keys).state_api(false)
}

async fn gate() -> TenantGate {
    builder(Environment::Production).build().await.unwrap()
}

/// A gate that has loaded these records.
async fn gate_with(records: &[(&str, &str)]) -> TenantGate {
    let store = MemoryStore::new();
    for (id, record) in records {
        let record = Record::decode(record.as_bytes()).unwrap();
        store.merge(&tenant(id), &record).await.unwrap();
    }
    builder(Environment::Production).store(store).build().await.unwrap()
}

fn page_of(gates: Vec<TenantGate>) -> Page {
    let served = Served::new(gates).unwrap();
    let snapshots: Vec<_> = served.gates().iter().cloned().map(Snapshots::new).collect();
    let probe = Probe::new(served.clone(), Draining::default(), false);
    Page::new(&served, &snapshots, probe, Some(&Access::Address), false)
}

async fn send(page: &Page, method: &str, url: &str) -> (StatusCode, HeaderMap, String) {
    let app = Router::new().route("/", page.clone().into_route());
    let request = Request::builder().method(method).uri(url).body(Body::empty()).unwrap();
    let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(page: &Page, url: &str) -> String {
    let (status, _, text) = send(page, "GET", url).await;
    assert_eq!(status, StatusCode::OK, "{url}");
    text
}

async fn get_of(gate: &TenantGate, url: &str) -> String {
    get(&page_of(vec![gate.clone()]), url).await
}

fn rows(html: &str) -> usize {
    html.matches("<tr id=\"t-").count()
}

const SUSPENDED: &str =
    r#"{"v":"1.0","suspend":{"at":1700000000,"seen":1700000000000,"version":"","file":""}}"#;
const UPGRADING: &str = r#"{"v":"1.0","upgrade":{"at":1700000000,"seen":1700000000000,"version":"Release 11","file":"11.0.1"}}"#;

#[tokio::test]
async fn well_gateway_says_so_with_nothing_known() {
    let html = get_of(&gate().await, "/").await;
    assert!(html.contains("<h1>All is well, and every tenant is open.</h1>"), "{html}");
    assert!(html.contains("Nothing is known of any tenant yet"));
    assert!(html.contains("No tenant is known yet.") && html.contains("Nothing since the start."));
    assert!(!html.contains("data-problem") && rows(&html) == 0);
}

#[tokio::test]
async fn closed_tenant_is_shown_with_reason_evidence_and_wait() {
    let gate = gate_with(&[("Cust1", SUSPENDED), ("Cust2", UPGRADING)]).await;
    let (end, note) = (SystemTime::now() + Duration::from_secs(7_260), "why");
    gate.close_until(&tenant("Cust3"), note, end).await.unwrap();
    gate.open(&tenant("Cust4"), "").await.unwrap();
    let html = get_of(&gate, "/").await;
    assert!(html.contains("<h1>All is well.</h1>"), "{html}");
    assert!(html.contains("Closed tenants: <strong>3</strong> of 4 known."));
    assert_eq!(rows(&html), 4);
    for text in [
        "g-suspended\">suspended<",
        "g-upgrading\">upgrading<",
        "g-operator\">closed by order<",
        "g-held_open\">open by order<",
        "SuperOffice’s notification<small>not confirmed yet</small>",
        "<bdi>Release 11, 11.0.1</bdi>",
        "datetime=\"2023-11-14T22:13:20Z\"",
        "An operator<q class=\"note\"><bdi>why</bdi></q>",
        "the order’s end, <time",
        // As the date and the time too.
        ">in 2 h</time><small>",
        "its release",
        "a notification<",
    ] {
        assert!(html.contains(text), "{text}: {html}");
    }
}

#[tokio::test]
async fn closed_tenant_waits_for_its_next_pull() {
    let store = MemoryStore::new();
    let deleted = SUSPENDED.replace("suspend", "delete");
    for (id, record) in [("Cust1", SUSPENDED), ("Cust2", &deleted)] {
        let record = Record::decode(record.as_bytes()).unwrap();
        store.merge(&tenant(id), &record).await.unwrap();
    }
    let nowhere = Environment::custom("http://127.0.0.1:1".parse().unwrap());
    let gate = builder(nowhere).state_api(true).store(store).build().await.unwrap();
    let html = get_of(&gate, "/").await;
    assert!(html.contains("the next pull, <time") || html.contains("a pull that is due"), "{html}");
    assert!(html.contains("a pull that confirms it"), "{html}");
    assert!(html.contains("<dt>Pulls</dt>") && html.contains("last minute: "));
}

#[tokio::test(start_paused = true)]
async fn pulls_that_all_fail_are_told_at_the_top_and_in_the_row() {
    let store = MemoryStore::new();
    let record = Record::decode(SUSPENDED.as_bytes()).unwrap();
    store.merge(&tenant("Cust1"), &record).await.unwrap();
    let nowhere = Environment::custom("http://127.0.0.1:1".parse().unwrap());
    let gate = builder(nowhere).state_api(true).store(store).build().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1_800)).await;
    let html = get_of(&gate, "/").await;
    assert!(html.contains("<h1>Calls are served, but something needs care.</h1>"), "{html}");
    assert!(html.contains("data-problem=\"pulls_failing\""), "{html}");
    assert!(html.contains("<small>the last ones failed</small>"), "{html}");
}

#[tokio::test(start_paused = true)]
async fn task_that_panics_is_on_the_page_and_in_the_metrics() {
    let panics = Arc::new(AtomicBool::new(false));
    let clock_panics = Arc::clone(&panics);
    let clock = move || {
        assert!(!clock_panics.load(Ordering::Relaxed), "no time can be had");
        SystemTime::now()
    };
    let gate = builder(Environment::Production).clock(clock).build().await.unwrap();
    let hour = Duration::from_secs(3600);
    gate.close_until(&tenant("Cust1"), "", SystemTime::now() + hour).await.unwrap();
    panics.store(true, Ordering::Relaxed);
    tokio::time::sleep(hour).await;
    // The task waits to be restarted; what is read needs the time.
    panics.store(false, Ordering::Relaxed);

    let html = get_of(&gate, "/").await;
    assert!(html.contains("<h1>Not ready: requests should go elsewhere.</h1>"), "{html}");
    assert!(html.contains("A background task panicked"), "{html}");
    let recorded = gate.clone();
    let scrape = Metrics::new(move || recorded.record_metrics()).answer().await;
    let scrape = scrape.into_body().collect().await.unwrap().to_bytes();
    let down = "superoffice_task_down{environment=\"production\",task=\"override_expiry\"} 1\n";
    let scrape = String::from_utf8_lossy(&scrape);
    assert!(scrape.contains(down), "{scrape}");

    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(get_of(&gate, "/").await.contains("<h1>All is well.</h1>"));
}

#[tokio::test]
async fn last_notification_is_shown_by_its_age() {
    let page = page_of(vec![gate().await]);
    let html = get(&page, "/").await;
    assert!(html.contains("Last notification: none since the start."), "{html}");
    let mut view = page.view(Query::default()).await.unwrap();
    view.environments[0].notified = Some(view.now - Duration::from_secs(180));
    let html = html::render(&view).into_string();
    assert_eq!(html.matches(">3 min ago</time>").count(), 2, "{html}");
}

#[tokio::test(start_paused = true)]
async fn number_of_closed_tenants_is_kept_over_time() {
    let gate = gate().await;
    let page = page_of(vec![gate.clone()]);
    tokio::time::sleep(Duration::from_secs(25)).await;
    gate.close(&tenant("Cust1"), "").await.unwrap();
    tokio::time::sleep(Duration::from_secs(50)).await;
    let history = &page.0.history;
    assert_eq!(history.closed(0, 100), (vec![0, 0, 0, 1, 1, 1, 1, 1], Duration::from_secs(70)));
    assert_eq!(history.closed(0, 4).0, [0, 1, 1, 1], "the largest of each part");
    tokio::time::sleep(Duration::from_secs(8 * 3_600)).await;
    let (points, span) = history.closed(0, 120);
    assert_eq!((points.len(), span.as_secs()), (120, 6 * 3_600 - 10));

    let html = get(&page, "/").await;
    assert!(html.contains("closed over the last 5 h, at most 1"), "{html}");
    // Before the next sample is taken.
    gate.close(&tenant("Cust2"), "").await.unwrap();
    let html = get(&page, "/").await;
    assert!(html.contains("closed over the last 5 h, at most 2"), "{html}");
}

#[tokio::test]
async fn gateway_without_keys_or_store_says_what_to_do() {
    let nowhere = Environment::custom("http://127.0.0.1:1".parse().unwrap());
    let without_keys = TenantGate::builder(nowhere).any_audience().state_api(false);
    let html = get_of(&without_keys.build().await.unwrap(), "/").await;
    assert!(html.contains("<h1>Not ready: requests should go elsewhere.</h1>"), "{html}");
    assert!(html.contains("data-problem=\"no_key\"") && html.contains("What to do: "));

    let store = MemoryStore::new();
    let gate = builder(Environment::Production).store(store.clone()).build().await.unwrap();
    store.set_available(false);
    gate.close(&tenant("Cust1"), "").await.unwrap_err();
    let html = get_of(&gate, "/").await;
    assert!(html.contains("<h1>Calls are served, but something needs care.</h1>"), "{html}");
    assert!(html.contains("data-problem=\"store_stale\""));
    assert!(html.contains("with 1 unwritten tenant"));
}

#[tokio::test]
async fn tenant_without_evidence_is_shown_with_none() {
    let store = MemoryStore::new();
    store.damage(&tenant("Cust1"));
    let nowhere = Environment::custom("http://127.0.0.1:1".parse().unwrap());
    let gate = builder(nowhere).state_api(true).store(store).close_tracked_until_known();
    let gate = gate.build().await.unwrap();
    gate.track([tenant("Cust2")]);
    let html = get_of(&gate, "/").await;
    assert!(html.contains("<h1>Calls are served, but something needs care.</h1>"), "{html}");
    assert!(html.contains("<strong>Stored records can’t be read</strong>: 1 tenant."), "{html}");
    assert!(html.contains("“Unreadable records”"), "{html}");
    for evidence in ["None: its stored record can’t be read", "None: nothing is known yet"] {
        assert_eq!(html.matches(&format!("{evidence}</td>")).count(), 1, "{evidence}: {html}");
    }
    assert!(
        !html.contains("SuperOffice’s notification") && !html.contains("SuperOffice’s state API<")
    );
}

#[tokio::test]
async fn bar_shows_the_share_of_all_known_tenants() {
    let resumed = SUSPENDED.replace("suspend", "resume");
    let records = [("Cust1", SUSPENDED), ("Cust2", &*resumed), ("Cust3", &*resumed)];
    let gate = gate_with(&records).await;
    gate.open(&tenant("Cust4"), "").await.unwrap();
    let html = get_of(&gate, "/").await;
    let label = "Of 4 tenants: 1 suspended, 1 open by order";
    assert!(html.contains(&format!("role=\"img\" aria-label=\"{label}\"><title>{label}</title>")));
    assert!(html.contains("viewBox=\"0 0 1000 10\""), "{html}");
    assert!(html.contains("class=\"g-suspended\" x=\"0\" y=\"0\" width=\"250\""), "{html}");
    assert!(html.contains("class=\"g-held_open\" x=\"250\" y=\"0\" width=\"250\""), "{html}");
}

#[tokio::test]
async fn each_documented_problem_has_its_advice() {
    // The tables of what `/ready` answers.
    let readme = include_str!("../../README.md");
    let tables = readme.split("\n\n").filter(|part| {
        part.starts_with("| in `reasons` |") || part.starts_with("| in `degraded` |")
    });
    let names: Vec<_> = tables
        .flat_map(|table| table.lines().skip(2))
        .map(|line| line.split('`').nth(1).unwrap())
        .collect();
    assert_eq!(names.len(), 14, "{names:?}");
    let operations = include_str!("../../../docs/operations.md");
    let page = page_of(vec![gate().await]);
    for name in names {
        let advice = advice::of(name);
        assert_ne!(advice, advice::of("no such name"), "{name}");
        assert!(operations.contains(&format!("## {}\n", advice.section)), "{name}");
        let mut view = page.view(Query::default()).await.unwrap();
        view.environments[0].report.degraded = vec![name];
        assert!(html::render(&view).into_string().contains(advice.what), "{name}");
    }
}

#[tokio::test]
async fn hostile_text_is_shown_and_never_markup() {
    let hostile = "<script>alert(1)</script>\\\"'><img src=x onerror=alert(2)>\u{202e}&amp;";
    let record = format!(
        r#"{{"v":"1.0","suspend":{{"at":1700000000,"seen":1,"version":"{hostile}","file":"</style>"}},
        "operator":{{"set_at":1,"order":"close","number":1,"note":"{hostile}{}"}}}}"#,
        "x".repeat(10_000),
    );
    let gate = gate_with(&[("Cust1", &record)]).await;
    let page = page_of(vec![gate.clone()]);
    gate.close(&tenant("Cust2"), "<script>\u{202e}\"'").await.unwrap();
    let query =
        "/?prefix=%22%3E%3Cscript%3E%E2%80%AE&reason=%3Cscript%3E&environment=%22%3E%3Cscript%3E";
    let found = get(&page, "/").await;
    for html in [get(&page, query).await, found.clone()] {
        assert_eq!(html.matches("<script").count(), 1, "{html}");
        assert_eq!(html.matches("</style").count(), 1);
        assert!(!html.contains("<img") && !html.contains('\u{202e}'));
    }
    assert!(found.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{found}");
    assert!(found.contains("\\u202e"));
    let without_assets = found.len() - super::policy::CSS.len() - super::policy::SCRIPT.len();
    assert!(without_assets < 20_000, "{without_assets} bytes with a note of 10,000 characters");
}

#[tokio::test]
async fn ten_thousand_closed_tenants_come_in_pages() {
    let gate = gate().await;
    for number in 0..10_000 {
        gate.close(&tenant(format!("Cust{number:05}")), "").await.unwrap();
    }
    let page = page_of(vec![gate]);
    let first = get(&page, "/?sort=id").await;
    assert!(first.contains("<strong>10,000</strong> of 10,000 known."));
    assert_eq!(rows(&first), 100);
    assert!(first.contains("1 to 100 of 10,000") && !first.contains("rel=\"prev\""));
    assert!(first.contains("rel=\"next\" data-go=\"\" href=\"/?sort=id&amp;page=2\""), "{first}");
    assert!(first.contains(">Cust00099<") && !first.contains(">Cust00100<"));
    assert!(first.len() < 200_000, "{} bytes", first.len());

    let second = get(&page, "/?sort=id&page=2").await;
    assert!(second.contains("101 to 200 of 10,000") && second.contains("rel=\"prev\""));
    assert!(second.contains(">Cust00100<") && !second.contains(">Cust00099<"));
    let last = get(&page, "/?sort=id&page=9999").await;
    assert!(last.contains("9,901 to 10,000 of 10,000") && !last.contains("rel=\"next\""));

    let found = get(&page, "/?prefix=cust0012").await;
    assert_eq!(rows(&found), 10);
    assert!(!found.contains("class=\"pager\""));
    assert!(get(&page, "/?prefix=Cust99999").await.contains("No known tenant begins with"));
}

#[tokio::test]
async fn list_is_filtered_by_reason_and_sorted_by_age() {
    let older = SUSPENDED.replace("1700000000", "1600000000");
    let resumed = SUSPENDED.replace("suspend", "resume");
    let records =
        [("Cust1", SUSPENDED), ("Cust2", UPGRADING), ("Cust3", &*older), ("Cust4", &*resumed)];
    let page = page_of(vec![gate_with(&records).await]);
    let suspended = get(&page, "/?reason=suspended&sort=oldest").await;
    assert_eq!(rows(&suspended), 2);
    let place = |id: &str| suspended.find(&format!("t-production-{id}\"")).unwrap();
    assert!(place("Cust3") < place("Cust1"), "the oldest comes first");
    assert!(
        suspended.contains("href=\"/?reason=suspended&amp;sort=oldest\" aria-current=\"true\"")
    );

    let deleted = get(&page, "/?reason=deleted").await;
    assert!(deleted.contains("None of these.") && deleted.contains("4 known tenants"));
    assert_eq!(rows(&get(&page, "/").await), 3);
    let all = get(&page, "/?reason=all").await;
    assert_eq!(rows(&all), 4);
    assert!(all.contains("g-open\">open<"), "{all}");
}

#[tokio::test]
async fn each_environment_has_its_list_and_numbers() {
    let stage = builder(Environment::Stage).build().await.unwrap();
    stage.close(&tenant("Cust1"), "").await.unwrap();
    let nowhere = Environment::custom("http://127.0.0.1:1".parse().unwrap());
    let other = TenantGate::builder(nowhere).any_audience().state_api(false).build().await.unwrap();
    other.close(&tenant("Cust2"), "").await.unwrap();
    let page = page_of(vec![stage.clone(), other.clone()]);
    let both = get(&page, "/").await;
    assert_eq!(rows(&both), 2);
    for text in [
        "id=\"environment-stage\"",
        "id=\"environment-127.0.0.1:1\"",
        "data-prefix=\"/stage\"",
        "<strong>2</strong> of 2 known",
        // The one that has no key is named.
        "<span class=\"environment\">127.0.0.1:1</span>",
    ] {
        assert!(both.contains(text), "{text}: {both}");
    }
    let one = get(&page, "/?environment=stage").await;
    assert_eq!(rows(&one), 1);
    assert!(one.contains("t-stage-Cust1") && one.contains("All environments"));
    assert_eq!(rows(&get(&page, "/?environment=sod").await), 2);
}

#[tokio::test]
async fn last_events_are_shown_and_bounded() {
    let gate = gate().await;
    let page = page_of(vec![gate.clone()]);
    // The task that records has subscribed.
    harness::until("it records", async || {
        gate.close(&tenant("Cust1"), "").await.unwrap();
        gate.open(&tenant("Cust1"), "").await.unwrap();
        !page.0.history.events().is_empty()
    })
    .await;
    for number in 0..2 * history::EVENTS {
        gate.close(&tenant_number(100 + number), "").await.unwrap();
    }
    let last = format!("{}", tenant_number(99 + 2 * history::EVENTS));
    harness::until("the last is recorded", async || {
        let events = page.0.history.events();
        events[0].event.tenant().is_some_and(|tenant| tenant.as_str() == last)
    })
    .await;
    let html = get(&page, "/?prefix=none").await;
    assert_eq!(html.matches("<li data-number=").count(), history::EVENTS);
    let first = html.find("<li data-number=").unwrap();
    assert!(html[first..first + 400].contains(&last), "the newest comes first");
}

#[tokio::test]
async fn orders_are_offered_where_they_are_taken() {
    let gate = gate().await;
    gate.close(&tenant("Cust1"), "").await.unwrap();
    let page = page_of(vec![gate]);
    let mut view = page.view(Query::default()).await.unwrap();
    let direct = html::render(&view).into_string();
    assert!(direct.contains("data-order=\"Cust1\"") && direct.contains("<noscript>"));
    assert!(!direct.contains("name=\"token\""));
    // Without the script they are not shown.
    for button in direct.split("<button").skip(1).filter(|rest| rest.contains("data-order=")) {
        assert!(!button.starts_with(" type=\"submit\""));
    }
    view.orders = Orders::Token;
    let token = html::render(&view).into_string();
    assert!(token.contains("name=\"token\" type=\"password\" required autocomplete=\"off\""));
    view.orders = Orders::Off;
    let off = html::render(&view).into_string();
    assert!(!off.contains("data-order=") && !off.contains("<dialog"));
    assert!(off.contains("Orders are not taken at this address"));
}

#[tokio::test]
async fn page_is_read_and_nothing_else() {
    let page = page_of(vec![gate().await]);
    let (status, headers, text) = send(&page, "HEAD", "/").await;
    assert_eq!((status, text.len()), (StatusCode::OK, 0));
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(headers.contains_key("content-security-policy"));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let (status, headers, _) = send(&page, method, "/").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(headers["allow"], "GET,HEAD");
    }
}

#[tokio::test]
async fn observing_gateway_says_that_calls_are_forwarded() {
    let page = page_of(vec![gate().await]);
    let mut view = page.view(Query::default()).await.unwrap();
    assert!(!html::render(&view).into_string().contains("--observe-only"));
    view.observe_only = true;
    assert!(html::render(&view).into_string().contains("--observe-only"));
}
