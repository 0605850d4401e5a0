import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../../tools/paths.mjs";
import { testPorts } from "../edge/harness/ports.mjs";

const start = (...options) =>
  spawnSync(process.execPath, [join(ROOT, "tools", "start.mjs"), ...options], { encoding: "utf8", timeout: 30_000 });

test("a start says which three ports it takes, and refuses a number that leaves no room for them", () => {
  assert.match(start("--help").stdout, /the demo origin is at N\+1, the control plane at N\+2/);
  for (const port of ["65534", "0", "80x"]) {
    const { status, stderr } = start("--port", port);
    assert.equal(status, 1);
    assert.match(stderr, /--port takes a number from 1 to 65533/);
  }
});

test("a taken port of the control plane is reported before the build, with free ports", async (t) => {
  const port = await testPorts();
  const other = createServer().listen(port + 2, "127.0.0.1");
  t.after(() => other.close());
  await once(other, "listening");
  const { status, stderr } = start("--port", String(port));
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`Port ${port + 2} is taken .* needs ports ${port} to ${port + 2}`));
  const [, first] = /npm start -- --port (\d+)/.exec(stderr);
  assert.ok(Number(first) > port);
});
