// The last quarter of an hour in three figures. Each is told in words too, and all of it in a table.

import { ask, at, drawn, el, milliseconds } from "./dom.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [360, 136, 46, 18];
const SPAN = 15 * 60;

const LATENCIES = [["p50", "tone-accent", ""], ["p95", "tone-violet", "dashed"], ["p99", "tone-bad", "dotted"]];
const FAULTS = {
  caller: ["tone-warn", "caller"],
  proxy: ["tone-bad", "proxy"],
  tenant: ["tone-violet", "tenant"],
  provider: ["tone-accent", "provider"],
  relayed: ["tone-quiet", "the provider’s own answer"],
};

/** Draws what there is now. */
export async function showCharts() {
  const told = await (await ask("samples.json")).json();
  at("figures").replaceChildren(rate(told), latency(told), errors(told));
  table(told);
}

function rate({ samples, tick, now }) {
  const figures = samples.map(({ at, requests }) => [at, requests / tick]);
  const top = ceiling(Math.max(...figures.map(([, value]) => value), 0));
  const last = figures.filter(([at]) => at > now - 60).reduce((sum, [, value]) => sum + (value * tick) / 60, 0);
  const most = Math.max(...figures.map(([, value]) => value), 0);
  const plot = frame(now, top, short);
  for (const run of runs(figures, tick)) {
    plot.append(area(run, now, top, tick), curve(run, now, top, "tone-accent"));
  }
  return figure("Requests a second", plot, [`${number(last)} in the last minute`, `${number(most)} at the most`]);
}

function latency({ samples, tick, now }) {
  const top = ceiling(Math.max(...samples.map(({ latency }) => latency[2]), 0));
  const plot = frame(now, top, (value) => `${short(value)} ms`);
  LATENCIES.forEach(([, look, dash], index) => {
    const figures = samples.map(({ at, latency }) => [at, latency[index]]);
    for (const run of runs(figures, tick)) plot.append(curve(run, now, top, `${look} ${dash}`));
  });
  const newest = samples.at(-1)?.latency;
  const words = LATENCIES.map(([name, look, dash], index) => [`${name} ${newest ? milliseconds(newest[index]) : "–"}`, look, dash]);
  return figure("What they took, to the last byte", plot, words);
}

function errors({ samples, faults, tick, now }) {
  const sums = faults.map((_, index) => samples.reduce((sum, sample) => sum + sample.faults[index], 0));
  // Wider than a sample, so that one failure can be seen.
  const width = tick * 3;
  const bars = new Map();
  for (const sample of samples) {
    const from = Math.floor(sample.at / width) * width;
    const known = bars.get(from) ?? faults.map(() => 0);
    bars.set(from, known.map((count, index) => count + sample.faults[index]));
  }
  const top = ceiling(Math.max(...[...bars.values()].map((counts) => counts.reduce((sum, count) => sum + count, 0)), 0));
  const plot = frame(now, top, short);
  for (const [from, counts] of bars) {
    let below = 0;
    counts.forEach((count, index) => {
      if (count === 0) return;
      const [upper, lower] = [y(below + count, top), y(below, top)];
      below += count;
      const left = Math.max(x(from, now), LEFT);
      const right = x(Math.min(from + width, now), now);
      const look = FAULTS[faults[index]][0];
      plot.append(drawn("rect", { class: `bar ${look}`, x: left, y: upper, width: Math.max(right - left - 0.5, 1.5), height: lower - upper }));
    });
  }
  const words = faults.map((fault, index) => [`${FAULTS[fault][1]} ${sums[index]}`, FAULTS[fault][0], "bar"]);
  return figure("Failures, by fault", plot, words);
}

