// "Try a request": sends one through the proxy and shows what came of it, and what our own steps cost.

import { at, drawn, el, milliseconds, send, tone } from "./dom.js";
import { caller } from "./caller.js";
import { dialects, write } from "./copy.js";

let state = { providers: [], codes: {}, proxy: "" };
let calls = {};
let sent;

/** Makes the form work. `done` hears when a request has been answered. */
export function prepare(known, presets, done) {
  [state, calls] = [known, presets];
  at("provider").replaceChildren(...state.providers.map(({ name }) => el("option", {}, name)));
  at("dialect").replaceChildren(...dialects.map((name) => el("option", {}, name)));
  at("provider").addEventListener("change", offer);
  at("order").addEventListener("input", code);
  at("dialect").addEventListener("change", code);
  at("order").addEventListener("submit", (event) => {
    event.preventDefault();
    submit(done);
  });
  at("order").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("order").requestSubmit();
  });
  at("copy").addEventListener("click", copy);
  offer();
}

/** Goes to the form, with a provider chosen. */
export function tryProvider(name) {
  at("provider").value = name;
  offer();
  at("path").focus();
}

/** The calls that there are to try at the chosen provider. */
function offer() {
  const known = (calls[at("provider").value] ?? ["/"]).map((call) => (call.startsWith("/") ? ["GET", call] : call.split(" ")));
  const take = ([method, path]) => {
    [at("method").value, at("path").value] = [method, path];
    code();
  };
  at("presets").replaceChildren(...known.map(([method, path]) => {
    const button = el("button", { type: "button" }, method === "GET" ? path : `${method} ${path}`);
    button.addEventListener("click", () => take([method, path]));
    return button;
  }));
  take(known[0]);
}

function order() {
  const path = at("path").value.trim();
  return {
    provider: at("provider").value,
    method: at("method").value,
    path: path.startsWith("/") ? path : `/${path}`,
    headers: at("headers").value.split("\n").filter((line) => line.trim() !== "").map((line) => {
      const end = line.indexOf(":");
      return end < 0 ? [line.trim(), ""] : [line.slice(0, end).trim(), line.slice(end + 1).trim()];
    }),
    body: at("body").value,
  };
}

async function submit(done) {
  sent?.abort();
  const own = (sent = new AbortController());
  const { provider, method, path, headers, body } = order();
  at("send").disabled = true;
  try {
    const request = { ...caller(), method, path: `/proxy/${provider}${path}`, headers, body };
    show(await send(request, own.signal));
    done();
  } catch (error) {
    if (error.name === "AbortError") return;
    at("answer").hidden = true;
    at("outcome").replaceChildren(el("span", { class: "badge bad" }, "not sent"), error.message);
  } finally {
    if (sent === own) at("send").disabled = false;
  }
}

function show(answer) {
  const head = Object.fromEntries(answer.headers);
  const kind = (head["content-type"] ?? "").split(";")[0];
  const size = answer.is_whole ? `${answer.bytes} bytes` : `the first ${answer.bytes} bytes`;
  const words = [kind || "no content type", size, milliseconds(answer.milliseconds)].join(" · ");
  at("outcome").replaceChildren(
    el("span", { class: `badge ${tone(answer.status)}` }, String(answer.status)),
    ` ${words}`,
    ...(answer.is_broken ? [el("p", { class: "problem" }, "The answer broke off. The log below says whose fault that was.")] : []),
    ...problem(answer, kind),
  );
  at("answer").hidden = false;
  showSteps(head["server-timing"] ?? "", answer.milliseconds);
  at("answer-body").textContent = answer.body === null ? "(no text)" : readable(answer.body, kind) || "(empty)";
  at("answer-headers").textContent = answer.headers.map(([name, value]) => `${name}: ${value}`).join("\n");
}

/** Why the proxy refused, and what to do. */
function problem(answer, kind) {
  if (kind !== "application/problem+json") {
    const relayed = "The provider answered that, and not the proxy.";
    return answer.status >= 400 ? [el("p", { class: "problem" }, relayed)] : [];
  }
  const told = JSON.parse(answer.body);
  const meaning = state.codes[told.code] ?? { cure: "" };
  return [el(
    "div",
    { class: "problem" },
    el("p", {}, el("strong", {}, told.title), ` (${told.code}, fault of the ${told.fault})`),
    el("p", {}, told.detail),
    el("p", {}, meaning.cure),
  )];
}

function readable(text, kind) {
  if (kind !== "application/json" && !kind.endsWith("+json")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const STEPS = { verify: ["Verify", "tone-good"], token: ["Token", "tone-violet"], upstream: ["Provider", "tone-accent"] };

/** The steps one behind the other, each as long as it took; the rest is on the way. */
function showSteps(timing, total) {
  const steps = [...timing.matchAll(/(verify|token|upstream);dur=([\d.]+)(?:;desc=(\w+))?/g)];
  const parts = steps.map(([, step, cost, how]) => [...STEPS[step], Number(cost), how]);
  const rest = Math.max(0, total - parts.reduce((sum, [, , cost]) => sum + cost, 0));
  parts.push(["the rest", "tone-quiet", rest]);
  const words = parts.map(([name, , cost, how]) => `${name}${how ? ` (${how})` : ""} ${milliseconds(cost)}`);
  let from = 0;
  const bars = parts.map(([, look, cost]) => {
    const width = (cost / Math.max(total, 0.001)) * 600;
    const bar = drawn("rect", { class: `bar ${look}`, x: from, y: 0, width: Math.max(width, 1.5), height: 10 });
    from += width;
    return bar;
  });
  at("steps").replaceChildren(
    drawn("svg", { viewBox: "0 0 604 10", role: "img", "aria-label": words.join(", ") }, ...bars),
    el("figcaption", {}, ...words.map((text, index) => el(
      "span",
      { class: "key" },
      drawn("svg", { viewBox: "0 0 18 10", "aria-hidden": "true" }, drawn("rect", { class: `bar ${parts[index][1]}`, width: 18, height: 10, rx: 2 })),
      text,
    ))),
  );
}

function code() {
  at("code").textContent = write(at("dialect").value, order(), state);
  at("copied").textContent = "";
}

async function copy() {
  try {
    await navigator.clipboard.writeText(at("code").textContent);
    at("copied").textContent = "Copied";
  } catch {
    // The browser may forbid it: then it is selected, for the keys that copy.
    getSelection().selectAllChildren(at("code"));
    at("copied").textContent = "Press Ctrl+C";
  }
}
