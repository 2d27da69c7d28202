//! Every preset is whole: it can be read, says where its facts end, and hands out no token of its own accord.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use idp_proxy::config::{Config, Preset, Provider, presets};

const BASE: &str = r#"
[auth0]
domain = "acme.eu.auth0.com"
audience = "https://proxy.example.com"
client_id = "id"
client_secret = "hunter2"

[store]
url = "sqlite:a.db"
keys = ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]
"#;

/// What its user has to add, at least: what differs from customer to customer, and the client that renews.
fn added(preset: Preset) -> String {
    let mut keys = String::new();
    if preset.connection().is_none() {
        keys += "connection = \"acme\"\n";
    }
    if let Some(name) = asked_for(&preset) {
        keys += &format!("vars.{name} = \"acme\"\n");
    }
    if preset.rotates().is_some() {
        keys += "client_id = \"id\"\nclient_secret = \"hunter2\"\n";
        if !preset.text.contains("\ntoken_url = ") {
            keys += "token_url = \"https://{shop}.myshopify.com/admin/oauth/access_token\"\n";
        }
    }
    keys
}

/// What its base URL has in the place of the customer's own name.
fn asked_for(preset: &Preset) -> Option<String> {
    let base_url = preset.base_url().unwrap();
    Some(base_url.split_once('{')?.1.split_once('}')?.0.to_owned())
}

fn provider(name: &str, keys: &str) -> Provider {
    let nothing = BTreeMap::<&str, &str>::new();
    let text = format!("{BASE}\n[providers.{name}]\n{keys}");
    match Config::parse(&text, Path::new(name), &nothing) {
        Ok(mut config) => config.providers.remove(name).unwrap(),
        Err(faults) => panic!("{faults}"),
    }
}

fn inherited(preset: Preset) -> Provider {
    provider(preset.name, &added(preset))
}

#[test]
fn a_preset_alone_is_enough_and_is_what_its_text_says() {
    for preset in presets() {
        // Once as a preset, and once as if the user had written it, so that its keys are checked one by one.
        let written = provider("written", &format!("{}\n{}", preset.text, added(preset)));
        assert_eq!(inherited(preset), written, "{}", preset.name);
    }
}

#[test]
fn what_nobody_knows_is_asked_for_and_nothing_else() {
    let asked = |missing: fn(&Preset) -> bool| presets().filter(missing).map(|preset| preset.name).collect::<Vec<_>>();
    assert_eq!(asked(|preset| asked_for(preset).is_some()), ["salesforce", "sharepoint", "shopify"]);
    let national = ["microsoft-china", "microsoft-us-dod", "microsoft-us-gov"];
    assert_eq!(asked(|preset| preset.connection().is_none()), national);
    assert_eq!(asked(|preset| preset.rotates().is_none()), ["github", "github-uploads"]);
}

#[test]
fn every_file_of_the_catalogue_is_a_preset_and_their_names_are_in_order() {
    let files = std::fs::read_dir("src/provider/catalogue").unwrap();
    let files: BTreeSet<_> = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert_eq!(files, presets().map(|preset| preset.text.to_owned()).collect());
    let names: Vec<_> = presets().map(|preset| preset.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    // The one with two names.
    assert_eq!(names.len(), files.len() + 1);
}

#[test]
fn each_explains_itself() {
    for preset in presets() {
        let comments = preset.text.lines().filter(|line| line.starts_with('#')).count();
        assert!((3..=12).contains(&comments), "{}: {comments} lines of comment", preset.name);
        assert!(preset.text.starts_with("# "), "{} does not begin with what it is", preset.name);
        let widest = preset.text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(124), "{} is {widest:?} wide", preset.name);
    }
}

#[test]
fn no_token_endpoint_can_be_called_through_the_proxy() {
    let mut shared = Vec::new();
    for preset in presets() {
        let provider = inherited(preset);
        let Some(renewal) = &provider.renewal else { continue };
        for endpoint in BTreeSet::from([&renewal.url, &renewal.audience]) {
            let Some(path) = endpoint.strip_prefix(&provider.base_url.to_string()) else { continue };
            for method in [http::Method::GET, http::Method::POST] {
                let is_denied = provider.deny.iter().any(|rule| rule.matches(&method, path));
                assert!(is_denied, "{}: {method} {endpoint} is not denied", preset.name);
            }
            shared.push(preset.name);
        }
    }
    shared.dedup();
    assert_eq!(
        shared,
        [
            "box", "discord", "dropbox", "facebook", "figma", "gitlab", "hubspot", "notion", "shopify", "slack",
            "strava", "x"
        ]
    );
}

#[test]
fn every_host_is_reached_by_https() {
    for preset in presets() {
        assert!(!preset.text.contains("http://"), "{}", preset.name);
        let provider = inherited(preset);
        let renewal = provider.renewal.iter().flat_map(|renewal| [renewal.url.clone(), renewal.audience.clone()]);
        for url in renewal.chain([provider.base_url.to_string()]) {
            assert!(url.starts_with("https://"), "{}: {url}", preset.name);
        }
    }
}
