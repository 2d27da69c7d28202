//! What `dev` says once everything runs: to people, and to programs.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::header_files::HeaderFiles;
use super::place::Place;
use super::provider::Behaviour;
use super::{ALICE, BOB, World};
use crate::server::Server;

/// Callers' tokens of the simulated tenant live as long as Auth0's do by default.
const TOKEN_LIFE_SECONDS: u64 = 86_400;

/// One object for programs. Without a proxy in front, nobody knows where one will be.
pub(super) fn json(world: &World, server: Option<&Server>, headers: &HeaderFiles) -> Value {
    let expires_at = world.clock.now().unix_seconds() + TOKEN_LIFE_SECONDS;
    let users = [("alice", ALICE, world.alice()), ("bob", BOB, world.bob())]
        .map(|(name, sub, token)| json!({ "name": name, "sub": sub, "token": token, "expires_at": expires_at }));
    let providers = world.providers().map(|(provider, _)| {
        let name = &provider.settings().name;
        json!({
            "name": name,
            "url": server.map(|server| format!("{}/proxy/{name}", server.url())),
            "host": server.map(|server| format!("{name}.localhost:{}", server.proxy().port())),
            "behaviour": behaviour(&provider.settings().behaviour),
        })
    });
    let tenant = world.tenant.settings();
    json!({
        "proxy": server.map(Server::url),
        "ca": headers.authority().map(|path| path.display().to_string()),
        "admin": server.map(|server| format!("http://{}", server.admin())),
        "console": server.and_then(Server::console_link),
        "config": server.map(|_| headers.proxy_toml().display().to_string()),
        "tenant": world.tenant.base_url(),
        "audience": tenant.audience,
        "applications": {
            "native": tenant.native.client_id,
            "spa": tenant.spa.client_id,
            "backend": tenant.backend.client_id,
        },
        "users": users,
        "providers": providers,
    })
}

/// The proxy with everything behind it, for people.
pub(super) fn whole(world: &World, server: &Server, headers: &HeaderFiles) -> String {
    let admin = server.admin();
    let mut text = format!("listening proxy={} admin=http://{admin}\n\n", server.url());
    text += "A simulated Auth0 tenant, three demo providers and the real proxy in front. Loopback only.\n\n";
    text += &behaviours(world);
    text += &format!(
        "\nTry, in another terminal (the files hold alice's and bob's Auth0 access tokens, good for a day):\n\n\
         {}\x20 curl http://{admin}/metrics\n\n\
         Or as whom you log in:\n\n\
         \x20 export IDP_PROXY_URL={}\n\
         \x20 idp-proxy login\n\
         \x20 idp-proxy curl github /user\n\n\
         {}Or in a browser, by a link that works once, for ten minutes:\n\n{}\n\
         Ctrl-C ends it.\n",
        calls(headers, server.proxy()),
        server.url(),
        sign_in(world),
        console(server, headers),
    );
    text
}

/// The way into the console, and how to open it once more.
fn console(server: &Server, headers: &HeaderFiles) -> String {
    let link = server.console_link().unwrap_or_default();
    format!("  {link}\n  idp-proxy console --config '{}'    # another one\n", headers.proxy_toml().display())
}

/// The tenant and the providers alone, for people. Proxies beside them listen on `listen`.
pub(super) fn tenant_only(world: &World, place: &Place, headers: &HeaderFiles, listen: SocketAddr) -> String {
    let mut text = "listening".to_owned();
    for (name, address) in world.parties() {
        text += &format!(" {name}=http://{address}");
    }
    text += "\n\nA simulated Auth0 tenant and three demo providers, without a proxy. Loopback only.\n\n";
    text += &behaviours(world);
    text += &format!(
        "\nServe beside it, in another terminal:\n\n\
         \x20 idp-proxy serve --config '{}'\n\n\
         With the address of a PostgreSQL database as `url` in [store] there may be several, each with a copy of the file\n\
         and a `listen` of its own. Then call it (the files hold alice's and bob's Auth0 access tokens, good for a day):\n\n\
         {}\n\
         {}Ctrl-C ends it; started again with the same folder, it goes on where it was.\n",
        place.proxy_toml().display(),
        calls(headers, listen),
        sign_in(world),
    );
    text
}

/// What Auth0's library takes in a page of one's own.
fn sign_in(world: &World) -> String {
    let settings = world.tenant.settings();
    format!(
        "A page on any loopback port signs people in with Auth0's library and these (a button for each user, no password):\n\n\
         \x20 domain    {}\n\x20 clientId  {}\n\x20 audience  {}\n\n",
        world.tenant.base_url(),
        settings.spa.client_id,
        settings.audience,
    )
}

/// Calls to a proxy, as one would type them.
fn calls(headers: &HeaderFiles, proxy: SocketAddr) -> String {
    let (alice, bob) = (headers.path("alice"), headers.path("bob"));
    let (alice, bob, port) = (alice.display(), bob.display(), proxy.port());
    let authority = headers.authority();
    let scheme = if authority.is_some() { "https" } else { "http" };
    let curl = authority.map_or_else(|| "curl".to_owned(), |file| format!("curl --cacert '{}'", file.display()));
    format!(
        "\x20 {curl} -H '@{alice}' {scheme}://{proxy}/proxy/github/user\n\
         \x20 {curl} -H '@{alice}' {scheme}://github.localhost:{port}/user\n\
         \x20 {curl} -H '@{alice}' {scheme}://{proxy}/proxy/google/user\n\
         \x20 {curl} -H '@{alice}' -d hello {scheme}://{proxy}/proxy/bitbucket/echo\n\
         \x20 {curl} -H '@{bob}' {scheme}://{proxy}/proxy/google/user    # from Token Vault\n\
         \x20 {curl} -H '@{bob}' {scheme}://{proxy}/proxy/bitbucket/user    # not connected: what a refusal looks like\n",
    )
}

fn behaviours(world: &World) -> String {
    let line = |settings: &super::provider::ProviderSettings| {
        format!("  {:10} {}\n", settings.name, behaviour(&settings.behaviour))
    };
    world.providers().map(|(provider, _)| line(provider.settings())).concat()
}

const fn behaviour(behaviour: &Behaviour) -> &'static str {
    match behaviour {
        Behaviour::ForEver => "access tokens live for ever",
        Behaviour::Expires { .. } => "access tokens expire, the refresh token stays",
        Behaviour::Rotates { .. } => "access tokens expire, refresh tokens rotate",
    }
}
