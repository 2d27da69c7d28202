//! `/u/login`: the page on which a person signs in, by choosing who to be.

use std::fmt::Write as _;

use hyper::body::Incoming;
use hyper::http::header::ORIGIN;
use hyper::http::{HeaderMap, Request, Response, StatusCode};

use super::finish;
use super::reply::AuthorizationError;
use super::request::AuthorizationRequest;
use crate::command::dev::answer::{Parameters, collect, set};
use crate::command::dev::encoding::random_url_safe;
use crate::command::dev::http::Body;
use crate::command::dev::tenant::page::{self, escape, page};
use crate::command::dev::tenant::session::Session;
use crate::command::dev::tenant::{Shared, User, lock};

/// The page. Its form can be sent once.
pub(in crate::command::dev::tenant) fn show(tenant: &Shared, query: &str) -> Response<Body> {
    let parameters = Parameters::from_form(query).unwrap_or_default();
    let id = parameters.get("state").unwrap_or_default();
    let request = lock(&tenant.transactions).find(id, tenant.clock.now()).cloned();
    let Some(request) = request else { return lost() };
    let connection = request.connection.as_deref();
    let mut buttons = String::new();
    for user in lock(&tenant.users).values() {
        let (sub, name) = (escape(&user.user_id), escape(&user.name));
        let stranger = connection.filter(|connection| user.identity(connection).is_none());
        let remark = stranger
            .map(|connection| format!(" has no account of {} yet: signing in makes another user", escape(connection)));
        let remark = remark.unwrap_or_default();
        let _infallible = writeln!(
            buttons,
            "<p><button name=\"sub\" value=\"{sub}\">{name}</button> <small>{sub}{remark}</small></p>"
        );
    }
    let through = connection.map(|connection| format!(" at {}", escape(connection))).unwrap_or_default();
    let body = format!(
        "<form method=\"post\" action=\"/u/login\">\n<input type=\"hidden\" name=\"state\" value=\"{}\">\n\
         <p>Sign in{through} to {} as:</p>\n{buttons}\
         <p><button name=\"deny\" value=\"1\">Do not sign in</button></p>\n</form>",
        escape(id),
        escape(&request.client_id),
    );
    page(StatusCode::OK, "Sign in", &body, Some(&request.target.redirect_uri))
}

/// The choice made on the page.
pub(in crate::command::dev::tenant) async fn submit(tenant: &Shared, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    // Browsers say where a form was; nobody else's page may sign a person in.
    if head.headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes() != tenant.base_url.as_bytes()) {
        return page::error("invalid_request", "The form was sent from another origin");
    }
    let body = collect(body).await.unwrap_or_default();
    let form = std::str::from_utf8(&body).ok().and_then(Parameters::from_form).unwrap_or_default();
    let state = form.get("state").unwrap_or_default();
    let request = lock(&tenant.transactions).end(state, tenant.clock.now());
    let Some(request) = request else { return lost() };
    let decided = match (form.get("deny"), form.get("sub")) {
        (None, Some(sub)) => sign_in(tenant, &request, sub),
        (Some(_), _) | (None, None) => {
            Err(AuthorizationError::new("access_denied", "User did not authorize the request"))
        }
    };
    match decided {
        Ok(session) => begin_session(tenant, &head.headers, &request, session),
        Err(error) => request.target.refuse(&error),
    }
}

fn begin_session(
    tenant: &Shared,
    headers: &HeaderMap,
    request: &AuthorizationRequest,
    session: Session,
) -> Response<Body> {
    let mut response = finish(tenant, request, &session);
    let cookie = lock(&tenant.sessions).start(headers, session);
    set(&mut response, "set-cookie", &cookie);
    response
}

/// Signs a person in through the connection that was asked for, or the one of their primary identity.
fn sign_in(tenant: &Shared, request: &AuthorizationRequest, sub: &str) -> Result<Session, AuthorizationError> {
    let user = lock(&tenant.users).get(sub).cloned();
    let user = user.ok_or_else(|| AuthorizationError::new("access_denied", "Wrong email or password."))?;
    let primary = || user.identities.first().map(|identity| identity.connection.clone());
    let connection = request.connection.clone().or_else(primary);
    let user = match &connection {
        Some(connection) if user.identity(connection).is_none() => newcomer(tenant, &user, connection),
        Some(_) | None => user,
    };
    if user.blocked == Some(true) {
        return Err(AuthorizationError::new("unauthorized", "user is blocked"));
    }
    tenant.sign_in(&user.user_id, connection.as_deref(), &request.asked);
    Ok(Session { sid: random_url_safe(32), sub: user.user_id, connection, since: tenant.clock.now() })
}

/// Somebody's new account at a connection is another user, as at Auth0, which links no accounts by itself.
fn newcomer(tenant: &Shared, person: &User, connection: &str) -> User {
    let user = tenant.user_of_new_account(connection).named(&person.name);
    lock(&tenant.users).insert(user.user_id.clone(), user.clone());
    user
}

fn lost() -> Response<Body> {
    let description = "You may have pressed the back button, refreshed during login, opened too many login dialogs, or \
                       there is some issue with cookies, since we couldn't find your session.";
    page::error("invalid_request", description)
}
