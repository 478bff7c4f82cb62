//! The service beside SuperOffice's routes, the list of tenants, and the `Date` of answers.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tower::{ServiceExt, service_fn};
use tower_superoffice::{
    simulator::{Simulator, SimulatorBody},
    status::State,
};

use super::{call, state_url, tenant};

async fn with_echo() -> (Simulator, String) {
    let simulator = Simulator::start().await.unwrap();
    simulator.control_service(service_fn(|request: Request<SimulatorBody>| async move {
        let (parts, body) = request.into_parts();
        let text = format!("{} {} {}", parts.method, parts.uri, body.as_bytes().len());
        Ok::<_, Infallible>(Response::new(SimulatorBody::from(text)))
    }));
    let origin = simulator.environment().origin().to_owned();
    (simulator, origin)
}

#[tokio::test]
async fn control_service_answers_at_the_environments_host_alone() {
    let (simulator, origin) = with_echo().await;
    for path in ["/", "/?x", "/simulator", "/simulator/a/b?c=d"] {
        let (status, body) = call("POST", &format!("{origin}{path}"), "12345").await;
        assert_eq!((status.as_u16(), &*body), (200, format!("POST {path} 5").as_bytes()));
    }
    assert_eq!(call("GET", &format!("{origin}/simulators"), "").await.0, 421, "a tenant");
    let of_tenants = simulator.hosts()[0].to_string();
    assert_eq!(call("GET", &format!("{of_tenants}simulator"), "").await.0, 200, "a tenant");
    assert_eq!(call("GET", &of_tenants, "").await.0, 404);
    assert_eq!(call("GET", &state_url(&simulator), "").await.0, 200);
}

#[tokio::test]
async fn control_service_gets_whole_bodies_of_64_kib() {
    let (_simulator, origin) = with_echo().await;
    let url = format!("{origin}/simulator");
    assert_eq!(call("POST", &url, vec![b'x'; 64 << 10]).await.1, "POST /simulator 65536");
    assert_eq!(call("POST", &url, vec![b'x'; (64 << 10) + 1]).await.0, 413);
}

#[tokio::test(start_paused = true)]
async fn control_service_is_not_called_for_a_body_that_stops() {
    let (simulator, origin) = with_echo().await;
    let (tx, rx) = futures::channel::mpsc::channel(1);
    let body = StreamBody::new(rx.map(|data: Bytes| Ok::<_, Infallible>(Frame::data(data))));
    let request = Request::post(format!("{origin}/simulator")).body(body).unwrap();
    let answer = simulator.network().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 408);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    drop(tx);
}

#[tokio::test]
async fn tenants_are_listed_once_they_were_touched() {
    let simulator = Simulator::start().await.unwrap();
    assert!(simulator.tenants().is_empty());
    let other = tower_superoffice::TenantId::new("Another1").unwrap();
    simulator.set_state(&tenant(), State::Suspended);
    call("GET", &simulator.url(&tenant(), "api"), "").await;
    simulator.move_tenant(&other).without_notification();
    let tenants = simulator.tenants();
    let listed: Vec<_> = (tenants.iter())
        .map(|one| (one.id().as_str(), one.state(), one.is_running(), one.host(), one.calls()))
        .collect();
    let host = |index: usize| simulator.hosts()[index].authority().unwrap().as_str();
    let expected =
        [("Another1", "Running", true, host(1), 0), ("Cust12345", "Suspended", false, host(0), 1)];
    assert_eq!(listed, expected);
    assert_eq!(simulator.tenant_summary(&tenant()).calls_while_closed(), 1);
}

#[tokio::test]
async fn answers_are_dated_by_the_simulators_clock() {
    let ahead = Duration::from_secs(3600);
    let clock = move || SystemTime::now() + ahead;
    let simulator = Simulator::builder().clock(clock).start().await.unwrap();
    for url in [state_url(&simulator), simulator.url(&tenant(), "api")] {
        let answer = reqwest::get(url).await.unwrap();
        let dates: Vec<_> = answer.headers().get_all("date").iter().collect();
        assert_eq!(dates.len(), 1);
        let date = httpdate::parse_http_date(dates[0].to_str().unwrap()).unwrap();
        let offset = date.duration_since(SystemTime::now()).unwrap();
        assert!(offset > ahead - Duration::from_secs(30) && offset <= ahead, "{offset:?}");
    }
}
