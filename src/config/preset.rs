//! Presets: what is known of a provider, as data. A provider of that name inherits every key of it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One preset.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name, which is that of the providers that inherit it.
    pub name: &'static str,
    /// Its keys as TOML, with what there is to say of them as comments.
    pub text: &'static str,
}

/// Name and text of each, in the order of the alphabet. A further provider is one file and one line here.
const PRESETS: [(&str, &str); 39] = [
    ("atlassian", include_str!("../provider/catalogue/atlassian.toml")),
    ("azure-ad", include_str!("../provider/catalogue/microsoft.toml")),
    ("bitbucket", include_str!("../provider/catalogue/bitbucket.toml")),
    ("box", include_str!("../provider/catalogue/box.toml")),
    ("discord", include_str!("../provider/catalogue/discord.toml")),
    ("dropbox", include_str!("../provider/catalogue/dropbox.toml")),
    ("facebook", include_str!("../provider/catalogue/facebook.toml")),
    ("figma", include_str!("../provider/catalogue/figma.toml")),
    ("github", include_str!("../provider/catalogue/github.toml")),
    ("github-app", include_str!("../provider/catalogue/github-app.toml")),
    ("github-uploads", include_str!("../provider/catalogue/github-uploads.toml")),
    ("gitlab", include_str!("../provider/catalogue/gitlab.toml")),
    ("gmail", include_str!("../provider/catalogue/gmail.toml")),
    ("google", include_str!("../provider/catalogue/google.toml")),
    ("google-chat", include_str!("../provider/catalogue/google-chat.toml")),
    ("google-docs", include_str!("../provider/catalogue/google-docs.toml")),
    ("google-people", include_str!("../provider/catalogue/google-people.toml")),
    ("google-sheets", include_str!("../provider/catalogue/google-sheets.toml")),
    ("google-storage", include_str!("../provider/catalogue/google-storage.toml")),
    ("google-tasks", include_str!("../provider/catalogue/google-tasks.toml")),
    ("hubspot", include_str!("../provider/catalogue/hubspot.toml")),
    ("linkedin", include_str!("../provider/catalogue/linkedin.toml")),
    ("microsoft", include_str!("../provider/catalogue/microsoft.toml")),
    ("microsoft-account", include_str!("../provider/catalogue/microsoft-account.toml")),
    ("microsoft-china", include_str!("../provider/catalogue/microsoft-china.toml")),
    ("microsoft-us-dod", include_str!("../provider/catalogue/microsoft-us-dod.toml")),
    ("microsoft-us-gov", include_str!("../provider/catalogue/microsoft-us-gov.toml")),
    ("notion", include_str!("../provider/catalogue/notion.toml")),
    ("reddit", include_str!("../provider/catalogue/reddit.toml")),
    ("salesforce", include_str!("../provider/catalogue/salesforce.toml")),
    ("sharepoint", include_str!("../provider/catalogue/sharepoint.toml")),
    ("shopify", include_str!("../provider/catalogue/shopify.toml")),
    ("slack", include_str!("../provider/catalogue/slack.toml")),
    ("spotify", include_str!("../provider/catalogue/spotify.toml")),
    ("strava", include_str!("../provider/catalogue/strava.toml")),
    ("stripe", include_str!("../provider/catalogue/stripe.toml")),
    ("x", include_str!("../provider/catalogue/x.toml")),
    ("youtube", include_str!("../provider/catalogue/youtube.toml")),
    ("zoom", include_str!("../provider/catalogue/zoom.toml")),
];

/// All presets, in the order of their names.
pub fn presets() -> impl Iterator<Item = Preset> {
    PRESETS.iter().map(|(name, text)| Preset { name, text })
}

impl Preset {
    /// The usual name of the tenant's connection; `None` where each tenant has one of its own.
    #[must_use]
    pub fn connection(&self) -> Option<String> {
        self.word("connection")
    }

    /// Where calls go, with `{name}` in the place of what differs from customer to customer.
    #[must_use]
    pub fn base_url(&self) -> Option<String> {
        self.word("base_url")
    }

    /// Whether a renewal replaces the refresh token; `None` where tokens are not renewed, for they do not expire.
    #[must_use]
    pub fn rotates(&self) -> Option<bool> {
        self.keys().get("rotates").map(Spanned::get_ref).and_then(DeValue::as_bool)
    }

    /// Its keys.
    pub(super) fn keys(&self) -> DeTable<'static> {
        DeTable::parse_recoverable(self.text).0.into_inner()
    }

    fn word(&self, key: &str) -> Option<String> {
        self.keys().get(key).map(Spanned::get_ref).and_then(DeValue::as_str).map(str::to_owned)
    }
}

/// The keys of the preset `name`.
pub(super) fn preset(name: &str) -> Option<DeTable<'static>> {
    presets().find(|preset| preset.name == name).map(|preset| preset.keys())
}

/// The names of all presets.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    presets().map(|preset| preset.name)
}

/// Whether a preset has the connection `name`, and so knows who is behind it.
pub(super) fn is_for_connection(name: &str) -> bool {
    presets().any(|preset| preset.connection().is_some_and(|connection| connection == name))
}
