//! Marks that the tests' secrets carry, and the search for them in what comes out.

/// The secret of a client.
pub const CLIENT_SECRET: &str = "canary-client-secret-0123456789";
/// How an access token of a provider begins.
pub const PROVIDER_TOKEN: &str = "canary-provider-token-0123456789";
/// How a refresh token begins.
pub const REFRESH_TOKEN: &str = "canary-refresh-token-0123456789";
/// How a user's id begins.
pub const SUBJECT: &str = "auth0|canary-subject";
/// A key of the store: 32 bytes in base64.
pub const STORE_KEY: &str = "canarystorekeyAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// How all JWTs begin: those of callers, and of the Management API.
const JWT: &str = "eyJ";

/// What must appear nowhere.
const MARKS: [&str; 8] = [
    JWT,
    "canary-client-secret",
    "canary-provider-token",
    "canary-refresh-token",
    "canary-vault",
    "canarystorekey",
    "canary-subject",
    "canary-query-value",
];

/// Asserts that no mark is in `text`.
#[track_caller]
pub fn search(text: &str, place: &str) {
    for mark in MARKS {
        let found = text.find(mark).map(|at| {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            text[line..].lines().next().unwrap_or_default().to_owned()
        });
        assert_eq!(found, None, "{mark} is in {place}");
    }
}

/// The same for a file of the store. Whose its records are is no secret to who holds it.
#[track_caller]
pub fn search_file(bytes: &[u8], place: &str) {
    let text = String::from_utf8_lossy(bytes).replace("canary-subject", "");
    let is_of_jwts = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let is_jwt = |rest: &&str| rest.chars().take(12).filter(|character| is_of_jwts(*character)).count() == 12;
    assert_eq!(text.split(JWT).skip(1).find(is_jwt), None, "{JWT}… is in {place}");
    // What is sealed has any three letters in it sooner or later.
    search(&text.replace(JWT, ""), place);
}
