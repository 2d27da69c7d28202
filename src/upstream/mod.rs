//! The one way out to providers: a pool of connections for each, so one provider's slowness is not another's.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::header::{self, HeaderMap, HeaderValue};
use hyper::http::uri::Scheme;
use hyper::http::uri::{Parts, PathAndQuery};
use hyper::http::{Request, Response, StatusCode, Uri};

use crate::body::{AtEnd, RequestBody, Upload};
use crate::config::{BaseUrl, Config};
use crate::provider::Provider;

mod connect;
mod error;
mod pool;
mod stall;

pub use error::UpstreamError;

use connect::Connector;
use pool::Pool;

/// The way out to all configured providers.
pub struct Upstream {
    pools: BTreeMap<Arc<str>, Pool>,
    first_byte_timeout: Duration,
    idle_timeout: Duration,
}

/// A provider's answer, and the connection that it comes on, if that waits for its end.
pub type Answer = (Response<Incoming>, Option<Box<dyn AtEnd>>);

/// A request under way.
trait Sending: Future<Output = Result<Answer, pool::SendError>> {}

impl<F: Future<Output = Result<Answer, pool::SendError>>> Sending for F {}

impl Upstream {
    /// Pools for the providers of `config`. Nothing is connected yet.
    ///
    /// # Errors
    /// When the platform's TLS roots cannot be loaded.
    pub fn new(config: &Config) -> std::io::Result<Self> {
        let connector = Connector::new(&config.limits)?;
        let pool = |(name, provider): (&String, &crate::config::Provider)| {
            let (origin, host) = origin(&provider.base_url)?;
            Ok((Arc::from(name.as_str()), Pool::new(connector.clone(), origin, host)))
        };
        Ok(Self {
            pools: config.providers.iter().map(pool).collect::<std::io::Result<_>>()?,
            first_byte_timeout: config.limits.first_byte_timeout,
            idle_timeout: config.limits.idle_timeout,
        })
    }

    /// Sends a request to `target` and waits for the head of the answer. Redirects, cookies, encodings: whatever comes
    /// is handed back. Nothing is repeated but a request that provably never left.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn send(
        &self,
        provider: &Provider,
        target: &PathAndQuery,
        request: Request<RequestBody>,
        upload: Option<Arc<Upload>>,
    ) -> Result<Answer, UpstreamError> {
        let pool = self.pools.get(provider.name()).ok_or(UpstreamError::NoClient)?;
        let answer = pool.send(request, target, upload.as_ref());
        // Pinned here and lent from here on: it is large, and each hand that it went through would keep room for it.
        tokio::pin!(answer);
        let (response, lease) = match &upload {
            Some(upload) => Box::pin(self.while_uploading(answer, upload)).await?,
            None => self.await_head(answer).await?,
        };
        // RFC 9110 §15.2.2: nobody asked for another protocol.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS || has_doubtful_framing(response.headers()) {
            return Err(UpstreamError::Protocol(None));
        }
        Ok((response, lease))
    }

    async fn await_head(&self, answer: Pin<&mut impl Sending>) -> Result<Answer, UpstreamError> {
        let answer = tokio::time::timeout(self.first_byte_timeout, answer).await;
        Ok(answer.map_err(|_| UpstreamError::FirstByteTimeout)??)
    }

    /// Waits until the body has been handed on or an answer came earlier, and then for the answer. There is no limit to
    /// how long a body may take as long as bytes move.
    async fn while_uploading(
        &self,
        mut answer: Pin<&mut impl Sending>,
        upload: &Upload,
    ) -> Result<Answer, UpstreamError> {
        let mut moved = 0;
        loop {
            tokio::select! {
                biased;
                early = answer.as_mut() => return Ok(early?),
                () = upload.end() => return self.await_head(answer).await,
                () = tokio::time::sleep(self.idle_timeout) => {
                    if upload.bytes() == moved {
                        let is_callers = upload.is_waiting();
                        return Err(if is_callers { UpstreamError::CallerStalled } else { UpstreamError::UploadStalled });
                    }
                    moved = upload.bytes();
                }
            }
        }
    }
}

/// Scheme and authority of a configured address, put together from parts and never from text; and what `Host` says,
/// which leaves the scheme's own port out.
fn origin(base_url: &BaseUrl) -> std::io::Result<(Uri, HeaderValue)> {
    let mut parts = Parts::default();
    parts.scheme = Some(base_url.scheme.clone());
    parts.authority = Some(base_url.authority.clone());
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    let origin = Uri::from_parts(parts).map_err(std::io::Error::other)?;
    let is_default = match base_url.authority.port_u16() {
        Some(port) => port == if base_url.scheme == Scheme::HTTPS { 443 } else { 80 },
        None => true,
    };
    let host = if is_default { base_url.authority.host() } else { base_url.authority.as_str() };
    Ok((origin, HeaderValue::from_str(host).map_err(std::io::Error::other)?))
}

/// RFC 9112 §6.1, §6.3: a length beside chunks is an error or an attack, and a coding other than `chunked` would be lost
/// on the way. hyper takes both.
fn has_doubtful_framing(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = lines.next() else { return false };
    let is_chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    !is_chunked || lines.next().is_some() || headers.contains_key(header::CONTENT_LENGTH)
}
