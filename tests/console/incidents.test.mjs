// Incidents: several keys or one, what remains to be done, the review, and who may do what.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../edge/harness/wait.mjs";
import { openPage, seen, signIn, skip } from "./harness/browser.mjs";
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

const button = (page, name) => page.getByRole("button", { name, exact: true });

test("without an incident the screen says what to do if a key leaks", { skip }, async () => {
  const { page } = opened;
  await page.goto("/incidents");
  await seen(page, "No incident so far.");
});

test("one key is compromised: it is off, its successor waits behind a claim link, and the checklist fills itself", {
  skip,
}, async () => {
  const { page } = opened;
  const { key, api_key } = await deployment.issue("order-bot");
  assert.equal(await deployment.request(api_key), 200);
  await page.goto(`/key?id=${key.id}`);
  await button(page, "Compromised").click();
  const dialog = page.getByRole("dialog");
  const confirm = dialog.getByRole("button", { name: "Revoke key and open incident" });
  await dialog.getByLabel("What happened").fill("The build log was public");
  assert.equal(await confirm.isDisabled(), true);
  await dialog.getByLabel("Type order-bot to confirm").fill("order-bot");
  await confirm.click();
  await page.getByRole("heading", { name: "The build log was public" }).waitFor();
  await seen(page, "Keys revoked");
  await button(page, "Copy link").first().click();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(link, /\/_keyward\/claim#/);
  await until("the key is off", async () => (await deployment.request(api_key)) === 401, { within: 10_000 });
  assert.equal(await button(page, "Close incident").isDisabled(), true);
  await button(page, "Record the review").click();
  await dialog.getByLabel("Finding").fill("No request from an unknown network");
  await dialog.getByRole("button", { name: "Record review" }).click();
  await dialog.waitFor({ state: "detached" });
  await button(page, "Close incident").click();
  await page.getByText("Closed").first().waitFor();
  const { json } = await deployment.call("GET", "/incidents");
  assert.deepEqual([json.items.length, json.items[0].status], [1, "closed"]);
});

test("selected keys become one incident, after the count was typed, and more than 20 need the credential again", {
  skip,
}, async () => {
  const { page } = opened;
  for (let at = 1; at <= 21; at += 1) await deployment.issue(`partner-${String(at).padStart(2, "0")}`);
  await page.goto("/keys?sort=name");
  await seen(page, "partner-01");
  for (let at = 1; at <= 21; at += 1) await page.getByLabel(`Select partner-${String(at).padStart(2, "0")}`).check();
  await button(page, "Revoke 21 keys").click();
  const dialog = page.getByRole("dialog");
  await seen(page, "This revokes 21 keys of 21 integrations and 1 owner, all at once or none.");
  await dialog.getByLabel("What happened").fill("A partner's vault was copied");
  await dialog.getByLabel("Type 21 keys to confirm").fill("21 keys");
  const confirm = dialog.getByRole("button", { name: "Revoke and open incident" });
  assert.equal(await confirm.isDisabled(), true);
  await dialog.getByLabel("Your credential").fill(`${deployment.owner.slice(0, -1)}x`);
  await confirm.click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByLabel("Your credential").fill(deployment.owner);
  await confirm.click();
  await page.getByRole("heading", { name: "A partner's vault was copied" }).waitFor();
  const { json } = await deployment.call("GET", "/keys?status=revoked&q=partner");
  assert.equal(json.items.length, 21);
});

test("an auditor reads incidents and may not review or close them", { skip }, async () => {
  const auditor = await openPage(browser, deployment);
  await signIn(auditor.page, await deployment.member("auditor"));
  await auditor.page.goto("/incidents");
  await auditor.page.getByRole("link", { name: "A partner's vault was copied" }).click();
  await auditor.page.getByRole("heading", { name: "A partner's vault was copied" }).waitFor();
  assert.equal(await button(auditor.page, "Record the review").count(), 0);
  assert.equal(await button(auditor.page, "Close incident").count(), 0);
  await auditor.close();
});
