// The helper in a page, which loads it from the proxy as a module; and bodies that are streams, which take HTTP/2.

import { calls } from "./calls.js";
import { inChromium, input } from "./chromium.js";

await inChromium(async (page) => {
  await page.goto(input.page);
  return { ...(await page.evaluate(calls, input)), ...(await page.evaluate(streams, input)) };
});

async function streams({ module, tokens }) {
  const { createClient } = await import(module);
  const send = async (getToken, onReconnect) => {
    const body = new Blob(["one ", "two"]).stream();
    const client = createClient({ getToken, onReconnect });
    return client.fetch("github", "/echo", { method: "POST", body, duplex: "half" });
  };
  const sent = await (await send(() => tokens.alice)).text();
  let asked = 0;
  const ask = () => (asked += 1);
  const refusals = [() => tokens.nobody, ({ cacheMode }) => (cacheMode === "off" ? tokens.alice : tokens.expired)];
  const refused = refusals.map((getToken) => send(getToken, ask).catch((problem) => problem.code));
  return { streams: [sent, ...(await Promise.all(refused)), asked] };
}
