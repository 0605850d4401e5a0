// What a person sees when the network is slow, and when an answer is an error, of each kind.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { endAll, openPage, seen, signIn, skip, startBrowser } from "./harness/browser.mjs";
import { startDeployment } from "./harness/deployment.mjs";

const LIST = "**/_keyward/v1/keys?*";
let browser;
let deployment;
let opened;

before(async () => {
  if (skip) return;
  [browser, deployment] = await Promise.all([startBrowser(), startDeployment()]);
  await deployment.issue("live-sync");
  await deployment.issue("test-sync", { environment: "test" });
  opened = await openPage(browser, deployment);
  await signIn(opened.page, deployment.owner);
});
beforeEach(() => opened?.page.unrouteAll());
after(async () => {
  await opened?.close().finally(() =>
    endAll(
      () => browser?.close(),
      () => deployment?.stop(),
    ),
  );
});

/** Answers of each kind that the list of keys may get, with what a person must read. */
const FAILURES = [
  {
    what: "a refusal of the API",
    answer: problem(403, "forbidden", "Forbidden", "This role may not list keys."),
    read: [/^Forbidden$/, "This role may not list keys.", "req-of-the-test", "What forbidden means"],
  },
  {
    what: "too many requests",
    answer: {
      ...problem(429, "rate_limited", "Rate limited", "Too many requests of one member."),
      headers: { "retry-after": "7" },
    },
    read: ["Too many requests of one member.", "Try again in 7 s."],
  },
  {
    what: "an authority that cannot be reached",
    answer: problem(503, "authority_unavailable", "Authority unavailable", "The authority does not answer."),
    read: ["The authority does not answer."],
  },
  {
    what: "a page of a proxy",
    answer: { status: 502, contentType: "text/html", body: "<h1>Bad gateway</h1><script>alert(1)</script>" },
    read: ["The answer has status 502 and is not Keyward's. A proxy may have made it."],
  },
  {
    what: "a success that is not JSON",
    answer: { status: 200, contentType: "text/html", body: "<h1>Sign in to the hotel's network</h1>" },
    read: ["The answer is not JSON. A proxy may have made it, or the connection broke."],
  },
  {
    what: "a server error of something else",
    answer: { status: 500, contentType: "application/json", body: '{"type":"javascript:alert(1)","error":{"code":5}}' },
    read: ["The answer has status 500 and is not Keyward's. A proxy may have made it."],
  },
];

function problem(status, code, title, detail) {
  const body = { type: `/_keyward/problems/${code}`, title, status, detail, code, request_id: "req-of-the-test" };
  return { status, contentType: "application/problem+json", body: JSON.stringify(body) };
}

for (const { what, answer, read } of FAILURES) {
  test(`${what} is told on the screen, and a second try shows the list`, { skip }, async () => {
    const { page } = opened;
    let times = 0;
    await page.route(LIST, (route) => {
      times += 1;
      return times === 1 ? route.fulfill(answer) : route.continue();
    });
    await page.goto("/keys");
    const alert = page.locator("main").getByRole("alert");
    for (const text of read) await alert.getByText(text).first().waitFor();
    assert.equal(await alert.locator("h1, script, a[href^='javascript']").count(), 0);
    await page.locator("main").getByRole("button", { name: "Try again" }).click();
    await seen(page, "live-sync");
    assert.equal(await alert.count(), 0);
  });
}

test("while an answer is on its way the screen says that it loads, and nothing is made up", { skip }, async () => {
  const { page } = opened;
  /** @type {PromiseWithResolvers<void>} */
  const held = Promise.withResolvers();
  await page.route(LIST, async (route) => {
    await held.promise;
    await route.continue();
  });
  await page.goto("/keys");
  await page.getByRole("status").filter({ hasText: "Loading" }).first().waitFor();
  assert.equal(await page.locator("tbody tr").count(), 0);
  assert.equal(await page.getByText(/No keys?/).count(), 0, "an empty list is shown before the answer");
  held.resolve();
  await seen(page, "live-sync");
});

test("of two answers that overtake each other, the one to the last question is shown", { skip }, async () => {
  const { page } = opened;
  await page.goto("/keys");
  await seen(page, "live-sync");
  /** @type {PromiseWithResolvers<void>} */
  const first = Promise.withResolvers();
  await page.route(LIST, async (route) => {
    if (new URL(route.request().url()).searchParams.get("environment") === "live") await first.promise;
    await route.continue();
  });
  await page.getByRole("button", { name: "Live", exact: true }).click();
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  const late = page.waitForResponse((response) => response.url().includes("environment=live"));
  first.resolve();
  await (await late).finished();
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.deepEqual(await page.locator("tbody .row-link").allInnerTexts(), ["test-sync"]);
});

test("on a slow network a form is sent once, however often its button is pressed", { skip }, async () => {
  const { page } = opened;
  await page.goto("/issue");
  await page.getByLabel("Name", { exact: true }).fill("Slow");
  await page.getByLabel("Purpose", { exact: true }).fill("Nightly contact sync");
  await page.getByLabel("contacts:read").check();
  await page.getByText("Show it here once").click();
  const session = await page.context().newCDPSession(page);
  const slow = { offline: false, latency: 1_500, downloadThroughput: 20_000, uploadThroughput: 10_000 };
  await session.send("Network.enable");
  await session.send("Network.emulateNetworkConditions", slow);
  let sent = 0;
  page.on("request", (request) => {
    if (request.method() === "POST" && request.url().endsWith("/_keyward/v1/keys")) sent += 1;
  });
  const button = page.locator("form button[type=submit]");
  // Three clicks within one frame, before the page can be drawn anew.
  await button.evaluate((element) => {
    for (let clicks = 0; clicks < 3; clicks += 1) element.click();
  });
  await seen(page, "Store the key");
  await session.send("Network.emulateNetworkConditions", {
    ...slow,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: -1,
  });
  assert.equal(sent, 1);
  page.once("dialog", (asked) => asked.accept());
});
