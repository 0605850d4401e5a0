// One key: its rights, revocation with the countdown, rotation, changes, and history.

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

test("a key's rights are shown as a sentence and as the routes that it may use, method by method", {
  skip,
}, async () => {
  const { page } = opened;
  const { key } = await deployment.issue("rights", {
    scopes: ["contacts:read", "events:read"],
    allowed_cidrs: ["192.0.2.0/24"],
  });
  await page.goto(`/key?id=${key.id}&tab=rights`);
  await seen(page, /^May read contacts and events from 192\.0\.2\.0\/24, until/);
  const row = page.getByRole("row").filter({ has: page.getByText("/v1/contacts", { exact: true }) });
  await row.getByText("GET allowed").waitFor();
  assert.equal(await row.getByText("GET allowed").count(), 1);
  assert.equal(await row.getByText("POST refused").count(), 1);
});

test("a revocation counts down to the moment from which the key is off everywhere, and then it is", {
  skip,
}, async () => {
  const { page } = opened;
  const { key, api_key: apiKey } = await deployment.issue("leaked");
  assert.equal(await deployment.request(apiKey), 200);
  await page.goto(`/key?id=${key.id}`);
  await page.getByRole("button", { name: "Revoke", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill("Found in a public repository");
  const confirm = dialog.getByRole("button", { name: "Revoke key" });
  await dialog.getByLabel("Type leaked to confirm").fill("leake");
  assert.equal(await confirm.isDisabled(), true);
  await dialog.getByLabel("Type leaked to confirm").fill("leaked");
  await confirm.click();
  await seen(page, /^Off everywhere by \d\d:\d\d:\d\d UTC$/);
  await page.getByText("Off everywhere", { exact: true }).waitFor({ timeout: 9_000 });
  assert.equal(await deployment.request(apiKey), 401, "the page did not say it too early");
  await seen(page, "Reason: Found in a public repository");
});

test("a rotation shows the successor's key once, and the old key can be ended within ten seconds to undo", {
  skip,
}, async () => {
  const { page } = opened;
  const { key, api_key: old } = await deployment.issue("rotated");
  await page.goto(`/key?id=${key.id}`);
  await page.getByRole("button", { name: "Rotate", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog
    .getByText("Show it here once")
    .click({ timeout: 500 })
    .catch(() => {}); // a deployment without claims has no choice
  await dialog.getByLabel("1 hour", { exact: true }).first().check();
  await dialog.getByRole("button", { name: "Rotate key" }).click();
  const secret = await dialog.locator(".secret-box code").textContent();
  await dialog.getByLabel(/I have stored the key/).check();
  await dialog.getByRole("button", { name: "I have stored it" }).click();
  await page.getByRole("heading", { name: "Old key" }).waitFor();
  assert.deepEqual([await deployment.request(secret), await deployment.request(old)], [200, 200]);
  await page.getByRole("button", { name: "End the old key now" }).click();
  await page.getByRole("button", { name: "Undo" }).click();
  await seen(page, "Undone. Nothing was changed.");
  assert.equal((await deployment.call("GET", `/keys/${key.id}`)).json.status, "retiring");
  await page.getByRole("button", { name: "End the old key now" }).click();
  await page.getByRole("button", { name: "Do it now" }).click();
  await page
    .getByText(/^.Expired$/)
    .first()
    .waitFor();
});

test("a change sends only what differs, and is refused if somebody else changed the key meanwhile", {
  skip,
}, async () => {
  const { page } = opened;
  const { key } = await deployment.issue("changed");
  await page.goto(`/key?id=${key.id}`);
  await page.getByRole("button", { name: "Change", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("contacts:write").check();
  await deployment.call("PATCH", `/keys/${key.id}`, { json: { purpose: "Another purpose" } });
  await dialog.getByRole("button", { name: "Save changes" }).click();
  await seen(page, /^This is not the version that If-Match names/);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.reload();
  await page.getByRole("button", { name: "Change", exact: true }).click();
  await dialog.getByLabel("contacts:write").check();
  const [request] = await Promise.all([
    page.waitForRequest((sent) => sent.method() === "PATCH"),
    dialog.getByRole("button", { name: "Save changes" }).click(),
  ]);
  assert.deepEqual(Object.keys(request.postDataJSON()), ["scopes"]);
  await seen(page, /^May read and write contacts/);
});

test("the history of a successor begins with the rotation that made it", { skip }, async () => {
  const { page } = opened;
  const { key } = await deployment.issue("made-by-rotation");
  const rotated = await deployment.call("POST", `/keys/${key.id}/rotate`, { json: { overlap_seconds: 3_600 } });
  await page.goto(`/key?id=${rotated.json.key.id}&tab=history`);
  await seen(page, "Made by the rotation");
  await page.getByRole("tabpanel").getByRole("link", { name: key.id }).click();
  await seen(page, "Rotated the key");
});

test("the history names who changed what, from what to what", { skip }, async () => {
  const { page } = opened;
  const { key } = await deployment.issue("history");
  await deployment.call("PATCH", `/keys/${key.id}`, { json: { owner: "platform@acme.example" } });
  await page.goto(`/key?id=${key.id}&tab=history`);
  await seen(page, "owner: ops@acme.example → platform@acme.example");
  await seen(page, "Issued the key");
});

test("a key that does not exist is reported with the API's words", { skip }, async () => {
  const { page } = opened;
  await page.goto("/key?id=wafl_live_000000000000");
  await seen(page, "The object does not exist, or you may not see it. Check the id.");
});
