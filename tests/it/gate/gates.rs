//! Several gates behind one State Change URL.

use std::time::Duration;

use bytes::Bytes;
use harness::{Clock, gate_builder, gate_builder_on, simulator_on, tenant, tokio_clock};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{
    ChangeType, Environment, TenantGate, TenantGateBuilder, TenantGates,
    notification::{EmptyBody, GatesError, Outcome, Refusal},
    simulator::{Fault, Simulator},
    store::MemoryStore,
    token::{SigningKeys, TokenError},
};

use super::builder;

/// Two environments behind one route, on a paused clock.
struct TwoEnv {
    clock: Clock,
    simulators: [Simulator; 2],
    gates: TenantGates,
}

impl TwoEnv {
    /// Two gates that have their keys and are not pulled.
    async fn new() -> Self {
        Self::with(|builder| builder.state_api(false)).await
    }

    async fn with(configure: impl Fn(TenantGateBuilder) -> TenantGateBuilder) -> Self {
        let clock = tokio_clock();
        let simulators = [simulator_on(&clock).await, simulator_on(&clock).await];
        let mut gates = Vec::new();
        for simulator in &simulators {
            let builder = configure(gate_builder_on(simulator, &clock));
            gates.push(builder.build().await.unwrap());
        }
        Self { clock, simulators, gates: TenantGates::new(gates).unwrap() }
    }

    /// Two gates that fetch their keys.
    async fn fetching() -> Self {
        let clock = tokio_clock();
        let simulators = [simulator_on(&clock).await, simulator_on(&clock).await];
        let mut gates = Vec::new();
        for simulator in &simulators {
            let now = clock.clone();
            let builder = TenantGate::builder(simulator.environment())
                .audience(simulator.application_id())
                .client(simulator.network())
                .clock(move || now());
            gates.push(builder.build().await.unwrap());
        }
        Self { clock, simulators, gates: TenantGates::new(gates).unwrap() }
    }

    fn gate(&self, index: usize) -> &TenantGate {
        self.gates.gate(&self.simulators[index].environment()).unwrap()
    }

    fn body(&self, index: usize, change: ChangeType) -> Bytes {
        self.simulators[index].notification(change, &tenant("Cust1")).body()
    }

    async fn post(&self, body: impl Into<Bytes>) -> Response<EmptyBody> {
        let request = Request::post("/").body(Full::new(body.into())).unwrap();
        self.gates.notification_service().oneshot(request).await.unwrap()
    }

    /// Returns for each gate whether it keeps `Cust1` closed.
    fn closed(&self) -> [bool; 2] {
        [0, 1].map(|index| self.gate(index).check(&tenant("Cust1")).is_err())
    }

    fn rejected(&self) -> [u64; 3] {
        let gate = |index: usize| self.gate(index).health().notifications().rejected();
        [gate(0), gate(1), self.gates.notifications().rejected()]
    }
}

