// Second half of `npm start`, in the pinned Node: demo origin, worker, welcome text.
// start.mjs runs it after setup and build, with the port as its only argument.

import { setTimeout as sleep } from "node:timers/promises";
import { startDemoOrigin } from "./demo-origin.mjs";
import { readDevVars } from "./dev-vars.mjs";
import { localSettings } from "./local-settings.mjs";
import { readWranglerToml, startWorker } from "./local-worker.mjs";
import { DEV_VARS } from "./paths.mjs";
import { main, Stop } from "./run.mjs";
import { welcome } from "./welcome.mjs";

const port = Number(process.argv[2]);
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
  const { vars, ports, gate, control, demo } = localSettings({
    shipped: config.vars,
    devVars: readDevVars(DEV_VARS),
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

  const worker = await startWorker({ config, vars, ports });
  running.push(() => worker.dispose());

  const health = await firstHealth(`http://127.0.0.1:${port}/_keyward/health`);
  if (stopping) return;
  if (health === 200) {
    console.log(welcome({ gate, control, devVars: DEV_VARS, demo }));
    return;
  }
  console.error(
    `\nKeyward listens at ${gate} but says it cannot serve (health ${health}). The lines above name every setting that is wrong.` +
      "\nFix wrangler.toml or .dev.vars, then Ctrl-C and npm start again.",
  );
});

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
