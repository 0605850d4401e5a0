// A real Chromium, and pages that fail a test for what no test may leave unseen: script errors, violations of the content security
// policy, and requests to another host.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { CHROMIUM } from "../../../tools/chromium.mjs";

/** Why the tests of this folder cannot run here, or false. */
export const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is missing: install Debian's package chromium`;

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const PHONE = { width: 360, height: 780 };
const DESK = { width: 1280, height: 860 };

/** Starts Chromium with a fresh profile. */
export const startBrowser = () => chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });

/** Console messages of the browser itself about answers that a test provokes. */
const EXPECTED =
  /Failed to load resource: (the server responded with a status of (400|401|403|404|409|412|422|429|500|502|503)|net::ERR_CONNECTION_RESET)/;

/**
 * Opens a page of a deployment in a context of its own. `close` also checks what the page did.
 * @param {import("playwright-core").Browser} browser
 * @param {{ url: string }} deployment
 * @param {{ dark?: boolean, phone?: boolean, clipboard?: boolean }} [options]
 */
export async function openPage(browser, { url }, { dark = false, phone = false, clipboard = false } = {}) {
  const context = await browser.newContext({
    baseURL: url,
    viewport: phone ? PHONE : DESK,
    colorScheme: dark ? "dark" : "light",
    acceptDownloads: true,
  });
  if (clipboard) await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: url });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const faults = [];
  page.on("pageerror", (error) => faults.push(`script error: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !EXPECTED.test(message.text())) faults.push(message.text());
  });
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "blob:" && origin !== url) faults.push(`request to ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  return {
    page,
    faults,
    async close() {
      await context.close();
      assert.deepEqual(faults, []);
    },
  };
}

/** Signs in and waits for the frame. */
export async function signIn(page, credential) {
  await page.goto("/");
  await page.getByLabel("Credential", { exact: true }).fill(credential);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.locator(".frame").or(page.getByText("Nothing to see for this role")).first().waitFor();
}

/** Waits until a text is on the page. */
export const seen = (page, text) => page.getByText(text).first().waitFor();

/** Whether something is wider than the window. */
export const overflows = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth > 0);

/** Ends each of the things that a file has started, whatever the others do; then fails if one of them failed. */
export async function endAll(...ends) {
  const results = await Promise.allSettled(ends.map((end) => end?.()));
  const failed = results.find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
}