#[tokio::test(start_paused = true)]
async fn notification_reaches_the_gate_of_its_environment() {
    let env = TwoEnv::new().await;
    assert_eq!(env.post(env.body(0, ChangeType::Suspend)).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(env.closed(), [true, false], "the same id is another tenant in another environment");
    let accepted = env.gates.receive(env.body(1, ChangeType::Suspend)).await.unwrap();
    assert_eq!(accepted.environment(), &env.simulators[1].environment());
    assert_eq!(accepted.outcome(), Outcome::Applied);
    assert_eq!(env.closed(), [true, true]);
    env.gates.receive(env.body(0, ChangeType::Resume)).await.unwrap();
    assert_eq!(env.closed(), [false, true]);
    let applied = [0, 1].map(|index| env.gate(index).health().notifications().applied());
    assert_eq!((applied, env.rejected()), ([2, 1], [0, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn refusal_of_all_gates_is_counted_once() {
    let env = TwoEnv::new().await;
    let suspend = || env.simulators[0].notification(ChangeType::Suspend, &tenant("Cust1"));
    for (body, refusal) in [
        (Bytes::from_static(b"[]"), Refusal::Malformed),
        (suspend().forged().body(), Refusal::Token(TokenError::Signature)),
        (suspend().claim("iss", "https://elsewhere").body(), Refusal::Token(TokenError::Issuer)),
        (suspend().claim("aud", "another").body(), Refusal::Token(TokenError::Audience)),
        (Bytes::from(vec![b' '; 16 * 1024 + 1]), Refusal::BodyTooLarge),
    ] {
        let answer = env.post(body).await;
        assert_eq!(answer.extensions().get::<Refusal>(), Some(&refusal));
        assert_eq!(answer.status(), refusal.status());
    }
    let get = Request::builder().method(Method::GET).body(Full::new(Bytes::new())).unwrap();
    let answer = env.gates.notification_service().oneshot(get).await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(env.rejected(), [0, 0, 6]);
    assert_eq!(env.closed(), [false, false]);
}

#[tokio::test(start_paused = true)]
async fn refusal_of_the_chosen_gate_is_counted_there() {
    let env = TwoEnv::new().await;
    let suspend = || env.simulators[1].notification(ChangeType::Suspend, &tenant("Cust1"));
    let other_tenant = suspend().token_tenant(&tenant("Cust2")).body();
    assert_eq!(env.gates.receive(other_tenant).await, Err(Refusal::OtherTenant));
    let login = env.gates.receive(suspend().login_token().body()).await;
    assert_eq!(login, Err(Refusal::Token(TokenError::SpeaksForPerson)));
    assert_eq!(env.rejected(), [0, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn key_of_one_environment_does_not_sign_for_another() {
    let env = TwoEnv::new().await;
    // All that the first environment says of itself, signed with the key of the second.
    let [first, second] = &env.simulators;
    let origin = first.environment().origin();
    let suspend = || second.notification(ChangeType::Suspend, &tenant("Cust1"));
    let crossed = env.gates.receive(suspend().claim("iss", origin.clone()).body()).await;
    assert_eq!(crossed, Err(Refusal::Token(TokenError::Issuer)));
    let key_set: serde_json::Value = serde_json::from_str(&first.key_set()).unwrap();
    for name in ["kid", "x5t"] {
        let id = key_set["keys"][0][name].clone();
        let named = suspend().claim("iss", origin.clone()).header("kid", id.clone());
        let named = if name == "kid" { named } else { named.without_header("kid") };
        let crossed = env.gates.receive(named.header(name, id).body()).await.unwrap_err();
        assert!(matches!(crossed, Refusal::Token(_)), "{crossed}");
    }
    assert_eq!(env.closed(), [false, false]);
}

#[tokio::test(start_paused = true)]
async fn common_issuer_is_decided_by_the_key() {
    let env = TwoEnv::new().await;
    for index in [1, 0] {
        let suspend = env.simulators[index].notification(ChangeType::Suspend, &tenant("Cust1"));
        for body in [
            suspend.clone().claim("iss", "SuperOffice AS").body(),
            suspend
                .claim("iss", "SuperOffice AS")
                .without_header("kid")
                .without_header("x5t")
                .body(),
        ] {
            let accepted = env.gates.receive(body).await.unwrap();
            assert_eq!(accepted.environment(), &env.simulators[index].environment());
        }
    }
    assert_eq!(env.closed(), [true, true]);
}

#[tokio::test(start_paused = true)]
async fn environment_without_keys_delays_no_other() {
    let env = TwoEnv::fetching().await;
    env.simulators[0].key_server(Fault::Hang);
    sleep(Duration::from_secs(60)).await;
    let before = tokio::time::Instant::now();
    env.gates.receive(env.body(1, ChangeType::Suspend)).await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO, "its key is known");
    assert_eq!(env.closed(), [false, true]);
    drop(env.clock);
}

#[tokio::test(start_paused = true)]
async fn first_notification_waits_for_the_keys_of_its_environment() {
    let env = TwoEnv::fetching().await;
    env.gates.receive(env.body(1, ChangeType::Suspend)).await.unwrap();
    env.gates.receive(env.body(0, ChangeType::Suspend)).await.unwrap();
    assert_eq!(env.closed(), [true, true]);
    let requests = env.simulators.each_ref().map(Simulator::key_requests);
    assert_eq!(requests, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn unknown_key_is_503_while_any_gate_has_no_keys() {
    let env = TwoEnv::fetching().await;
    env.simulators[0].key_server(Fault::Status(StatusCode::BAD_GATEWAY));
    sleep(Duration::from_secs(60)).await;
    let answer = env.post(env.body(0, ChangeType::Suspend)).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    let refusal = answer.extensions().get::<Refusal>().unwrap();
    assert!(matches!(refusal, Refusal::NoKeys { .. }), "{refusal}");
    assert_eq!(env.rejected(), [0, 0, 1]);
    // It may be true, so the state API is requested; not that of the environment with keys.
    sleep(Duration::from_secs(5)).await;
    let pulls = env.simulators.each_ref().map(Simulator::all_state_requests);
    assert_eq!(pulls, [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn token_that_two_gates_accept_is_ambiguous_and_both_pull() {
    let clock = tokio_clock();
    let [first, second] = [simulator_on(&clock).await, simulator_on(&clock).await];
    let mut gates = Vec::new();
    for (own, keys) in [(&first, &first), (&second, &first)] {
        let now = clock.clone();
        // A client that brings the second gate the keys of the first.
        let key_set = keys.key_set();
        let network = own.network();
        let client = service_fn(move |request: Request<EmptyBody>| {
            let (key_set, network) = (key_set.clone(), network.clone());
            async move {
                if request.uri().path().ends_with("jwks") {
                    return Ok(Response::new(Full::new(Bytes::from(key_set)).boxed()));
                }
                network.oneshot(request).await.map(|answer| answer.map(BodyExt::boxed))
            }
        });
        let builder = TenantGate::builder(own.environment()).any_audience().client(client);
        gates.push(builder.clock(move || now()).build().await.unwrap());
    }
    // Before any key is fetched: it is not known yet that the two share one.
    let gates = TenantGates::new(gates).unwrap();
    sleep(Duration::from_secs(1)).await;
    let suspend = || first.notification(ChangeType::Suspend, &tenant("Cust1"));
    let refusal = gates.receive(suspend().claim("iss", "SuperOffice AS").body()).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Ambiguous { .. }), "{refusal}");
    assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(gates.notifications().rejected(), 1);
    sleep(Duration::from_secs(5)).await;
    assert_eq!([first.all_state_requests(), second.all_state_requests()], [1, 1]);
    // The issuer decides where it can.
    let accepted = gates.receive(suspend().body()).await.unwrap();
    assert_eq!(accepted.environment(), &first.environment());
    let issuer = second.environment().origin();
    let accepted = gates.receive(suspend().claim("iss", issuer).body()).await.unwrap();
    assert_eq!(accepted.environment(), &second.environment());
}

#[tokio::test]
async fn gates_that_can_not_be_told_apart_are_refused() {
    let refused = |gates: Vec<TenantGate>| TenantGates::new(gates).err();
    let production = || async { builder().any_audience().build().await.unwrap() };
    assert_eq!(refused(vec![]), Some(GatesError::NoGate));
    let twice = vec![production().await, production().await];
    assert_eq!(refused(twice), Some(GatesError::SameEnvironment));

    let stage = || TenantGate::builder(Environment::Stage).any_audience().state_api(false);
    let same_certificate = stage().signing_keys(super::keys()).build().await.unwrap();
    assert_eq!(refused(vec![production().await, same_certificate]), Some(GatesError::SharedKey));
    let url = Environment::Production.key_url();
    let same_url = stage().key_url(url.clone()).build().await.unwrap();
    let other = TenantGate::builder(Environment::Sod).any_audience().key_url(url);
    let other = other.state_api(false).build().await.unwrap();
    assert_eq!(refused(vec![same_url, other]), Some(GatesError::SharedKey));
    // The same key under another name, or none.
    let simulator = Simulator::start().await.unwrap();
    let named = SigningKeys::from_key_set(simulator.key_set()).unwrap();
    let renamed = simulator.key_set().replace("\"kid\":\"", "\"kid\":\"0");
    let renamed = SigningKeys::from_key_set(renamed).unwrap();
    let gates = vec![
        stage().signing_keys(named).build().await.unwrap(),
        gate_builder(&simulator).signing_keys(renamed).build().await.unwrap(),
    ];
    assert_eq!(refused(gates), Some(GatesError::SharedKey));
    for error in [GatesError::NoGate, GatesError::SharedKey, GatesError::Path] {
        assert!(error.to_string().contains(':'), "no advice: {error}");
    }
}

#[tokio::test]
async fn path_and_limits_are_those_of_any_gate() {
    let simulators = [Simulator::start().await.unwrap(), Simulator::start().await.unwrap()];
    let builders =
        || simulators.each_ref().map(|simulator| gate_builder(simulator).state_api(false));
    let [first, second] = builders();
    let second = second.notification_path("/Notify").body_limit(2000);
    let gates = [first.build().await.unwrap(), second.build().await.unwrap()];
    let gates = TenantGates::new(gates).unwrap();
    let app = gates.notification_layer().layer(service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, std::convert::Infallible>(Response::new(EmptyBody::default()))
    }));
    let body = simulators[0].notification(ChangeType::Suspend, &tenant("Cust1")).body();
    for (path, status) in [("/Notify", 204), ("/NotifyCustomerStateChange", 200)] {
        let request = Request::post(path).body(Full::new(body.clone())).unwrap();
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), status, "{path}");
    }
    assert_eq!(gates.receive(vec![b' '; 2001]).await, Err(Refusal::BodyTooLarge));
    assert_eq!(gates.receive(vec![b' '; 2000]).await, Err(Refusal::Malformed));

    type Setting = fn(TenantGateBuilder, u8) -> TenantGateBuilder;
    let settings: [(Setting, GatesError); 3] = [
        (|builder, n| builder.notification_path(format!("/{n}")), GatesError::Path),
        (|builder, n| builder.body_limit(1000 + usize::from(n)), GatesError::BodyLimit),
        (
            |builder, n| builder.body_deadline(Duration::from_secs(n.into())),
            GatesError::BodyDeadline,
        ),
    ];
    for (set, error) in settings {
        let [first, second] = builders();
        let gates = [set(first, 1).build().await.unwrap(), set(second, 2).build().await.unwrap()];
        assert_eq!(TenantGates::new(gates).err(), Some(error));
    }
}

#[tokio::test(start_paused = true)]
async fn gate_that_is_shut_down_refuses_its_own_notifications_only() {
    let env = TwoEnv::new().await;
    env.gate(0).clone().shutdown(Duration::from_secs(1)).await;
    let refusal = env.gates.receive(env.body(0, ChangeType::Suspend)).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Interrupted { .. }), "{refusal}");
    assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
    env.gates.receive(env.body(1, ChangeType::Suspend)).await.unwrap();
    assert_eq!(env.closed(), [true, true], "what it says is in force all the same");
    assert_eq!(env.rejected(), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn gates_are_shut_down_together_and_their_unwritten_counted() {
    let stores = [MemoryStore::new(), MemoryStore::new()];
    let clock = tokio_clock();
    let mut gates = Vec::new();
    for store in &stores {
        let simulator = simulator_on(&clock).await;
        let builder = gate_builder_on(&simulator, &clock).state_api(false).store(store.clone());
        gates.push(builder.build().await.unwrap());
    }
    let gates = TenantGates::new(gates).unwrap();
    for (store, gate) in stores.iter().zip(gates.gates()) {
        store.set_available(false);
        gate.close(&tenant("Cust1"), "").await.unwrap_err();
    }
    stores[1].set_available(true);
    gates.gates()[1].close(&tenant("Cust2"), "").await.unwrap();
    stores[1].set_available(false);
    gates.gates()[1].close(&tenant("Cust3"), "").await.unwrap_err();
    let began = tokio::time::Instant::now();
    assert_eq!(gates.clone().shutdown(Duration::from_secs(10)).await, 2);
    assert!(began.elapsed() < Duration::from_secs(13), "{:?}", began.elapsed());
    for gate in gates.gates() {
        assert!(gate.ready(Duration::ZERO).await.is_shut_down());
    }
}
