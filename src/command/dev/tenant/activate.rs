//! `/activate`: the page on which a person allows a device, by choosing who to be.

use std::fmt::Write as _;

use hyper::body::Incoming;
use hyper::http::{Request, Response, StatusCode};

use super::page::{self, escape};
use super::{Shared, lock};
use crate::command::dev::answer::{Parameters, collect};
use crate::command::dev::http::Body;

/// The page; `query` may carry the user code.
pub(super) fn page(tenant: &Shared, query: &str) -> Response<Body> {
    let parameters = Parameters::from_form(query).unwrap_or_default();
    let user_code = escape(parameters.get("user_code").unwrap_or_default());
    let mut users = String::new();
    for user in lock(&tenant.users).values() {
        let (sub, name) = (escape(&user.user_id), escape(&user.name));
        let _infallible = write!(users, r#"<button name="sub" value="{sub}">{name} <small>{sub}</small></button> "#);
    }
    let body = format!(
        r#"<form method="post" action="/activate">
<p><label>Code on your device: <input name="user_code" value="{user_code}" autocomplete="off" required></label></p>
<p>Log in as: {users}</p>
<p><button name="deny" value="1">That was not me</button></p>
</form>"#
    );
    document(StatusCode::OK, &body)
}

/// The choice made on the page.
pub(super) async fn submit(tenant: &Shared, request: Request<Incoming>) -> Response<Body> {
    let body = collect(request.into_body()).await.unwrap_or_default();
    let form = std::str::from_utf8(&body).ok().and_then(Parameters::from_form).unwrap_or_default();
    let user_code = form.get("user_code").unwrap_or_default().trim();
    let (done, words) = match (form.get("deny"), form.get("sub")) {
        (None, Some(sub)) => {
            (tenant.approve_device(user_code, sub), "Congratulations, you're all set! Your device is now connected.")
        }
        (Some(_), _) => (lock(&tenant.devices).deny(user_code), "The device was refused."),
        (None, None) => (false, ""),
    };
    if done {
        document(StatusCode::OK, &format!("<p>{words}</p>"))
    } else {
        document(StatusCode::BAD_REQUEST, "<p>There is no such code. It may have been used or have expired.</p>")
    }
}

fn document(status: StatusCode, body: &str) -> Response<Body> {
    page::page(status, "Device activation", body, None)
}
