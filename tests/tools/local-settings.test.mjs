import assert from "node:assert/strict";
import { test } from "node:test";
import { localSettings } from "../../tools/local-settings.mjs";

const SHIPPED = {
  ORIGIN_LIVE: "https://api.example.com",
  CONTROL_HOST: "keys.example.com",
  EVENT_HOSTS: ["hooks.example.com"],
  KEY_PREFIX: "wafl",
};
const settings = (devVars, port = 8787) => localSettings({ shipped: SHIPPED, devVars, port });

test("a start has gate, demo origin and control plane on three ports in a row", () => {
  const { vars, ports, gate, control, demo } = settings({}, 9000);
  assert.deepEqual([gate, demo, control], ["http://localhost:9000", "http://127.0.0.1:9001", "http://localhost:9002"]);
  assert.deepEqual(ports, [9000, 9002]);
  assert.deepEqual(vars, {
    ORIGIN_LIVE: "http://127.0.0.1:9001",
    ORIGIN_TEST: "http://127.0.0.1:9001",
    CONTROL_HOST: "localhost:9002",
    EVENT_HOSTS: ["localhost:*"],
    KEY_PREFIX: "wafl",
  });
});

test("what .dev.vars sets wins, and without a use for it no demo origin runs", () => {
  const own = { ORIGIN_LIVE: "http://127.0.0.1:3000", ORIGIN_TEST: "", KEY_PREFIX: "acme" };
  const { vars, demo } = settings(own);
  assert.deepEqual(vars, { ...own, CONTROL_HOST: "localhost:8789", EVENT_HOSTS: ["localhost:*"] });
  assert.equal(demo, null);
  assert.equal(settings({ ORIGIN_LIVE: "http://127.0.0.1:3000" }).demo, "http://127.0.0.1:8788");
});

test("an empty CONTROL_HOST leaves the control plane on the gate's host", () => {
  const { gate, control } = settings({ CONTROL_HOST: "" });
  assert.equal(control, gate);
});

test("a file of an earlier version, which names the demo origin, moves on with it", () => {
  const former = "http://127.0.0.1:8790";
  const { vars, demo } = settings({ DEMO_ORIGIN: former, ORIGIN_LIVE: former, ORIGIN_TEST: "http://127.0.0.1:3000" });
  assert.equal(vars.ORIGIN_LIVE, demo);
  assert.equal(vars.ORIGIN_TEST, "http://127.0.0.1:3000");
  assert.equal("DEMO_ORIGIN" in vars, false);
});
