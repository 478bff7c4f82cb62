//! A notification, true in every detail unless a setter changes one.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use serde_json::{Map, Value, json};

use super::{
    SimulatorBody,
    error::NotifyError,
    key::{SigningKey, forger},
    sender,
    state::SimulatorState,
};
use crate::{ChangeType, TenantId};

/// The prefix of SuperOffice's own claims.
const IDENTITY: &str = "http://schemes.superoffice.net/identity/";

/// The claim that names the tenant.
const TENANT_CLAIM: &str = "http://schemes.superoffice.net/identity/ctx";

/// A notification to be posted by [`send`](Self::send), or by hand.
///
/// It starts out exactly as SuperOffice makes it. Every setter changes one thing.
///
/// ```
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_superoffice::{ChangeType, TenantId, simulator::Simulator};
///
/// let simulator = Simulator::start().await?;
/// let tenant = TenantId::new("Cust12345")?;
/// let forged = simulator.notification(ChangeType::Resume, &tenant).forged();
/// let without_kid = simulator.notification(ChangeType::Resume, &tenant).without_header("kid");
/// let old = simulator.notification(ChangeType::Resume, &tenant).issued_at(1_400_000_000);
/// let odd = simulator.notification(ChangeType::Resume, &tenant).claim("iat", "1400000000");
/// assert_ne!(forged.body(), without_kid.body());
/// # let _ = (old, odd);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a notification does nothing until it is sent"]
pub struct Notification {
    simulator: Arc<SimulatorState>,
    key: Arc<SigningKey>,
    /// Whether to spoil the signature, because no other key could be made.
    spoiled: bool,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    /// Everything but the token.
    fields: Map<String, Value>,
    token: Token,
}

/// The content of the body's `Token`.
#[derive(Clone)]
enum Token {
    Signed,
    Absent,
    Other(Value),
}

impl Notification {
    pub(super) fn new(
        simulator: &Arc<SimulatorState>,
        change: ChangeType,
        tenant: &TenantId,
    ) -> Self {
        let key = Arc::clone(&simulator.lock().key);
        let header = members([
            ("typ", json!("JWT")),
            ("alg", json!("RS256")),
            ("kid", json!(key.hex_thumbprint())),
            ("x5t", json!(key.base64_thumbprint())),
        ]);
        let claims = members([
            ("iss", json!(simulator.origin(0))),
            ("aud", json!(simulator.application_id)),
            (TENANT_CLAIM, json!(tenant.as_str())),
        ]);
        let fields = members([
            ("ChangeType", json!(u32::from(change))),
            ("ContextIdentifier", json!(tenant.as_str())),
            ("VersionName", json!("Release_11.10_2026.02.24-02")),
            ("FileVersion", json!("11.10.24.1234")),
        ]);
        let issued = simulator.reserve_second(tenant);
        let simulator = Arc::clone(simulator);
        let new =
            Self { simulator, key, spoiled: false, header, claims, fields, token: Token::Signed };
        new.issued_at(issued)
    }

    /// Dates the token: `iat` this many seconds after the epoch, `nbf` 60 s before, `exp` 300 s
    /// after.
    pub fn issued_at(self, second: i64) -> Self {
        self.claim("iat", second)
            .claim("nbf", second.saturating_sub(60))
            .claim("exp", second.saturating_add(300))
    }

    /// Lets the token expire this many seconds after its `nbf`, instead of 360. A gate accepts at
    /// most an hour.
    pub fn valid_for(self, seconds: i64) -> Self {
        let nbf = self.claims.get("nbf").and_then(Value::as_i64).unwrap_or_default();
        self.claim("exp", nbf.saturating_add(seconds))
    }

    /// Makes the token that of a login: the id token of OpenID Connect, which speaks for a person
    /// and passes through the person's browser. SuperOffice signs it with the same key, for the
    /// same audience and tenant. A gate refuses it.
    pub fn login_token(self) -> Self {
        let issued = self.claims.get("iat").cloned().unwrap_or_default();
        let tenant = self.claims.get(TENANT_CLAIM).cloned().unwrap_or_default();
        let origin = self.simulator.origin(0);
        let netserver = format!("{origin}/{}", tenant.as_str().unwrap_or_default());
        [
            ("associateid", json!("5")),
            ("identityprovider", json!("superid")),
            ("email", json!("anna.person@example.com")),
            ("upn", json!("anna.person@example.com")),
            ("initials", json!("AP")),
            ("is_administrator", json!("False")),
            ("serial", json!("1234567890")),
            ("company_name", json!("Example Company")),
            ("netserver_url", json!(format!("{netserver}/remote/services88/"))),
            ("webapi_url", json!(format!("{netserver}/api/"))),
        ]
        .into_iter()
        .fold(self, |this, (name, value)| this.claim(&format!("{IDENTITY}{name}"), value))
        .issuer(&origin)
        .claim("sub", "anna.person@example.com")
        .claim("nonce", "637500000000000000.bm9uY2U")
        .claim("at_hash", "77QmUPtjPfzWtF2AnpK9RQ")
        .claim("auth_time", issued)
    }

