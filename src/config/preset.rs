//! Presets: what is known of a provider, as data. A provider of that name inherits every key of it.

use toml::de::DeTable;

/// Name and text of each, in the order of the alphabet. A further provider is one file and one line here.
pub(super) const PRESETS: [(&str, &str); 10] = [
    ("bitbucket", include_str!("../provider/catalogue/bitbucket.toml")),
    ("facebook", include_str!("../provider/catalogue/facebook.toml")),
    ("github", include_str!("../provider/catalogue/github.toml")),
    ("github-app", include_str!("../provider/catalogue/github-app.toml")),
    ("gitlab", include_str!("../provider/catalogue/gitlab.toml")),
    ("google", include_str!("../provider/catalogue/google.toml")),
    ("linkedin", include_str!("../provider/catalogue/linkedin.toml")),
    ("microsoft", include_str!("../provider/catalogue/microsoft.toml")),
    ("sharepoint", include_str!("../provider/catalogue/sharepoint.toml")),
    ("slack", include_str!("../provider/catalogue/slack.toml")),
];

/// The keys of the preset `name`.
pub(super) fn preset(name: &str) -> Option<DeTable<'static>> {
    let (_, text) = PRESETS.iter().find(|(preset, _)| *preset == name)?;
    Some(DeTable::parse_recoverable(text).0.into_inner())
}

/// The names of all presets.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// Whether a preset has the connection `name`, and so knows who is behind it.
pub(super) fn is_for_connection(name: &str) -> bool {
    let connection =
        |preset: DeTable<'_>| preset.get("connection").is_some_and(|it| it.get_ref().as_str() == Some(name));
    names().filter_map(preset).any(connection)
}
