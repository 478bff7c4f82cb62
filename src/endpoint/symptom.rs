//! Responses of an open tenant that suggest that it is closed.

use http::{Uri, header::LOCATION};

use super::has_status::HasStatus;
use crate::{environment::Environment, key::UrlKey, tenant_id::TenantId};

/// Returns whether `response` to a call to `tenant` suggests that it is closed: a server error, or
/// a redirect that leads away from the tenant, such as to a page that says so.
///
/// What SuperOffice answers for a closed tenant is not documented.
pub(super) fn is_symptom(
    response: &impl HasStatus,
    tenant: &TenantId,
    environment: &Environment,
) -> bool {
    let status = response.status();
    status.is_server_error()
        || (status.is_redirection() && leads_away(response, tenant, environment))
}

fn leads_away(response: &impl HasStatus, tenant: &TenantId, environment: &Environment) -> bool {
    // Without a location it leads nowhere: 304 is one of those.
    let Some(location) = response.headers().get(LOCATION) else { return false };
    let Ok(location) = Uri::try_from(location.as_bytes()) else { return true };
    // A path that does not begin with a slash goes on from the present one.
    if !location.path().starts_with('/') {
        return false;
    }
    let at_tenant_host = location.host().is_none_or(|host| environment.is_tenant_host(host));
    !at_tenant_host || UrlKey::tenant_of_path(location.path()).as_ref() != Some(tenant)
}

#[cfg(test)]
mod tests {
    use http::{Response, StatusCode};

    use super::*;

    fn symptom(status: u16, location: Option<&str>) -> bool {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(location) = location {
            response.headers_mut().insert(LOCATION, location.parse().unwrap());
        }
        let tenant = TenantId::new("Cust1").unwrap();
        is_symptom(&response, &tenant, &Environment::Production)
    }

    #[test]
    fn server_errors_and_redirects_off_the_tenant_are_symptoms() {
        for (status, location, expected) in [
            (200, None, false),
            (404, None, false),
            (401, None, false),
            (304, None, false),
            (500, None, true),
            (503, None, true),
            (302, None, false),
            (302, Some("/Cust1/api/v1/Contact/2"), false),
            (302, Some("https://online3.superoffice.com/cust1/x"), false),
            (302, Some("https://online3.superoffice.com/Cust2/x"), true),
            (302, Some("https://online.superoffice.com/login"), true),
            (302, Some("/maintenance.html"), true),
            (302, Some("https://status.example/"), true),
            (302, Some("http://["), true),
            (200, Some("/maintenance.html"), false),
        ] {
            assert_eq!(symptom(status, location), expected, "{status} {location:?}");
        }
    }
}
