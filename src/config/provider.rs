//! `[providers.NAME]`, with the defaults of its keys.

use std::collections::{BTreeMap, BTreeSet};

use hyper::http::{HeaderName, HeaderValue, header};
use toml::de::DeValue;

use super::connect::{needed_scopes, sign_in};
use super::connection::{Settled, Written, settle};
use super::expired_when::expired_when;
use super::fault::{Code, Fault};
use super::header::{auth_prefix, header_name};
use super::nearest::nearest;
use super::params::params;
use super::reader::Table;
use super::rule::Rule;
use super::value::{Invalid, Item, not_empty, one_of, scope, text, token};
use super::vars::Vars;
use super::{Allow, BaseUrl, GuardMode, Provider, Rewrite, header as headers_of, preset, url};

/// Where the proxy itself is reached, which no provider may be.
pub(super) struct OwnPlace {
    /// Each origin, port included.
    pub(super) origins: Vec<String>,
    /// The host of `public_url`.
    pub(super) host: Option<String>,
}

impl OwnPlace {
    /// What is sent to the proxy's own origin would come in again, and again.
    pub(super) fn refuse(&self, url: &str) -> Result<(), Invalid> {
        let address = url.split_once('?').map_or(url, |(address, _)| address);
        if url::full_origin(address).is_some_and(|origin| self.origins.contains(&origin)) {
            return Err(Invalid::conflict("must not be the proxy itself").hint("every call would go round in circles"));
        }
        Ok(())
    }
}

/// What belongs into `[providers]`.
pub(super) fn example() -> String {
    "add one, such as [providers.github]; `idp-proxy providers` lists what there are presets for".to_owned()
}

/// Reads every provider.
pub(super) fn providers(mut table: Table<'_, '_>, own: &OwnPlace, has_store: bool) -> BTreeMap<String, Provider> {
    let mut providers = BTreeMap::new();
    let mut hosts = BTreeSet::new();
    let mut written = Vec::new();
    let names = table.names();
    if names.is_empty() {
        table.has_nothing("provider", example());
    }
    for (name, span) in names {
        if !is_provider_name(&name) {
            let message = "a provider's name must be [a-z0-9][a-z0-9-]{0,62}: it is a part of URLs";
            let key = format!("providers.{}", name.escape_debug());
            table.reader.faults.push(Fault::new(Code::BadValue, message).about(key).at(Some(span)));
        }
        let preset = preset::preset(&name);
        let mut entry = table.entry(&name).with_preset(preset.as_ref());
        let connection = connection(&mut entry, &name);
        let vars = Vars::read(&mut entry);
        let keys = Written::read(&mut entry, (&name, preset.is_some()), connection.clone(), (own, &vars));
        written.extend(Some(keys).filter(|_| !entry.is_no_table()));
        let base_url = base_url(&mut entry, &name, own, &vars);
        if let Some(provider) = provider(entry, connection, base_url, own, &mut hosts) {
            providers.insert(name, provider);
        }
    }
    for (name, Settled { source, audience, renewal, revocation, proof }) in settle(table.reader, written, has_store) {
        if let Some(provider) = providers.get_mut(&name) {
            (provider.source, provider.audience) = (source, audience);
            (provider.renewal, provider.revocation, provider.proof) = (renewal, revocation, proof);
        }
    }
    providers
}

fn connection(table: &mut Table<'_, '_>, name: &str) -> Option<String> {
    if !table.has("connection") {
        table.missing("connection", Some(where_from(name)));
    }
    table.optional("connection", text(not_empty))
}

fn base_url(table: &mut Table<'_, '_>, name: &str, own: &OwnPlace, vars: &Vars) -> Option<BaseUrl> {
    if !table.has("base_url") {
        table.missing("base_url", Some(where_from(name)));
    }
    table.optional("base_url", text(|text| elsewhere(&vars.fill(text), own)))
}

fn provider(
    mut table: Table<'_, '_>,
    connection: Option<String>,
    base_url: Option<BaseUrl>,
    own: &OwnPlace,
    hosts: &mut BTreeSet<String>,
) -> Option<Provider> {
    let host = table.optional("host", text(url::host_name));
    if let Some(host) = &host {
        if own.host.as_ref() == Some(host) {
            table.fault("host", Invalid::conflict("must not be the host of `public_url`"));
        }
        if !hosts.insert(host.clone()) {
            table.fault("host", Invalid::conflict("is the host of another provider already"));
        }
    }
    let account = table.optional("account", text(not_empty));
    let allow = allow(&mut table);
    let deny = table.list("deny", text(rule)).unwrap_or_default();
    let require = table.list("require", text(scope)).unwrap_or_default();
    let auth_header = table.or("auth_header", header::AUTHORIZATION, text(header_name));
    let auth_prefix = table.or("auth_prefix", "Bearer ".to_owned(), text(auth_prefix));
    let headers = headers(&mut table, &auth_header);
    let expired_when = expired_when(&mut table);
    let needed_scopes = needed_scopes(&mut table);
    let sign_in = sign_in(&mut table);
    let rewrite = table.or("rewrite", Rewrite::Headers, one_of(REWRITES));
    let guard = table.or("guard", GuardMode::On, one_of(GUARD_MODES));
    let rewrite_paths = rewrite_paths(&mut table, rewrite, base_url.as_ref());
    let secret_params = table.list("secret_params", text(token)).unwrap_or_default();
    let secret_fields = table.list("secret_fields", text(token)).unwrap_or_default();
    let params = params(&mut table);
    // What its connection says is settled when all tables are read.
    let Settled { source, audience, renewal, revocation, proof } = Settled::default();
    table.refuse_rest();
    Some(Provider {
        connection: connection?,
        base_url: base_url?,
        host,
        account,
        allow,
        deny,
        require,
        auth_header,
        auth_prefix,
        headers,
        expired_when,
        needed_scopes,
        sign_in,
        rewrite,
        rewrite_paths,
        guard,
        secret_params,
        secret_fields,
        params,
        proof,
        source,
        audience,
        renewal,
        revocation,
    })
}

