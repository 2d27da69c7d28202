//! One exchange with the tenant: sent, read up to a bound, its outcome classified.

use std::time::Duration;

use hyper::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;

use super::{ANSWER_BYTES_MAX, TenantError};
use crate::clock::Clock;

/// How long to stay away after a 429 that does not say.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);
/// The longest a 429 is believed: `x-ratelimit-reset` depends on two clocks.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// An answer that was read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// Sends `request` and reads the answer. A 429 and a 5xx are answers still: the caller knows what they mean.
pub(super) async fn send(request: reqwest::RequestBuilder, clock: &Clock) -> Result<Answer, TenantError> {
    let mut response = request.send().await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(TenantError::nonsense("it is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    let retry_after = retry_after(response.headers(), clock);
    Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), retry_after, body })
}

/// The URL may hold a user id, and reqwest prints it with its errors.
fn unreachable(error: reqwest::Error) -> TenantError {
    TenantError::Unreachable(error.without_url())
}

impl Answer {
    /// The body as JSON, whatever the status.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, TenantError> {
        serde_json::from_slice(&self.body).map_err(|error| TenantError::misfit(&error))
    }

    /// The body as JSON if the status is 200.
    pub(super) fn json_if_ok<T: DeserializeOwned>(&self) -> Result<T, TenantError> {
        if self.status == StatusCode::OK { self.json() } else { Err(self.failure()) }
    }

    /// What a status that no endpoint explains otherwise stands for.
    pub(super) fn failure(&self) -> TenantError {
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            return TenantError::RateLimited { retry_after: self.retry_after.unwrap_or(DEFAULT_RETRY) };
        }
        if self.status.is_server_error() {
            return TenantError::Failing(self.status.as_u16());
        }
        TenantError::nonsense("its status is unexpected")
    }
}

/// When to come back: `Retry-After` in seconds (RFC 9110 §10.2.3), else `x-ratelimit-reset` in Unix seconds.
fn retry_after(headers: &HeaderMap, clock: &Clock) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let pause = number(header::RETRY_AFTER.as_str()).map(Duration::from_secs).or_else(|| {
        let reset = number("x-ratelimit-reset")?;
        Some(crate::clock::Timestamp::from_unix_seconds(reset).since(clock.now()))
    })?;
    Some(pause.clamp(Duration::from_millis(100), RETRY_MAX))
}

/// `max-age` of a `Cache-Control` (RFC 9111 §5.2.2.1).
pub(super) fn max_age(value: Option<&HeaderValue>) -> Option<Duration> {
    let directives = value?.to_str().ok()?.to_ascii_lowercase();
    let seconds =
        directives.split(',').find_map(|directive| directive.trim().strip_prefix("max-age=")?.parse().ok())?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_found_among_other_directives() {
        let value = HeaderValue::from_static("public, Max-Age=15, stale-while-revalidate=15");
        assert_eq!(max_age(Some(&value)), Some(Duration::from_secs(15)));
        assert_eq!(max_age(Some(&HeaderValue::from_static("no-store"))), None);
    }

    #[test]
    fn retry_after_goes_before_the_reset_time_and_both_are_bounded() {
        let clock = Clock::system();
        let now = clock.now().unix_seconds();
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-reset", HeaderValue::from(now + 7));
        let pause = retry_after(&headers, &clock).unwrap();
        assert!((5..=7).contains(&pause.as_secs()), "{pause:?}");
        headers.insert("retry-after", HeaderValue::from_static("3"));
        assert_eq!(retry_after(&headers, &clock), Some(Duration::from_secs(3)));
        headers.insert("retry-after", HeaderValue::from_static("86400"));
        assert_eq!(retry_after(&headers, &clock), Some(RETRY_MAX));
    }
}
