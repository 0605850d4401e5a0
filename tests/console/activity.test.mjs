// The activity of a key: all of it and not its oldest page, the newest first, with what is new, and as CSV.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
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

const PAGE = 30;
const HEAD = "at,route,network";

/** Answers as a key that was used in each hour from one network, and in the last whole hour from another one and by another client too. */
async function withActivity(page) {
  await page.route("**/_keyward/v1/keys/*/activity?*", async (route) => {
    const { searchParams } = new URL(route.request().url());
    const [from, to] = ["from", "to"].map((name) => Date.parse(searchParams.get(name)));
    const last = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - HOUR_MS;
    const item = (at, network, client) => ({
      ...{ at: new Date(at).toISOString(), route: "GET /v1/contacts", network, client, country: "DE", asn: 64_496 },
      ...{ allowed: 5, refused: network === "203.0.113.0/24" ? { rate_limited: 2 } : {} },
    });
    const items = [];
    for (let at = from; at < to && at <= last; at += HOUR_MS) items.push(item(at, "192.0.2.0/24", "acme-sync"));
    if (last >= from && last < to) items.push(item(last, "203.0.113.0/24", "curl"));
    const start = Number(searchParams.get("cursor") ?? 0);
    const shown = items.slice(start, start + PAGE);
    const next = start + PAGE < items.length ? String(start + PAGE) : null;
    if (route.request().headers().accept === "text/csv") {
      const lines = shown.map(({ at, route: name, network }) => `${at},${name},${network}`);
      const headers = { "content-type": "text/csv", ...(next && { "keyward-next-cursor": next }) };
      return route.fulfill({ headers, body: `${[HEAD, ...lines].join("\r\n")}\r\n` });
    }
    return route.fulfill({ json: { items: shown, next_cursor: next } });
  });
}

test("all pages are read, the newest hour is first, what is new in it is marked, and earlier days follow", {
  skip,
}, async () => {
  const { key } = await deployment.issue("busy");
  const { page, close } = await openPage(browser, deployment);
  await signIn(page, deployment.owner);
  await withActivity(page);
  await page.goto(`/key?id=${key.id}&tab=activity`);
  const rows = page.locator("tbody tr");
  await rows.first().waitFor();
  const first = await rows.first().textContent();
  assert.match(first, /203\.0\.113\.0\/24/);
  assert.match(first, /New network and client/);
  assert.match(first, /rate_limited/);
  assert.equal(await page.locator(".chip").filter({ hasText: "New" }).count(), 1);
  const before = await rows.count();
  assert.ok(before > PAGE, "more than a page of the API");
  await page.getByRole("button", { name: "Read 2 earlier days" }).click();
  await seen(page, /^The last 4 days/);
  assert.equal(await rows.count(), before + 48);

  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export CSV" }).click(),
  ]);
  const lines = readFileSync(await file.path(), "utf8")
    .trim()
    .split("\r\n");
  assert.equal(lines.length, 1 + before + 48);
  assert.equal(lines.filter((line) => line === HEAD).length, 1);
  await close();
});

test("a real use of a key is in its activity", { skip }, async () => {
  const { key, api_key } = await deployment.issue("used-once");
  assert.equal(await deployment.request(api_key), 200);
  const uses = async () => (await deployment.call("GET", `/keys/${key.id}/activity`)).json.items;
  const isReported = async () => (await uses()).some(({ route }) => route);
  await until("the use is reported", isReported, { within: 40_000, every: 500 });
  const { page, close } = await openPage(browser, deployment);
  await signIn(page, deployment.owner);
  await page.goto(`/key?id=${key.id}&tab=activity`);
  await page.locator("tbody tr").filter({ hasText: "GET /v1/contacts" }).filter({ hasText: "127.0.0.0/24" }).waitFor();
  assert.equal(
    await page.locator(".chip").filter({ hasText: "New" }).count(),
    0,
    "nothing is new without anything before it",
  );
  await close();
});
