//! A key that reads a header.

use http::{HeaderName, HeaderValue, Request};

use super::TenantKey;
use crate::tenant_id::TenantId;

/// Finds the tenant in a header of an `http::Request`, such as `x-tenant`.
///
/// Of several values servers use the first or the last, so both tenants must be open. A request
/// without the header, or with a value that is no tenant id, is for no tenant and passes: add
/// [`require_tenant`](crate::GuardLayer::require_tenant) where that must not happen.
///
/// ```
/// use http::HeaderName;
/// use tower_superoffice::guard::HeaderKey;
///
/// # fn of(gate: &tower_superoffice::TenantGate) {
/// let key = HeaderKey::new(HeaderName::from_static("x-tenant"));
/// let layer = gate.guard_layer().key(key).require_tenant();
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HeaderKey {
    name: HeaderName,
}

impl HeaderKey {
    /// Creates a key that reads the header `name`.
    #[must_use]
    pub fn new(name: HeaderName) -> Self {
        Self { name }
    }
}

impl<B> TenantKey<Request<B>> for HeaderKey {
    fn tenant(&self, request: &Request<B>) -> Option<TenantId> {
        let mut values = request.headers().get_all(&self.name).iter();
        let first = values.next()?;
        tenant_in(first).or_else(|| tenant_in(values.next_back()?))
    }

    fn second_tenant(&self, request: &Request<B>) -> Option<TenantId> {
        let mut values = request.headers().get_all(&self.name).iter();
        values.next()?;
        tenant_in(values.next_back()?)
    }
}

fn tenant_in(value: &HeaderValue) -> Option<TenantId> {
    TenantId::new(str::from_utf8(value.as_bytes()).ok()?.trim_ascii()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_value_are_both_tenants() {
        let key = HeaderKey::new(HeaderName::from_static("x-tenant"));
        let table: [(&[&str], Option<&str>, Option<&str>); 6] = [
            (&[], None, None),
            (&["Cust1"], Some("Cust1"), None),
            (&[" Cust1\t"], Some("Cust1"), None),
            (&["Cust1", "Cust2", "Cust3"], Some("Cust1"), Some("Cust3")),
            (&["no id!", "Cust2"], Some("Cust2"), Some("Cust2")),
            (&["no id!"], None, None),
        ];
        for (values, first, second) in table {
            let mut request = Request::new(());
            for value in values {
                request.headers_mut().append("x-tenant", HeaderValue::from_str(value).unwrap());
            }
            let found = key.tenant(&request);
            assert_eq!(found.as_ref().map(TenantId::as_str), first, "{values:?}");
            let found = key.second_tenant(&request);
            assert_eq!(found.as_ref().map(TenantId::as_str), second, "{values:?}");
        }
    }
}
