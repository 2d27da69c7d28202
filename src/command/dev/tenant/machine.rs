//! Applications that are nobody's: their tokens for the Management API.

use std::sync::Arc;

use serde_json::{Value, json};

use super::mint::TokenBuilder;
use super::settings::Machine;
use super::wire::OauthError;
use super::{Shared, lock};
use crate::command::dev::answer::Parameters;

/// The client-credentials grant.
pub(super) fn token(tenant: &Arc<Shared>, machine: &Machine, parameters: &Parameters) -> Result<Value, OauthError> {
    let settings = lock(&tenant.settings).clone();
    let scopes = &machine.scopes;
    let no_audience = "No audience parameter was provided, and no default audience has been configured";
    let audience = parameters.get("audience").ok_or_else(|| OauthError::forbidden("access_denied", no_audience))?;
    let is_management = audience == tenant.management_audience();
    if !is_management && audience != settings.audience {
        return Err(OauthError::no_such_api(audience));
    }
    if !is_management || scopes.is_empty() {
        let description = format!(
            "Client is not authorized to access \"{audience}\". You need to create a \"client-grant\" associated to \
             this API. See: https://auth0.com/docs/api/v2#!/Client_Grants/post_client_grants"
        );
        return Err(OauthError::forbidden("access_denied", description));
    }
    let scope = match parameters.get("scope").map(str::trim).filter(|scope| !scope.is_empty()) {
        None => scopes.join(" "),
        Some(asked) => {
            let granted = |scope: &&str| scopes.iter().any(|granted| granted == scope);
            let refused: Vec<_> = asked.split_whitespace().filter(|scope| !granted(scope)).collect();
            if !refused.is_empty() {
                let description = format!("Client has not been granted scopes: {}", refused.join(", "));
                return Err(OauthError::forbidden("access_denied", description));
            }
            asked.split_whitespace().collect::<Vec<_>>().join(" ")
        }
    };
    Ok(json!({
        "access_token": TokenBuilder::management(tenant, &machine.client_id, &scope).sign(),
        "scope": scope,
        "expires_in": settings.management_token_life,
        "token_type": "Bearer",
    }))
}
