//! The JSON Schema of `proxy.toml`, for editors.
//!
//! Which keys there are, the reader knows; what they are for, and most defaults and types, the shipped file shows. Only
//! what its examples cannot show stands here: the words that a key takes, and forms that differ.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::file::known_keys;

/// Where everything is shown.
const SHIPPED: &str = include_str!("../../proxy.toml");
/// The table whose name stands for any provider's.
const PROVIDER: &str = "providers.NAME";

/// Keys that take one of a few words.
const WORDS: [(&str, &[&str]); 9] = [
    ("providers.NAME.guard", &["on", "off"]),
    ("providers.NAME.proof", &["off", "appsecret"]),
    ("providers.NAME.refresh_auth", &["post", "basic", "none", "private_key_jwt"]),
    ("providers.NAME.refresh_body", &["form", "json"]),
    ("providers.NAME.refresh_grant", &["refresh_token", "fb_exchange_token"]),
    ("providers.NAME.revoke_with", &["token", "bearer", "delete", "github"]),
    ("providers.NAME.rewrite", &["off", "headers", "json"]),
    ("providers.NAME.source", &["auto", "identities", "token_vault"]),
    ("telemetry.log_format", &["auto", "text", "json"]),
];

/// The schema, by draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let shown = shown();
    let mut tables: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for key in known_keys() {
        let Some((table, name)) = key.rsplit_once('.') else { continue };
        let property = property(&key, shown.get(&key));
        tables.entry(table.to_owned()).or_default().insert(name.to_owned(), property);
    }
    let provider = tables.remove(PROVIDER).map(closed).unwrap_or_default();
    let mut root: Map<String, Value> = tables.into_iter().map(|(name, keys)| (name, closed(keys))).collect();
    if let Some(Value::Object(auth0)) = root.get_mut("auth0") {
        auth0.insert("required".into(), json!(["domain", "audience", "client_id"]));
        auth0.insert("oneOf".into(), one_credential());
    }
    root.insert(
        "providers".into(),
        json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": "^[a-z0-9][a-z0-9-]{0,62}$" },
            "additionalProperties": provider,
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "proxy.toml of idp-proxy",
        "type": "object",
        "properties": root,
        "required": ["auth0", "providers"],
        "additionalProperties": false,
        "$defs": definitions(),
    })
}

/// A table without other keys than these.
fn closed(keys: Map<String, Value>) -> Value {
    json!({ "type": "object", "properties": keys, "additionalProperties": false })
}

fn one_credential() -> Value {
    json!([{ "required": ["client_secret"] }, { "required": ["private_key"] }])
}

fn definitions() -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    let one = |name: &str| json!({ "type": "object", "properties": { name: text }, "required": [name], "additionalProperties": false });
    let looks = |place: &str, further: &Value, values: &Value| {
        let mut properties = json!({ place: text, "equals": values, "contains": text });
        if let (Value::Object(properties), Value::Object(further)) = (&mut properties, further) {
            properties.extend(further.clone());
        }
        json!({ "type": "object", "properties": properties, "required": [place], "additionalProperties": false })
    };
    let one_or_more = |one: Value| json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] });
    json!({
        "duration": { "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" },
        "secret": { "anyOf": [text, one("env"), one("file")] },
        "texts": { "type": "object", "additionalProperties": { "type": "string" } },
        "client": {
            "type": "object",
            "properties": {
                "client_id": text,
                "client_secret": { "$ref": "#/$defs/secret" },
                "private_key": { "$ref": "#/$defs/secret" },
            },
            "required": ["client_id"],
            "oneOf": one_credential(),
            "additionalProperties": false,
        },
        "rule_of_answers": {
            "type": "object",
            "properties": {
                "status": one_or_more(json!({ "type": "integer", "minimum": 100, "maximum": 599 })),
                "header": looks("name", &json!({ "none_in": text }), &one_or_more(text.clone())),
                "json": looks("pointer", &json!({}), &one_or_more(json!({ "type": ["string", "integer", "boolean"] }))),
                "means": { "enum": ["expired", "revoked", "scope"] },
            },
            "required": ["status", "means"],
            "additionalProperties": false,
        },
    })
}

fn property(key: &str, shown: Option<&Shown>) -> Value {
    let mut property = form(key, shown.and_then(|shown| shown.value.as_ref()));
    if let (Value::Object(property), Some(shown)) = (&mut property, shown) {
        if !shown.meaning.is_empty() {
            property.insert("description".into(), shown.meaning.as_str().into());
        }
        // A provider's defaults are its preset's.
        if shown.is_default && !key.starts_with(PROVIDER) {
            property.insert("default".into(), shown.value.clone().into());
        }
    }
    property
}

