//! The tenant of a URL: a table, a slow and obvious reference, and disguises.

use http::{Request, Uri};
use proptest::{collection::vec, prelude::*, sample::select};
use tower_superoffice::{Environment, TenantId, TenantKey, UrlKey};
// The fuzz target compares the key with the same reference.
use tower_superoffice_reference::path::tenant_in as reference;

const HOST: &str = "online3.superoffice.com";

fn key() -> UrlKey {
    UrlKey::new(Environment::Production)
}

fn tenant_of_url(key: &UrlKey, url: &str) -> Option<String> {
    let request = Request::get(url).body(()).unwrap();
    key.tenant(&request).map(|tenant| tenant.to_string())
}

#[test]
fn path_names_its_tenant() {
    let table = [
        ("/Cust1/api/v1/Contact/1", Some("Cust1")),
        ("/Cust1", Some("Cust1")),
        ("/Cust1/", Some("Cust1")),
        ("/cUST1/x", Some("cUST1")),
        ("/Cust1?a=/../Cust2", Some("Cust1")),
        ("/Cust-1_a/Remote/Services88/Contact.svc", Some("Cust-1_a")),
        // Escapes, decoded once.
        ("/%43ust1/x", Some("Cust1")),
        ("/%43%75%73%74%31", Some("Cust1")),
        ("/Cust1%2fx", Some("Cust1")),
        ("/Cust1%2Fx", Some("Cust1")),
        ("/Cust1%5Cx", Some("Cust1")),
        ("/Cust1%5cx", Some("Cust1")),
        ("/%2FCust1/x", Some("Cust1")),
        ("/%2543ust1/x", None),
        ("/Cust1%/x", None),
        ("/Cust1%zz", None),
        ("/Cust1%4", None),
        ("/Cust1%00/x", None),
        ("/Cust1%3Fx", None),
        // `%uNNNN`, as http.sys decodes it.
        ("/%u0043ust1/x", Some("Cust1")),
        ("/%U0043%u0075st1", Some("Cust1")),
        ("/Cust1%u002fx", Some("Cust1")),
        ("/Cust1%u005Cx", Some("Cust1")),
        ("/Cust2/%u002e%u002E/Cust1", Some("Cust1")),
        ("/Cust2/%2e%u002e/Cust1", Some("Cust1")),
        ("/%u006cogin/x", None),
        ("/%u0061pi/state/Cust1", None),
        ("/%u0025u0043ust1", None),
        ("/Cust1%u00e9", None),
        ("/Cust1%u0143", None),
        ("/Cust1%ud800/x", None),
        ("/Cust1%u004/x", None),
        ("/Cust1%u/x", None),
        // Blanks and dots at the end of a segment, as Windows drops them.
        ("/Cust1./x", Some("Cust1")),
        ("/Cust1.../x", Some("Cust1")),
        ("/Cust1%20", Some("Cust1")),
        ("/Cust1%20.%20./x", Some("Cust1")),
        ("/Cust1%u0020%2e", Some("Cust1")),
        ("/Cust2/..%20/Cust1", Some("Cust1")),
        ("/Cust2/x/..%20%20/../Cust1", Some("Cust1")),
        ("/Cust2/.%20./Cust1", Some("Cust2")),
        ("/Cust2/..%20./Cust1", Some("Cust2")),
        ("/Cust2/.../Cust1", Some("Cust2")),
        ("/.../Cust1", Some("Cust1")),
        ("/%20/Cust1", Some("Cust1")),
        ("/login./x", None),
        ("/login%20/x", None),
        ("/api./state%20./Cust1", None),
        ("/api /status", Some("api")),
        ("/%20Cust1", None),
        ("/.Cust1", None),
        ("/Cust1.x", None),
        // Slashes.
        ("//Cust1/x", Some("Cust1")),
        ("///Cust1//x", Some("Cust1")),
        ("/\\Cust1\\x", Some("Cust1")),
        ("/Cust1\\x", Some("Cust1")),
        ("/%5c%5CCust1", Some("Cust1")),
        // Dot segments.
        ("/./Cust1/x", Some("Cust1")),
        ("/../Cust1/x", Some("Cust1")),
        ("/../../../Cust1", Some("Cust1")),
        ("/x/../Cust1", Some("Cust1")),
        ("/Cust2/api/../../Cust1/x", Some("Cust1")),
        ("/Cust2/..%2fCust1", Some("Cust1")),
        ("/Cust2/%2e%2e/Cust1", Some("Cust1")),
        ("/Cust2/.%2E/Cust1", Some("Cust1")),
        ("/Cust2\\..\\Cust1", Some("Cust1")),
        ("/Cust2//../Cust1", Some("Cust1")),
        ("/login/../Cust1/x", Some("Cust1")),
        ("/api/../Cust1/state", Some("Cust1")),
        ("/api/state/../../Cust1", Some("Cust1")),
        ("/Cust1/..", None),
        ("/Cust1/x/../y.z", Some("Cust1")),
        ("/Cust1/...", Some("Cust1")),
        // The environment's own.
        ("/login", None),
        ("/login/common/oauth/tokens", None),
        ("/LOGIN/api/PartnerSystemUser/Authenticate", None),
        ("/%4cogin/x", None),
        ("/Cust1/../login/x", None),
        ("/logins/x", Some("logins")),
        ("/api/state/Cust1", None),
        ("/API/State/Cust1", None),
        ("/api//state/Cust1", None),
        ("/%61pi/st%61te/Cust1", None),
        ("/api/./state", None),
        ("/api/status/Cust1", Some("api")),
        ("/api", Some("api")),
        ("/api/state/..", Some("api")),
        // No tenant.
        ("/", None),
        ("//", None),
        ("/.", None),
        ("/Cust 1".trim_end_matches(" 1"), Some("Cust")),
        ("/Cust1;a=b/x", None),
        ("/Cust1:8", None),
        ("/favicon.ico", None),
    ];
    for (path, expected) in table {
        let url = format!("https://{HOST}{path}");
        // A backslash is a slash to some clients and nothing to others: read the path as it is.
        let found = key().tenant_of(HOST, path).map(|tenant| tenant.to_string());
        assert_eq!(found.as_deref(), expected, "{path}");
        if url.parse::<Uri>().is_ok() {
            assert_eq!(tenant_of_url(&key(), &url).as_deref(), expected, "{url}");
        }
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        assert_eq!(reference(path).as_deref(), expected, "reference, {path}");
    }
    let dots = ". ".repeat(100);
    assert_eq!(UrlKey::tenant_of_path(&format!("/Cust1{dots}/x")).unwrap().as_str(), "Cust1");
    assert_eq!(UrlKey::tenant_of_path(&format!("/Cust1{dots}x/x")), None);
    let blanks = " ".repeat(100);
    let parent = UrlKey::tenant_of_path(&format!("/Cust2/..{blanks}/Cust1"));
    assert_eq!(parent.unwrap().as_str(), "Cust1");
    let longest = "a".repeat(64);
    assert_eq!(UrlKey::tenant_of_path(&format!("/{longest}/x")).unwrap().as_str(), longest);
    assert_eq!(UrlKey::tenant_of_path(&format!("/{longest}b/x")), None);
    assert_eq!(UrlKey::tenant_of_path(&format!("/%61{longest}/x")), None);
}

