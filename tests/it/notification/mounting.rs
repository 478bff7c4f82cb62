//! Every row of the table in docs/mounting.md, with axum's own routers: where the notification
//! route is reached, and where it is silently lost.

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::Response,
    routing::{get, post},
};
use harness::TestEnv;
use http::StatusCode;
use tower::{Layer, Service, ServiceExt};
use tower_superoffice::{TenantGate, notification::Refusal};

const PATH: &str = "/NotifyCustomerStateChange";

async fn gate() -> TenantGate {
    TestEnv::with(|builder| builder.state_api(false)).await.gate
}

/// The user's app: a page at `/` and one below `/shop`.
fn app() -> Router {
    Router::new().route("/", get(|| async { "home" }))
}

async fn send<S>(app: S, request: Request) -> Response
where
    S: Service<Request, Response = Response>,
    S::Error: std::fmt::Debug,
{
    app.oneshot(request).await.unwrap()
}

/// Returns whether the gate answers a POST to `path`. An empty object is no notification, and only
/// the gate gives its typed reason with the answer.
async fn is_reached<S>(app: S, path: &str) -> bool
where
    S: Service<Request, Response = Response>,
    S::Error: std::fmt::Debug,
{
    let response = send(app, Request::post(path).body(Body::from("{}")).unwrap()).await;
    response.extensions().get::<Refusal>() == Some(&Refusal::Malformed)
}

/// Returns the app's response at `path`.
async fn page<S>(app: S, path: &str) -> (StatusCode, String)
where
    S: Service<Request, Response = Response>,
    S::Error: std::fmt::Debug,
{
    let response = send(app, Request::get(path).body(Body::empty()).unwrap()).await;
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

mod route_service {
    use super::*;

    #[tokio::test]
    async fn route_is_reached() {
        let app = app().route_service(PATH, gate().await.notification_service());
        assert!(super::is_reached(app.clone(), PATH).await);
        assert_eq!(page(app, "/").await, (StatusCode::OK, "home".to_owned()));
    }

    #[tokio::test]
    async fn route_is_reached_after_later_additions() {
        let app = app()
            .route_service(PATH, gate().await.notification_service())
            .fallback(|| async { "nothing here" })
            .route_layer(tower::layer::layer_fn(|inner| inner))
            .nest("/shop", app())
            .merge(Router::new().route("/more", get(|| async { "more" })));
        assert!(super::is_reached(app.clone(), PATH).await);
        assert_eq!(page(app.clone(), "/shop").await.1, "home");
        assert_eq!(page(app, "/other").await.1, "nothing here");
    }

    #[tokio::test]
    async fn route_in_a_merged_or_nested_router_is_reached() {
        let hooks = Router::new().route_service(PATH, gate().await.notification_service());
        assert!(super::is_reached(app().merge(hooks.clone()), PATH).await);
        assert!(super::is_reached(app().nest("/hooks", hooks), &format!("/hooks{PATH}")).await);
    }

    #[tokio::test]
    async fn other_method_is_405() {
        let app = app().route_service(PATH, gate().await.notification_service());
        let response = send(app, Request::get(PATH).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.extensions().get::<Refusal>(), Some(&Refusal::Method));
        assert_eq!(response.headers()[http::header::ALLOW], "POST");
    }
}

mod layer_around_the_app {
    use super::*;

    #[tokio::test]
    async fn layer_around_any_router_is_reached() {
        let inner = app()
            .route(PATH, post(|| async { "never" }))
            .fallback(|| async { "nothing here" })
            .nest("/shop", app());
        let app = gate().await.notification_layer().layer(inner);
        assert!(super::is_reached(app.clone(), PATH).await);
        assert_eq!(page(app.clone(), "/").await.1, "home");
        assert_eq!(page(app, "/other").await.1, "nothing here");
    }

    #[tokio::test]
    async fn layer_under_axum_serve_is_reached() {
        use axum::ServiceExt;

        let app = gate().await.notification_layer().layer(app());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(
            axum::serve(listener, ServiceExt::<Request>::into_make_service(app)).into_future(),
        );

        let client = reqwest::Client::new();
        let notified =
            client.post(format!("http://{address}{PATH}")).body("{}").send().await.unwrap();
        assert_eq!(notified.status(), reqwest::StatusCode::BAD_REQUEST);
        let home = client.get(format!("http://{address}/")).send().await.unwrap();
        assert_eq!(home.text().await.unwrap(), "home");
    }
}

mod layer_in_the_router {
    use super::*;

    #[tokio::test]
    async fn last_layer_is_reached() {
        let app = app().layer(gate().await.notification_layer());
        assert!(super::is_reached(app.clone(), PATH).await);
        assert_eq!(page(app, "/").await.1, "home");
    }

    #[tokio::test]
    async fn layer_after_a_fallback_is_reached() {
        let app =
            app().fallback(|| async { "nothing here" }).layer(gate().await.notification_layer());
        assert!(super::is_reached(app, PATH).await);
    }

    #[tokio::test]
    async fn layer_before_a_fallback_is_lost() {
        let app =
            app().layer(gate().await.notification_layer()).fallback(|| async { "nothing here" });
        assert!(!super::is_reached(app, PATH).await);
    }

    #[tokio::test]
    async fn route_layer_is_lost() {
        let app = app().route_layer(gate().await.notification_layer());
        assert!(!super::is_reached(app, PATH).await);
    }

    #[tokio::test]
    async fn layer_of_a_nested_router_is_lost() {
        let hooks = app().layer(gate().await.notification_layer());
        let app = Router::new().nest("/hooks", hooks);
        assert!(!super::is_reached(app.clone(), PATH).await);
        assert!(!super::is_reached(app, &format!("/hooks{PATH}")).await);
    }

    #[tokio::test]
    async fn layer_before_a_merge_of_a_plain_router_is_lost() {
        let app = app()
            .layer(gate().await.notification_layer())
            .merge(Router::new().route("/more", get(|| async { "more" })));
        assert!(!super::is_reached(app, PATH).await);
    }

    #[tokio::test]
    async fn layered_router_merged_into_a_plain_one_is_reached() {
        let layered = app().layer(gate().await.notification_layer());
        let app = Router::new().route("/more", get(|| async { "more" })).merge(layered);
        assert!(super::is_reached(app.clone(), PATH).await);
        assert_eq!(page(app, "/more").await.1, "more");
    }
}
