// The requests as they end, the newest first.

import { at, el, milliseconds, tone } from "./dom.js";

const LINES_MAX = 500;

let codes = {};
/** What has come, the newest first. */
let lines = [];
let missed = 0;
/** Requests of the page's own, which nobody else has made. */
const own = new Set();
let isPaused = false;
let isDrawn = true;
let mustTell = false;

/** Begins to listen. `heard` is told whether the process answers. */
export function follow(known, heard) {
  codes = known;
  const source = new EventSource("log");
  source.addEventListener("open", () => heard(true));
  source.addEventListener("error", () => heard(false, source.readyState === EventSource.CLOSED));
  source.addEventListener("message", ({ data }) => take(JSON.parse(data)));
  source.addEventListener("missed", ({ data }) => {
    missed += Number(data);
    draw();
  });
  at("filter").addEventListener("input", () => draw(true));
  at("pause").addEventListener("click", pause);
  at("clear").addEventListener("click", () => {
    [lines, missed] = [[], 0];
    draw(true);
  });
  draw(true);
}

/** Leaves out a request that the page has made to show something. */
export function forget(id) {
  const others = lines.filter((line) => line.request_id !== id);
  if (others.length === lines.length) own.add(id);
  lines = others;
  draw();
}

/** Stops the list where it is, or lets it go on; what comes meanwhile is kept. */
export function pause() {
  isPaused = !isPaused;
  at("pause").setAttribute("aria-pressed", String(isPaused));
  at("pause").textContent = isPaused ? "Go on" : "Pause";
  draw(true);
}

function take(line) {
  // Either of the two may be heard of first, and each is once.
  if (own.delete(line.request_id)) return;
  line.words = [line.method, line.path, line.status, line.provider, line.code, line.fault, line.cause, line.token_outcome, line.sub_hash, line.request_id]
    .filter((word) => word !== undefined).join(" ").toLowerCase();
  lines.unshift(line);
  if (lines.length > LINES_MAX) lines.pop();
  draw();
}

/** Draws once a frame, however many lines come. While paused, only when somebody asks for it. */
function draw(isAsked = false) {
  mustTell ||= isAsked;
  if (!isDrawn || (isPaused && !isAsked)) return;
  isDrawn = false;
  requestAnimationFrame(() => {
    isDrawn = true;
    const fits = filter(at("filter").value);
    const found = lines.filter(fits);
    at("lines").replaceChildren(...(found.length > 0 ? found.map(row) : [nothing()]));
    const parts = [`${found.length} of ${lines.length} shown.`];
    if (isPaused) parts.push("Paused.");
    if (missed > 0) parts.push(`${missed} came too fast to be kept.`);
    at("log-count").textContent = parts.join(" ");
    // Said aloud when somebody has changed what is shown, and not for every line.
    if (mustTell) at("log-state").textContent = parts.join(" ");
    mustTell = false;
  });
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "" && word !== "-");
  const [without, within] = [words.filter((word) => word.startsWith("-")), words.filter((word) => !word.startsWith("-"))];
  return (line) => within.every((word) => line.words.includes(word)) && !without.some((word) => line.words.includes(word.slice(1)));
}

function nothing() {
  const words = lines.length > 0 ? "No request fits the filter." : "No request has ended since somebody began to watch.";
  return el("tr", { class: "empty" }, el("td", { colspan: 8 }, words));
}

function row(line) {
  const has = (step) => (step ? milliseconds(step) : "");
  return el(
    "tr",
    {},
    el("td", {}, new Date(line.timestamp).toLocaleTimeString()),
    el("td", {}, el("span", { class: `badge ${tone(line.status)}` }, line.status === 0 ? "left" : String(line.status))),
    el("td", { class: "request mono" }, `${line.method} ${line.path}`),
    el("td", { class: "number" }, milliseconds(line.total_ms)),
    el("td", { class: "number" }, has(line.verify_ms)),
    el("td", { class: "number" }, ...(line.token_outcome ? [el("small", {}, `${line.token_outcome} `)] : []), has(line.token_ms)),
    el("td", { class: "number" }, has(line.upstream_ms)),
    el("td", { class: "why" }, ...why(line)),
  );
}

/** Why it was refused. */
function why(line) {
  const parts = [];
  if (line.code) {
    parts.push(el("span", { class: "mono" }, line.code), `, fault of the ${line.fault}`);
    parts.push(el("small", {}, line.cause ?? codes[line.code]?.title ?? ""));
  } else if (line.status >= 400) {
    parts.push("the provider’s own answer");
  }
  if (!line.complete) parts.push(el("small", {}, "not read to its end"));
  return parts;
}
