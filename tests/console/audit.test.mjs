// The audit log, verified in the browser: intact, tampered with, cut off, rewritten, and signed by another key.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";
import { endAll, openPage, seen, signIn, skip, startBrowser } from "./harness/browser.mjs";
import { startDeployment } from "./harness/deployment.mjs";

const LOG = "**/_keyward/v1/audit";
let browser;
let deployment;
let opened;
let count = 0;

before(async () => {
  if (skip) return;
  [browser, deployment] = await Promise.all([startBrowser(), startDeployment()]);
  const { key } = await deployment.issue("crm-sync", { purpose: "Größe, “quotes” and \u{1f511}" });
  await deployment.issue("shop-export");
  await deployment.call("PATCH", `/keys/${key.id}`, { json: { scopes: ["contacts:read", "events:read"] } });
  await deployment.call("POST", `/keys/${key.id}/revoke`, { json: { reason: "Leaked in a log" } });
  opened = await openPage(browser, deployment);
  await signIn(opened.page, deployment.owner);
  const { json } = await deployment.call("GET", "/audit?limit=200");
  count = json.items.length;
});
beforeEach(async () => {
  if (skip) return;
  await opened.page.unrouteAll();
});
after(async () => {
  await opened?.close().finally(() =>
    endAll(
      () => browser?.close(),
      () => deployment?.stop(),
    ),
  );
});

test("every action that the documents list has words", () => {
  const documents = readFileSync(new URL("../../docs/concepts/audit.md", import.meta.url), "utf8");
  const row = documents.split("\n").find((line) => line.startsWith("| `action` |"));
  const words = readFileSync(new URL("../../console/src/logic/words.ts", import.meta.url), "utf8");
  const actions = [...row.matchAll(/`([a-z_]+\.[a-z_]+)`/g)].map(([, action]) => action);
  assert.ok(actions.length > 30);
  for (const action of actions) assert.ok(words.includes(`"${action}":`), action);
});

/** Lets the page see a log in which `change` was done to the entries. */
async function withLog(page, change) {
  await page.route(LOG, async (route) => {
    const answer = await route.fetch();
    const entries = (await answer.text())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    await route.fulfill({
      response: answer,
      body: change(entries)
        .map((entry) => `${JSON.stringify(entry)}\n`)
        .join(""),
    });
  });
}

async function open(page) {
  await page.goto("/audit");
  await page
    .getByText(/Verified:|Not verified|Not checked/)
    .first()
    .waitFor();
}

test("an intact log is verified, and its entries are shown newest first", { skip }, async () => {
  const { page } = opened;
  await open(page);
  const badge = await page.getByText(/Verified: \d+ entries, signed head of/).textContent();
  assert.ok(Number(/\d+/.exec(badge)?.[0]) >= count, badge);
  await seen(page, "First visit:");
  await seen(page, "Reason: Leaked in a log");
  await open(page);
  await seen(page, /It continues the head of \d+ entries/);
});

test("a changed entry is named", { skip }, async () => {
  const { page } = opened;
  await withLog(page, (entries) =>
    entries.map((entry) => (entry.seq === 2 ? { ...entry, actor: "wafl_admin_000000000000" } : entry)),
  );
  await open(page);
  await seen(page, "Entry 2 was changed: its hash does not match its content.");
});

test("a missing entry and a log that was cut off are found", { skip }, async () => {
  const { page } = opened;
  await withLog(page, (entries) => entries.filter(({ seq }) => seq !== 2));
  await open(page);
  await seen(page, "Entry 3 follows entry 1, so an entry is missing or out of order.");
  await page.unrouteAll();
  await withLog(page, (entries) => entries.slice(0, -1));
  await open(page);
  await seen(page, /its end was cut off/);
});

test("a head that was not signed by the pinned key is refused, and a new key is an alarm until somebody trusts it", {
  skip,
}, async () => {
  const { page } = opened;
  await page.route("**/_keyward/v1/audit/checkpoint", async (route) => {
    const answer = await route.fetch();
    const text = await answer.text();
    await route.fulfill({
      response: answer,
      body: text.replace(/^keyward\/wafl\n(\d+)\n/, (_, size) => `keyward/wafl\n${Number(size) - 1}\n`),
    });
  });
  await open(page);
  await seen(page, "The signature of the log's head is wrong for its key.");
  await page.unrouteAll();
  await page.evaluate(() => {
    const pins = JSON.parse(localStorage.getItem("keyward-audit-pins") ?? "{}");
    localStorage.setItem("keyward-audit-pins", JSON.stringify({ ...pins, keys: ["keyward/wafl+00000000+AAAA"] }));
  });
  await open(page);
  await seen(page, "The log has a signing key that this browser has not seen before");
  await page.getByRole("button", { name: "I have compared it: trust this key" }).click();
  await seen(page, /Verified: /);
});

test("a log that does not continue the head of the last visit is an alarm", { skip }, async () => {
  const { page } = opened;
  await open(page);
  await page.evaluate(() => {
    const pins = JSON.parse(localStorage.getItem("keyward-audit-pins") ?? "{}");
    pins.checkpoint.hash = "0".repeat(64);
    localStorage.setItem("keyward-audit-pins", JSON.stringify(pins));
  });
  await open(page);
  await seen(page, /is not the one of the head of your last visit: the log was rewritten/);
  await page.evaluate(() => localStorage.removeItem("keyward-audit-pins"));
});

test("log, head and key can be saved and are what the API sent", { skip }, async () => {
  const { page } = opened;
  await open(page);
  for (const [name, path] of [
    ["Log", "audit.ndjson"],
    ["Signed head", "checkpoint.txt"],
    ["Verifying key", "audit.vkey"],
  ]) {
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name, exact: true }).click(),
    ]);
    assert.equal(file.suggestedFilename(), path);
    const text = readFileSync(await file.path(), "utf8");
    if (path === "audit.ndjson") assert.equal(JSON.parse(text.split("\n")[0]).seq, 1);
    if (path === "audit.vkey") assert.equal(text.trim(), (await deployment.call("GET", "/audit/key")).text.trim());
  }
});
