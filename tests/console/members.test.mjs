// Members: adding, the credential once, the last owner, removal.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { seen, skip } from "./harness/browser.mjs";
import { startSession } from "./harness/session.mjs";

let session;
let deployment;
let opened;

before(async () => {
  if (skip) return;
  session = await startSession();
  ({ deployment, opened } = session);
});
after(() => session?.stop());

test("a member is added with the owner's credential again, and theirs is shown once", { skip }, async () => {
  const { page } = opened;
  await page.goto("/members");
  await page.getByRole("button", { name: "Add member" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Rosa Reyes");
  await dialog.getByLabel("E-mail address").fill("rosa@acme.example");
  await dialog.getByLabel(/^Responder/).check();
  const add = dialog.getByRole("button", { name: /^Add member/ });
  assert.equal(await add.isDisabled(), true, "without the credential nothing can be sent");
  await dialog.getByLabel("Your credential").fill("wafl_admin_wrong");
  await add.click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByLabel("Your credential").fill(deployment.owner);
  await add.click();
  const credential = await dialog.locator(".secret-box code").textContent();
  const me = await deployment.call("GET", "/me", { by: credential });
  assert.deepEqual([me.json.name, me.json.role], ["Rosa Reyes", "responder"]);
  await dialog.getByLabel(/I have stored the credential/).check();
  await dialog.getByRole("button", { name: "I have stored it" }).click();
  await seen(page, "rosa@acme.example");
});

test("the last owner is not offered for removal, and the reason is given", { skip }, async () => {
  const { page } = opened;
  await page.goto("/members");
  await page.getByLabel("Actions for Olivia Owner").click();
  await seen(page, "The last owner without a limit cannot be removed.");
  assert.equal(await page.getByRole("button", { name: "Remove", exact: true }).isVisible(), false);
  await page.keyboard.press("Escape");
});

test("a member is removed after their address was typed, and their credential ends", { skip }, async () => {
  const { page } = opened;
  const credential = await deployment.member("auditor", { name: "Ana Auditor" });
  await page.goto("/members");
  await page.getByLabel("Actions for Ana Auditor").click();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/^Type .* to confirm/).fill("ana.auditor@acme.example");
  await dialog.getByRole("button", { name: "Remove member" }).click();
  await seen(page, "Ana Auditor is no longer a member.");
  assert.equal((await deployment.call("GET", "/me", { by: credential })).status, 401);
});