/// What may stand under `key`, for which the shipped file has `example`.
fn form(key: &str, example: Option<&Value>) -> Value {
    if let Some((_, words)) = WORDS.iter().find(|(of, _)| *of == key) {
        return json!({ "enum": words });
    }
    let secret = json!({ "$ref": "#/$defs/secret" });
    match key.rsplit('.').next().unwrap_or_default() {
        "allow" => {
            return json!({ "anyOf": [{ "enum": ["read", "all"] }, { "type": "array", "items": { "type": "string" } }] });
        }
        "client_secret" if key.starts_with(PROVIDER) => {
            return json!({ "anyOf": [secret, { "type": "array", "items": secret, "minItems": 1 }] });
        }
        "client_secret" | "private_key" | "client_key" => return secret,
        "keys" => return json!({ "type": "array", "items": secret, "minItems": 1 }),
        "vault" => return json!({ "$ref": "#/$defs/client" }),
        "expired_when" => return json!({ "type": "array", "items": { "$ref": "#/$defs/rule_of_answers" } }),
        "needed_scopes" => return needed_scopes(),
        "tls" => {
            let text = json!({ "type": "string", "minLength": 1 });
            let pair = json!({ "cert": text, "key": text });
            return json!({ "type": "object", "properties": pair, "required": ["cert", "key"], "additionalProperties": false });
        }
        "management_rps" => return json!({ "type": "number", "exclusiveMinimum": 0 }),
        _ => {}
    }
    match example {
        Some(Value::String(text)) if super::parse_duration(text).is_some() => json!({ "$ref": "#/$defs/duration" }),
        Some(Value::Bool(_)) => json!({ "type": "boolean" }),
        Some(Value::Number(_)) => json!({ "type": "integer", "minimum": 0 }),
        Some(Value::Array(_)) => json!({ "type": "array", "items": { "type": "string" }, "uniqueItems": true }),
        Some(Value::Object(_)) => json!({ "$ref": "#/$defs/texts" }),
        Some(Value::String(_) | Value::Null) | None => json!({ "type": "string" }),
    }
}

fn needed_scopes() -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    json!({
        "type": "object",
        "properties": {
            "header": text,
            "json": text,
            "any": { "type": "boolean" },
            "prefer": { "anyOf": [text, { "type": "array", "items": text, "minItems": 1 }] },
        },
        "oneOf": [{ "required": ["header"] }, { "required": ["json"] }],
        "additionalProperties": false,
    })
}

/// What the shipped file shows of a key.
struct Shown {
    value: Option<Value>,
    meaning: String,
    is_default: bool,
}

/// All of it, by the keys in full. What stands there first says most.
fn shown() -> BTreeMap<String, Shown> {
    let mut table = "";
    let mut shown = BTreeMap::new();
    for line in SHIPPED.lines() {
        let is_comment = line.starts_with("# ");
        let line = line.trim_start_matches("# ");
        if let Some(header) = line.strip_prefix('[').and_then(|header| header.strip_suffix(']')) {
            table = if header.starts_with("providers.") { PROVIDER } else { header };
        } else if let Some((name, _)) = line.split_once(" = ").filter(|(name, _)| !name.contains(' ')) {
            shown.entry(format!("{table}.{name}")).or_insert_with(|| of_line(line, name, is_comment));
        }
    }
    shown
}

fn of_line(line: &str, name: &str, is_comment: bool) -> Shown {
    let read = toml::from_str::<Map<String, Value>>(line).ok();
    let value = read.and_then(|mut read| read.remove(name));
    let comment = line.rsplit_once(" # ").map_or("", |(_, comment)| comment).trim();
    let is_example = comment.starts_with("e.g.");
    let meaning = comment.trim_start_matches("e.g.").trim_start_matches([':', ';', ' ']);
    Shown { value, meaning: meaning.to_owned(), is_default: is_comment && !is_example }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// What `check` says of one value, where the rest of the file is fine.
    fn fault_of(key: &str, value: &str) -> Option<Value> {
        let (table, name) = key.rsplit_once('.').unwrap();
        let table = table.replace("NAME", "github");
        let text = format!("[{table}]\n{name} = {value}\n");
        let env = BTreeMap::<&str, &str>::new();
        let faults = Config::parse(&text, Path::new("proxy.toml"), &env).unwrap_err().to_json();
        let of_key = key.replace("NAME", "github");
        faults.as_array().unwrap().iter().find(|fault| fault["key"] == of_key.as_str()).cloned()
    }

    #[test]
    fn every_key_that_takes_words_is_known_for_it() {
        let takes_words = |key: &String| {
            let fault = fault_of(key, "\"nonsense\"");
            let message = fault.as_ref().and_then(|fault| fault["message"].as_str()).unwrap_or_default();
            message.contains("must be \"") && message.contains("\" or \"")
        };
        let found: Vec<_> = known_keys().into_iter().filter(takes_words).collect();
        let mut known: Vec<_> = WORDS.iter().map(|(key, _)| (*key).to_owned()).collect();
        known.sort();
        assert_eq!(found, known);
    }

    #[test]
    fn the_words_are_those_that_are_taken() {
        for (key, words) in WORDS {
            let fault = fault_of(key, "\"nonsense\"").unwrap();
            let message = fault["message"].as_str().unwrap();
            let told: Vec<_> = message.split('"').skip(1).step_by(2).collect();
            assert_eq!(told, words, "{key}");
            for word in words {
                let fault = fault_of(key, &format!("\"{word}\""));
                assert!(fault.as_ref().is_none_or(|fault| fault["code"] != "bad_value"), "{key}: {fault:?}");
            }
        }
    }

    #[test]
    fn every_key_has_a_meaning_or_speaks_for_itself() {
        let shown = shown();
        let silent: Vec<_> = known_keys()
            .into_iter()
            .filter(|key| shown.get(key).is_none_or(|shown| shown.meaning.is_empty()))
            .collect();
        assert_eq!(silent, ["auth0.client_secret", "providers.NAME.client_id"]);
    }
}
