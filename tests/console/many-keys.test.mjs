// A deployment with 10,000 keys: every list and every search reaches the last of them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { endAll, openPage, seen, signIn, skip, startBrowser } from "./harness/browser.mjs";
import { startDeployment } from "./harness/deployment.mjs";

const KEYS = 10_000;

let browser;
let deployment;
let opened;

before(async () => {
  if (skip) return;
  [browser, deployment] = await Promise.all([startBrowser(), startDeployment()]);
  // Oldest of all, so it is the last one that a search of the newest first looks at.
  await deployment.issue("needle", { name: "Needle in the haystack" });
  const { key } = await deployment.issue("partner");
  await deployment.addKeys(KEYS, key.id);
  opened = await openPage(browser, deployment);
  await signIn(opened.page, deployment.owner);
});
after(() =>
  endAll(() => opened?.close()).finally(() =>
    endAll(
      () => browser?.close(),
      () => deployment?.stop(),
    ),
  ),
);

/** Does something until the list is there, and tells the time that this took. */
async function timed(t, what, action, holds) {
  const began = performance.now();
  await action();
  await holds();
  t.diagnostic(`${what}: ${Math.round(performance.now() - began)} ms`);
}

test("the search finds the oldest of 10,000 keys, and says so only if there is none", { skip }, async (t) => {
  const { page } = opened;
  await page.goto("/keys");
  const search = page.getByRole("combobox", { name: /^Search keys/ });
  const option = page.getByRole("option");
  await timed(
    t,
    "search",
    () => search.fill("haystack"),
    () => option.filter({ hasText: "Needle in the haystack" }).waitFor(),
  );
  await timed(
    t,
    "search in vain",
    () => search.fill("no such key"),
    () => seen(page, "No key has this in its name or id."),
  );
});

test("each filter and each order of the list looks at all keys", { skip }, async (t) => {
  const { page } = opened;
  const row = (text) => page.locator("tbody tr").filter({ hasText: text }).first();
  for (const [address, text] of [
    ["/keys", "Partner 10000"],
    ["/keys?sort=name", "Needle in the haystack"],
    ["/keys?sort=-name", "Partner 10000"],
    ["/keys?sort=expires_at", "Needle in the haystack"],
    ["/keys?q=haystack", "Needle in the haystack"],
    ["/keys?q=haystack&sort=-expires_at", "Needle in the haystack"],
    ["/keys?integration=partner-00001", "Partner 00001"],
    ["/keys?owner=team-07%40acme.example", "Partner 09967"],
    ["/keys?status=active&ends=90", "Partner"],
    ["/keys?q=no-such-key", null],
    ["/keys?status=revoked", null],
    ["/keys?exposed=true", null],
    ["/keys?idle=30", null],
  ])
    await timed(
      t,
      address,
      () => page.goto(address),
      () => (text ? row(text).waitFor() : seen(page, "No key fits these filters.")),
    );
});

test("a page forward and back keeps its place, and the overview counts no more than it knows", { skip }, async (t) => {
  const { page } = opened;
  await page.goto("/keys?sort=name");
  await seen(page, "Keys 1 to 50");
  await timed(
    t,
    "next page",
    () => page.getByRole("button", { name: "Next" }).click(),
    () => seen(page, "Keys 51 to 100"),
  );
  await page.getByRole("button", { name: "Previous" }).click();
  await seen(page, "Keys 1 to 50");
  const tile = (name) =>
    page
      .locator(".tile")
      .filter({ has: page.getByText(name, { exact: true }) })
      .locator(".figure");
  await timed(
    t,
    "overview",
    async () => {
      await page.goto("/");
      await page.locator(".tile").first().waitFor();
    },
    () =>
      page.waitForFunction(() =>
        [...document.querySelectorAll(".tile .figure")].every((figure) => figure.textContent !== "…"),
      ),
  );
  assert.equal(await tile("Active keys").textContent(), "100+");
  assert.equal(await tile("Exposed").textContent(), "0");
});