#[test]
fn tenant_host_is_recognised_in_every_spelling() {
    for (authority, expected) in [
        ("superoffice.com", false),
        ("SuperOffice.com.", false),
        (".superoffice.com", false),
        ("sod.superoffice.com", false),
        ("SOD.superoffice.com:443", false),
        ("QAonline.superoffice.com", false),
        ("sod2.superoffice.com", true),
        ("online.superoffice.com", true),
        ("ONLINE.SuperOffice.COM", true),
        ("online.superoffice.com.", true),
        ("online.superoffice.com:443", true),
        ("Online.superoffice.com.:8443", true),
        ("online.superoffice.com:", true),
        ("user:secret@online.superoffice.com", true),
        ("user:secret@Online.superoffice.com.:443", true),
        ("example.org@online.superoffice.com", true),
        ("online.superoffice.com:x", true),
        ("online.superoffice.com@example.org", false),
        ("superoffice.com:1@example.org:443", false),
        ("evilsuperoffice.com", false),
        ("superoffice.com.example.org", false),
        ("example.org", false),
        ("[::1]", false),
        ("[::1]:443", false),
        ("127.0.0.1", false),
        ("", false),
    ] {
        let found = key().tenant_of(authority, "/Cust1").is_some();
        assert_eq!(found, expected, "{authority}");
        if let Ok(uri) = format!("https://{authority}/Cust1").parse::<Uri>() {
            let request = Request::get(uri).body(()).unwrap();
            assert_eq!(key().tenant(&request).is_some(), expected, "{authority}");
        }
    }
}

