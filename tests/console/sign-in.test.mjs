// First run, sign-in, the end of a session, and what each role is offered.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { endAll, openPage, seen, signIn, skip, startBrowser } from "./harness/browser.mjs";
import { startDeployment } from "./harness/deployment.mjs";

let browser;
let deployment;

before(async () => {
  if (skip) return;
  [browser, deployment] = await Promise.all([startBrowser(), startDeployment({ owner: false })]);
});
after(() =>
  endAll(
    () => browser?.close(),
    () => deployment?.stop(),
  ),
);

test("the first run makes an owner with the token of the address, shows the credential once, and signs in", {
  skip,
}, async () => {
  const { page, close } = await openPage(browser, deployment, { clipboard: true });
  await page.goto(`/#bootstrap=${encodeURIComponent(deployment.token)}`);
  await seen(page, "Make the first owner");
  assert.equal(page.url(), `${deployment.url}/`, "the token is out of the address");
  await page.getByLabel("Name", { exact: true }).fill("Olivia Owner");
  await page.getByLabel("E-mail address").fill("olivia@acme.example");
  await page.getByRole("button", { name: "Make the owner" }).click();
  await seen(page, "Store your credential");
  const credential = await page.locator(".secret-box code").textContent();
  assert.match(credential, /^wafl_admin_/);
  await page.getByRole("button", { name: "Copy" }).click();
  await seen(page, "Copied the credential.");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), credential);
  const done = page.getByRole("button", { name: "I have stored it" });
  assert.equal(await done.isDisabled(), true, "the page goes on only when the credential is stored");
  await page.getByLabel(/I have stored the credential/).check();
  await done.click();
  await seen(page, "Overview");
  await page.reload();
  await seen(page, "Overview");
  deployment.owner = credential;
  const stored = await page.evaluate(() =>
    JSON.stringify({ ...localStorage, ...sessionStorage, cookie: document.cookie }),
  );
  assert.equal(stored.includes("wafl_admin_"), false, "nothing that scripts can read holds the credential");
  await close();
});

test("a wrong credential is refused in the API's own words, with the request id", { skip }, async () => {
  const { page, close } = await openPage(browser, deployment);
  await page.goto("/");
  await page.getByLabel("Credential", { exact: true }).fill("wafl_admin_nonsense");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await seen(page, "This is not a valid key of this API.");
  assert.equal(
    await page
      .getByRole("alert")
      .getByText(/Request/)
      .isVisible(),
    true,
  );
  await page.getByRole("link", { name: /invalid_key/ }).waitFor();
  await close();
});

test("a verifier is told that there is nothing to see", { skip }, async () => {
  const { page, close } = await openPage(browser, deployment);
  await signIn(page, await deployment.member("verifier"));
  await seen(page, "Nothing to see for this role");
  await page.getByRole("button", { name: "Sign out" }).click();
  await seen(page, "Sign in to Keyward");
  await close();
});

test("a session that ends in the middle of a form is continued after another sign-in, and the form stays", {
  skip,
}, async () => {
  const { page, close } = await openPage(browser, deployment);
  await signIn(page, deployment.owner);
  await page.goto("/issue");
  await page.getByLabel("Name", { exact: true }).fill("CRM sync");
  await page.getByLabel("Purpose", { exact: true }).fill("Nightly contact sync to the CRM");
  await page.getByLabel("contacts:read").check();
  await page
    .getByText("Show it here once")
    .click({ timeout: 500 })
    .catch(() => {}); // a deployment without claims has no choice
  await page.context().clearCookies();
  await page.getByRole("button", { name: /^Issue and show/ }).click();
  await seen(page, "Your session has ended");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Credential").fill(deployment.owner);
  await dialog.getByRole("button", { name: "Sign in and continue" }).click();
  await seen(page, "Store the key");
  assert.match(await page.locator(".secret-box code").textContent(), /^wafl_live_/);
  page.on("dialog", (asked) => asked.accept());
  await close();
});

test("signing out ends the session in every tab", { skip }, async () => {
  const { page, close } = await openPage(browser, deployment);
  await signIn(page, deployment.owner);
  const other = await page.context().newPage();
  await other.goto("/keys");
  await seen(other, "Keys");
  await page.locator("summary").filter({ hasText: "Signed in as" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await seen(page, "Sign in to Keyward");
  await other.reload();
  await seen(other, "Sign in to Keyward");
  await close();
});
