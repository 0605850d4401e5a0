// Every command of docs/guides/cli.md, in the order of the page, as a new user would paste it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startDemoOrigin } from "../../tools/demo-origin.mjs";
import { ensureDevVars, readDevVars } from "../../tools/dev-vars.mjs";
import { localSettings } from "../../tools/local-settings.mjs";
import { startWorker } from "../../tools/local-worker.mjs";
import { readWranglerToml } from "../../tools/wrangler-toml.mjs";
import { testPorts } from "../edge/harness/ports.mjs";
import { freePort } from "../edge/harness/programs.mjs";
import { ROOT } from "../edge/harness/settings.mjs";
import { PROGRAM } from "./harness.mjs";

let folder;
let settings;
let worker;
let demo;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "keyward-guide-"));
  const devVars = join(folder, ".dev.vars");
  ensureDevVars(devVars);
  const config = readWranglerToml();
  const port = await testPorts();
  settings = localSettings({ shipped: config.vars, devVars: readDevVars(devVars), port });
  demo = await startDemoOrigin(port + 1);
  worker = await startWorker({ config, vars: settings.vars, ports: settings.ports, state: join(folder, "state") });
});
after(async () => {
  await worker?.dispose();
  demo?.closeAllConnections();
  demo?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Returns the commands of the page, without its installation. */
function commands() {
  const page = readFileSync(join(ROOT, "docs", "guides", "cli.md"), "utf8");
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block);
  const rest = blocks.filter((block) => !block.startsWith("cargo install"));
  assert.equal(rest.length, blocks.length - 1);
  return rest;
}

/** Runs a script in bash and returns its exit code and output. */
function bash(script) {
  const home = join(folder, "home");
  const programs = join(folder, "bin");
  mkdirSync(home);
  mkdirSync(programs);
  symlinkSync(PROGRAM, join(programs, "keyward"));
  const env = { PATH: `${programs}:${process.env.PATH}`, HOME: home };
  const child = spawn("bash", ["-euo", "pipefail", "-c", script], {
    cwd: ROOT,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let shown = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (shown += text));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, shown })));
}

test("every command of the guide to the command line works as written, and shows no key", async () => {
  const blocks = commands();
  assert.ok(blocks.length >= 9, `${blocks.length} blocks`);
  // The guide's deployment and files, in this test's own places.
  const script = ["trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    .concat(blocks.map((block, index) => `echo "== ${index + 1}"\n${block}`))
    .join("\n")
    .replaceAll("http://localhost:8789", settings.control)
    .replaceAll("9100", String(await freePort()))
    .replaceAll("/tmp/", `${folder}/`)
    .replaceAll(".dev.vars", join(folder, ".dev.vars"));
  const { code, shown } = await bash(script);
  assert.equal(code, 0, `${script}\n${shown}`);
  assert.match(shown, /Signed in to .+ as Olivia Owner \(owner\)/);
  assert.match(shown, /The key was delivered to exec:cat > /);
  assert.match(shown, /was sent to .+\nexit code 10\n/);
  assert.match(shown, /^No differences\.$/m);
  assert.match(shown, /^ok: the log continues .+kept\.txt \(\d+ entries, signed by keyward\/wafl\)$/m);
  assert.match(shown, /^status +closed$/m);
  assert.match(shown, /^Score \d+(\.\d+)? of 100\.$/m);
  assert.match(shown, /^The test event arrived: status 204 after \d+ ms\.$/m);
  assert.match(shown, /^key\.issued wafl_test_\w+$/m);
  assert.match(shown, /^key\.issued is sent to ep_\w+ again, as dlv_\d+\.$/m);
  assert.match(shown, /^\d+ events are sent again\.$/m);
  assert.match(shown, /^\S+Z {2}key\.issued {2}ep_\w+ {2}delivered {2}status 204/m);
  assert.match(shown, /^old secret +good until /m);
  assert.doesNotMatch(shown, /whsec_/);
  assert.doesNotMatch(shown, /wafl_(live|test|admin)_[0-9A-Za-z]{12}_[0-9A-Za-z]{46}/);
});
