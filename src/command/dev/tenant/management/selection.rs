//! Which fields of a record were asked for, and which part of a list.

use hyper::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::command::dev::answer::Parameters;
use crate::command::dev::tenant::wire::Refusal;

/// A query, read.
pub(super) struct Selection {
    parameters: Parameters,
    fields: Vec<String>,
    include: bool,
}

/// The records of a list that were asked for.
pub(super) struct Part<T> {
    pub(super) records: Vec<T>,
    start: usize,
    limit: usize,
    total: usize,
}

fn refused(what: &str) -> Refusal {
    let message = format!("Query validation error: '{what}'");
    Refusal::new(StatusCode::BAD_REQUEST, message, "invalid_query_string")
}

impl Selection {
    /// Reads a query that may have `fields`, `include_fields` and `more`.
    pub(super) fn from_query(query: &str, more: &[&str]) -> Result<Self, Refusal> {
        let parameters = Parameters::from_form(query).ok_or_else(|| refused("Malformed or repeated parameter"))?;
        let is_known = |name: &str| ["fields", "include_fields"].contains(&name) || more.contains(&name);
        if let Some(unknown) = parameters.names().find(|name| !is_known(name)) {
            return Err(refused(&format!("Additional properties not allowed: {unknown}")));
        }
        let include = flag(&parameters, "include_fields")?.unwrap_or(true);
        let fields = parameters.get("fields").unwrap_or_default();
        let fields = fields.split(',').map(str::trim).filter(|field| !field.is_empty()).map(str::to_owned).collect();
        Ok(Self { parameters, fields, include })
    }

    /// The value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name)
    }

    /// The record without what was not asked for.
    pub(super) fn of(&self, mut record: Map<String, Value>) -> Value {
        let shows =
            |name: &str| self.fields.is_empty() || self.fields.iter().any(|field| field == name) == self.include;
        record.retain(|name, _| shows(name));
        Value::Object(record)
    }

    /// The part of `records` that `page` and `per_page` name.
    pub(super) fn page<T>(&self, records: Vec<T>) -> Result<Part<T>, Refusal> {
        let limit = number(&self.parameters, "per_page")?.unwrap_or(50);
        let page = number(&self.parameters, "page")?.unwrap_or(0);
        if limit > 100 {
            return Err(refused("Value 100 is the maximum for per_page"));
        }
        Ok(Part::new(records, page.saturating_mul(limit), limit))
    }

    /// The part of `records` that `from` and `take` name, if `take` does; and where the next one is from.
    pub(super) fn checkpoint<T>(&self, records: Vec<T>) -> Result<(Part<T>, Option<String>), Refusal> {
        let take = number(&self.parameters, "take")?.unwrap_or(50).min(100);
        let from = number(&self.parameters, "from")?.unwrap_or(0);
        let part = Part::new(records, from, take);
        let next = from + part.records.len();
        let next = (next < part.total && !part.records.is_empty()).then(|| next.to_string());
        Ok((part, next))
    }

    /// A list as it is answered: with totals around it, if they were asked for.
    pub(super) fn list(&self, name: &str, part: Part<Value>) -> Result<Value, Refusal> {
        if flag(&self.parameters, "include_totals")? != Some(true) {
            return Ok(Value::Array(part.records));
        }
        let Part { records, start, limit, total } = part;
        let mut body = json!({ "start": start, "limit": limit, "length": records.len(), "total": total });
        if let Some(members) = body.as_object_mut() {
            members.insert(name.to_owned(), Value::Array(records));
        }
        Ok(body)
    }
}

impl<T> Part<T> {
    fn new(records: Vec<T>, start: usize, limit: usize) -> Self {
        let total = records.len();
        Self { records: records.into_iter().skip(start).take(limit).collect(), start, limit, total }
    }

    /// The same part with each record made into another.
    pub(super) fn map<U>(self, change: impl FnMut(T) -> U) -> Part<U> {
        let Self { records, start, limit, total } = self;
        Part { records: records.into_iter().map(change).collect(), start, limit, total }
    }
}

fn flag(parameters: &Parameters, name: &str) -> Result<Option<bool>, Refusal> {
    match parameters.get(name) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => Err(refused(&format!("Expected type boolean but found {other}"))),
    }
}

fn number(parameters: &Parameters, name: &str) -> Result<Option<usize>, Refusal> {
    let not_a_number = |_| refused(&format!("Expected type integer on property {name}"));
    parameters.get(name).map(str::parse).transpose().map_err(not_a_number)
}
