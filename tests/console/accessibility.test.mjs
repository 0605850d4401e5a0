// Every screen in both themes: axe-core's rules for WCAG 2.2 AA, a window of 360 px, and the keyboard alone.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { endAll, openPage, overflows, seen, signIn, skip, startBrowser } from "./harness/browser.mjs";
import { startDeployment } from "./harness/deployment.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

let browser;
let deployment;
/** Address of each screen, by name. */
const screens = {};

before(async () => {
  if (skip) return;
  [browser, deployment] = await Promise.all([startBrowser(), startDeployment()]);
  await deployment.member("manager", { name: "Martin Meyer" });
  const { key } = await deployment.issue("crm-sync", {
    name: "CRM sync",
    expires_in_days: 14,
    allowed_cidrs: ["192.0.2.0/24"],
  });
  const { key: gone } = await deployment.issue("billing", {
    name: "x".repeat(100),
    owner: `${"o".repeat(240)}@x.example`,
  });
  await deployment.call("POST", `/keys/${gone.id}/revoke`, { json: { reason: "Leaked" } });
  await deployment.issue("test-sync", { environment: "test" });
  const { key: old } = await deployment.issue("shop-export");
  await deployment.call("POST", `/keys/${old.id}/rotate`, { json: { overlap_seconds: 3_600 } });
  const { key: stolen } = await deployment.issue("order-bot");
  const { json } = await deployment.call("POST", `/keys/${stolen.id}/compromise`, {
    json: { kind: "exposed", note: "The build log was public", replace: "claim" },
  });
  const { api_key: leaked } = await deployment.issue("webinar");
  await deployment.reportLeak({ keys: [leaked], note: "In the sources of a landing page" });
  const endpoint = { url: "http://localhost:9/hooks", description: "On call", types: ["key.*"], signatures: ["v1a"] };
  await deployment.call("POST", "/endpoints", { json: endpoint });
  Object.assign(screens, {
    leaks: "/leaks",
    events: "/events",
    deliveries: "/events?tab=deliveries",
    verify: "/events?tab=verify",
    overview: "/",
    incidents: "/incidents",
    incident: `/incident?id=${json.incident.id}`,
    keys: "/keys",
    key: `/key?id=${key.id}&tab=rights`,
    use: `/key?id=${key.id}&tab=use`,
    activity: `/key?id=${key.id}&tab=activity`,
    history: `/key?id=${key.id}&tab=history`,
    revoked: `/key?id=${gone.id}`,
    rotation: `/key?id=${old.id}&tab=rotation`,
    issue: "/issue",
    audit: "/audit",
    members: "/members",
    settings: "/settings",
  });
});
after(() =>
  endAll(
    () => browser?.close(),
    () => deployment?.stop(),
  ),
);

/** Runs axe in the page's own world, past the content security policy, which forbids it to the page itself. */
async function violations(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: AXE });
  const { result } = await session.send("Runtime.evaluate", {
    expression: `axe.run(document, { runOnly: ${JSON.stringify(TAGS)} }).then((found) => JSON.stringify(found.violations.map(({ id, nodes }) => id + ": " + nodes.map((node) => node.target.join(" ") + " " + (node.any[0]?.message ?? "")).join("; "))))`,
    awaitPromise: true,
  });
  await session.detach();
  return JSON.parse(result.value);
}

/** Writes a picture for people, if `KEYWARD_SCREENSHOTS` names a folder. */
async function picture(page, name) {
  const folder = process.env.KEYWARD_SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

/** Opens a screen and waits until nothing loads any more. */
async function open(page, path) {
  await page.goto(path);
  await page.locator("h1").waitFor();
  await page.waitForFunction(() => document.querySelector('.skeleton, [aria-busy="true"]') === null);
}

for (const dark of [false, true]) {
  test(`axe finds nothing on any screen, ${dark ? "dark" : "light"}`, { skip }, async () => {
    const { page, close } = await openPage(browser, deployment, { dark });
    await page.goto("/");
    await seen(page, "Sign in to Keyward");
    assert.deepEqual(await violations(page), [], "sign in");
    await signIn(page, deployment.owner);
    for (const [name, path] of Object.entries(screens)) {
      await open(page, path);
      await picture(page, `${name}-${dark ? "dark" : "light"}`);
      assert.deepEqual(await violations(page), [], name);
    }
    await close();
  });
}

test("axe finds nothing in any dialog", { skip }, async () => {
  const { page, close } = await openPage(browser, deployment);
  await signIn(page, deployment.owner);
  for (const [path, button] of [
    [screens.key, "Rotate"],
    [screens.key, "Change"],
    [screens.key, "Revoke"],
    [screens.key, "Compromised"],
    [screens.incident, "Record the review"],
    [screens.members, "Add member"],
    [screens.events, "Add endpoint"],
    [screens.leaks, "Open incident"],
  ]) {
    await open(page, path);
    await page.getByRole("button", { name: button, exact: true }).click();
    await page.getByRole("dialog").waitFor();
    assert.deepEqual(await violations(page), [], button);
  }
  await close();
});

test("no screen is wider than a window of 360 px, and the screens are behind a menu there", { skip }, async () => {
  const { page, close } = await openPage(browser, deployment, { phone: true });
  await signIn(page, deployment.owner);
  for (const [name, path] of Object.entries(screens)) {
    await open(page, path);
    await picture(page, `${name}-360`);
    assert.equal(await overflows(page), false, name);
    assert.deepEqual(await violations(page), [], name);
  }
  await page.getByRole("button", { name: "Screens" }).click();
  await page.getByRole("link", { name: "Audit" }).click();
  await page.getByRole("heading", { name: "Audit" }).waitFor();
  await close();
});

test("a key is found, opened and revoked with the keyboard alone, and the focus is always visible", {
  skip,
}, async () => {
  const { page, close } = await openPage(browser, deployment);
  await page.goto("/");
  await seen(page, "Sign in to Keyward");
  await page.keyboard.insertText(deployment.owner);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("k");
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("test-sync");
  await page.locator(".popup").getByRole("option").waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "test-sync" }).waitFor();
  await tabTo(page, "Revoke");
  await page.keyboard.press("Enter");
  await page.keyboard.type("Not needed any more");
  await page.keyboard.press("Tab");
  await page.keyboard.type("test-sync");
  await page.keyboard.press("Enter");
  await seen(page, /^Off everywhere/);
  await close();
});

/** Presses Tab until the focus is on a button, and checks on the way that each stop shows its focus. */
async function tabTo(page, name) {
  for (let stops = 0; stops < 60; stops += 1) {
    await page.keyboard.press("Tab");
    const { text, isVisible } = await page.evaluate(() => {
      const focused = document.activeElement;
      const shown = [focused, focused?.closest("tr, .choice, .scope-row")].filter((one) => one instanceof Element);
      return {
        text: focused?.textContent?.trim() ?? "",
        isVisible: shown.some((one) => getComputedStyle(one).outlineStyle !== "none"),
      };
    });
    assert.ok(isVisible, `the focus on "${text}" is not visible`);
    if (text === name) return;
  }
  throw new Error(`No button ${name} within 60 stops`);
}
