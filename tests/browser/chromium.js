// What every script here begins with: Debian's Chromium, driven by playwright-core, with one page in it.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { chromium } from "playwright-core";

/** What the test in Rust handed over. */
export const input = JSON.parse(process.env.INPUT);

const FLAGS = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  // Nothing leaves this machine: a page that wants something from elsewhere does not get it.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost",
];

/**
 * Runs `test` with a page in a browser of its own, and prints what it returns as the last line, in JSON. A failure leaves
 * `target/tmp/browser/NAME-failed.png`, and on stderr what the pages and their console said.
 *
 * @param {(page: import("playwright-core").Page, context: import("playwright-core").BrowserContext) => Promise<unknown>} test
 */
export async function inChromium(test) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: FLAGS,
    // Root has no sandbox.
    chromiumSandbox: process.getuid() !== 0,
  });
  try {
    // Tests have authorities of their own.
    const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, ignoreHTTPSErrors: true });
    context.on("console", (message) => console.error(`console ${message.type()}: ${message.text()}`));
    context.on("weberror", (error) => console.error("uncaught:", error.error()));
    const page = await context.newPage();
    // Less than the test in Rust waits, so that it is told what was being waited for.
    page.setDefaultTimeout(20_000);
    try {
      console.log(JSON.stringify(await test(page, context)));
    } catch (error) {
      for (const [index, page] of context.pages().entries()) {
        console.error(`at ${page.url()}\n${await page.locator("body").ariaSnapshot()}`);
        await shot(page, index === 0 ? "failed" : `failed-${index}`);
      }
      throw error;
    }
  } finally {
    await browser.close();
  }
}

/**
 * A picture of the whole page, for people: `target/tmp/browser/NAME-WHAT.png`.
 *
 * @param {import("playwright-core").Page} page
 * @param {string} what
 */
export async function shot(page, what) {
  mkdirSync(process.env.SHOTS, { recursive: true });
  const path = join(process.env.SHOTS, `${process.env.NAME}-${what}.png`);
  await page.screenshot({ path, fullPage: true });
}

/**
 * What browsers ask before calls across origins, as `METHOD URL` of the calls, from now on: playwright tells of the calls
 * alone.
 *
 * @param {import("playwright-core").Page} page
 * @returns {Promise<string[]>}
 */
export async function preflights(page) {
  const seen = [];
  const devtools = await page.context().newCDPSession(page);
  devtools.on("Network.requestWillBeSent", ({ initiator, request }) => {
    if (initiator.type === "preflight") seen.push(`${request.headers["Access-Control-Request-Method"]} ${request.url}`);
  });
  await devtools.send("Network.enable");
  return seen;
}
