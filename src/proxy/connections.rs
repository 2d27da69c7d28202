//! A caller's own accounts: what there is of them, and the end of one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::http::{Method, Response};
use tokio::task::JoinSet;

use super::Proxy;
use crate::body::Body;
use crate::caller::{Bearer, Caller};
use crate::error::Error;
use crate::provider::{Provider, account};
use crate::telemetry::access::Entry;
use crate::token::{TokenError, View};

/// Where callers find their accounts.
const CONNECTIONS: &str = "/connections";

/// What is asked about a caller's accounts.
pub(super) enum Ask {
    All,
    /// To disconnect the one at the provider of that name.
    Disconnect(String),
}

impl Ask {
    /// What a request asks, if it is about that.
    pub(super) fn of(head: &Parts) -> Option<Self> {
        let rest = head.uri.path().strip_prefix(CONNECTIONS)?;
        match (&head.method, rest.strip_prefix('/')) {
            (&Method::GET | &Method::HEAD, None) if rest.is_empty() => Some(Self::All),
            (&Method::DELETE, Some(name)) => Some(Self::Disconnect(name.to_owned())),
            (_, _) => None,
        }
    }
}

impl Proxy {
    /// Does what is asked.
    pub(super) async fn accounts(
        &self,
        ask: &Ask,
        head: &mut Parts,
        entry: &mut Entry,
    ) -> Result<Response<Body>, Error> {
        match ask {
            Ask::All => self.connections(head, entry).await,
            Ask::Disconnect(name) => self.disconnect(head, name, entry).await,
        }
    }

    /// What the caller has at each provider, all looked at together.
    async fn connections(&self, head: &mut Parts, entry: &mut Entry) -> Result<Response<Body>, Error> {
        let caller = self.caller_alone(head, entry).await?;
        let views = self.views(&caller, entry.begun()).await?;
        Ok(self.pages.connections(caller.subject(), &views))
    }

    /// What there is of each provider for this caller, in the order of their names.
    pub(super) async fn views(&self, caller: &Caller, begun: Instant) -> Result<Vec<(Arc<Provider>, View)>, Error> {
        let mut looks = JoinSet::new();
        for provider in self.providers.all() {
            let (tokens, caller) = (Arc::clone(&self.tokens), caller.clone());
            let provider = Arc::clone(provider);
            looks.spawn(async move {
                let view = tokens.view(&caller, &provider, provider.account(), begun).await;
                (provider, view)
            });
        }
        let mut views = BTreeMap::new();
        while let Some(look) = looks.join_next().await {
            let (provider, view) = look.map_err(|_| TokenError::Died)?;
            views.insert(Arc::clone(provider.name()), (provider, refuse_nobody(view)?));
        }
        Ok(views.into_values().collect())
    }

    /// Disconnects the caller's account at the provider `name`.
    async fn disconnect(&self, head: &mut Parts, name: &str, entry: &mut Entry) -> Result<Response<Body>, Error> {
        let caller = self.caller_alone(head, entry).await?;
        let provider = Arc::clone(self.providers.named(name)?);
        entry.note(|record| record.provider = Some(Arc::clone(provider.name())));
        provider.admit(&caller)?;
        let account = account(&head.headers)?;
        let named = account.as_ref().and_then(|account| account.to_str().ok()).or_else(|| provider.account());
        let parted = self.tokens.disconnect(&caller, &provider, named, entry.begun()).await?;
        let connection = provider.connection();
        let is_sibling = |other: &&Arc<Provider>| other.connection() == connection && other.name() != provider.name();
        let mut siblings: Vec<&str> = self.providers.all().filter(is_sibling).map(|other| &**other.name()).collect();
        siblings.sort_unstable();
        Ok(self.pages.disconnected(&provider, &parted, &siblings))
    }

    async fn caller_alone(&self, head: &mut Parts, entry: &mut Entry) -> Result<Caller, Error> {
        let bearer = self.bearer_alone(head)?;
        Ok(self.verified(bearer, entry).await?.0)
    }

    /// The token of who calls us, and not a provider, to which a token in the query could belong.
    pub(super) fn bearer_alone(&self, head: &mut Parts) -> Result<Bearer, Error> {
        let bearer = Bearer::take(head, self.providers.token_params())?;
        bearer.suits(&[], head.uri.path_and_query().map_or("", PathAndQuery::as_str))?;
        Ok(bearer)
    }
}

/// What is the matter with the user, and not with one of the accounts, is what is answered.
fn refuse_nobody(view: View) -> Result<View, TokenError> {
    match view.next {
        Err(error @ (TokenError::UserBlocked | TokenError::UnknownUser)) => Err(error),
        Ok(_) | Err(_) => Ok(view),
    }
}
