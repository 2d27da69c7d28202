//! `expired_when`: by which answers a provider says that an access token is dead, as data.
//!
//! A rule looks at the status, then at a header, then at a place in a JSON body, and matches when all that it names is
//! so. Of several the first that matches decides.

use hyper::http::{HeaderName, StatusCode};
use toml::de::DeValue;

use super::reader::Table;
use super::value::{Invalid, Item, count, text};

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredWhen {
    /// The statuses it is about, one at least.
    pub status: Vec<StatusCode>,
    /// What a header must say as well.
    pub header: Option<HeaderTest>,
    /// What the body, which must then be JSON, must say as well.
    pub json: Option<JsonTest>,
    /// What such an answer means.
    pub means: Means,
}

/// A test of a header: one line of that name passes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderTest {
    /// The header.
    pub name: HeaderName,
    /// What it must say.
    pub wanted: Wanted<String>,
    /// A header without any of the words that stand in it: the one lists scopes that would do, the other those of the token.
    pub none_in: Option<HeaderName>,
}

/// A test of a place in a JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonTest {
    /// The place (RFC 6901); it begins with a slash.
    pub pointer: String,
    /// What must stand there.
    pub wanted: Wanted<JsonValue>,
}

/// What a test asks of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted<T> {
    /// That it is there.
    Anything,
    /// That it is one of these.
    Equals(Vec<T>),
    /// That it is a text with this one in it, letter for letter.
    Contains(String),
}

/// A value that a place in JSON may be compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonValue {
    /// A string.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Bool(bool),
}

/// What an answer says of the access token it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Its time is over: renewing may help.
    Expired,
    /// Its grant is over: only a new sign-in helps.
    Revoked,
    /// It lives, and may not do what was asked.
    Scope,
}

/// Reads the rules. Where nobody says any, 401 means expired (RFC 6750 §3.1), whatever else it says.
pub(super) fn expired_when(table: &mut Table<'_, '_>) -> Vec<ExpiredWhen> {
    let Some(list) = table.item("expired_when") else { return vec![unauthorized()] };
    let mut rules: Vec<ExpiredWhen> = Vec::new();
    for element in table.check(&list, Item::elements).unwrap_or_default() {
        let Some(rule) = table.part(&element).and_then(rule) else { continue };
        let checked = table.check(&element, |_| {
            if rules.iter().any(|earlier| earlier.covers(&rule)) {
                return Err(Invalid::conflict("is never reached: a rule before it matches the same answers"));
            }
            if !rule.looks_further() && rule.status.iter().any(|status| status.as_u16() < 400) {
                let hint = "a provider that reports errors as successes names them in a header or in its JSON";
                return Err(Invalid::value("would take every success for a dead token").hint(hint));
            }
            Ok(())
        });
        rules.extend(checked.map(|()| rule));
    }
    rules
}

fn unauthorized() -> ExpiredWhen {
    ExpiredWhen { status: vec![StatusCode::UNAUTHORIZED], header: None, json: None, means: Means::Expired }
}

impl ExpiredWhen {
    fn looks_further(&self) -> bool {
        self.header.is_some() || self.json.is_some()
    }

    /// Whether nothing is left for `later` to match.
    fn covers(&self, later: &Self) -> bool {
        later.status.iter().all(|status| self.status.contains(status))
            && (self.header.is_none() || self.header == later.header)
            && (self.json.is_none() || self.json == later.json)
    }
}

fn rule(mut table: Table<'_, '_>) -> Option<ExpiredWhen> {
    if !table.has("status") {
        table.missing("status", Some("such as 401, or a list: [400, 401]".to_owned()));
    }
    let status = one_or_more(&mut table, "status", status);
    let header = table.item("header").map(|item| table.part(&item).and_then(header));
    let json = table.item("json").map(|item| table.part(&item).and_then(json));
    if !table.has("means") {
        table.missing("means", Some(MEANS.to_owned()));
    }
    let means = table.optional("means", text(means));
    table.refuse_rest();
    // A faulty test is not the same as none.
    let (header, json) =
        (header.map_or(Some(None), |test| test.map(Some)), json.map_or(Some(None), |test| test.map(Some)));
    Some(ExpiredWhen { status: status?, header: header?, json: json?, means: means? })
}

