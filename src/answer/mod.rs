//! WHAT COMES BACK: an answer is judged, kept from giving the token away, and its links are pointed back here, on its way
//! to the caller. Pure: what is found is told to whoever asked.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hyper::http::Method;
use hyper::http::response::Parts;

use crate::body::{self, Edit};
use crate::bounded::Bounded;
use crate::config::{Config, GuardMode};
use crate::telemetry::metrics::Metrics;

mod decoder;
mod guard;
mod links;
pub mod verdict;

pub use links::Door;

use guard::{Alarm, Finding, Guard, Parameters, Plan};
use links::Links;

/// What is done to the answers of one provider on their way back.
pub struct WayBack {
    links: Links,
    /// Parameters of URLs that are not for callers.
    parameters: Option<Parameters>,
    guard: GuardMode,
    /// Those of the tokens that were used last: to make one takes longer than to look an answer through with it.
    guards: Bounded<Box<[u8]>, Arc<Guard>, RandomState>,
    /// Counts guards that were made.
    made: AtomicU32,
    alarm: Alarm,
}

/// Of so many guards that are made, one is kept.
const KEPT_ONE_IN: u32 = 8;
/// A guard takes some five times its token's length.
const GUARDS_MAX: usize = 4096;

impl WayBack {
    /// That of every provider by its name, for a proxy that callers see at `public_url`. What the guard finds is logged and
    /// counted.
    #[must_use]
    pub fn of_each(config: &Config, public_url: &str, metrics: &Metrics) -> HashMap<String, Self> {
        let links = Links::of_each(&config.providers, public_url);
        let way_back = |(name, links): (String, Links)| {
            let provider = config.providers.get(&name)?;
            let parameters = Parameters::new(&provider.secret_params);
            let alarm = alarm(&name, metrics);
            let guards = Bounded::new(GUARDS_MAX, RandomState::new());
            Some((name, Self { links, parameters, guard: provider.guard, guards, made: AtomicU32::new(0), alarm }))
        };
        links.into_iter().filter_map(way_back).collect()
    }

    /// Makes the head of an answer to a `method` request right for a caller who came by `door`, in place. `token` is what
    /// was sent with the request, without its prefix. Gives what is to be done to the body, if anything is.
    pub fn edit(&self, (door, method): (Door, &Method), token: &[u8], head: &mut Parts) -> Option<Box<dyn Edit>> {
        let plan = Plan::of(head, method, self.guard);
        let removal = self.parameters.as_ref().and_then(|parameters| {
            parameters.remove_from_headers(&mut head.headers);
            parameters.edit(head, method)
        });
        if removal.is_some() {
            links::fit_rewritten(&mut head.headers);
        }
        let links = self.links.apply(door, method, head).map(|links| Box::new(links) as Box<dyn Edit>);
        // Last: whatever was made of the answer, the token is not in it.
        body::chain([removal, links, self.guarded(plan, token, head)].into_iter().flatten())
    }

    fn guarded(&self, plan: Plan, token: &[u8], head: &mut Parts) -> Option<Box<dyn Edit>> {
        if self.guard == GuardMode::Off {
            return None;
        }
        let guard = match self.guards.get(token) {
            Some(guard) => guard,
            None => {
                let guard = Arc::new(Guard::new(token)?);
                // Not each: where there are more tokens than are kept, they would only drive each other out.
                if self.made.fetch_add(1, Ordering::Relaxed).is_multiple_of(KEPT_ONE_IN) {
                    self.guards.insert(Box::from(token), Arc::clone(&guard));
                }
                guard
            }
        };
        if guard.mask_headers(&mut head.headers) > 0 {
            (self.alarm)(Finding::Header);
        }
        plan.edit(&guard, &self.alarm)
    }
}

/// Who hears of what the guard finds in a provider's answers.
fn alarm(provider: &str, metrics: &Metrics) -> Alarm {
    let (provider, metrics): (Arc<str>, Metrics) = (Arc::from(provider), metrics.clone());
    Arc::new(move |finding| {
        let place = finding.name();
        metrics.leak(&provider, place);
        if finding.is_leak() {
            tracing::error!(%provider, place, "an answer held the access token that it was asked with; it was kept back");
        } else {
            tracing::warn!(%provider, place, "an answer could not be looked through, and was cut");
        }
    })
}
