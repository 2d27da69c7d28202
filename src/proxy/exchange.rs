//! The exchange with the provider: sent once, and once more if the provider refuses a token in place of which another can
//! be had.

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::http::response;
use hyper::http::{HeaderValue, Request};

use super::Proxy;
use crate::answer::Shortage;
use crate::answer::verdict::{self, Verdict};
use crate::body::{Ahead, AtEnd, Kept, RequestBody};
use crate::config::Means;
use crate::error::Error;
use crate::headers;
use crate::provider::Call;
use crate::token::AccessToken;

/// A provider's answer, of which something may have been read for the verdict.
pub(super) struct Answer {
    pub(super) head: response::Parts,
    pub(super) ahead: Option<Box<Ahead>>,
    pub(super) body: Incoming,
    pub(super) lease: Option<Box<dyn AtEnd>>,
    /// What it was asked with.
    pub(super) token: HeaderValue,
    /// What that may not do, and the call needed.
    pub(super) shortage: Option<Box<Shortage>>,
}

/// What a request is made of once more.
struct Replay {
    head: Parts,
    body: Kept,
}

impl Proxy {
    /// Sends the request and waits for the head of the answer.
    ///
    /// An answer that says that the token is dead is no answer yet, if another token can be had: everybody who was refused
    /// shares one renewal, and the request is sent once more with the new token, if its body is small enough to have been
    /// kept. What comes then is the answer, whatever it is.
    pub(super) async fn exchange(
        &self,
        call: &Call,
        token: &AccessToken,
        head: Parts,
        mut body: RequestBody,
    ) -> Result<Answer, Error> {
        // Tokens that are not renewed here cannot be better a moment later, and keeping costs a copy of the head.
        let replay =
            token.is_renewable().then(|| Replay { head: head.clone(), body: body.keep(self.replay_body_bytes) });
        let (answer, is_dead) = self.send(call, token, head, body).await?;
        if !is_dead {
            return Ok(answer);
        }
        let Some(newer) = Box::pin(self.tokens.successor(call, token)).await else { return Ok(answer) };
        let Some((head, body)) = replay.and_then(|replay| replay.again(call, &newer)) else { return Ok(answer) };
        drop(answer);
        let (answer, is_dead) = Box::pin(self.send(call, &newer, head, body)).await?;
        if is_dead {
            self.tokens.refuse(call, &newer);
        }
        Ok(answer)
    }

    /// The answer, and whether it says that the token is dead.
    async fn send(
        &self,
        call: &Call,
        token: &AccessToken,
        head: Parts,
        body: RequestBody,
    ) -> Result<(Answer, bool), Error> {
        let upload = body.upload();
        let request = Request::from_parts(head, body);
        let target = call.target(call.provider().token_in(token.expose()), || self.clock.now());
        let (response, lease) = self.upstream.send(call.provider(), &target, request, upload).await?;
        let (head, body) = response.into_parts();
        let mut answer = Answer { head, ahead: None, body, lease, token: token.expose().clone(), shortage: None };
        let rules = call.provider().expired_when();
        let (means, read) = match verdict::by_head(rules, &answer.head) {
            Verdict::Clear(means) => (means, None),
            Verdict::InBody => {
                let ahead = answer.ahead.insert(Box::default());
                // Boxed: it is rare, and every request's future would keep room for it.
                let read = Box::pin(ahead.read(&mut answer.body, verdict::BODY_MAX, self.idle_timeout)).await;
                (read.as_deref().and_then(|body| verdict::by_body(rules, &answer.head, body)), read)
            }
        };
        if means == Some(Means::Scope) {
            let read = read.unwrap_or_default();
            let token = call.provider().token_in(&answer.token);
            let shortage = Shortage::of(call.provider().needed_scopes(), &answer.head, &read, token);
            answer.shortage = Some(Box::new(shortage));
        }
        // Who may not do something would not with another token either.
        Ok((answer, matches!(means, Some(Means::Expired | Means::Revoked))))
    }
}

impl Replay {
    /// The same request with another token; `None` if its body was too large to keep, or had not ended.
    fn again(self, call: &Call, token: &AccessToken) -> Option<(Parts, RequestBody)> {
        let Self { mut head, body } = self;
        headers::replace_token(&mut head, call, token);
        Some((head, body.again()?))
    }
}
