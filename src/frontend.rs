//! FOR FRONTENDS: the helper that pages load from the proxy itself, and its types. Pure.

/// What is served here: path, media type, text.
const FILES: [(&str, &str, &str); 2] = [
    ("/client.js", "text/javascript; charset=utf-8", include_str!("frontend/client.js")),
    // The media type of TypeScript is nobody's; browsers show this one.
    ("/client.d.ts", "text/plain; charset=utf-8", include_str!("frontend/client.d.ts")),
];

/// The media type and the text of the file at `path`.
#[must_use]
pub fn file(path: &str) -> Option<(&'static str, &'static str)> {
    FILES.iter().find(|(known, ..)| *known == path).map(|(_, kind, text)| (*kind, *text))
}
