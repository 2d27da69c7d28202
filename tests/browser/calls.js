// What applications do with /client.js, one thing after another, and what each came to. Self-contained: it runs in a page as
// well as in Node.

/**
 * @param {{ module: string, proxy?: string, tokens: { alice: string, nobody: string, expired: string } }} given
 */
export async function calls({ module, proxy, tokens }) {
  const { createClient, ProxyProblem } = await import(module);
  const tell = async (making) => {
    try {
      const answer = await making;
      return [answer.status, await answer.text()];
    } catch (error) {
      const isProblem = error instanceof ProxyProblem && error instanceof Error;
      return isProblem ? [error.name, error.status, error.code] : [error.name];
    }
  };
  // A client whose tokens come from `source`, and what it asked for.
  const client = (source, onReconnect) => {
    const asked = [];
    const getToken = (options) => {
      asked.push(options.cacheMode);
      return source(options);
    };
    return { ...createClient({ getToken, onReconnect, proxy }), asked };
  };
  const told = {};

  const alice = client(async () => tokens.alice);
  const body = new Blob(["hello"]);
  told.call = await tell(alice.fetch("github", "/echo?a=%2F&b", { method: "POST", body, headers: { "x-own": "1" } }));
  told.colon = await tell(alice.fetch("github", "/v1:run"));
  told.providersOwnRefusal = await tell(alice.fetch("github", "/denied"));
  const link = (await alice.fetch("github", "/linked")).headers.get("link");
  told.linked = await tell(alice.fetch("github", link.slice(1, link.indexOf(">"))));
  told.elsewhere = await tell((async () => alice.fetch("github", "https://evil.localhost/"))());
  told.around = await tell((async () => alice.fetch("github", "/../other/user"))());
  told.head = await tell(alice.fetch("nope", "/user", { method: "HEAD" }));
  const problem = await alice.fetch("nope", "/user").catch((problem) => problem);
  told.problem = { ...problem, headers: [...problem.headers.keys()].includes("x-request-id") };
  const leaving = new AbortController();
  const left = tell(alice.fetch("silent", "/", { signal: leaving.signal }));
  setTimeout(() => leaving.abort(), 50);
  told.aborted = await left;

  const stale = client(({ cacheMode }) => (cacheMode === "off" ? tokens.alice : tokens.expired));
  told.renewed = [await tell(stale.fetch("github", "/echo", { method: "POST", body })), stale.asked];
  const expired = client(() => tokens.expired);
  told.expired = [await tell(expired.fetch("github", "/user")), expired.asked];

  told.signedOut = await tell(client(() => undefined).fetch("github", "/user"));
  told.alone = await tell(client(() => tokens.nobody).fetch("github", "/user"));
  const connects = [];
  const refusing = client(
    () => tokens.nobody,
    ({ code, connect }) => void connects.push([code, connect]),
  );
  told.refused = [await tell(refusing.fetch("github", "/user")), connects];
  // What a sign-in changes is who has an account at the provider.
  const counted = { asked: 0 };
  let token = tokens.nobody;
  const signingIn = client(
    () => token,
    async () => {
      counted.asked += 1;
      await new Promise((resolve) => setTimeout(resolve, 200));
      token = tokens.alice;
      return true;
    },
  );
  const both = ["/echo", "/echo"].map((path) => tell(signingIn.fetch("github", path, { method: "PUT", body: "again" })));
  told.reconnected = [await Promise.all(both), counted.asked, signingIn.asked];
  counted.asked = 0;
  const inVain = client(
    () => tokens.nobody,
    () => (counted.asked += 1),
  );
  told.inVain = [await tell(inVain.fetch("github", "/user")), counted.asked];
  counted.asked = 0;
  told.nothingToDisconnect = [await tell(inVain.disconnect("github")), counted.asked];
  const headers = { "idp-proxy-account": "nobodys" };
  told.disconnectedOther = await tell(alice.disconnect("github", { headers }));
  return told;
}