fn header(mut table: Table<'_, '_>) -> Option<HeaderTest> {
    let name = table.required("name", text(any_header_name));
    let wanted = wanted(&mut table, text(some_text));
    let none_in = table.optional("none_in", text(any_header_name));
    table.refuse_rest();
    Some(HeaderTest { name: name?, wanted: wanted?, none_in })
}

fn json(mut table: Table<'_, '_>) -> Option<JsonTest> {
    let pointer = table.required("pointer", text(pointer));
    let wanted = wanted(&mut table, json_value);
    table.refuse_rest();
    Some(JsonTest { pointer: pointer?, wanted: wanted? })
}

/// `equals` or `contains`, or neither: then it is enough to be there.
fn wanted<T: PartialEq>(
    table: &mut Table<'_, '_>,
    value: impl Fn(&Item<'_>) -> Result<T, Invalid>,
) -> Option<Wanted<T>> {
    let (has_equals, has_contains) = (table.has("equals"), table.has("contains"));
    let equals = one_or_more(table, "equals", value);
    let contains = table.optional("contains", text(some_text));
    match (has_equals, has_contains) {
        (true, true) => {
            table.fault("contains", Invalid::conflict("and `equals` must not both be there").hint("keep one"));
            None
        }
        (true, false) => equals.map(Wanted::Equals),
        (false, true) => contains.map(Wanted::Contains),
        (false, false) => Some(Wanted::Anything),
    }
}

/// A value, or a list of some of which one is enough.
pub(super) fn one_or_more<T: PartialEq>(
    table: &mut Table<'_, '_>,
    key: &'static str,
    parse: impl Fn(&Item<'_>) -> Result<T, Invalid>,
) -> Option<Vec<T>> {
    let item = table.item(key)?;
    if !item.value.is_array() {
        return table.optional(key, parse).map(|value| vec![value]);
    }
    let values = table.list(key, parse)?;
    if values.is_empty() {
        // With a fault in each of its elements it looks empty as well, which it is not.
        if item.value.as_array().is_some_and(|list| list.is_empty()) {
            table.fault(key, Invalid::value("must not be empty: nothing would ever match"));
        }
        return None;
    }
    Some(values)
}

fn status(item: &Item<'_>) -> Result<StatusCode, Invalid> {
    let code = count(200..=599)(item)?;
    let code = u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    code.ok_or_else(|| Invalid::value("must be a status"))
}

const MEANS: &str = "\"expired\" (renewing may help), \"revoked\" (only a new sign-in helps) or \"scope\" (the token lives, \
                     and may not do this)";

fn means(text: &str) -> Result<Means, Invalid> {
    match text {
        "expired" => Ok(Means::Expired),
        "revoked" => Ok(Means::Revoked),
        "scope" => Ok(Means::Scope),
        _ => Err(Invalid::value(format!("must be {MEANS}"))),
    }
}

/// Reads the name of a header that is only looked at.
pub(super) fn any_header_name(text: &str) -> Result<HeaderName, Invalid> {
    HeaderName::try_from(text).map_err(|_| Invalid::value("must be a header name"))
}

pub(super) fn some_text(text: &str) -> Result<String, Invalid> {
    if text.is_empty() { Err(Invalid::value("must not be empty")) } else { Ok(text.to_owned()) }
}

/// Reads a JSON Pointer (RFC 6901 §3). The empty one is the whole body, which no single value can be compared with.
pub(super) fn pointer(text: &str) -> Result<String, Invalid> {
    let is_escaped = |after: &str| after.starts_with(['0', '1']);
    if !text.starts_with('/') || !text.split('~').skip(1).all(is_escaped) {
        return Err(Invalid::value("must be a JSON pointer (RFC 6901)")
            .hint("such as \"/error/code\" or \"/errors/0/reason\"; `~` is written ~0, and a slash within a name ~1"));
    }
    Ok(text.to_owned())
}

fn json_value(item: &Item<'_>) -> Result<JsonValue, Invalid> {
    match item.value {
        DeValue::String(text) => Ok(JsonValue::Text(text.clone().into_owned())),
        DeValue::Boolean(bool) => Ok(JsonValue::Bool(*bool)),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(JsonValue::Number)
            .map_err(|_| Invalid::value("must be a whole number of 64 bits")),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err(item.wrong_type("a string, a whole number, true or false"))
        }
    }
}
