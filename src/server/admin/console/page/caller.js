// Who the page calls as: one of the simulated users, whose tokens stay with the server, or the holder of a token, which
// stays in this page's memory and goes nowhere but to the console's own server.

import { at, el } from "./dom.js";

const OTHER = "token";

/** Fills in whom there is. `changed` hears when it is somebody else. */
export function choose(users, changed) {
  const who = at("who");
  const other = el("option", { value: OTHER }, users.length > 0 ? "another, by token" : "a user, by token");
  who.replaceChildren(...users.map((name) => el("option", { value: `user:${name}` }, name)), other);
  const show = () => {
    at("token-label").hidden = who.value !== OTHER;
    changed();
  };
  who.addEventListener("change", show);
  at("token").addEventListener("change", changed);
  at("caller").addEventListener("submit", (event) => event.preventDefault());
  show();
}

/** The members of an order that say who calls. */
export function caller() {
  const chosen = at("who").value;
  if (chosen.startsWith("user:")) return { user: chosen.slice("user:".length) };
  const token = at("token").value.trim().replace(/^bearer\s+/i, "");
  return token === "" ? {} : { token };
}

/** What to call them. */
export function name() {
  return caller().user ?? (caller().token ? "this user" : "nobody");
}
