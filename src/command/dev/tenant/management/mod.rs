//! The Management API: users, the accounts linked to them, and connections.

use hyper::body::Incoming;
use hyper::http::{Method, Request, Response, StatusCode};
use serde_json::Value;

use super::wire::Refusal;
use super::{Shared, lock};
use crate::command::dev::answer::{collect, json};
use crate::command::dev::http::Body;
use crate::percent;

mod caller;
mod connections;
mod identities;
mod selection;
mod users;

use caller::Caller;

/// What an operation answers.
type Said = Result<(StatusCode, Value), Refusal>;

/// Answers any request below `/api/v2/`.
pub(super) async fn answer(tenant: &Shared, request: Request<Incoming>) -> Response<Body> {
    let rate_limit = lock(&tenant.settings).rate_limit;
    let quota = lock(&tenant.bucket).take(&tenant.clock, rate_limit);
    let mut response = if quota.refused {
        let message = "Global limit has been reached";
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, message, "too_many_requests").response()
    } else {
        match operation(tenant, request).await {
            Ok((status, body)) => json(status, &body),
            Err(refusal) => refusal.response(),
        }
    };
    quota.write(&mut response);
    response
}

async fn operation(tenant: &Shared, request: Request<Incoming>) -> Said {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix("/api/v2/").unwrap_or_default();
    // A raw slash makes another path, which no operation has.
    let segments: Vec<_> = path.split('/').collect();
    let caller = || Caller::of(tenant, &head.headers);
    let query = head.uri.query().unwrap_or_default();
    match (&head.method, segments.as_slice()) {
        (&Method::GET, ["users"]) => users::list(tenant, &caller()?, query),
        (&Method::GET, ["users-by-email"]) => users::by_email(tenant, &caller()?, query),
        (&Method::GET, ["users", id]) => users::get(tenant, &caller()?, id, query),
        (&Method::PATCH, ["users", id]) => users::update(tenant, &caller()?, id, &read(body).await?),
        (&Method::POST, ["users", id, "identities"]) => identities::link(tenant, &caller()?, id, &read(body).await?),
        (&Method::DELETE, ["users", id, "identities", provider, account]) => {
            identities::unlink(tenant, &caller()?, id, (provider, account))
        }
        (&Method::GET, ["connections"]) => connections::list(tenant, &caller()?, query),
        (&Method::GET, ["connections", id]) => connections::get(tenant, &caller()?, id, query),
        _ => Err(Refusal::no_such_path()),
    }
}

/// The members of a JSON object.
async fn read(body: Incoming) -> Result<serde_json::Map<String, Value>, Refusal> {
    let body = collect(body).await.unwrap_or_default();
    match serde_json::from_slice(&body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(invalid_body("Expected type object")),
    }
}

fn invalid_body(why: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, format!("Payload validation error: '{why}'"), "invalid_body")
}

fn no_such_user() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "The user does not exist.", "inexistent_user")
}

/// A user's id out of its one path segment. Everything but RFC 3986's unreserved characters has to be encoded, as Auth0's own
/// tools do it: a `|` sent as it is breaks at the first strict intermediary.
fn user_id(segment: &str) -> Result<String, Refusal> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    let decoded = percent::decode_utf8(segment);
    match decoded {
        Some(id) if !segment.is_empty() && segment.bytes().all(unreserved) => Ok(id),
        Some(_) | None => {
            let message = format!(
                "Path validation error: 'Object didn't pass validation for format user-id: {segment}' on property id \
                 (The user_id of the user to retrieve)."
            );
            Err(Refusal::new(StatusCode::BAD_REQUEST, message, "invalid_uri"))
        }
    }
}
