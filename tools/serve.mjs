// Second half of `npm start`, in the pinned Node: demo origin, worker, welcome text.
// start.mjs runs it after setup and build, with the port, and `--demo` for a deployment with data to look at.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DEMO_VARS, fill } from "./demo/fill.mjs";
import { writeHistory } from "./demo/history.mjs";
import { startReceiver } from "./demo/receiver.mjs";
import { startDemoOrigin } from "./demo-origin.mjs";
import { ensureDevVars, readDevVars } from "./dev-vars.mjs";
import { consoleAddress, hasConsole } from "./first-run.mjs";
import { localSettings } from "./local-settings.mjs";
import { startWorker } from "./local-worker.mjs";
import { DEMO_DIR, DEV_VARS } from "./paths.mjs";
import { main, Stop } from "./run.mjs";
import { demoWelcome, welcome } from "./welcome.mjs";
import { readWranglerToml } from "./wrangler-toml.mjs";

const port = Number(process.argv[2]);
const isDemo = process.argv[3] === "--demo";
const demoFolder = join(DEMO_DIR, String(port));
const demoState = join(demoFolder, "state");
const devVars = isDemo ? join(demoFolder, ".dev.vars") : DEV_VARS;
const running = [];
let stopping = false;

async function stop(status) {
  if (stopping) return;
  stopping = true;
  console.log("\nStopping Keyward.");
  // Ctrl-C must end everything, even if a part hangs.
  setTimeout(() => process.exit(status), 5_000).unref();
  for (const close of running.reverse()) await close().catch(() => {});
  process.exit(status);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => stop(0));
// The channel to start.mjs closes when that process ends for any reason.
process.on("disconnect", () => stop(0));

main(async () => {
  const config = readWranglerToml();
  if (isDemo) newDemoFolder();
  const { vars, ports, gate, control, demo } = localSettings({
    shipped: config.vars,
    devVars: readDevVars(devVars),
    port,
  });

  const missing = (config.secrets?.required ?? []).filter((name) => !vars[name]);
  if (missing.length > 0) {
    console.error(
      `.dev.vars has no ${missing.join(" and no ")}. Add it, or move the file away and start again: a new one is made.`,
    );
  }

  if (demo) {
    const server = await startDemoOrigin(Number(new URL(demo).port)).catch((error) => {
      throw new Stop(
        `The demo origin cannot listen at ${demo} (${error.code}). Stop what uses that port, start at another one (npm start -- --port N), or set ORIGIN_LIVE and ORIGIN_TEST in .dev.vars.`,
      );
    });
    running.push(async () => server.closeAllConnections() ?? server.close());
  }

  let worker = await start();
  running.push(() => worker.dispose());

  function start() {
    return startWorker({
      config,
      vars: { ...vars, ...(isDemo && DEMO_VARS) },
      ports,
      ...(isDemo && { state: demoState }),
    });
  }

  const health = await firstHealth(`http://127.0.0.1:${port}/_keyward/health`);
  if (stopping) return;
  if (health === 200) {
    if (isDemo) {
      const { signIns, pasts } = await fillDemo({ gate, control, token: vars.BOOTSTRAP_TOKEN });
      await worker.dispose();
      writeHistory(demoState, pasts);
      if (stopping) return;
      worker = await start();
      console.log(demoWelcome({ gate, control, signIns, hasConsole: hasConsole() }));
      return;
    }
    const page = hasConsole() ? await consoleAddress(control, vars.BOOTSTRAP_TOKEN) : null;
    console.log(welcome({ gate, control, devVars, demo, page }));
    return;
  }
  console.error(
    `\nKeyward listens at ${gate} but says it cannot serve (health ${health}). The lines above name every setting that is wrong.` +
      "\nFix wrangler.toml or .dev.vars, then Ctrl-C and npm start again.",
  );
});

/** Empties the folder of the demo, and makes its secrets. */
function newDemoFolder() {
  rmSync(demoFolder, { recursive: true, force: true });
  mkdirSync(demoFolder, { recursive: true });
  ensureDevVars(devVars);
}

async function fillDemo({ gate, control, token }) {
  const receiver = await startReceiver();
  running.push(async () => receiver.close());
  const report = (name) => console.log(`  Demo: ${name}`);
  return fill({ gate, control, token, receiver: receiver.url, report });
}

/** Polls until the first answer and returns its status, because workerd needs time to start. */
async function firstHealth(url) {
  for (let tries = 0; tries < 150; tries += 1) {
    try {
      return (await fetch(url)).status;
    } catch {
      await sleep(200);
    }
  }
  throw new Stop("The worker did not answer within 30 seconds.");
}
