// Events: endpoints with their test, their secret and their end, deliveries, and what an owner sends again. A real receiver listens.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { startReceiver } from "../edge/harness/receiver.mjs";
import { until } from "../edge/harness/wait.mjs";
import { endAll, openPage, overflows, seen, signIn, skip } from "./harness/browser.mjs";
import { startSession } from "./harness/session.mjs";

let browser;
let deployment;
let opened;
let session;
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

/** A delivery waits for the next alarm. */
const SLOW = { within: 15_000 };

const button = (scope, name) => scope.getByRole("button", { name, exact: true });
const endpoints = async () => (await deployment.call("GET", "/endpoints")).json.items;
const rowOf = (page, text) => page.locator("tbody tr").filter({ hasText: text });

/** Chooses an action in the menu of an endpoint. */
async function act(page, path, action) {
  await page.getByLabel(`Actions for ${receiver.url}${path}`).click();
  await button(page, action).click();
}

/** Adds an endpoint through the API, and enables it by a test. */
async function enabled(path, fields = {}) {
  const { json } = await deployment.call("POST", "/endpoints", { json: { url: `${receiver.url}${path}`, ...fields } });
  const tested = await deployment.call("POST", `/endpoints/${json.endpoint.id}/test`, { json: {} });
  assert.equal(tested.json.delivered, true, tested.text);
  return json.endpoint;
}

test("an endpoint is added, its secret is shown once, and a test enables it only if the receiver takes it", {
  skip,
}, async () => {
  const { page } = opened;
  await page.goto("/events");
  await seen(page, "No endpoint yet.");
  await button(page, "Add endpoint").click();
  const dialog = page.getByRole("dialog");
  const add = button(dialog, "Add endpoint");
  assert.equal(await add.isDisabled(), true);
  await dialog.getByLabel("Address").fill("https://elsewhere.example/hooks");
  await add.click();
  await dialog.locator(".error").waitFor(); // EVENT_HOSTS does not list it
  assert.equal(await dialog.getByLabel("Address").getAttribute("aria-invalid"), "true");
  await dialog.getByLabel("Address").fill(`${receiver.url}/on-call`);
  await dialog.getByLabel(/^Description/).fill("On call");
  await dialog.getByLabel("Some").check();
  await dialog.getByLabel(/^Incidents/).check();
  await dialog.getByLabel(/^Single types/).fill("member.created, leak.reported");
  await dialog.getByLabel(/shared secret/).check();
  await add.click();
  const secret = await dialog.locator(".secret-box code").textContent();
  assert.match(secret, /^whsec_/);
  assert.equal(await button(dialog, "I have stored it").isDisabled(), true);
  await dialog.getByLabel(/I have stored the signing secret/).check();
  await button(dialog, "I have stored it").click();
  await seen(page, "Added the endpoint.");
  assert.equal((await page.content()).includes(secret), false, "the secret stayed on the page");
  const [made] = await endpoints();
  assert.deepEqual(made.types.toSorted(), ["incident.*", "key.*", "leak.reported", "member.created"]);
  assert.deepEqual([made.status, made.signatures], ["pending", ["v1a", "v1"]]);

  receiver.answerWith(500);
  await act(page, "/on-call", "Send a test");
  await seen(page, /^The test failed: answered 500 in/);
  await rowOf(page, "/on-call").getByText("Pending").waitFor();
  receiver.answerWith();
  await act(page, "/on-call", "Send a test");
  await seen(page, /^The test arrived: answered 204 in/);
  await rowOf(page, "/on-call").getByText("Enabled").waitFor();

  const { headers, body } = receiver.at("/on-call", "endpoint.test").at(-1);
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const expected = createHmac("sha256", Buffer.from(secret.replace("whsec_", ""), "base64")).update(signed);
  assert.ok(headers["webhook-signature"].includes(`v1,${expected.digest("base64")}`), "the shown secret signs");
});

test("an endpoint is changed, and of two changes at the same time the second is refused", { skip }, async () => {
  const { page } = opened;
  const { id } = await enabled("/changed", { types: ["key.*"] });
  await page.goto("/events");
  await act(page, "/changed", "Change");
  const dialog = page.getByRole("dialog");
  assert.equal(await dialog.getByLabel(/^Keys/).isChecked(), true);
  await dialog.getByLabel("Description").fill("Mine");
  await deployment.call("PATCH", `/endpoints/${id}`, { json: { description: "Theirs" } });
  await button(dialog, "Save changes").click();
  await dialog.getByRole("alert").waitFor();
  await button(dialog, "Cancel").click();
  await page.reload();
  await act(page, "/changed", "Change");
  await dialog.getByLabel("Description").fill("Mine");
  await button(dialog, "Save changes").click();
  await seen(page, "Changed the endpoint.");
  await rowOf(page, "/changed").getByText("Mine").waitFor();
});

