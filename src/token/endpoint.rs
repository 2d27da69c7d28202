//! One provider's token endpoint: the renewal as it is sent, and what the answer means.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::http::{HeaderValue, StatusCode, header};
use reqwest::RequestBuilder;

use super::answer::{self, Reading};
use super::client::{self, Client, Parameters};
use crate::clock::Clock;
use crate::config::{RefreshBody, RefreshGrant, Renewal};
use crate::secret::Secret;

/// The largest answer that is read: tokens of several KiB are normal, and Salesforce adds an identity.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The client of a token endpoint.
pub(super) struct TokenEndpoint {
    http: reqwest::Client,
    settings: Renewal,
    client: Client,
    /// Which of several secrets was accepted last.
    secret: AtomicUsize,
}

/// What a renewal brings (RFC 6749 §5.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Granted {
    pub(super) access_token: Secret,
    pub(super) refresh_token: Option<Secret>,
    pub(super) expires_in: Option<Duration>,
    pub(super) scope: Option<String>,
}

/// Why a renewal brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Failure {
    pub(super) class: Class,
    /// Whether the provider may have taken the refresh token all the same: its answer is not at hand.
    pub(super) is_ambiguous: bool,
    /// When the provider wants to be asked again.
    pub(super) retry_after: Option<Duration>,
}

/// The kinds of failure, by which answers, metrics and the log tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The refresh token is not accepted any more.
    DeadGrant,
    /// The configured client is not accepted.
    WrongClient,
    /// Another refusal.
    Provider4xx,
    /// The provider failed.
    Provider5xx,
    /// No answer.
    Network,
    /// An answer that makes no sense.
    Malformed,
    /// The request could not be made.
    Ours,
}

impl Class {
    /// Its name in metrics and the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeadGrant => "dead_grant",
            Self::WrongClient => "wrong_client",
            Self::Provider4xx => "provider_4xx",
            Self::Provider5xx => "provider_5xx",
            Self::Network => "network",
            Self::Malformed => "malformed",
            Self::Ours => "ours",
        }
    }

    /// What it means, for the caller.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::DeadGrant => {
                "the provider no longer accepts its refresh token, and the tenant cannot be asked for another"
            }
            Self::WrongClient => "the provider does not accept this proxy's client",
            Self::Provider4xx => "the provider refused",
            Self::Provider5xx => "the provider failed",
            Self::Network => "the provider gave no answer",
            Self::Malformed => "the provider's answer made no sense",
            Self::Ours => "the request could not be made",
        }
    }
}

impl Failure {
    /// A failure after which the refresh token is as good as before.
    pub(super) const fn clean(class: Class) -> Self {
        Self { class, is_ambiguous: false, retry_after: None }
    }

    /// A failure after which nobody knows.
    pub(super) const fn ambiguous(class: Class) -> Self {
        Self { class, is_ambiguous: true, retry_after: None }
    }
}

impl TokenEndpoint {
    /// A client of the endpoint in `settings`, whose calls end within `timeout`. Nothing is sent yet.
    pub(super) fn new(settings: &Renewal, timeout: Duration, clock: &Clock) -> std::io::Result<Self> {
        let client = Client::new(&settings.client_id, &settings.proof, &settings.audience, clock)?;
        Ok(Self { http: client::http(timeout)?, settings: settings.clone(), client, secret: AtomicUsize::new(0) })
    }

