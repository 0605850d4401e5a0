// A deployment in which every text that a person, a client or a reporter can choose is hostile. No screen makes markup or a link of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { endAll, openPage, overflows, signIn, skip, startBrowser } from "./harness/browser.mjs";
import { startDeployment } from "./harness/deployment.mjs";

/** Markup, a URL that would run, a formula, and no place to break a line. The API refuses marks that turn the direction of text. */
const MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>";
const LONG = `"'><svg/onload=alert(3)> javascript:alert(4) =cmd() {{7*7}} ${"W".repeat(180)}`;

let browser;
let deployment;
/** Addresses of screens, and texts that each must show. */
const screens = [];

before(async () => {
  if (skip) return;
  [browser, deployment] = await Promise.all([startBrowser(), startDeployment()]);
  const member = { name: MARKUP, email: `"${"m".repeat(60)}"@acme.example`, role: "manager", environments: null };
  const made = await deployment.call("POST", "/members", { json: member });
  if (made.status !== 201) await deployment.member("manager", { name: MARKUP });
  let keys = 0;
  const hostile = () => {
    keys += 1;
    return { name: `${MARKUP} ${keys}`, purpose: LONG, owner: `javascript:alert(5)//${"o".repeat(200)}` };
  };
  const { key, api_key } = await deployment.issue("hostile", hostile());
  const headers = { authorization: `Bearer ${api_key}`, "user-agent": `${"A".repeat(80)}<b>/1.0` };
  await fetch(`${deployment.gate}/v1/contacts`, { headers });
  const { key: lost } = await deployment.issue("lost", hostile());
  const { json } = await deployment.call("POST", `/keys/${lost.id}/compromise`, {
    json: { kind: "other", note: LONG.slice(0, 400), replace: "claim" },
  });
  await deployment.call("POST", `/incidents/${json.incident.id}/review`, { json: { finding: MARKUP } });
  const { key: gone } = await deployment.issue("gone", hostile());
  await deployment.call("POST", `/keys/${gone.id}/revoke`, { json: { reason: MARKUP } });
  const { api_key: leaked } = await deployment.issue("leaked", hostile());
  await deployment.reportLeak({ keys: [leaked], note: MARKUP });
  const endpoint = { url: "http://localhost:9/%3Cscript%3E?a=javascript:alert(6)", description: MARKUP };
  await deployment.call("POST", "/endpoints", { json: endpoint });
  const tabs = ["use", "activity", "rights", "history", "rotation"];
  screens.push(
    ...["/", "/keys", "/members", "/leaks", "/events", "/events?tab=deliveries", "/incidents", "/audit", "/settings"],
    ...tabs.map((tab) => `/key?id=${key.id}&tab=${tab}`),
    `/key?id=${gone.id}&tab=history`,
    `/incident?id=${json.incident.id}`,
    `/keys?q=${encodeURIComponent(MARKUP)}&owner=${encodeURIComponent(LONG)}&status=${encodeURIComponent(MARKUP)}`,
    `/key?id=${encodeURIComponent(MARKUP)}`,
    `/incident?id=${encodeURIComponent(MARKUP)}`,
    `/issue?integration=${encodeURIComponent(MARKUP)}&env=${encodeURIComponent(LONG)}`,
  );
});
after(() =>
  endAll(
    () => browser?.close(),
    () => deployment?.stop(),
  ),
);

for (const phone of [false, true]) {
  test(`no hostile text becomes markup, a link or a wide page${phone ? ", in a window of 360 px" : ""}`, {
    skip,
  }, async () => {
    const { page, close } = await openPage(browser, deployment, { phone });
    const asked = [];
    page.on("dialog", (dialog) => {
      asked.push(dialog.message());
      dialog.dismiss();
    });
    await signIn(page, deployment.owner);
    let shown = 0;
    for (const path of screens) {
      await page.goto(path);
      await page.locator("main h1").waitFor();
      await page.waitForFunction(() => document.querySelector('.skeleton, [aria-busy="true"]') === null);
      const found = await page.evaluate(() => ({
        elements: document.querySelectorAll("main img, main script, main iframe, main [onerror], main [onload]").length,
        links: [.../** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("a[href]"))].filter(
          ({ protocol, origin }) => protocol === "javascript:" || origin !== location.origin,
        ).length,
        text: document.body.textContent ?? "",
      }));
      assert.deepEqual([found.elements, found.links], [0, 0], path);
      assert.equal(await overflows(page), false, path);
      if (found.text.includes("onerror=alert(1)")) shown += 1;
    }
    assert.ok(shown > 5, `the texts are shown as they are on only ${shown} screens`);
    assert.deepEqual(asked, []);
    await close();
  });
}