test("single types are gone after a change to all events and back", { skip }, async () => {
  const { page } = opened;
  await page.goto("/events");
  await button(page, "Add endpoint").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Address").fill(`${receiver.url}/types`);
  const events = dialog.getByRole("group", { name: "Events", exact: true });
  await events.getByLabel("Some").check();
  await dialog.getByLabel(/^Single types/).fill("leak.reported");
  await events.getByLabel("All").check();
  await events.getByLabel("Some").check();
  assert.equal(await dialog.getByLabel(/^Single types/).inputValue(), "");
  await button(dialog, "Add endpoint").click();
  await seen(page, "Added the endpoint.");
  assert.deepEqual((await endpoints()).find(({ url }) => url.endsWith("/types")).types, ["key.*"]);
});

test("disabling waits for an undo, then the endpoint receives nothing until it is enabled again", {
  skip,
}, async () => {
  const { page } = opened;
  await enabled("/quiet");
  await page.goto("/events");
  await act(page, "/quiet", "Disable");
  await button(page, "Undo").click();
  await rowOf(page, "/quiet").getByText("Enabled").waitFor();
  await act(page, "/quiet", "Disable");
  await button(page, "Do it now").click();
  await rowOf(page, "/quiet").getByText("Disabled").waitFor();
  await rowOf(page, "/quiet").getByText("by a member").waitFor();
  await deployment.issue("while-quiet");
  await until("the other endpoint hears of it", () => receiver.at("/on-call", "key.issued").length > 0, SLOW);
  assert.equal(receiver.at("/quiet", "key.issued").length, 0);
  await page.getByLabel(`Actions for ${receiver.url}/quiet`).click();
  assert.equal(await button(page, "Send past events again").count(), 0, "nothing can be sent to a disabled endpoint");
  await button(page, "Enable").click();
  await rowOf(page, "/quiet").getByText("Enabled").waitFor();

  await act(page, "/quiet", "Send past events again");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("1 hour").check();
  await button(dialog, "Send them again").click();
  await seen(page, /^Sending [\d,]+ events? again\.$/);
  await until("the missed event arrives", () => receiver.at("/quiet", "key.issued").length > 0, SLOW);
});

test("a delivery shows its attempts, and is sent again with the same id", { skip }, async () => {
  const { page } = opened;
  await enabled("/deliveries");
  await deployment.issue("delivered");
  await until("the event arrives", () => receiver.at("/deliveries", "key.issued").length > 0, SLOW);
  await page.goto("/events");
  await act(page, "/deliveries", "Show deliveries");
  assert.match(page.url(), /tab=deliveries/);
  const row = rowOf(page, "key.issued").first();
  await row.getByText("Delivered").waitFor();
  await row.getByText(/Answered 204 in/).waitFor();
  await row.getByText(`${receiver.url}/deliveries`).waitFor();
  await button(row, "Send again").click();
  await seen(page, "The event is sent again.");
  await until("it arrives again", () => receiver.at("/deliveries", "key.issued").length > 1, SLOW);
  const ids = receiver.at("/deliveries", "key.issued").map(({ headers }) => headers["webhook-id"]);
  assert.equal(new Set(ids).size, 1);
  await page.getByLabel("Result", { exact: true }).selectOption("failed");
  await seen(page, "No delivery fits these filters.");
  assert.match(page.url(), /status=failed/);
});

test("a new secret is shown once, and the old one signs too for a day", { skip }, async () => {
  const { page } = opened;
  await page.goto("/events");
  await act(page, "/on-call", "Make a new secret");
  const dialog = page.getByRole("dialog");
  assert.match(await dialog.locator(".secret-box code").textContent(), /^whsec_/);
  await seen(page, /For 24 hours the old secret signs too/);
  await dialog.getByLabel(/I have stored the signing secret/).check();
  await button(dialog, "I have stored it").click();
  await rowOf(page, "/on-call")
    .getByText(/old secret until/)
    .waitFor();
});

test("an endpoint is deleted after ten seconds in which that can be undone", { skip }, async () => {
  const { page } = opened;
  await enabled("/gone");
  await page.goto("/events");
  await act(page, "/gone", "Delete");
  assert.equal(
    (await endpoints()).some(({ url }) => url.endsWith("/gone")),
    true,
  );
  await button(page, "Do it now").click();
  await seen(page, "Deleted the endpoint.");
  assert.equal(
    (await endpoints()).some(({ url }) => url.endsWith("/gone")),
    false,
  );
});

