//! The exchange with the provider: sent once, and once more if the provider refuses a token that can be renewed.

use hyper::http::request::Parts;
use hyper::http::{Request, StatusCode};

use super::Proxy;
use crate::body::{Kept, RequestBody};
use crate::error::Error;
use crate::headers;
use crate::provider::Call;
use crate::token::AccessToken;
use crate::upstream::Answer;

/// What a request is made of once more.
struct Replay {
    head: Parts,
    body: Kept,
}

impl Proxy {
    /// Sends the request and waits for the head of the answer.
    ///
    /// A 401 about a token that is renewed here is no answer yet: everybody who was refused shares one renewal, and the
    /// request is sent once more with the new token, if its body is small enough to have been kept. What comes then is
    /// the answer, whatever it is.
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
        let answer = self.send(call, head, body).await?;
        if answer.0.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(newer) = Box::pin(self.tokens.successor(call, token)).await else { return Ok(answer) };
        let Some((head, body)) = replay.and_then(|replay| replay.again(call, &newer)) else { return Ok(answer) };
        drop(answer);
        let answer = Box::pin(self.send(call, head, body)).await?;
        if answer.0.status() == StatusCode::UNAUTHORIZED {
            self.tokens.refuse(call, &newer);
        }
        Ok(answer)
    }

    async fn send(&self, call: &Call, head: Parts, body: RequestBody) -> Result<Answer, Error> {
        let upload = body.upload();
        let request = Request::from_parts(head, body);
        Ok(self.upstream.send(call.provider(), call.target(), request, upload).await?)
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
