// The developer console of `dev`: in by a link, calls tried, the log read, by mouse and by keys, in both themes.

import assert from "node:assert/strict";

import { inChromium, input, shot } from "./chromium.js";

await inChromium(async (page, context) => {
  const [complaints, answers] = [[], []];
  page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(String(error)));
  // Not of the log, which has no end.
  page.on("response", (answer) => answer.url().endsWith("/log") || answers.push(answer.text().catch(() => "")));

  await page.goto(input.link);
  const url = page.url();
  await page.getByText("ready", { exact: true }).waitFor();
  const cookies = (await context.cookies()).map(({ name, value, expires, ...rest }) => ({ ...rest, prefix: name.slice(0, 7) }));

  const told = { url, cookies };
  told.tried = await tryCalls(page);
  told.tabs = await walk(page);
  await useKeys(page);
  await useFilter(page);
  told.themes = await bothThemes(page);
  told.spill = await narrow(page);

  const everything = [await page.content(), ...(await Promise.all(answers))].join("\n");
  told.leaks = input.tokens.filter((token) => everything.includes(token)).length;
  told.complaints = [...complaints];

  const again = await context.browser().newContext();
  const stranger = await again.newPage();
  await stranger.goto(input.link);
  told.again = await stranger.locator("main").innerText();
  await again.close();

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "The console is closed" }).waitFor();
  return told;
});

/** One call that works and one that does not, by mouse. What the page says of each, and what its log does. */
async function tryCalls(page) {
  const seen = [];
  for (const [user, provider, status] of [["alice", "github", "200"], ["bob", "bitbucket", "403"]]) {
    await page.getByLabel("Call as").selectOption(`user:${user}`);
    await page.getByRole("button", { name: `Try ${provider}` }).click();
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator("#outcome .badge", { hasText: status }).waitFor();
    const line = page.locator("#lines tr", { hasText: `/proxy/${provider}/user` }).first();
    await line.waitFor();
    seen.push({
      account: await page.locator("#providers tr", { hasText: provider }).locator(".badge").innerText(),
      outcome: await page.locator("#outcome .problem strong").allInnerTexts(),
      body: await page.getByLabel("Body of the answer").innerText(),
      steps: (await page.locator("#steps > svg").getAttribute("aria-label")).replaceAll(/[\d.]+ (ms|s)/g, "…").replace(/(hit|miss)/, "found"),
      line: [await line.locator(".badge").innerText(), await line.locator(".why").innerText()],
    });
    await page.locator("#outcome").evaluate((outcome) => outcome.replaceChildren());
  }
  return seen;
}

/** Through everything that the Tab key reaches: each has a focus that can be seen, and behind the last there is a way out. */
async function walk(page) {
  // From the top: the browser goes on where it was last.
  await page.getByRole("link", { name: "Skip to" }).focus();
  const seen = [];
  for (let count = 0; count < 80; count += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const isSeen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 1;
      return { name: element.id || element.innerText.split("\n")[0], isOut: element === document.body, isSeen };
    });
    if (at.isOut) return seen;
    assert(at.isSeen, `no focus can be seen at ${at.name}`);
    seen.push(at.name);
  }
  throw new Error(`no way out of: ${seen}`);
}

/** The keys that the page's own list tells of. */
async function useKeys(page) {
  const focused = () => page.evaluate(() => document.activeElement.id);
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "Keys" }).waitFor({ state: "hidden" });
  // It is hidden a moment before the focus has left it.
  await page.waitForFunction(() => document.activeElement === document.body);
  for (const [key, id] of [["c", "connections"], ["t", "path"]]) {
    await page.keyboard.press(key);
    assert.equal(await focused(), id, key);
  }
  // What is typed into a field is no command.
  await page.keyboard.press("Control+a");
  await page.keyboard.type("/cpl?t=1");
  assert.equal(await page.getByLabel("Path").inputValue(), "/cpl?t=1");
  await page.keyboard.press("Control+Enter");
  await page.locator("#lines tr", { hasText: "/cpl?t=…" }).waitFor();
  const code = page.getByLabel("The request as code");
  const pieces = [["idp-proxy curl", "idp-proxy curl bitbucket '/cpl?t=1'"], ["curl", '"$TOKEN"'], ["fetch", 'proxy.fetch("bitbucket", "/cpl?t=1")']];
  for (const [dialect, piece] of pieces) {
    await page.locator("#dialect").selectOption(dialect);
    assert((await code.innerText()).includes(piece), await code.innerText());
  }
}

async function useFilter(page) {
  const lines = page.locator("#lines tr");
  await page.getByLabel("Filter").fill("403 bitbucket -cpl");
  await page.locator("#log-count", { hasText: "1 of" }).waitFor();
  assert((await lines.allInnerTexts())[0].includes("not_connected"));
  await page.getByLabel("Filter").fill("no such line");
  await page.getByText("No request fits the filter.").waitFor();
  await page.getByLabel("Filter").fill("");
  const pause = page.getByRole("button", { name: "Pause" });
  await pause.click();
  const before = await lines.count();
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator("#outcome .badge", { hasText: "403" }).waitFor();
  assert.equal(await lines.count(), before);
  await page.getByRole("button", { name: "Go on" }).click();
  await page.waitForFunction((count) => document.querySelectorAll("#lines tr").length > count, before);
}

/** The page's own colour in each theme, and the texts that are too pale to be read there (WCAG 2.2, 1.4.3). */
async function bothThemes(page) {
  const themes = {};
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await shot(page, colorScheme);
    themes[colorScheme] = await page.evaluate(() => {
      const numbers = (color) => color.match(/[\d.]+/g).map(Number);
      const light = (color) => {
        const [red, green, blue] = numbers(color).map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      const behind = (element) => {
        const color = getComputedStyle(element).backgroundColor;
        return numbers(color)[3] === 0 ? behind(element.parentElement) : color;
      };
      const pale = [];
      for (const element of document.querySelectorAll("body *:not(option, svg *)")) {
        const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");
        if (!hasText || !element.checkVisibility()) continue;
        const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (contrast < 4.5) pale.push(`${element.textContent.slice(0, 40)}: ${contrast.toFixed(2)}`);
      }
      return { page: getComputedStyle(document.body).backgroundColor, pale };
    });
  }
  return themes;
}

/** By how much the page is wider than a telephone. */
async function narrow(page) {
  await page.setViewportSize({ width: 360, height: 740 });
  await shot(page, "narrow");
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
