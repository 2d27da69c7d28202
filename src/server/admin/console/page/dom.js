// What the other files build the page with. Text is only ever set as text.

export const at = (id) => document.getElementById(id);

/** An element with attributes (those that are false or undefined are left out) and children. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for what is drawn. */
export function drawn(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Asks our own server. What went wrong is the error's message, in a sentence for people. */
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The process does not answer. When it runs again, open a new link.");
  }
  if (answer.ok) return answer;
  const why = (await answer.text()).trim();
  throw new Error(answer.status === 401 ? "The session is over. Have a new link printed: idp-proxy console" : why);
}

/** Sends a request through the proxy, as the console's server does it for us. */
export async function send(order, signal) {
  const body = JSON.stringify(order);
  const headers = { "Content-Type": "application/json" };
  return (await ask("try", { method: "POST", headers, body, signal })).json();
}

/** Says what is wrong above everything, or, without words, that nothing is. */
export function alarm(words = "") {
  const place = at("alarm");
  if (place.textContent !== words) place.textContent = words;
  place.hidden = words === "";
}

/** Milliseconds, as short as they can be read. */
export function milliseconds(value) {
  if (value === undefined || value === null) return "";
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ms`;
}

/** How a status looks. */
export function tone(status) {
  if (status === 0 || status >= 500) return "bad";
  return status >= 400 ? "warn" : "good";
}
