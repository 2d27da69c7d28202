// For frontends; described in client.d.ts.

export class ProxyProblem extends Error {
  name = "ProxyProblem";
  constructor(code, { status, headers }, members) {
    super(members?.detail ?? code);
    Object.assign(this, { code, status, headers }, members);
  }
}

export function createClient({ getToken, onReconnect = () => {}, proxy = "." }) {
  const base = new URL(proxy, import.meta.url);
  const asked = {};
  // Calls that fail together ask once.
  const ask = (problem, { provider } = problem) =>
    (asked[provider] ??= Promise.resolve(problem).then(onReconnect).finally(() => delete asked[provider]));

  async function call(url, init = {}, isAsked, isFresh) {
    const headers = new Headers(init.headers);
    const token = await getToken({ cacheMode: isFresh ? "off" : "on" });
    if (token) headers.set("authorization", `Bearer ${token}`);
    const answer = await fetch(url, { ...init, headers });

    // RFC 9209: who made the answer stands first; nobody else speaks for the proxy.
    const code = /^idp-proxy; error=\w+; details="(\w+)"/.exec(answer.headers.get("proxy-status"))?.[1];
    if (!code) return answer;
    const problem = new ProxyProblem(code, answer, await answer.json().catch(() => {}));
    const isStale = !isFresh && /^(expired|invalid)_token$/.test(code);
    const isMended = isStale || (!isAsked && problem.connect && (await ask(problem)));
    if (isMended && !(init.body instanceof ReadableStream)) return call(url, init, isAsked || !isStale, true);
    throw problem;
  }

  return {
    fetch(provider, path, init) {
      const own = new URL(`proxy/${provider}/`, base);
      const url = new URL(path[0] === "/" ? `.${path}` : path, own);
      if (!url.href.startsWith(own.href)) throw new TypeError(`not at ${own}: ${url}`);
      return call(url, init);
    },
    connections: async () => (await call(new URL("connections", base))).json(),
    disconnect: (provider, init) => call(new URL(`connections/${provider}`, base), { ...init, method: "DELETE" }, true),
  };
}
