// Issuing: the form, the API's refusals beside their fields, a key shown once, and hostile texts.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { seen, skip } from "./harness/browser.mjs";
import { startSession } from "./harness/session.mjs";

let session;
let deployment;
let opened;

before(async () => {
  if (skip) return;
  session = await startSession({ as: (deployment) => deployment.member("manager", { name: "Martin Meyer" }) });
  ({ deployment, opened } = session);
});
after(() => session?.stop());

async function fill(page, { name, purpose = "Nightly contact sync to the CRM", networks = "" }) {
  await page.goto("/issue");
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Purpose", { exact: true }).fill(purpose);
  await page.getByLabel("contacts:read").check();
  if (networks) await page.getByLabel(/^Networks/).fill(networks);
  await page
    .getByText("Show it here once")
    .click({ timeout: 500 })
    .catch(() => {}); // a deployment without claims has no choice
}
const issue = (page) => page.getByRole("button", { name: "Issue and show the key" }).click();

test("a manager issues a key that works, and it is shown once behind a gate", { skip }, async () => {
  const { page } = opened;
  await fill(page, { name: "CRM sync" });
  assert.equal(
    await page.getByLabel("Integration", { exact: true }).inputValue(),
    "crm-sync",
    "the integration follows the name",
  );
  await seen(page, /May read contacts from any address, until/);
  await issue(page);
  const secret = await page.locator(".secret-box code").textContent();
  assert.equal(await deployment.request(secret), 200);
  page.once("dialog", (asked) => asked.dismiss());
  await page.getByRole("navigation", { name: "Screens" }).getByRole("link", { name: "Overview" }).click();
  await seen(page, "Store the key"); // leaving asks first
  await page.getByLabel(/I have stored the key/).check();
  await page.getByRole("button", { name: "I have stored it" }).click();
  await page.getByRole("heading", { name: "CRM sync" }).waitFor();
  assert.equal((await page.content()).includes(secret), false);
});

test("a refusal is beside its field in the API's words, and what was entered stays", { skip }, async () => {
  const { page } = opened;
  await fill(page, { name: "Bad network", networks: "192.0.2.300" });
  await issue(page);
  const field = page.getByLabel(/^Networks/);
  await page.waitForFunction(() => document.querySelector('[aria-invalid="true"]') === document.activeElement);
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  const described = (await field.getAttribute("aria-describedby")).split(" ").pop();
  assert.notEqual(await page.locator(`[id="${described}"]`).textContent(), "");
  await field.fill("192.0.2.7");
  await issue(page);
  await seen(page, "Store the key");
});

