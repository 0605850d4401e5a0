// Claims: a key that nobody sends around, from the form to the page on which it is shown once.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage, seen, skip } from "./harness/browser.mjs";
import { startSession } from "./harness/session.mjs";

let session;
let browser;
let deployment;
let opened;

before(async () => {
  if (skip) return;
  session = await startSession();
  ({ browser, deployment, opened } = session);
});
after(() => session?.stop());

/** Issues a key by claim link through the form, and returns the link. */
async function issueByClaim(page, name) {
  await page.goto("/issue");
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Purpose", { exact: true }).fill("Nightly contact sync to the CRM");
  await page.getByLabel("contacts:read").check();
  await page.getByRole("button", { name: "Issue and get the claim link" }).click();
  await seen(page, "Send the claim link");
  return await page.locator(".secret-box code").textContent();
}

test("the link opens a page that shows the key once, and until then nothing can be used", { skip }, async () => {
  const link = await issueByClaim(opened.page, "Claimed");
  const message = await opened.page.locator(".snippet pre").first().textContent();
  assert.equal(message.includes(link.split("#")[1]), false, "the message holds no secret");
  const { page, close } = await openPage(browser, deployment);
  await page.goto(link);
  await seen(page, "Your API key is ready");
  assert.equal(page.url(), `${deployment.url}/_keyward/claim`, "the secret is out of the address");
  await seen(page, "Olivia Owner");
  await page.getByRole("button", { name: "Show the key" }).click();
  const key = await page.locator(".secret-box code").textContent();
  assert.equal(await deployment.request(key), 200);
  page.once("dialog", (asked) => asked.accept());
  await page.reload();
  assert.equal(await page.locator(".secret-box code").textContent(), key, "a reload loses nothing");
  await page.getByLabel(/I have stored the key/).check();
  await page.getByRole("button", { name: "I have stored it" }).click();
  await seen(page, "You may close this page.");
  await close();
});

test("the page tells a second claimant that the key was claimed, and lets them revoke the key that somebody else has", {
  skip,
}, async () => {
  const link = await issueByClaim(opened.page, "Stolen");
  const thief = await openPage(browser, deployment);
  await thief.page.goto(link);
  await thief.page.getByRole("button", { name: "Show the key" }).click();
  const key = await thief.page.locator(".secret-box code").textContent();
  thief.page.on("dialog", (asked) => asked.accept());
  const { page, close } = await openPage(browser, deployment);
  await page.goto(link);
  await seen(page, "This key was claimed already");
  await page.getByRole("button", { name: "It was not me: revoke the key" }).click();
  await page.getByLabel("Type stolen to confirm").fill("stolen");
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("Off everywhere", { exact: true }).waitFor();
  assert.equal(await deployment.request(key), 401);
  await close();
  await thief.close();
});

test("a claim is withdrawn after ten seconds to undo, and its link no longer works", { skip }, async () => {
  const { page } = opened;
  const link = await issueByClaim(page, "Withdrawn");
  await page.getByRole("button", { name: "Done" }).click();
  await seen(page, "Waiting to be claimed");
  await page.getByRole("button", { name: "Withdraw the claim" }).click();
  await page.getByRole("button", { name: "Do it now" }).click();
  await seen(page, "Its claim was withdrawn");
  const visitor = await openPage(browser, deployment);
  await visitor.page.goto(link);
  await seen(visitor.page, "This link does not work");
  await visitor.close();
});

test("a link that is not complete is explained, and nothing is asked", { skip }, async () => {
  const { page, close } = await openPage(browser, deployment);
  await page.goto("/_keyward/claim");
  await seen(page, "This address is not complete");
  await close();
});