const REWRITES: [(&str, Rewrite); 3] = [("off", Rewrite::Off), ("headers", Rewrite::Headers), ("json", Rewrite::Json)];
const GUARD_MODES: [(&str, GuardMode); 2] = [("on", GuardMode::On), ("off", GuardMode::Off)];

/// The name is a part of paths and a label of metrics, and it is compared on raw bytes.
pub(crate) fn is_provider_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(is_part) && !name.starts_with('-')
}

fn elsewhere(text: &str, own: &OwnPlace) -> Result<BaseUrl, Invalid> {
    let base_url = url::base_url(text)?;
    own.refuse(text)?;
    Ok(base_url)
}

/// Where a key without a default comes from: what to say to somebody who left it out.
fn where_from(name: &str) -> String {
    if preset::names().any(|preset| preset == name) {
        return format!("the preset `{name}` cannot know it: it differs from customer to customer");
    }
    let near = nearest(name, preset::names()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("there is no preset `{}` to take it from{near} (`idp-proxy providers` lists them)", name.escape_debug())
}

fn allow(table: &mut Table<'_, '_>) -> Allow {
    let Some(item) = table.item("allow") else { return Allow::Read };
    if item.value.is_array() {
        return Allow::Rules(table.list("allow", text(allow_rule)).unwrap_or_default());
    }
    table.check(&item, allow_word).unwrap_or(Allow::Read)
}

fn allow_word(item: &Item<'_>) -> Result<Allow, Invalid> {
    const FORMS: &str = "\"read\", \"all\" or a list of rules";
    match item.value {
        DeValue::String(word) if word == "read" => Ok(Allow::Read),
        DeValue::String(word) if word == "all" => Ok(Allow::All),
        DeValue::String(_) => Err(Invalid::value(format!("must be {FORMS}"))),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => Err(item.wrong_type(FORMS)),
    }
}

/// What is allowed is spelt out: a path alone would allow `DELETE` as well, which is rarely meant.
fn allow_rule(text: &str) -> Result<Rule, Invalid> {
    if text.starts_with('/') {
        return Err(Invalid::value("must name the methods it allows").hint("such as \"GET /path\"; \"* /path\" is any"));
    }
    rule(text)
}

fn rule(text: &str) -> Result<Rule, Invalid> {
    Rule::parse(text).map_err(|error| {
        Invalid::value(error.to_string())
            .hint("such as \"GET /repos/*/*/issues\", \"GET,POST /v1/**\" or \"* /admin/**\"")
    })
}

fn rewrite_paths(table: &mut Table<'_, '_>, rewrite: Rewrite, base_url: Option<&BaseUrl>) -> Vec<String> {
    let base = base_url.map_or("", |base_url| &base_url.path);
    let paths = table.list("rewrite_paths", text(|path| rewrite_path(path, base))).unwrap_or_default();
    if rewrite != Rewrite::Json && table.says("rewrite_paths") {
        table.fault("rewrite_paths", Invalid::conflict("has no effect without `rewrite = \"json\"`"));
    }
    paths
}

/// A bare `/` is the beginning of too much that is no link.
fn rewrite_path(path: &str, base: &str) -> Result<String, Invalid> {
    let is_path = path.starts_with('/') && !path.ends_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_path || path.contains(['?', '#', '"', '\\', '%']) {
        return Err(Invalid::value("must be a path of a segment or more").hint("such as \"/services/data\""));
    }
    match path.strip_prefix(base) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Ok(path.to_owned()),
        _ => Err(Invalid::conflict("must lie under the path of `base_url`")),
    }
}

fn headers(table: &mut Table<'_, '_>, auth_header: &HeaderName) -> Vec<(HeaderName, HeaderValue)> {
    let Some(item) = table.item("headers") else { return Vec::new() };
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in table.check(&item, Item::entries).unwrap_or_default() {
        let header = table.check(&value, |value| {
            let (name, value) = headers_of::header(name, value, auth_header)?;
            // One header, two spellings: `User-Agent` and `user-agent`.
            if headers.iter().any(|(other, _)| *other == name) {
                return Err(Invalid::conflict("stands there twice"));
            }
            Ok((name, value))
        });
        headers.extend(header);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::is_provider_name;

    #[test]
    fn names_are_short_and_plain() {
        for fine in ["a", "github", "google-oauth2", "7", &"a".repeat(63)] {
            assert!(is_provider_name(fine), "{fine}");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", "a.b", "é", &"a".repeat(64)] {
            assert!(!is_provider_name(bad), "{bad}");
        }
    }
}
