// Leaks: a report becomes visible, then an incident; who may do what; and a reporter's words stay words.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../edge/harness/wait.mjs";
import { openPage, overflows, seen, signIn, skip } from "./harness/browser.mjs";
import { startSession } from "./harness/session.mjs";

let session;
let browser;
let deployment;
let opened;

before(async () => {
  if (skip) return;
  session = await startSession({ clipboard: true });
  ({ browser, deployment, opened } = session);
});
after(() => session?.stop());

const button = (scope, name) => scope.getByRole("button", { name, exact: true });

/** Reports keys, and waits until the report is kept, because the answer comes before that. */
async function report(json) {
  const kept = async () => (await deployment.call("GET", "/leaks")).json.items.length;
  const before = await kept();
  await deployment.reportLeak(json);
  await until("the report is kept", async () => (await kept()) > before, { within: 10_000 });
}

test("without a report the screen says how to get them, with this deployment's rules to copy", { skip }, async () => {
  const { page } = opened;
  const { json } = await deployment.call("GET", "/leaks/rules");
  await page.goto("/leaks");
  await seen(page, "No report so far.");
  await page.getByRole("button", { name: "Copy" }).first().click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), json.github);
});

test("a report shows its keys, and becomes an incident, from which the replacement is issued", { skip }, async () => {
  const { page } = opened;
  const { key, api_key } = await deployment.issue("landing-page");
  await report({ keys: [api_key], note: "In the sources of a landing page" });
  await page.goto("/leaks");
  await seen(page, "In the sources of a landing page");
  const row = page.locator("tbody tr").filter({ hasText: key.id });
  await row.getByText("It worked").waitFor();
  await row.getByText("landing-page").waitFor();
  assert.equal((await page.content()).includes(api_key), false, "the key itself is on the page");
  assert.equal(await deployment.request(api_key), 401);
  await button(page, "Open incident").click();
  const dialog = page.getByRole("dialog");
  await seen(page, /The report has revoked the keys already/);
  assert.equal(await dialog.getByLabel("What happened").inputValue(), "In the sources of a landing page");
  assert.equal(await dialog.getByLabel(/^Type .* to confirm/).count(), 0, "there is nothing left to revoke");
  assert.equal(
    await dialog.getByText("Replacement", { exact: true }).count(),
    0,
    "the API makes none for a revoked key",
  );
  await button(dialog, "Open incident").click();
  await page.getByRole("heading", { name: "In the sources of a landing page" }).waitFor();
  await page.getByRole("link", { name: key.id }).click();
  await page.getByRole("link", { name: "Issue a new key" }).click();
  await page.getByRole("heading", { name: "Issue a key" }).waitFor();
  assert.equal(await page.getByLabel("Integration", { exact: true }).inputValue(), "landing-page");
  const { json } = await deployment.call("GET", "/incidents");
  assert.deepEqual([json.items[0].kind, json.items[0].status], ["exposed", "open"]);
});

test("a member's credential in a report is no key: it is named as one, and no incident is offered for it", {
  skip,
}, async () => {
  const { page } = opened;
  const credential = await deployment.member("manager", { name: "Lea Leaky" });
  await report({ keys: [credential], note: "In a shell history" });
  await page.goto("/leaks");
  const panel = page.locator("section.panel").filter({ hasText: "In a shell history" });
  await panel.getByText("a member's credential").waitFor();
  await panel.getByText("lea.leaky@acme.example").waitFor();
  assert.equal(await button(panel, "Open incident").count(), 0);
  assert.match(await panel.getByRole("link").first().getAttribute("href"), /^\/members/);
});

test("a reporter's words become no markup and no link", { skip }, async () => {
  const { page } = opened;
  const { api_key } = await deployment.issue("hostile-report");
  const note = `<img src=x onerror=alert(1)> javascript:alert(1) https://evil.example/?${"x".repeat(200)}`;
  await report({ keys: [api_key], note });
  await page.goto("/leaks");
  await seen(page, note);
  const panel = page.locator("section.panel").filter({ hasText: "onerror" });
  assert.equal(await panel.locator("img, script, a[href^='http'], a[href^='javascript']").count(), 0);
  assert.equal(await overflows(page), false);
});

for (const { role, mayOpen } of [
  { role: "manager", mayOpen: true },
  { role: "responder", mayOpen: true },
  { role: "auditor", mayOpen: false },
]) {
  test(`a ${role} reads reports and ${mayOpen ? "may" : "may not"} open an incident`, { skip }, async () => {
    const other = await openPage(browser, deployment);
    await signIn(other.page, await deployment.member(role, { name: `The ${role}` }));
    await other.page.getByRole("navigation", { name: "Screens" }).getByRole("link", { name: "Leaks" }).click();
    await seen(other.page, "In the sources of a landing page");
    assert.equal((await button(other.page, "Open incident").count()) > 0, mayOpen);
    await other.close();
  });
}

test("a refused incident shows the API's reason in the dialog, and what was entered stays", { skip }, async () => {
  const { page } = opened;
  await page.goto("/leaks");
  await page.route("**/_keyward/v1/incidents", (route) => {
    const body = {
      type: "/_keyward/problems/forbidden",
      title: "Forbidden",
      status: 403,
      detail: "Not for this role.",
      code: "forbidden",
    };
    return route.fulfill({ status: 403, contentType: "application/problem+json", body: JSON.stringify(body) });
  });
  await button(page, "Open incident").first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("What happened").fill("Entered");
  await button(dialog, "Open incident").click();
  await dialog.getByRole("alert").getByText("Not for this role.").waitFor();
  assert.equal(await dialog.getByLabel("What happened").inputValue(), "Entered");
  await page.unroute("**/_keyward/v1/incidents");
});

test("a report becomes an incident with the keyboard alone, in a window of 360 px", { skip }, async () => {
  const { api_key } = await deployment.issue("on-a-phone");
  await report({ keys: [api_key], note: "Read on a phone" });
  const phone = await openPage(browser, deployment, { phone: true });
  const { page } = phone;
  await signIn(page, deployment.owner);
  await page.goto("/leaks");
  await seen(page, "Read on a phone");
  assert.equal(await overflows(page), false);
  const panel = page.locator("section.panel").filter({ hasText: "Read on a phone" });
  await button(panel, "Open incident").focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  assert.equal(await overflows(page), false);
  const submit = button(page.getByRole("dialog"), "Open incident");
  for (let stops = 0; stops < 12; stops += 1) {
    if (await submit.evaluate((element) => element === document.activeElement)) break;
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Read on a phone" }).waitFor();
  await phone.close();
});
