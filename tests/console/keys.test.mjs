// The list of keys: filters, sort and page in the address, search, selection, export.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { endAll, openPage, seen, signIn, skip, startBrowser } from "./harness/browser.mjs";
import { startDeployment } from "./harness/deployment.mjs";

const MANY = 120;
let browser;
let deployment;
let opened;
let wholeKey;

before(async () => {
  if (skip) return;
  [browser, deployment] = await Promise.all([startBrowser(), startDeployment()]);
  for (let at = 1; at <= MANY; at += 1) {
    const environment = at % 2 ? "live" : "test";
    const { key, api_key } = await deployment.issue(`sync-${String(at).padStart(3, "0")}`, {
      environment,
      expires_in_days: at < 4 ? 5 : 90,
    });
    if (at === 7) wholeKey = { id: key.id, text: api_key };
  }
  opened = await openPage(browser, deployment);
  await signIn(opened.page, deployment.owner);
});
after(async () => {
  await opened?.close().finally(() =>
    endAll(
      () => browser?.close(),
      () => deployment?.stop(),
    ),
  );
});

const names = (page) => page.locator("tbody .row-link").allInnerTexts();

test("filters, environment and sort are in the address, and the address alone shows the same list", {
  skip,
}, async () => {
  const { page } = opened;
  await page.goto("/keys");
  await seen(page, "sync-120");
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.getByRole("button", { name: "Name" }).click();
  await page.waitForFunction(() => document.querySelector("tbody .row-link")?.textContent === "sync-002");
  const { searchParams } = new URL(page.url());
  assert.deepEqual([searchParams.get("env"), searchParams.get("sort")], ["test", "name"]);
  const before = await names(page);
  assert.equal(before.length, 50);
  await page.reload();
  await seen(page, "sync-002");
  assert.deepEqual(await names(page), before);
  await page.getByLabel("Ends", { exact: true }).selectOption("7");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  assert.deepEqual(await names(page), ["sync-002"]);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await seen(page, "sync-004");
});

test("pages follow each other without a gap or a repetition, forwards and backwards", { skip }, async () => {
  const { page } = opened;
  await page.goto("/keys?sort=name");
  await seen(page, "sync-001");
  const all = [];
  for (const last of ["sync-050", "sync-100", "sync-120"]) {
    await seen(page, last);
    all.push(...(await names(page)));
    const next = page.getByRole("button", { name: "Next" });
    if (await next.isEnabled()) await next.click();
  }
  assert.equal(new Set(all).size, MANY);
  await page.getByRole("button", { name: "Previous" }).click();
  await seen(page, "sync-060");
  await page.goBack();
  await seen(page, "sync-110");
});

test("a search finds keys by name and id, and of a pasted whole key only the id is used and sent", {
  skip,
}, async () => {
  const { page } = opened;
  const sent = [];
  page.on("request", (request) => sent.push(request.url() + (request.postData() ?? "")));
  await page.goto("/keys");
  await seen(page, "sync-120");
  await page.keyboard.press("/");
  await page.keyboard.type("sync-042");
  await page.getByRole("option").filter({ hasText: "sync-042" }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "sync-042" }).waitFor();
  await page.getByRole("combobox").fill(wholeKey.text);
  assert.equal(await page.getByRole("combobox").inputValue(), wholeKey.id);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "sync-007" }).waitFor();
  assert.equal(
    sent.some((text) => text.includes(wholeKey.text)),
    false,
    "the secret left the page",
  );
});

test("the export has every key that fits the filters, and no cell that a spreadsheet would run", { skip }, async () => {
  const { page } = opened;
  await deployment.issue("formula", { environment: "test", name: "=1+1", purpose: 'says "hello", twice' });
  await page.goto("/keys?env=test");
  await seen(page, "=1+1");
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export CSV" }).click(),
  ]);
  const lines = readFileSync(await file.path(), "utf8")
    .trim()
    .split("\r\n");
  assert.equal(lines.length, 1 + MANY / 2 + 1);
  assert.equal(lines[1].includes(",'=1+1,"), true);
  assert.equal(lines[1].includes('"says ""hello"", twice"'), true);
});

test("selected keys are revoked after the count was typed", { skip }, async () => {
  const { page } = opened;
  await page.goto("/keys?sort=name");
  await page.getByLabel("Select sync-011").check();
  await page.getByLabel("Select sync-012").check();
  await page.getByRole("button", { name: "Revoke 2 keys" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/Reason|What happened/).fill("Two laptops were stolen");
  const confirm = dialog.getByRole("button", { name: /^Revoke/ });
  assert.equal(await confirm.isDisabled(), true);
  await dialog.getByLabel("Type 2 keys to confirm").fill("2 keys");
  await confirm.click();
  await dialog.waitFor({ state: "detached" });
  const { json } = await deployment.call("GET", "/keys?status=revoked");
  assert.deepEqual(json.items.map(({ name }) => name).sort(), ["sync-011", "sync-012"]);
});