test("the example to verify a signature has the deployment's key, and can be copied", { skip }, async () => {
  const { page } = opened;
  const { json } = await deployment.call("GET", "/endpoints/key");
  await page.goto("/events?tab=verify");
  await seen(page, new RegExp(json.whpk.replace(/[+/]/g, "\\$&")));
  for (const name of ["JavaScript", "Python", "Go"]) await page.getByRole("heading", { name }).waitFor();
});

test("texts of an endpoint and a receiver become no markup", { skip }, async () => {
  const { page } = opened;
  const hostile = "<img src=x onerror=alert(1)>";
  await deployment.call("POST", "/endpoints", {
    json: { url: `${receiver.url}/hostile?a=%3Cscript%3E`, description: hostile },
  });
  await page.goto("/events");
  await seen(page, hostile);
  assert.equal(await page.locator("main img, main script").count(), 0);
});

for (const size of [{ phone: true }, { phone: false }]) {
  test(`every action of every endpoint is in the window${size.phone ? " of 360 px" : ""}`, { skip }, async () => {
    const { page, close } = await openPage(browser, deployment, size);
    await signIn(page, deployment.owner);
    await page.goto("/events");
    await page
      .getByLabel(/^Actions for/)
      .first()
      .waitFor();
    const window = page.viewportSize();
    for (const menu of await page.getByLabel(/^Actions for/).all()) {
      await menu.click();
      const panel = page.locator(".menu[open] .menu-panel");
      const { x, y, width, height } = await panel.boundingBox();
      assert.ok(
        x >= 0 && y >= 0 && x + width <= window.width && y + height <= window.height,
        `${x} ${y} ${width} ${height}`,
      );
      for (const action of await panel.getByRole("button").all()) await action.click({ trial: true });
      assert.equal(await overflows(page), false);
      await page.keyboard.press("Escape");
    }
    await close();
  });
}

test("an endpoint is added and tested with the keyboard alone, in a window of 360 px", { skip }, async () => {
  const phone = await openPage(browser, deployment, { phone: true });
  const { page } = phone;
  await signIn(page, deployment.owner);
  await page.goto("/events");
  await page.getByRole("heading", { name: "Events" }).waitFor();
  await button(page, "Add endpoint").focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.type(`${receiver.url}/keyboard`);
  assert.equal(await overflows(page), false);
  await page.keyboard.press("Enter");
  await seen(page, "Added the endpoint.");
  const menu = page.getByLabel(`Actions for ${receiver.url}/keyboard`);
  await menu.focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await seen(page, /^The test arrived/);
  assert.equal(await overflows(page), false);
  await phone.close();
});

for (const role of ["manager", "responder", "auditor"]) {
  test(`a ${role} is not offered events, and the address alone shows that there is no such screen`, {
    skip,
  }, async () => {
    const other = await openPage(browser, deployment);
    await signIn(other.page, await deployment.member(role));
    const nav = other.page.getByRole("navigation", { name: "Screens" });
    await nav.getByRole("link", { name: "Overview" }).waitFor();
    assert.equal(await nav.getByRole("link", { name: "Events" }).count(), 0);
    await other.page.goto("/events");
    await other.page.locator("main h1").waitFor();
    assert.equal(await button(other.page, "Add endpoint").count(), 0);
    await other.close();
  });
}

test("an owner of one environment is not offered events, which tell of both", { skip }, async () => {
  const other = await openPage(browser, deployment);
  await signIn(other.page, await deployment.member("owner", { name: "Tia Test", environments: ["test"] }));
  const nav = other.page.getByRole("navigation", { name: "Screens" });
  await nav.getByRole("link", { name: "Overview" }).waitFor();
  assert.equal(await nav.getByRole("link", { name: "Events" }).count(), 0);
  await other.close();
});

test("a refusal of the API is shown with its code, and nothing is lost", { skip }, async () => {
  const { page } = opened;
  await page.goto("/events");
  await page.route("**/_keyward/v1/endpoints", (route) => {
    if (route.request().method() !== "POST") return route.continue();
    const body = {
      type: "/_keyward/problems/forbidden",
      title: "Forbidden",
      status: 403,
      detail: "Only owners.",
      code: "forbidden",
    };
    return route.fulfill({ status: 403, contentType: "application/problem+json", body: JSON.stringify(body) });
  });
  await button(page, "Add endpoint").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Address").fill(`${receiver.url}/refused`);
  await button(dialog, "Add endpoint").click();
  await dialog.getByRole("alert").getByText("Only owners.").waitFor();
  assert.equal(await dialog.getByLabel("Address").inputValue(), `${receiver.url}/refused`);
  await page.unroute("**/_keyward/v1/endpoints");
});
