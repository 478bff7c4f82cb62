//! Every public type can be sent, shared, cloned and pinned as its users need it; wrappers, as far as
//! what they wrap can.

use std::{
    cell::Cell, convert::Infallible, fmt::Debug, future::Ready, marker::PhantomPinned, rc::Rc,
};

use http::{Request, Response};
use tower::util::ServiceFn;
use tower_superoffice::{
    BuildError, ChangeType, Environment, GuardError, GuardLayer, NotificationLayer,
    NotificationService, TenantEvent, TenantGate, TenantGateBuilder, TenantId, TenantStatus,
    TenantUnavailable, UnavailableReason, UrlKey,
    events::{Available, Events},
    guard::{Guard, KeyFn, ResponseFuture as GuardFuture},
    health::{Health, NotificationCounts, StoreHealth},
    notification::{
        Accepted, EmptyBody, NotificationFuture, Notifications, Outcome, Refusal,
        ResponseFuture as NotificationsFuture,
    },
    status::{DecodeError, Evidence, InvalidTenantId, Record, State},
    token::{KeyError, KeysReport, SigningKeys, TokenError},
};

/// Tells at run time whether a type has a trait: an inherent constant goes before one of a trait.
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

fn is_shared<T: Send + Sync + Unpin + Debug + 'static>() {}
fn is_cloned<T: Clone + Send + Sync + Unpin + Debug + 'static>() {}
fn is_sent<T: Send + Unpin + Debug + 'static>() {}
// They hold a timer of tokio's, which must not be moved.
fn is_spawned<T: Send + Debug + 'static>() {}

#[test]
fn plain_types_are_clone_send_sync_unpin() {
    is_cloned::<Accepted>();
    is_cloned::<ChangeType>();
    is_cloned::<DecodeError>();
    is_cloned::<EmptyBody>();
    is_cloned::<Environment>();
    is_cloned::<Evidence>();
    is_cloned::<Health>();
    is_cloned::<InvalidTenantId>();
    is_cloned::<KeysReport>();
    is_cloned::<NotificationCounts>();
    is_cloned::<Outcome>();
    is_cloned::<Record>();
    is_cloned::<Refusal>();
    is_cloned::<SigningKeys>();
    is_cloned::<State>();
    is_cloned::<StoreHealth>();
    is_cloned::<TenantEvent>();
    is_cloned::<TenantGate>();
    is_cloned::<TenantId>();
    is_cloned::<TenantStatus>();
    is_cloned::<TenantUnavailable>();
    is_cloned::<TokenError>();
    is_cloned::<UnavailableReason>();
    is_cloned::<UrlKey>();
    is_shared::<BuildError>();
    is_shared::<KeyError>();
    is_shared::<TenantGateBuilder>();
    is_sent::<Available>();
    is_sent::<Events>();
}

type Client = ServiceFn<fn(Request<()>) -> Ready<Result<Response<()>, Infallible>>>;

#[test]
fn layers_services_and_futures_are_send_sync_unpin() {
    is_cloned::<GuardLayer>();
    is_cloned::<GuardLayer<KeyFn<fn(&String) -> Option<TenantId>>>>();
    is_cloned::<Guard<Client>>();
    is_cloned::<Guard<reqwest::Client>>();
    is_cloned::<GuardError<String>>();
    is_shared::<GuardFuture<Ready<()>>>();
    is_cloned::<NotificationLayer>();
    is_cloned::<NotificationService>();
    is_cloned::<Notifications<Client>>();
    is_spawned::<NotificationFuture<http_body_util::Empty<bytes::Bytes>>>();
    is_spawned::<NotificationsFuture<Ready<()>, http_body_util::Empty<bytes::Bytes>>>();
}

/// Neither `Send` nor `Sync`.
type Local = Rc<()>;

#[test]
fn guard_has_the_auto_traits_of_its_client() {
    assert!(!has!(Guard<Local>: Send) && !has!(Guard<Local>: Sync));
    assert!(!has!(GuardFuture<Local>: Send) && !has!(GuardFuture<Local>: Sync));
    assert!(!has!(GuardError<Local>: Send) && !has!(GuardError<Local>: Sync));
    assert!(has!(Guard<Local>: Clone) && has!(Guard<Local>: Unpin));
    assert!(has!(Guard<Cell<u8>>: Send) && !has!(Guard<Cell<u8>>: Sync));
    assert!(has!(GuardFuture<Cell<u8>>: Send) && !has!(GuardFuture<Cell<u8>>: Sync));
    assert!(!has!(GuardFuture<PhantomPinned>: Unpin) && has!(GuardFuture<u8>: Unpin));
    // A key that can't be cloned makes no clones of the guard, and nothing else worse.
    struct Once;
    assert!(!has!(Guard<u8, Once>: Clone) && has!(Guard<u8, Once>: Send));
}

#[test]
fn notification_service_has_the_auto_traits_of_its_app() {
    assert!(!has!(Notifications<Local>: Send) && has!(Notifications<Local>: Clone));
    assert!(has!(Notifications<Cell<u8>>: Send) && !has!(Notifications<Cell<u8>>: Sync));
}
