//! One exchange with the proxy or its issuer.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Failure;
use crate::clock::Clock;
use crate::secret::Secret;
use crate::telemetry;

/// Time for one exchange. Whoever renews a session keeps others of this user waiting meanwhile.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why there is no answer to work with.
#[derive(Debug)]
pub(in crate::command) enum Trouble {
    /// Not reached, or in no state to answer.
    OutOfReach(String),
    /// An answer that is not what was asked for.
    Nonsense(String),
    /// The issuer says no (RFC 6749 §5.2): a word for programs, and what it adds for people.
    Refused { error: String, description: String },
}

impl Trouble {
    /// Whether the issuer says no by one of these words.
    pub(in crate::command) fn is_refusal(&self, words: &[&str]) -> bool {
        matches!(self, Self::Refused { error, .. } if words.contains(&error.as_str()))
    }

    /// What it means for whoever asked `whom`.
    pub(in crate::command) fn failure(self, whom: &str) -> Failure {
        match self {
            Self::OutOfReach(why) => Failure::out_of_reach(format!("{whom} is out of reach: {why}")),
            Self::Nonsense(why) => Failure::failed(format!("{whom} {why}")),
            Self::Refused { error, description } => {
                Failure::failed(format!("{whom} refuses: {error} {description}").trim_end())
            }
        }
    }
}

/// The parameters of a request. A secret among them is seen by nobody but the one that it is sent to.
pub(in crate::command) struct Form<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Form<'a> {
    /// A form with these parameters.
    pub(in crate::command) fn new(parameters: &[(&'static str, &'a str)]) -> Self {
        Self(parameters.to_vec())
    }

    /// With a secret as well.
    pub(in crate::command) fn secret(mut self, name: &'static str, secret: &'a Secret) -> Self {
        self.0.push((name, secret.expose()));
        self
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// How the proxy and its issuer are asked.
pub(in crate::command) struct Http {
    client: reqwest::Client,
    clock: Clock,
}

impl Http {
    pub(in crate::command) fn new() -> Result<Self, Failure> {
        let client = reqwest::Client::builder()
            // Redirects would carry our tokens along; environment proxies would see them.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .user_agent(concat!("idp-proxy/", env!("CARGO_PKG_VERSION")))
            .build();
        let client = client.map_err(|error| Failure::failed(telemetry::chain(&error)))?;
        Ok(Self { client, clock: Clock::system() })
    }

    /// The time by which tokens expire.
    pub(in crate::command) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A document.
    pub(in crate::command) async fn document<T: DeserializeOwned>(&self, url: &str) -> Result<T, Trouble> {
        let (status, body) = answer(self.client.get(url)).await?;
        if status != 200 {
            return Err(unexpected(status));
        }
        serde_json::from_slice(&body).map_err(|_| misfit())
    }

    /// What is granted for `form`.
    pub(in crate::command) async fn grant<T: DeserializeOwned>(
        &self,
        url: &str,
        form: &Form<'_>,
    ) -> Result<T, Trouble> {
        let (status, body) = self.post(url, form).await?;
        if status == 200 { serde_json::from_slice(&body).map_err(|_| misfit()) } else { Err(unexpected(status)) }
    }

    /// Hands over a token that is to be valid no longer (RFC 7009).
    pub(in crate::command) async fn revoke(&self, url: &str, form: &Form<'_>) -> Result<(), Trouble> {
        let (status, _) = self.post(url, form).await?;
        if status == 200 { Ok(()) } else { Err(unexpected(status)) }
    }

    async fn post(&self, url: &str, form: &Form<'_>) -> Result<(u16, Vec<u8>), Trouble> {
        let (status, body) = answer(self.client.post(url).form(&form.0)).await?;
        // Auth0 has statuses of its own (403, 429), so the word decides.
        match (status, serde_json::from_slice(&body)) {
            (400..500, Ok(Refusal { error, error_description })) if status != 429 || error == "slow_down" => {
                Err(Trouble::Refused { error: legible(&error), description: legible(&error_description) })
            }
            _ => Ok((status, body)),
        }
    }
}

/// Sends `request`: the status and the body of the answer.
async fn answer(request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), Trouble> {
    let unreachable = |error: reqwest::Error| {
        // Whoever tells it names the party, and no address has to be looked at for what it may hold.
        Trouble::OutOfReach(telemetry::chain(&error.without_url()))
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Trouble::Nonsense("gives too long an answer".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.status().as_u16(), body))
}

/// serde_json quotes what it complains of, which may be a token.
fn misfit() -> Trouble {
    Trouble::Nonsense("does not answer as it should".to_owned())
}

fn unexpected(status: u16) -> Trouble {
    if status == 429 || status >= 500 {
        return Trouble::OutOfReach(format!("it answers with status {status}"));
    }
    Trouble::Nonsense(format!("answers with status {status}"))
}

/// Another party's words, so that they do nothing to a terminal and fill no screen.
pub(in crate::command) fn legible(text: &str) -> String {
    text.chars().take(200).filter(|character| !character.is_control()).collect()
}
