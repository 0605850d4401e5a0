// The overview: what is new in the posture, and the deliveries that wait.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startReceiver } from "../edge/harness/receiver.mjs";
import { until } from "../edge/harness/wait.mjs";
import { endAll, openPage, seen, signIn, skip } from "./harness/browser.mjs";
import { startSession } from "./harness/session.mjs";

const DAY_MS = 86_400_000;

let session;
let browser;
let deployment;
let opened;
let receiver;

before(async () => {
  if (skip) return;
  [session, receiver] = await Promise.all([startSession(), startReceiver()]);
  ({ browser, deployment, opened } = session);
});
after(() =>
  endAll(
    () => session?.stop(),
    () => receiver?.close(),
  ),
);

/** Shows the overview with these findings, of `found` in all. */
async function withFindings(page, findings, found = findings.length) {
  await page.route("**/_keyward/v1/posture", (route) =>
    route.fulfill({ json: { score: findings.length > 0 ? 62 : 100, findings, by_rule: { no_limit: { found } } } }),
  );
  await page.goto("/");
  const panel = page.locator("section").filter({ has: page.getByRole("heading", { name: "Posture" }) });
  await panel.locator(".score").waitFor();
  const text = await panel.locator(".panel-body").first().textContent();
  await page.unroute("**/_keyward/v1/posture");
  return text;
}

const finding = (number, severity, days) => ({
  rule: "no_limit",
  severity,
  key_id: `wafl_live_${String(number).padStart(12, "0")}`,
  since: new Date(Date.now() - days * DAY_MS).toISOString(),
  detail: "No limit applies to this key.",
  fix: null,
});

test("the posture says how many findings are new in the last 7 days, and how severe these are", { skip }, async () => {
  const { page } = opened;
  const old = finding(1, "critical", 7.1);
  assert.equal(await withFindings(page, []), "100of 100. Nothing was found.");
  assert.equal(await withFindings(page, [old]), "62of 100. 1 finding, none of them new in the last 7 days.");
  const some = [old, finding(2, "high", 6.9), finding(3, "low", 1), finding(4, "low", 0)];
  assert.equal(
    await withFindings(page, some),
    "62of 100. 4 findings, 3 of them new in the last 7 days: 1 high and 2 low.",
  );
  assert.equal(
    await withFindings(page, some.slice(1)),
    "62of 100. 3 findings, all of them new in the last 7 days: 1 high and 2 low.",
  );
  // The API lists the heaviest ones only, and counts all.
  assert.equal(
    await withFindings(page, some, 1_204),
    "62of 100. 1,204 findings, at least 3 of them new in the last 7 days: 1 high and 2 low.",
  );
});

test("an owner sees how many deliveries wait, and opens them; others are not told of events", { skip }, async () => {
  const { page } = opened;
  await page.goto("/");
  await seen(page, "No delivery of an event is pending.");
  const json = { url: `${receiver.url}/hook` };
  const { id } = (await deployment.call("POST", "/endpoints", { json })).json.endpoint;
  await deployment.call("POST", `/endpoints/${id}/test`, { json: {} });
  receiver.answerWith(503);
  await deployment.issue("unheard");
  await deployment.issue("unheard-too");
  const pending = async () => (await deployment.call("GET", "/deliveries?status=pending")).json.items.length;
  await until("both events wait", async () => (await pending()) === 2);
  await page.reload();
  const link = page.getByRole("link", { name: "Pending deliveries of events: 2" });
  await link.click();
  await page.locator("tbody tr").nth(1).getByText("Pending").waitFor();
  assert.match(page.url(), /\/events\?.*status=pending/);

  const other = await openPage(browser, deployment);
  await signIn(other.page, await deployment.member("auditor"));
  await seen(other.page, "Serving");
  assert.equal(await other.page.getByText(/deliver/i).count(), 0);
  await other.close();
});
