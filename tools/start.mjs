// `npm start`: from a fresh clone to a running gate. `npm start -- --port 9000` selects the port. `npm run demo` does the same with data of
// its own, which the second half makes.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { ensureDevVars } from "./dev-vars.mjs";
import { portsOf } from "./local-settings.mjs";
import { DEV_VARS, NODE_BIN, ROOT } from "./paths.mjs";
import { freePorts, isFree } from "./ports.mjs";
import { attend, main, Stop } from "./run.mjs";

const HELP = `npm start [-- --port N]      npm run demo [-- --port N]

Runs Keyward on this machine, with a demo origin behind it. The demo has members, keys and requests to look at.
  --port N   where the gate listens (default 8787, for the demo 8797); the demo origin is at N+1, the control plane at N+2
  --help     this text

Settings: [vars] of wrangler.toml, and .dev.vars, which wins. State: the folder .keyward.
The demo has its own secrets and state in .keyward/demo, and begins anew at each start.`;

main(async () => {
  const { port, help, demo } = options();
  if (help) return console.log(HELP);
  await needPorts(port, demo); // before the long steps, not after
  await build();
  if (!demo && ensureDevVars(DEV_VARS)) {
    console.log(".dev.vars: created, with new secrets for this machine.");
  }
  await serve(port, demo);
});

function options() {
  let values;
  try {
    ({ values } = parseArgs({
      options: { port: { type: "string" }, help: { type: "boolean", short: "h" }, demo: { type: "boolean" } },
    }));
  } catch (error) {
    throw new Stop(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  }
  const { help, demo = false, port: text = demo ? "8797" : "8787" } = values;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65533)
    throw new Stop(`--port takes a number from 1 to 65533, not ${text}.`);
  return { port, help, demo };
}

async function needPorts(port, isDemo) {
  const { gate, demo, control } = portsOf(port);
  const command = isDemo ? "npm run demo" : "npm start";
  // Afterwards .dev.vars may name another origin, and serve.mjs says so if the demo's port is needed and taken.
  for (const needed of existsSync(DEV_VARS) && !isDemo ? [gate, control] : [gate, demo, control]) {
    if (await isFree(needed)) continue;
    throw new Stop(
      `Port ${needed} is taken (Keyward may be running already). Keyward needs ports ${gate} to ${control}. Choose others:  ${command} -- --port ${await freePorts(port + 1)}`,
    );
  }
}

/**
 * Runs serve.mjs in the pinned Node, because wrangler and Miniflare need 22. It has its own process group, so that Ctrl-C reaches
 * workerd only once, and no process of the group remains even if serve.mjs is killed. If this process is killed, the channel
 * closes and serve.mjs stops.
 */
async function serve(port, demo) {
  // Node 22 calls its SQLite experimental; the version is pinned.
  const options = demo ? ["--disable-warning=ExperimentalWarning"] : [];
  const child = spawn(
    join(NODE_BIN, "node"),
    [...options, "tools/serve.mjs", String(port), ...(demo ? ["--demo"] : [])],
    {
      cwd: ROOT,
      detached: true,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    },
  );
  // If npm is killed it cannot forward a signal; then this process gets another parent.
  const parent = process.ppid;
  const watch = setInterval(
    () => process.env.npm_lifecycle_event && process.ppid !== parent && child.kill("SIGTERM"),
    500,
  );
  const { status } = await attend(child).finally(() => clearInterval(watch));
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // Usual case: the group has ended already.
  }
  process.exit(status);
}