test("limits are set at issue, shown on the key with their steady rate, and changed there", { skip }, async () => {
  const { page } = opened;
  await fill(page, { name: "Limited" });
  await page.getByRole("button", { name: "Add a limit" }).click();
  const first = page.getByRole("group", { name: "Limit 1" });
  await first.getByLabel("Requests").fill("100");
  await seen(
    page,
    "Never more than 100 requests in any minute, in all locations together. A steady caller gets about 87 a minute.",
  );
  await page.getByRole("button", { name: "Add a limit" }).click();
  const second = page.getByRole("group", { name: "Limit 2" });
  await second.getByLabel("Name").fill("Per month");
  await second.getByLabel("Requests").fill("100000");
  await second.getByLabel("In", { exact: true }).selectOption("month");
  await seen(page, /at most 100 requests in any minute and 100,000 requests in a month \(UTC\), until/);
  await issue(page);
  await second.locator(".error").waitFor();
  assert.equal(await first.locator(".error").count(), 0, "the error is beside the limit that it is about");
  await second.getByLabel("Name").fill("monthly");
  await issue(page);
  await page.getByLabel(/I have stored the key/).check();
  await page.getByRole("button", { name: "I have stored it" }).click();
  await page.getByRole("tab", { name: "Rights" }).click();
  await seen(page, /100 requests in any minute \(about 87 a minute for a steady caller\)/);
  await page.getByRole("button", { name: "Change", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Remove limit 2" }).click();
  await dialog.getByRole("group", { name: "Limit 1" }).getByLabel("In", { exact: true }).selectOption("other");
  await dialog.getByLabel("Seconds").fill("600");
  await dialog.getByRole("button", { name: "Save changes" }).click();
  await dialog.waitFor({ state: "detached" });
  const { json } = await deployment.call("GET", "/keys?integration=limited");
  assert.deepEqual(json.items[0].limits, [{ name: "burst", requests: 100, seconds: 600 }]);
});

test("a limit keeps its window when one before it is removed, and its error is part of its fields", {
  skip,
}, async () => {
  const { page } = opened;
  await fill(page, { name: "Windows" });
  const add = () => page.getByRole("button", { name: "Add a limit" }).click();
  const limit = (at) => page.getByRole("group", { name: `Limit ${at}` });
  const windowOf = (at) => limit(at).getByLabel("In", { exact: true });
  await add();
  await add();
  await windowOf(2).selectOption("other");
  await limit(2).getByLabel("Seconds").fill("90");
  await add();
  await page.getByRole("button", { name: "Remove limit 1" }).click();
  assert.equal(await windowOf(1).inputValue(), "other");
  assert.equal(await limit(1).getByLabel("Seconds").inputValue(), "90");
  assert.deepEqual([await windowOf(2).inputValue(), await limit(2).getByLabel("Seconds").count()], ["60", 0]);
  await add();
  const names = await page
    .getByRole("group", { name: /^Limit / })
    .getByLabel("Name")
    .all();
  assert.deepEqual(await Promise.all(names.map((name) => name.inputValue())), ["daily", "monthly", "burst"]);

  await limit(2).getByLabel("Name").fill("Not a name");
  await issue(page);
  await limit(2).locator(".error").waitFor();
  const described = (await limit(2).getByLabel("Requests").getAttribute("aria-describedby")).split(" ");
  const texts = await Promise.all(described.map((id) => page.locator(`[id="${id}"]`).textContent()));
  assert.equal(texts[0], await limit(2).locator(".error").textContent());
  assert.match(texts[1], /^Never more than 100 requests/);
});

test("a second key for an integration is refused, with the way out", { skip }, async () => {
  const { page } = opened;
  page.on("dialog", (asked) => asked.accept());
  await deployment.issue("taken", { name: "Taken" });
  await fill(page, { name: "Taken too" });
  await page.getByLabel("Integration", { exact: true }).fill("taken");
  await issue(page);
  await seen(page, /already has the key/);
});

test("hostile texts are shown as text, on every screen that shows them", { skip }, async () => {
  const { page } = opened;
  const hostile = "<img src=x onerror=alert(1)>";
  const { key } = await deployment.issue("hostile", {
    name: hostile,
    purpose: `"><script>alert(1)</script> Zu\u0308rich \u{1f511} ${"x".repeat(300)}`,
    owner: `javascript:alert(1)//${"o".repeat(200)}`,
  });
  let alerted = false;
  page.on("dialog", () => (alerted = true));
  for (const path of [`/key?id=${key.id}`, "/keys"]) {
    await page.goto(path);
    await seen(page, hostile);
    assert.equal(await page.locator("img").count(), 0);
  }
  assert.equal(alerted, false);
});

test("an authority that cannot be reached is reported, and the form can be sent again without a second key", {
  skip,
}, async () => {
  const { page } = opened;
  await fill(page, { name: "Unlucky" });
  const keys = [];
  let times = 0;
  await page.route("**/_keyward/v1/keys", async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    keys.push(route.request().headers()["idempotency-key"]);
    times += 1;
    // The answer of the first attempt is lost after the key was made.
    if (times === 1) {
      await route.fetch();
      return route.abort("connectionreset");
    }
    return route.continue();
  });
  await issue(page);
  await seen(page, "Keyward did not answer.");
  await issue(page);
  await seen(page, "Store the key");
  await page.unroute("**/_keyward/v1/keys");
  assert.equal(keys[0], keys[1], "the retry has the same Idempotency-Key");
  const { json } = await deployment.call("GET", "/keys?integration=unlucky");
  assert.equal(json.items.length, 1);
});
