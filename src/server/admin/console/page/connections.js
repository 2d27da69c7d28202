// The providers: how each is set up, what has come of its calls, and what the caller has there.

import { alarm, ask, at, el, send } from "./dom.js";
import { caller, name } from "./caller.js";
import { forget } from "./log.js";

const STATES = {
  connected: ["good", "connected"],
  not_connected: ["warn", "not connected"],
  reconnect_required: ["bad", "must reconnect"],
  ambiguous_account: ["warn", "several accounts"],
  unknown: ["", "not known before a call"],
};

/** Who renews a provider's access tokens, and what becomes of its refresh tokens then. */
const RENEWALS = { kept: ["here", "the refresh token stays"], rotates: ["here", "refresh tokens rotate"] };

let rows = new Map();

/** Shows what is configured. `tries` hears which provider to try. */
export function showProviders(providers, tries) {
  rows = new Map();
  at("providers").replaceChildren(...providers.map((provider) => row(provider, tries)));
}

function row(provider, tries) {
  const cells = { account: el("td"), requests: el("td", { class: "number" }), failed: el("td", { class: "number" }) };
  rows.set(provider.name, cells);
  const rules = [...provider.allow, ...provider.deny.map((rule) => `not ${rule}`)];
  const needs = provider.require.length > 0 ? [el("small", {}, `callers need ${provider.require.join(" ")}`)] : [];
  const button = el("button", { type: "button", "aria-label": `Try ${provider.name}` }, "Try");
  button.addEventListener("click", () => tries(provider.name));
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, provider.name, el("small", {}, provider.base_url)),
    el("td", {}, provider.connection, el("small", {}, provider.source)),
    cells.account,
    el("td", {}, ...renewal(provider)),
    el("td", {}, ...rules.slice(0, 3).map((rule) => el("div", { class: "mono" }, rule)), ...more(rules.slice(3)), ...needs),
    cells.requests,
    cells.failed,
    el("td", {}, button),
  );
}

function renewal(provider) {
  const [who, what] = RENEWALS[provider.renewal] ?? [provider.source === "Token Vault" ? "by Auth0" : "none"];
  return what === undefined ? [who] : [who, el("small", {}, what)];
}

function more(rules) {
  if (rules.length === 0) return [];
  const all = rules.map((rule) => el("div", { class: "mono" }, rule));
  return [el("details", {}, el("summary", {}, `${rules.length} more`), ...all)];
}

/** Asks the proxy what the caller has, as any frontend may. */
export async function showAccounts() {
  at("account-title").textContent = name() === "nobody" ? "Account" : `Account of ${name()}`;
  at("connections-note").textContent = "";
  for (const { account } of rows.values()) account.replaceChildren("…");
  const who = caller();
  if (who.user === undefined && who.token === undefined) {
    for (const { account } of rows.values()) account.replaceChildren("–");
    at("connections-note").textContent = "Choose whom to call as, to see which accounts they have.";
    return;
  }
  try {
    const answer = await send({ ...who, method: "GET", path: "/connections", headers: [], body: "" });
    forget(Object.fromEntries(answer.headers)["x-request-id"]);
    const told = JSON.parse(answer.body);
    if (answer.status !== 200) throw new Error(`${told.code}: ${told.detail}`);
    for (const account of told.providers) rows.get(account.name)?.account.replaceChildren(...describe(account));
  } catch (error) {
    for (const { account } of rows.values()) account.replaceChildren("–");
    at("connections-note").textContent = error.message;
  }
}

function describe(account) {
  const [look, words] = STATES[account.state] ?? ["", account.state];
  const parts = [el("span", { class: `badge ${look}` }, words)];
  const expires = account.expires_at && new Date(account.expires_at);
  if (account.account) parts.push(el("small", {}, `as ${account.account}`));
  if (expires) parts.push(el("small", {}, `token until ${expires.toLocaleTimeString()}`));
  if (account.scopes?.length > 0) parts.push(el("small", {}, account.scopes.join(" ")));
  if (account.detail) parts.push(el("small", {}, account.detail));
  return parts;
}

/** Counts what Prometheus would. */
export async function showCounts() {
  const text = await (await ask("/metrics")).text();
  const counts = new Map();
  for (const [, provider, status, fault, count] of text.matchAll(REQUESTS)) {
    const known = counts.get(provider) ?? { requests: 0, failed: 0 };
    known.requests += Number(count);
    if (fault !== "" || Number(status) >= 400) known.failed += Number(count);
    counts.set(provider, known);
  }
  for (const [provider, { requests, failed }] of rows) {
    const known = counts.get(provider) ?? { requests: 0, failed: 0 };
    requests.textContent = known.requests.toLocaleString();
    failed.textContent = known.failed.toLocaleString();
  }
  alarm();
}

const REQUESTS = /^idp_proxy_requests_total\{provider="([^"]*)",status="(\d+)",fault="(\w*)"\} (\d+)/gm;
