// Charts: drawn under the content security policy, with the same numbers as a table, and refusals by code.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../edge/harness/wait.mjs";
import { endAll, openPage, seen, signIn, skip, startBrowser } from "./harness/browser.mjs";
import { startDeployment } from "./harness/deployment.mjs";

const HOUR_MS = 3_600_000;
let browser;
let deployment;

before(async () => {
  if (skip) return;
  [browser, deployment] = await Promise.all([startBrowser(), startDeployment()]);
});
after(() =>
  endAll(
    () => browser?.close(),
    () => deployment?.stop(),
  ),
);

/** Answers each question for usage with 7 allowed and 3 refused requests in its last whole hour, as the API omits steps without any. */
async function withUsage(page) {
  await page.route("**/_keyward/v1/keys/*/usage?*", async (route) => {
    const { searchParams } = new URL(route.request().url());
    const [from, to, step] = ["from", "to", "step"].map((name) => searchParams.get(name));
    const at = new Date(Date.parse(to) - HOUR_MS).toISOString();
    const items = [{ at, allowed: 7, refused: { revoked_key: 2, rate_limited: 1 } }];
    await route.fulfill({ json: { step, from, to, complete_to: to, items } });
  });
}

test("a key's use is a chart and a table, with refusals by code", { skip }, async () => {
  const { key } = await deployment.issue("used");
  const { page, close } = await openPage(browser, deployment, { dark: true });
  await signIn(page, deployment.owner);
  await withUsage(page);
  await page.goto(`/key?id=${key.id}&tab=use`);
  await page.locator("canvas").waitFor();
  assert.match(await page.locator(".legend").textContent(), /In total.*Allowed 7.*Refused 3/);
  const { x, y, width } = await page.locator(".u-over").boundingBox();
  await page.mouse.move(x + width - 2, y + 20);
  await seen(page, "Refused by code: revoked_key 2 and rate_limited 1");
  await page.getByText("Show as a table").click();
  const row = page.locator(".chart tbody tr").last();
  assert.deepEqual((await row.locator("td").allTextContents()).slice(1), ["7", "3"]);
  assert.equal(await page.locator(".chart tbody tr").count(), 24, "hours without a request are there too");
  await page.getByRole("button", { name: "7 days" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".chart tbody tr").length === 168);
  assert.equal(new URL(page.url()).searchParams.get("span"), "7d");
  await close();
});

test("nothing is said about refusals before the numbers are there", { skip }, async () => {
  const { key } = await deployment.issue("slow");
  const { page, close } = await openPage(browser, deployment);
  await signIn(page, deployment.owner);
  let release = () => {};
  const held = new Promise((resolve) => (release = () => resolve(undefined)));
  await page.route("**/_keyward/v1/keys/*/usage?*", async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`/key?id=${key.id}&tab=use`);
  await page.getByRole("heading", { name: "By route" }).waitFor();
  assert.equal(await page.getByRole("heading", { name: "Refused by code" }).count(), 0);
  release();
  await seen(page, "Nothing was refused in this time.");
  await close();
});

test("a rotation shows both keys on one chart", { skip }, async () => {
  const { key } = await deployment.issue("rotated");
  await deployment.call("POST", `/keys/${key.id}/rotate`, { json: { overlap_seconds: 3_600 } });
  const { page, close } = await openPage(browser, deployment);
  await signIn(page, deployment.owner);
  await withUsage(page);
  await page.goto(`/key?id=${key.id}&tab=rotation`);
  await page.locator("canvas").waitFor();
  const legend = await page.locator(".legend").textContent();
  assert.match(legend, /Old key 7.*New key 7/);
  await close();
});

test("the routes that a key was used for are counted, and the overview has a chart of all keys", { skip }, async () => {
  const { key, api_key } = await deployment.issue("by-route");
  assert.equal(await deployment.request(api_key), 200);
  const routes = async () => (await deployment.call("GET", `/usage?by=route&key=${key.id}`)).json.items;
  await until("the use is reported", async () => (await routes()).length > 0, { within: 40_000, every: 500 });
  const { page, close } = await openPage(browser, deployment);
  await signIn(page, deployment.owner);
  await page.goto(`/key?id=${key.id}&tab=use`);
  await page.getByRole("heading", { name: "By route" }).waitFor();
  const row = page.locator(".bar-row").filter({ hasText: "GET /v1/contacts" });
  assert.equal(await row.locator(".number").textContent(), "1");
  await page.goto("/");
  await page.locator("canvas").waitFor();
  await page.getByText("Show as a table").click();
  const last = page.locator(".chart tbody tr").last();
  assert.ok(Number(await last.locator("td").nth(1).textContent()) >= 1);
  assert.equal(await page.locator(".chart tbody tr").count(), 24);
  await page.getByRole("button", { name: "30 days" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".chart tbody tr").length === 30);
  await close();
});

test("a manager sees a key's use by route, and is not offered its activity, which names networks", {
  skip,
}, async () => {
  const { key } = await deployment.issue("for-a-manager");
  const { page, close } = await openPage(browser, deployment);
  await signIn(page, await deployment.member("manager"));
  await page.goto(`/key?id=${key.id}`);
  await page.getByRole("heading", { name: "By route" }).waitFor();
  assert.equal(await page.getByRole("tab", { name: "Activity" }).count(), 0);
  await close();
});