#[test]
fn custom_environment_has_its_own_hosts() {
    for base in ["http://127.0.0.1:9000", "http://[::1]:9000", "https://so.example.org"] {
        let key = UrlKey::new(Environment::custom(base.parse().unwrap()));
        let url = format!("{base}/Cust1/x");
        assert_eq!(tenant_of_url(&key, &url).as_deref(), Some("Cust1"), "{url}");
        assert_eq!(tenant_of_url(&key, &format!("https://{HOST}/Cust1")), None);
    }
    let key = UrlKey::new(Environment::custom("http://127.0.0.1:9000".parse().unwrap()));
    for url in ["http://127.0.0.1:9/Cust1", "http://me@127.0.0.1/Cust1", "https://127.0.0.1./Cust1"]
    {
        assert_eq!(tenant_of_url(&key, url).as_deref(), Some("Cust1"), "{url}");
    }
}

#[test]
fn url_without_a_host_takes_the_host_header() {
    let request = |url: &str, host: Option<&str>| {
        let builder = host.iter().fold(Request::get(url), |b, host| b.header("host", *host));
        key().tenant(&builder.body(()).unwrap())
    };
    assert!(request("/Cust1/x", Some("Online.SuperOffice.com.:443")).is_some());
    assert!(request("/Cust1/x", Some(" online.superoffice.com ")).is_some());
    assert!(request("/Cust1/x", Some("example.org")).is_none());
    assert!(request("/Cust1/x", Some("b\u{fc}ro.superoffice.com")).is_some());
    assert!(request("/Cust1/x", None).is_none());
    // The URL's host is the one that is dialled.
    assert!(request("https://example.org/Cust1", Some(HOST)).is_none());
    assert!(request("https://online.superoffice.com/Cust1", Some("example.org")).is_some());
}

#[test]
fn tenant_in_the_extensions_wins() {
    let mut request = Request::get("https://online.superoffice.com/login").body(()).unwrap();
    request.extensions_mut().insert(TenantId::new("Cust9").unwrap());
    assert_eq!(key().tenant(&request).unwrap().as_str(), "Cust9");
}

#[test]
fn reqwest_request_has_the_same_key() {
    let tenant_of = |url: &str| {
        let request = reqwest::Request::new(http::Method::GET, url.parse().unwrap());
        key().tenant(&request).map(|tenant| tenant.to_string())
    };
    for url in [
        "https://online3.superoffice.com/Cust1/x?y",
        "https://ONLINE3.superoffice.com.:8443//%43ust1\\x",
        "https://a:b@online3.superoffice.com/login/..%2FCust1",
        "https:\\\\online3.superoffice.com\\x\\..\\Cust1",
        "https://online3%2Esuperoffice.com/Cust1",
    ] {
        assert_eq!(tenant_of(url).as_deref(), Some("Cust1"), "{url}");
    }
    for url in ["https://online.superoffice.com/Login/x", "https://example.org/Cust1", "data:Cust1"]
    {
        assert_eq!(tenant_of(url), None, "{url}");
    }
}

/// Paths made of the pieces that disguises are made of.
fn hostile_path() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "/",
        "/",
        "/",
        "//",
        "\\",
        "%2F",
        "%2f",
        "%5C",
        "%5c",
        "%255c",
        ".",
        "..",
        "/..",
        "/../",
        "/./",
        "%2e",
        "%2E%2e",
        "...",
        "Cust1",
        "cust2",
        "%43ust1",
        "Cus%74",
        "login",
        "LOGIN",
        "%6Cogin",
        "api",
        "Api",
        "state",
        "s%74ate",
        "x.y",
        "%",
        "%4",
        "%zz",
        "%u002e",
        "%u002F",
        "%U005c",
        "%u0043ust1",
        "%u0020",
        "%u0130",
        "%u00",
        "%20",
        "Cust1.",
        "login. ",
        "%00",
        "%25",
        " ",
        "~",
        ";",
        "-",
        "_",
        "\u{e9}",
        "%C3%A9",
        "a-quite-long-segment-of-text",
        "/api/v1/Contact",
        "a0123456789012345678901234567890123456789012345678901234567890123",
    ]);
    vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// A character in one of the spellings that a server reads alike.