/** A figure with its words; each is a text, or a text with the looks of what it is the key to. */
function figure(title, plot, words) {
  const texts = words.map((word) => (Array.isArray(word) ? word[0] : word));
  plot.setAttribute("aria-label", `${title}: ${texts.join(", ")}`);
  const keys = words.map((word) => {
    if (!Array.isArray(word)) return el("span", {}, word);
    const [text, look, dash] = word;
    const sample = dash === "bar"
      ? drawn("rect", { class: `bar ${look}`, width: 18, height: 10, rx: 2 })
      : drawn("path", { class: `curve ${look} ${dash}`, d: "M0 5H18" });
    return el("span", { class: "key" }, drawn("svg", { viewBox: "0 0 18 10", "aria-hidden": "true" }, sample), text);
  });
  return el("figure", {}, el("strong", {}, title), plot, el("figcaption", {}, ...keys));
}

const x = (at, now) => LEFT + ((at - now + SPAN) / SPAN) * (WIDTH - LEFT - 4);
const y = (value, top) => 8 + (1 - value / top) * (HEIGHT - BOTTOM - 8);

function frame(now, top, write) {
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  for (const part of [0, 0.5, 1]) {
    const height = y(top * part, top);
    svg.append(
      drawn("path", { class: "grid", d: `M${LEFT} ${height}H${WIDTH - 4}` }),
      drawn("text", { x: LEFT - 4, y: height + 3, "text-anchor": "end" }, write(top * part)),
    );
  }
  for (const [minutes, anchor] of [[15, "start"], [10, "middle"], [5, "middle"], [0, "end"]]) {
    const words = minutes === 0 ? "now" : `−${minutes} min`;
    svg.append(drawn("text", { x: x(now - minutes * 60, now), y: HEIGHT - 3, "text-anchor": anchor }, words));
  }
  return svg;
}

/** Samples that follow one another; where nothing was asked for, there is nothing to draw. */
function runs(figures, tick) {
  const runs = [];
  for (const figure of figures) {
    const last = runs.at(-1);
    if (last && figure[0] - last.at(-1)[0] <= tick * 2) last.push(figure);
    else runs.push([figure]);
  }
  return runs;
}

function path(run, now, top) {
  const points = run.map(([at, value]) => `${x(at, now).toFixed(1)} ${y(value, top).toFixed(1)}`);
  // A single point is as wide as its sample.
  return points.length > 1 ? `M${points.join("L")}` : `M${points[0]}h2`;
}

function curve(run, now, top, look) {
  return drawn("path", { class: `curve ${look}`, d: path(run, now, top) });
}

function area(run, now, top) {
  const [from, to] = [x(run[0][0], now), x(run.at(-1)[0], now)];
  return drawn("path", { class: "area tone-accent", d: `${path(run, now, top)}L${Math.max(to, from + 2)} ${y(0, top)}L${from} ${y(0, top)}Z` });
}

/** A round figure that is no less. */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((round) => round >= value);
}

/** A round figure without what is round about it. */
const short = (value) => String(Number(value.toPrecision(3)));

const number = (value) => (value >= 10 ? value.toFixed(0) : value.toFixed(1));

function table({ samples, faults, tick }) {
  const minutes = new Map();
  for (const sample of samples) {
    const minute = Math.floor(sample.at / 60) * 60;
    const known = minutes.get(minute) ?? { requests: 0, latency: [0, 0, 0], faults: faults.map(() => 0) };
    known.requests += sample.requests;
    known.latency = known.latency.map((value, index) => Math.max(value, sample.latency[index]));
    known.faults = known.faults.map((count, index) => count + sample.faults[index]);
    minutes.set(minute, known);
  }
  const heads = ["Minute", "Requests", ...LATENCIES.map(([name]) => `${name}, highest of ${tick} s`), ...faults.map((fault) => FAULTS[fault][1])];
  at("figures-head").replaceChildren(el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head))));
  const rows = [...minutes].reverse().map(([minute, { requests, latency, faults }]) => el(
    "tr",
    {},
    el("th", { scope: "row" }, new Date(minute * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })),
    ...[requests, ...latency.map(milliseconds), ...faults].map((value) => el("td", { class: "number" }, String(value))),
  ));
  const nothing = el("tr", { class: "empty" }, el("td", { colspan: heads.length }, "No request has ended yet."));
  at("figures-body").replaceChildren(...(rows.length > 0 ? rows : [nothing]));
}
