// Each role: what is offered, that no call of an offered screen is refused, and that a refusal is shown as one.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { endAll, openPage, signIn, skip, startBrowser } from "./harness/browser.mjs";
import { startDeployment } from "./harness/deployment.mjs";

let browser;
let deployment;
let keyId;
let incidentId;

before(async () => {
  if (skip) return;
  [browser, deployment] = await Promise.all([startBrowser(), startDeployment()]);
  const { key } = await deployment.issue("crm-sync", { environment: "test", limits: [] });
  keyId = key.id;
  await deployment.call("POST", `/keys/${keyId}/rotate`, { json: { overlap_seconds: 3_600 } });
  const { key: lost } = await deployment.issue("lost", { environment: "test" });
  const { json } = await deployment.call("POST", `/keys/${lost.id}/compromise`, {
    json: { kind: "exposed", note: "A laptop was stolen", replace: "claim" },
  });
  incidentId = json.incident.id;
});
after(() =>
  endAll(
    () => browser?.close(),
    () => deployment?.stop(),
  ),
);

const READERS = ["Overview", "Keys", "Incidents", "Leaks"];
const ROLES = [
  { role: "owner", screens: [...READERS, "Audit", "Members", "Events", "Settings"], may: ["issue", "revoke", "close"] },
  { role: "manager", screens: READERS, may: ["issue", "revoke"] },
  { role: "responder", screens: [...READERS, "Audit"], may: ["revoke", "close"] },
  { role: "auditor", screens: [...READERS, "Audit", "Settings"], may: [] },
  {
    role: "owner",
    environments: ["test"],
    screens: [...READERS, "Members", "Settings"],
    may: ["issue", "revoke", "close"],
  },
  { role: "manager", environments: ["test"], screens: READERS, may: ["issue", "revoke"] },
  { role: "responder", environments: ["test"], screens: READERS, may: ["revoke", "close"] },
  { role: "auditor", environments: ["test"], screens: [...READERS, "Settings"], may: [] },
];
/** Every address of the console apart from those of one key and one incident. */
const ADDRESSES = {
  Overview: "/",
  Keys: "/keys",
  Incidents: "/incidents",
  Leaks: "/leaks",
  Audit: "/audit",
  Members: "/members",
  Events: "/events",
  Settings: "/settings",
};

const settled = (page) =>
  page.waitForFunction(
    () => document.querySelector("main h1") && !document.querySelector('.skeleton, [aria-busy="true"]'),
  );

for (const { role, environments = null, screens, may } of ROLES) {
  const who = environments ? `${role} of one environment` : role;
  test(`a person who is ${who} is offered what the API allows them, and nothing that it refuses`, {
    skip,
  }, async () => {
    const name = `${environments ? "Limited" : "Plain"} ${role}`;
    const credential = await deployment.member(role, { name, environments });
    const { page, close } = await openPage(browser, deployment);
    await signIn(page, credential);
    const refused = [];
    page.on("response", (answer) => {
      if (answer.status() >= 400) refused.push(`${answer.status()} ${answer.request().method()} ${answer.url()}`);
    });
    const nav = page.getByRole("navigation", { name: "Screens" });
    await nav.getByRole("link", { name: "Overview" }).waitFor();
    const links = await nav.getByRole("link").allInnerTexts();
    assert.deepEqual(
      links.map((text) => text.split("\n")[0]),
      screens,
    );
    for (const screen of screens) {
      await page.goto(ADDRESSES[screen]);
      await settled(page);
    }
    await page.goto(`/key?id=${keyId}`);
    await settled(page);
    for (const tab of await page.getByRole("tab").all()) {
      await tab.click();
      await settled(page);
    }
    const has = async (button) => (await page.getByRole("button", { name: button, exact: true }).count()) > 0;
    assert.deepEqual([await has("Revoke"), await has("Compromised")], [may.includes("revoke"), may.includes("revoke")]);
    await page.goto("/keys");
    await settled(page);
    const issues = (await page.getByRole("link", { name: "Issue key" }).count()) > 0;
    assert.equal(issues, may.includes("issue"));
    await page.goto("/issue");
    await page.getByRole("heading", { name: issues ? "Issue a key" : "No such page" }).waitFor();
    await settled(page);
    await page.goto(`/incident?id=${incidentId}`);
    await settled(page);
    assert.deepEqual(
      [await has("Record the review"), await has("Close incident")],
      [may.includes("revoke"), may.includes("close")],
    );
    assert.deepEqual(refused, [], "calls that were refused");

    for (const [screen, address] of Object.entries(ADDRESSES)) {
      if (screens.includes(screen)) continue;
      await page.goto(address);
      await page.getByRole("heading", { name: "No such page" }).waitFor();
    }
    await close();
  });
}

test("a member whose role was taken away meanwhile gets the API's refusal in the dialog", { skip }, async () => {
  const credential = await deployment.member("manager", { name: "Was Manager" });
  const { page, close } = await openPage(browser, deployment);
  await signIn(page, credential);
  const { key } = await deployment.issue("still-there", { environment: "test" });
  await page.goto(`/key?id=${key.id}`);
  await page.getByRole("button", { name: "Revoke", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/^Reason/).fill("Not needed any more");
  await dialog.getByLabel("Type still-there to confirm").fill("still-there");
  const { json } = await deployment.call("GET", "/members?limit=200");
  const { id } = json.items.find(({ name }) => name === "Was Manager");
  await deployment.call("PATCH", `/members/${id}`, { json: { role: "auditor" } });
  await dialog.getByRole("button", { name: /^Revoke/ }).click();
  await dialog.getByRole("alert").getByText("forbidden").first().waitFor();
  assert.equal(await dialog.getByLabel(/^Reason/).inputValue(), "Not needed any more");
  await close();
});
