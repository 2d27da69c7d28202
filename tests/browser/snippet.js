// README.md's snippet for frontends, in a page that has a stand-in for Auth0's SDK; then calls that need a new sign-in.

import { inChromium, input } from "./chromium.js";

await inChromium(async (page) => {
  await page.goto(input.page);
  const content = `
    const asked = [];
    const auth0 = { getTokenSilently: async () => "${input.token}", loginWithRedirect: async (how) => asked.push(how) };
    ${input.snippet}
    const { login } = await answer.json();
    const refusals = [];
    for (let call = 0; call < 3; call += 1) refusals.push(await proxy.fetch("dead", "/").catch((problem) => problem));
    window.told = { login, asked, refusals: refusals.map(({ status }) => status), isProblem: refusals[1] instanceof ProxyProblem };
  `;
  await page.addScriptTag({ type: "module", content });
  return (await page.waitForFunction(() => window.told)).jsonValue();
});
