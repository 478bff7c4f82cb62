//! Every public type is Send, Sync, Clone and Unpin as its users need it; wrappers, as far as the
//! types that they wrap. The last test compares the types that are named here with the sources.

use std::{
    cell::Cell,
    collections::BTreeMap,
    convert::Infallible,
    fmt::Debug,
    fs,
    future::Ready,
    marker::PhantomPinned,
    path::{Path, PathBuf},
    rc::Rc,
};

use http::{Request, Response};
use tower::util::ServiceFn;
use tower_superoffice::{
    BuildError, ChangeType, Environment, GuardError, GuardLayer, NotificationLayer,
    NotificationService, TenantEvent, TenantGate, TenantGateBuilder, TenantGates, TenantId,
    TenantStatus, TenantUnavailable, UnavailableReason, UrlKey, client, endpoint, events, guard,
    health, notification, pull, simulator, status, store, token,
};

/// Evaluates whether a type has a trait: an inherent constant takes precedence over one of a trait.
macro_rules! has {
    ($type:ty: $bound:path) => {{
        #[allow(dead_code)]
        trait Otherwise {
            const HAS: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        impl<T: ?Sized + $bound> Probe<T> {
            const HAS: bool = true;
        }
        <Probe<$type>>::HAS
    }};
}

fn is_copied<T: Copy + Send + Sync + Unpin + Debug + 'static>() {}
fn is_cloned<T: Clone + Send + Sync + Unpin + Debug + 'static>() {}
fn is_shared<T: Send + Sync + Unpin + Debug + 'static>() {}
fn is_sent<T: Send + Unpin + Debug + 'static>() {}
// They hold a tokio timer, which must not be moved.
fn is_spawned<T: Send + Debug + 'static>() {}
fn is_object<T: ?Sized>() {}

#[test]
fn gate_and_configuration_go_anywhere() {
    is_cloned::<TenantGate>();
    is_cloned::<TenantGates>();
    is_cloned::<Environment>();
    is_cloned::<endpoint::CustomEnvironment>();
    is_cloned::<pull::Schedule>();
    is_cloned::<token::SigningKeys>();
    is_shared::<TenantGateBuilder>();
    is_object::<dyn store::Store>();
    is_object::<dyn store::Medium>();
    is_cloned::<store::MemoryStore>();
    is_shared::<store::PostgresStore>();
    is_shared::<store::PostgresStoreBuilder>();
    is_shared::<store::RedbStore>();
    is_shared::<store::RedisStore>();
    is_shared::<store::RedisStoreBuilder>();
    is_cloned::<store::StoreWarning>();
    is_shared::<store::conformance::Conformance>();
}

#[test]
fn values_go_anywhere() {
    is_copied::<ChangeType>();
    is_copied::<UnavailableReason>();
    is_copied::<notification::EmptyBody>();
    is_copied::<notification::Outcome>();
    is_copied::<status::Evidence>();
    is_copied::<health::StoreHealth>();
    is_copied::<health::NotificationCounts>();
    is_cloned::<TenantId>();
    is_cloned::<TenantStatus>();
    is_cloned::<TenantEvent>();
    is_cloned::<status::Record>();
    is_cloned::<status::State>();
    is_cloned::<store::Change>();
    is_cloned::<notification::Accepted>();
    is_cloned::<notification::Notification>();
    is_cloned::<health::Health>();
    is_cloned::<health::TaskHealth>();
    is_cloned::<health::Readiness>();
    is_cloned::<pull::PullHealth>();
    is_cloned::<pull::CorrectionSummary>();
    is_cloned::<pull::Correction>();
    is_cloned::<pull::RefreshError>();
    is_cloned::<pull::PullError>();
    is_cloned::<store::Lease>();
    is_cloned::<token::KeysReport>();
    is_cloned::<token::KeyReport>();
    is_cloned::<token::KeySource>();
    is_shared::<store::conformance::Report>();
    is_shared::<store::conformance::Failure>();
    is_sent::<events::Available>();
    is_shared::<events::Watch>();
    is_cloned::<events::Deletion>();
    is_cloned::<events::ForgetError>();
    is_sent::<events::Events>();
}

#[test]
fn errors_go_anywhere() {
    is_cloned::<GuardError<String>>();
    is_cloned::<TenantUnavailable>();
    is_cloned::<guard::RequireTenantError<String>>();
    is_copied::<guard::InvalidPathPattern>();
    is_cloned::<notification::Refusal>();
    is_copied::<notification::ParseNotificationError>();
    is_cloned::<status::DecodeError>();
    is_cloned::<status::InvalidTenantId>();
    is_cloned::<status::ParseChangeTypeError>();
    is_cloned::<store::StoreError>();
    is_cloned::<token::TokenError>();
    is_shared::<BuildError>();
    is_copied::<notification::GatesError>();
    is_shared::<token::KeyError>();
    is_shared::<simulator::StartError>();
    is_shared::<simulator::NotifyError>();
}

#[test]
fn simulator_goes_anywhere() {
    is_cloned::<simulator::Simulator>();
    is_cloned::<simulator::Network>();
    is_cloned::<simulator::ClosedCall>();
    is_cloned::<simulator::TenantSummary>();
    is_cloned::<simulator::Fault>();
    is_shared::<simulator::SimulatorBuilder>();
    is_shared::<simulator::SimulatorBody>();
    is_sent::<simulator::Change>();
    is_sent::<simulator::Notification>();
    is_sent::<simulator::NetworkFuture>();
    is_sent::<simulator::NetworkFuture<reqwest::Response>>();
}

type Client = ServiceFn<fn(Request<()>) -> Ready<Result<Response<()>, Infallible>>>;
type Body = http_body_util::Empty<bytes::Bytes>;
type Tenant = fn(&String) -> Option<TenantId>;
type Cloned = fn(&Request<()>) -> Option<Request<()>>;

#[test]
fn layers_services_and_futures_go_anywhere() {
    is_cloned::<UrlKey>();
    is_cloned::<guard::KeyFn<Tenant>>();
    is_cloned::<guard::HeaderKey>();
    is_cloned::<guard::PathKey>();
    is_cloned::<guard::RequireTenantLayer<UrlKey>>();
    is_cloned::<guard::RequireTenant<Client, UrlKey>>();
    is_shared::<guard::RequireTenantFuture<Ready<()>>>();
    is_cloned::<guard::InboundLayer<UrlKey>>();
    is_cloned::<guard::Inbound<Client, UrlKey>>();
    is_shared::<guard::InboundFuture<Ready<()>>>();
    is_cloned::<client::ClientLayer>();
    is_cloned::<client::Client<reqwest::Client>>();
    is_cloned::<client::TenantMiddleware>();
    is_cloned::<client::WaitLayer>();
    is_cloned::<client::Wait<Client>>();
    is_spawned::<client::WaitFuture<Client, Request<()>>>();
    is_cloned::<guard::RetryOpen<()>>();
    is_cloned::<GuardLayer>();
    is_cloned::<GuardLayer<guard::KeyFn<Tenant>>>();
    is_cloned::<guard::Guard<Client>>();
    is_cloned::<guard::Guard<reqwest::Client>>();
    is_shared::<guard::ResponseFuture<Ready<()>>>();
    is_copied::<endpoint::CloneSmall>();
    is_copied::<endpoint::CloneEmpty>();
    is_copied::<endpoint::CloneBody>();
    is_copied::<endpoint::CloneWith<Cloned>>();
    is_copied::<endpoint::NoRetry>();
    is_cloned::<endpoint::EndpointLayer>();
    is_cloned::<endpoint::EndpointLayer<endpoint::CloneWith<Cloned>, guard::KeyFn<Tenant>>>();
    is_cloned::<endpoint::Endpoint<Client>>();
    is_cloned::<endpoint::Endpoint<reqwest::Client>>();
    is_shared::<endpoint::ResponseFuture<Client, Request<()>>>();
    is_cloned::<NotificationLayer>();
    is_cloned::<NotificationService>();
    is_cloned::<notification::Notifications<Client>>();
    is_spawned::<notification::NotificationFuture<Body>>();
    is_spawned::<notification::ResponseFuture<Ready<()>, Body>>();
}

/// Neither `Send` nor `Sync`.
type Local = Rc<()>;

#[test]
fn guard_is_what_its_client_is() {
    use guard::{Guard, ResponseFuture};

    assert!(!has!(Guard<Local>: Send) && !has!(Guard<Local>: Sync));
    assert!(!has!(ResponseFuture<Local>: Send) && !has!(ResponseFuture<Local>: Sync));
    assert!(!has!(GuardError<Local>: Send) && !has!(GuardError<Local>: Sync));
    assert!(has!(Guard<Local>: Clone) && has!(Guard<Local>: Unpin));
    assert!(has!(Guard<Cell<u8>>: Send) && !has!(Guard<Cell<u8>>: Sync));
    assert!(has!(ResponseFuture<Cell<u8>>: Send) && !has!(ResponseFuture<Cell<u8>>: Sync));
    assert!(!has!(ResponseFuture<PhantomPinned>: Unpin) && has!(ResponseFuture<u8>: Unpin));
    // A key without Clone takes Clone from the guard, and nothing else.
    struct Once;
    assert!(!has!(Guard<u8, Once>: Clone) && has!(Guard<u8, Once>: Send));
}

#[test]
fn endpoint_is_what_its_client_is() {
    use endpoint::Endpoint;

    assert!(!has!(Endpoint<Local>: Send) && has!(Endpoint<Local>: Clone));
    assert!(has!(Endpoint<Cell<u8>>: Send) && !has!(Endpoint<Cell<u8>>: Sync));
    struct Once;
    assert!(!has!(Endpoint<u8, Once>: Clone) && has!(Endpoint<u8, Once>: Send));
}

#[test]
fn notifications_are_what_their_app_is() {
    use notification::Notifications;

    assert!(!has!(Notifications<Local>: Send));
    assert!(has!(Notifications<Local>: Clone));
    assert!(has!(Notifications<Cell<u8>>: Send) && !has!(Notifications<Cell<u8>>: Sync));
}

/// The names of all structs, enums and unions in `source` that are `pub`, and so public: the lint
/// `unreachable_pub` sees to that.
fn public_types(source: &str) -> impl Iterator<Item = &str> {
    let lines = source.lines().take_while(|line| *line != "#[cfg(test)]");
    lines.filter_map(|line| {
        let item = line.trim_start().strip_prefix("pub ")?;
        let (kind, rest) = item.split_once(' ')?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        ["struct", "enum", "union"].contains(&kind).then(|| rest.split_at(end).0)
    })
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            sources(&path, found);
        } else if name.ends_with(".rs") && !["fuzzing.rs", "tests.rs"].contains(&name) {
            found.push(path);
        }
    }
}

#[test]
fn every_public_type_is_named_here() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    // The folder in `src` that each is in, by its name: some have the same name in several.
    let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in &files {
        let folder = file.strip_prefix(&src).unwrap().iter().next().unwrap().to_str().unwrap();
        for name in public_types(&fs::read_to_string(file).unwrap()) {
            types.entry(name.to_owned()).or_default().push(folder.to_owned());
        }
    }
    assert!(types.len() > 50, "the sources are not read: {types:?}");

    let own = include_str!("auto_traits.rs");
    let named: Vec<&str> = own
        .lines()
        .filter(|line| line.trim_start().starts_with("is_"))
        .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':'))
        .map(|path| path.trim_matches(':'))
        .collect();
    let mut missing = Vec::new();
    for (name, folders) in &types {
        for folder in folders {
            let found = named.iter().any(|path| match path.rsplit_once("::") {
                Some((module, last)) => last == name && (folders.len() == 1 || module == folder),
                None => path == name && folders.len() == 1,
            });
            if !found {
                missing.push(format!("{folder}::{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "name these in this file: {missing:?}");
}