    /// Makes the token one for a service, as SuperOffice's other server-to-vendor messages have it:
    /// the issuer `SuperOffice AS`, the audience `spn:` and the application id, the tenant as
    /// `sub`, and a nonce. Nothing in it is personal.
    pub fn service_token(self) -> Self {
        let tenant = self.claims.get(TENANT_CLAIM).cloned().unwrap_or_default();
        let audience = format!("spn:{}", self.simulator.application_id);
        self.issuer("SuperOffice AS")
            .audience(&audience)
            .claim("sub", tenant)
            .claim("nonce", "0f8fad5b-d9cb-469f-a165-70867728950e")
    }

    /// Makes the token one for a system user: as a [service token](Self::service_token), with the
    /// audience `spn:` and the serial number of the *tenant*, which a gate with an audience
    /// refuses.
    pub fn system_user_token(self, serial: &str) -> Self {
        let audience = format!("spn:{serial}");
        let serial_claim = format!("{IDENTITY}serial");
        self.service_token().audience(&audience).claim(&serial_claim, serial)
    }

    /// Sets the token's `iss`.
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// Sets the token's `aud`.
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// Sets a claim of the token, of any JSON type.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out of the token.
    pub fn without_claim(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Names another tenant in the token than in the body.
    pub fn token_tenant(self, tenant: &TenantId) -> Self {
        self.claim(TENANT_CLAIM, tenant.as_str())
    }

    /// Sets a member of the token's header, of any JSON type.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a member out of the token's header.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Writes the token's `kid` in base64url, as older key sets spell it.
    pub fn base64_key_id(self) -> Self {
        let id = self.key.base64_thumbprint();
        self.header("kid", id)
    }

    /// Signs the token with a key that SuperOffice never published, under SuperOffice's `kid`.
    ///
    /// The first such call of a process makes that key: a tenth of a second of computing.
    pub fn forged(mut self) -> Self {
        match forger() {
            Some(key) => self.key = key,
            None => self.spoiled = true,
        }
        self
    }

    /// Sends this as the body's `Token`, of any JSON type, in place of a signed one.
    pub fn with_token(mut self, token: impl Into<Value>) -> Self {
        self.token = Token::Other(token.into());
        self
    }

    /// Sets a field of the body, of any JSON type.
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a field out of the body.
    pub fn without_field(mut self, name: &str) -> Self {
        if name == "Token" {
            self.token = Token::Absent;
        }
        self.fields.remove(name);
        self
    }

    /// Sets the body's `PublicEndpoint`: the bare host that a Move names.
    pub fn public_endpoint(self, host: &str) -> Self {
        self.field("PublicEndpoint", host)
    }

    /// Returns the signed token.
    ///
    /// If the system fails to sign, the signature is empty, which every receiver refuses.
    #[must_use]
    pub fn token(&self) -> String {
        let part = |members: &Map<String, Value>| {
            URL_SAFE_NO_PAD.encode(Value::Object(members.clone()).to_string())
        };
        let signed = format!("{}.{}", part(&self.header), part(&self.claims));
        let mut signature = self.key.sign(signed.as_bytes()).unwrap_or_default();
        if self.spoiled {
            signature.reverse();
        }
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Returns the body to post: JSON.
    #[must_use]
    pub fn body(&self) -> Bytes {
        let mut fields = self.fields.clone();
        let token = match &self.token {
            Token::Signed => Some(self.token().into()),
            Token::Absent => None,
            Token::Other(token) => Some(token.clone()),
        };
        fields.extend(token.map(|token| ("Token".to_owned(), token)));
        Value::Object(fields).to_string().into()
    }

    /// Returns the whole request, for a receiver without a socket in between.
    #[must_use]
    pub fn request(&self, url: Uri) -> Request<SimulatorBody> {
        let mut request = Request::new(SimulatorBody::from(self.body()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = url;
        let json = http::HeaderValue::from_static("application/json; charset=utf-8");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        request
    }

    /// Posts it to the registered State Change URL and returns the receiver's answer.
    ///
    /// Sending twice is a replay: both times the same token goes out.
    ///
    /// # Errors
    ///
    /// When no URL is registered, or the receiver does not answer.
    pub async fn send(&self) -> Result<StatusCode, NotifyError> {
        let receiver = self.simulator.lock().receiver.clone().ok_or(NotifyError::NoReceiver)?;
        sender::send(&receiver, self).await
    }
}

/// Shows no token: a valid one is a secret, and tests print the values that they fail on.
impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notification").field("fields", &self.fields).finish_non_exhaustive()
    }
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
