//! Calls with reqwest, without a tower service in sight.

use std::future::poll_fn;

use reqwest::{RequestBuilder, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::TenantGate;
use crate::guard::GuardError;

impl TenantGate {
    /// Sends a reqwest request as the [`client_layer`](Self::client_layer) does: to the current
    /// host of its tenant, and not at all while the tenant is closed.
    ///
    /// Build the client with `redirect(Policy::none())`: [the guide](crate::guide::clients) says
    /// why.
    ///
    /// # Errors
    ///
    /// [`GuardError::Unavailable`] when the tenant is closed, [`GuardError::Inner`] when reqwest
    /// fails.
    ///
    /// ```
    /// # async fn run(gate: tower_superoffice::TenantGate, client: reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = client.get("https://online3.superoffice.com/Cust12345/api/v1/Contact/1");
    /// let contact = gate.send(request.bearer_auth("8A:Cust12345.AUr...")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<Response, GuardError<reqwest::Error>> {
        let (client, request) = request.build_split();
        let request = request.map_err(GuardError::Inner)?;
        let mut client = self.client_layer().layer(client);
        poll_fn(|cx| client.poll_ready(cx)).await?;
        client.call(request).await
    }
}
