//! `GET /connections`: what a caller has at each provider, in the words of the contract; and what `DELETE` made of one.
//! No token is told.

use std::sync::Arc;

use hyper::http::Response;
use hyper::http::header::{self, HeaderValue};
use serde_json::{Map, Value, json};

use super::Pages;
use crate::body::Body;
use crate::error::{Code, Error};
use crate::provider::{PREFIX, Provider};
use crate::token::{Parted, Revoked, TokenError, View};

impl Pages {
    /// What the user `subject` has.
    #[must_use]
    pub fn connections(&self, subject: &str, views: &[(Arc<Provider>, View)]) -> Response<Body> {
        let providers: Vec<Value> = views.iter().map(|(provider, view)| self.connection(provider, view)).collect();
        private(&json!({ "subject": subject, "providers": providers }))
    }

    /// What became of the account at `provider`, and of the other providers that were called with the same grant.
    #[must_use]
    pub fn disconnected(&self, provider: &Provider, parted: &Parted, siblings: &[&str]) -> Response<Body> {
        let (revoked, detail) = match parted.revoked {
            Revoked::Yes => {
                (true, "Nothing of it is used here any more, and the provider has ended the grant.".to_owned())
            }
            Revoked::No(why) => {
                let used = "Nothing of it is used here any more.";
                (false, format!("{used} The provider may go on honouring the grant: {why}."))
            }
        };
        private(&json!({
            "name": &**provider.name(),
            "state": "reconnect_required",
            "account": parted.account.as_deref(),
            "revoked": revoked,
            "detail": detail,
            "shared_with": siblings,
            "connect": self.connect(Code::ReconnectRequired, provider.name()),
        }))
    }

    fn connection(&self, provider: &Provider, view: &View) -> Value {
        let scopes = view.scope.as_deref().map(|scope| scope.split([' ', ',']).filter(|scope| !scope.is_empty()));
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        put("name", (**provider.name()).into());
        put("url", format!("{}{PREFIX}{}", self.public_url, provider.name()).into());
        put("host", provider.host().into());
        put("state", view.state().into());
        put("account", view.account.as_deref().into());
        put("scopes", scopes.map(Iterator::collect::<Vec<_>>).into());
        put("expires_at", view.expires.map(|expires| expires.to_string()).into());
        let Err(error) = &view.next else {
            put("connect", Value::Null);
            return Value::Object(members);
        };
        if let TokenError::AmbiguousAccount { choices } = error {
            put("choices", choices.clone().into());
        }
        let error = Error::Token(error.clone());
        put("connect", self.connect(error.code(), provider.name()).into());
        put("detail", error.to_string().into());
        Value::Object(members)
    }
}

/// An answer for the caller alone, and for now.
pub(super) fn private(content: &Value) -> Response<Body> {
    let mut answer = Response::new(Body::whole(content.to_string()));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
