//! `dev --fault NAME=VALUE`: what is to go wrong, so that one can see what comes of it.

use std::time::Duration;

use hyper::http::StatusCode;

use super::World;
use super::fault::Fault;
use super::provider::{Provider, Side};
use super::tenant::Endpoint;
use crate::config;

/// One thing that is to go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// The answer to the next renewal at this provider is lost, though the provider has renewed.
    LostAnswer(String),
    /// Everybody's grant at this provider is revoked.
    Revoked(String),
    /// The tenant answers 429 and wants to be left alone for this long.
    TenantBusy(Duration),
    /// The tenant goes down this long after the start.
    TenantDown(Duration),
    /// Everybody takes this long to answer.
    Slow(Duration),
}

/// The names, and what their values are.
const NAMES: [(&str, &str); 5] = [
    ("lost-answer", "google or bitbucket"),
    ("revoked", "google or bitbucket"),
    ("tenant-busy", "a duration such as 30s"),
    ("tenant-down", "a duration such as 10s"),
    ("slow", "a duration such as 500ms"),
];

impl Mischief {
    /// Reads `NAME=VALUE`.
    ///
    /// # Errors
    /// A sentence for whoever typed it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let Some((_, expected)) = NAMES.iter().find(|(known, _)| *known == name) else {
            let near = config::nearest(name, NAMES.iter().map(|(known, _)| *known));
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
            return Err(format!("there is no fault of that name{hint} (there are {})", known.join(", ")));
        };
        let wrong = || format!("{name} takes {expected}");
        let provider = || Some(value.to_owned()).filter(|value| matches!(value.as_str(), "google" | "bitbucket"));
        let duration = || config::parse_duration(value);
        match name {
            "lost-answer" => provider().map(Self::LostAnswer),
            "revoked" => provider().map(Self::Revoked),
            "tenant-busy" => duration().map(Self::TenantBusy),
            "tenant-down" => duration().map(Self::TenantDown),
            _ => duration().map(Self::Slow),
        }
        .ok_or_else(wrong)
    }
}

/// Has all of it happen, and pass, when its time has come.
pub(super) async fn happen(world: &World, mischief: &[Mischief]) {
    let (mut busy_for, mut down_after) = (None, None);
    for mischief in mischief {
        match mischief {
            Mischief::LostAnswer(name) => provider(world, name).fail(Side::Token, Fault::LoseAnswer.times(1)),
            Mischief::Revoked(name) => {
                let provider = provider(world, name);
                provider.settings().logins.keys().for_each(|account| provider.revoke_account(account));
            }
            Mischief::TenantBusy(pause) => {
                world.tenant.fail(Endpoint::Users, busy(*pause));
                busy_for = Some(*pause);
            }
            Mischief::TenantDown(after) => down_after = Some(*after),
            Mischief::Slow(delay) => {
                world.tenant.delay(Endpoint::Users, *delay);
                for (provider, _) in world.providers() {
                    provider.delay(Side::Api, *delay);
                    provider.delay(Side::Token, *delay);
                }
            }
        }
    }
    let calm = async {
        if let Some(pause) = busy_for {
            tokio::time::sleep(pause).await;
            world.tenant.heal();
        }
    };
    let end = async {
        if let Some(after) = down_after {
            tokio::time::sleep(after).await;
            world.tenant.down().await;
        }
    };
    tokio::join!(calm, end, std::future::pending::<()>());
}

fn busy(pause: Duration) -> Fault {
    Fault::Answer {
        status: StatusCode::TOO_MANY_REQUESTS.as_u16(),
        headers: vec![("retry-after", pause.as_secs().max(1).to_string())],
        body: r#"{"statusCode":429,"error":"Too Many Requests","errorCode":"too_many_requests"}"#.to_owned(),
    }
}

fn provider<'world>(world: &'world World, name: &str) -> &'world Provider {
    if name == "google" { &world.google } else { &world.bitbucket }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_misspelt_is_told_what_there_is() {
        assert_eq!(Mischief::parse("lost-answer=bitbucket"), Ok(Mischief::LostAnswer("bitbucket".to_owned())));
        assert_eq!(Mischief::parse("slow=500ms"), Ok(Mischief::Slow(Duration::from_millis(500))));
        let error = Mischief::parse("lost-anwser=bitbucket").unwrap_err();
        assert!(error.contains("did you mean lost-answer?") && error.contains("tenant-down"), "{error}");
        assert_eq!(Mischief::parse("revoked=github"), Err("revoked takes google or bitbucket".to_owned()));
        assert_eq!(Mischief::parse("slow"), Err("slow takes a duration such as 500ms".to_owned()));
    }
}
