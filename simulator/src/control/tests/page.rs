//! The page and its forms.

use http::Request;
use serde_json::json;
use tower_superoffice::TenantId;

use super::Env;
use crate::driver::{Place, Verb};

#[tokio::test(start_paused = true)]
async fn page_has_a_form_for_everything_and_no_script() {
    let env = Env::new().await;
    env.post("/simulator/tenants/Cust1/suspend").await;
    for path in ["/", "/simulator"] {
        let page = env.call("GET", path).await;
        assert_eq!(page.status, 200);
        for (name, part) in [
            ("content-type", "text/html; charset=utf-8"),
            ("content-security-policy", "default-src 'none'; style-src 'sha256-"),
            ("content-security-policy", "form-action 'self'; frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
        ] {
            assert!(page.headers[name].to_str().unwrap().contains(part), "{name}");
        }
        for verb in Verb::ALL {
            let action = format!(r#"formaction="/simulator/tenants/Cust1/{}""#, verb.name());
            assert!(page.text.contains(&action), "{}", page.text);
        }
        for place in Place::ALL {
            let action = format!(r#"action="/simulator/faults/{}""#, place.name());
            assert!(page.text.contains(&action));
            let option = |kind: &str| page.text.contains(&format!(r#"<option value="{kind}""#));
            assert!(place.kinds().iter().all(|kind| option(kind.name)));
        }
        assert!(page.text.contains("answered 204 No Content") && page.text.contains("silently"));
        assert!(!page.text.contains("<script") && !page.text.contains("style="));
    }
    assert_eq!(env.call("HEAD", "/").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn forms_of_the_page_lead_back_to_it() {
    let env = Env::new().await;
    for (path, form, location) in [
        ("/simulator/tenants", "from=page&tenant=Cust1&prefix=", "/"),
        ("/simulator/tenants/Cust1/suspend", "from=page&prefix=Cu", "/?prefix=Cu"),
        (
            "/simulator/tenants/Cust1/resume",
            "from=page&silently=on&prefix=%22%0d%0aa",
            "/?prefix=a",
        ),
        ("/simulator/faults/clock", "from=page&kind=ahead&value=", "/"),
        ("/simulator/faults/clock", "from=page&kind=none", "/"),
        ("/simulator/keys/retire", "from=page", "/"),
    ] {
        let answer = env.form(path, form).await;
        assert_eq!(answer.status, 303, "{path}: {}", answer.text);
        assert_eq!(answer.headers["location"], location);
    }
    assert_eq!(env.received(), [(2, "Cust1".to_owned())]);
    let page = env.call("GET", "/?prefix=cu").await.text;
    assert!(page.contains("Cust1") && page.contains("not sent: the change was silent"));
    let other = env.call("GET", "/?prefix=other").await.text;
    assert!(other.contains("No id begins with"));
    let wrong = env.form("/simulator/tenants", "from=page&tenant=a.b").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text.contains("<!DOCTYPE html>") && wrong.text.contains("Nothing was changed."));
}

#[tokio::test(start_paused = true)]
async fn hostile_values_are_escaped() {
    let env = Env::new().await;
    let hostile = r#"</option><script>alert(1)</script>" onfocus="x"#;
    let escaped = "&lt;/option&gt;&lt;script&gt;alert(1)&lt;/script&gt;";
    for (place, kind, value) in
        [("tenants", "json", json!(hostile).to_string()), ("keys", "redirect", hostile.to_owned())]
    {
        let path = format!("/simulator/faults/{place}");
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("kind", kind)
            .append_pair("value", &value)
            .finish();
        assert_eq!(env.form(&path, &form).await.json()["value"], value);
    }
    let tenant = TenantId::new("Cust1").unwrap();
    env.post("/simulator/tenants/Cust1?state=Suspended").await;
    let simulator = env.driver.simulator();
    simulator.set_unlisted_state(&tenant, "<b>Asleep", false);
    env.send(Request::get(simulator.url(&tenant, "api/\"&amp;'x")), "").await;
    let page = env.call("GET", "/").await.text;
    assert_eq!(page.matches(escaped).count(), 2);
    assert!(page.contains("&lt;b&gt;Asleep") && page.contains("/Cust1/api/&quot;&amp;amp;'x"));
    for raw in ["<script", "<b>Asleep", "\" onfocus"] {
        assert!(!page.contains(raw), "{raw}");
    }
}

#[tokio::test(start_paused = true)]
async fn page_of_many_tenants_shows_some_and_a_search() {
    let env = Env::new().await;
    for number in 0..1_000 {
        let tenant = TenantId::new(format!("Cust{number:04}")).unwrap();
        env.driver.simulator().suspend(&tenant).without_notification();
    }
    let page = env.call("GET", "/").await.text;
    assert!(page.contains("And 900 more") && page.contains(r#"type="search""#));
    let found = env.call("GET", "/?prefix=cust099").await.text;
    assert!(found.contains("Cust0999") && !found.contains("Cust0100"));
}
