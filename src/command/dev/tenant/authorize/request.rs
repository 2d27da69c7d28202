//! An authorization request, read and checked (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1).

use super::reply::{AuthorizationError, ResponseMode, Target};
use crate::command::dev::answer::Parameters;
use crate::command::dev::provider::Asked;
use crate::command::dev::tenant::application::{Application, origin};
use crate::command::dev::tenant::{Shared, lock};

/// A request that can be answered.
#[derive(Clone, Debug)]
pub(super) struct AuthorizationRequest {
    pub(super) target: Target,
    pub(super) client_id: String,
    pub(super) scope: String,
    pub(super) has_audience: bool,
    pub(super) nonce: Option<String>,
    pub(super) challenge: String,
    pub(super) prompt: Prompt,
    pub(super) max_age: Option<u64>,
    /// The one connection that the person may sign in through.
    pub(super) connection: Option<String>,
    /// What is asked of its provider.
    pub(super) asked: Asked,
}

/// Whether the person is asked who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// When the browser has no session.
    AsNeeded,
    /// Never.
    Never,
    /// Always.
    Always,
}

/// Finds out who asks and where the answer goes. What fails here must not be told to the address in the request.
pub(super) fn target(tenant: &Shared, parameters: &Parameters) -> Result<(Application, Target), AuthorizationError> {
    let required = |name: &str| {
        let missing = || AuthorizationError::new("invalid_request", format!("Missing required parameter: {name}"));
        parameters.get(name).filter(|value| !value.is_empty()).ok_or_else(missing)
    };
    let client_id = required("client_id")?;
    let unknown = || AuthorizationError::new("invalid_request", format!("Unknown client: {client_id}"));
    let application = lock(&tenant.settings).application(client_id).cloned().ok_or_else(unknown)?;
    let redirect_uri = required("redirect_uri")?;
    let mode = match parameters.get("response_mode") {
        None | Some("query") => ResponseMode::Query,
        Some("web_message") => ResponseMode::WebMessage,
        Some(other) => {
            return Err(AuthorizationError::new("invalid_request", format!("Unsupported response mode: {other}")));
        }
    };
    // A message goes to an origin; the rest of the address does not matter.
    if mode == ResponseMode::WebMessage && !application.may_call_from(origin(redirect_uri)) {
        let description = format!("The specified redirect_uri '{redirect_uri}' does not have a registered origin.");
        return Err(AuthorizationError::new("invalid_request", description));
    }
    if mode == ResponseMode::Query && !application.may_end_at(redirect_uri) {
        let description = format!("Callback URL mismatch. {redirect_uri} is not in the list of allowed callback URLs");
        return Err(AuthorizationError::new("unauthorized_client", description));
    }
    let state = parameters.get("state").map(str::to_owned);
    Ok((application, Target { redirect_uri: redirect_uri.to_owned(), state, mode }))
}

/// Reads the rest of the request. What fails here is told to the application.
pub(super) fn read(
    tenant: &Shared,
    client_id: String,
    target: Target,
    parameters: &Parameters,
) -> Result<AuthorizationRequest, AuthorizationError> {
    match parameters.get("response_type") {
        Some("code") => {}
        None => return Err(AuthorizationError::new("invalid_request", "Missing required parameter: response_type")),
        Some(other) => {
            let description = format!("Unsupported response type: {other}");
            return Err(AuthorizationError::new("unsupported_response_type", description));
        }
    }
    let audience = parameters.get("audience").filter(|audience| !audience.is_empty());
    if let Some(other) = audience.filter(|audience| *audience != lock(&tenant.settings).audience) {
        return Err(AuthorizationError::new("access_denied", format!("Service not found: {other}")));
    }
    let (prompt, consent) = prompt(parameters)?;
    let connection = parameters.get("connection").filter(|name| !name.is_empty());
    if let Some(name) = connection {
        check_connection(tenant, name)?;
    }
    let owned = |name: &str| parameters.get(name).map(str::to_owned);
    Ok(AuthorizationRequest {
        target,
        client_id,
        scope: parameters.get("scope").unwrap_or("openid profile email").trim().to_owned(),
        has_audience: audience.is_some(),
        nonce: owned("nonce"),
        challenge: challenge(parameters)?,
        prompt,
        max_age: max_age(parameters)?,
        connection: connection.map(str::to_owned),
        asked: Asked {
            scopes: names(parameters.get("connection_scope").unwrap_or_default(), ','),
            offline: parameters.get("access_type") == Some("offline"),
            consent: consent || parameters.get("approval_prompt") == Some("force"),
        },
    })
}

fn names(text: &str, separator: char) -> Vec<String> {
    text.split(separator).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// A public application has nothing but PKCE to prove itself by (RFC 9700 §2.1.1). The text is our own.
fn challenge(parameters: &Parameters) -> Result<String, AuthorizationError> {
    let refused = |description: &str| AuthorizationError::new("invalid_request", description);
    let challenge = parameters.get("code_challenge").filter(|challenge| !challenge.is_empty());
    let challenge = challenge.ok_or_else(|| refused("Parameter 'code_challenge' is required for this client"))?;
    // A SHA-256 in base64url (RFC 7636 §4.2).
    let is_digest =
        challenge.len() == 43 && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    match parameters.get("code_challenge_method") {
        Some("S256") if is_digest => Ok(challenge.to_owned()),
        Some("S256") => Err(refused("Parameter 'code_challenge' must be a SHA-256 digest in base64url")),
        // Without a method it would be `plain`.
        Some(_) | None => Err(refused("Parameter 'code_challenge_method' must be 'S256'")),
    }
}

/// Whether the person is asked, and whether anew for their consent at the provider.
fn prompt(parameters: &Parameters) -> Result<(Prompt, bool), AuthorizationError> {
    let prompts = names(parameters.get("prompt").unwrap_or_default(), ' ');
    let prompts: Vec<_> = prompts.iter().map(String::as_str).collect();
    match prompts.as_slice() {
        [] => Ok((Prompt::AsNeeded, false)),
        ["none"] => Ok((Prompt::Never, false)),
        some if some.iter().all(|name| ["login", "consent", "select_account"].contains(name)) => {
            Ok((Prompt::Always, some.contains(&"consent")))
        }
        _ => Err(AuthorizationError::new("invalid_request", "Invalid value for parameter: prompt")),
    }
}

fn max_age(parameters: &Parameters) -> Result<Option<u64>, AuthorizationError> {
    let invalid = |_| AuthorizationError::new("invalid_request", "Invalid value for parameter: max_age");
    parameters.get("max_age").map(str::parse).transpose().map_err(invalid)
}

fn check_connection(tenant: &Shared, name: &str) -> Result<(), AuthorizationError> {
    match lock(&tenant.connections).get(name).map(|connection| connection.has_sign_in()) {
        Some(true) => Ok(()),
        Some(false) => Err(AuthorizationError::new("invalid_request", "the connection is not enabled")),
        None => Err(AuthorizationError::new("invalid_request", "the connection was not found")),
    }
}
