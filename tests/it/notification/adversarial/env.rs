//! Gates with a tenant in every state, and tokens altered by hand.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use harness::TestEnv;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_superoffice::{
    ChangeType, NotificationService, TenantGate, TenantGates, TenantId,
    notification::Refusal,
    simulator::{Notification, Simulator},
    token::TokenError,
};

pub(crate) struct AdversarialEnv {
    pub(crate) simulator: Simulator,
    pub(crate) gate: TenantGate,
    /// That gate and one of another environment behind one route, where each case is posted too.
    gates: TenantGates,
    pub(crate) tenant: TenantId,
}

async fn post(route: NotificationService, body: Bytes) -> Result<(), Refusal> {
    let request = Request::post("/").body(Full::new(body)).unwrap();
    let response = route.oneshot(request).await.unwrap();
    match response.extensions().get::<Refusal>() {
        None => {
            assert_eq!(response.status(), StatusCode::NO_CONTENT);
            Ok(())
        }
        Some(refusal) => {
            assert_eq!(response.status(), refusal.status());
            Err(*refusal)
        }
    }
}

pub(crate) fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl AdversarialEnv {
    /// A gate with an open, a suspended and a deleted tenant: a case that opens one is noticed as
    /// well as one that closes one.
    pub(crate) async fn new() -> Self {
        // Without pulls nothing changes a tenant but what is posted.
        let env = TestEnv::with(|builder| builder.state_api(false)).await;
        let TestEnv { simulator, gate, tenant, .. } = env;
        let elsewhere = Simulator::start().await.unwrap();
        let other = harness::gate_builder(&elsewhere).state_api(false).build().await.unwrap();
        let gates = TenantGates::new([other, gate.clone()]).unwrap();
        let env = Self { simulator, gate, gates, tenant };
        for (id, change) in [
            ("Cust1", ChangeType::Suspend),
            ("Cust2", ChangeType::Resume),
            ("Cust3", ChangeType::Delete),
        ] {
            let body = env.simulator.notification(change, &harness::tenant(id)).body();
            assert_eq!(env.post(body).await, Ok(()));
        }
        env
    }

    /// A genuine notification that would open the suspended tenant.
    pub(crate) fn resume(&self) -> Notification {
        self.simulator.notification(ChangeType::Resume, &self.tenant)
    }

    /// The header and the claims of a genuine token.
    pub(crate) fn texts(&self) -> (String, String) {
        let token = self.resume().token();
        let text = |part| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        let mut parts = token.split('.');
        (text(parts.next().unwrap()), text(parts.next().unwrap()))
    }

    pub(crate) async fn post(&self, body: impl Into<Bytes>) -> Result<(), Refusal> {
        let body = body.into();
        let result = post(self.gate.notification_service(), body.clone()).await;
        let through_several = post(self.gates.notification_service(), body).await;
        assert_eq!(through_several, result, "the route of several gates answers otherwise");
        result
    }

    /// Posts `body`, and expects exactly `refusal` and no change of any tenant.
    pub(crate) async fn refuses(&self, case: &str, body: impl Into<Bytes>, refusal: Refusal) {
        let before = self.snapshot();
        assert_eq!(self.post(body).await, Err(refusal), "{case}");
        assert_eq!(self.snapshot(), before, "{case}");
    }

    pub(crate) async fn refuses_token(
        &self,
        case: &str,
        token: impl Into<Value>,
        error: TokenError,
    ) {
        let body = self.resume().with_token(token).body();
        self.refuses(case, body, Refusal::Token(error)).await;
    }

    /// Expects that the genuine notification passes: each refusal was for its fault alone.
    pub(crate) async fn still_works(&self) {
        assert_eq!(self.post(self.resume().body()).await, Ok(()));
        assert!(self.gate.check(&self.tenant).is_ok());
    }

    fn snapshot(&self) -> Vec<String> {
        let tenants = self.gates.gates().iter().flat_map(TenantGate::snapshot);
        let mut tenants: Vec<_> = tenants.map(|tenant| format!("{tenant:?}")).collect();
        tenants.sort();
        tenants
    }

    /// The public key as an attacker has it: certificate and modulus.
    pub(crate) fn certificate_der(&self) -> Vec<u8> {
        let key_set: Value = serde_json::from_str(&self.simulator.key_set()).unwrap();
        let text = key_set["keys"][0]["x5c"][0].as_str().unwrap();
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    }

    pub(crate) fn modulus(&self) -> String {
        let key_set: Value = serde_json::from_str(&self.simulator.key_set()).unwrap();
        key_set["keys"][0]["n"].as_str().unwrap().to_owned()
    }

    /// A token whose signature is an HMAC under `secret`.
    pub(crate) fn hmac(&self, alg: &str, secret: &[u8]) -> String {
        let algorithm = match alg {
            "HS384" => hmac::HMAC_SHA384,
            "HS512" => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        };
        let header = json!({"typ": "JWT", "alg": alg}).to_string();
        let signed = format!("{}.{}", part(header), part(self.texts().1));
        let tag = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
        format!("{signed}.{}", part(tag))
    }
}
