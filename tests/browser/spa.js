// The example application, as it stands but for where the proxy is: a person signs in, sees a GitHub user, finds Google's
// grant dead, connects it again, disconnects it, and signs out.

import { inChromium, input, preflights, shot } from "./chromium.js";

await inChromium(async (page) => {
  const own = `export const proxy = "http://127.0.0.1:8080";`;
  await page.route("**/config.js", async (route) => {
    const answer = await route.fetch();
    const text = await answer.text();
    if (!text.includes(own)) throw new Error(`config.js has no ${own}`);
    await route.fulfill({ response: answer, body: text.replace(own, `export const proxy = "${input.proxy}";`) });
  });
  const asked = await preflights(page);
  const card = (name) => page.getByRole("article").filter({ has: page.getByRole("heading", { name }) });
  const result = (name, text) => card(name).getByRole("status").filter({ hasText: text }).waitFor();
  const row = (name) => page.getByRole("row", { name });
  const told = {};

  await page.goto(input.page);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Alice" }).click();
  await result("github", "alice");
  told.user = await page.locator("#user").innerText();
  await row("google reconnect required").waitFor();
  // Google itself has refused the first call. From now on the proxy knows.
  await card("google").getByRole("button", { name: "Call again" }).click();
  const again = card("google").getByRole("button", { name: "Connect again" });
  await again.waitFor();
  told.dead = await card("google").getByRole("status").innerText();
  await shot(page, "light");
  await page.emulateMedia({ colorScheme: "dark" });
  await shot(page, "dark");

  await again.click();
  told.signIn = await page.getByText("Sign in at").innerText();
  await page.getByRole("button", { name: "Alice" }).click();
  await result("google", "alice");
  await row("google connected").waitFor();
  told.offers = await page.getByRole("button", { name: "Connect again" }).count();

  await row("google connected").getByRole("button", { name: "Disconnect" }).click();
  await row("google reconnect required").waitFor();
  told.disconnected = await card("google").getByRole("button", { name: "Connect again" }).count();

  // A session outlives the page, and its token is not in it.
  await page.reload();
  await result("github", "alice");
  told.stored = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, document.cookie]));

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Do not sign in" }).click();
  told.denied = await page.getByRole("alert").innerText();
  told.asked = asked.filter((url) => url.includes(input.proxy)).map((url) => url.replace(input.proxy, ""));

  // The same application at an origin that the proxy does not know.
  await page.goto(input.page.replace("127.0.0.1", "localhost"));
  told.refused = await page.getByRole("alert").filter({ hasText: "[cors]" }).innerText();
  await shot(page, "refused");
  return told;
});
