//! `/authorize`: a person signs in for an application, in their browser, and the application gets a code.

use hyper::http::{HeaderMap, Response};

use super::code::Pending;
use super::grant::Grant;
use super::page;
use super::session::Session;
use super::{Shared, lock};
use crate::command::dev::answer::Parameters;
use crate::command::dev::http::Body;

mod login;
mod reply;
mod request;
mod transaction;

pub(super) use login::{show, submit};
pub(super) use reply::redirect;
pub(super) use transaction::Transactions;

use reply::AuthorizationError;
use request::{AuthorizationRequest, Prompt};

/// Answers `GET /authorize`.
pub(super) fn answer(tenant: &Shared, headers: &HeaderMap, query: &str) -> Response<Body> {
    let repeated = || AuthorizationError::new("invalid_request", "Malformed or repeated parameter");
    let found = Parameters::from_form(query).ok_or_else(repeated);
    let found = found.and_then(|parameters| Ok((request::target(tenant, &parameters)?, parameters)));
    let ((application, target), parameters) = match found {
        Ok(found) => found,
        Err(AuthorizationError { error, description }) => return page::error(error, &description),
    };
    match request::read(tenant, application.client_id, target.clone(), &parameters) {
        Ok(request) => begin(tenant, headers, request),
        Err(error) => target.refuse(&error),
    }
}

fn begin(tenant: &Shared, headers: &HeaderMap, request: AuthorizationRequest) -> Response<Body> {
    let now = tenant.clock.now();
    let session = lock(&tenant.sessions).find(headers, now).cloned();
    match session.filter(|session| suffices(tenant, session, &request)) {
        Some(session) => finish(tenant, &request, &session),
        None if request.prompt == Prompt::Never => {
            request.target.refuse(&AuthorizationError::new("login_required", "Login required"))
        }
        None => {
            let id = lock(&tenant.transactions).begin(request, now);
            redirect(&format!("{}/u/login?state={id}", tenant.base_url))
        }
    }
}

/// Whether nobody has to be asked. A session that does is silent: the provider is not visited, and gives no new tokens.
fn suffices(tenant: &Shared, session: &Session, request: &AuthorizationRequest) -> bool {
    let age = tenant.clock.now().since(session.since).as_secs();
    let is_usable = lock(&tenant.users).get(&session.sub).is_some_and(|user| user.blocked != Some(true));
    is_usable
        && request.prompt != Prompt::Always
        && request.max_age.is_none_or(|max_age| age <= max_age)
        && request.connection.as_ref().is_none_or(|connection| session.connection.as_ref() == Some(connection))
}

/// Sends the application its code.
fn finish(tenant: &Shared, request: &AuthorizationRequest, session: &Session) -> Response<Body> {
    let grant = Grant {
        client_id: request.client_id.clone(),
        sub: session.sub.clone(),
        sid: session.sid.clone(),
        scope: request.scope.clone(),
        has_audience: request.has_audience,
        nonce: request.nonce.clone(),
        auth_time: request.max_age.map(|_| session.since.unix_seconds()),
    };
    let redirect_uri = request.target.redirect_uri.clone();
    let pending = Pending { grant, redirect_uri, challenge: request.challenge.clone() };
    let code = lock(&tenant.codes).issue(pending, tenant.clock.now());
    request.target.code(&code)
}
