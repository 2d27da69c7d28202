// The request as code, for a caller's own token: there is never one in it.

/** In what it can be written. */
export const dialects = ["idp-proxy curl", "curl", "fetch", "Octokit"];

/** One order in one dialect. */
export function write(dialect, order, { proxy }) {
  const url = `${proxy}/proxy/${order.provider}`;
  switch (dialect) {
    case "idp-proxy curl":
      return ownCurl(order);
    case "curl":
      return curl(order, url);
    case "fetch":
      return fetchCall(order, proxy);
    default:
      return octokit(order, url);
  }
}

const hasBody = ({ method, body }) => body !== "" && method !== "GET" && method !== "HEAD";

/** Quotes for a shell: nothing in it means anything. */
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function curlArguments(order) {
  const more = [];
  if (order.method === "HEAD") more.push("--head");
  else if (order.method !== "GET" && !(order.method === "POST" && hasBody(order))) more.push(`--request ${order.method}`);
  for (const [name, value] of order.headers) more.push(`--header ${quoted(`${name}: ${value}`)}`);
  if (hasBody(order)) more.push(`--data-raw ${quoted(order.body)}`);
  return more;
}

function ownCurl(order) {
  const more = curlArguments(order);
  return [`idp-proxy curl ${order.provider} ${quoted(order.path)}${more.length > 0 ? " --" : ""}`, ...more].join(" \\\n  ");
}

/** The token comes on curl's input: what stands in its arguments can be seen by every process of the machine. */
function curl(order, url) {
  const token = 'printf \'Authorization: Bearer %s\' "$TOKEN" |';
  return [token, "curl --header @-", ...curlArguments(order), quoted(url + order.path)].join(" \\\n  ");
}

/** With the proxy's own helper for pages. */
function fetchCall(order, proxy) {
  const lines = [
    `import { createClient } from ${JSON.stringify(`${proxy}/client.js`)};`,
    "",
    "const proxy = createClient({ getToken: (options) => auth0.getTokenSilently(options) });",
  ];
  const more = [];
  if (order.method !== "GET") more.push(`  method: ${JSON.stringify(order.method)},`);
  if (order.headers.length > 0) more.push(`  headers: ${JSON.stringify(Object.fromEntries(order.headers))},`);
  if (hasBody(order)) more.push(`  body: ${JSON.stringify(order.body)},`);
  const what = `${JSON.stringify(order.provider)}, ${JSON.stringify(order.path)}`;
  if (more.length === 0) return [...lines, `const answer = await proxy.fetch(${what});`].join("\n");
  return [...lines, `const answer = await proxy.fetch(${what}, {`, ...more, "});"].join("\n");
}

function octokit(order, url) {
  if (!order.provider.startsWith("github")) return "// Octokit is GitHub's client: choose a provider at GitHub.";
  const lines = [
    'import { Octokit } from "octokit";',
    "",
    `const octokit = new Octokit({ auth: token, baseUrl: ${JSON.stringify(url)} });`,
  ];
  const more = [];
  if (order.headers.length > 0) more.push(`  headers: ${JSON.stringify(Object.fromEntries(order.headers))},`);
  if (hasBody(order)) more.push(`  data: ${JSON.stringify(order.body)},`);
  const what = JSON.stringify(`${order.method} ${order.path}`);
  if (more.length === 0) return [...lines, `const { data } = await octokit.request(${what});`].join("\n");
  return [...lines, `const { data } = await octokit.request(${what}, {`, ...more, "});"].join("\n");
}
