// Signs in at Auth0, calls providers through the proxy, and signs in again where an account has to be connected again.

import { createAuth0Client } from "@auth0/auth0-spa-js";

import { calls, clientId, proxy as address } from "./config.js";

const find = (id) => document.getElementById(id);
const here = `${location.origin}/`;

const tell = (error) => Object.assign(find("trouble"), { textContent: error.message, hidden: false });
addEventListener("error", ({ error }) => tell(error));
addEventListener("unhandledrejection", ({ reason }) => tell(reason));

const { createClient, ProxyProblem } = await import(`${address}/client.js`).catch(() => {
  // A page that may not use the proxy cannot read why.
  throw new Error(`No answer from ${address}. Does it run, and is ${location.origin} among the origins in [cors]?`);
});
// RFC 9728: who issues tokens for the proxy, and what they must be for.
const resource = await (await fetch(`${address}/.well-known/oauth-protected-resource`)).json();
const auth0 = await createAuth0Client({
  domain: resource.authorization_servers[0].replace(/\/$/, ""),
  clientId,
  authorizationParams: { audience: resource.resource, redirect_uri: here },
  useRefreshTokens: true,
  useRefreshTokensFallback: true,
});
/** The connection through which the user has just signed in again. */
let connected;
const proxy = createClient({
  getToken: (options) => auth0.getTokenSilently(options),
  // The proxy keeps to what it found for five seconds, and a user may be back sooner.
  async onReconnect({ connect }) {
    if (!connected || connect.connection !== connected) return false;
    connected = undefined;
    return new Promise((resolve) => setTimeout(resolve, 5000, true));
  },
});

/** Signs in again through one provider, which gives Auth0 new tokens. */
function connect({ connection, connection_scope, url }) {
  const asked = url ? Object.fromEntries(new URL(url).searchParams) : { connection, connection_scope };
  return auth0.loginWithRedirect({
    // With a session that is good, Auth0 would answer without a visit at the provider.
    authorizationParams: { prompt: "login", ...asked, redirect_uri: here },
    appState: connection,
  });
}

const button = (textContent, onclick) => Object.assign(document.createElement("button"), { textContent, onclick });

/** What the user can do for an account to be connected. */
function remedy(what) {
  if (what?.kind === "login") return [button("Connect again", () => connect(what))];
  if (what?.kind === "link") return ["This account has to be linked to yours first."];
  return what ? ["This account is connected in Token Vault."] : [];
}

/** A call, what came of it, and what can be done about it. */
function card({ provider, path }) {
  const card = find("call").content.firstElementChild.cloneNode(true);
  const [result, remedies, answered] = ["output", ".remedies", "pre"].map((selector) => card.querySelector(selector));
  card.querySelector("h3").textContent = provider;
  card.querySelector("code").textContent = `GET /proxy/${provider}${path}`;
  const call = async () => {
    result.textContent = "…";
    remedies.replaceChildren();
    try {
      const answer = await proxy.fetch(provider, path);
      const body = await answer.json();
      result.textContent = answer.ok ? (body.login ?? body.name) : `${provider} answered ${answer.status}`;
      answered.textContent = JSON.stringify(body, null, 2);
    } catch (problem) {
      if (!(problem instanceof ProxyProblem)) throw problem;
      result.textContent = problem.message;
      answered.textContent = JSON.stringify(problem, null, 2);
      remedies.append(...remedy(problem.connect));
    }
  };
  card.querySelector(".again").onclick = call;
  find("calls").append(card);
  return call;
}

async function listConnections() {
  const { providers } = await proxy.connections();
  const rows = providers.map(({ name, state, account, connect }) => {
    const row = document.createElement("tr");
    row.dataset.state = state;
    for (const text of [name, state.replaceAll("_", " "), account ?? ""]) row.insertCell().textContent = text;
    const disconnect = async () => {
      await proxy.disconnect(name);
      await refresh();
    };
    row.insertCell().append(...(state === "connected" ? [button("Disconnect", disconnect)] : remedy(connect)));
    return row;
  });
  find("connections").replaceChildren(...rows);
}

let cards = [];
/** What a call finds out, the connections know afterwards. */
async function refresh() {
  await Promise.all(cards.map((call) => call()));
  await listConnections();
}

if (new URLSearchParams(location.search).has("state")) {
  connected = (await auth0.handleRedirectCallback().catch(tell))?.appState;
  history.replaceState(null, "", here);
}
find("sign-in").onclick = () => auth0.loginWithRedirect();
find("sign-out").onclick = () => auth0.logout({ logoutParams: { returnTo: here } });
const user = await auth0.getUser();
for (const id of ["sign-in", "welcome"]) find(id).hidden = Boolean(user);
for (const id of ["sign-out", "signed-in"]) find(id).hidden = !user;
if (user) {
  find("user").textContent = user.name;
  cards = calls.map(card);
  await refresh();
}