fn disguised(text: String) -> impl Strategy<Value = String> {
    vec(0..6_u8, text.len()).prop_map(move |ways| {
        let disguise = |(byte, way): (u8, &u8)| match way {
            4 => format!("%u00{byte:02x}"),
            5 => format!("%U00{byte:02X}"),
            0 => format!("%{byte:02x}"),
            1 => format!("%{byte:02X}"),
            2 => char::from(byte).to_ascii_uppercase().to_string(),
            _ => char::from(byte).to_string(),
        };
        text.bytes().zip(&ways).map(disguise).collect()
    })
}

/// A detour in a path that ends where it begins.
fn detour() -> impl Strategy<Value = String> {
    let slash = select(vec!["/", "//", "\\", "%2f", "%5C", "/.\\"]);
    let dots = select(vec!["..", "%2e.", ".%2E", "%2E%2e", "%u002e.", "..%20", ".%2e%u0020 "]);
    let name = select(vec!["x", "Cust2", "login", "api", "..x", "a%20b", "x. ", "Cust2%20."]);
    prop_oneof![
        3 => slash.clone().prop_map(str::to_owned),
        1 => (slash.clone(), name, slash.clone(), dots, slash)
            .prop_map(|(a, name, b, dots, c)| format!("{a}{name}{b}{dots}{c}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_path_is_read_as_by_the_reference(path in hostile_path()) {
        let found = UrlKey::tenant_of_path(&path).map(|tenant| tenant.to_string());
        prop_assert_eq!(&found, &reference(&path));
        if let Ok(uri) = format!("https://{HOST}{path}").parse::<Uri>() {
            let expected = reference(uri.path());
            prop_assert_eq!(tenant_of_url(&key(), &uri.to_string()), expected);
        }
        if let Ok(url) = format!("https://{HOST}{path}").parse::<reqwest::Url>() {
            let expected = reference(url.path());
            let request = reqwest::Request::new(http::Method::GET, url);
            prop_assert_eq!(key().tenant(&request).map(|tenant| tenant.to_string()), expected);
        }
    }

    #[test]
    fn disguised_tenant_is_found(
        (tenant, disguised) in "[a-z0-9_-]{1,30}".prop_flat_map(|id| (Just(id.clone()), disguised(id))),
        before in vec(detour(), 1..4),
        end in select(vec!["", ".", "%20", ". .", "%u002e "]),
        after in vec(detour(), 0..3),
        authority in select(vec![
            HOST, "Online.SuperOffice.COM", "x.superoffice.com.:8443", "a:b@c.superoffice.com:1",
        ]),
    ) {
        prop_assume!(tenant != "login" && tenant != "api");
        let path = format!("{}{disguised}{end}{}", before.concat(), after.concat());
        let found = key().tenant_of(authority, &path);
        prop_assert_eq!(found, Some(TenantId::new(&tenant).unwrap()), "{}", path);
    }

    #[test]
    fn every_authority_is_read_as_the_dialled_host(
        pieces in vec(select(vec![
            "a", "superoffice.com", ".superoffice.com", "SuperOffice.Com", "online", "qa", "Sod", ".", ":",
            "@",
            "443", "[", "]", "::1", "example.org", "",
        ]), 0..6),
    ) {
        let authority = pieces.concat();
        let found = key().tenant_of(&authority, "/Cust1").is_some();
        if let Ok(uri) = format!("https://{authority}/Cust1").parse::<Uri>() {
            let host = uri.host().unwrap().to_ascii_lowercase();
            let host = host.strip_suffix('.').unwrap_or(&host);
            let dialled = host.strip_suffix(".superoffice.com").is_some_and(|label| {
                !label.is_empty() && label != "sod" && label != "qaonline"
            });
            prop_assert_eq!(found, dialled, "{}", authority);
        }
    }
}
