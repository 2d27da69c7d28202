//! Every preset against its provider as that really behaves: sign-in, a token that dies in the provider's own words, renewal
//! by its rules, a shortage of scope, and pages. No token is in anything that comes out meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use idp_proxy::config::presets;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::facts::Facts;

mod acts;
mod facts;
mod play;
mod stand_in;

/// So many proxies run at a time.
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn every_preset_speaks_its_providers_dialect() {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut plays = JoinSet::new();
    for facts in facts::all() {
        let places = Arc::clone(&places);
        plays.spawn(async move {
            let _place = places.acquire().await;
            // In a task of its own, whose panic is this preset's alone.
            (facts.preset, tokio::spawn(acts::all(facts)).await.is_ok())
        });
    }
    let outcomes = plays.join_all().await;
    let failed: Vec<_> = outcomes.iter().filter(|(_, is_fine)| !is_fine).map(|(name, _)| *name).collect();
    assert!(failed.is_empty(), "presets that failed, each with its reason above: {failed:?}");
}

#[test]
fn no_preset_is_without_its_facts() {
    let known = facts::all();
    let names: BTreeSet<_> = known.iter().map(|Facts { preset, .. }| *preset).collect();
    assert_eq!(names, presets().map(|preset| preset.name).collect());
    assert_eq!(names.len(), known.len(), "facts twice");
}
