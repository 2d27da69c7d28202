// How applications in TypeScript use the helper: everything here must compile, and what is marked must not.

import { createClient, ProxyProblem, type Connect } from "https://proxy.example.com/client.js";
import { Auth0Client } from "@auth0/auth0-spa-js";

const auth0 = new Auth0Client({ domain: "acme.eu.auth0.com", clientId: "app" });

async function signInAgain({ connection, connection_scope }: Connect): Promise<void> {
  await auth0.loginWithRedirect({ authorizationParams: { connection, connection_scope } });
}

const proxy = createClient({
  // Both know what the other means by its options.
  getToken: (options) => auth0.getTokenSilently(options),
  async onReconnect({ connect, provider }) {
    if (connect.kind === "login") await signInAgain(connect);
    return confirm(`${provider}?`);
  },
});
createClient({ getToken: () => "token", proxy: new URL("https://proxy.example.com") });

export async function login(signal: AbortSignal): Promise<string | undefined> {
  try {
    const answer: Response = await proxy.fetch("github", "/user", { signal });
    return (await answer.json()).login;
  } catch (problem) {
    if (!(problem instanceof ProxyProblem)) throw problem;
    const wait: string | null = problem.headers.get("retry-after");
    return problem.code === "rate_limited" && wait ? wait : problem.detail;
  }
}

export async function dead(): Promise<string[]> {
  const { providers } = await proxy.connections();
  await proxy.disconnect("google", { headers: { "Idp-Proxy-Account": "1" } });
  return providers.filter(({ state }) => state === "reconnect_required").map(({ name }) => name);
}

// @ts-expect-error There is no client without tokens.
createClient({});
// @ts-expect-error A token is text, not what Auth0 answers with `detailedResponse`.
createClient({ getToken: () => auth0.getTokenSilently({ detailedResponse: true }) });
// @ts-expect-error A path is not left out.
void proxy.fetch("github");
// @ts-expect-error A problem has none of its own but these.
export const fault: (problem: ProxyProblem) => "user" = (problem) => problem.fault;