    /// Spends a refresh token (or what the provider takes in its place) for new tokens.
    ///
    /// Of several secrets, the next is tried when one is not accepted: a client that is refused spends nothing.
    pub(super) async fn renew(&self, spent: &Secret) -> Result<Granted, Failure> {
        let secrets = self.client.secrets();
        let first = self.secret.load(Ordering::Relaxed);
        let mut refused = Failure::clean(Class::WrongClient);
        for index in (0..secrets).map(|offset| (first + offset) % secrets) {
            match self.send(self.request(spent, index)?).await {
                Err(failure) if failure.class == Class::WrongClient => refused = failure,
                answer => {
                    // Only who was let in had the right secret.
                    if is_let_in(&answer) {
                        self.secret.store(index, Ordering::Relaxed);
                    }
                    return answer;
                }
            }
        }
        Err(refused)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Granted, Failure> {
        let mut response = request.send().await.map_err(|error| lost(&error))?;
        let (status, retry_after) = (response.status(), retry_after(response.headers().get(header::RETRY_AFTER)));
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&chunk),
                Ok(None) => break,
                // A refusal is one however it ends.
                Ok(Some(_)) | Err(_) if status.is_client_error() => break,
                Ok(Some(_)) => return Err(Failure::ambiguous(Class::Malformed)),
                Err(error) => return Err(lost(&error)),
            }
        }
        let mut answer = judge(status, &body);
        if let Err(failure) = &mut answer
            && failure.class != Class::DeadGrant
        {
            failure.retry_after = retry_after;
        }
        answer
    }

    fn request(&self, spent: &Secret, secret: usize) -> Result<RequestBuilder, Failure> {
        let Renewal { url, grant, .. } = &self.settings;
        let mut parameters: Parameters<'_> = match grant {
            RefreshGrant::RefreshToken => {
                vec![("grant_type", "refresh_token".into()), ("refresh_token", spent.expose().into())]
            }
            RefreshGrant::FacebookExchange => {
                vec![("grant_type", "fb_exchange_token".into()), ("fb_exchange_token", spent.expose().into())]
            }
        };
        if let Some(scope) = &self.settings.scope {
            parameters.push(("scope", scope.into()));
        }
        parameters.extend(self.settings.params.iter().map(|(name, value)| (name.as_str(), value.into())));
        self.client.prove(secret, &mut parameters).ok_or(Failure::clean(Class::Ours))?;
        let request = match (grant, self.settings.body) {
            // Facebook takes the exchange as a GET.
            (RefreshGrant::FacebookExchange, _) => self.http.get(url).query(&parameters),
            (RefreshGrant::RefreshToken, RefreshBody::Form) => self.http.post(url).form(&parameters),
            (RefreshGrant::RefreshToken, RefreshBody::Json) => {
                let object: serde_json::Map<_, _> =
                    parameters.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
                self.http.post(url).json(&object)
            }
        };
        // GitHub answers in a form of its own without it.
        let request = request.header(header::ACCEPT, HeaderValue::from_static("application/json"));
        Ok(self.client.sign(secret, request))
    }
}

/// What a request without an answer means: one that never left has spent nothing.
fn lost(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        return Failure::clean(Class::Ours);
    }
    if error.is_connect() { Failure::clean(Class::Network) } else { Failure::ambiguous(Class::Network) }
}

/// Success is a field and not a status: GitHub and Slack report refusals with 200.
fn judge(status: StatusCode, body: &[u8]) -> Result<Granted, Failure> {
    match answer::read(body) {
        Some(Reading::Granted(granted)) if status.is_success() => Ok(granted),
        Some(Reading::Unsure) => Err(Failure::ambiguous(Class::Provider5xx)),
        // It answers that it did nothing, whatever the status.
        Some(Reading::Refused(_)) if status.is_server_error() => Err(Failure::clean(Class::Provider5xx)),
        Some(Reading::Refused(class)) => Err(Failure::clean(class)),
        _ if status.is_success() => Err(Failure::ambiguous(Class::Malformed)),
        _ if status == StatusCode::UNAUTHORIZED => Err(Failure::clean(Class::WrongClient)),
        _ if status.is_client_error() => Err(Failure::clean(Class::Provider4xx)),
        _ if status.is_server_error() => Err(Failure::ambiguous(Class::Provider5xx)),
        // A redirect leads to where renewals are taken, so none was taken here. It is not followed.
        _ => Err(Failure::clean(Class::Malformed)),
    }
}

fn is_let_in(answer: &Result<Granted, Failure>) -> bool {
    answer.as_ref().map_or_else(|failure| failure.class == Class::DeadGrant, |_| true)
}

fn retry_after(value: Option<&HeaderValue>) -> Option<Duration> {
    let seconds: u64 = value?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(60)))
}

#[cfg(test)]
mod tests;
