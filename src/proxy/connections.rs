//! A caller's own accounts: what there is of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::http::Response;
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use tokio::task::JoinSet;

use super::Proxy;
use crate::body::Body;
use crate::caller::{Bearer, Caller};
use crate::error::Error;
use crate::telemetry::access::Entry;
use crate::token::{TokenError, View};

/// Where callers find their accounts.
pub(super) const CONNECTIONS: &str = "/connections";

impl Proxy {
    /// What the caller has at each provider, all looked at together.
    pub(super) async fn connections(&self, head: &mut Parts, entry: &mut Entry) -> Result<Response<Body>, Error> {
        let caller = self.caller_alone(head, entry).await?;
        let mut looks = JoinSet::new();
        for provider in self.providers.all() {
            let (tokens, caller, begun) = (Arc::clone(&self.tokens), caller.clone(), entry.begun());
            let provider = Arc::clone(provider);
            looks.spawn(async move {
                let view = tokens.view_for(&caller, &provider, provider.account(), begun).await;
                (provider, view)
            });
        }
        let mut views = BTreeMap::new();
        while let Some(look) = looks.join_next().await {
            let (provider, view) = look.map_err(|_| TokenError::Died)?;
            views.insert(Arc::clone(provider.name()), (provider, refuse_nobody(view)?));
        }
        let views: Vec<_> = views.into_values().collect();
        Ok(self.pages.connections(caller.subject(), &views))
    }

    /// Who calls us, and not a provider, to which a token in the query could belong.
    async fn caller_alone(&self, head: &mut Parts, entry: &mut Entry) -> Result<Caller, Error> {
        let bearer = Bearer::take(head, self.providers.token_params())?;
        bearer.suits(&[], head.uri.path_and_query().map_or("", PathAndQuery::as_str))?;
        self.verified(bearer, entry).await
    }
}

/// What is the matter with the user, and not with one of the accounts, is what is answered.
fn refuse_nobody(view: View) -> Result<View, TokenError> {
    match view.next {
        Err(error @ (TokenError::UserBlocked | TokenError::UnknownUser)) => Err(error),
        Ok(_) | Err(_) => Ok(view),
    }
}
