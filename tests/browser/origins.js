// One call from a page of each origin: what the page gets to see of the answer.

import { inChromium, input, preflights } from "./chromium.js";

await inChromium(async (page) => {
  const asked = await preflights(page);
  const seen = {};
  for (const origin of input.origins) {
    await page.goto(origin);
    seen[origin] = await page.evaluate(async ({ url, token }) => {
      try {
        const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
        return { status: answer.status, proxyStatus: answer.headers.get("proxy-status"), text: await answer.text() };
      } catch (error) {
        return String(error);
      }
    }, input);
  }
  return { seen, asked };
});
