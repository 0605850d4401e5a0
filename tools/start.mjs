// `npm start`: from a fresh clone to a running gate. `npm start -- --port 9000` selects the port.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { ensureDevVars } from "./dev-vars.mjs";
import { DEV_VARS, NODE_BIN, ROOT } from "./paths.mjs";
import { freePort, isFree } from "./ports.mjs";
import { attend, main, Stop } from "./run.mjs";

const HELP = `npm start [-- --port N]

Runs Keyward on this machine, with a demo origin behind it.
  --port N   where it listens (default 8787)
  --help     this text

Settings: [vars] of wrangler.toml, and .dev.vars, which wins. State: the folder .keyward.`;

main(async () => {
  const { port, help } = options();
  if (help) return console.log(HELP);
  await needPort(port); // before the long steps, not after
  await build();
  if (await ensureDevVars(DEV_VARS, () => freePort(8788, port))) {
    console.log(".dev.vars: created, with new secrets for this machine.");
  }
  await serve(port);
});

function options() {
  let values;
  try {
    ({ values } = parseArgs({
      options: { port: { type: "string", default: "8787" }, help: { type: "boolean", short: "h" } },
    }));
  } catch (error) {
    throw new Stop(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  }
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port < 1 || port > 65535)
    throw new Stop(`--port takes a number from 1 to 65535, not ${values.port}.`);
  return { port, help: values.help };
}

async function needPort(port) {
  if (await isFree(port)) return;
  throw new Stop(
    `Port ${port} is taken (Keyward may be running already). Choose another:  npm start -- --port ${await freePort(port + 1)}`,
  );
}

/**
 * Runs serve.mjs in the pinned Node, because wrangler and Miniflare need 22. It has its own process group, so that Ctrl-C reaches
 * workerd only once, and no process of the group remains even if serve.mjs is killed. If this process is killed, the channel
 * closes and serve.mjs stops.
 */
async function serve(port) {
  const child = spawn(join(NODE_BIN, "node"), ["tools/serve.mjs", String(port)], {
    cwd: ROOT,
    detached: true,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
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
