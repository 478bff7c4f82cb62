//! Requests that are refused.

use super::{Env, FORM};

#[tokio::test(start_paused = true)]
async fn wrong_requests_get_a_sentence() {
    let env = Env::new().await;
    for (method, path, status, sentence) in [
        (
            "POST",
            "/simulator/tenants/Cust1/hang",
            404,
            "upgrade, suspend, resume, move, delete, restore",
        ),
        ("GET", "/simulator/tenants/Cust1/hang", 404, "upgrade, suspend"),
        ("POST", "/simulator/faults/moon", 404, "state-api, keys, tenants, notifications, clock"),
        ("POST", "/simulator/keys/lose", 404, "rotate, retire"),
        ("GET", "/simulator/other", 404, "tenants, faults, keys, notifications, calls"),
        ("GET", "/simulator/tenants/", 400, "tenant"),
        ("POST", "/simulator/tenants/a.b/suspend", 400, "tenant"),
        ("GET", "/simulator/tenants/Cust1/suspend", 405, "takes POST"),
        ("DELETE", "/simulator/tenants/Cust1", 405, "GET, HEAD, POST, PUT"),
        ("POST", "/", 405, "GET, HEAD"),
        ("PUT", "/simulator/faults/clock", 405, "DELETE"),
        ("GET", "/simulator/keys/rotate", 405, "POST"),
        (
            "POST",
            "/simulator/tenants/Cust1/suspend?silent",
            400,
            "no other parameters than silently",
        ),
        ("POST", "/simulator/tenants/Cust1/suspend?silently=maybe", 400, "true or false"),
        ("POST", "/simulator/tenants/Cust1?state=Asleep", 400, "no such state"),
        ("POST", "/simulator/tenants", 400, "id as tenant"),
        ("POST", "/simulator/faults/clock", 400, "one of: ahead, behind"),
        ("POST", "/simulator/faults/state-api?kind=slow&value=x", 400, "seconds"),
        ("GET", "/simulator/faults?x", 400, "no parameters"),
    ] {
        let answer = env.call(method, path).await;
        let detail = answer.detail(status);
        assert!(detail.contains(sentence), "{method} {path}: {detail}");
        assert!(detail.ends_with('.'), "{detail}");
        assert_eq!(answer.headers.contains_key("allow"), status == 405, "{path}");
    }
    assert_eq!(env.call("GET", "/simulator/tenants/Cust1/suspend").await.headers["allow"], "POST");
    assert!(env.received().is_empty() && env.driver.history().is_empty());
    let long = env.form("/simulator/tenants", &"x".repeat((64 << 10) + 1)).await;
    assert_eq!(long.detail(413), "The body has at most 64 KiB.");
}

#[tokio::test(start_paused = true)]
async fn other_sites_and_names_drive_nothing() {
    let env = Env::new().await;
    let path = "/simulator/tenants/Cust1/suspend";
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "http://evil.example"),
        ("host", "evil.example"),
    ] {
        for (method, path) in [("POST", path), ("DELETE", "/simulator/faults/clock")] {
            let answer = env.send(env.request(method, path).header(name, value), "").await;
            answer.detail(403);
        }
        let form = env.request("POST", path).header(name, value).header("content-type", FORM);
        env.send(form, "from=page&silently=on").await.detail(403);
    }
    let page = env.send(env.request("GET", "/").header("host", "evil.example"), "").await;
    page.detail(403);
    assert!(env.received().is_empty() && env.driver.simulator().tenants().is_empty());
}
