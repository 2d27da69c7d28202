// The developer console: puts the page together and keeps it fresh.

import { alarm, ask, at } from "./dom.js";
import { choose } from "./caller.js";
import { showCharts } from "./charts.js";
import { showAccounts, showCounts, showProviders } from "./connections.js";
import { follow, pause } from "./log.js";
import { prepare, tryProvider } from "./try.js";

const REFRESH = 2000;

async function start() {
  const [state, calls] = await Promise.all(["state.json", "calls.json"].map(async (path) => (await ask(path)).json()));
  at("where").textContent = `${state.proxy} · tenant ${state.tenant} · ${state.version}`;
  showHealth(state);
  showProviders(state.providers, tryProvider);
  prepare(state, calls, () => {
    showAccounts();
    refresh();
  });
  choose(state.users, showAccounts);
  at("look").addEventListener("click", showAccounts);
  follow(state.codes, (isHeard, isOver) => {
    if (isHeard) alarm();
    else if (isOver) alarm("The live log has ended: the session is over, or the process. Open a new link.");
    else alarm("The process does not answer; the page tries again.");
  });
  await refresh();
  setInterval(() => {
    if (!document.hidden) refresh();
  }, REFRESH);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh();
  });
}

async function refresh() {
  try {
    await Promise.all([showCounts(), showCharts(), (async () => showHealth(await (await ask("state.json")).json()))()]);
  } catch (error) {
    alarm(error.message);
  }
}

function showHealth({ lacks }) {
  const words = lacks ? `not ready: ${lacks}` : "ready";
  if (at("health").textContent === words) return;
  at("health").textContent = words;
  at("health").className = `state ${lacks ? "bad" : "good"}`;
}

const KEYS = {
  c: () => at("connections").focus(),
  t: () => at("path").focus(),
  l: () => at("filter").focus(),
  p: pause,
  "?": () => at("help").showModal(),
};

function press(event) {
  const isTyping = event.target.closest("input, textarea, select, dialog") !== null;
  const act = KEYS[event.key];
  if (isTyping || act === undefined || event.ctrlKey || event.altKey || event.metaKey || !at("keys-on").checked) return;
  event.preventDefault();
  act();
}

async function leave() {
  await ask("leave", { method: "POST" }).catch(() => {});
  location.reload();
}

document.addEventListener("keydown", press);
at("help-open").addEventListener("click", () => at("help").showModal());
at("leave").addEventListener("click", leave);
start().catch((error) => alarm(error.message));
