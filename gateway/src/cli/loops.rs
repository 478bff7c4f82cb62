//! Targets that would send calls back to the gateway.

use std::net::SocketAddr;

use axum::http::Uri;

use super::Args;
use crate::{BoxError, server};

impl Args {
    /// Refuses targets that are one of the gateway's own `listeners`.
    ///
    /// # Errors
    ///
    /// With the option that names one.
    pub(crate) async fn refuse_loops(&self, listeners: &[SocketAddr]) -> Result<(), BoxError> {
        for (flag, target) in self.targets() {
            if server::is_own(&target, listeners).await {
                let target = target.to_string();
                let target = target.trim_end_matches('/');
                let error = format!(
                    "{flag} {target} is this gateway itself: give the address that calls are to \
                     reach"
                );
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn targets(&self) -> Vec<(&'static str, Uri)> {
        let scheme = self.base_url.as_ref().and_then(Uri::scheme_str).unwrap_or("https");
        let hosts = (self.tenant_host.iter())
            .filter_map(|host| Some(("--tenant-host", format!("{scheme}://{host}").parse().ok()?)));
        let keys = self.environments.iter().filter_map(|args| args.key_url.as_ref());
        [("--upstream", &self.upstream), ("--base-url", &self.base_url)]
            .into_iter()
            .filter_map(|(flag, url)| Some((flag, url.clone()?)))
            .chain(keys.map(|url| ("--key-url", url.clone())))
            .chain(hosts)
            .collect()
    }
}
