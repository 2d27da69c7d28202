//! Looks through a request's body, while it passes, for parameters that must not be in it.

use std::sync::Arc;

use hyper::http::{HeaderMap, HeaderValue, header};

use super::Names;
use super::form::Form;
use super::json::Json;
use super::multipart::{Multipart, Part};

/// What looks through one body. It is told of each chunk before the chunk goes on: one in which something is found must
/// not, nor what comes behind it.
pub struct Watch {
    names: Names,
    kind: Kind,
}

enum Kind {
    Form(Form),
    Multipart(Multipart),
    Json(Json),
}

/// A body that may have parameters, and cannot be looked into.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable;

/// What must not be in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A parameter of this name.
    Parameter(Arc<str>),
    /// A part whose name cannot be made out.
    Unreadable,
}

impl Watch {
    /// What looks for `names` in a body with these headers; `None` where it has no parameters: where it is neither a form
    /// nor JSON.
    ///
    /// # Errors
    /// [`Unreadable`] if it does not say plainly what it is, or is encoded.
    pub fn new(headers: &HeaderMap, names: &Names) -> Result<Option<Self>, Unreadable> {
        let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
        let Some(line) = lines.next() else { return Ok(None) };
        let text = line.to_str().ok().filter(|_| lines.next().is_none()).ok_or(Unreadable)?;
        let is_end = |end: char| matches!(end, ';' | ',') || end.is_ascii_whitespace();
        let name = text.trim_ascii_start().split(is_end).next().unwrap_or_default().to_ascii_lowercase();
        let kind = match &*name {
            "application/x-www-form-urlencoded" => Kind::Form(Form::new()),
            "multipart/form-data" => Kind::Multipart(Multipart::of(text).ok_or(Unreadable)?),
            name if name.ends_with("/json") || name.ends_with("+json") => Kind::Json(Json::default()),
            _ => return Ok(None),
        };
        let is_plain = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
        if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
            return Err(Unreadable);
        }
        Ok(Some(Self { names: names.clone(), kind }))
    }

    /// What the next chunk brings that must not go on.
    pub fn find(&mut self, chunk: &[u8]) -> Option<Found> {
        match &mut self.kind {
            Kind::Form(form) => form.find(chunk, &self.names).map(Found::Parameter),
            Kind::Json(json) => json.find(chunk, &self.names).map(Found::Parameter),
            Kind::Multipart(multipart) => multipart.find(chunk, &self.names).map(|part| match part {
                Part::Named(name) => Found::Parameter(name),
                Part::TooLong => Found::Unreadable,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
